//! What a message of the soak is, and by which way it came.

use std::hash::{DefaultHasher, Hash, Hasher};

use memchr::memmem;

use crate::text::{attribute, contains};

/// The reason on the delay of a message that another device was to have (XEP-0203).
const TAKEN_BACK: &str = ">Taken back from another device<";

/// The name that a message bears: who said it, on which of its streams, and its number among all that it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The device, by its place in the soak.
    pub device: usize,
    /// The stream, counted by the device.
    pub stream: u32,
    /// The number; over all streams of the device.
    pub number: u32,
}

impl Name {
    /// As the id of a stanza.
    pub fn write(self) -> String {
        format!("w{}.{}.{}", self.device, self.stream, self.number)
    }

    /// Out of the id of a stanza.
    pub fn read(id: &str) -> Option<Self> {
        let mut parts = id.strip_prefix('w')?.split('.');
        let device = parts.next()?.parse().ok()?;
        let (stream, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Name { device, stream, number })
    }
}

/// By which way a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the device itself: as it was said, or after it had been held.
    Given,
    /// A copy of what another device hears or says (XEP-0280).
    Copied,
    /// On a page of the archive (XEP-0313), of the query of this id.
    Page(Query),
}

/// For what a device reads the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// To catch up with what it missed.
    Missed,
    /// A page before what it has, as people do who scroll back. The last page would be a way to catch up: whoever is
    /// just being handed what was held is not given what is on it (docs/decisions/0012).
    Earlier,
    /// All of it.
    Whole,
}

impl Query {
    /// The id of its requests.
    pub fn id(self) -> &'static str {
        match self {
            Query::Missed => "missed",
            Query::Earlier => "earlier",
            Query::Whole => "whole",
        }
    }

    /// By that id.
    pub fn of(id: &str) -> Option<Self> {
        [Query::Missed, Query::Earlier, Query::Whole].into_iter().find(|query| query.id() == id)
    }
}

/// A message that came.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Which.
    pub name: Name,
    /// How.
    pub way: Way,
    /// Its id in the archive of the account that hears it (XEP-0359).
    pub archived: Option<&'a str>,
    /// A device that has gone was to have it: it may come after later ones, and says so.
    pub is_taken_back: bool,
}

/// Reads a message that somebody at the bare address `own` hears; none for what is not the soak's.
pub fn read<'a>(xml: &'a [u8], own: &str) -> Option<Heard<'a>> {
    if let Some(at) = memmem::find(xml, b"<result") {
        let query = Query::of(attribute(&xml[at..], "queryid")?)?;
        let name = Name::read(attribute(inner(xml)?, "id")?)?;
        let archived = attribute(&xml[at..], "id");
        return Some(Heard { name, way: Way::Page(query), archived, is_taken_back: false });
    }
    let (message, way) = match contains(xml, "urn:xmpp:carbons:2") {
        true => (inner(xml)?, Way::Copied),
        false => (xml, Way::Given),
    };
    let name = Name::read(attribute(message, "id")?)?;
    let is_taken_back = contains(xml, TAKEN_BACK);
    Some(Heard { name, way, archived: archived(message, own), is_taken_back })
}

/// The message within a message.
fn inner(xml: &[u8]) -> Option<&[u8]> {
    memmem::find_iter(xml, b"<message").nth(1).map(|at| &xml[at..])
}

/// The id that the archive of this account has given it.
fn archived<'a>(xml: &'a [u8], own: &str) -> Option<&'a str> {
    let ids = memmem::find_iter(xml, b"<stanza-id").map(|at| &xml[at..]);
    ids.into_iter().find(|id| attribute(id, "by") == Some(own)).and_then(|id| attribute(id, "id"))
}

/// An archive's id as a number that is not 0, for millions of them.
pub fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_told_from_the_others() {
        let own = "u1@one.test";
        let name = Name { device: 3, stream: 2, number: 17 };
        let said = format!(
            "<message id='{}' type='chat'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='u7@one.test' id='x'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='{own}' id='a1'/></message>",
            name.write()
        );
        let heard = read(said.as_bytes(), own).unwrap();
        assert_eq!((heard.name, heard.way, heard.archived), (name, Way::Given, Some("a1")));
        let copy = format!(
            "<message from='{own}'><received xmlns='urn:xmpp:carbons:2'><forwarded>{said}</forwarded></received>\
             </message>"
        );
        let heard = read(copy.as_bytes(), own).unwrap();
        assert_eq!((heard.name, heard.way, heard.archived), (name, Way::Copied, Some("a1")));
        let page = format!(
            "<message><result xmlns='urn:xmpp:mam:2' queryid='missed' id='a2'><forwarded>{said}</forwarded></result>\
             </message>"
        );
        let heard = read(page.as_bytes(), own).unwrap();
        assert_eq!((heard.name, heard.way, heard.archived), (name, Way::Page(Query::Missed), Some("a2")));
        assert!(read(b"<message id='m1'><body>hi</body></message>", own).is_none());
    }
}
