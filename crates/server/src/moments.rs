//! What happens when a session leaves, an account is loaded anew, or is removed.

use std::collections::VecDeque;

use features::caps::clients::{self, Learnt};
use features::{offline, presence, registration, subscription};
use pubsub::news;
use step::{Reply, SessionId, Step};
use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::Stanza;

use crate::account::Account;
use crate::{pipeline, resumption};

/// Sessions that left while the store kept nothing, and whom an account remembers; of those before, contacts may go on
/// seeing the last presence.
const DEPARTED_MAX: usize = 100;

/// A session says that it is no longer available; it stays connected (RFC 6121 §4.5.2).
pub fn session_unavailable(a: &mut Account, session: SessionId, last: &Stanza, step: &mut Step<'_>) {
    let was_available = a.sessions.find(session).is_some_and(|session| session.is_available());
    let hears = |jid: &Jid| !a.blocklist.blocks(jid);
    let departure = presence::leave(&mut a.sessions, &a.roster, &hears, &a.jid, session, last, step);
    clients::heed(&mut a.sessions, session, last, step);
    a.departed.extend(departure);
    if a.departed.len() > DEPARTED_MAX {
        a.departed.pop_front();
    }
    offline::session_gone(&mut a.held, &a.jid, &mut a.sessions, session, step);
    if was_available && a.sessions.available().next().is_none() {
        a.remember_seen(step.wall, last.child_text(ns::CLIENT, "status"), step);
    }
}

/// A session is gone without a last word; one is said for it (RFC 6121 §4.5.2).
pub fn session_closed(a: &mut Account, session: SessionId, step: &mut Step<'_>) {
    if let Some(gone) = a.sessions.find(session) {
        let last = presence::unavailable(gone.jid.clone());
        session_unavailable(a, session, &last, step);
    }
    a.sessions.remove(session);
    offline::session_gone(&mut a.held, &a.jid, &mut a.sessions, session, step);
}

/// A session is gone for good. What was meant for it and was not given to it goes elsewhere.
pub fn session_over(a: &mut Account, session: SessionId, step: &mut Step<'_>) {
    session_closed(a, session, step);
    let stanzas = resumption::over(a, session, step);
    pipeline::undelivered(a, stanzas, step);
}

/// The account has been loaded anew after a failed commit. What it had told others may not have left, and what was
/// taken back from sessions that have gone may not have got further.
pub fn carried_over(a: &mut Account, step: &mut Step<'_>) {
    resumption::put_all_down(a, step);
    let hears = |jid: &Jid| !a.blocklist.blocks(jid);
    // This may fail as well: who has departed is known until all is committed.
    presence::tell_again(&a.sessions, &a.roster, &hears, &a.jid, &a.departed, step);
    for (session, door) in &a.doors {
        offline::handed(&mut a.sessions, *session, door.handed_up_to());
    }
    offline::hand_over_again(&mut a.held, &a.jid, &mut a.sessions, step);
    seek_again(a, step);
    let taken_back = std::mem::take(&mut a.taken_back);
    pipeline::undelivered(a, taken_back, step);
}

/// Sessions are there again after a restart or a crash. What their contacts have told them, and what they have told
/// their contacts, may be so no more: it is told and asked again.
pub fn presence_unknown(a: &mut Account, step: &mut Step<'_>) {
    let hears = |jid: &Jid| !a.blocklist.blocks(jid);
    presence::forget_others(&a.sessions, &a.roster, &a.jid, step);
    presence::tell_again(&a.sessions, &a.roster, &hears, &a.jid, &VecDeque::new(), step);
    seek_again(a, step);
    offline::hand_over_again(&mut a.held, &a.jid, &mut a.sessions, step);
}

/// What a session's client can do has become known: it hears the news that it wants, and is woken as is set for it.
pub fn learnt(a: &mut Account, learnt: Learnt, step: &mut Step<'_>) {
    if let Learnt::Wishes(session) = learnt {
        if let Some(session) = a.sessions.find(session) {
            a.push.device_is(&a.jid, session, step);
        }
        a.with_nodes(|nodes, owner| news::seek(nodes, owner, session, step));
    }
}

/// News may have been lost: what sessions want is asked for again, once it is known.
fn seek_again(a: &mut Account, step: &mut Step<'_>) {
    clients::heed_again(&mut a.sessions, step);
    for session in a.sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
        learnt(a, Learnt::Wishes(session), step);
    }
}

/// Registered letters have been read again after a failed commit. The presence that a new contact sent behind its word
/// may have been lost with the first reading.
pub fn letters_read_again(a: &mut Account, step: &mut Step<'_>) {
    let hears = |jid: &Jid| !a.blocklist.blocks(jid);
    presence::ask_again(&a.sessions, &a.roster, &hears, &a.jid, step);
}

/// The account's owner removes it (XEP-0077 §3.2).
pub fn account_removes_itself(
    a: &mut Account,
    session: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Reply {
    let reply = registration::remove(&a.jid, &a.sessions, session, iq, step);
    say_goodbye(a, step);
    reply
}

/// The operator removes the account.
pub fn account_removed(a: &mut Account, step: &mut Step<'_>) {
    for session in a.sessions.iter() {
        step.close(session.id, StreamError::new(StreamCondition::NotAuthorized));
    }
    step.write(store::Write::AccountRemove { account: a.jid.clone() });
    say_goodbye(a, step);
}

/// The last session of an anonymous visitor has gone, and what ties it made go with it (XEP-0175 §3).
pub fn visit_over(a: &Account, step: &mut Step<'_>) {
    subscription::end_all(&a.roster, &a.jid, step);
}

/// Contacts hear that the account's sessions have gone and that its subscriptions have ended (XEP-0077 §3.2). Its own
/// sessions have been closed before.
fn say_goodbye(a: &mut Account, step: &mut Step<'_>) {
    a.removed = true;
    tracing::info!(
        account = %a.jid,
        contacts = a.roster.len(),
        held_messages = a.held.count(),
        blocked = a.blocklist.len(),
        "an account was removed with everything that was kept of it"
    );
    for session in a.sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
        if let Some(gone) = a.sessions.find(session) {
            let last = presence::unavailable(gone.jid.clone());
            let hears = |jid: &Jid| !a.blocklist.blocks(jid);
            presence::leave(&mut a.sessions, &a.roster, &hears, &a.jid, session, &last, step);
        }
    }
    subscription::end_all(&a.roster, &a.jid, step);
}
