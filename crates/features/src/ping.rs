//! Ping (XEP-0199): is the other end still there?

use step::{Card, Reply, Stop};
use xmpp::error::Condition;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 199,
    version: "2.0.1",
    title: "XMPP Ping",
    host: &[ns::PING],
    account: &[ns::PING],
    ..Card::PLAIN
};

/// Answers a ping to our domain, or to an account by one who may know that it exists.
///
/// # Errors
/// `bad-request` for a set: a ping is a question (XEP-0199 §4).
pub fn answer(iq: &Stanza) -> Result<Reply, Stop> {
    match iq.type_ {
        Type::Get => Ok(Reply::Done),
        _ => Err(Condition::BadRequest.into()),
    }
}

/// Answers a ping to an account by a stranger: the same as if the account did not exist (RFC 6121 §8.5.1).
///
/// # Errors
/// Always `service-unavailable`.
pub fn answer_stranger() -> Result<Reply, Stop> {
    Err(Condition::ServiceUnavailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{iq, shown};

    #[test]
    fn a_ping_is_answered_with_an_empty_result() {
        assert_eq!(shown(answer(&iq(Type::Get, "<ping xmlns='urn:xmpp:ping'/>"))), "result");
        assert_eq!(shown(answer(&iq(Type::Set, "<ping xmlns='urn:xmpp:ping'/>"))), "bad-request");
        assert_eq!(shown(answer_stranger()), "service-unavailable");
    }
}
