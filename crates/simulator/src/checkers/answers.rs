//! Every request gets exactly one answer (RFC 6120 §8.2.3), as long as its stream lives.

use std::collections::BTreeMap;

use super::{Checker, Complaints};
use crate::event::{Event, StreamNo};

/// The rule.
#[derive(Default)]
pub struct Answers {
    /// Whether each request of each living stream has been answered.
    asked: BTreeMap<StreamNo, BTreeMap<String, bool>>,
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
                    None => complaints.push(format!("answers: stream {stream} never asked {id}")),
                }
            }
            Event::Ended { stream } => drop(self.asked.remove(stream)),
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
