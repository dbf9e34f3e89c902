//! A server around one stream: it answers the machine's questions, and holds it to its promises as it goes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stream::sasl::Mechanism;
use stream::{
    Answer, C2s, C2sSettings, ClientCertificate, CloseReason, Enabled, Entered, Event, KnownToken,
    SaslCondition, TlsFacts, TransportFacts,
};
use xmpp::error::{Condition, StanzaError, StreamCondition};
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Limits;

use super::script::{self, Act};
use crate::accounts::{self, DOMAIN};

/// The first byte of an input: what the server allows, and how it answers.
#[derive(Debug, Clone, Copy)]
pub struct Choices(pub u8);

impl Choices {
    fn starts_clear(self) -> bool {
        self.0 & 1 == 1
    }

    fn is_generous(self) -> bool {
        self.0 & 2 == 0
    }

    fn is_narrow(self) -> bool {
        self.0 & 4 == 4
    }

    fn refuses_logins(self) -> bool {
        self.0 & 0x18 == 0x18
    }

    fn refuses_binds(self) -> bool {
        self.0 & 0x28 == 0x28
    }

    fn certificate(self) -> &'static str {
        if self.0 & 0x40 == 0x40 { "user@one.test" } else { "user@two.test" }
    }

    fn settings(self) -> C2sSettings {
        let mut settings = C2sSettings::new(vec![DOMAIN.to_owned(), "two.test".to_owned()], [3; 32]);
        settings.scram_iterations = 1;
        settings.plain = self.is_generous();
        settings.anonymous = self.is_generous();
        settings.register = self.is_generous();
        settings.tls_required = self.is_generous() || !self.starts_clear();
        if self.is_narrow() {
            settings.bytes_before = 900;
            settings.elements_before = 4;
            settings.limits_before = Limits { stanza_bytes: 220, depth: 3, ..settings.limits_before };
            settings.limits_after = Limits { stanza_bytes: 260, depth: 4, ..settings.limits_after };
        }
        settings
    }
}

/// All that came of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the machine sent.
    pub sent: String,
    /// The stanzas that it handed on, and the registrations that it asked about.
    pub told: Vec<String>,
    /// Why it is over.
    pub closed: Option<String>,
}

/// The machine and its host.
pub struct Host {
    machine: C2s,
    choices: Choices,
    now: Instant,
    facts: TlsFacts,
    pub outcome: Outcome,
    /// A password was right.
    proven: bool,
    /// A success was sent.
    succeeded: bool,
    /// An address was given.
    bound: bool,
    /// Somebody said `<starttls/>`, and how many bytes had come by then.
    pub secured_at: Option<usize>,
    pub received: usize,
    delivered: usize,
    /// Stanzas are counted.
    managed: bool,
    began: Instant,
}

impl Host {
    pub fn new(choices: Choices) -> Self {
        let facts = TlsFacts {
            version13: true,
            sni: None,
            exporter: Some([9; 32]),
            end_point: None,
            client: Some(ClientCertificate {
                xmpp_addrs: vec![choices.certificate().to_owned()],
                trusted: true,
            }),
        };
        #[allow(clippy::disallowed_methods)] // any beginning will do
        let now = Instant::now();
        let transport = match choices.starts_clear() {
            true => TransportFacts::Tcp { starttls: true },
            false => TransportFacts::DirectTls(facts.clone()),
        };
        let machine = C2s::new(now, Arc::new(choices.settings()), [1; 32], transport);
        Host {
            machine,
            choices,
            now,
            facts,
            outcome: Outcome::default(),
            proven: false,
            succeeded: false,
            bound: false,
            secured_at: None,
            managed: false,
            received: 0,
            delivered: 0,
            began: now,
        }
    }

    /// A piece of the client's bytes comes.
    pub fn receive(&mut self, piece: &[u8]) {
        self.received += piece.len();
        self.machine.receive(self.now, piece);
        self.settle();
    }

    /// Lets something else happen.
    pub fn act(&mut self, act: &Act) {
        match act {
            Act::Bytes(_) => {}
            Act::Deliver => {
                self.delivered += 1;
                let stanza = Stanza::message(Type::Chat).with_id("d");
                self.machine.answer(self.now, Answer::Deliver(stanza));
            }
            Act::Wait(seconds) => {
                self.now += Duration::from_secs(*seconds);
                self.machine.timeout(self.now);
            }
            Act::End => self.machine.answer(self.now, Answer::End),
            Act::Close => self.machine.answer(self.now, Answer::Close(StreamCondition::Conflict.into())),
            Act::Shutdown => self.machine.answer(self.now, Answer::Shutdown),
            Act::Gone => self.machine.transport_closed(self.now),
        }
        self.settle();
    }

