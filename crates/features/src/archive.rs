//! Archives (XEP-0313): what a person has said and heard is kept, and any of their devices can ask for it.

mod ends;
mod ids;
mod preferences;
mod query;
mod retraction;

use std::time::{Duration, SystemTime};

use step::{
    Asked, Card, Read, Reply, Return, Returned, Roster, Seal, SessionId, Sessions, Step, Stop, rules,
};
use store::{ArchiveMessage, ArchivePage, ArchiveState, Write};
use xmpp::datetime;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::rsm::Given;
use xmpp::stanza::{ContentNs, Stanza, Type};
use xmpp::xml::Element;

use ends::{Ends, metadata};
pub use ends::{bound, cleared, ends_returned};
use ids::Ids;
pub use preferences::{KEY, Preferences, TOPIC};
pub use retraction::returned as retraction_returned;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 313,
    version: "1.1.3",
    title: "Message Archive Management",
    host: FEATURES,
    account: FEATURES,
    note: "Archives of people. What is said in rooms is not in them.",
};

// COMPAT: some clients look for the archive on the domain (features of the account are what XEP-0313 §7 asks for).
const FEATURES: &[&str] = &[ns::MAM, ns::MAM_EXTENDED, ns::MAM_GROUPCHAT];

/// Hints to whoever stores messages.
pub const HINTS_CARD: Card =
    Card { xep: 334, version: "1.0.0", title: "Message Processing Hints", ..Card::PLAIN };

/// Pages, here of archives.
pub const PAGES_CARD: Card =
    Card { xep: 59, version: "1.0", title: "Result Set Management", account: &[ns::RSM], ..Card::PLAIN };

/// Ids of messages that stay.
pub const IDS_CARD: Card = Card {
    xep: 359,
    version: "0.7.0",
    title: "Unique and Stable Stanza IDs",
    host: &[ns::SID],
    account: &[ns::SID],
    ..Card::PLAIN
};

/// Messages that are taken back.
pub const RETRACTION_CARD: Card = Card {
    xep: 424,
    version: "0.4.2",
    title: "Message Retraction",
    host: &[ns::RETRACTION, ns::TOMBSTONES],
    account: &[ns::RETRACTION, ns::TOMBSTONES],
    ..Card::PLAIN
};

/// Search in archives.
pub const SEARCH_CARD: Card = Card {
    xep: 431,
    version: "0.2.0",
    title: "Full Text Search in MAM",
    host: &[ns::FULL_TEXT],
    account: &[ns::FULL_TEXT],
    note: "All words, whole, in any case and order. Not in encrypted messages.",
};

/// Whose messages are archived.
pub const PREFERENCES_CARD: Card =
    Card { xep: 441, version: "0.2.0", title: "Message Archive Management Preferences", ..Card::PLAIN };

/// A clock that goes back by no more than this is taken to stand still, so that times follow the order.
const STANDSTILL: Duration = Duration::from_secs(60);

/// An account's archive, without what is in it.
#[derive(Debug, Default)]
pub struct Archive {
    /// None: nothing is archived.
    ids: Option<Ids>,
    preferences: Preferences,
    is_new: bool,
    last: u64,
    peak: Option<SystemTime>,
    ends: Ends,
}

impl Archive {
    /// The archive of an account that was made at `created`, as the store has it; `preferences` is the note of
    /// [`TOPIC`] and [`KEY`].
    pub fn load(
        seal: &Seal,
        owner: &BareJid,
        created: SystemTime,
        state: ArchiveState,
        preferences: Option<&[u8]>,
    ) -> Self {
        Archive {
            ids: Some(Ids::new(seal, owner, created)),
            preferences: preferences.map(Preferences::read).unwrap_or_default(),
            is_new: state.is_new,
            last: state.last,
            peak: Some(state.peak),
            ends: Ends::load(state.ends),
        }
    }

    /// Loaded anew after a failed commit: a number that has been given out is not given out again.
    pub fn carry_over(&mut self, before: &Archive) {
        self.last = self.last.max(before.last);
    }

    /// The id under which a message is known.
    fn id(&self, seq: u64) -> Option<String> {
        self.ids.as_ref()?.sealer()?.seal(seq)
    }

    /// The number in an id of this archive's.
    fn seq(&self, id: &str) -> Option<u64> {
        self.ids.as_ref()?.open(id)
    }

    /// When a message comes, by a clock that does not go back a little.
    fn time(&mut self, wall: SystemTime) -> (SystemTime, SystemTime) {
        // As exact as it is shown, so that who asks for what came at that time is given it.
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = wall - Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000));
        let peak = self.peak.filter(|peak| *peak > wall).unwrap_or(wall);
        self.peak = Some(peak);
        let back = peak.duration_since(wall).unwrap_or_default();
        (if back <= STANDSTILL { peak } else { wall }, peak)
    }
}

