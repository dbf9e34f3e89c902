//! The writing connection: held by one server at a time, on a schema that is up to date.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

use super::values::{classify, classify_connect};
use crate::db::migrate::{self, Dialect, Step};
use crate::error::StoreError;

/// The advisory lock that the one writing server holds: "waxwing" in ASCII.
const LOCK: i64 = 0x77_61_78_77_69_6e_67;

/// Tries to get the lock: a process that has just ended, or our own lost connection, may still hold it.
const LOCK_TRIES: u32 = 20;

/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// How long one attempt to connect may take (`connect_timeout` in the URL).
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long the server may keep us waiting for an answer; then the connection counts as broken (`tcp_user_timeout` in
/// the URL).
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// How our connections call themselves; the process follows.
const NAME: &str = "waxwing, process ";

/// What the writing connection relies on, whatever the database's defaults: a commit is synced (guarantee G3), and
/// nobody but us decides when it has taken too long. Settings that this PostgreSQL does not know are left out.
const SETTINGS: &str = "SELECT set_config(name, CASE name WHEN 'synchronous_commit' THEN 'on' ELSE '0' END, false) \
     FROM pg_settings WHERE (name = 'synchronous_commit' AND setting = 'off') OR name IN ('statement_timeout', \
     'lock_timeout', 'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout')";

/// Where to connect, and how long to wait.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) answer_wait: Duration,
    connect_wait: Duration,
}

impl Server {
    pub(super) fn new(url: &str) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|error| classify_connect(&error))?;
        let connect_wait = config.get_connect_timeout().copied().unwrap_or(CONNECT_WAIT);
        let answer_wait = config.get_tcp_user_timeout().copied().unwrap_or(ANSWER_WAIT);
        config.tcp_user_timeout(answer_wait);
        config.application_name(format!("{NAME}{}", std::process::id()));
        // Of several hosts, the one that takes writes: a standby would show us an older state.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Server { config, answer_wait, connect_wait })
    }
}

/// A connection, and the task that keeps it.
pub(super) struct Line {
    pub(super) client: Client,
    task: JoinHandle<()>,
}

impl Line {
    /// Connects. `ended` is told when the connection is no more.
    async fn new(server: &Server, ended: Arc<Notify>) -> Result<Self, StoreError> {
        let late =
            |_| StoreError::Unavailable(format!("no connection within {} s", server.connect_wait.as_secs()));
        let (client, connection) = timeout(server.connect_wait, server.config.connect(NoTls))
            .await
            .map_err(late)?
            .map_err(|error| classify_connect(&error))?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %classify(&error), "the connection to PostgreSQL broke");
            }
            ended.notify_one();
        });
        Ok(Line { client, task })
    }

    /// Ends it in good order.
    pub(super) async fn hang_up(mut self) {
        drop(self.client);
        let _ = timeout(LOCK_PAUSE, &mut self.task).await;
        self.task.abort();
    }

    /// Lets go of it although answers are missing.
    pub(super) fn cut(self) {
        self.task.abort();
    }
}

/// A connection that may write.
pub(super) struct Connected {
    pub(super) line: Line,
    /// The server's process behind it.
    pub(super) backend: i32,
    /// The last append that is in the database.
    pub(super) marker: u64,
}

/// The first connection: brings the schema up to date, and does not wait for another server.
pub(super) async fn first(server: &Server, ended: Arc<Notify>) -> Result<Connected, StoreError> {
    let mut line = Line::new(server, ended).await?;
    set_up(&line.client, None).await?;
    look_around(&line.client).await?;
    migrate(&mut line.client, migrate::STEPS).await?;
    connected(line).await
}

/// Another connection after one was lost, whose server process was `before`. The lock is free once that process has
/// done, or undone, what it was about; so the marker that comes with it is the truth.
pub(super) async fn again(server: &Server, before: i32, ended: Arc<Notify>) -> Result<Connected, StoreError> {
    let line = Line::new(server, ended).await?;
    let late = |_| StoreError::Unavailable(format!("no answer within {} s", server.answer_wait.as_secs()));
    timeout(server.answer_wait, set_up(&line.client, Some(before))).await.map_err(late)??;
    timeout(server.answer_wait, connected(line)).await.map_err(late)?
}

