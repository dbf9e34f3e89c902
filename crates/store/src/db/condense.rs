//! What a group need not write: a letter that is kept and read within it, counts that grow further within it, a stanza
//! that is owed and acknowledged within it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xmpp::jid::BareJid;

use crate::log::Append;
use crate::write::Write;

/// Sessions by their keys, which nobody can guess: whose each is, and how many stanzas its client has acknowledged by
/// the last word on it.
type Counted<'a> = HashMap<&'a str, (&'a BareJid, u64)>;

/// The writes of a group in order, without those that later ones make void.
pub(crate) fn condense(group: &[Append]) -> Vec<&Write> {
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