/// XEP-0359 §3 rules 2 and 4: nobody but the account itself says under which id it has archived a message.
pub fn without_forged_ids(message: Stanza, owner: &BareJid) -> Stanza {
    message.without_those(ns::SID, "stanza-id", |id| is_by(id, owner))
}

fn is_by(id: &Element, owner: &BareJid) -> bool {
    id.attr("by").and_then(|by| Jid::new(by).ok()).is_some_and(|by| by == **owner)
}

/// Archives a message that the account sends, and marks it as archived. Returns its number, if it has one.
pub fn keep_sent(
    archive: &mut Archive,
    roster: &Roster,
    owner: &BareJid,
    message: &mut Stanza,
    step: &mut Step<'_>,
) -> Option<u64> {
    // What goes to the account itself is archived as it arrives, once (§6.1.1).
    let with = message.to.clone().filter(|to| to.bare() != *owner);
    retraction::look(owner, with.as_ref(), true, message, step);
    let seq = with.and_then(|with| keep(archive, roster, owner, &with, message, None, step))?;
    *message = std::mem::replace(message, Stanza::message(Type::Normal)).archived_as(seq);
    Some(seq)
}

/// A message that the account has sent with the id under which it is archived, if it is: for the account's own devices
/// only (§3.5).
pub fn own(archive: &Archive, owner: &BareJid, message: &Stanza, seq: Option<u64>) -> Stanza {
    match seq {
        Some(seq) => identified(archive, owner, message.clone(), seq),
        None => message.clone(),
    }
}

/// Archives a message that comes for the account, and gives it its id. One that has an id comes for the second time,
/// from a device that did not take it.
pub fn keep_received(
    archive: &mut Archive,
    roster: &Roster,
    owner: &BareJid,
    message: Stanza,
    step: &mut Step<'_>,
) -> Stanza {
    let known = message.elements(ns::SID, "stanza-id").find(|id| is_by(id, owner));
    if let Some(id) = known {
        return match id.attr("id").and_then(|id| archive.seq(id)) {
            Some(seq) => message.archived_as(seq),
            None => message,
        };
    }
    let Some(from) = message.from.clone() else { return message };
    retraction::look(owner, Some(&from), false, &message, step);
    let same_as = message.archived().map(|seq| (from.bare(), seq));
    match keep(archive, roster, owner, &from, &message, same_as, step) {
        Some(seq) => identified(archive, owner, message, seq).archived_as(seq),
        // What its sender calls it means nothing here.
        None => message.archived_as(0),
    }
}

/// Returns the message's number, if it is archived.
fn keep(
    archive: &mut Archive,
    roster: &Roster,
    owner: &BareJid,
    with: &Jid,
    message: &Stanza,
    same_as: Option<(BareJid, u64)>,
    step: &mut Step<'_>,
) -> Option<u64> {
    if archive.ids.is_none() || !archive.preferences.want(roster, with) || !rules::of(message).archived {
        return None;
    }
    archive.last += 1;
    let (at, peak) = archive.time(step.wall);
    archive.ends.extend((archive.last, at));
    let mut xml = Vec::with_capacity(message.byte_len());
    message.write(&mut xml, ContentNs::Inherited);
    step.write(Write::ArchiveKeep(Box::new(ArchiveMessage {
        owner: owner.clone(),
        seq: archive.last,
        first: std::mem::take(&mut archive.is_new),
        at,
        peak,
        with: with.clone(),
        sent: message.from.as_ref().is_some_and(|from| from.bare() == *owner) && with.bare() != *owner,
        id: message.id.as_deref().map(str::to_owned),
        xml,
        same_as,
        words: query::words_of(message),
    })));
    Some(archive.last)
}

/// A message with the id under which the account has archived it.
pub fn identified(archive: &Archive, owner: &BareJid, message: Stanza, seq: u64) -> Stanza {
    if message.elements(ns::SID, "stanza-id").any(|id| is_by(&id, owner)) {
        return message;
    }
    let Some(id) = archive.id(seq) else { return message };
    message
        .with_child(&Element::new(ns::SID, "stanza-id").with_attr("by", owner.as_str()).with_attr("id", id))
}

/// Whether a message is one that a device has asked the archive for: it is for nobody else.
pub fn is_result(message: &Stanza, owner: &BareJid) -> bool {
    message.has(ns::MAM, "result")
        && message.from.as_ref().is_some_and(|from| *from == **owner || from.as_str() == owner.domain())
}