async fn connected(line: Line) -> Result<Connected, StoreError> {
    const STAND: &str = "SELECT pg_backend_pid(), (SELECT lsn FROM log WHERE id = 1)";
    let row = line.client.query_one(STAND, &[]).await.map_err(|error| classify(&error))?;
    let marker: Option<i64> = row.get(1);
    let missing = || StoreError::Corrupt("the table `log` has lost its row".to_owned());
    let marker = crate::db::value::number(marker.ok_or_else(missing)?)?;
    Ok(Connected { backend: row.get(0), line, marker })
}

/// Settings and lock. If our own lost connection still holds the lock because the server does not know yet that it is
/// lost, it is ended there.
async fn set_up(client: &Client, before: Option<i32>) -> Result<(), StoreError> {
    const TRY: &str = "SELECT pg_try_advisory_lock($1)";
    client.query(SETTINGS, &[]).await.map_err(|error| classify(&error))?;
    let mut holder = None;
    for _ in 0..LOCK_TRIES {
        if client.query_one(TRY, &[&LOCK]).await.map_err(|error| classify(&error))?.get(0) {
            return Ok(());
        }
        holder = Holder::of_the_lock(client).await?;
        if let (Some(holder), Some(before)) = (&holder, before)
            && holder.backend == before
            && holder.process == Some(std::process::id())
        {
            const END: &str = "SELECT pg_terminate_backend($1)";
            client.query_one(END, &[&before]).await.map_err(|error| classify(&error))?;
        }
        sleep(LOCK_PAUSE).await;
    }
    Err(in_use(client, holder).await)
}

/// Who holds the lock, as far as it may be seen.
struct Holder {
    backend: i32,
    /// The process that calls itself ours.
    process: Option<u32>,
    /// Where it comes from.
    host: Option<String>,
    /// That is where we come from as well.
    is_here: bool,
}

impl Holder {
    async fn of_the_lock(client: &Client) -> Result<Option<Holder>, StoreError> {
        const WHO: &str = "SELECT l.pid, a.application_name, host(a.client_addr), \
             a.client_addr IS NOT DISTINCT FROM inet_client_addr() \
             FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND (l.classid::bigint << 32 | l.objid::bigint) = $1";
        let row = client.query_opt(WHO, &[&LOCK]).await.map_err(|error| classify(&error))?;
        Ok(row.map(|row| {
            let name: Option<String> = row.get(1);
            let process = name.and_then(|name| name.strip_prefix(NAME)?.parse().ok());
            Holder { backend: row.get(0), process, host: row.get(2), is_here: row.get(3) }
        }))
    }
}

async fn in_use(client: &Client, holder: Option<Holder>) -> StoreError {
    let name = client.query_one("SELECT current_database()", &[]).await;
    let mut lock =
        name.map_or("the database".to_owned(), |row| format!("database {}", row.get::<_, String>(0)));
    let mut pid = None;
    if let Some(holder) = holder {
        lock.push_str(&format!(", PostgreSQL's process {}", holder.backend));
        match holder.process {
            // The number of a process says something only on its own machine.
            Some(process) if holder.is_here => pid = Some(process),
            Some(process) => lock.push_str(&format!(", Waxwing's process {process}")),
            None => {}
        }
        lock.push_str(&holder.host.map(|host| format!(", from {host}")).unwrap_or_default());
    }
    StoreError::InUse { lock: lock.into(), pid }
}

/// What would show itself only when it is too late.
async fn look_around(client: &Client) -> Result<(), StoreError> {
    const LOOK: &str = "SELECT current_setting('server_encoding'), current_setting('fsync')";
    let row = client.query_one(LOOK, &[]).await.map_err(|error| classify(&error))?;
    let (encoding, fsync): (String, String) = (row.get(0), row.get(1));
    if encoding != "UTF8" {
        return Err(StoreError::Refused(format!(
            "its encoding is {encoding}, which cannot hold every text; make one with \
             `createdb --encoding=UTF8 --template=template0`"
        )));
    }
    if fsync != "on" {
        tracing::warn!("PostgreSQL runs with fsync = {fsync}: a power cut can lose what was acknowledged");
    }
    Ok(())
}

/// Brings the schema up to date, in one transaction.
async fn migrate(client: &mut Client, steps: &[Step]) -> Result<(), StoreError> {
    let failed = |error: tokio_postgres::Error| classify(&error);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(migrate::PREPARE).await.map_err(failed)?;
    let found: i64 = transaction.query_one(migrate::FOUND, &[]).await.map_err(failed)?.get(0);
    for due in migrate::due(steps, found, Dialect::Postgres)? {
        due.announce();
        transaction.batch_execute(&due.script).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}
