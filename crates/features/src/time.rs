//! Entity time (XEP-0202): what time it is here.

use std::time::SystemTime;

use step::{Card, Reply, Stop};
use xmpp::datetime;
use xmpp::error::Condition;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 202,
    version: "2.0",
    title: "Entity Time",
    host: &[ns::TIME],
    note: "The server's zone is always UTC.",
    ..Card::PLAIN
};

/// Answers what time it is at our domain; `wall` is the time of day of the step.
///
/// # Errors
/// `bad-request` for a set.
pub fn answer(iq: &Stanza, wall: SystemTime) -> Result<Reply, Stop> {
    if iq.type_ != Type::Get {
        return Err(Condition::BadRequest.into());
    }
    let time = Element::new(ns::TIME, "time")
        .with_child(Element::new(ns::TIME, "tzo").with_text("Z")) // XEP-0082 §3.2 (TZD)
        .with_child(Element::new(ns::TIME, "utc").with_text(&datetime::format(wall)));
    Ok(Reply::Result(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{iq, shown};
    use std::time::Duration;

    #[test]
    fn tells_utc() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_166_551_115);
        let get = iq(Type::Get, "<time xmlns='urn:xmpp:time'/>");
        let Ok(Reply::Result(time)) = answer(&get, wall) else { panic!("no result") };
        let utc = time.child(ns::TIME, "utc").map(Element::text).unwrap_or_default();
        assert!(utc.starts_with("2006-12-19T17:58:35"), "{utc}");
        assert!(utc.ends_with('Z'), "{utc}");
        assert_eq!(time.child(ns::TIME, "tzo").map(Element::text).as_deref(), Some("Z"));
        assert_eq!(shown(answer(&iq(Type::Set, "<time xmlns='urn:xmpp:time'/>"), wall)), "bad-request");
    }
}
