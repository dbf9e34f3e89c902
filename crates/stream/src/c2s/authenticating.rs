//! Before login: STARTTLS, the SASL exchange, registration (RFC 6120 §5 and §6, XEP-0077).

use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::BareJid;
use xmpp::xml::Element;
use xmpp::xml::Top;

use super::line::{Line, Reframe, is_stanza};
use super::opening::Opening;
use super::{Answer, Event, State};
use crate::limits::LOGIN_FAILURES_MAX;
use crate::sasl::plain::Plain;
use crate::sasl::scram::{Binding, Challenged, ClientFirst, ScramCredentials, ScramHash, ScramKeys};
use crate::sasl::{self, BindingType, Identity, Mechanism, Offer, SaslCondition};
use crate::sasl::{anonymous, external};
use xmpp::ns;

/// The features are out; the client may secure the channel, register or log in.
#[derive(Debug)]
pub(super) struct Authenticating {
    offer: Offer,
    failures: u32,
    exchange: Exchange,
}

/// How far the login is.
#[derive(Debug)]
enum Exchange {
    /// No mechanism is running.
    Idle,
    /// `<auth/>` came without data; `<response/>` will bring it.
    Chosen(Mechanism),
    /// PLAIN asked whether the password is right.
    AskedPassword(Identity),
    /// EXTERNAL asked whether the account exists.
    AskedAccount(Identity),
    /// SCRAM asked for the account's keys.
    AskedKeys(Asking),
    /// SCRAM sent its challenge.
    Challenged(Challenged, Identity),
    /// A registration request is out.
    AskedRegistration,
}

/// A SCRAM exchange between the client's first message and our challenge.
#[derive(Debug)]
struct Asking {
    hash: ScramHash,
    mechanism: Mechanism,
    first: ClientFirst,
    account: BareJid,
    /// Channel-binding data the client must repeat.
    binding: Vec<u8>,
}

/// What a step of an exchange leads to.
enum Outcome {
    Waiting(Exchange),
    /// Logged in; with additional data for `<success/>`.
    Success(Identity, Option<String>),
}

impl Authenticating {
    pub fn new(offer: Offer) -> Self {
        Authenticating { offer, failures: 0, exchange: Exchange::Idle }
    }

    pub fn awaits_answer(&self) -> bool {
        !matches!(self.exchange, Exchange::Idle | Exchange::Chosen(_) | Exchange::Challenged(..))
    }

    pub fn element(mut self: Box<Self>, top: &Top<'_>, line: &mut Line) -> Result<State, StreamError> {
        let outcome = match (top.ns(), top.name()) {
            (ns::TLS, "starttls") => return self.start_tls(&top.element(), line),
            (ns::SASL, "auth") => {
                // RFC 6120 §6.4.2: a new <auth/> discards the exchange that was running.
                self.exchange = Exchange::Idle;
                self.begin(&top.element(), line)
            }
            (ns::SASL, "response") => self.respond(&top.element(), line),
            (ns::SASL, "abort") => Err(SaslCondition::Aborted),
            _ if is_stanza(top) => return self.stanza(top, line),
            _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
        };
        self.settle(outcome, line)
    }

