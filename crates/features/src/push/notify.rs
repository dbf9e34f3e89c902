//! What is told to push services, when, and what becomes of their answers (XEP-0357 §7, §8).

use std::time::Duration;

use step::domain::PushShows;
use step::rules::{self, Push};
use step::{Identity, Return, Session, Sessions, Step};
use xmpp::error::{Condition, ErrorType, StanzaError};
use xmpp::form::{Field, Form, FormType};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use super::settings::{Setting, Settings};
use super::{Enabled, Target};

/// Notifications that may go at once for one device.
pub const CREDIT_MAX: u32 = 5;
/// Of these, so many are for calls only.
const CREDIT_FOR_CALLS: u32 = 2;
/// After this time one more may go.
const CREDIT_AFTER: Duration = Duration::from_secs(10);
/// A device that was given something and has not acknowledged it for so long may be gone.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Errors in a row after which a service is given up, if each of them could have passed.
const ERRORS_MAX: u32 = 5;
/// Calls that are remembered for each device, so that it hears of their end.
const CALLS_MAX: usize = 4;
/// Bytes of a message's text that a notification shows at most.
const BODY_BYTES_MAX: usize = 500;

/// Why devices are to be woken.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A message has come.
    Message(&'a Stanza),
    /// Somebody asks to see the account's presence.
    Request,
}

/// What a notification says of the last event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    message: bool,
    sender: Option<String>,
    body: Option<String>,
}

/// Who is to be woken, and how much it may cost.
struct Wanted {
    /// Only this device.
    only: Option<String>,
    call: Option<String>,
    after_call: bool,
    /// Of what is said in a chat: what is to be known to heed what the reader has set for it.
    said: Option<Said>,
}

/// Something is said in a chat.
struct Said {
    /// The address of the chat (XEP-0492 §2.1).
    chat: Jid,
    /// What holds if nothing is set.
    unless_set: Setting,
    /// Whether the reader is mentioned.
    mentions: bool,
}

impl Said {
    /// What is said in a room where a device is; nothing if the device itself has said it.
    fn in_room(session: &Session, message: &Stanza) -> Option<Said> {
        let chat = Jid::from(message.from.as_ref().filter(|_| !session.has_said(message))?.bare());
        // XEP-0492 §3: in a private room it would be always, but whether one is that, the server cannot see.
        Some(Said { chat, unless_set: Setting::OnMention, mentions: session.is_named_by(message) })
    }

    /// What somebody writes to an account.
    fn to(account: &BareJid, sessions: &Sessions, message: &Stanza) -> Option<Said> {
        let from = message.from.as_ref()?;
        let is_in = |session: &Session| session.directed.iter().any(|nick| nick.bare() == from.bare());
        // XEP-0045 §7.5: a chat with one of a room's occupants is another than that of the room. Anybody can mark a
        // message so; what is set for them holds all the same.
        let is_occupant = message.has(ns::MUC_USER, "x") && sessions.iter().any(is_in);
        let chat = if is_occupant { from.clone() } else { from.bare().into() };
        // XEP-0492 §3: nobody has a nickname here. Whoever is invited is meant, too.
        let mentions =
            rules::is_invitation(message) || rules::points_at(message, &|jid| jid.bare() == *account);
        Some(Said { chat, unless_set: Setting::Always, mentions })
    }

    /// Whether somebody wants to be told of it where their client is this.
    fn is_wanted(&self, settings: &Settings, client: &[Identity]) -> bool {
        match settings.of(&self.chat, client).unwrap_or(self.unless_set) {
            Setting::Always => true,
            Setting::OnMention => self.mentions,
            Setting::Never => false,
        }
    }
}

