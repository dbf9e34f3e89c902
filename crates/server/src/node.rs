//! A node: everything behind the doors, and what keeps it together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use features::{caps, disco, subscription};
use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use step::{Domain, Seal, SessionId, Shown, World};
use store::{Due, Fate, Lsn, Store, StoreError, Write};
use stream::C2sSettings;
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::BareJid;

use crate::cards::CARDS;
use crate::commits::Commits;
use crate::config::Config;
use crate::directory::Directory;
use crate::door::Door;
use crate::entering::INLINE;
use crate::failed_logins::FailedLogins;
use crate::letter::{Envelope, Letter, Outcome};
use crate::memory::{self, Memory, Room};
use crate::outgoing::Outgoing;
use crate::seat::Seat;

/// An account without sessions is forgotten after this time, and read again when somebody writes to it.
const SLEEPS_AFTER: Duration = Duration::from_secs(300);
/// How often the directory is looked through for such accounts.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How often archives are looked through for what is to be cleared away.
const CLEAR_EVERY: Duration = Duration::from_secs(600);

/// While commits fail, entities that rest on them are looked for no more often than this.
const HEAL_EVERY: Duration = Duration::from_millis(500);

/// Runs the commands of the desk; a layer above fills it.
pub trait Commands: Send + Sync {
    /// Runs one command on a node; the answer is lines to show, as name and value.
    fn run(
        &self,
        node: Arc<Node>,
        name: String,
        arguments: Vec<(String, String)>,
    ) -> BoxFuture<'static, Result<Vec<(String, String)>, String>>;
}

/// Everything behind the doors of one process.
pub struct Node {
    /// Time, chance and spawn.
    pub world: World,
    /// What is kept.
    pub store: Store,
    /// Who waits for the log.
    pub commits: Arc<Commits>,
    /// The settings.
    pub config: Arc<Config>,
    /// Settings of client streams.
    pub streams: Arc<C2sSettings>,
    /// Everything that is awake.
    pub directory: Directory,
    /// How full the memory is.
    pub memory: Memory,
    /// When it started.
    pub started: Instant,
    /// Logins that have failed of late.
    pub(crate) failed_logins: FailedLogins,
    /// The desk's commands, for ad-hoc commands (XEP-0050).
    pub commands: Arc<dyn Commands>,
    /// What clients have shown by the hashes that they tell (XEP-0115): what was read of late, or asked for often.
    pub(crate) capabilities: Mutex<BTreeMap<(String, String), Shown>>,
    domains: BTreeMap<String, Arc<Domain>>,
    next_session: AtomicU64,
    connections: Mutex<BTreeMap<u64, Arc<Door>>>,
}

impl Node {
    /// Starts a node: opens its doors' waiting room and begins to look after what sleeps.
    pub fn start(
        world: World,
        store: Store,
        config: Arc<Config>,
        secret: [u8; 32],
        commands: Arc<dyn Commands>,
    ) -> Arc<Node> {
        let commits = Commits::new(store.log());
        let sealed = |domain: Domain| Domain { seal: Seal(secret), ..domain };
        let named = |domain: Domain| (domain.name().to_owned(), Arc::new(sealed(domain)));
        let domains = config.domains().into_iter().map(named).collect();
        let node = Arc::new(Node {
            streams: Arc::new(streams(&config, secret)),
            started: world.clock.now(),
            directory: Directory::new(world.seed()),
            memory: Memory::new(&world, config.limits.memory_mib),
            world,
            store,
            commits,
            failed_logins: FailedLogins::new(config.failed_logins()),
            config,
            commands,
            capabilities: Mutex::default(),
            domains,
            next_session: AtomicU64::new(1),
            connections: Mutex::new(BTreeMap::new()),
        });
        node.world.spawn.spawn(Box::pin(node.commits.clone().open_doors()));
        node.world.spawn.spawn(Box::pin(sweep(Arc::downgrade(&node))));
        node.world.spawn.spawn(Box::pin(heal(Arc::downgrade(&node))));
        node.world.spawn.spawn(Box::pin(clear(Arc::downgrade(&node))));
        if node.memory.cap().is_some() {
            node.world.spawn.spawn(Box::pin(memory::watch(Arc::downgrade(&node))));
        }
        node
    }