    pub fn answer(mut self: Box<Self>, answer: Answer, line: &mut Line) -> Result<State, StreamError> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let outcome = match (exchange, answer) {
            (Exchange::AskedPassword(identity), Answer::Authenticated) => {
                Ok(Outcome::Success(identity, None))
            }
            (Exchange::AskedAccount(identity), Answer::Credentials(Some(_))) => {
                Ok(Outcome::Success(identity, None))
            }
            (Exchange::AskedAccount(_), Answer::Credentials(None)) => Err(SaslCondition::NotAuthorized),
            (Exchange::AskedKeys(asking), Answer::Credentials(found)) => {
                Ok(self.challenge(asking, found, line))
            }
            (
                Exchange::AskedPassword(_) | Exchange::AskedAccount(_) | Exchange::AskedKeys(_),
                Answer::Refused(condition),
            ) => Err(condition),
            (Exchange::AskedRegistration, Answer::Reply(reply)) => {
                line.write_stanza(&reply);
                return Ok(State::Authenticating(self));
            }
            (exchange, _) => {
                self.exchange = exchange;
                return Ok(State::Authenticating(self));
            }
        };
        self.settle(outcome, line)
    }

    /// Tells the client how the step went.
    fn settle(
        mut self: Box<Self>,
        outcome: Result<Outcome, SaslCondition>,
        line: &mut Line,
    ) -> Result<State, StreamError> {
        match outcome {
            Ok(Outcome::Waiting(exchange)) => {
                self.exchange = exchange;
                Ok(State::Authenticating(self))
            }
            Ok(Outcome::Success(identity, data)) => succeed(identity, data, line),
            Err(condition) => {
                self.exchange = Exchange::Idle;
                line.write_element(&condition.failure());
                if condition != SaslCondition::Aborted {
                    self.failures += 1;
                }
                if self.failures >= LOGIN_FAILURES_MAX {
                    return Err(StreamCondition::PolicyViolation.into());
                }
                Ok(State::Authenticating(self))
            }
        }
    }

    fn start_tls(mut self: Box<Self>, command: &Element, line: &mut Line) -> Result<State, StreamError> {
        // RFC 6120 §5.4.2.2: not offered, or malformed. The schema (§A.3) lets the command be <required/>.
        let only_required = command.children().all(|child| child.is(ns::TLS, "required"));
        if !line.starttls || !only_required || !command.text().trim().is_empty() {
            return Err(line.refuse_tls());
        }
        self.exchange = Exchange::Idle;
        line.reframe = Some(Reframe::Secure);
        Ok(State::Authenticating(self))
    }

    fn begin(&self, auth: &Element, line: &mut Line) -> Result<Outcome, SaslCondition> {
        let name = auth.attr("mechanism").ok_or(SaslCondition::InvalidMechanism)?;
        let mechanism = Mechanism::named(name);
        if line.tls.is_none() && line.settings.tls_required {
            return Err(SaslCondition::EncryptionRequired);
        }
        let mechanism = mechanism.ok_or(SaslCondition::InvalidMechanism)?;
        if !self.offer.mechanisms.contains(&mechanism) {
            return Err(not_offered(mechanism, line));
        }
        let text = auth.text();
        // ANONYMOUS needs no data (XEP-0175 §2); all others do, and are asked for it.
        if text.is_empty() && mechanism != Mechanism::Anonymous {
            line.write_element(&Element::new(ns::SASL, "challenge"));
            return Ok(Outcome::Waiting(Exchange::Chosen(mechanism)));
        }
        self.start(mechanism, &sasl::decode(&text)?, line)
    }

    fn respond(&mut self, response: &Element, line: &mut Line) -> Result<Outcome, SaslCondition> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let data = sasl::decode(&response.text())?;
        match exchange {
            Exchange::Chosen(mechanism) => self.start(mechanism, &data, line),
            Exchange::Challenged(challenged, identity) => {
                let proof = challenged.finish(&data)?;
                Ok(Outcome::Success(identity, Some(proof)))
            }
            _ => Err(SaslCondition::MalformedRequest),
        }
    }

    /// The client's first data is here.
    fn start(&self, mechanism: Mechanism, data: &str, line: &mut Line) -> Result<Outcome, SaslCondition> {
        let host = line.host.clone().unwrap_or_default();
        match mechanism {
            Mechanism::External => {
                let accounts = external::accounts(line.tls.as_ref(), &host);
                let identity = external::judge(accounts, data)?;
                line.ask(Event::Credentials { account: identity.account().clone() });
                Ok(Outcome::Waiting(Exchange::AskedAccount(identity)))
            }
            Mechanism::Plain => {
                let plain = Plain::parse(data)?;
                let account = account(&plain.username, plain.authzid.as_deref(), &host)?;
                let (password, asked) = (plain.password, account.clone());
                line.ask(Event::CheckPassword { account: asked, password });
                let identity = Identity::proven(account, mechanism);
                Ok(Outcome::Waiting(Exchange::AskedPassword(identity)))
            }
            Mechanism::Anonymous => {
                let identity = anonymous::judge(data, &line.seed.local_part(), &host)?;
                Ok(Outcome::Success(identity, None))
            }
            Mechanism::Scram(hash) | Mechanism::ScramPlus(hash) => {
                let first = ClientFirst::parse(data)?;
                let binding = self.binding(mechanism, &first.binding, line)?;
                let account = account(&first.username, first.authzid.as_deref(), &host)?;
                line.ask(Event::Credentials { account: account.clone() });
                let asking = Asking { hash, mechanism, first, account, binding };
                Ok(Outcome::Waiting(Exchange::AskedKeys(asking)))
            }
        }
    }

    /// The channel-binding data that must be repeated (RFC 5802 §6).
    fn binding(&self, mechanism: Mechanism, said: &Binding, line: &Line) -> Result<Vec<u8>, SaslCondition> {
        let plus = matches!(mechanism, Mechanism::ScramPlus(_));
        match said {
            Binding::Unable if !plus => Ok(Vec::new()),
            // Somebody took our -PLUS mechanisms off the list on their way.
            Binding::NotOffered if !plus && self.offer.has_plus() => Err(SaslCondition::NotAuthorized),
            Binding::NotOffered if !plus => Ok(Vec::new()),
            Binding::Used(name) if plus => {
                let kind = self.offer.bindings.iter().find(|kind: &&BindingType| kind.name() == name);
                let data = kind.zip(line.tls.as_ref()).and_then(|(kind, tls)| kind.data(tls));
                data.map(<[u8]>::to_vec).ok_or(SaslCondition::NotAuthorized)
            }
            // The flag and the mechanism contradict each other.
            _ => Err(SaslCondition::MalformedRequest),
        }
    }

    /// The same challenge whether or not the account exists.
    fn challenge(&self, asking: Asking, found: Option<ScramCredentials>, line: &mut Line) -> Outcome {
        let Asking { hash, mechanism, first, account, binding } = asking;
        let settings = &line.settings;
        let decoy = ScramKeys::decoy(&settings.secret, account.as_str(), hash, settings.scram_iterations);
        let keys = found.and_then(|found| found.keys(hash).cloned());
        let nonce = line.seed.token();
        let downgrade = self.offer.downgrade_hash(hash);
        let (challenged, message) = Challenged::new(&first, hash, keys, decoy, &nonce, &binding, &downgrade);
        let challenge = Element::new(ns::SASL, "challenge");
        line.write_element(&challenge.with_text(&sasl::encode(&message)));
        let identity = Identity::proven(account, mechanism);
        Outcome::Waiting(Exchange::Challenged(challenged, identity))
    }

    /// Stanzas have no place before login, except to register.
    fn stanza(mut self: Box<Self>, top: &Top<'_>, line: &mut Line) -> Result<State, StreamError> {
        let allowed = line.tls.is_some() || !line.settings.tls_required;
        let read = top.stanza(line.lang.as_deref());
        let Some(Ok(mut stanza)) = read.filter(|_| allowed && top.name() == "iq") else {
            return Err(StreamCondition::NotAuthorized.into());
        };
        if !stanza.is_request() || !stanza.has(ns::REGISTER, "query") {
            return Err(StreamCondition::NotAuthorized.into());
        }
        stanza.from = None;
        line.ask(Event::Register { stanza });
        self.exchange = Exchange::AskedRegistration;
        Ok(State::Authenticating(self))
    }
}