/// Answers one of the account's own sessions.
///
/// # Errors
/// `bad-request` for what is no question, a form of another kind, or a value of a wrong kind;
/// `feature-not-implemented` for an unknown field (§4.1.5) and for a page by its index (XEP-0059 §2.6);
/// `item-not-found` for an id that is none (§4.1.3, §4.3.2) and for a node; `jid-malformed`; `policy-violation` for
/// too much at once; `not-allowed` for preferences of somebody for whom nothing is archived.
pub fn answer_own(
    archive: &mut Archive,
    sessions: &mut Sessions,
    owner: &BareJid,
    session: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Reply, Stop> {
    let name = iq.first_name().map(|(_, name)| name).unwrap_or_default();
    match (iq.type_, name) {
        (Type::Get, "query") => Ok(Reply::Result(query::form())),
        (Type::Set, "query") => {
            let asked = iq.first().ok_or(Condition::BadRequest)?;
            let query = query::read(&asked, &|id| archive.seq(id))?;
            if query::reaches_the_end(&query)
                && let Some(session) = sessions.find_mut(session)
            {
                session.archive_read = query::taken(&query, &session.archive_read, archive.last);
            }
            let read = Read::Archive { owner: owner.clone(), query: Box::new(query) };
            step.read(read, Return::Archive(session, Box::new(iq.clone())));
            Ok(Reply::Later)
        }
        (Type::Get, "metadata") => {
            let read = Read::ArchiveEnds { owner: owner.clone() };
            step.read(read, Return::Archive(session, Box::new(iq.clone())));
            Ok(Reply::Later)
        }
        (Type::Get, "prefs") => Ok(Reply::Result(archive.preferences.to_element())),
        (Type::Set, "prefs") => {
            if archive.ids.is_none() {
                return Err(Condition::NotAllowed.into()); // XEP-0441 §2.1
            }
            archive.preferences = preferences::set(owner, &archive.preferences, iq, step)?;
            Ok(Reply::Result(archive.preferences.to_element()))
        }
        _ => Err(Condition::BadRequest.into()),
    }
}

/// Answers anybody else.
///
/// # Errors
/// Always `forbidden` (§8.1).
pub fn answer_other() -> Result<Reply, Stop> {
    Err(Condition::Forbidden.into())
}

/// What was asked of the archive has been read: the session gets it.
#[allow(clippy::boxed_local)] // as it comes, in its Return
pub fn returned(
    archive: &Archive,
    owner: &BareJid,
    session: SessionId,
    asked: Asked,
    came: Returned,
    step: &mut Step<'_>,
) {
    let answer = match came {
        Returned::Archive(Some(page)) => Ok(hand_out(archive, owner, session, &asked, &page, step)),
        Returned::Archive(None) => Err(Condition::ItemNotFound.into()),
        Returned::ArchiveEnds(ends) => Ok(metadata(archive, ends)),
        Returned::Refused(error) => Err(error),
        _ => Err(StanzaError::from(Condition::InternalServerError)),
    };
    match answer {
        Ok(element) => step.to_session(session, asked.result_with(&element)),
        Err(error) => asked.error_reply(&error).into_iter().for_each(|error| step.to_session(session, error)),
    }
}

/// §4.2: first the messages, then the end.
fn hand_out(
    archive: &Archive,
    owner: &BareJid,
    session: SessionId,
    asked: &Stanza,
    page: &ArchivePage,
    step: &mut Step<'_>,
) -> Element {
    let query = asked.first();
    let query_id = query.as_ref().and_then(|query| query.attr("queryid"));
    let sealer = archive.ids.as_ref().and_then(ids::Ids::sealer);
    let page_id = step.new_id();
    let mut results = Vec::with_capacity(page.messages.len());
    for (number, message) in page.messages.iter().enumerate() {
        let Some(id) = sealer.as_ref().and_then(|sealer| sealer.seal(message.seq)) else { continue };
        let result = Element::new(ns::MAM, "result").with_attr_opt("queryid", query_id).with_attr("id", id);
        let delay = Element::new(ns::DELAY, "delay").with_attr("stamp", datetime::format(message.at));
        let forwarded = Element::new(ns::FORWARD, "forwarded").with_child(delay);
        let mut copy = Stanza::message(Type::Normal)
            .with_from(asked.to.clone().unwrap_or_else(|| owner.clone().into()))
            .with_id(format!("{page_id}.{number}"));
        copy.to.clone_from(&asked.from);
        results.extend(copy.with_forwarded_text(&result, &forwarded, &message.xml));
    }
    if query.is_some_and(|query| query.child(ns::MAM, "flip-page").is_some()) {
        // §4.3.4: only how they are sent changes.
        results.reverse();
    }
    for result in results {
        step.to_session(session, result);
    }
    let end = |message: Option<&store::ArchivedMessage>| message.and_then(|message| archive.id(message.seq));
    let given = Given {
        first: end(page.messages.first()).map(|first| (first, None)),
        last: end(page.messages.last()),
        count: page.count.and_then(|count| usize::try_from(count).ok()),
    };
    Element::new(ns::MAM, "fin")
        .with_attr_opt("complete", page.complete.then_some("true"))
        .with_child(given.to_element())
}

#[cfg(test)]
mod tests;
