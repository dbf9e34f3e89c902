//! The directory: finds the one cell of every entity that is awake, and makes it when somebody writes to it.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::Mutex;
use step::{Question, Return};
use store::{KeptLetter, Lsn};
use xmpp::jid::BareJid;
use xmpp::stanza::Stanza;

use crate::entity::Entity;
use crate::letter::{Envelope, Letter};
use crate::ticket::Ticket;

/// Parts that are locked apart from each other.
const SHARDS: usize = 64;

/// Where an entity is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Not in memory; nobody has asked for it to be loaded.
    Asleep,
    /// Being read from the store; letters wait.
    Loading,
    /// In memory, doing nothing.
    Idle,
    /// Somebody is stepping it, or has it on a work list.
    Claimed,
    /// Taken out of the directory; look it up again.
    Gone,
}

/// One entity: its mailbox, and itself when it is awake and nobody steps it.
pub struct Cell {
    /// Its address: an account, or a domain of ours.
    pub address: BareJid,
    /// The rest, behind one lock that is never held during a step.
    pub inner: Mutex<Inner>,
}

/// What the lock of a cell protects.
pub struct Inner {
    /// Where it is in its life.
    pub life: Life,
    /// Letters that wait, in order.
    pub mailbox: VecDeque<Envelope>,
    /// The entity, unless it is being stepped or is not in memory.
    pub entity: Option<Box<Entity>>,
    /// The highest number that its state rests on: its own writes and the letters it has read.
    pub lsn: Lsn,
    /// The number of its last writes that nobody waits for: if these are lost, nothing else is.
    pub patient: Lsn,
    /// Failures of the log that have been looked at; when there are more, `lsn` is checked again.
    pub failures_seen: u64,
    /// Registered letters that were found in the store when the entity was loaded, before they came by post: what
    /// comes by post under these keys has been read already.
    pub found: Vec<String>,
    /// How often the entity has been loaded.
    pub loads: u64,
    /// How often it was loaded anew since the store kept something of it.
    pub losses: u32,
    /// Whether a question of the entity is being answered.
    pub asking: bool,
    /// Questions that wait until it has been.
    pub questions: VecDeque<Asking>,
    /// When it was last stepped.
    pub used: Instant,
}

/// A question that waits.
pub struct Asking {
    /// What is asked.
    pub question: Question,
    /// Who gets the answer.
    pub back: Return,
    /// The letter that it comes of, which the store keeps until the answer has been read.
    pub kept: Option<Unfinished>,
    /// The stanza that it comes from.
    pub ticket: Option<Ticket>,
}

/// A letter that the store keeps until a question has been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its key.
    pub key: String,
    /// How often the entity had been loaded when it was read: after that it is read again.
    pub load: u64,
}

impl Inner {
    /// The number of the last of all its writes.
    pub fn appended(&self) -> Lsn {
        self.lsn.max(self.patient)
    }

    /// The question to be answered next, if none is being answered.
    pub fn next_question(&mut self) -> Option<Asking> {
        if self.asking {
            return None;
        }
        let next = self.questions.pop_front();
        self.asking = next.is_some();
        next
    }

    /// Puts letters that the store has kept before all others, unless they are in the mailbox.
    pub fn prepend(&mut self, kept: Vec<KeptLetter>) {
        // Those that wait for an answer are read again, in their order.
        self.loads += 1;
        self.questions.retain(|asking| asking.kept.is_none());
        for KeptLetter { key, leaving, xml, to } in kept.into_iter().rev() {
            let by_post = |envelope: &Envelope| envelope.letter.is_registered(&key);
            if self.mailbox.iter().any(by_post) {
                continue;
            }
            let stanza = match Stanza::read(&xml) {
                Ok(stanza) => stanza,
                Err(error) => {
                    tracing::error!(%key, %to, ?error, "a kept letter cannot be read");
                    continue;
                }
            };
            if leaving {
                self.mailbox.push_front(Envelope::new(Letter::Unfinished(key, stanza)));
                continue;
            }
            if !self.found.contains(&key) {
                self.found.push(key.clone());
            }
            self.mailbox.push_front(Envelope::new(Letter::Registered(key, stanza)));
        }
    }

