//! What a group need not write: a letter that is kept and read within it, a count that grows further within it, a
//! stanza that is owed and acknowledged within it.

use std::collections::HashMap;

use xmpp::jid::BareJid;

use crate::log::Append;
use crate::write::Write;

/// A session: whose, and its key.
type Session<'a> = (&'a BareJid, &'a str);

/// The writes of a group in order, without those that later ones make void.
pub(crate) fn condense(group: &[Append]) -> Vec<&Write> {
    let mut writes: Vec<Option<&Write>> = group.iter().flat_map(|append| &append.writes).map(Some).collect();
    let mut letters: HashMap<&str, usize> = HashMap::new();
    let mut handled: HashMap<Session<'_>, u64> = HashMap::new();
    let mut acked: HashMap<Session<'_>, u64> = HashMap::new();
    for place in (0..writes.len()).rev() {
        let void = match writes[place] {
            Some(Write::LetterDrop { key }) => {
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
            Some(Write::SessionHandled { owner, key, handled: count }) => {
                handled.insert((owner, key), *count).is_some()
            }
            Some(Write::SessionAcked { owner, key, acked: count }) => {
                let before = acked.get(&(owner, key.as_str())).copied();
                acked.insert((owner, key), before.unwrap_or_default().max(*count));
                before.is_some_and(|later| later >= *count)
            }
            Some(Write::Owe { owner, key, owed }) => {
                acked.get(&(owner, key.as_str())).is_some_and(|later| *later >= owed.number)
            }
            // Numbers begin anew.
            Some(Write::OweNothing { owner, key } | Write::SessionForget { owner, key }) => {
                acked.remove(&(owner, key.as_str()));
                handled.remove(&(owner, key.as_str()));
                false
            }
            Some(Write::SessionsForget { owner }) => {
                acked.retain(|(other, _), _| *other != owner);
                handled.retain(|(other, _), _| *other != owner);
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
