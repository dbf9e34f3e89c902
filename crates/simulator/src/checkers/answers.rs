//! Every request gets exactly one answer (RFC 6120 §8.2.3), as long as its stream lives.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Complaints};
use crate::event::{Event, StreamNo};

/// The rule.
#[derive(Default)]
pub struct Answers {
    /// Whether each request of each living stream has been answered.
    asked: BTreeMap<StreamNo, BTreeMap<String, bool>>,
    /// Requests of streams that are over. Their answers may come to the device's next stream.
    past: BTreeSet<String>,
}

impl Checker for Answers {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Asked { stream, id, .. } => {
                self.asked.entry(*stream).or_default().insert((*id).to_owned(), false);
            }
            Event::Answered { stream, id, .. } => {
                match self.asked.get_mut(stream).and_then(|asked| asked.get_mut(*id)) {
                    Some(answered) if !*answered => *answered = true,
                    Some(_) => complaints.push(format!("answers: stream {stream} heard {id} twice")),
                    None if self.past.contains(*id) => {}
                    None => complaints.push(format!("answers: stream {stream} never asked {id}")),
                }
            }
            Event::Ended { stream } => {
                self.past.extend(self.asked.remove(stream).unwrap_or_default().into_keys());
            }
            Event::AtRest { .. } => {
                for (stream, asked) in &self.asked {
                    for (id, _) in asked.iter().filter(|(_, answered)| !**answered) {
                        complaints.push(format!("answers: stream {stream} waits for {id} for ever"));
                    }
                }
            }
            _ => {}
        }
    }
}
