//! A client has proven who it is; before it is told so, what it asked for along with that is done (XEP-0388 §2.6).

use std::collections::VecDeque;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::{BareJid, FullJid};
use xmpp::xml::{Element, Top};
use xmpp::{datetime, ns};

use super::authenticating::Authenticating;
use super::binding::Binding;
use super::bound::Bound;
use super::exchange::Proof;
use super::line::{Line, Reframe, is_stanza};
use super::request::{InlineBind, Request, TokenUse, UserAgent, task};
use super::{Answer, Event, State, opening};
use crate::sasl::scram::{self, ScramHash};
use crate::sasl::{self, Mechanism, SaslCondition, ht};

/// What a client that has proven who it is wants besides.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who it is.
    pub account: BareJid,
    /// How it has proven that.
    pub mechanism: Mechanism,
    /// Which client it is, if it says so.
    pub agent: Option<UserAgent>,
    /// The seed of the token that it has used, and how.
    pub token: Option<(String, TokenUse)>,
    /// The mechanism for which it wants a token; only with an agent.
    pub wants_token: Option<Mechanism>,
    /// The session that it wants at once.
    pub bind: Option<InlineBind>,
}

/// What came of that.
#[derive(Debug, Clone, Default)]
pub struct Entered {
    /// The address of its session.
    pub jid: Option<FullJid>,
    /// The seed of a token for it, and when its time is over.
    pub token: Option<(String, SystemTime)>,
}

/// Between the proof and the success.
#[derive(Debug)]
pub(super) struct Entering {
    login: Box<Authenticating>,
    request: Request,
    proof: Proof,
    /// What the mechanism tells the client at its end, until it has been told.
    data: Option<Vec<u8>>,
    tasks: VecDeque<ScramHash>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The client has been told the first of its tasks.
    Offered,
    /// It has been told the salt.
    Salted([u8; scram::SALT_BYTES]),
    /// The new keys are being kept.
    AskedUpgrade,
    /// All that it wants besides is being done.
    AskedEntry,
}

impl Entering {
    /// `login` is where it goes back to when something fails.
    pub fn begin(
        login: Box<Authenticating>,
        request: Request,
        proof: Proof,
        data: Option<Vec<u8>>,
        line: &mut Line,
    ) -> Result<State, StreamError> {
        let wanted = |hash: &ScramHash| request.upgrades.contains(hash) && proof.lacks.contains(hash);
        let tasks = line.settings.upgrades().filter(wanted).collect();
        Box::new(Entering { login, request, proof, data, tasks, stage: Stage::Offered }).go_on(line)
    }

    pub fn awaits_answer(&self) -> bool {
        matches!(self.stage, Stage::AskedUpgrade | Stage::AskedEntry)
    }

    pub fn element(mut self: Box<Self>, top: &Top<'_>, line: &mut Line) -> Result<State, StreamError> {
        match (top.ns(), top.name()) {
            (ns::SASL2, "next") => {
                let named = top.element();
                let expected = self.tasks.front().map(|hash| task(*hash));
                if !matches!(self.stage, Stage::Offered) || named.attr("task") != expected.as_deref() {
                    return self.refuse(SaslCondition::MalformedRequest, None, line);
                }
                let salt = line.seed.salt();
                let told = Element::new(ns::SCRAM_UPGRADE, "salt")
                    .with_attr("iterations", line.settings.scram_iterations.to_string())
                    .with_text(&STANDARD.encode(salt));
                line.write_element(&Element::new(ns::SASL2, "task-data").with_child(told));
                self.stage = Stage::Salted(salt);
                Ok(State::Entering(self))
            }
            (ns::SASL2, "task-data") => match self.upgrade(&top.element(), line) {
                Ok(()) => Ok(State::Entering(self)),
                Err(condition) => self.refuse(condition, None, line),
            },
            (ns::SASL2, "abort") => self.refuse(SaslCondition::Aborted, None, line),
            _ if is_stanza(top) => Err(StreamCondition::NotAuthorized.into()),
            // XEP-0388 §2.4, §4.8: nothing else has a place here, least of all another login.
            _ => Err(StreamCondition::PolicyViolation.into()),
        }
    }

    pub fn answer(mut self: Box<Self>, answer: Answer, line: &mut Line) -> Result<State, StreamError> {
        match (&self.stage, answer) {
            (Stage::AskedUpgrade, Answer::Upgraded) => {
                self.tasks.pop_front();
                self.go_on(line)
            }
            (Stage::AskedEntry, Answer::Entered(entered)) => self.succeed(*entered, line),
            // Without a session there is no success (XEP-0386 §3.2); why there is none stands beside the condition.
            (Stage::AskedEntry, Answer::BindRefused(error)) => {
                let error = error.to_element();
                let reason = error.children().find(|child| child.ns() == ns::STANZA_ERRORS).cloned();
                self.refuse(SaslCondition::TemporaryAuthFailure, reason, line)
            }
            (Stage::AskedUpgrade | Stage::AskedEntry, Answer::Refused(condition)) => {
                self.refuse(condition, None, line)
            }
            _ => Ok(State::Entering(self)),
        }
    }

