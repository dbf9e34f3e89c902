//! Preferences (XEP-0441): whose messages are archived, as the account's owner wants it.

use std::collections::BTreeSet;

use step::{Roster, Step, Stop};
use store::Write;
use xmpp::error::Condition;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::{self, Element};

/// The topic of the note that keeps preferences, as the XML of their element.
pub const TOPIC: &str = "archive";
/// Its key.
pub const KEY: &str = "prefs";

/// Addresses in both lists together.
const ADDRESSES_MAX: usize = 1_000;

/// What is archived of those who are in no list (§2.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Others {
    #[default]
    Always,
    Never,
    Roster,
}

/// What an owner prefers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    others: Others,
    always: BTreeSet<Jid>,
    never: BTreeSet<Jid>,
}

impl Preferences {
    /// As they were kept. What cannot be read is as if it had never been set.
    pub fn read(note: &[u8]) -> Self {
        let element = xml::parse(note, xml::Limits::CHECKED).ok();
        element.and_then(|element| parsed(&element).ok()).unwrap_or_default()
    }

    /// Whether a message to or from this address is archived (§2.3). Who is in both lists never is: privacy first.
    pub fn want(&self, roster: &Roster, with: &Jid) -> bool {
        let listed = |list: &BTreeSet<Jid>| {
            !list.is_empty() && (list.contains(with) || list.contains(&Jid::from(with.bare())))
        };
        if listed(&self.never) || listed(&self.always) {
            return !listed(&self.never);
        }
        match self.others {
            Others::Always => true,
            Others::Never => false,
            Others::Roster => roster.has(&with.bare()),
        }
    }

    /// Nothing is archived.
    pub fn never() -> Self {
        Preferences { others: Others::Never, ..Preferences::default() }
    }

    /// As they are kept.
    pub fn to_note(&self, owner: &BareJid) -> Write {
        let value = Some(self.to_element().to_xml().into_bytes());
        Write::Note { owner: owner.clone(), topic: TOPIC, key: KEY.to_owned(), value }
    }

    /// As they are shown, and kept.
    pub fn to_element(&self) -> Element {
        let default = match self.others {
            Others::Always => "always",
            Others::Never => "never",
            Others::Roster => "roster",
        };
        let list = |name, addresses: &BTreeSet<Jid>| {
            let jid = |address: &Jid| Element::new(ns::MAM, "jid").with_text(address.as_str());
            Element::new(ns::MAM, name).with_children(addresses.iter().map(jid))
        };
        Element::new(ns::MAM, "prefs")
            .with_attr("default", default)
            .with_child(list("always", &self.always))
            .with_child(list("never", &self.never))
    }
}

/// Other preferences, kept from now on.
///
/// # Errors
/// `bad-request` without a default that is one of three; `jid-malformed`; `policy-violation` for too many addresses.
pub fn set(
    owner: &BareJid,
    before: &Preferences,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Preferences, Stop> {
    let preferences = parsed(&iq.element(ns::MAM, "prefs").ok_or(Condition::BadRequest)?)?;
    // Some clients say at each login what they have always said.
    if preferences == *before {
        return Ok(preferences);
    }
    if preferences.always.len() + preferences.never.len() > ADDRESSES_MAX {
        return Err(Condition::PolicyViolation.into());
    }
    step.write(preferences.to_note(owner));
    Ok(preferences)
}

fn parsed(prefs: &Element) -> Result<Preferences, Stop> {
    let others = match prefs.attr("default") {
        Some("always") => Others::Always,
        Some("never") => Others::Never,
        Some("roster") => Others::Roster,
        _ => return Err(Condition::BadRequest.into()),
    };
    let list = |name| -> Result<BTreeSet<Jid>, Stop> {
        let lists = prefs.children().filter(|child| child.is(ns::MAM, name));
        let jids = lists.flat_map(|list| list.children().filter(|child| child.is(ns::MAM, "jid")));
        jids.map(|jid| Jid::new(jid.text().trim()).map_err(|_| Condition::JidMalformed.into())).collect()
    };
    Ok(Preferences { others, always: list("always")?, never: list("never")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, iq, stepped};
    use xmpp::stanza::Type;

    #[test]
    fn what_is_preferred_already_is_not_written_again() {
        let alice = bare("alice@one.test");
        let never = iq(
            Type::Set,
            "<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never><jid>bob@one.test</jid></never></prefs>",
        );
        let (first, left) = stepped(|step| set(&alice, &Preferences::default(), &never, step));
        let first = first.unwrap();
        assert_eq!(left.writes, [first.to_note(&alice)]);
        let (again, left) = stepped(|step| set(&alice, &first, &never, step));
        assert_eq!((again.unwrap(), left.writes.len()), (first, 0));
    }
}
