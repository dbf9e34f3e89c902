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
use super::managing::{self, Enabled, Resume};
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
    /// The id of its user agent, if it has told one.
    pub client: Option<String>,
    /// How that describes itself, if it is to be known again; not when it has been already.
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
    /// How the stream of that is managed, if it is.
    pub enabled: Option<Enabled>,
    /// How far the account's archive goes, for a session.
    pub archive: Option<Element>,
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
    /// The client, until it is known again.
    newcomer: Option<UserAgent>,
    /// The former stream that it would rather go on with; none once that has been tried.
    resume: Option<Resume>,
    /// What it hears if it cannot.
    not_resumed: Option<Element>,
    entered: Entered,
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
    /// What it wants besides is being done.
    AskedEntry,
    /// Whether it may go on with the stream of this id.
    AskedResume(String),
}

impl Entering {
    /// `login` is where it goes back to when something fails.
    pub fn begin(
        login: Box<Authenticating>,
        mut request: Request,
        proof: Proof,
        data: Option<Vec<u8>>,
        line: &mut Line,
    ) -> Result<State, StreamError> {
        let wanted = |hash: &ScramHash| request.upgrades.contains(hash) && proof.lacks.contains(hash);
        let tasks = line.settings.upgrades().filter(wanted).collect();
        // Whoever is nobody but for this stream is no client to be known again.
        request.agent = request.agent.filter(|_| !proof.identity.is_anonymous());
        let newcomer = request.agent.clone();
        let (resume, not_resumed) = match request.resume.take() {
            Some(Ok(resume)) => (Some(resume), None),
            Some(Err(condition)) => (None, Some(managing::failed(condition))),
            None => (None, None),
        };
        let (entered, stage) = (Entered::default(), Stage::Offered);
        let entering =
            Entering { login, request, proof, data, tasks, newcomer, resume, not_resumed, entered, stage };
        Box::new(entering).go_on(line)
    }

    pub fn awaits_answer(&self) -> bool {
        matches!(self.stage, Stage::AskedUpgrade | Stage::AskedEntry | Stage::AskedResume(_))
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
            (Stage::AskedEntry, Answer::Entered(entered)) => {
                let token = self.entered.token.take().or(entered.token);
                self.entered = Entered { token, ..*entered };
                self.resume(line)
            }
            (Stage::AskedResume(previd), Answer::Resumed { jid, handled }) => {
                let previd = previd.clone();
                Ok(self.resumed(&previd, jid, handled, line))
            }
            (Stage::AskedResume(_), Answer::ResumeRefused { handled }) => {
                self.not_resumed = Some(managing::not_resumed(handled));
                // XEP-0198 §9.2: then there must be a session nevertheless.
                self.enter(line)
            }
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

    /// Has that done which the client wants besides. It is known again before a former stream goes on, and has a new
    /// session only if none does (XEP-0198 §9.2).
    fn enter(mut self: Box<Self>, line: &mut Line) -> Result<State, StreamError> {
        let identity = &self.proof.identity;
        let agent = self.newcomer.take();
        let offered = |wanted: &Mechanism| self.login.offer().tokens.contains(wanted);
        let wants_token = self.request.wants_token.filter(|wanted| agent.is_some() && offered(wanted));
        let bind = if self.resume.is_none() { self.request.bind.take() } else { None };
        if agent.is_none() && bind.is_none() {
            return self.resume(line);
        }
        let token = self.proof.token.take().map(|seed| (seed, self.request.token.take().unwrap_or_default()));
        let (account, mechanism) = (identity.account().clone(), identity.mechanism());
        let client = self.request.client().map(str::to_owned);
        let entry = Entry { account, mechanism, client, agent, token, wants_token, bind };
        line.ask(Event::Enter(Box::new(entry)));
        self.stage = Stage::AskedEntry;
        Ok(State::Entering(self))
    }

    /// Goes on with the former stream that the client wants, if there is one and it has not been tried.
    fn resume(mut self: Box<Self>, line: &mut Line) -> Result<State, StreamError> {
        let Some(Resume { previd, handled }) = self.resume.take() else { return Ok(self.succeed(line)) };
        let account = self.proof.identity.account().clone();
        line.ask(Event::Resume { account, previd: previd.clone(), handled });
        self.stage = Stage::AskedResume(previd);
        Ok(State::Entering(self))
    }

    /// The client is in with the session that it wanted, if any, and sees what the stream offers now. There is no new
    /// stream (XEP-0388 §2.6.1).
    fn succeed(mut self: Box<Self>, line: &mut Line) -> State {
        let Entered { jid, enabled, archive, token } = std::mem::take(&mut self.entered);
        self.entered.token = token;
        let identity = self.proof.identity.clone();
        let own = jid.as_ref().map_or(identity.account().as_str(), |jid| jid.as_str()).to_owned();
        let bound = jid.as_ref().map(|_| {
            let failed = self.request.not_enabled.take().map(managing::failed);
            let managed = enabled.as_ref().map(managing::enabled);
            Element::new(ns::BIND2, "bound").with_children(archive.into_iter().chain(managed.or(failed)))
        });
        let not_resumed = self.not_resumed.take();
        self.tell(&own, not_resumed.into_iter().chain(bound), line);
        let Some(jid) = jid else {
            line.write_features(opening::bind_features(line));
            return State::Binding(Binding::new(identity));
        };
        let (features, bound) = match enabled {
            Some(_) => (opening::managed_features(line), Bound::managed(jid, line)),
            None => (opening::bound_features(line), Bound::new(jid, line)),
        };
        line.write_features(features);
        line.reframe = Some(Reframe::Raise);
        State::Bound(bound)
    }

    /// The client is in and goes on with a former stream. XEP-0198 §9.2: no features follow.
    fn resumed(mut self: Box<Self>, previd: &str, jid: FullJid, handled: u32, line: &mut Line) -> State {
        self.tell(jid.as_str(), [managing::resumed(previd, handled)], line);
        line.reframe = Some(Reframe::Raise);
        State::Bound(Bound::managed(jid, line))
    }

    /// Writes `<success/>` for the client, which has this address and hears this of its session (XEP-0388 §2.6).
    fn tell(&mut self, own: &str, session: impl IntoIterator<Item = Element>, line: &mut Line) {
        let identity = &self.proof.identity;
        let mut success = Element::new(ns::SASL2, "success")
            .with_children(self.data.take().map(additional))
            .with_child(Element::new(ns::SASL2, "authorization-identifier").with_text(own))
            .with_children(session);
        if let Some((seed, expiry)) = self.entered.token.take() {
            let client = self.request.client().unwrap_or_default();
            let token = ht::derive(&line.settings.secret, identity.account().as_str(), client, &seed);
            let told = Element::new(ns::FAST, "token").with_attr("token", token);
            success.push(told.with_attr("expiry", datetime::format(expiry)));
        }
        line.write_element(&success);
        line.entered(identity.clone());
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
