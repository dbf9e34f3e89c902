//! Strangers: where the operator says so, only contacts and those who were written to may write to somebody.

use std::collections::VecDeque;

use step::{Domain, Roster, Sessions, Step, Stop};
use store::Write;
use xmpp::error::Condition;
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{Stanza, Type};

/// The topic of the notes that keep who was written to: one for each address, its key, with a number that grows.
pub const TOPIC: &str = "addressed";

/// Addresses that are remembered for each account; then the oldest is forgotten.
const ADDRESSED_MAX: usize = 200;

/// Those to whom an account has written last who are no contacts of it, the latest last.
#[derive(Debug, Clone, Default)]
pub struct Addressed {
    last: VecDeque<BareJid>,
    count: u64,
}

impl Addressed {
    /// Reads them from the notes of topic [`TOPIC`].
    pub fn load(notes: Vec<(String, Vec<u8>)>) -> Self {
        let number = |value: Vec<u8>| Some(u64::from_be_bytes(value.try_into().ok()?));
        let known = |(key, value): (String, Vec<u8>)| Some((number(value)?, BareJid::new(&key).ok()?));
        let mut all: Vec<_> = notes.into_iter().filter_map(known).collect();
        all.sort();
        let count = all.last().map_or(0, |(number, _)| *number);
        Addressed { last: all.into_iter().map(|(_, address)| address).collect(), count }
    }

    /// A message leaves: its receiver may answer.
    pub fn remember(&mut self, roster: &Roster, account: &BareJid, message: &Stanza, step: &mut Step<'_>) {
        let Some(to) = message.to.as_ref().map(Jid::bare) else { return };
        let known = to == *account || roster.has(&to) || self.last.contains(&to);
        if step.domain.strangers_may_write || known || message.type_ == Type::Error {
            return;
        }
        let note = |address: &BareJid, value| Write::Note {
            owner: account.clone(),
            topic: TOPIC,
            key: address.to_string(),
            value,
        };
        if self.last.len() >= ADDRESSED_MAX
            && let Some(oldest) = self.last.pop_front()
        {
            step.write(note(&oldest, None));
        }
        self.count += 1;
        step.write(note(&to, Some(self.count.to_be_bytes().to_vec())));
        self.last.push_back(to);
    }
}

/// Lets a message arrive that comes from somebody known: oneself, one's server, a contact, somebody to whom one has
/// written or shown one's presence.
///
/// # Errors
/// As [`refusal`].
pub fn may_write(
    addressed: &Addressed,
    roster: &Roster,
    sessions: &Sessions,
    account: &BareJid,
    message: &Stanza,
    domain: &Domain,
) -> Result<(), Stop> {
    let Some(from) = message.from.as_ref().filter(|_| !domain.strangers_may_write) else { return Ok(()) };
    let bare = from.bare();
    let shown = |jid: &Jid| jid.bare() == bare;
    let known = bare == *account
        || from.as_str() == account.domain()
        || roster.has(&bare)
        || addressed.last.contains(&bare)
        || sessions.iter().any(|session| session.directed.iter().any(shown));
    match refusal(message, domain) {
        Some(stop) if !known => Err(stop),
        _ => Ok(()),
    }
}

/// What a stranger hears of a message, whether there is such an account or not (guarantee G16): nothing of what answers
/// or wants no answer, else `subscription-required` (RFC 6120 §8.3.3.20). `None`: strangers may write.
pub fn refusal(message: &Stanza, domain: &Domain) -> Option<Stop> {
    match message.type_ {
        _ if domain.strangers_may_write => None,
        Type::Error => None,
        Type::Headline if message.to.as_ref().is_some_and(Jid::is_bare) => {
            Some(Stop::Drop("a headline from a stranger"))
        }
        _ => Some(Condition::SubscriptionRequired.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, friends, jid, sessions, stepped_of};
    use std::time::Duration;

    fn domain() -> Domain {
        Domain { strangers_may_write: false, ..crate::check::domain() }
    }

    fn may(addressed: &Addressed, from: &str) -> bool {
        let all = sessions(&["alice@one.test/phone"]);
        let message = Stanza::message(Type::Chat).with_from(jid(from)).with_to(jid("alice@one.test"));
        let roster = friends(&["bob@two.test"]);
        may_write(addressed, &roster, &all, &bare("alice@one.test"), &message, &domain()).is_ok()
    }

    #[test]
    fn contacts_and_ones_own_are_no_strangers() {
        let nobody = Addressed::default();
        for known in ["bob@two.test/x", "alice@one.test/desk", "one.test"] {
            assert!(may(&nobody, known), "{known}");
        }
        for stranger in ["carol@one.test/x", "two.test", "one.test/x"] {
            assert!(!may(&nobody, stranger), "{stranger}");
        }
    }

    #[test]
    fn only_so_many_are_remembered_and_come_back_in_order() {
        let mut addressed = Addressed::default();
        let mut notes = std::collections::BTreeMap::new();
        let (account, roster) = (bare("alice@one.test"), friends(&[]));
        for number in 0..=ADDRESSED_MAX {
            let message = Stanza::message(Type::Chat).with_to(jid(&format!("{number}@two.test")));
            let left = stepped_of(&domain(), Duration::ZERO, |step| {
                addressed.remember(&roster, &account, &message, step);
                addressed.remember(&roster, &account, &message, step);
            })
            .1;
            for write in left.writes {
                if let Write::Note { key, value, .. } = write {
                    match value {
                        Some(value) => drop(notes.insert(key, value)),
                        None => drop(notes.remove(&key)),
                    }
                }
            }
        }
        assert!(!may(&addressed, "0@two.test") && may(&addressed, "1@two.test/x"));
        let loaded = Addressed::load(notes.into_iter().collect());
        assert_eq!((loaded.last, loaded.count), (addressed.last, addressed.count));
    }
}
