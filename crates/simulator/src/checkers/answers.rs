//! Every request gets exactly one answer (RFC 6120 §8.2.3), as long as its stream lives.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Complaints};
use crate::event::{Event, Outcome, StreamNo};

/// The rule.
#[derive(Default)]
pub struct Answers {
    /// The requests of each living stream.
    asked: BTreeMap<StreamNo, BTreeMap<String, Asked>>,
    /// Requests of streams that are over. Their answers may come to the device's next stream.
    past: BTreeSet<String>,
}

/// How it stands with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Open,
    /// The store could not keep it, nor that it was counted: it is asked again if the stream goes on after a crash.
    NotKept,
    Answered,
}

impl Checker for Answers {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Asked { stream, id, .. } => {
                self.asked.entry(*stream).or_default().insert((*id).to_owned(), Asked::Open);
            }
            Event::Answered { stream, id, outcome } => {
                let asked = self.asked.get_mut(stream).and_then(|asked| asked.get_mut(*id));
                match (asked, outcome) {
                    (Some(Asked::Answered), _) => {
                        complaints.push(format!("answers: stream {stream} heard {id} twice"));
                    }
                    (Some(asked), Outcome::Refused("resource-constraint")) => *asked = Asked::NotKept,
                    (Some(asked), _) => *asked = Asked::Answered,
                    (None, _) if self.past.contains(*id) => {}
                    (None, _) => complaints.push(format!("answers: stream {stream} never asked {id}")),
                }
            }
            Event::Ended { stream } => {
                self.past.extend(self.asked.remove(stream).unwrap_or_default().into_keys());
            }
            Event::AtRest { .. } => {
                for (stream, asked) in &self.asked {
                    for (id, _) in asked.iter().filter(|(_, asked)| **asked == Asked::Open) {
                        complaints.push(format!("answers: stream {stream} waits for {id} for ever"));
                    }
                }
            }
            _ => {}
        }
    }
}
