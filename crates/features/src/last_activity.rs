//! Last activity (XEP-0012): how long a person has been away, and how long this server has been up.

use std::time::{Duration, SystemTime};

use step::{Card, LastSeen, Reply, Roster, Sessions, Stop};
use xmpp::error::Condition;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 12,
    version: "2.0",
    title: "Last Activity",
    host: &[ns::LAST],
    account: &[ns::LAST],
    ..Card::PLAIN
};

/// Answers how long our domain has been up (XEP-0012 §5).
///
/// # Errors
/// `bad-request` for a set.
pub fn answer_host(iq: &Stanza, uptime: Duration) -> Result<Reply, Stop> {
    must_be_question(iq)?;
    Ok(Reply::Result(seconds(uptime)))
}

/// Answers how long an account has been away, to the account itself or to one who may see its presence
/// (XEP-0012 §3): zero if a device is connected, else the time since it was `last_seen`, with the status it left with.
///
/// # Errors
/// `bad-request` for a set; `service-unavailable` when it has never been seen.
pub fn answer_account(
    sessions: &Sessions,
    last_seen: &LastSeen,
    iq: &Stanza,
    wall: SystemTime,
) -> Result<Reply, Stop> {
    must_be_question(iq)?;
    if !sessions.is_empty() {
        return Ok(Reply::Result(seconds(Duration::ZERO)));
    }
    let Some(seen_at) = last_seen.at else {
        return Err(Condition::ServiceUnavailable.into());
    };
    // The clock of the day may have been set back since.
    let away = seconds(wall.duration_since(seen_at).unwrap_or_default());
    Ok(Reply::Result(match &last_seen.status {
        Some(status) => away.with_text(status),
        None => away,
    }))
}

/// Answers one who may not see the account's presence (XEP-0012 §3).
///
/// # Errors
/// Always `forbidden`.
pub fn answer_stranger() -> Result<Reply, Stop> {
    Err(Condition::Forbidden.into())
}

/// Whether an iq may go to a device of the account: a question after last activity only if the asker may see
/// presence (XEP-0012 §4); everything else passes.
///
/// # Errors
/// `forbidden`.
pub fn may_ask_device(roster: &Roster, account: &BareJid, iq: &Stanza) -> Result<(), Stop> {
    let authorised = iq.from.as_ref().is_none_or(|from| {
        let asker = from.bare();
        asker == *account || roster.sees_me(&asker)
    });
    if authorised { Ok(()) } else { stranger_may_ask_device(iq) }
}

/// Whether an iq of one who may not see presence may go to a device, or to one that might be there.
///
/// # Errors
/// `forbidden` for a question after last activity.
pub fn stranger_may_ask_device(iq: &Stanza) -> Result<(), Stop> {
    let asks = iq.kind == Kind::Iq && iq.type_ == Type::Get && iq.has(ns::LAST, "query");
    if asks { Err(Condition::Forbidden.into()) } else { Ok(()) }
}

fn must_be_question(iq: &Stanza) -> Result<(), Stop> {
    if iq.type_ == Type::Get { Ok(()) } else { Err(Condition::BadRequest.into()) }
}

fn seconds(duration: Duration) -> Element {
    Element::new(ns::LAST, "query").with_attr("seconds", duration.as_secs().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, friends, iq, jid, sessions, shown};

    fn get() -> Stanza {
        iq(Type::Get, "<query xmlns='jabber:iq:last'/>")
    }

    fn query(reply: Result<Reply, Stop>) -> (String, String) {
        let Ok(Reply::Result(query)) = reply else { panic!("no result") };
        (query.attr("seconds").unwrap_or_default().to_owned(), query.text())
    }

    #[test]
    fn the_host_tells_its_uptime() {
        let answer = answer_host(&get(), Duration::from_millis(123_456_789));
        assert_eq!(query(answer), ("123456".into(), String::new()));
    }

    #[test]
    fn an_absent_account_tells_when_it_left_and_what_it_said() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let seen = |at, status: Option<&str>| LastSeen { at, status: status.map(str::to_owned) };
        let home = seen(Some(wall - Duration::from_secs(903)), Some("Heading Home"));
        let none = Sessions::default();
        assert_eq!(query(answer_account(&none, &home, &get(), wall)), ("903".into(), "Heading Home".into()));
        let later = seen(Some(wall + Duration::from_secs(5)), None);
        assert_eq!(query(answer_account(&none, &later, &get(), wall)).0, "0");
        assert_eq!(shown(answer_account(&none, &LastSeen::default(), &get(), wall)), "service-unavailable");
    }

    #[test]
    fn a_connected_account_tells_zero() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let one = sessions(&["alice@one.test/phone"]);
        let seen = LastSeen { at: Some(SystemTime::UNIX_EPOCH), status: Some("old".into()) };
        assert_eq!(query(answer_account(&one, &seen, &get(), wall)), ("0".into(), String::new()));
    }

    #[test]
    fn strangers_may_not_ask_a_device() {
        let roster = friends(&["bob@two.test"]);
        let alice = bare("alice@one.test");
        let ask = |from: &str| get().with_from(jid(from)).with_to(jid("alice@one.test/phone"));
        assert!(may_ask_device(&roster, &alice, &ask("bob@two.test/x")).is_ok());
        assert!(may_ask_device(&roster, &alice, &ask("alice@one.test/laptop")).is_ok());
        assert!(may_ask_device(&roster, &alice, &ask("eve@two.test/x")).is_err());
        let other = iq(Type::Get, "<ping xmlns='urn:xmpp:ping'/>").with_from(jid("eve@two.test/x"));
        assert!(may_ask_device(&roster, &alice, &other).is_ok());
        assert_eq!(shown(answer_stranger()), "forbidden");
    }
}
