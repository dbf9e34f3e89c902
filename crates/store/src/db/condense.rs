//! What a group need not write: a letter that is kept and read within it, counts that grow further within it, a stanza
//! that is owed and acknowledged within it, a text that another archive takes within it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use xmpp::jid::BareJid;

use super::{Sink, Tables};
use crate::archive::{self, ArchiveMessage};
use crate::log::Append;
use crate::write::Write;

/// A write of a group, or what of it is to be done.
pub(crate) enum Condensed<'a> {
    /// All of it.
    Write(&'a Write),
    /// A message goes into an archive; its text is where another archive of the group has it.
    ArchiveShare(&'a ArchiveMessage),
}

impl Condensed<'_> {
    /// What it does in the database.
    pub(crate) fn run(&self, sink: &mut dyn Sink) {
        match self {
            Condensed::Write(write) => write.run(sink),
            Condensed::ArchiveShare(message) => archive::share(message, sink),
        }
    }
}

/// What is written into tables at once.
pub(crate) enum Together<'a> {
    /// One write.
    Write(&'a Write),
    /// Messages for archives, in their order. Nothing that was between them has to do with archives.
    ArchiveMessages(Vec<&'a ArchiveMessage>),
}

impl Together<'_> {
    /// What it does to the tables.
    pub(crate) fn run(&self, tables: &mut dyn Tables) {
        match self {
            Together::Write(write) => write.run(tables),
            Together::ArchiveMessages(messages) => archive::keep_all(messages, tables),
        }
    }
}

/// Sessions by their keys, which nobody can guess: whose each is, and how many stanzas its client has acknowledged by
/// the last word on it.
type Counted<'a> = HashMap<&'a str, (&'a BareJid, u64)>;

/// The writes of a group in order, without those that later ones make void.
pub(crate) fn condense(group: &[Append]) -> Vec<Condensed<'_>> {
    let mut shared = HashSet::new();
    standing(group).into_iter().map(|write| without_text(write, &mut shared)).collect()
}

/// The same in an order in which it costs least.
pub(crate) fn gather(group: &[Append]) -> Vec<Together<'_>> {
    let (mut gathered, mut messages) = (Vec::new(), Vec::new());
    for write in standing(group) {
        match write {
            Write::ArchiveKeep(message) => messages.push(&**message),
            other => {
                if changes_archives(other) && !messages.is_empty() {
                    gathered.push(Together::ArchiveMessages(std::mem::take(&mut messages)));
                }
                gathered.push(Together::Write(other));
            }
        }
    }
    if !messages.is_empty() {
        gathered.push(Together::ArchiveMessages(messages));
    }
    gathered
}

/// Whether a write changes what archives have.
fn changes_archives(write: &Write) -> bool {
    matches!(write, Write::ArchiveReplace { .. } | Write::ArchiveClear(_) | Write::AccountRemove { .. })
}

/// A message without the text that is in one of these archives, under this number, since this group.
fn without_text<'a>(write: &'a Write, texts: &mut HashSet<(&'a BareJid, u64)>) -> Condensed<'a> {
    match write {
        Write::ArchiveKeep(message) => {
            let same_as = message.same_as.as_ref().map(|(owner, seq)| (owner, *seq));
            let has_it = same_as.is_some_and(|same_as| texts.contains(&same_as));
            texts.insert((&message.owner, message.seq));
            if has_it {
                return Condensed::ArchiveShare(message);
            }
        }
        other if changes_archives(other) => texts.clear(),
        _ => {}
    }
    Condensed::Write(write)
}

fn standing(group: &[Append]) -> Vec<&Write> {
    let mut writes: Vec<Option<&Write>> = group.iter().flat_map(|append| &append.writes).map(Some).collect();
    let mut letters: HashMap<&str, usize> = HashMap::new();
    let mut counted = Counted::new();
    for place in (0..writes.len()).rev() {
        let void = match writes[place] {
            Some(Write::LetterDrop { key, .. }) => {
                letters.insert(key, place);
                false
            }
            Some(Write::LetterKeep(letter)) => match letters.remove(letter.key.as_str()) {
                Some(dropped) => {
                    writes[dropped] = None;
                    true
                }
                None => false,
            },
            Some(Write::SessionCounted { owner, key, acked, .. }) => match counted.entry(key) {
                Entry::Occupied(_) => true,
                Entry::Vacant(entry) => {
                    entry.insert((owner, *acked));
                    false
                }
            },
            Some(Write::Owe { key, owed, .. }) => {
                counted.get(key.as_str()).is_some_and(|(_, acked)| *acked >= owed.number)
            }
            // Numbers begin anew.
            Some(Write::OweNothing { key, .. } | Write::SessionForget { key, .. }) => {
                counted.remove(key.as_str());
                false
            }
            Some(Write::SessionsForget { owner }) => {
                counted.retain(|_, (other, _)| *other != owner);
                false
            }
            _ => false,
        };
        if void {
            writes[place] = None;
        }
    }
    writes.into_iter().flatten().collect()
}
