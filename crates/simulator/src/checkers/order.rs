//! Order per pair (guarantee G1): what one stream sends to one account comes to each of the account's streams in the
//! order in which it was sent.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::{FullJid, Jid};

use super::{Checker, Complaints};
use crate::event::{Event, How, MessageNo, StreamNo};

/// The rule. What was held because no device wanted to hear may be overtaken by what goes to a device by its own
/// address; once the device hears for the account, it no longer may.
#[derive(Default)]
pub struct Order {
    sent: BTreeMap<MessageNo, (StreamNo, Jid)>,
    streams: BTreeMap<StreamNo, Stream>,
}

/// The last message by sender and by the address it was sent to: what was meant for a device that has gone takes its
/// way anew, and so comes later than what was meant for another.
type Last = BTreeMap<(StreamNo, Jid), MessageNo>;

/// What is known of the receiver's stream.
struct Stream {
    jid: FullJid,
    /// What it has received last from each sender for each address.
    last: Last,
    /// The same, of what was not held since it hears for the account, and of what was held.
    last_direct: Last,
    last_held: Last,
    /// The same, of copies.
    last_copied: Last,
    received: BTreeSet<MessageNo>,
    /// The priority that goes with each status it told.
    told: BTreeMap<String, i8>,
    listens: bool,
}

impl Checker for Order {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Bound { stream, jid } => drop(self.streams.insert(*stream, Stream::new(jid))),
            Event::Told { stream, status, priority } => {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.listens = false;
                    stream.told.extend(status.map(|status| (status.to_owned(), *priority)));
                }
            }
            Event::Heard { stream, from, status: Some(status) } => {
                // The echo of its own presence shows that the server has taken note.
                if let Some(stream) = self.streams.get_mut(stream).filter(|own| **from == *own.jid) {
                    stream.listens = stream.told.get(*status).is_some_and(|priority| *priority >= 0);
                }
            }
            Event::Sent { stream, number, to } => drop(self.sent.insert(*number, (*stream, (*to).clone()))),
            Event::Received { stream, number, how } => {
                let Some((sender, to)) = self.sent.get(number) else {
                    return complaints.push(format!("order: m{number} was received, and nobody sent it"));
                };
                let Some(receiver) = self.streams.get_mut(stream) else { return };
                if receiver.jid.bare() != to.bare() {
                    complaints.push(format!("order: m{number} to {to} came to {}", receiver.jid));
                }
                if let Some(last) = receiver.receive(*number, (*sender, to.clone()), *how) {
                    complaints.push(format!("order: m{number} came to stream {stream} after m{last}"));
                }
            }
            _ => {}
        }
    }
}

impl Stream {
    fn new(jid: &FullJid) -> Self {
        Stream {
            jid: jid.clone(),
            last: Last::new(),
            last_direct: Last::new(),
            last_held: Last::new(),
            last_copied: Last::new(),
            received: BTreeSet::new(),
            told: BTreeMap::new(),
            listens: false,
        }
    }

    /// Returns the later message of the same sender to the same address that has overtaken it, if any.
    fn receive(&mut self, number: MessageNo, pair: (StreamNo, Jid), how: How) -> Option<MessageNo> {
        if !self.received.insert(number) {
            // What has left and could not be crossed off because a commit failed comes again (G4: at least once).
            return None;
        }
        let before = match how {
            How::Direct => self.last.get(&pair).copied(),
            How::Held => self.last_direct.get(&pair).max(self.last_held.get(&pair)).copied(),
            // It comes when the other device has gone; its stamp says where it belongs.
            How::TakenBack => return None,
            // What the other device was given late may have gone there before this one asked for copies.
            How::Copied => self.last_copied.get(&pair).copied(),
        };
        let raise = |last: &mut Last| {
            let last = last.entry(pair.clone()).or_default();
            *last = number.max(*last);
        };
        match how {
            How::Copied => {
                raise(&mut self.last_copied);
                return before.filter(|before| number < *before);
            }
            _ => raise(&mut self.last),
        }
        match how {
            How::Held => raise(&mut self.last_held),
            _ if self.listens => raise(&mut self.last_direct),
            _ => {}
        }
        before.filter(|before| number < *before)
    }
}
