//! Where a test's store lives: a fresh SQLite file, or a fresh database of the PostgreSQL that all tests share.
#![allow(clippy::disallowed_methods)] // nothing here is rehearsed

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::time::{Duration, SystemTime};

use rusqlite::types::ValueRef;
use store::fixture::{Postgres, scratch};
use store::{Fate, Log, Lsn, Store, StoreError, StoreUrl, Write as Writes};
use tokio::sync::Notify;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use xmpp::jid::BareJid;

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is looked at that tells nobody when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Plays a case on both engines, at the same time: most of it is waiting. The name of the thread that panics tells on
/// which it failed.
pub fn on_both(case: impl AsyncFn(&Home) + Sync) {
    let case = &case;
    std::thread::scope(|scope| {
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        named("on SQLite").spawn_scoped(scope, || on_sqlite(async |home| case(home).await)).unwrap();
        named("on PostgreSQL").spawn_scoped(scope, || on_postgres(async |home| case(home).await)).unwrap();
    });
}

/// Plays a case on SQLite alone.
pub fn on_sqlite(case: impl AsyncFn(&Home)) {
    play(&case, Home::sqlite());
}

/// Plays a case on PostgreSQL alone.
pub fn on_postgres(case: impl AsyncFn(&Home)) {
    if let Some(postgres) = shared_postgres() {
        play(&case, Home::postgres(postgres));
    }
}

/// Plays a case on a PostgreSQL that is nobody else's and may be stopped.
pub fn on_postgres_of_its_own(case: impl AsyncFn(&Home)) {
    if let Some(postgres) = started() {
        play(&case, Home::postgres(Arc::new(postgres)));
    }
}

fn play(case: &impl AsyncFn(&Home), home: Home) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, case(&home)).await.expect("the test hangs") });
    // What a test has left running must not keep it.
    runtime.shutdown_background();
}

/// One server for all tests; it ends with their process.
fn shared_postgres() -> Option<Arc<Postgres>> {
    static SHARED: OnceLock<Option<Arc<Postgres>>> = OnceLock::new();
    SHARED.get_or_init(|| started().map(Arc::new)).clone()
}

fn started() -> Option<Postgres> {
    match Postgres::start() {
        Ok(postgres) => Some(postgres),
        Err(why) if std::env::var_os("WAXWING_WITHOUT_POSTGRESQL").is_some() => {
            println!("passed over: {why}");
            None
        }
        Err(why) => panic!("{why} (or set WAXWING_WITHOUT_POSTGRESQL=1 to pass this over)"),
    }
}

/// A place for one store.
pub struct Home {
    pub url: StoreUrl,
    pub dir: tempfile::TempDir,
    pub server: Option<Arc<Postgres>>,
}

impl Home {
    fn sqlite() -> Self {
        let dir = scratch("waxwing-store").unwrap();
        let url = StoreUrl::Sqlite(dir.path().join("store.db"));
        Home { url, dir, server: None }
    }

    fn postgres(server: Arc<Postgres>) -> Self {
        let url = StoreUrl::Postgres(server.database().unwrap());
        Home { url, dir: scratch("waxwing-store").unwrap(), server: Some(server) }
    }

    /// The file, on SQLite.
    pub fn file(&self) -> PathBuf {
        match &self.url {
            StoreUrl::Sqlite(path) => path.clone(),
            StoreUrl::Postgres(_) => panic!("PostgreSQL has no file"),
        }
    }

    /// The database's URL, on PostgreSQL.
    pub fn database(&self) -> &str {
        match &self.url {
            StoreUrl::Postgres(url) => url,
            StoreUrl::Sqlite(_) => panic!("SQLite has no server"),
        }
    }

    pub async fn open(&self) -> Opened {
        open(&self.url).await.unwrap()
    }

    /// A connection to PostgreSQL beside the store's.
    pub async fn admin(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(self.database(), NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        client
    }

    /// What a statement answers, told by the engine itself: every value as text, bytes as `\x` and digits.
    pub async fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        match &self.url {
            StoreUrl::Sqlite(_) => ask_sqlite(&self.settled().await, sql),
            StoreUrl::Postgres(_) => ask_postgres(&self.admin().await, sql).await,
        }
    }

