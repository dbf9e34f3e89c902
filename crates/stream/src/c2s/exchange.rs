//! A mechanism at work, whichever profile of SASL carries its data (RFC 6120 §6, XEP-0388).

use xmpp::jid::BareJid;

use super::line::Line;
use super::{Answer, Event};
use crate::sasl::ht::{self, Initiator, KnownToken, TOKENS_PER_CLIENT};
use crate::sasl::plain::Plain;
use crate::sasl::scram::{Binding, Challenged, ClientFirst, ScramCredentials, ScramHash, ScramKeys};
use crate::sasl::{self, BindingType, Identity, Mechanism, Offer, SaslCondition};
use crate::sasl::{anonymous, external};

/// How far the login is.
#[derive(Debug)]
pub(super) enum Exchange {
    /// No mechanism is running.
    Idle,
    /// The mechanism came without data; `<response/>` will bring it.
    Chosen(Mechanism),
    /// PLAIN asked whether the password is right.
    AskedPassword(Identity),
    /// EXTERNAL asked whether the account exists.
    AskedAccount(Identity),
    /// SCRAM asked for the account's keys.
    AskedKeys(Box<Asking>),
    /// A client that says it has a token waits for the tokens that were given to it.
    AskedTokens(Box<Proving>),
    /// SCRAM sent its challenge.
    Challenged(Box<(Challenged, Proof)>),
    /// A registration request is out.
    AskedRegistration,
}

/// A SCRAM exchange between the client's first message and our challenge.
#[derive(Debug)]
pub(super) struct Asking {
    hash: ScramHash,
    mechanism: Mechanism,
    first: ClientFirst,
    account: BareJid,
    /// Channel-binding data the client must repeat.
    binding: Vec<u8>,
}

/// A token's proof that is still to be judged.
#[derive(Debug)]
pub(super) struct Proving {
    mechanism: Mechanism,
    message: Initiator,
    account: BareJid,
    client: String,
    binding: Vec<u8>,
}

/// What a mechanism has shown.
#[derive(Debug)]
pub(super) struct Proof {
    pub identity: Identity,
    /// The keys that it was held against.
    pub keys: Option<(ScramHash, ScramKeys)>,
    /// Hashes for which the account has no keys.
    pub lacks: Vec<ScramHash>,
    /// The seed of the token that was used.
    pub token: Option<String>,
}

impl From<Identity> for Proof {
    fn from(identity: Identity) -> Self {
        Proof { identity, keys: None, lacks: Vec::new(), token: None }
    }
}

/// What a step of an exchange leads to.
pub(super) enum Outcome {
    /// The server has been asked.
    Asked(Exchange),
    /// The client is asked, with this data if there is any.
    Challenge(Option<String>, Exchange),
    /// The client is who it says; with additional data for `<success/>`.
    Success(Box<Proof>, Option<Vec<u8>>),
}

impl Exchange {
    pub fn awaits_answer(&self) -> bool {
        !matches!(self, Exchange::Idle | Exchange::Chosen(_) | Exchange::Challenged(_))
    }

    /// Begins with a mechanism that is on offer. `client` is the id of the client's user agent, if it told one.
    pub fn begin(
        mechanism: Mechanism,
        data: Option<Vec<u8>>,
        client: Option<&str>,
        offer: &Offer,
        line: &mut Line,
    ) -> Result<Outcome, SaslCondition> {
        match (data, mechanism) {
            (Some(data), _) => start(mechanism, data, client, offer, line),
            // ANONYMOUS needs no data (XEP-0175 §2); all others do, and are asked for it.
            (None, Mechanism::Anonymous) => start(mechanism, Vec::new(), client, offer, line),
            (None, _) => Ok(Outcome::Challenge(None, Exchange::Chosen(mechanism))),
        }
    }

