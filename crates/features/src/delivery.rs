//! Delivery (RFC 6121 §8.5): which of a person's connected devices a message reaches, if any.

use std::sync::Arc;

use step::{Card, SessionId, Sessions, Step, Stop};
use xmpp::error::Condition;
use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, Type};

/// What this file speaks of itself.
pub const CARD: Card = Card { version: "6121", title: "Message delivery (RFC 6121 §8)", ..Card::PLAIN };

/// Whom a message reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// It was written to these sessions.
    Sessions(Vec<SessionId>),
    /// To nobody who could read it now; it may be held (RFC 6121 table 1, "O").
    Nobody,
}

/// Where a message to an existing account goes (RFC 6121 §8.5.4, table 1).
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Sessions(Vec<SessionId>),
    Hold,
    Refuse,
    Ignore,
}

impl Reached {
    /// The sessions that it reached.
    pub fn sessions(&self) -> &[SessionId] {
        match self {
            Reached::Sessions(ids) => ids,
            Reached::Nobody => &[],
        }
    }

    /// Those of whom one is enough: the sessions that it reached, and those that get copies at once. What reached
    /// nobody is held, and its copies are not needed any more when their sessions have gone.
    pub fn shared(&self, copied_to: impl Iterator<Item = SessionId>) -> Arc<[SessionId]> {
        match self {
            Reached::Sessions(ids) => ids.iter().copied().chain(copied_to).collect(),
            Reached::Nobody => Arc::default(),
        }
    }
}

/// Decides which sessions a message is meant for. What must queue `behind` others that are being handed over reaches
/// nobody now.
///
/// # Errors
/// `service-unavailable` where table 1 says E, a silent drop where it says S.
pub fn reach(sessions: &Sessions, behind: Option<SessionId>, message: &Stanza) -> Result<Reached, Stop> {
    if behind.is_some() {
        return Ok(Reached::Nobody);
    }
    match destination(sessions, message) {
        Destination::Sessions(ids) => Ok(Reached::Sessions(ids)),
        Destination::Hold => Ok(Reached::Nobody),
        Destination::Refuse => Err(Condition::ServiceUnavailable.into()),
        Destination::Ignore => Err(Stop::Drop("nobody there to hear it (RFC 6121 §8.5)")),
    }
}

/// Writes a message to the sessions that it reaches; others `shared` it.
pub fn deliver(reached: &Reached, shared: &Arc<[SessionId]>, message: &Stanza, step: &mut Step<'_>) {
    for session in reached.sessions() {
        step.to_shared(*session, message.clone(), shared);
    }
}

/// What the sender of a message to an account that does not exist hears (RFC 6121 §8.5.1). The same as for an
/// account that exists but is never reachable that way, so that nobody learns which addresses exist.
pub fn no_such_user(message: &Stanza) -> Stop {
    match message.type_ {
        Type::Error => Stop::Drop("an error for an account that does not exist"),
        Type::Headline if message.to.as_ref().is_some_and(Jid::is_bare) => {
            Stop::Drop("a headline for an account that does not exist")
        }
        _ => Condition::ServiceUnavailable.into(),
    }
}

fn destination(sessions: &Sessions, message: &Stanza) -> Destination {
    match message.to.as_ref().and_then(Jid::resource) {
        Some(resource) => match sessions.by_resource(resource) {
            // §8.5.3.1: connected is enough, presence is not asked for.
            Some(session) => Destination::Sessions(vec![session.id]),
            None => no_such_resource(sessions, message.type_),
        },
        None => bare(sessions, message.type_),
    }
}

/// §8.5.3.2.1: the address names a device that is not there.
fn no_such_resource(sessions: &Sessions, type_: Type) -> Destination {
    match type_ {
        Type::Chat => bare(sessions, type_),
        Type::Error => Destination::Ignore,
        _ => Destination::Refuse,
    }
}

/// §8.5.2: the address names the account.
fn bare(sessions: &Sessions, type_: Type) -> Destination {
    let ids = match type_ {
        Type::Groupchat => return Destination::Refuse,
        Type::Error => return Destination::Ignore,
        Type::Headline => sessions.reachable().map(|session| session.id).collect(),
        // "Most available": all that share the highest priority, so that equal devices agree.
        _ => sessions.most_available().map(|session| session.id).collect::<Vec<_>>(),
    };
    match (ids.is_empty(), type_) {
        (false, _) => Destination::Sessions(ids),
        (true, Type::Headline) => Destination::Ignore,
        (true, _) => Destination::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use step::Session;
    use xmpp::jid::FullJid;

    fn sessions(priorities: &[Option<i8>]) -> Sessions {
        let mut sessions = Sessions::default();
        for (number, priority) in priorities.iter().enumerate() {
            let jid = FullJid::new(&format!("bob@one.test/{number}")).unwrap();
            let mut session = Session::new(SessionId(number as u64), jid, an_instant());
            if let Some(priority) = priority {
                session.presence = Some(Stanza::presence(Type::Available));
                session.priority = *priority;
            }
            sessions.add(session);
        }
        sessions
    }

    #[allow(clippy::disallowed_methods)] // any instant will do
    fn an_instant() -> Instant {
        Instant::now()
    }

    fn check(priorities: &[Option<i8>], to: &str, type_: Type, expected: Destination) {
        let message = Stanza::message(type_).with_to(Jid::new(to).unwrap());
        assert_eq!(destination(&sessions(priorities), &message), expected, "{to} {type_:?}");
    }

    fn to(ids: &[u64]) -> Destination {
        Destination::Sessions(ids.iter().map(|id| SessionId(*id)).collect())
    }

    #[test]
    fn no_active_resources() {
        for (type_, bare, full) in [
            (Type::Normal, Destination::Hold, Destination::Refuse),
            (Type::Chat, Destination::Hold, Destination::Hold),
            (Type::Groupchat, Destination::Refuse, Destination::Refuse),
            (Type::Headline, Destination::Ignore, Destination::Refuse),
            (Type::Error, Destination::Ignore, Destination::Ignore),
        ] {
            check(&[], "bob@one.test", type_, bare);
            check(&[], "bob@one.test/x", type_, full);
        }
    }

    #[test]
    fn a_connected_resource_without_presence_hears_only_its_full_address() {
        check(&[None], "bob@one.test", Type::Chat, Destination::Hold);
        check(&[None], "bob@one.test/0", Type::Chat, to(&[0]));
    }

    #[test]
    fn negative_priority_hears_only_its_full_address() {
        check(&[Some(-1)], "bob@one.test", Type::Normal, Destination::Hold);
        check(&[Some(-1)], "bob@one.test", Type::Headline, Destination::Ignore);
        check(&[Some(-1)], "bob@one.test/0", Type::Groupchat, to(&[0]));
        check(&[Some(-1)], "bob@one.test/x", Type::Chat, Destination::Hold);
    }

    #[test]
    fn the_most_available_hear_chat_and_all_hear_headlines() {
        let three = [Some(5), Some(1), Some(5)];
        check(&three, "bob@one.test", Type::Chat, to(&[0, 2]));
        check(&three, "bob@one.test", Type::Normal, to(&[0, 2]));
        check(&three, "bob@one.test", Type::Headline, to(&[0, 1, 2]));
        check(&three, "bob@one.test", Type::Groupchat, Destination::Refuse);
        check(&three, "bob@one.test/1", Type::Chat, to(&[1]));
        check(&three, "bob@one.test/x", Type::Chat, to(&[0, 2]));
        check(&three, "bob@one.test/x", Type::Normal, Destination::Refuse);
    }
}