    /// One of our domains.
    pub fn domain(&self, name: &str) -> Option<&Arc<Domain>> {
        self.domains.get(name)
    }

    /// All our domains.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<Domain>> {
        self.domains.values()
    }

    /// The number of a new session.
    pub(crate) fn new_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// A seat at the door of a new session.
    pub(crate) fn new_seat(&self) -> Seat {
        Door::opened(self.new_session(), self.commits.clone(), self.config.outbound_bytes())
    }

    /// A connection sits at this door now.
    pub(crate) fn connected(&self, connection: u64, door: &Arc<Door>) {
        self.connections.lock().insert(connection, door.clone());
    }

    /// A connection is gone.
    pub(crate) fn disconnected(&self, connection: u64) {
        self.connections.lock().remove(&connection);
    }

    /// The doors at which connections sit.
    pub fn doors(&self) -> Vec<Arc<Door>> {
        self.connections.lock().values().cloned().collect()
    }

    /// Connections that are open, logged in or not.
    pub fn connections(&self) -> usize {
        self.connections.lock().len()
    }

    /// Tells every connection that the server stops (RFC 6120 §4.9.3.20).
    pub fn shutdown(&self) {
        for door in self.doors() {
            let error = StreamError::new(StreamCondition::SystemShutdown);
            door.put(store::Lsn::default(), self.world.clock.wall(), None, Outgoing::Close(error));
        }
    }

    /// Forgets everybody who has been idle for so long and can be read again when somebody writes.
    pub(crate) fn forget_idle(&self, time: Duration) {
        let now = self.world.clock.now();
        self.directory.sweep(|inner| {
            let idle = now.saturating_duration_since(inner.used) >= time;
            let settled = self.commits.fate(inner.lsn) == Fate::Committed
                && self.commits.fate(inner.patient) != Fate::Pending;
            idle && settled && inner.entity.as_ref().is_some_and(|entity| entity.may_sleep())
        });
    }

    /// Wakes everybody who has letters that the last life of the server kept and did not read, or sessions that wait
    /// for their clients; before anybody connects.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn wake_all(self: &Arc<Self>) -> Result<(), StoreError> {
        let sessions = self.store.session_owners().await?;
        for recipient in self.store.letter_recipients().await?.into_iter().chain(sessions) {
            match self.domain(recipient.domain()) {
                Some(_) => self.wake(&recipient),
                None => {
                    tracing::warn!(%recipient, "what is kept waits for a domain that is not served any more")
                }
            }
        }
        Ok(())
    }

    /// Asks an account for something and waits until what came of it is committed.
    ///
    /// # Errors
    /// What the account answered, or `resource-constraint` when the store could not keep it.
    pub async fn ask(
        self: &Arc<Self>,
        account: &BareJid,
        letter: impl FnOnce(oneshot::Sender<Outcome>) -> Letter,
    ) -> Result<(), StanzaError> {
        let (asker, answer) = oneshot::channel();
        self.post(account, Envelope::new(letter(asker)));
        let Ok((lsn, outcome)) = answer.await else {
            return Err(StanzaError::new(Condition::ResourceConstraint));
        };
        match self.commits.settled(lsn).await {
            Fate::Committed => outcome,
            _ => Err(StanzaError::new(Condition::ResourceConstraint)),
        }
    }

    /// Clears away what is due, a batch of each archive. Returns how many messages there were; none: nothing is due.
    ///
    /// # Errors
    /// When the store cannot be read, or takes nothing now.
    async fn clear_batch(self: &Arc<Self>, due: &Due) -> Result<Option<usize>, StoreError> {
        let clearings = self.store.archive_due(due).await?;
        if clearings.is_empty() {
            return Ok(None);
        }
        let mut messages = 0;
        for clearing in clearings {
            messages += clearing.messages();
            let account = clearing.account().cloned();
            let appended = self.commits.log().append(Lsn::default(), vec![Write::ArchiveClear(clearing)]);
            let lsn = appended.map_err(|_| StoreError::Closed)?;
            if self.commits.settled(lsn).await != Fate::Committed {
                return Err(StoreError::Full("nothing could be written".to_owned()));
            }
            // An account that is not in memory learns of it when it is read.
            if let Some(account) = account.filter(|account| self.directory.holds(account)) {
                self.post(&account, Envelope::new(Letter::ArchiveCleared));
            }
        }
        Ok(Some(messages))
    }

    /// Clears the archive of an account away, as far as it is older. Returns how many messages there were.
    ///
    /// # Errors
    /// When the store cannot be read, or takes nothing now; what has been cleared away until then stays so.
    pub async fn clear_archive(
        self: &Arc<Self>,
        account: BareJid,
        before: SystemTime,
    ) -> Result<usize, StoreError> {
        let (due, mut messages) = (Due::Of(account, before), 0);
        while let Some(batch) = self.clear_batch(&due).await? {
            messages += batch;
        }
        Ok(messages)
    }

    /// Addresses of all accounts of a domain, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts(&self, domain: &str) -> Result<Vec<BareJid>, StoreError> {
        const PAGE: usize = 500;
        let mut all: Vec<BareJid> = Vec::new();
        loop {
            let page = self.store.accounts(domain, all.last(), PAGE).await?;
            let full = page.len() == PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }
}