    /// Has the engine itself run statements.
    pub async fn run(&self, sql: &str) {
        match &self.url {
            StoreUrl::Sqlite(_) => self.settled().await.execute_batch(sql).unwrap(),
            StoreUrl::Postgres(_) => self.admin().await.batch_execute(sql).await.unwrap(),
        }
    }

    /// The file as another program sees it, once the tables show all that was committed.
    pub async fn settled(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        let has = |sql: &str| !ask_sqlite(&connection, sql).is_empty();
        if has("SELECT 1 FROM sqlite_schema WHERE name = 'journal'") {
            until(async || (!has("SELECT 1 FROM journal")).then_some(())).await;
        }
        connection
    }

    pub async fn tables(&self) -> Vec<String> {
        let sql = match &self.url {
            StoreUrl::Sqlite(_) =>
            // Those in which SQLite keeps the index of words hold nothing but that.
            {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'archive_words_%' ORDER BY name"
            }
            StoreUrl::Postgres(_) => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
            }
        };
        self.ask(sql).await.into_iter().flatten().collect()
    }
}

pub fn ask_sqlite(connection: &rusqlite::Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let value = |column| match row.get_ref(column).unwrap() {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(bytes) => format!("\\x{}", hex(bytes)),
        };
        found.push((0..columns).map(value).collect());
    }
    found
}

async fn ask_postgres(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    rows.collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A store that is open, and a bell that rings when its log moves.
pub struct Opened {
    pub store: Store,
    pub log: Log,
    moved: Arc<Notify>,
}

/// Opens any store.
pub async fn open(url: &StoreUrl) -> Result<Opened, StoreError> {
    let store = Store::open(url).await?;
    let (log, moved) = (store.log(), Arc::new(Notify::new()));
    let bell = moved.clone();
    log.on_change(Arc::new(move || bell.notify_waiters()));
    Ok(Opened { store, log, moved })
}

impl Opened {
    /// What becomes of an append, once it is known.
    pub async fn settled(&self, lsn: Lsn) -> Fate {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            match self.log.fate(lsn) {
                Fate::Pending => moved.await,
                known => return known,
            }
        }
    }

    /// Appends, and waits for the commit.
    pub async fn write(&self, writes: impl Into<Vec<Writes>>) -> Lsn {
        let lsn = self.log.append(Lsn::default(), writes.into()).unwrap();
        assert_eq!(self.settled(lsn).await, Fate::Committed, "{:?}", self.log.trouble());
        lsn
    }

    /// Appends, and waits until it is lost.
    pub async fn lose(&self, writes: impl Into<Vec<Writes>>) -> Lsn {
        let lsn = self.log.append(Lsn::default(), writes.into()).unwrap();
        assert_eq!(self.settled(lsn).await, Fate::Failed);
        lsn
    }

    /// Appends again and again until it is committed: what recovers by itself takes its time.
    pub async fn write_at_last(&self, write: Writes) -> Lsn {
        loop {
            let lsn = self.log.append(Lsn::default(), vec![write.clone()]).unwrap();
            if self.settled(lsn).await == Fate::Committed {
                return lsn;
            }
        }
    }

    pub async fn close(self) {
        self.store.close().await;
    }
}

/// Waits until `found` finds something.
pub async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(what) = found().await {
            return what;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub fn jid(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

/// Microseconds since 1970, the store's own measure.
pub fn at(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

/// A note of alice's, for tests that only need something to write.
pub fn note(topic: &'static str, key: &str, value: impl Into<Vec<u8>>) -> Writes {
    let value = Some(value.into());
    Writes::Note { owner: jid("alice@one.test"), topic, key: key.to_owned(), value }
}

/// Bytes that nothing can make shorter, the same in every run.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The lines that have been logged so far, by all tests, each with the name of its thread.
pub fn said() -> Vec<String> {
    static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static LISTENING: Once = Once::new();
    struct Ear;
    impl Write for Ear {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            SAID.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    LISTENING.call_once(|| {
        let listener = tracing_subscriber::fmt().with_ansi(false).with_thread_names(true);
        listener.with_writer(|| Ear).init();
    });
    String::from_utf8_lossy(&SAID.lock().unwrap()).lines().map(str::to_owned).collect()
}