    /// The client responds.
    pub fn respond(
        self,
        data: Vec<u8>,
        client: Option<&str>,
        offer: &Offer,
        line: &mut Line,
    ) -> Result<Outcome, SaslCondition> {
        match self {
            Exchange::Chosen(mechanism) => start(mechanism, data, client, offer, line),
            Exchange::Challenged(challenged) => {
                let (challenged, proof) = *challenged;
                let signed = challenged.finish(&sasl::utf8(data)?)?;
                Ok(Outcome::Success(Box::new(proof), Some(signed.into_bytes())))
            }
            _ => Err(SaslCondition::MalformedRequest),
        }
    }

    /// The server answers. What it was not asked for gives the exchange back.
    pub fn answer(
        self,
        answer: Answer,
        offer: &Offer,
        line: &mut Line,
    ) -> Result<Result<Outcome, SaslCondition>, Exchange> {
        let success = |identity: Identity| Ok(Outcome::Success(Box::new(identity.into()), None));
        Ok(match (self, answer) {
            (Exchange::AskedPassword(identity), Answer::Authenticated) => success(identity),
            (Exchange::AskedAccount(identity), Answer::Credentials(Some(_))) => success(identity),
            (Exchange::AskedAccount(_), Answer::Credentials(None)) => Err(SaslCondition::NotAuthorized),
            (Exchange::AskedKeys(asking), Answer::Credentials(found)) => {
                Ok(challenge(*asking, found, offer, line))
            }
            (Exchange::AskedTokens(proving), Answer::Tokens(known)) => prove(*proving, &known, line),
            (
                Exchange::AskedPassword(_)
                | Exchange::AskedAccount(_)
                | Exchange::AskedKeys(_)
                | Exchange::AskedTokens(_),
                Answer::Refused(condition),
            ) => Err(condition),
            (exchange, _) => return Err(exchange),
        })
    }
}

/// The client's first data is here.
fn start(
    mechanism: Mechanism,
    data: Vec<u8>,
    client: Option<&str>,
    offer: &Offer,
    line: &mut Line,
) -> Result<Outcome, SaslCondition> {
    let host = line.host.clone().unwrap_or_default();
    match mechanism {
        Mechanism::External => {
            let accounts = external::accounts(line.tls.as_ref(), &host);
            let identity = external::judge(accounts, &sasl::utf8(data)?)?;
            line.ask(Event::Credentials { account: identity.account().clone() });
            Ok(Outcome::Asked(Exchange::AskedAccount(identity)))
        }
        Mechanism::Plain => {
            let plain = Plain::parse(&sasl::utf8(data)?)?;
            let account = account(&plain.username, plain.authzid.as_deref(), &host)?;
            let (password, asked) = (plain.password, account.clone());
            line.ask(Event::CheckPassword { account: asked, password });
            let identity = Identity::proven(account, mechanism);
            Ok(Outcome::Asked(Exchange::AskedPassword(identity)))
        }
        Mechanism::Anonymous => {
            let identity = anonymous::judge(&sasl::utf8(data)?, &line.seed.local_part(), &host)?;
            Ok(Outcome::Success(Box::new(identity.into()), None))
        }
        Mechanism::Scram(hash) | Mechanism::ScramPlus(hash) => {
            let first = ClientFirst::parse(&sasl::utf8(data)?)?;
            let binding = binding(mechanism, &first.binding, offer, line)?;
            let account = account(&first.username, first.authzid.as_deref(), &host)?;
            line.ask(Event::Credentials { account: account.clone() });
            let asking = Box::new(Asking { hash, mechanism, first, account, binding });
            Ok(Outcome::Asked(Exchange::AskedKeys(asking)))
        }
        Mechanism::Token(kind) => {
            // XEP-0484 §4.1: a token is its client's, and the client says which one it is.
            let client = client.ok_or(SaslCondition::MalformedRequest)?.to_owned();
            let message = Initiator::parse(&data)?;
            let data = kind.and_then(|kind| kind.data(line.tls.as_ref()?));
            let binding = data.map(<[u8]>::to_vec).unwrap_or_default();
            let account = account(&message.username, None, &host)?;
            line.ask(Event::Tokens { account: account.clone(), client: client.clone() });
            let proving = Box::new(Proving { mechanism, message, account, client, binding });
            Ok(Outcome::Asked(Exchange::AskedTokens(proving)))
        }
    }
}

