//! Message carbons (XEP-0280): every device of a person sees both sides of every conversation.

use std::collections::VecDeque;

use step::{Card, Reply, Session, SessionId, Sessions, Stop, rules};
use xmpp::error::Condition;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 280,
    version: "1.0.1",
    title: "Message Carbons",
    host: &[ns::CARBONS, ns::CARBONS_RULES],
    ..Card::PLAIN
};

/// Stanza forwarding, the wrapping of copies.
pub const FORWARDING_CARD: Card =
    Card { xep: 297, version: "1.0", title: "Stanza Forwarding", ..Card::PLAIN };

/// Copied messages that are remembered, so that an error that answers one of them is copied too (§6.1).
const REMEMBERED: usize = 128;

/// Copied messages, the latest last: whom the person spoke with, and the message's id.
#[derive(Debug, Default)]
pub struct Copied(VecDeque<(BareJid, Box<str>)>);

impl Copied {
    fn remember(&mut self, with: Option<&Jid>, message: &Stanza) {
        let (Some(with), Some(id)) = (with, &message.id) else { return };
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((with.bare(), id.as_ref().into()));
    }

    fn remembers(&self, with: Option<&Jid>, error: &Stanza) -> bool {
        let (Some(with), Some(id)) = (with, &error.id) else { return false };
        self.0.iter().any(|(known, known_id)| **known_id == **id && *known == with.bare())
    }
}

/// Turns copies on or off for one of the account's sessions (§4, §5); again is as good as once (§10.1).
///
/// # Errors
/// `bad-request` for what is neither.
pub fn answer_own(sessions: &mut Sessions, session: SessionId, iq: &Stanza) -> Result<Reply, Stop> {
    let wanted = match (iq.type_, iq.has(ns::CARBONS, "enable"), iq.has(ns::CARBONS, "disable")) {
        (Type::Set, true, false) => true,
        (Type::Set, false, true) => false,
        _ => return Err(Condition::BadRequest.into()),
    };
    if let Some(session) = sessions.find_mut(session) {
        session.carbons = wanted;
    }
    Ok(Reply::Done)
}

/// A session begins with copies (XEP-0386 §3.2).
pub fn enable(sessions: &mut Sessions, session: SessionId) {
    if let Some(session) = sessions.find_mut(session) {
        session.carbons = true;
    }
}

/// Answers those who want copies of what somebody else receives and sends (§4.1, §5.1).
///
/// # Errors
/// Always `not-allowed`.
pub fn answer_other() -> Result<Reply, Stop> {
    Err(Condition::NotAllowed.into())
}

/// Copies of a message that a session sends, for the account's other sessions (§8); it is made when there is one that
/// wants it.
pub fn of_sent(
    copied: &mut Copied,
    sessions: &Sessions,
    account: &BareJid,
    sender: SessionId,
    message: impl FnOnce() -> Stanza,
) -> Vec<(SessionId, Stanza)> {
    let others = |session: &Session| session.carbons && session.id != sender;
    if !sessions.iter().any(others) {
        return Vec::new();
    }
    let message = &message();
    let to = message.to.as_ref();
    // What goes to the account itself comes to all of its sessions as it arrives.
    if to.is_none_or(|to| to.bare() == *account) || !is_eligible(copied, to, message) {
        return Vec::new();
    }
    copied.remember(to, message);
    let joined = joined_as(sessions, sender, message);
    let can_answer = |session: &Session| joined.as_ref().is_none_or(|nick| session.directed.contains(nick));
    let wanting = sessions.iter().filter(|session| others(session) && can_answer(session));
    wanting.map(|session| (session.id, copy("sent", account, session, message))).collect()
}

/// Who is to get a copy of a message that arrives: sessions that it does not `reach` itself (§7).
pub fn watching(
    copied: &mut Copied,
    sessions: &Sessions,
    reached: &[SessionId],
    message: &Stanza,
) -> Vec<SessionId> {
    let from = message.from.as_ref();
    // One who speaks to another device of their own has the words already.
    let speaks = |session: &Session| from.is_some_and(|from| *from == *session.jid);
    let others = |session: &&Session| session.carbons && !reached.contains(&session.id) && !speaks(session);
    let watching: Vec<SessionId> = sessions.iter().filter(others).map(|session| session.id).collect();
    if watching.is_empty() || is_private_word_of_a_room(message) || !is_eligible(copied, from, message) {
        return Vec::new();
    }
    copied.remember(from, message);
    watching
}