/// Wakes devices that are `away`, as the table of rules and the account's settings say of the event. `requests` is how
/// many subscription requests wait for an answer.
pub fn wake(
    enabled: &mut Enabled,
    sessions: &Sessions,
    away: &dyn Fn(&str) -> bool,
    requests: usize,
    account: &BareJid,
    event: Event<'_>,
    step: &mut Step<'_>,
) {
    if enabled.is_empty() {
        return;
    }
    let Some((wanted, summary)) = wanted(sessions, account, event, step) else { return };
    let mut looks_again = false;
    for (name, target) in &mut enabled.all {
        if wanted.only.as_ref().is_some_and(|device| *device != target.device) {
            continue;
        }
        if wanted.said.as_ref().is_some_and(|said| !said.is_wanted(&enabled.settings, &target.identities)) {
            continue;
        }
        if wanted.after_call && !wanted.call.as_ref().is_some_and(|call| target.calls.contains(call)) {
            continue;
        }
        if !away(&target.device) {
            target.messages = 0;
            // It has been given it; if it does not say so in time, it is woken after all.
            target.due = Some(summary.clone());
            looks_again = true;
            continue;
        }
        if matches!(event, Event::Message(_)) && !wanted.after_call {
            target.messages = target.messages.saturating_add(1);
        }
        let is_call = wanted.call.is_some();
        if let Some(call) = wanted.call.as_ref().filter(|_| !wanted.after_call) {
            if target.calls.len() == CALLS_MAX {
                target.calls.remove(0);
            }
            target.calls.push(call.clone());
        }
        match target.may_notify(is_call, step) {
            true => notify(name, target, requests, account, &summary, step),
            false => {
                target.due = Some(summary.clone());
                looks_again = true;
            }
        }
    }
    if looks_again {
        enabled.look_again_later(step);
    }
}

/// A call was answered by one of the account's own devices: those that it has woken hear of it.
pub fn called_elsewhere(
    enabled: &mut Enabled,
    sessions: &Sessions,
    away: &dyn Fn(&str) -> bool,
    requests: usize,
    account: &BareJid,
    message: &Stanza,
    step: &mut Step<'_>,
) {
    if !enabled.is_empty() && rules::of(message).push == Push::AfterCall {
        wake(enabled, sessions, away, requests, account, Event::Message(message), step);
    }
}

/// Some time has passed: devices that had no credit then, or have not acknowledged since, are woken now.
pub fn look_again(
    enabled: &mut Enabled,
    away: &dyn Fn(&str) -> bool,
    requests: usize,
    account: &BareJid,
    step: &mut Step<'_>,
) {
    enabled.looks_again = false;
    let mut looks_again = false;
    for (name, target) in &mut enabled.all {
        if !away(&target.device) {
            target.due = None;
            continue;
        }
        let Some(summary) = target.due.clone() else { continue };
        // What it was given while it seemed to be there counts as unheard.
        target.messages = target.messages.max(u32::from(summary.message));
        match target.may_notify(false, step) {
            true => notify(name, target, requests, account, &summary, step),
            false => looks_again = true,
        }
    }
    if looks_again {
        enabled.look_again_later(step);
    }
}

/// A push service answers (§7.1). Whether the answer was for this.
pub fn answered(enabled: &mut Enabled, account: &BareJid, iq: &Stanza, step: &mut Step<'_>) -> bool {
    let (Some(from), Some(id)) = (&iq.from, &iq.id) else { return false };
    let found =
        enabled.all.iter_mut().find(|(name, target)| name.0 == *from && target.asked.as_deref() == Some(id));
    let Some((name, target)) = found else { return false };
    target.asked = None;
    if iq.type_ == Type::Result {
        target.errors = 0;
        return true;
    }
    target.errors += 1;
    let error = iq.element(ns::CLIENT, "error").map(|error| StanzaError::from_element(&error));
    if target.errors >= ERRORS_MAX || !error.is_some_and(|error| may_pass(&error)) {
        let name = name.clone();
        enabled.disable(account, &name, step);
    }
    true
}

/// §8: a service may say that it takes no more.
pub fn heed_service(enabled: &mut Enabled, account: &BareJid, message: &Stanza, step: &mut Step<'_>) {
    if enabled.is_empty() || !message.has(ns::PUBSUB, "pubsub") {
        return;
    }
    let (Some(from), Some(pubsub)) = (&message.from, message.element(ns::PUBSUB, "pubsub")) else { return };
    let ends = |affiliation: &Element| {
        affiliation.is(ns::PUBSUB, "affiliation")
            && affiliation.attr("affiliation") == Some("none")
            && affiliation.attr("jid").and_then(|jid| BareJid::new(jid).ok()).as_ref() == Some(account)
    };
    if pubsub.children().any(ends) {
        let name = (from.clone(), pubsub.attr("node").unwrap_or_default().to_owned());
        enabled.disable(account, &name, step);
    }
}

impl Enabled {
    /// Whether what is said in a room is wanted at once at a device that is there.
    pub fn is_wanted(&self, session: &Session, message: &Stanza) -> bool {
        let said = Said::in_room(session, message);
        said.is_some_and(|said| said.is_wanted(&self.settings, session.wishes.identities()))
    }

    fn look_again_later(&mut self, step: &mut Step<'_>) {
        if !std::mem::replace(&mut self.looks_again, true) {
            step.after(SILENCE, Return::Push);
        }
    }
}

