//! vCards (XEP-0054): the card that a person shows to the world.

use step::{Asked, Card, Read, Reply, Return, Returned, Step, Stop};
use store::Write;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::{self, Element};

/// The topic of the one note, with an empty key, that keeps the card as XML.
pub const TOPIC: &str = "vcard";

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 54,
    version: "1.3.0",
    title: "vcard-temp",
    host: &[ns::VCARD],
    account: &[ns::VCARD],
    ..Card::PLAIN
};

/// Answers the account itself, which reads or replaces its card.
///
/// # Errors
/// `policy-violation` for a card beyond the limit of the domain; `bad-request`.
pub fn answer_own(account: &BareJid, iq: &Stanza, step: &mut Step<'_>) -> Result<Reply, Stop> {
    let card = iq.element(ns::VCARD, "vCard").ok_or(Condition::BadRequest)?;
    match iq.type_ {
        Type::Get => Ok(read(account, iq, step)),
        Type::Set => {
            let xml = card.to_xml().into_bytes();
            if xml.len() > step.domain.limits.vcard_bytes {
                return Err(Condition::PolicyViolation.into());
            }
            step.write(Write::Note {
                owner: account.clone(),
                topic: TOPIC,
                key: String::new(),
                value: Some(xml),
            });
            Ok(Reply::Done)
        }
        _ => Err(Condition::BadRequest.into()),
    }
}

/// Answers anybody else, who may read the card (XEP-0054 §3.3): it is public.
///
/// # Errors
/// `forbidden` for a set (XEP-0054 §3.2).
pub fn answer_other(account: &BareJid, iq: &Stanza, step: &mut Step<'_>) -> Result<Reply, Stop> {
    match iq.type_ {
        Type::Get => Ok(read(account, iq, step)),
        _ => Err(Condition::Forbidden.into()),
    }
}

/// Answers for an account that does not exist as for one that has no card (XEP-0054 §3.3).
///
/// # Errors
/// Always: `service-unavailable` for a question, `forbidden` for a set.
pub fn answer_nobody(iq: &Stanza) -> Result<Reply, Stop> {
    match iq.type_ {
        Type::Get => Err(Condition::ServiceUnavailable.into()),
        _ => Err(Condition::Forbidden.into()),
    }
}

fn read(account: &BareJid, iq: &Stanza, step: &mut Step<'_>) -> Reply {
    let notes = Read::Notes { owner: account.clone(), topic: TOPIC };
    step.read(notes, Return::VCard(Box::new(iq.clone())));
    Reply::Later
}

/// Answers with the card that was read. Without one the account itself hears `item-not-found` (XEP-0054 §3.1) and
/// anybody else `service-unavailable`, as for an account that does not exist (§3.3).
#[allow(clippy::boxed_local)] // as it comes, in its Return
pub fn returned(account: &BareJid, asked: Asked, came: Returned, step: &mut Step<'_>) {
    let answer = match came {
        Returned::Notes(rows) => match rows.first().map(|(_, value)| stored(value)) {
            Some(Some(card)) => Ok(asked.result_with(&card)),
            Some(None) => Err(Condition::InternalServerError.into()),
            None if asked.from.as_ref().is_some_and(|from| from.bare() == *account) => {
                Err(Condition::ItemNotFound.into())
            }
            None => Err(StanzaError::from(Condition::ServiceUnavailable)),
        },
        Returned::Refused(error) => Err(error),
        _ => Err(Condition::InternalServerError.into()),
    };
    match answer {
        Ok(result) => step.route(result),
        Err(error) => asked.error_reply(&error).into_iter().for_each(|error| step.route(error)),
    }
}

/// The card that a note keeps; `None` if it is not XML, which is our fault.
fn stored(value: &[u8]) -> Option<Element> {
    xml::parse(value, xml::Limits::CHECKED).ok().filter(|card| card.is(ns::VCARD, "vCard"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, iq, jid, reads, routed, shown, stepped};

    const CARD_XML: &str = "<vCard xmlns='vcard-temp'><FN>Alice &amp; all</FN></vCard>";

    fn alice() -> BareJid {
        bare("alice@one.test")
    }

    fn get(from: &str) -> Stanza {
        iq(Type::Get, "<vCard xmlns='vcard-temp'/>").with_from(jid(from))
    }

    fn answered(from: &str, came: Returned) -> Stanza {
        let (_, left) = stepped(|step| returned(&alice(), Box::new(get(from)), came, step));
        routed(&left).into_iter().next().expect("an answer")
    }

    fn condition(stanza: &Stanza) -> Condition {
        crate::check::error(stanza).expect("an error").condition
    }

    #[test]
    fn a_card_is_kept_and_read_again() {
        let set = iq(Type::Set, CARD_XML);
        let (reply, left) = stepped(|step| answer_own(&alice(), &set, step));
        assert_eq!(shown(reply), "result");
        let [Write::Note { owner, topic: TOPIC, key, value: Some(value) }] = &left.writes[..] else {
            panic!("{:?}", left.writes)
        };
        assert_eq!((owner, key.as_str()), (&alice(), ""));

        let question = get("alice@one.test/phone");
        let (reply, left) = stepped(|step| answer_own(&alice(), &question, step));
        assert_eq!((shown(reply).as_str(), reads(&left)), ("later", vec![TOPIC]));
        let rows = vec![(String::new(), value.clone())];
        let answer = answered("bob@two.test/x", Returned::Notes(rows));
        assert_eq!(answer.to, Some(jid("bob@two.test/x")));
        let card = answer.element(ns::VCARD, "vCard").expect("a card");
        assert_eq!(card.child(ns::VCARD, "FN").map(Element::text).as_deref(), Some("Alice & all"));
    }

    #[test]
    fn others_read_and_do_not_write() {
        let (reply, left) = stepped(|step| answer_other(&alice(), &get("bob@two.test/x"), step));
        assert_eq!((shown(reply).as_str(), reads(&left)), ("later", vec![TOPIC]));
        let set = iq(Type::Set, CARD_XML).with_from(jid("bob@two.test/x"));
        let (reply, left) = stepped(|step| answer_other(&alice(), &set, step));
        assert_eq!(shown(reply), "forbidden");
        assert!(left.writes.is_empty());
        assert_eq!(shown(answer_nobody(&set)), "forbidden");
        let question = get("bob@two.test/x");
        assert_eq!(shown(answer_nobody(&question)), "service-unavailable");
    }

    #[test]
    fn without_a_card_strangers_hear_what_they_would_hear_without_an_account() {
        let none = || Returned::Notes(Vec::new());
        assert_eq!(condition(&answered("alice@one.test/phone", none())), Condition::ItemNotFound);
        assert_eq!(condition(&answered("bob@two.test/x", none())), Condition::ServiceUnavailable);
        let broken = Returned::Notes(vec![(String::new(), b"<".to_vec())]);
        assert_eq!(condition(&answered("bob@two.test/x", broken)), Condition::InternalServerError);
        let refused = Returned::Refused(Condition::ResourceConstraint.into());
        assert_eq!(condition(&answered("bob@two.test/x", refused)), Condition::ResourceConstraint);
    }

    #[test]
    fn a_card_has_a_limit() {
        let long = "x".repeat(100_000);
        let set = iq(Type::Set, &format!("<vCard xmlns='vcard-temp'><DESC>{long}</DESC></vCard>"));
        let (reply, left) = stepped(|step| answer_own(&alice(), &set, step));
        assert_eq!(shown(reply), "policy-violation");
        assert!(left.writes.is_empty());
    }
}
