//! Before login: STARTTLS, both profiles of SASL, registration (RFC 6120 §5 and §6, XEP-0388, XEP-0077).

use xmpp::error::{StreamCondition, StreamError};
use xmpp::xml::Element;
use xmpp::xml::Top;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::entering::Entering;
use super::exchange::{Exchange, Outcome, Proof, not_offered};
use super::line::{Line, Reframe, is_stanza};
use super::opening::Opening;
use super::request::Request;
use super::{Answer, Event, State};
use crate::limits::LOGIN_FAILURES_MAX;
use crate::sasl::{self, Mechanism, Offer, SaslCondition};
use xmpp::ns;

/// The features are out; the client may secure the channel, register or log in.
#[derive(Debug)]
pub(super) struct Authenticating {
    offer: Offer,
    /// What the features are known by (XEP-0509 §2.3).
    version: Option<String>,
    failures: u32,
    exchange: Exchange,
    /// What came along with the exchange that is running, if it is one of SASL2 (XEP-0388).
    request: Option<Request>,
}

impl Authenticating {
    pub fn new(offer: Offer, version: Option<String>) -> Self {
        Authenticating { offer, version, failures: 0, exchange: Exchange::Idle, request: None }
    }

    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    pub fn awaits_answer(&self) -> bool {
        self.exchange.awaits_answer()
    }

    pub fn element(mut self: Box<Self>, top: &Top<'_>, line: &mut Line) -> Result<State, StreamError> {
        let outcome = match (top.ns(), top.name()) {
            (ns::SASL2, "response" | "abort") if self.request.is_some() => self.go_on(&top.element(), line),
            _ if is_stanza(top) && self.request.is_none() => return self.stanza(top, line),
            // XEP-0388 §2.4: while it is running, nothing else has a place.
            _ if is_stanza(top) => return Err(StreamCondition::NotAuthorized.into()),
            _ if self.request.is_some() => return Err(StreamCondition::PolicyViolation.into()),
            (ns::TLS, "starttls") => return self.start_tls(&top.element(), line),
            (ns::SASL, "auth") => {
                // RFC 6120 §6.4.2: a new <auth/> discards the exchange that was running.
                self.exchange = Exchange::Idle;
                self.begin(&top.element(), line)
            }
            (ns::SASL, "response") => self.respond(&top.element(), line),
            (ns::SASL, "abort") => Err(SaslCondition::Aborted),
            (ns::SASL2, "authenticate") => {
                self.exchange = Exchange::Idle;
                match self.authenticate(&top.element(), line) {
                    Err(condition) => return self.refuse(condition, None, ns::SASL2, line),
                    Ok(None) => return self.mismatch(line),
                    Ok(Some(outcome)) => Ok(outcome),
                }
            }
            (ns::SASL2, "response") => {
                return self.refuse(SaslCondition::MalformedRequest, None, ns::SASL2, line);
            }
            (ns::SASL2, "abort") => return self.refuse(SaslCondition::Aborted, None, ns::SASL2, line),
            _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
        };
        self.settle(outcome, line)
    }

