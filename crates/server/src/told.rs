//! Who hears from outside what came of an order: once the number is known that it rests on.

use futures_channel::oneshot;
use store::Lsn;
use xmpp::error::StanzaError;

use crate::letter::Outcome;

/// Tells one asker; the step rests on this number.
type Teller = Box<dyn FnOnce(Lsn)>;

/// Those who asked for something from outside the entities and are told once the step's number is known.
#[derive(Default)]
pub struct Told {
    waiting: Vec<Teller>,
}

impl Told {
    /// Tells the asker, when the step has ended, what came of it.
    pub fn tell(&mut self, asker: oneshot::Sender<Outcome>, outcome: Result<(), StanzaError>) {
        self.answer(asker, outcome);
    }

    /// Gives the asker, when the step has ended, what it asked for.
    pub fn answer<T: 'static>(&mut self, asker: oneshot::Sender<(Lsn, T)>, answer: T) {
        self.waiting.push(Box::new(move |lsn| {
            // Whoever asked may have gone away in the meantime; then nobody needs to know.
            let _ = asker.send((lsn, answer));
        }));
    }

    /// The step rests on this number.
    pub fn at(self, lsn: Lsn) {
        for tell in self.waiting {
            tell(lsn);
        }
    }
}
