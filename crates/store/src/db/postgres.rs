//! PostgreSQL: one connection that writes, in the log's order, and a pool of those that read.
#![allow(clippy::disallowed_methods)] // a server of its own is outside of any rehearsal

mod connect;
mod values;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Timeouts};
use futures_util::future::try_join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_postgres::NoTls;

use super::value::{Query, Row, Value};
use crate::error::StoreError;
use crate::log::Log;
use connect::Server;
use writer::Writer;

/// Connections that read.
const READERS: usize = 8;

/// The database server, and the thread that talks to it.
pub(crate) struct Postgres {
    runtime: Own,
    readers: Readers,
    /// The writer listens to this until it has let go of the database.
    writer: watch::Sender<()>,
}

impl Postgres {
    /// Connects, brings the schema up to date and starts the writer.
    pub(crate) async fn open(url: &str) -> Result<(Postgres, Log), StoreError> {
        let server = Server::new(url)?;
        let runtime = Own(Some(
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("store-postgres")
                .enable_all()
                .build()
                .map_err(|error| StoreError::Io(format!("no thread: {error}")))?,
        ));
        let wake = Arc::new(Notify::new());
        let (connecting, ended) = (server.clone(), wake.clone());
        let connected = runtime.run(async move { connect::first(&connecting, ended).await }).await?;
        let log = Log::new(connected.marker);
        let in_doubt = Arc::new(AtomicBool::new(false));
        let readers = Readers { pool: pool(&server)?, wait: server.answer_wait, in_doubt: in_doubt.clone() };
        let writing = Writer::new(server, connected, log.clone(), wake.clone(), in_doubt);
        log.wakes(move || wake.notify_one());
        let (writer, alive) = watch::channel(());
        let ending = Ending(log.clone());
        runtime.begin(async move {
            writing.run().await;
            drop((ending, alive));
        });
        Ok((Postgres { runtime, readers, writer }, log))
    }

    /// The rows that each statement returns. All are sent at once.
    pub(crate) async fn run(&self, statements: Vec<Query>) -> Result<Vec<Vec<Row>>, StoreError> {
        let readers = self.readers.clone();
        self.runtime.run(async move { readers.ask(&statements).await }).await
    }

    /// Waits until the writer has written all that was appended, and has let go of the database.
    pub(crate) async fn close(&self) {
        self.writer.closed().await;
        self.readers.pool.close();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The writer goes on until its log is empty.
        let (runtime, writer) =
            (self.runtime.0.take(), std::mem::replace(&mut self.writer, watch::Sender::new(())));
        std::thread::spawn(move || {
            if let Some(runtime) = runtime {
                runtime.block_on(writer.closed());
                runtime.shutdown_background();
            }
        });
    }
}

/// The writer is no more: the log takes nothing.
struct Ending(Log);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The connections that read.
#[derive(Clone)]
struct Readers {
    pool: Pool,
    wait: Duration,
    in_doubt: Arc<AtomicBool>,
}

impl Readers {
    async fn ask(&self, statements: &[Query]) -> Result<Vec<Vec<Row>>, StoreError> {
        for is_last in [false, true] {
            let client = self.client().await?;
            let asked = statements.iter().map(|Query { sql, values }| query(&client, sql, values));
            let Ok(outcome) = timeout(self.wait, try_join_all(asked)).await else {
                // Nobody else shall wait for this one.
                drop(Object::take(client));
                break;
            };
            match outcome {
                Err(error) if is_broken(&error) && !is_last => {
                    // Perhaps it broke long ago, while nobody used it; the others as well, then.
                    drop(Object::take(client));
                    self.pool.retain(|client, _| !client.is_closed());
                }
                known => return known,
            }
        }
        Err(StoreError::Unavailable(format!("no answer within {} s", self.wait.as_secs())))
    }

    async fn client(&self) -> Result<Object, StoreError> {
        if self.in_doubt.load(Ordering::Acquire) {
            let text = "it is not known yet what became of the last writes";
            return Err(StoreError::Unavailable(text.to_owned()));
        }
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => values::classify_connect(&error),
            PoolError::Closed => StoreError::Closed,
            other => StoreError::Unavailable(other.to_string()),
        })
    }
}

async fn query(
    client: &Object,
    sql: &'static str,
    values: &[Value<'static>],
) -> Result<Vec<Row>, StoreError> {
    let asking = async {
        let statement = client.prepare_cached(sql).await?;
        client.query(&statement, &values::parameters(values)).await
    };
    let rows = asking.await.map_err(|error| values::classify(&error))?;
    rows.iter().map(values::row).collect()
}

fn is_broken(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}

/// A runtime of our own, so that the store needs none of its caller's.
struct Own(Option<Runtime>);

impl Own {
    async fn run<T: Send + 'static>(
        &self,
        doing: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.0 else { return Err(StoreError::Closed) };
        runtime.spawn(doing).await.map_err(|_| StoreError::Closed)?
    }

    fn begin(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(task);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A runtime must not be waited for where another one runs.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn pool(server: &Server) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(server.config.clone(), NoTls, recycling);
    let wait = Some(server.answer_wait);
    Pool::builder(manager)
        .max_size(READERS)
        .timeouts(Timeouts { wait, create: wait, recycle: wait })
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}
