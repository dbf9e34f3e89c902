//! Client state indication (XEP-0352): what can wait is held back from a device at which nobody looks.
//!
//! What can wait is in the table of rules (`step::rules`), and it waits behind the door of the connection.

use step::rules::{self, Inactive};
use step::{Act, Card, Session, SessionId, Sessions, Step};
use xmpp::stanza::{Stanza, Type};

/// What this file speaks of itself.
pub const CARD: Card = Card { xep: 352, version: "1.0.0", title: "Client State Indication", ..Card::PLAIN };

/// What is said in a room and is wanted at once does not wait, nor does what is held back before it.
pub fn heed_wanted(
    sessions: &Sessions,
    is_wanted: &dyn Fn(&Session) -> bool,
    reached: &[SessionId],
    message: &Stanza,
    step: &mut Step<'_>,
) {
    // Hardly anything is said in rooms, and less is wanted; the table is asked last.
    if message.type_ != Type::Groupchat {
        return;
    }
    let all = reached.iter().filter_map(|id| sessions.find(*id));
    let mut wanted = all.filter(|session| is_wanted(session)).peekable();
    if wanted.peek().is_some() && rules::of(message).inactive == Inactive::IfNamed {
        wanted.for_each(|session| step.act(Act::Flush(session.id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{element, jid, sessions, stepped};

    #[test]
    fn only_ones_own_name_in_that_room_is_heeded() {
        let mut all = sessions(&["alice@one.test/phone", "alice@one.test/desk"]);
        let phone = all.find_mut(SessionId(0)).unwrap();
        phone.directed.extend([jid("room@rooms.test/Ally"), jid("bob@one.test")]);
        let flushed = |from: &str, type_: Type, body: &str| {
            let message = Stanza::message(type_)
                .with_from(jid(from))
                .with_child(&element(&format!("<body xmlns='jabber:client'>{body}</body>")));
            let reached = [SessionId(0), SessionId(1)];
            let left = stepped(|step| {
                heed_wanted(&all, &|session| session.is_named_by(&message), &reached, &message, step)
            })
            .1;
            let ids = left.acts.iter().map(|act| match act {
                Act::Flush(id) => id.0,
                _ => u64::MAX,
            });
            ids.collect::<Vec<_>>()
        };
        assert_eq!(flushed("room@rooms.test/bob", Type::Groupchat, "ally: hello"), [0]);
        assert_eq!(flushed("room@rooms.test/bob", Type::Groupchat, "hello all"), []);
        assert_eq!(flushed("other@rooms.test/bob", Type::Groupchat, "ally: hello"), []);
        assert_eq!(flushed("room@rooms.test/bob", Type::Chat, "ally: hello"), []);
    }
}