    /// Left alone, a stream ends.
    pub fn wait_for_the_end(&mut self) {
        for _ in 0..4 {
            if let Some(due) = self.machine.poll_timeout() {
                self.now = self.now.max(due);
                self.machine.timeout(self.now);
                self.settle();
            }
        }
        assert!(self.outcome.closed.is_some(), "still open after {:?}", self.now - self.began);
        assert_eq!(self.machine.poll_timeout(), None);
        assert!(!self.machine.wants_input());
        let before = self.outcome.sent.len();
        self.machine.receive(self.now, b"<presence/>");
        self.machine.answer(self.now, Answer::Deliver(Stanza::message(Type::Chat)));
        self.settle();
        assert_eq!(self.outcome.sent.len(), before, "said after the end");
    }

    /// Answers everything that is asked.
    fn settle(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            self.take();
            assert!(self.outcome.closed.is_none(), "{event:?} after the end");
            let answer = self.answer(event);
            if let Some(answer) = answer {
                self.machine.answer(self.now, answer);
            }
        }
        self.take();
        self.identity_is_earned();
    }

    fn answer(&mut self, event: Event) -> Option<Answer> {
        let refusal = self.choices.refuses_logins().then_some(SaslCondition::TemporaryAuthFailure);
        match event {
            Event::StartTls => {
                assert!(self.choices.starts_clear() && self.secured_at.is_none());
                self.secured_at = Some(self.received);
                Some(Answer::TlsReady(self.facts.clone()))
            }
            Event::Credentials { .. } | Event::CheckPassword { .. } if refusal.is_some() => {
                refusal.map(Answer::Refused)
            }
            Event::Credentials { account } => Some(Answer::Credentials(accounts::credentials(&account))),
            Event::CheckPassword { account, password } => {
                assert!(self.machine.is_encrypted(), "a password in the clear");
                let right = accounts::password(&account) == Some(password.reveal());
                self.proven |= right;
                Some(if right {
                    Answer::Authenticated
                } else {
                    Answer::Refused(SaslCondition::NotAuthorized)
                })
            }
            Event::Tokens { .. } if refusal.is_some() => refusal.map(Answer::Refused),
            Event::Tokens { account, client } => {
                let known = account.as_str() == accounts::PEOPLE[0].0 && client == script::CLIENT;
                self.proven |= known;
                let mechanism = "HT-SHA-256-NONE".to_owned();
                let token = KnownToken { seed: script::SEED.to_owned(), mechanism, expired: false };
                Some(Answer::Tokens(if known { vec![token] } else { Vec::new() }))
            }
            // Nobody in these scripts can compute the proof that comes before.
            Event::LoginFailed => None,
            Event::Upgrade { .. } => panic!("a task without a proof"),
            Event::Enter(entry) => {
                assert!(self.machine.is_encrypted() && !self.succeeded, "{entry:?}");
                if entry.bind.is_some() && self.choices.refuses_binds() {
                    return Some(Answer::BindRefused(StanzaError::new(Condition::ResourceConstraint)));
                }
                let enable = entry.bind.as_ref().and_then(|bind| bind.enable);
                let enabled = enable.map(|_| Enabled::default());
                self.managed |= enabled.is_some();
                let tag = entry.bind.map(|bind| bind.tag.unwrap_or_default());
                let jid = tag.map(|tag| entry.account.with_resource(&format!("{tag}/made")));
                let jid = jid.map(|jid| jid.or_else(|_| entry.account.with_resource("made")));
                let jid = jid.map(|jid| jid.expect("a resource"));
                self.bound |= jid.is_some();
                let token = entry.wants_token.map(|_| ("seed".to_owned(), SystemTime::UNIX_EPOCH));
                assert!(token.is_none() || entry.agent.is_some(), "whose token?");
                Some(Answer::Entered(Box::new(Entered { jid, enabled, archive: None, token })))
            }
            Event::Register { stanza } => {
                assert!(self.machine.identity().is_none() && stanza.from.is_none());
                self.outcome.told.push(stanza.to_xml());
                Some(Answer::Reply(stanza.result()))
            }
            Event::Bind { account, resource } => {
                let identity = self.machine.identity().expect("nobody binds before a login");
                assert_eq!(*identity.account(), account);
                assert!(self.succeeded, "bound without a success");
                if self.choices.refuses_binds() {
                    return Some(Answer::BindRefused(StanzaError::new(Condition::Conflict)));
                }
                let full = account.with_resource(resource.as_deref().unwrap_or("made-here"));
                self.bound = true;
                Some(Answer::Bound(full.expect("a prepared resource")))
            }
            Event::Stanza(stanza) => {
                let identity = self.machine.identity().expect("a stanza without a login");
                let from = stanza.from.as_ref().expect("stamped");
                assert!(from.bare() == *identity.account() && from.resource().is_some(), "{from}");
                self.outcome.told.push(stanza.to_xml());
                None
            }
            // Delivered in its turn, which is not the machine's to choose.
            Event::Settled { answer } => {
                self.outcome.told.push(answer.map_or_else(String::new, |answer| answer.to_xml()));
                None
            }
            Event::Say(stanza) => Some(Answer::Deliver(stanza)),
            Event::Resume { account, .. } => {
                // Within SASL2 the success comes with it.
                assert!(self.succeeded || self.machine.is_encrypted(), "resumed without a success");
                if self.choices.refuses_binds() {
                    return Some(Answer::ResumeRefused { handled: Some(7) });
                }
                (self.managed, self.bound) = (true, true);
                let jid = account.with_resource("former").expect("a prepared resource");
                Some(Answer::Resumed { jid, handled: 3 })
            }
            Event::Manage(_) => {
                // The stream may have ended behind it.
                assert!(!self.managed && self.bound, "managed without an address, or twice");
                self.managed = true;
                None
            }
            Event::Inactive | Event::Active => {
                assert!(self.machine.bound_jid().is_some(), "a state without an address");
                self.outcome.told.push("state".to_owned());
                None
            }
            Event::AckAsked => {
                assert!(self.managed);
                self.outcome.told.push("ack?".to_owned());
                None
            }
            Event::Acked { handled } => {
                assert!(self.managed);
                self.outcome.told.push(format!("acked {handled}"));
                None
            }
            Event::PeerEnded => {
                self.machine.answer(self.now, Answer::Deliver(Stanza::message(Type::Chat).with_id("last")));
                Some(Answer::End)
            }
            Event::Closed(reason) => {
                self.outcome.closed = Some(match reason {
                    CloseReason::Failed(error) => format!("failed: {}", error.condition),
                    other => format!("{other:?}"),
                });
                None
            }
        }
    }

    fn take(&mut self) {
        while let Some(bytes) = self.machine.poll_send() {
            let text = std::str::from_utf8(&bytes).expect("UTF-8 is sent");
            self.succeeded |= text.contains("<success ");
            self.outcome.sent.push_str(text);
        }
    }

    /// Nobody is in without a success, and without having proven who it is.
    fn identity_is_earned(&self) {
        let identity = self.machine.identity();
        assert_eq!(identity.is_some(), self.succeeded, "{identity:?}");
        let bound = self.machine.bound_jid();
        assert!(bound.is_none() || identity.is_some());
        let Some(identity) = identity else { return };
        assert!(bound.is_none_or(|bound| bound.bare() == *identity.account()));
        let account = identity.account().as_str();
        let earned = match identity.mechanism() {
            Mechanism::Plain | Mechanism::Token(_) => self.proven && account == accounts::PEOPLE[0].0,
            Mechanism::External => self.machine.is_encrypted() && account == self.choices.certificate(),
            Mechanism::Anonymous => self.choices.is_generous(),
            // Nobody in these scripts can compute a proof.
            Mechanism::Scram(_) | Mechanism::ScramPlus(_) => false,
        };
        assert!(earned && !self.choices.refuses_logins() || identity.is_anonymous(), "{identity:?}");
    }

    /// How much may have been said: headers, an answer to each element, what was delivered.
    pub fn said_bytes_max(&self) -> usize {
        let streams = self.outcome.sent.matches("<stream:stream ").count();
        1024 + 4096 * streams + 256 * self.delivered + 64 * self.received
    }
}