    pub fn answer(mut self: Box<Self>, answer: Answer, line: &mut Line) -> Result<State, StreamError> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        match (exchange, answer) {
            (Exchange::AskedRegistration, Answer::Reply(reply)) => {
                line.write_stanza(&reply);
                Ok(State::Authenticating(self))
            }
            (exchange, answer) => match exchange.answer(answer, &self.offer, line) {
                Ok(outcome) => self.settle(outcome, line),
                Err(exchange) => {
                    self.exchange = exchange;
                    Ok(State::Authenticating(self))
                }
            },
        }
    }

    /// The namespace that the running exchange is in.
    fn profile(&self) -> &'static str {
        if self.request.is_some() { ns::SASL2 } else { ns::SASL }
    }

    /// Tells the client how the step went.
    fn settle(
        mut self: Box<Self>,
        outcome: Result<Outcome, SaslCondition>,
        line: &mut Line,
    ) -> Result<State, StreamError> {
        match outcome {
            Ok(Outcome::Asked(exchange)) => {
                self.exchange = exchange;
                Ok(State::Authenticating(self))
            }
            Ok(Outcome::Challenge(data, exchange)) => {
                let challenge = Element::new(self.profile(), "challenge");
                line.write_element(&match data {
                    Some(data) => challenge.with_text(&sasl::encode(&data)),
                    None => challenge,
                });
                self.exchange = exchange;
                Ok(State::Authenticating(self))
            }
            Ok(Outcome::Success(proof, data)) => match self.request.take() {
                Some(request) if is_another(&proof, line) => {
                    self.request = Some(request);
                    self.refuse(SaslCondition::InvalidAuthzid, None, ns::SASL2, line)
                }
                Some(request) => Entering::begin(self, request, *proof, data, line),
                None => succeed(*proof, data, line),
            },
            Err(condition) => {
                let profile = self.profile();
                self.refuse(condition, None, profile, line)
            }
        }
    }

    /// The login has failed; the client may try again, a few times (RFC 6120 §6.4.5). `reason` is an application's own
    /// condition (XEP-0388 §2.6.2).
    pub fn refuse(
        mut self: Box<Self>,
        condition: SaslCondition,
        reason: Option<Element>,
        profile: &'static str,
        line: &mut Line,
    ) -> Result<State, StreamError> {
        (self.exchange, self.request) = (Exchange::Idle, None);
        line.write_element(&condition.failure(profile).with_children(reason));
        if condition != SaslCondition::Aborted {
            self.failures += 1;
        }
        if condition == SaslCondition::NotAuthorized {
            line.events.push_back(Event::LoginFailed);
        }
        if self.failures >= LOGIN_FAILURES_MAX {
            return Err(StreamCondition::PolicyViolation.into());
        }
        Ok(State::Authenticating(self))
    }

    /// The client relies on features that are not those of today (XEP-0509 §2.2): nobody's fault, so it does not count.
    fn mismatch(self: Box<Self>, line: &mut Line) -> Result<State, StreamError> {
        let reason = Element::new(ns::PIPELINING, "config-version-mismatch");
        self.refuse(SaslCondition::Aborted, Some(reason), ns::SASL2, line)
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

    /// `<auth/>` of RFC 6120.
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
        let data = match text.is_empty() {
            true => None,
            false => Some(sasl::decode(&text)?.into_bytes()),
        };
        Exchange::begin(mechanism, data, None, &self.offer, line)
    }

    fn respond(&mut self, response: &Element, line: &mut Line) -> Result<Outcome, SaslCondition> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let data = sasl::decode(&response.text())?.into_bytes();
        exchange.respond(data, None, &self.offer, line)
    }

    /// `<authenticate/>` of XEP-0388. Nothing comes of one that relies on other features than ours.
    fn authenticate(
        &mut self,
        authenticate: &Element,
        line: &mut Line,
    ) -> Result<Option<Outcome>, SaslCondition> {
        // XEP-0388 §3: only inside TLS, even where the old profile is not so strict.
        if line.tls.is_none() {
            return Err(SaslCondition::EncryptionRequired);
        }
        let request = Request::read(authenticate)?;
        if request.version.is_some() && request.version != self.version {
            return Ok(None);
        }
        let mechanism = authenticate.attr("mechanism").and_then(Mechanism::named);
        let mechanism = mechanism.ok_or(SaslCondition::InvalidMechanism)?;
        if !self.offer.mechanisms.contains(&mechanism) && !self.offer.tokens.contains(&mechanism) {
            return Err(not_offered(mechanism, line));
        }
        // XEP-0484 §3.4: a client that uses a token says so, and no other does.
        if request.token.is_some() != matches!(mechanism, Mechanism::Token(_)) {
            return Err(SaslCondition::MalformedRequest);
        }
        let request = self.request.insert(request);
        let data = request.data.take();
        let outcome = Exchange::begin(mechanism, data, request.client(), &self.offer, line)?;
        Ok(Some(outcome))
    }

    /// `<response/>` or `<abort/>` of XEP-0388.
    fn go_on(&mut self, element: &Element, line: &mut Line) -> Result<Outcome, SaslCondition> {
        if element.name() == "abort" {
            return Err(SaslCondition::Aborted);
        }
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let data = sasl::decode_bytes(&element.text())?;
        let client = self.request.as_ref().and_then(Request::client);
        exchange.respond(data, client, &self.offer, line)
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

/// Whether somebody else logs in than a header inside TLS claimed to be.
fn is_another(proof: &Proof, line: &Line) -> bool {
    let claimed = line.claimed.as_ref().filter(|_| line.tls.is_some() && !proof.identity.is_anonymous());
    claimed.is_some_and(|claimed| claimed != proof.identity.account())
}

fn succeed(proof: Proof, data: Option<Vec<u8>>, line: &mut Line) -> Result<State, StreamError> {
    // RFC 6120 §6.4.6: who a header inside TLS claimed to be must be who logged in.
    if is_another(&proof, line) {
        return Err(StreamCondition::InvalidFrom.into());
    }
    line.claimed = None;
    let success = Element::new(ns::SASL, "success");
    let success = match data {
        Some(data) => success.with_text(&STANDARD.encode(data)),
        None => success,
    };
    line.write_element(&success);
    line.logged_in(proof.identity);
    Ok(State::Opening(Opening))
}
