//! What the server has accepted. A sender takes a message as accepted once the server has acknowledged it (XEP-0198),
//! or has answered a later request of the same stream.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, MessageNo, StreamNo};

/// The messages that were accepted.
#[derive(Default)]
pub struct Accepted {
    /// What each stream has sent and was not told of.
    unsure: BTreeMap<StreamNo, Vec<MessageNo>>,
    /// The last message before a request.
    before: BTreeMap<(StreamNo, String), MessageNo>,
    accepted: BTreeSet<MessageNo>,
}

impl Accepted {
    /// Looks at what happened.
    pub fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Sent { stream, number, .. } => self.unsure.entry(*stream).or_default().push(*number),
            Event::Asked { stream, id, .. } => {
                if let Some(last) = self.unsure.get(stream).and_then(|sent| sent.last()) {
                    self.before.insert((*stream, (*id).to_owned()), *last);
                }
            }
            Event::Acked { stream, numbers } => {
                self.accepted.extend(numbers.iter());
                self.unsure.entry(*stream).or_default().retain(|number| !numbers.contains(number));
            }
            Event::Answered { stream, id, .. } => {
                let Some(last) = self.before.remove(&(*stream, (*id).to_owned())) else { return };
                let unsure = self.unsure.entry(*stream).or_default();
                self.accepted.extend(unsure.extract_if(.., |number| *number <= last));
            }
            _ => {}
        }
    }

    /// All of them.
    pub fn messages(&self) -> &BTreeSet<MessageNo> {
        &self.accepted
    }
}
