//! What is held back from a client at which nobody looks (XEP-0352), until something goes that must.

use std::collections::VecDeque;

use step::rules::{self, Inactive};
use xmpp::stanza::Stanza;

use crate::door::Waiting;
use crate::outgoing::Outgoing;

/// Bytes that are held back for one client; beyond that all of them go.
pub const HELD_BACK_BYTES: usize = 64 << 10;

/// What one client has not been given, the oldest first. All of it is committed.
#[derive(Debug)]
pub struct HeldBack {
    stanzas: VecDeque<Kept>,
    bytes: usize,
    stanzas_max: usize,
    /// So many have given way to newer ones since all went the last time.
    superseded: u64,
    /// So many of what comes next are on their way to the client already.
    going: usize,
}

#[derive(Debug)]
struct Kept {
    waiting: Waiting,
    /// Of things with the same source only the newest counts.
    source: Option<String>,
}

/// What becomes of something that could leave.
#[derive(Debug)]
pub enum Fate {
    /// It leaves.
    Goes(Waiting),
    /// It is held back.
    Waits,
    /// These go, in order: what was held back, and what made it go.
    AllGo(Vec<Waiting>),
}

impl HeldBack {
    /// Nothing yet; never more than so many stanzas.
    pub fn new(stanzas_max: usize) -> Self {
        HeldBack { stanzas: VecDeque::new(), bytes: 0, stanzas_max, superseded: 0, going: 0 }
    }

    /// Something could leave, behind all that was held back: order is kept (guarantee G1).
    pub fn meet(&mut self, waiting: Waiting) -> Fate {
        if self.going > 0 {
            self.going -= 1;
            return Fate::Goes(waiting);
        }
        let source = match &waiting.outgoing {
            Outgoing::Stanza(stanza) | Outgoing::Shared(stanza, _) => match rules::while_inactive(stanza) {
                Inactive::Flush => return self.let_go(Some(waiting)),
                Inactive::Newest => source(stanza),
                // Whether it names the reader is seen where the reader's names are known.
                Inactive::Hold | Inactive::IfNamed => None,
            },
            // What was kept while nobody was there was asked for; everything else is about the stream itself.
            _ => return self.let_go(Some(waiting)),
        };
        self.hold(waiting, source);
        match self.stanzas.len() > self.stanzas_max || self.bytes > HELD_BACK_BYTES {
            true => self.let_go(None),
            false => Fate::Waits,
        }
    }

    fn hold(&mut self, waiting: Waiting, source: Option<String>) {
        let older = source
            .as_ref()
            .and_then(|source| self.stanzas.iter().position(|kept| kept.source.as_ref() == Some(source)));
        if let Some(kept) = older.and_then(|place| self.stanzas.remove(place)) {
            self.bytes -= kept.waiting.outgoing.byte_len();
            self.superseded += 1;
        }
        self.bytes += waiting.outgoing.byte_len();
        self.stanzas.push_back(Kept { waiting, source });
    }

    /// Everything goes, and `next` behind it.
    fn let_go(&mut self, next: Option<Waiting>) -> Fate {
        match (next, self.stanzas.is_empty()) {
            (Some(next), true) => Fate::Goes(next),
            (next, _) => {
                let all: Vec<_> = self.take().chain(next).collect();
                self.going = all.len();
                Fate::AllGo(all)
            }
        }
    }

    /// Everything that is held back, as it stays.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.stanzas.iter().map(|kept| &kept.waiting)
    }

    /// Bytes of that.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many have given way to newer ones since all went the last time.
    pub fn superseded(&self) -> u64 {
        self.superseded
    }

    /// The same; from now on they are none.
    pub fn take_superseded(&mut self) -> u64 {
        std::mem::take(&mut self.superseded)
    }

    /// Everything that is held back.
    pub fn take(&mut self) -> impl DoubleEndedIterator<Item = Waiting> + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.stanzas).into_iter().map(|kept| kept.waiting)
    }
}

/// What a stanza is the newest of; `None`: it stands by itself.
fn source(stanza: &Stanza) -> Option<String> {
    let copied = rules::copied_message(stanza);
    let stanza = copied.as_ref().unwrap_or(stanza);
    let ends = [&stanza.from, &stanza.to].map(|jid| jid.as_ref().map_or("", |jid| jid.as_str()));
    let item = match rules::item(stanza) {
        Some(item) => item?,
        None => String::new(),
    };
    Some(format!("{:?} {} {} {item}", stanza.kind, ends[0], ends[1]))
}
