//! The writer: commits everything that waits as one transaction, sent at once and answered in one round trip.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, Statement};

use super::connect::{self, Connected};
use super::values::{classify, parameters};
use crate::db::Sink;
use crate::db::value::{Value, signed};
use crate::error::StoreError;
use crate::log::{Append, Log, Next};

/// Attempts to learn what became of a group whose connection broke; then it counts as lost.
const ATTEMPTS: u32 = 5;

/// The pause between them.
const PAUSE: Duration = Duration::from_millis(500);

/// With every group, how far the log is in the database: it tells whether a commit went in whose answer got lost.
const MARK: &str = "UPDATE log SET lsn = $1 WHERE id = 1";

/// Statements in the order of their writes.
type Statements = Vec<(&'static str, Vec<Value<'static>>)>;

/// The writer's own things.
pub(super) struct Writer {
    config: Config,
    client: Client,
    prepared: HashMap<&'static str, Statement>,
    log: Log,
    wake: Arc<Notify>,
}

impl Writer {
    pub(super) fn new(config: Config, connected: Connected, log: Log, wake: Arc<Notify>) -> Self {
        Writer { config, client: connected.client, prepared: HashMap::new(), log, wake }
    }

    /// Writes until the log is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            match self.log.next() {
                Next::Group(group) => self.commit(&group).await,
                Next::Sleep => self.wake.notified().await,
                Next::End => return,
            }
        }
    }

    async fn commit(&mut self, group: &[Append]) {
        let Some(last) = group.last().map(|append| append.lsn) else { return };
        let outcome = match self.try_commit(group, last).await {
            // The connection broke: perhaps before, perhaps after the commit.
            Err(StoreError::Unavailable(_)) => self.find_out(last).await,
            known => known,
        };
        match outcome {
            Ok(()) => self.log.succeed(last),
            Err(error) => {
                tracing::error!(%error, appends = group.len(), "a group could not be committed and is lost");
                self.log.fail(error);
            }
        }
    }

    async fn try_commit(&mut self, group: &[Append], last: u64) -> Result<(), StoreError> {
        let mut statements = Collected::default();
        for write in group.iter().flat_map(|append| &append.writes) {
            write.run(&mut statements);
        }
        statements.run(MARK, &[signed(last).into()]);
        if self.client.is_closed() {
            self.connect_again().await?;
        }
        for (sql, _) in &statements.0 {
            if !self.prepared.contains_key(sql) {
                let statement = self.client.prepare(sql).await.map_err(|error| classify(&error))?;
                self.prepared.insert(sql, statement);
            }
        }
        self.send(&statements.0).await
    }

    /// Sends all requests before it looks at the first answer. Were one refused, PostgreSQL makes of the COMMIT a
    /// ROLLBACK.
    async fn send(&self, statements: &Statements) -> Result<(), StoreError> {
        // A request is sent when it is first polled.
        let mut begin = Box::pin(self.client.batch_execute("BEGIN"));
        let begun = begin.as_mut().now_or_never();
        let mut under_way: Vec<Pin<Box<dyn Future<Output = _> + Send>>> =
            Vec::with_capacity(statements.len());
        for (sql, values) in statements {
            let Some(statement) = self.prepared.get(sql) else { continue };
            let parameters = parameters(values);
            let mut request: Pin<Box<dyn Future<Output = _> + Send>> =
                Box::pin(async move { self.client.execute(statement, &parameters).await });
            let answer = request.as_mut().now_or_never();
            under_way.push(Box::pin(settled(answer, request)));
        }
        let mut commit = Box::pin(self.client.batch_execute("COMMIT"));
        let committed = commit.as_mut().now_or_never();

        let mut outcome = Ok(());
        let mut note = |answer: Result<(), tokio_postgres::Error>| {
            if let (Ok(()), Err(error)) = (&outcome, answer) {
                outcome = Err(classify(&error));
            }
        };
        note(settled(begun, begin).await);
        for request in under_way {
            note(request.await.map(|_| ()));
        }
        note(settled(committed, commit).await);
        outcome
    }

    /// Whether the group that ends with `last` is in the database after all.
    async fn find_out(&mut self, last: u64) -> Result<(), StoreError> {
        let mut trouble = StoreError::Closed;
        for _ in 0..ATTEMPTS {
            match self.connect_again().await {
                Ok(marker) if marker == last => return Ok(()),
                Ok(_) => {
                    return Err(StoreError::Unavailable(
                        "it lost the connection before the commit".to_owned(),
                    ));
                }
                Err(error) => trouble = error,
            }
            sleep(PAUSE).await;
        }
        Err(trouble)
    }

    async fn connect_again(&mut self) -> Result<u64, StoreError> {
        let connected = connect::again(&self.config).await?;
        self.client = connected.client;
        self.prepared.clear();
        Ok(connected.marker)
    }
}

/// The answer of a request that has been polled once.
async fn settled<T>(first: Option<T>, rest: impl Future<Output = T>) -> T {
    match first {
        Some(answer) => answer,
        None => rest.await,
    }
}

/// Statements, each with values of its own.
#[derive(Default)]
struct Collected(Statements);

impl Sink for Collected {
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) {
        self.0.push((sql, values.iter().map(|value| value.clone().into_owned()).collect()));
    }
}