/// Settings of client streams, with what streams announce of our features after login.
fn streams(config: &Config, secret: [u8; 32]) -> C2sSettings {
    let mut settings = config.streams(secret);
    settings.features.extend(subscription::stream_features());
    settings.inline = INLINE.to_vec();
    if let Some(domain) = config.domains().first() {
        // All our domains answer alike (XEP-0115 §6.3).
        settings.features.push(caps::element(&disco::host_info(CARDS, domain)));
    }
    settings
}

/// Forgets what nobody has needed for a while, as long as the node lives.
async fn sweep(node: std::sync::Weak<Node>) {
    loop {
        let Some(sleep) = node.upgrade().map(|node| node.world.clock.sleep(SWEEP_EVERY)) else { return };
        sleep.await;
        let Some(node) = node.upgrade() else { return };
        node.forget_idle(match node.memory.room() {
            Room::ForAll => SLEEPS_AFTER,
            Room::ForNobodyNew => Duration::ZERO,
        });
    }
}

/// Has entities loaded anew after commits have failed, as long as the node lives.
async fn heal(node: std::sync::Weak<Node>) {
    let mut seen = 0;
    loop {
        let Some(commits) = node.upgrade().map(|node| node.commits.clone()) else { return };
        seen = commits.next_failure(seen).await;
        let Some(node) = node.upgrade() else { return };
        node.reload_failed();
        let pause = node.world.clock.sleep(HEAL_EVERY);
        drop(node);
        pause.await;
    }
}

/// Clears archives away, as long as the node lives: what is older than its domain keeps it, and what accounts have
/// left.
async fn clear(node: std::sync::Weak<Node>) {
    loop {
        let Some(sleep) = node.upgrade().map(|node| node.world.clock.sleep(CLEAR_EVERY)) else { return };
        sleep.await;
        let Some(now) = node.upgrade() else { return };
        let (wall, mut due) = (now.world.clock.wall(), vec![Due::Gone]);
        for domain in now.domains() {
            let before = domain.archive_keep.and_then(|keep| wall.checked_sub(keep));
            due.extend(before.map(|before| Due::Before(domain.name().to_owned(), before)));
        }
        drop(now);
        for due in due {
            if let Err(error) = clear_away(&node, &due).await {
                tracing::error!(%error, ?due, "archives could not be cleared away; later");
            }
        }
    }
}

/// Clears away all that is due, batch by batch: in between others write.
async fn clear_away(node: &std::sync::Weak<Node>, due: &Due) -> Result<(), StoreError> {
    while let Some(node) = node.upgrade() {
        if node.clear_batch(due).await?.is_none() {
            return Ok(());
        }
    }
    Ok(())
}