    /// The next task, or what comes after the last.
    fn go_on(mut self: Box<Self>, line: &mut Line) -> Result<State, StreamError> {
        let Some(hash) = self.tasks.front() else { return self.enter(line) };
        // XEP-0480 §2.2: one task at a time.
        let tasks = Element::new(ns::SASL2, "tasks")
            .with_child(Element::new(ns::SASL2, "task").with_text(&task(*hash)));
        let data = self.data.take().map(additional);
        line.write_element(&Element::new(ns::SASL2, "continue").with_children(data).with_child(tasks));
        self.stage = Stage::Offered;
        Ok(State::Entering(self))
    }

    /// The client's answer to the salt (XEP-0480 §3).
    fn upgrade(&mut self, data: &Element, line: &mut Line) -> Result<(), SaslCondition> {
        let (Stage::Salted(salt), Some(hash)) = (&self.stage, self.tasks.front().copied()) else {
            return Err(SaslCondition::MalformedRequest);
        };
        let hashed = data.child(ns::SCRAM_UPGRADE, "hash").ok_or(SaslCondition::MalformedRequest)?;
        let salted = sasl::decode_bytes(&hashed.text())?;
        if salted.len() != hash.output_bytes() {
            return Err(SaslCondition::MalformedRequest);
        }
        let Some(proven) = self.proof.keys.clone() else { return Err(SaslCondition::NotAuthorized) };
        let keys = scram::from_salted(hash, &salted, salt, line.settings.scram_iterations);
        let account = self.proof.identity.account().clone();
        line.ask(Event::Upgrade { account, keys: Box::new((hash, keys)), proven: Box::new(proven) });
        self.stage = Stage::AskedUpgrade;
        Ok(())
    }

    /// Has all done that the client wants besides.
    fn enter(mut self: Box<Self>, line: &mut Line) -> Result<State, StreamError> {
        let identity = &self.proof.identity;
        // Whoever is nobody but for this stream is no client to be known again.
        let agent = self.request.agent.take().filter(|_| !identity.is_anonymous());
        let offered = |wanted: &Mechanism| self.login.offer().tokens.contains(wanted);
        let wants_token = self.request.wants_token.filter(|wanted| agent.is_some() && offered(wanted));
        let bind = self.request.bind.take();
        if agent.is_none() && bind.is_none() {
            return self.succeed(Entered::default(), line);
        }
        self.request.agent = agent.clone();
        let token = self.proof.token.take().map(|seed| (seed, self.request.token.take().unwrap_or_default()));
        let (account, mechanism) = (identity.account().clone(), identity.mechanism());
        line.ask(Event::Enter(Box::new(Entry { account, mechanism, agent, token, wants_token, bind })));
        self.stage = Stage::AskedEntry;
        Ok(State::Entering(self))
    }

    /// XEP-0388 §2.6.1: the client is in, and sees what the stream offers now. There is no new stream.
    fn succeed(mut self: Box<Self>, entered: Entered, line: &mut Line) -> Result<State, StreamError> {
        let identity = self.proof.identity.clone();
        let own = entered.jid.as_ref().map_or(identity.account().as_str(), |jid| jid.as_str());
        let mut success = Element::new(ns::SASL2, "success").with_children(self.data.take().map(additional));
        success.push(Element::new(ns::SASL2, "authorization-identifier").with_text(own));
        if entered.jid.is_some() {
            success.push(Element::new(ns::BIND2, "bound"));
        }
        if let Some((seed, expiry)) = entered.token {
            let client = self.request.client().unwrap_or_default();
            let token = ht::derive(&line.settings.secret, identity.account().as_str(), client, &seed);
            let told = Element::new(ns::FAST, "token").with_attr("token", token);
            success.push(told.with_attr("expiry", datetime::format(expiry)));
        }
        line.write_element(&success);
        line.entered(identity.clone());
        match entered.jid {
            Some(jid) => {
                line.write_features(opening::bound_features(line));
                line.reframe = Some(Reframe::Raise);
                Ok(State::Bound(Bound::new(jid, line)))
            }
            None => {
                line.write_features(opening::bind_features(line));
                Ok(State::Binding(Binding::new(identity)))
            }
        }
    }

    fn refuse(
        self: Box<Self>,
        condition: SaslCondition,
        reason: Option<Element>,
        line: &mut Line,
    ) -> Result<State, StreamError> {
        self.login.refuse(condition, reason, ns::SASL2, line)
    }
}

/// What a mechanism says at its end (XEP-0388 §2.6).
fn additional(data: Vec<u8>) -> Element {
    Element::new(ns::SASL2, "additional-data").with_text(&STANDARD.encode(data))
}