/// The channel-binding data that must be repeated (RFC 5802 §6).
fn binding(
    mechanism: Mechanism,
    said: &Binding,
    offer: &Offer,
    line: &Line,
) -> Result<Vec<u8>, SaslCondition> {
    let plus = matches!(mechanism, Mechanism::ScramPlus(_));
    match said {
        Binding::Unable if !plus => Ok(Vec::new()),
        // Somebody took our -PLUS mechanisms off the list on their way.
        Binding::NotOffered if !plus && offer.has_plus() => Err(SaslCondition::NotAuthorized),
        Binding::NotOffered if !plus => Ok(Vec::new()),
        Binding::Used(name) if plus => {
            let kind = offer.bindings.iter().find(|kind: &&BindingType| kind.name() == name);
            let data = kind.zip(line.tls.as_ref()).and_then(|(kind, tls)| kind.data(tls));
            data.map(<[u8]>::to_vec).ok_or(SaslCondition::NotAuthorized)
        }
        // The flag and the mechanism contradict each other.
        _ => Err(SaslCondition::MalformedRequest),
    }
}

/// The same challenge whether or not the account exists.
fn challenge(asking: Asking, found: Option<ScramCredentials>, offer: &Offer, line: &mut Line) -> Outcome {
    let Asking { hash, mechanism, first, account, binding } = asking;
    let settings = &line.settings;
    let decoy = ScramKeys::decoy(&settings.secret, account.as_str(), hash, settings.scram_iterations);
    let lacks = |hash: &ScramHash| found.as_ref().is_some_and(|found| found.keys(*hash).is_none());
    let lacks = ScramHash::ALL.into_iter().filter(lacks).collect();
    let keys = found.and_then(|found| found.keys(hash).cloned());
    let nonce = line.seed.token();
    let downgrade = offer.downgrade_hash(hash);
    let known = keys.clone().map(|keys| (hash, keys));
    let (challenged, message) = Challenged::new(&first, hash, keys, decoy, &nonce, &binding, &downgrade);
    let identity = Identity::proven(account, mechanism);
    let proof = Proof { identity, keys: known, lacks, token: None };
    Outcome::Challenge(Some(message), Exchange::Challenged(Box::new((challenged, proof))))
}

/// The same work whether or not the client was given tokens, and the same answer to all that is wrong. Only the right
/// token hears that its time is over (XEP-0484 §4.2).
fn prove(proving: Proving, known: &[KnownToken], line: &Line) -> Result<Outcome, SaslCondition> {
    let Proving { mechanism, message, account, client, binding } = proving;
    let mut found = None;
    for place in 0..TOKENS_PER_CLIENT {
        let kept = known.get(place);
        let seed = kept.map_or("", |kept| &kept.seed);
        let token = ht::derive(&line.settings.secret, account.as_str(), &client, seed);
        let proven = message.proves(&token, &binding);
        // XEP-0484 §3.4: a token is good for the mechanism that it was asked for, and no other.
        if let Some(kept) = kept.filter(|kept| proven && kept.mechanism == mechanism.name()) {
            found = Some((kept, ht::responder(&token, &binding)));
        }
    }
    match found {
        None => Err(SaslCondition::NotAuthorized),
        Some((kept, _)) if kept.expired => Err(SaslCondition::CredentialsExpired),
        Some((kept, responder)) => {
            let identity = Identity::proven(account, mechanism);
            let proof = Proof { token: Some(kept.seed.clone()), ..identity.into() };
            Ok(Outcome::Success(Box::new(proof), Some(responder)))
        }
    }
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
pub(super) fn not_offered(mechanism: Mechanism, line: &Line) -> SaslCondition {
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