/// Copies of a message that arrives, for those who are `watching`.
pub fn of_received(
    sessions: &Sessions,
    account: &BareJid,
    watching: &[SessionId],
    message: &Stanza,
) -> Vec<(SessionId, Stanza)> {
    let watching = watching.iter().filter_map(|id| sessions.find(*id));
    watching.map(|session| (session.id, copy("received", account, session, message))).collect()
}

/// Whether a message is a copy of ours: it takes no other way than to the device it was made for (§10.3).
pub fn is_copy(message: &Stanza, account: &BareJid) -> bool {
    message.has_ns(ns::CARBONS) && message.from.as_ref().is_some_and(|from| *from == **account)
}

fn copy(direction: &'static str, account: &BareJid, session: &Session, message: &Stanza) -> Stanza {
    let (wrapper, forwarded) = (Element::new(ns::CARBONS, direction), Element::new(ns::FORWARD, "forwarded"));
    Stanza::message(message.type_)
        .with_from(account.clone())
        .with_to(session.jid.clone())
        .with_forwarded(&wrapper, &forwarded, message)
}

/// The rules of §6.1, all of them (§6.2). `with` is the other one of the conversation.
fn is_eligible(copied: &Copied, with: Option<&Jid>, message: &Stanza) -> bool {
    match rules::of(message).copied {
        rules::Copied::Always | rules::Copied::Spoken => true,
        rules::Copied::Answer => copied.remembers(with, message),
        rules::Copied::Never => false,
    }
}

/// What one occupant of a room says to another comes to all who are in the room by itself.
fn is_private_word_of_a_room(message: &Stanza) -> bool {
    let from_occupant = message.from.as_ref().is_some_and(|from| from.resource().is_some());
    from_occupant && message.has(ns::MUC_USER, "x") && !rules::is_invitation(message)
}

/// The nick under which a session that says something to an occupant of a room is there itself, if that is known: only
/// sessions that share it can answer.
fn joined_as(sessions: &Sessions, sender: SessionId, message: &Stanza) -> Option<Jid> {
    let to = message.to.as_ref().filter(|to| to.resource().is_some() && message.has(ns::MUC_USER, "x"))?;
    let joined = &sessions.find(sender)?.directed;
    joined.iter().find(|nick| nick.resource().is_some() && nick.bare() == to.bare()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, element, iq, jid, sessions, shown};

    fn message(type_: Type, from: &str, inner: &str) -> Stanza {
        let message = Stanza::message(type_).with_from(jid(from)).with_to(jid("alice@one.test/phone"));
        if inner.is_empty() { message } else { message.with_child(&element(inner)) }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut copied = Copied::default();
        let bob = jid("bob@two.test/x");
        for number in 0..=REMEMBERED {
            copied.remember(Some(&bob), &Stanza::message(Type::Chat).with_id(number.to_string()));
        }
        let error = |id: &str| Stanza::message(Type::Error).with_id(id);
        assert_eq!(copied.0.len(), REMEMBERED);
        assert!(!copied.remembers(Some(&bob), &error("0")) && copied.remembers(Some(&bob), &error("1")));
        assert!(!copied.remembers(Some(&jid("carol@two.test")), &error("1")));
    }

    #[test]
    fn whoever_is_reached_or_speaks_needs_no_copy() {
        let mut all = sessions(&["alice@one.test/phone", "alice@one.test/desk", "alice@one.test/old"]);
        for id in [0, 1] {
            assert_eq!(
                shown(answer_own(
                    &mut all,
                    SessionId(id),
                    &iq(Type::Set, "<enable xmlns='urn:xmpp:carbons:2'/>")
                )),
                "result"
            );
        }
        let watching = |from: &str, reached: &[SessionId]| {
            watching(&mut Copied::default(), &all, reached, &message(Type::Chat, from, ""))
        };
        assert_eq!(watching("bob@two.test/x", &[SessionId(0)]), [SessionId(1)]);
        assert_eq!(watching("bob@two.test/x", &[]), [SessionId(0), SessionId(1)]);
        assert_eq!(watching("alice@one.test/desk", &[SessionId(0)]), []);
    }

    #[test]
    fn a_copy_holds_what_came() {
        let all = sessions(&["alice@one.test/desk"]);
        let came = message(Type::Chat, "bob@two.test/x", "<b xmlns='urn:x' a='&lt;'>]]&gt;</b>").with_id("1");
        for session in all.iter() {
            let copy = copy("received", &bare("alice@one.test"), session, &came);
            assert!(is_copy(&copy, &bare("alice@one.test")) && !is_copy(&copy, &bare("bob@two.test")));
            assert_eq!(rules::copied_message(&copy), Some(came.clone()));
        }
    }
}
