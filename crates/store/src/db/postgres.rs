//! PostgreSQL: one connection that writes, in the log's order, and a pool of those that read.
#![allow(clippy::disallowed_methods)] // a server of its own is outside of any rehearsal

mod connect;
mod values;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Timeouts};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio_postgres::{Config, NoTls};

use super::value::{Row, Value};
use crate::error::StoreError;
use crate::log::Log;
use writer::Writer;

/// Connections that read.
const READERS: usize = 8;

/// How long a question waits for a connection.
const READ_WAIT: Duration = Duration::from_secs(10);

/// The database server, and the thread that talks to it.
pub(crate) struct Postgres {
    runtime: Own,
    readers: Pool,
    /// Told by the writer's end.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Postgres {
    /// Connects, brings the schema up to date and starts the writer.
    pub(crate) async fn open(url: &str) -> Result<(Postgres, Log), StoreError> {
        let config: Config = url.parse().map_err(|error| values::classify(&error))?;
        let runtime = Own(Some(
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("store-postgres")
                .enable_all()
                .build()
                .map_err(|error| StoreError::Io(format!("no thread: {error}")))?,
        ));
        let readers = pool(&config)?;
        let connected = runtime.run(connect::first(config.clone())).await?;
        let log = Log::new(connected.marker);
        let wake = Arc::new(Notify::new());
        let writer = Writer::new(config, connected, log.clone(), wake.clone());
        log.wakes(move || wake.notify_one());
        let (told, ended) = oneshot::channel();
        runtime.begin(async move {
            writer.run().await;
            let _ = told.send(());
        });
        let postgres = Postgres { runtime, readers, ended: Mutex::new(Some(ended)) };
        Ok((postgres, log))
    }

    /// The rows that one statement returns.
    pub(crate) async fn run(
        &self,
        sql: &'static str,
        values: Vec<Value<'static>>,
    ) -> Result<Vec<Row>, StoreError> {
        let readers = self.readers.clone();
        let asking = async move {
            let client = readers.get().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let statement = client.prepare_cached(sql).await.map_err(|error| values::classify(&error))?;
            let rows = client
                .query(&statement, &values::parameters(&values))
                .await
                .map_err(|error| values::classify(&error))?;
            rows.iter().map(values::row).collect()
        };
        self.runtime.run(asking).await
    }

    /// Waits until the writer has written all that was appended.
    pub(crate) async fn close(&self) {
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            let _ = ended.await;
        }
        self.readers.close();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The writer goes on until its log is empty.
        let (runtime, ended) = (Own(self.runtime.0.take()), self.ended.lock().take());
        std::thread::spawn(move || {
            if let Some(ended) = ended {
                let _ = ended.blocking_recv();
            }
            drop(runtime);
        });
    }
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

fn pool(config: &Config) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config.clone(), NoTls, recycling);
    let timeouts = Timeouts { wait: Some(READ_WAIT), create: Some(READ_WAIT), recycle: Some(READ_WAIT) };
    Pool::builder(manager)
        .max_size(READERS)
        .timeouts(timeouts)
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}
