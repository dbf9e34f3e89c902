//! Private XML storage (XEP-0049): a client keeps its own small things on the server.

use std::collections::BTreeMap;

use step::{Asked, Card, Read, Reply, Return, Returned, Step, Stop};
use store::Write;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::{self, Element};

/// The topic of the notes: one for each name of element, with its namespace and name as key and the elements of that
/// name as XML.
pub const TOPIC: &str = "private";
/// Bytes of the name and the namespace under which something is kept.
const NAME_BYTES_MAX: usize = 1_000;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 49,
    version: "1.2",
    title: "Private XML Storage",
    host: &[ns::PRIVATE],
    account: &[ns::PRIVATE],
    ..Card::PLAIN
};

/// Answers the account itself, which keeps elements or asks for those of one name.
///
/// # Errors
/// `bad-request` for a question that does not name exactly one element; `not-acceptable` for keeping nothing or an
/// element without a namespace of its own (XEP-0049 §2.2).
pub fn answer_own(account: &BareJid, iq: &Stanza, step: &mut Step<'_>) -> Result<Reply, Stop> {
    let query = iq.element(ns::PRIVATE, "query").ok_or(Condition::BadRequest)?;
    match iq.type_ {
        Type::Get if query.children().count() != 1 => return Err(Condition::BadRequest.into()),
        Type::Set if query.children().count() == 0 => return Err(Condition::NotAcceptable.into()),
        Type::Get | Type::Set => {}
        _ => return Err(Condition::BadRequest.into()),
    }
    let own = |child: &Element| !matches!(child.ns(), "" | ns::PRIVATE | ns::CLIENT);
    if !query.children().all(own) {
        return Err(Condition::NotAcceptable.into());
    }
    // Even for a set: how much is kept already decides whether it fits.
    let notes = Read::Notes { owner: account.clone(), topic: TOPIC };
    step.read(notes, Return::Private(Box::new(iq.clone())));
    Ok(Reply::Later)
}

/// Answers anybody else.
///
/// # Errors
/// Always `forbidden` (XEP-0049 §2.2).
pub fn answer_other() -> Result<Reply, Stop> {
    Err(Condition::Forbidden.into())
}

/// Goes on once what is kept has been read: shows it, or keeps the new if it fits.
pub fn returned(account: &BareJid, asked: Asked, came: Returned, step: &mut Step<'_>) {
    let answer = match came {
        Returned::Notes(rows) => match asked.type_ {
            Type::Get => show(&asked, &rows),
            _ => keep(account, &asked, &rows, step),
        },
        Returned::Refused(error) => Err(error),
        _ => Err(Condition::InternalServerError.into()),
    };
    match answer {
        Ok(result) => step.route(result),
        Err(error) => asked.error_reply(&error).into_iter().for_each(|error| step.route(error)),
    }
}

fn show(asked: &Stanza, rows: &[(String, Vec<u8>)]) -> Result<Stanza, StanzaError> {
    let query = asked.element(ns::PRIVATE, "query").ok_or(Condition::BadRequest)?;
    let wanted = query.children().next().ok_or(Condition::BadRequest)?;
    let key = key(wanted);
    let Some((_, value)) = rows.iter().find(|(kept, _)| *kept == key) else {
        // Nothing kept: the empty element, as all servers do.
        let empty = Element::new(wanted.ns().to_owned(), wanted.name().to_owned());
        return Ok(asked.result_with(&Element::new(ns::PRIVATE, "query").with_child(empty)));
    };
    let whole = [format!("<query xmlns='{}'>", ns::PRIVATE).as_bytes(), value, b"</query>"].concat();
    let kept = xml::parse(&whole, xml::Limits::CHECKED)
        .map_err(|_| StanzaError::new(Condition::InternalServerError))?;
    Ok(asked.result_with(&kept))
}

fn keep(
    account: &BareJid,
    asked: &Stanza,
    rows: &[(String, Vec<u8>)],
    step: &mut Step<'_>,
) -> Result<Stanza, StanzaError> {
    let query = asked.element(ns::PRIVATE, "query").ok_or(Condition::BadRequest)?;
    // Several elements of one name are kept together, so that none is lost.
    let mut fresh: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for child in query.children() {
        fresh.entry(key(child)).or_default().extend_from_slice(child.to_xml().as_bytes());
    }
    if fresh.keys().any(|key| key.len() > NAME_BYTES_MAX) {
        return Err(Condition::PolicyViolation.into());
    }
    let others = rows.iter().filter(|(key, _)| !fresh.contains_key(key));
    let kept: usize = others.map(|(key, value)| key.len() + value.len()).sum();
    let new: usize = fresh.iter().map(|(key, value)| key.len() + value.len()).sum();
    if kept + new > step.domain.limits.private_bytes {
        return Err(Condition::PolicyViolation.into());
    }
    step.write_all(fresh.into_iter().map(|(key, value)| Write::Note {
        owner: account.clone(),
        topic: TOPIC,
        key,
        value: Some(value),
    }));
    Ok(asked.result())
}