impl Target {
    /// Whether one more notification may go now; it then counts as gone.
    fn may_notify(&mut self, is_call: bool, step: &Step<'_>) -> bool {
        let since = *self.credit_at.get_or_insert(step.now);
        let more = step.now.saturating_duration_since(since).as_secs() / CREDIT_AFTER.as_secs();
        if more > 0 {
            self.credit =
                CREDIT_MAX.min(self.credit + u32::try_from(more).unwrap_or(CREDIT_MAX).min(CREDIT_MAX));
            self.credit_at = Some(step.now);
        }
        let kept = if is_call { 0 } else { CREDIT_FOR_CALLS };
        let may = self.credit > kept;
        self.credit -= u32::from(may);
        may
    }
}

/// Whom an event wakes and what they are told; `None`: nobody.
fn wanted(
    sessions: &Sessions,
    account: &BareJid,
    event: Event<'_>,
    step: &Step<'_>,
) -> Option<(Wanted, Summary)> {
    let everybody = Wanted { only: None, call: None, after_call: false, said: None };
    let Event::Message(message) = event else { return Some((everybody, Summary::default())) };
    // Who writes from another device needs not be told; but a call is answered that way.
    let own = message.from.as_ref().is_some_and(|from| from.bare() == *account);
    let wanted = match rules::of(message).push {
        Push::Wake if !own => Wanted { said: Said::to(account, sessions, message), ..everybody },
        // XEP-0492 §1: settings are of messages. Somebody who calls waits, whatever is set for what they write.
        Push::Call if !own => Wanted { call: rules::call_id(message), ..everybody },
        Push::AfterCall => Wanted { call: rules::call_id(message), after_call: true, ..everybody },
        Push::IfNamed => {
            let device = message.to.as_ref().and_then(Jid::resource)?;
            let said = Said::in_room(sessions.by_resource(device)?, message)?;
            Wanted { only: Some(device.to_owned()), said: Some(said), ..everybody }
        }
        _ => return None,
    };
    let shows = step.domain.push_shows;
    let sender = message.from.as_ref().filter(|_| shows != PushShows::Count).map(Jid::to_string);
    let body = message.body().filter(|_| shows == PushShows::Body).map(shortened);
    Some((wanted, Summary { message: true, sender, body }))
}

/// The beginning of a text that is too long to be shown.
pub fn shortened(mut body: String) -> String {
    if body.len() > BODY_BYTES_MAX {
        body.truncate(body.floor_char_boundary(BODY_BYTES_MAX));
        body.push('…');
    }
    body
}

/// Publishes a notification (§7).
fn notify(
    (service, node): &(Jid, String),
    target: &mut Target,
    requests: usize,
    account: &BareJid,
    summary: &Summary,
    step: &mut Step<'_>,
) {
    target.due = None;
    let id = step.new_id();
    let notification = Element::new(ns::PUSH, "notification")
        .with_child(form(target.messages, requests, summary).to_element());
    let item = Element::new(ns::PUBSUB, "item").with_child(notification);
    let mut publish = Element::new(ns::PUBSUB, "publish").with_child(item);
    if !node.is_empty() {
        publish.set_attr("node", node);
    }
    let options = target
        .options
        .iter()
        .map(|options| Element::new(ns::PUBSUB, "publish-options").with_child(options.clone()));
    let pubsub = Element::new(ns::PUBSUB, "pubsub").with_child(publish).with_children(options);
    let iq =
        Stanza::iq(Type::Set, &id).with_from(account.clone()).with_to(service.clone()).with_child(&pubsub);
    target.asked = Some(id);
    step.route(iq);
}

/// §11.3.1: what there is to see, and no more than the operator allows.
fn form(messages: u32, requests: usize, summary: &Summary) -> Form {
    let field =
        |var: &str, value: String| Field { var: var.to_owned(), values: vec![value], ..Field::default() };
    let mut form = Form::new(FormType::Submit, ns::PUSH_SUMMARY);
    form.fields.push(field("message-count", messages.to_string()));
    if requests > 0 {
        form.fields.push(field("pending-subscription-count", requests.to_string()));
    }
    form.fields.extend(summary.sender.clone().map(|sender| field("last-message-sender", sender)));
    form.fields.extend(summary.body.clone().map(|body| field("last-message-body", body)));
    form
}

/// Whether it may be otherwise the next time (§7.1).
fn may_pass(error: &StanzaError) -> bool {
    let away = [Condition::RemoteServerNotFound, Condition::RemoteServerTimeout];
    error.type_ == ErrorType::Wait || away.contains(&error.condition)
}
