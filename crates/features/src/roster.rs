//! Rosters (RFC 6121 §2): the account's owner reads and changes the list of contacts.

use step::roster::{Ending, Set};
use step::{Card, Reply, Roster, SessionId, Sessions, Step, Stop};
use xmpp::error::Condition;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};

/// What this file speaks of itself.
pub const CARD: Card = Card { version: "6121", title: "Roster management (RFC 6121 §2)", ..Card::PLAIN };

/// What a roster query led to.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub reply: Reply,
    /// A contact that was removed: its subscription is to be ended (§2.5.2).
    pub removed: Option<Ending>,
}

/// Answers a get or set of the account's owner.
///
/// # Errors
/// Those of RFC 6121 §2.1.5, §2.3.3 and §2.5.3.
pub fn answer(
    roster: &mut Roster,
    sessions: &mut Sessions,
    account: &BareJid,
    asker: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Answered, Stop> {
    let Some(query) = iq.element(ns::ROSTER, "query") else {
        return Err(Condition::BadRequest.into());
    };
    if iq.type_ == Type::Get {
        if query.children().next().is_some() {
            // §2.1.3: a get has no items.
            return Err(Condition::BadRequest.into());
        }
        if let Some(session) = sessions.find_mut(asker) {
            // §2.1.6: from now on it is an interested resource.
            session.interested = true;
        }
        let reply = match roster.result(query.attr("ver")) {
            Some(result) => Reply::Result(result),
            None => Reply::Done,
        };
        return Ok(Answered { reply, removed: None });
    }
    let (change, removed) = match roster.set(account, &query, step.domain.limits.roster_items)? {
        Set::Put(change) => (change, None),
        Set::Removed(change, ending) => (change, Some(ending)),
    };
    change.carry_out(sessions, account, step);
    Ok(Answered { reply: Reply::Done, removed })
}

/// Answers somebody else: a roster is its owner's alone (RFC 6121 §2.1.5, §2.3.3).
///
/// # Errors
/// Always `forbidden`.
pub fn answer_other() -> Result<Reply, Stop> {
    Err(Condition::Forbidden.into())
}
