//! Commands (XEP-0050) of service administration (XEP-0133): an admin runs the desk's commands from a client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use step::{Asked, Card, Domain, Reply, Return, Returned, Step, Stop, Work};
use xmpp::error::{Condition, ErrorType, StanzaError};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

mod table;

pub use table::{COMMANDS, Command, Field, Input};

/// Ad-hoc commands.
pub const CARD: Card = Card {
    xep: 50,
    version: "1.3.0",
    title: "Ad-Hoc Commands",
    host: &[ns::COMMANDS],
    note: "Commands of one form at most.",
    ..Card::PLAIN
};

/// The commands themselves.
pub const ADMINISTRATION_CARD: Card = Card {
    xep: 133,
    version: "1.3.1",
    title: "Service Administration",
    note: "Adding, removing, listing and counting users, passwords, ending sessions, last login.",
    ..Card::PLAIN
};

/// Forms that may be open at once; the oldest gives way.
const OPEN_MAX: usize = 100;
/// How long an open form waits for its answer.
const OPEN_FOR: Duration = Duration::from_secs(600);

/// The forms that have been handed out and not come back.
#[derive(Debug, Default)]
pub struct Desk {
    open: BTreeMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    whose: Jid,
    node: &'static str,
    since: Instant,
}

impl Desk {
    fn expire(&mut self, now: Instant) {
        self.open.retain(|_, open| now.saturating_duration_since(open.since) < OPEN_FOR);
    }

    fn hand_out(&mut self, id: String, open: Open) {
        if self.open.len() >= OPEN_MAX {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.since);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.open.remove(&id);
            }
        }
        self.open.insert(id, open);
    }
}

/// The commands as service discovery lists them: node and name.
pub fn list() -> Vec<(&'static str, &'static str)> {
    COMMANDS.iter().map(|command| (command.node, command.name)).collect()
}

/// What an order asks to be done (XEP-0050 §4.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Execute,
    Cancel,
    Prev,
    Next,
    Complete,
}

/// Answers an order to our domain: hands out the form, or runs the command.
///
/// # Errors
/// `forbidden` for all but admins; `item-not-found` for unknown commands; `bad-request` and `not-allowed` with the
/// conditions of XEP-0050 §4.4.
pub fn answer(desk: &mut Desk, iq: &Stanza, step: &mut Step<'_>) -> Result<Reply, Stop> {
    let order = iq.element(ns::COMMANDS, "command").ok_or(Condition::BadRequest)?;
    if iq.type_ != Type::Set {
        return Err(Condition::BadRequest.into());
    }
    let asker = iq.from.clone().ok_or(Condition::Forbidden)?;
    if !step.domain.is_admin(&asker.bare()) {
        return Err(Condition::Forbidden.into());
    }
    let node = order.attr("node").ok_or(Condition::BadRequest)?;
    let command = table::find(node).ok_or(Condition::ItemNotFound)?;
    let action = action(&order)?;
    desk.expire(step.now);
    match order.attr("sessionid") {
        None => begin(desk, command, action, asker, iq, step),
        Some(id) => go_on(desk, command, action, id, &order, iq, step),
    }
}

fn action(order: &Element) -> Result<Action, Stop> {
    match order.attr("action") {
        None | Some("execute") => Ok(Action::Execute),
        Some("cancel") => Ok(Action::Cancel),
        Some("prev") => Ok(Action::Prev),
        Some("next") => Ok(Action::Next),
        Some("complete") => Ok(Action::Complete),
        Some(_) => Err(refused("malformed-action")),
    }
}

