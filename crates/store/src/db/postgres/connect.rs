//! The writing connection: held by one server at a time, on a schema that is up to date.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, NoTls};

use super::values::classify;
use crate::db::migrate::{self, Dialect};
use crate::error::StoreError;

/// The advisory lock that the one writing server holds: "waxwing" in ASCII.
const LOCK: i64 = 0x77_61_78_77_69_6e_67;

/// How long one attempt to connect may take, and to get the lock that a dead connection still holds.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// A connection that may write.
pub(super) struct Connected {
    pub(super) client: Client,
    /// The last append that is in the database.
    pub(super) marker: u64,
}

/// How long the first connection waits for the lock: a process that has just ended may still hold it.
const LOCK_TRIES: u32 = 20;

/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The first connection: brings the schema up to date, and does not wait for another server.
pub(super) async fn first(config: Config) -> Result<Connected, StoreError> {
    let mut client = within(client(&config)).await?;
    if !lock(&client).await? {
        let database = config.get_dbname().unwrap_or("the database");
        return Err(StoreError::InUse { lock: database.into(), pid: None });
    }
    migrate(&mut client).await?;
    let marker = marker(&client).await?;
    Ok(Connected { client, marker })
}

async fn lock(client: &Client) -> Result<bool, StoreError> {
    for _ in 0..LOCK_TRIES {
        let row = client
            .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
            .await
            .map_err(|error| classify(&error))?;
        if row.get(0) {
            return Ok(true);
        }
        sleep(LOCK_PAUSE).await;
    }
    Ok(false)
}

/// Another connection after one was lost. The lock is free once the server has done, or undone, what the lost one
/// was about; so the marker it returns is the truth.
pub(super) async fn again(config: &Config) -> Result<Connected, StoreError> {
    within(async {
        let client = client(config).await?;
        client.query_one("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(|error| classify(&error))?;
        let marker = marker(&client).await?;
        Ok(Connected { client, marker })
    })
    .await
}

async fn within<T>(doing: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable(format!("no answer within {} s", CONNECT_WAIT.as_secs()));
    timeout(CONNECT_WAIT, doing).await.map_err(late)?
}

async fn client(config: &Config) -> Result<Client, StoreError> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| classify(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to PostgreSQL broke");
        }
    });
    Ok(client)
}

async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let failed = |error: tokio_postgres::Error| classify(&error);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(migrate::PREPARE).await.map_err(failed)?;
    let found: i64 = transaction.query_one(migrate::FOUND, &[]).await.map_err(failed)?.get(0);
    for due in migrate::due(migrate::STEPS, found, Dialect::Postgres)? {
        due.announce();
        transaction.batch_execute(&due.script).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

async fn marker(client: &Client) -> Result<u64, StoreError> {
    let row =
        client.query_one("SELECT lsn FROM log WHERE id = 1", &[]).await.map_err(|error| classify(&error))?;
    crate::db::value::number(row.get(0))
}
