//! Who hears from outside what came of an order: once the number is known that it rests on.

use futures_channel::oneshot;
use xmpp::error::StanzaError;

use crate::letter::Outcome;

/// Those who asked for something from outside the entities and are told once the step's number is known.
#[derive(Default)]
pub struct Told {
    waiting: Vec<(oneshot::Sender<Outcome>, Result<(), StanzaError>)>,
}

impl Told {
    /// Tells the asker, when the step has ended, what came of it.
    pub fn tell(&mut self, asker: oneshot::Sender<Outcome>, outcome: Result<(), StanzaError>) {
        self.waiting.push((asker, outcome));
    }

    /// The step rests on this number.
    pub fn at(self, lsn: store::Lsn) {
        for (asker, outcome) in self.waiting {
            // Whoever asked may have gone away in the meantime; then nobody needs to know.
            let _ = asker.send((lsn, outcome));
        }
    }
}