    /// Puts a letter behind all others, unless it was found in the store before it came.
    pub fn push(&mut self, envelope: Envelope) {
        match self.found.iter().position(|key| envelope.letter.is_registered(key)) {
            Some(place) => drop(self.found.swap_remove(place)),
            None => self.mailbox.push_back(envelope),
        }
    }
}

impl Cell {
    fn new(address: BareJid, now: Instant) -> Self {
        let inner = Inner {
            life: Life::Asleep,
            mailbox: VecDeque::new(),
            entity: None,
            lsn: Lsn::default(),
            patient: Lsn::default(),
            failures_seen: 0,
            found: Vec::new(),
            loads: 0,
            losses: 0,
            asking: false,
            questions: VecDeque::new(),
            used: now,
        };
        Cell { address, inner: Mutex::new(inner) }
    }
}

/// All cells of this node, by address.
pub struct Directory {
    shards: Vec<Shard>,
    /// SipHash that has taken in a secret of this run: the same in every replay of a seed, and not to be guessed
    /// outside.
    secret: DefaultHasher,
}

/// Cells by the hashes of their addresses: an address is hashed once, for the shard and for the place in it.
type Shard = Mutex<HashTable<Arc<Cell>>>;

impl Directory {
    /// An empty directory. The secret keeps strangers from choosing addresses that fall together.
    pub fn new(secret: [u8; 32]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&secret);
        Directory { shards: (0..SHARDS).map(|_| Shard::default()).collect(), secret: hasher }
    }

    /// The cell of an address, made if there is none.
    pub fn cell(&self, address: &BareJid, now: impl FnOnce() -> Instant) -> Arc<Cell> {
        let (hash, shard) = self.shard(address);
        let is_it = |cell: &Arc<Cell>| cell.address == *address;
        match shard.lock().entry(hash, is_it, |cell| self.hash(&cell.address)) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => entry.insert(Arc::new(Cell::new(address.clone(), now()))).get().clone(),
        }
    }

    /// Whether this entity is in memory.
    pub fn holds(&self, address: &BareJid) -> bool {
        self.find(address).is_some()
    }

    /// Whether an entity is in memory, or on its way there.
    pub fn is_awake(&self, address: &BareJid) -> bool {
        let asleep = |cell: &Arc<Cell>| matches!(cell.inner.lock().life, Life::Asleep | Life::Gone);
        self.find(address).is_some_and(|cell| !asleep(&cell))
    }

    /// Takes out every idle cell for which `is_done` holds; a later letter loads the entity anew.
    pub fn sweep(&self, mut is_done: impl FnMut(&Inner) -> bool) -> usize {
        let mut swept = 0;
        for shard in &self.shards {
            shard.lock().retain(|cell| {
                let mut inner = cell.inner.lock();
                let done = inner.life == Life::Idle && inner.mailbox.is_empty() && is_done(&inner);
                if done {
                    inner.life = Life::Gone;
                    inner.entity = None;
                    swept += 1;
                }
                !done
            });
        }
        swept
    }

    /// Looks at every cell in turn.
    pub fn cells(&self, mut visit: impl FnMut(&Arc<Cell>)) {
        for shard in &self.shards {
            let cells: Vec<_> = shard.lock().iter().cloned().collect();
            cells.iter().for_each(&mut visit);
        }
    }

    /// Looks at every cell in turn, as it is at that moment.
    pub fn visit(&self, mut visit: impl FnMut(&BareJid, &Inner)) {
        self.cells(|cell| visit(&cell.address, &cell.inner.lock()));
    }

    /// Entities in memory.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether nothing is awake.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&self, address: &BareJid) -> Option<Arc<Cell>> {
        let (hash, shard) = self.shard(address);
        shard.lock().find(hash, |cell| cell.address == *address).cloned()
    }

    /// Where a cell of this address is, and by which hash.
    fn shard(&self, address: &BareJid) -> (u64, &Shard) {
        let hash = self.hash(address);
        (hash, &self.shards[(hash >> 32) as usize % SHARDS])
    }

    fn hash(&self, address: &BareJid) -> u64 {
        let mut hasher = self.secret.clone();
        address.hash(&mut hasher);
        hasher.finish()
    }
}
