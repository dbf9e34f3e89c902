//! A client may take the latest message that it knows for all before it, and ask its archive for what came after that
//! (XEP-0313 §3.1): while a stream is being handed what was held, nothing comes on it before its turn.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::BareJid;

use super::{Checker, Complaints};
use crate::event::{Event, How, Kept, MessageNo, StreamNo};

/// The rule.
#[derive(Default)]
pub struct Turns {
    accounts: BTreeMap<StreamNo, BareJid>,
    given: BTreeMap<StreamNo, Given>,
}

/// What came on a stream for the first time, in order, since the first that had been held.
#[derive(Default)]
struct Given {
    known: BTreeSet<MessageNo>,
    turns: Vec<Turn>,
}

/// What a device could see of its place in a queue.
enum Turn {
    /// It was given what had been held.
    Held(MessageNo),
    /// Something came otherwise.
    Other(MessageNo),
    /// It has said how it is: what is held for it may have begun or ended anew.
    Presence,
}

impl Given {
    fn add(&mut self, number: MessageNo, turn: fn(MessageNo) -> Turn) {
        if self.known.insert(number) {
            self.turns.push(turn(number));
        }
    }
}

impl Checker for Turns {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Bound { stream, jid } => drop(self.accounts.insert(*stream, jid.bare())),
            Event::Told { stream, .. } => self.given.entry(*stream).or_default().turns.push(Turn::Presence),
            // What another device was meant to have is late, and says so.
            Event::Received { how: How::TakenBack, .. } => {}
            Event::Received { stream, number, how: How::Held } => {
                self.given.entry(*stream).or_default().add(*number, Turn::Held);
            }
            Event::Received { stream, number, .. } | Event::Overheard { stream, number } => {
                self.given.entry(*stream).or_default().add(*number, Turn::Other);
            }
            Event::AtRest { kept, .. } => kept.iter().for_each(|kept| self.in_turn(kept, complaints)),
            _ => {}
        }
    }
}

impl Turns {
    fn in_turn(&self, kept: &Kept, complaints: &mut Complaints) {
        let places: BTreeMap<MessageNo, usize> = kept.archived.iter().copied().zip(0..).collect();
        let own = self.given.iter().filter(|(stream, _)| self.accounts.get(stream) == Some(&kept.account));
        for (stream, given) in own {
            // Since the first that had been held: the latest, by its place in the archive.
            let mut latest: Option<(usize, MessageNo)> = None;
            let mut has_begun = false;
            for turn in &given.turns {
                match turn {
                    Turn::Presence => (latest, has_begun) = (None, false),
                    Turn::Other(number) if has_begun => {
                        latest = latest.max(places.get(number).map(|place| (*place, *number)));
                    }
                    Turn::Other(_) => {}
                    Turn::Held(number) => {
                        has_begun = true;
                        let before =
                            latest.filter(|(latest, _)| places.get(number).is_some_and(|at| latest > at));
                        if let Some((_, before)) = before {
                            complaints.push(format!(
                                "turns: m{number} was held and came to stream {stream} after m{before}"
                            ));
                        }
                    }
                }
            }
        }
    }
}