/// A name has no space in it, so the two parts cannot be confused.
fn key(element: &Element) -> String {
    format!("{} {}", element.ns(), element.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, error, iq, jid, reads, routed, shown, stepped};
    use step::Yield;

    fn ask(type_: Type, inner: &str) -> Stanza {
        iq(type_, &format!("<query xmlns='jabber:iq:private'>{inner}</query>"))
            .with_from(jid("alice@one.test/phone"))
    }

    fn answer(type_: Type, inner: &str) -> (String, Yield) {
        let question = ask(type_, inner);
        let (reply, left) = stepped(|step| answer_own(&bare("alice@one.test"), &question, step));
        (shown(reply), left)
    }

    fn go_on(asked: Stanza, rows: &[(String, Vec<u8>)]) -> (Stanza, Yield) {
        let came = Returned::Notes(rows.to_vec());
        let (_, left) = stepped(|step| returned(&bare("alice@one.test"), Box::new(asked), came, step));
        (routed(&left).into_iter().next().expect("an answer"), left)
    }

    fn kept(left: &Yield) -> Vec<(String, Vec<u8>)> {
        let one = |write: &Write| match write {
            Write::Note { topic: TOPIC, key, value: Some(value), .. } => (key.clone(), value.clone()),
            other => panic!("{other:?}"),
        };
        left.writes.iter().map(one).collect()
    }

    #[test]
    fn questions_are_checked_first() {
        let (reply, left) = answer(Type::Get, "<a xmlns='a:b'/>");
        assert_eq!((reply.as_str(), reads(&left)), ("later", vec![TOPIC]));
        assert_eq!(answer(Type::Get, "").0, "bad-request");
        assert_eq!(answer(Type::Get, "<a xmlns='a:b'/><b xmlns='a:b'/>").0, "bad-request");
        assert_eq!(answer(Type::Set, "").0, "not-acceptable");
        assert_eq!(answer(Type::Set, "<a/>").0, "not-acceptable");
        assert_eq!(answer(Type::Set, "<a xmlns='jabber:client'/>").0, "not-acceptable");
        assert_eq!(shown(answer_other()), "forbidden");
    }

    #[test]
    fn what_is_kept_comes_back() {
        let set = ask(
            Type::Set,
            "<exodus xmlns='exodus:prefs'><nick>Ham&lt;let</nick></exodus>\
             <exodus xmlns='exodus:prefs' n='2'/><b xmlns='x'/>",
        );
        let (result, left) = go_on(set, &[]);
        assert_eq!(result.type_, Type::Result);
        let rows = kept(&left);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].0, "exodus:prefs exodus");

        let (result, _) = go_on(ask(Type::Get, "<exodus xmlns='exodus:prefs'/>"), &rows);
        let query = result.element(ns::PRIVATE, "query").expect("a query");
        assert_eq!(query.children().count(), 2);
        let nick = query.child("exodus:prefs", "exodus").and_then(|e| e.child("exodus:prefs", "nick"));
        assert_eq!(nick.map(Element::text).as_deref(), Some("Ham<let"));

        let (result, _) = go_on(ask(Type::Get, "<other xmlns='x'/>"), &rows);
        let query = result.element(ns::PRIVATE, "query").expect("a query");
        assert!(query.child("x", "other").is_some_and(|other| other.children().count() == 0));
    }

    #[test]
    fn all_of_it_together_has_a_limit() {
        let half = "x".repeat(150_000);
        let rows = vec![("x a".to_owned(), half.clone().into_bytes())];
        let (answer, left) = go_on(ask(Type::Set, &format!("<b xmlns='x'>{half}</b>")), &rows);
        assert_eq!(error(&answer).map(|e| e.condition), Some(Condition::PolicyViolation));
        assert!(left.writes.is_empty());
        let (answer, left) = go_on(ask(Type::Set, &format!("<a xmlns='x'>{half}</a>")), &rows);
        assert_eq!((answer.type_, left.writes.len()), (Type::Result, 1));
    }

    #[test]
    fn a_failed_read_is_told() {
        let came = Returned::Refused(Condition::ResourceConstraint.into());
        let asked = Box::new(ask(Type::Get, "<a xmlns='a:b'/>"));
        let (_, left) = stepped(|step| returned(&bare("alice@one.test"), asked, came, step));
        assert_eq!(error(&routed(&left)[0]).map(|e| e.condition), Some(Condition::ResourceConstraint));
    }
}
