//! A house in rehearsal: one node on its store, which can be started, stopped, and killed at any instant.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use admin::AdHoc;
use futures_util::FutureExt;
use parking_lot::Mutex;
use server::credentials::{self, Salts};
use server::entity::Entity;
use server::{Config, Node};
use store::{Credentials, Lsn, Rehearsal, Store, Write};
use stream::TransportFacts;
use xmpp::jid::BareJid;
use xmpp::secret::Password;
use xmpp::stanza::Stanza;

use crate::clockwork::{Clockwork, MEMORY_MIB};
use crate::disk::{self, Mood, Moods};
use crate::link::{Link, Way, Weather};
use crate::served::Served;

/// The password of every account.
pub const PASSWORD: &str = "secret";
/// How long a node that stops waits for its clients, as `waxwing` does.
const FAREWELL: Duration = Duration::from_secs(7);

/// The house. Clones are the same one.
#[derive(Clone)]
pub struct House(Arc<Rooms>);

struct Rooms {
    clockwork: Clockwork,
    config: Arc<Config>,
    hand: Rehearsal,
    moods: Moods,
    life: Mutex<Life>,
}

/// What there is while a node lives.
struct Life {
    store: Store,
    node: Option<Arc<Node>>,
    links: Vec<Link>,
    /// Connections of former lives.
    ended: Vec<Link>,
}

impl House {
    /// A house with these accounts, all with the same [`PASSWORD`]; nobody is in.
    pub fn new(clockwork: &Clockwork, config: Config, accounts: &[BareJid]) -> House {
        House::with_keys(clockwork, config, accounts, everybodys_keys())
    }

    /// A house whose accounts have these of everybody's keys.
    pub fn with_keys(
        clockwork: &Clockwork,
        mut config: Config,
        accounts: &[BareJid],
        credentials: &Credentials,
    ) -> House {
        config.limits.memory_mib.get_or_insert(MEMORY_MIB);
        let (store, hand) = Rehearsal::new();
        for account in accounts {
            let at = clockwork.world().clock.wall();
            let credentials = credentials.clone();
            let create = Write::AccountCreate { account: account.clone(), credentials, at };
            // A fresh store refuses nothing.
            let _ = store.log().append(Lsn::default(), vec![create]);
        }
        hand.commit_next();
        House(Arc::new(Rooms {
            clockwork: clockwork.clone(),
            config: Arc::new(config),
            hand,
            moods: Arc::new(Mutex::new(Mood::GOOD)),
            life: Mutex::new(Life { store, node: None, links: Vec::new(), ended: Vec::new() }),
        }))
    }

    /// Starts a node on what the store has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn start(&self) -> Result<(), String> {
        let rooms = &self.0;
        let world = rooms.clockwork.world();
        let store = rooms.life.lock().store.clone();
        let secret = at_once(store.secret(world.seed())).map_err(|error| error.to_string())?;
        let node = Node::start(world.clone(), store, rooms.config.clone(), secret, Arc::new(AdHoc));
        let writer = disk::write(rooms.clockwork.clone(), rooms.hand.clone(), rooms.moods.clone());
        world.spawn.spawn(Box::pin(writer));
        at_once(node.wake_all()).map_err(|error| error.to_string())?;
        rooms.life.lock().node = Some(node);
        Ok(())
    }

    /// The node that lives.
    pub fn node(&self) -> Option<Arc<Node>> {
        self.0.life.lock().node.clone()
    }

    /// The store that is there now.
    pub fn store(&self) -> Store {
        self.0.life.lock().store.clone()
    }

    /// How the disk behaves from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.0.moods.lock() = mood;
    }

    /// Whether reads of the store fail from now on.
    pub fn fail_reads(&self, fails: bool) {
        self.0.hand.fail_reads(fails);
    }

    /// A client connects; nobody is there when no node lives.
    pub fn connect(&self, weather: Weather, transport: TransportFacts) -> Option<Link> {
        let mut life = self.0.life.lock();
        let node = life.node.clone()?;
        let link = Link::new(&self.0.clockwork, weather);
        life.links.push(link.clone());
        drop(life);
        node.world.spawn.spawn(Box::pin(Served::new(&node, link.clone(), transport)));
        Some(link)
    }

    /// Cuts one of the connections, if there are any.
    pub fn cut_one(&self) {
        let life = self.0.life.lock();
        let open: Vec<_> = life.links.iter().filter(|link| !link.has_ended()).collect();
        if !open.is_empty() {
            self.0.clockwork.draw(|chance| open[chance.below(open.len())].clone()).cut();
        }
    }

    /// All that was written to clients on connections that have ended.
    pub fn written(&self) -> Vec<Vec<u8>> {
        let life = self.0.life.lock();
        life.ended.iter().chain(&life.links).filter_map(Link::written).collect()
    }

    /// Kills the node at this instant: what was not committed is gone. What is on a wire arrives, or is lost with the
    /// connection, as the seed says. Returns the stanzas that waited behind doors.
    pub fn kill(&self) -> Vec<Stanza> {
        let node = self.0.life.lock().node.take();
        let mut undelivered = Vec::new();
        if let Some(node) = &node {
            // What sessions are owed that can be resumed must be there again.
            let mut kept = BTreeSet::new();
            node.directory.visit(|_, inner| {
                if let Some(Entity::Account(account)) = inner.entity.as_deref() {
                    kept.extend(account.kept.keys().copied());
                    undelivered.extend(account.taken_back.iter().map(|taken| taken.stanza.clone()));
                }
            });
            let doors = node.doors();
            let lost = doors.iter().filter(|door| !kept.contains(&door.id));
            undelivered.extend(lost.flat_map(|door| door.undelivered()).map(|left| left.stanza));
        }
        for link in self.next_life() {
            match self.0.clockwork.draw(|chance| chance.once_in(2)) {
                true => link.close(Way::Down),
                false => link.cut(),
            }
        }
        undelivered
    }

    /// Stops the node as SIGTERM does: clients are told, everything is written.
    pub fn stop(&self) {
        let clockwork = &self.0.clockwork;
        let Some(node) = self.node() else { return };
        node.shutdown();
        clockwork.run_while(clockwork.elapsed() + FAREWELL, || node.connections() > 0);
        clockwork.run_while(clockwork.elapsed() + FAREWELL, || self.0.hand.waiting() > 0);
        self.0.life.lock().node = None;
        self.next_life().iter().for_each(|link| link.close(Way::Down));
    }

    /// This life ends, and the store is as the next one finds it. Returns the connections.
    fn next_life(&self) -> Vec<Link> {
        self.0.clockwork.end_life();
        let store = self.0.hand.crash();
        let mut life = self.0.life.lock();
        life.store = store;
        let links = std::mem::take(&mut life.links);
        life.ended.extend(links.iter().cloned());
        links
    }
}
/// The store in rehearsal answers at once.
fn at_once<T>(question: impl Future<Output = Result<T, store::StoreError>>) -> Result<T, store::StoreError> {
    question.now_or_never().unwrap_or(Err(store::StoreError::Closed))
}

/// Keys of [`PASSWORD`], made once: they take a while.
pub fn everybodys_keys() -> &'static Credentials {
    static KEYS: OnceLock<Credentials> = OnceLock::new();
    KEYS.get_or_init(|| {
        let salts = Salts::new(&Clockwork::new(0).world());
        credentials::derive(&Password::new(PASSWORD.to_owned()), &salts, 4096).unwrap_or_default()
    })
}