/// The first order: a command without fields runs at once.
fn begin(
    desk: &mut Desk,
    command: &'static Command,
    action: Action,
    whose: Jid,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Reply, Stop> {
    if action != Action::Execute {
        return Err(refused("bad-action"));
    }
    let id = step.new_id();
    if command.fields.is_empty() {
        return Ok(run(command, &id, Vec::new(), iq, step));
    }
    // One form only, so the one thing to do with it is to complete it (XEP-0050 §3.4).
    let actions = Element::new(ns::COMMANDS, "actions")
        .with_attr("execute", "complete")
        .with_child(Element::new(ns::COMMANDS, "complete"));
    let reply = status(command, &id, "executing").with_child(actions).with_child(form(command));
    desk.hand_out(id, Open { whose, node: command.node, since: step.now });
    Ok(Reply::Result(reply))
}

/// The form comes back, or is put away.
fn go_on(
    desk: &mut Desk,
    command: &'static Command,
    action: Action,
    id: &str,
    order: &Element,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Reply, Stop> {
    let open = desk.open.get(id).ok_or_else(expired)?;
    if iq.from.as_ref() != Some(&open.whose) || open.node != command.node {
        return Err(refused("bad-sessionid"));
    }
    match action {
        Action::Prev | Action::Next => Err(refused("bad-action")),
        Action::Cancel => {
            desk.open.remove(id);
            Ok(Reply::Result(status(command, id, "canceled")))
        }
        Action::Execute | Action::Complete => {
            // A form that is not filled in rightly stays open, so that it can be mended.
            let arguments = arguments(command, order, step.domain)?;
            desk.open.remove(id);
            Ok(run(command, id, arguments, iq, step))
        }
    }
}

/// Has the desk run the command. What waits for the answer holds no form: there may be a password in it.
fn run(
    command: &Command,
    id: &str,
    arguments: Vec<(String, String)>,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Reply {
    let order =
        Element::new(ns::COMMANDS, "command").with_attr("node", command.node).with_attr("sessionid", id);
    let asked = iq.clone().without(ns::COMMANDS, "command").with_child(&order);
    let work = Work::Command { name: command.desk.to_owned(), arguments };
    step.work(work, Return::Command(Box::new(asked)));
    Reply::Later
}

/// Tells the admin what the desk answered. A command that was carried out and failed has completed, with a note
/// that says why (XEP-0050 §3.6).
#[allow(clippy::boxed_local)] // as it comes, in its Return
pub fn returned(asked: Asked, came: Returned, step: &mut Step<'_>) {
    let order = asked.element(ns::COMMANDS, "command");
    let attr = |name| order.as_ref().and_then(|order| order.attr(name)).unwrap_or_default();
    let answer = match (table::find(attr("node")), came) {
        (Some(command), Returned::Command(Ok(lines))) => {
            let done = status(command, attr("sessionid"), "completed");
            Ok(match outcome(command, &lines) {
                Some(form) => done.with_child(form),
                None => done.with_child(note("info", "Done.")),
            })
        }
        (Some(command), Returned::Command(Err(why))) => {
            Ok(status(command, attr("sessionid"), "completed").with_child(note("error", &why)))
        }
        (_, Returned::Refused(error)) => Err(error),
        _ => Err(StanzaError::new(Condition::InternalServerError)),
    };
    match answer {
        Ok(command) => step.route(asked.result_with(&command)),
        Err(error) => asked.error_reply(&error).into_iter().for_each(|error| step.route(error)),
    }
}

fn status(command: &Command, id: &str, status: &str) -> Element {
    Element::new(ns::COMMANDS, "command")
        .with_attr("node", command.node)
        .with_attr("sessionid", id)
        .with_attr("status", status)
}

fn note(type_: &str, text: &str) -> Element {
    Element::new(ns::COMMANDS, "note").with_attr("type", type_).with_text(text)
}

/// The form that a command asks to be filled in.
fn form(command: &Command) -> Element {
    let text = |name: &'static str, text: &str| Element::new(ns::FORMS, name).with_text(text);
    Element::new(ns::FORMS, "x")
        .with_attr("type", "form")
        .with_child(text("title", command.name))
        .with_child(text("instructions", command.instructions))
        .with_child(form_type())
        .with_children(command.fields.iter().map(Field::element))
}

fn form_type() -> Element {
    Element::new(ns::FORMS, "field")
        .with_attr("type", "hidden")
        .with_attr("var", "FORM_TYPE")
        .with_child(Element::new(ns::FORMS, "value").with_text(ns::ADMIN))
}

/// What the desk answered as a form: one field for each name, with all its values in order.
fn outcome(command: &Command, lines: &[(String, String)]) -> Option<Element> {
    let mut fields: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
    if let Some((var, label)) = command.outcome {
        // XEP-0133 §4.20: users are listed, each once, whatever devices of theirs the desk knows.
        let mut values: Vec<&str> = lines.iter().filter_map(|(_, value)| value.split('/').next()).collect();
        values.dedup();
        fields.push((var, Some(label), values));
    } else {
        for (name, value) in lines {
            match fields.iter_mut().find(|(var, ..)| var == name) {
                Some((.., values)) => values.push(value),
                None => fields.push((name, None, vec![value])),
            }
        }
    }
    if fields.is_empty() {
        return None;
    }
    let form = Element::new(ns::FORMS, "x").with_attr("type", "result").with_child(form_type());
    Some(form.with_children(fields.into_iter().map(|(var, label, values)| {
        Element::new(ns::FORMS, "field")
            .with_attr("var", var)
            .with_attr_opt("label", label)
            .with_attr("type", if values.len() == 1 { "text-single" } else { "text-multi" })
            .with_children(values.iter().map(|value| Element::new(ns::FORMS, "value").with_text(value)))
    })))
}

/// The values of a filled form, checked and prepared, by the names that the desk knows.
fn arguments(command: &Command, order: &Element, domain: &Domain) -> Result<Vec<(String, String)>, Stop> {
    // A form of type cancel is to be taken like one that is submitted (XEP-0050 §3.5.1).
    let form = order
        .child(ns::FORMS, "x")
        .filter(|form| matches!(form.attr("type"), Some("submit" | "cancel")))
        .ok_or_else(|| refused("bad-payload"))?;
    let mut arguments = Vec::new();
    for field in command.fields {
        let mut values: Vec<String> = form
            .children()
            .filter(|child| child.is(ns::FORMS, "field") && child.attr("var") == Some(field.var))
            .flat_map(Element::children)
            .filter(|child| child.is(ns::FORMS, "value"))
            .map(Element::text)
            .collect();
        // Clients send what was left empty, too; spaces count in a password only.
        if field.input == Input::Secret {
            values.retain(|value| !value.is_empty());
        } else {
            values = values.iter().map(|value| value.trim().to_owned()).collect();
            values.retain(|value| !value.is_empty());
        }
        if values.is_empty() && field.required {
            return Err(payload(&format!("{} is missing", field.var)));
        }
        if values.len() > 1 && field.input != Input::Accounts && field.input != Input::Sessions {
            return Err(payload(&format!("{} has more than one value", field.var)));
        }
        for value in values {
            if let Some(value) = field.input.read(&value, domain).map_err(|why| payload(&why))? {
                arguments.push((field.var.to_owned(), value));
            }
        }
    }
    same_password(&mut arguments)?;
    Ok(arguments)
}

/// A password that was typed twice must be the same; the second is not for the desk.
fn same_password(arguments: &mut Vec<(String, String)>) -> Result<(), Stop> {
    let Some(at) = arguments.iter().position(|(name, _)| name == table::AGAIN) else {
        return Ok(());
    };
    let (_, again) = arguments.remove(at);
    if arguments.iter().any(|(name, value)| name == table::PASSWORD && *value == again) {
        Ok(())
    } else {
        Err(payload("The passwords differ"))
    }
}

/// XEP-0050 §4.4: `bad-request` with the command's own condition.
fn refused(condition: &'static str) -> Stop {
    StanzaError::new(Condition::BadRequest)
        .with_type(ErrorType::Modify)
        .with_app(Element::new(ns::COMMANDS, condition))
        .into()
}

fn payload(why: &str) -> Stop {
    StanzaError::new(Condition::BadRequest)
        .with_type(ErrorType::Modify)
        .with_text(why)
        .with_app(Element::new(ns::COMMANDS, "bad-payload"))
        .into()
}

fn expired() -> Stop {
    StanzaError::new(Condition::NotAllowed)
        .with_type(ErrorType::Cancel)
        .with_app(Element::new(ns::COMMANDS, "session-expired"))
        .into()
}

#[cfg(test)]
mod tests;
