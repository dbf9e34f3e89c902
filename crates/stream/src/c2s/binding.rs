//! A client that logged in asks for an address of its own (RFC 6120 §7).

use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::FullJid;
use xmpp::stanza::{Problem, Stanza, Type};
use xmpp::xml::Element;
use xmpp::xml::Top;

use super::bound::Bound;
use super::line::{Line, Reframe, is_stanza};
use super::managing::{self, Resume};
use super::{Answer, Event, State};
use crate::limits::BIND_REFUSALS_MAX;
use crate::sasl::Identity;
use xmpp::ns;

/// Waits for the request to bind, then for the server's word on it.
#[derive(Debug)]
pub(super) struct Binding {
    identity: Identity,
    refusals: u32,
    asked: Option<Asked>,
}

/// What the server is asked.
#[derive(Debug)]
enum Asked {
    /// Whether the client gets the resource that it requests.
    Bind(Box<Stanza>),
    /// Whether the client may go on with the stream of this id (XEP-0198 §5).
    Resume(String),
}

impl Binding {
    pub fn new(identity: Identity) -> Self {
        Binding { identity, refusals: 0, asked: None }
    }

    pub fn awaits_answer(&self) -> bool {
        self.asked.is_some()
    }

    pub fn element(mut self, top: &Top<'_>, line: &mut Line) -> Result<State, StreamError> {
        if managing::is_management(top) {
            if let Some(Resume { previd, handled }) = managing::before_binding(top, line)? {
                let account = self.identity.account().clone();
                line.ask(Event::Resume { account, previd: previd.clone(), handled });
                self.asked = Some(Asked::Resume(previd));
            }
            return Ok(State::Binding(self));
        }
        if !is_stanza(top) {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        }
        // RFC 6120 §7.1: no other stanzas before an address.
        let not_authorized = || StreamError::from(StreamCondition::NotAuthorized);
        let read = top.stanza(line.lang.as_deref()).ok_or_else(not_authorized)?;
        let mut request = read.map_err(|malformed| match malformed.problem {
            Problem::From => StreamCondition::InvalidFrom.into(),
            _ => not_authorized(),
        })?;
        if request.type_ != Type::Set || !request.has(ns::BIND, "bind") {
            return Err(not_authorized());
        }
        // RFC 6120 §8.1.2.1: it may name itself, and nobody else.
        if request.from.as_ref().is_some_and(|from| from.bare() != *self.identity.account()) {
            return Err(StreamCondition::InvalidFrom.into());
        }
        (request.to, request.from) = (None, None);
        match wished_resource(&request, &self.identity) {
            Ok(resource) => {
                let account = self.identity.account().clone();
                line.ask(Event::Bind { account, resource });
                self.asked = Some(Asked::Bind(Box::new(request)));
                Ok(State::Binding(self))
            }
            Err(error) => self.refuse(&request, &error, line),
        }
    }

    pub fn answer(mut self, answer: Answer, line: &mut Line) -> Result<State, StreamError> {
        match (self.asked.take(), answer) {
            (Some(Asked::Bind(request)), Answer::Bound(jid)) => Ok(bind(&request, jid, line)),
            (Some(Asked::Bind(request)), Answer::BindRefused(error)) => self.refuse(&request, &error, line),
            (Some(Asked::Resume(previd)), Answer::Resumed { jid, handled }) => {
                line.write_element(&managing::resumed(&previd, handled));
                line.reframe = Some(Reframe::Raise);
                Ok(State::Bound(Bound::managed(jid, line)))
            }
            (Some(Asked::Resume(_)), Answer::ResumeRefused { handled }) => {
                line.write_element(&managing::not_resumed(handled));
                self.count_refusal()
            }
            (asked, _) => {
                self.asked = asked;
                Ok(State::Binding(self))
            }
        }
    }

    /// The client may try another resource, a few times (RFC 6120 §7.7.3).
    fn refuse(self, request: &Stanza, error: &StanzaError, line: &mut Line) -> Result<State, StreamError> {
        if let Some(reply) = request.error_reply(error) {
            line.write_stanza(&reply);
        }
        self.count_refusal()
    }

    fn count_refusal(mut self) -> Result<State, StreamError> {
        self.refusals += 1;
        if self.refusals >= BIND_REFUSALS_MAX {
            return Err(StreamCondition::PolicyViolation.into());
        }
        Ok(State::Binding(self))
    }
}

fn bind(request: &Stanza, jid: FullJid, line: &mut Line) -> State {
    let text = Element::new(ns::BIND, "jid").with_text(jid.as_str());
    let bind = Element::new(ns::BIND, "bind").with_child(text);
    line.write_stanza(&request.result_with(&bind));
    line.reframe = Some(Reframe::Raise);
    State::Bound(Bound::new(jid, line))
}

/// The resource the client wishes in its prepared form; none: any.
fn wished_resource(request: &Stanza, identity: &Identity) -> Result<Option<String>, StanzaError> {
    let bind = request.element(ns::BIND, "bind");
    let Some(resource) = bind.as_ref().and_then(|bind| bind.child(ns::BIND, "resource")) else {
        return Ok(None);
    };
    let resource = resource.text();
    if resource.is_empty() {
        // RFC 6120 §7.7.2.1: one that cannot be is better made into one that can.
        return Ok(None);
    }
    match identity.account().with_resource(&resource) {
        Ok(full) => Ok(Some(full.resource().to_owned())),
        Err(_) => Err(StanzaError::new(Condition::BadRequest)),
    }
}