fn succeed(identity: Identity, data: Option<String>, line: &mut Line) -> Result<State, StreamError> {
    // RFC 6120 §6.4.6: who a header inside TLS claimed to be must be who logged in.
    let claimed = line.claimed.as_ref().filter(|_| line.tls.is_some() && !identity.is_anonymous());
    if claimed.is_some_and(|claimed| claimed != identity.account()) {
        return Err(StreamCondition::InvalidFrom.into());
    }
    line.claimed = None;
    let success = Element::new(ns::SASL, "success");
    let success = match data {
        Some(data) => success.with_text(&sasl::encode(&data)),
        None => success,
    };
    line.write_element(&success);
    line.logged_in(identity);
    Ok(State::Opening(Opening))
}

/// The account of a simple user name (RFC 6120 §6.3.7). It may act as itself only: an
/// authorization identity may be given but must say the same (RFC 6120 §6.3.8).
fn account(username: &str, authzid: Option<&str>, host: &str) -> Result<BareJid, SaslCondition> {
    let account = BareJid::from_parts(Some(username), host);
    let account = account.map_err(|_| SaslCondition::NotAuthorized)?;
    match authzid {
        None => Ok(account),
        Some(authzid) => match BareJid::new(authzid) {
            Ok(wanted) if wanted == account => Ok(account),
            _ => Err(SaslCondition::InvalidAuthzid),
        },
    }
}

/// Why a mechanism that we know is not on offer here.
fn not_offered(mechanism: Mechanism, line: &Line) -> SaslCondition {
    let settings = &line.settings;
    match mechanism {
        Mechanism::Plain | Mechanism::ScramPlus(_) if line.tls.is_none() => SaslCondition::EncryptionRequired,
        Mechanism::Plain => SaslCondition::MechanismTooWeak,
        Mechanism::Scram(ScramHash::Sha1) | Mechanism::ScramPlus(ScramHash::Sha1)
            if !settings.scram.contains(&ScramHash::Sha1) =>
        {
            SaslCondition::MechanismTooWeak
        }
        _ => SaslCondition::InvalidMechanism,
    }
}
