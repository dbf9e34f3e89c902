//! How far an archive goes: its first and its last message (XEP-0313 §5).

use std::time::SystemTime;

use step::{Read, Return, SessionId, Sessions, Step};
use xmpp::datetime;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::xml::Element;

use super::{Archive, query};

/// A message's number and its time.
type End = (u64, SystemTime);

/// The ends of an archive, as its account knows them without asking the store.
#[derive(Debug, Default)]
pub(super) enum Ends {
    #[default]
    Empty,
    Between([End; 2]),
    /// The oldest have been cleared away, and the store is asked which is the first now; the last is known.
    Cleared(End),
}

impl Ends {
    pub(super) fn load(ends: Option<[End; 2]>) -> Self {
        ends.map_or(Ends::Empty, Ends::Between)
    }

    pub(super) fn extend(&mut self, last: End) {
        *self = match *self {
            Ends::Empty => Ends::Between([last, last]),
            Ends::Between([first, _]) => Ends::Between([first, last]),
            Ends::Cleared(_) => Ends::Cleared(last),
        }
    }
}

/// What a session is told of the archive as it is bound, if that is known (XEP-0386 §3.2). From there on it takes what
/// is in the archive out of it itself: of that nothing is handed over.
pub fn bound(archive: &Archive, sessions: &mut Sessions, session: SessionId) -> Option<Element> {
    archive.ids.as_ref()?;
    if let Some(session) = sessions.find_mut(session) {
        session.archive_read = query::all(archive.last);
    }
    match archive.ends {
        Ends::Empty => Some(metadata(archive, None)),
        Ends::Between(ends) => Some(metadata(archive, Some(ends))),
        Ends::Cleared(_) => None,
    }
}

/// The oldest messages of the archive have been cleared away.
pub fn cleared(archive: &mut Archive, owner: &BareJid, step: &mut Step<'_>) {
    if let Ends::Between([_, last]) = archive.ends {
        archive.ends = Ends::Cleared(last);
    }
    let read = Read::ArchiveEnds { owner: owner.clone() };
    step.read(read, Return::ArchiveEnds { last: archive.last });
}

/// The store knows them again; `last` was the highest number when it was asked.
pub fn ends_returned(
    archive: &mut Archive,
    owner: &BareJid,
    last: u64,
    ends: Option<[End; 2]>,
    step: &mut Step<'_>,
) {
    match (ends, &archive.ends) {
        (Some([first, _]), Ends::Cleared(latest)) => archive.ends = Ends::Between([first, *latest]),
        (None, _) if archive.last == last => archive.ends = Ends::Empty,
        // The first one came in the meantime.
        (None, _) => cleared(archive, owner, step),
        (Some(_), _) => {}
    }
}

/// §5.
pub(super) fn metadata(archive: &Archive, ends: Option<[End; 2]>) -> Element {
    let metadata = Element::new(ns::MAM, "metadata");
    let Some(ends) = ends else { return metadata };
    let told = ["start", "end"].into_iter().zip(ends).filter_map(|(name, (seq, at))| {
        let end = Element::new(ns::MAM, name).with_attr("id", archive.id(seq)?);
        Some(end.with_attr("timestamp", datetime::format(at)))
    });
    metadata.with_children(told)
}
