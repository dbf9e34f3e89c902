//! The writer: commits everything that waits as one transaction, sent at once and answered in one round trip.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Error, Statement};

use super::connect::{self, Connected, Line, Server};
use super::values::{classify, describe, parameters};
use crate::db::Sink;
use crate::db::condense::condense;
use crate::db::value::{Value, signed};
use crate::error::StoreError;
use crate::log::{Append, Log, Next, PATIENCE};

/// Attempts to bring a group into the database, or to learn that it is there; then it counts as lost.
const ATTEMPTS: u32 = 6;

/// The pause between them; the second comes at once.
const PAUSE: Duration = Duration::from_millis(500);

/// With every group, how far the log is in the database: it tells whether a commit went in whose answer got lost.
const MARK: &str = "UPDATE log SET lsn = $1 WHERE id = 1";

/// Statements in the order of their writes.
type Statements = Vec<(&'static str, Vec<Value<'static>>)>;

/// The writer's own things.
pub(super) struct Writer {
    server: Server,
    line: Option<Line>,
    /// The server's process behind the last connection.
    backend: i32,
    prepared: HashMap<&'static str, Statement>,
    log: Log,
    wake: Arc<Notify>,
    /// A group counts as lost, and may yet turn out to be in the database: until we are connected again and know, what
    /// is read could be older than what will be there.
    in_doubt: Arc<AtomicBool>,
    /// It has been said that there is no connection.
    complained: bool,
}

impl Writer {
    pub(super) fn new(
        server: Server,
        connected: Connected,
        log: Log,
        wake: Arc<Notify>,
        in_doubt: Arc<AtomicBool>,
    ) -> Self {
        let Connected { line, backend, .. } = connected;
        let (line, prepared) = (Some(line), HashMap::new());
        Writer { server, line, backend, prepared, log, wake, in_doubt, complained: false }
    }

    /// Writes until the log is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            match self.log.next() {
                Next::Group(group) => self.commit(&group).await,
                Next::Pause => {
                    let _ = timeout(PATIENCE, self.wake.notified()).await;
                    self.log.lose_patience();
                }
                Next::Sleep => self.rest().await,
                Next::End => break,
            }
        }
        if let Some(line) = self.line.take() {
            line.hang_up().await;
        }
    }

    /// Sleeps until woken. A lost connection is replaced meanwhile: with it went the lock that keeps other servers
    /// out.
    async fn rest(&mut self) {
        if self.client().is_some() {
            // The end of the connection wakes as well.
            return self.wake.notified().await;
        }
        if let Err(error) = self.connect_again().await {
            if !std::mem::replace(&mut self.complained, true) {
                tracing::warn!(%error, "PostgreSQL is not to be had; trying again and again");
            }
            let _ = timeout(PAUSE, self.wake.notified()).await;
        }
    }

    async fn commit(&mut self, group: &[Append]) {
        let Some(last) = group.last().map(|append| append.lsn) else { return };
        let mut statements = Collected::default();
        for write in condense(group) {
            write.run(&mut statements);
        }
        statements.run(MARK, &[signed(last).into()]);
        match self.bring_in(&statements.0, last).await {
            Ok(()) => self.log.succeed(last),
            Err(error) => {
                tracing::error!(%error, appends = group.len(), "a group could not be committed and is lost");
                self.log.fail(error);
            }
        }
    }

    /// Has the group committed once. When a connection breaks, the marker in the database tells whether the commit was
    /// before that.
    async fn bring_in(&mut self, statements: &Statements, last: u64) -> Result<(), StoreError> {
        let mut trouble = StoreError::Closed;
        let mut in_doubt = false;
        for attempt in 0..ATTEMPTS {
            if attempt > 1 {
                sleep(PAUSE).await;
            }
            if self.client().is_none() {
                match self.connect_again().await {
                    Ok(marker) if in_doubt && marker == last => return Ok(()),
                    Ok(_) => {}
                    Err(error) => {
                        trouble = error;
                        continue;
                    }
                }
            }
            match self.try_commit(statements).await {
                // The connection broke: perhaps before, perhaps after the commit.
                Err(StoreError::Unavailable(text)) => {
                    in_doubt = true;
                    trouble = StoreError::Unavailable(text);
                    self.cut();
                }
                known => return known,
            }
        }
        if in_doubt {
            self.in_doubt.store(true, Ordering::Release);
        }
        Err(trouble)
    }

    async fn try_commit(&mut self, statements: &Statements) -> Result<(), StoreError> {
        let wait = self.server.answer_wait;
        let Some(client) = self.line.as_ref().map(|line| &line.client) else {
            return Err(StoreError::Closed);
        };
        let mut requests = Vec::with_capacity(statements.len());
        for (sql, values) in statements {
            let statement = match self.prepared.get(sql) {
                Some(statement) => statement.clone(),
                None => {
                    let statement = answer(wait, client.prepare(sql)).await?;
                    self.prepared.insert(sql, statement.clone());
                    statement
                }
            };
            requests.push((statement, values));
        }
        send(client, &requests, wait).await
    }

    /// The connection, unless it is known to be broken.
    fn client(&self) -> Option<&Client> {
        self.line.as_ref().map(|line| &line.client).filter(|client| !client.is_closed())
    }

    fn cut(&mut self) {
        if let Some(line) = self.line.take() {
            line.cut();
        }
    }

    async fn connect_again(&mut self) -> Result<u64, StoreError> {
        self.cut();
        let connected = connect::again(&self.server, self.backend, self.wake.clone()).await?;
        self.line = Some(connected.line);
        self.backend = connected.backend;
        self.prepared.clear();
        self.in_doubt.store(false, Ordering::Release);
        self.complained = false;
        tracing::info!("connected to PostgreSQL again");
        Ok(connected.marker)
    }
}

/// Sends all requests before it looks at the first answer. Were one refused, PostgreSQL makes of the COMMIT a ROLLBACK.
async fn send(
    client: &Client,
    requests: &[(Statement, &Vec<Value<'static>>)],
    wait: Duration,
) -> Result<(), StoreError> {
    let mut sent = Vec::with_capacity(requests.len() + 1);
    sent.push(Sent::new(client.batch_execute("BEGIN")));
    for (statement, values) in requests {
        let parameters = parameters(values);
        sent.push(Sent::new(async move { client.execute(statement, &parameters).await.map(drop) }));
    }
    // What cannot be put into words is not sent at all, and PostgreSQL does not miss it.
    let unsent = sent.iter().find_map(Sent::failed_at_once).filter(|_| !client.is_closed());
    let end = Sent::new(client.batch_execute(if unsent.is_some() { "ROLLBACK" } else { "COMMIT" }));

    let mut outcome = Ok(());
    for request in sent.into_iter().chain([end]) {
        let answer = request.answer(wait).await;
        if outcome.is_ok() {
            outcome = answer;
        }
        if let Err(StoreError::Unavailable(_)) = outcome {
            // No more answers come.
            break;
        }
    }
    unsent.map_or(outcome, Err)
}

/// A request under way.
struct Sent<'a> {
    first: Option<Result<(), Error>>,
    rest: BoxFuture<'a, Result<(), Error>>,
}

impl<'a> Sent<'a> {
    /// A request is sent when it is first polled.
    fn new(request: impl Future<Output = Result<(), Error>> + Send + 'a) -> Self {
        let mut rest = request.boxed();
        Sent { first: rest.as_mut().now_or_never(), rest }
    }

    fn failed_at_once(&self) -> Option<StoreError> {
        let error = self.first.as_ref()?.as_ref().err()?;
        Some(StoreError::Refused(describe(error)))
    }

    async fn answer(self, wait: Duration) -> Result<(), StoreError> {
        match self.first {
            Some(answer) => answer.map_err(|error| classify(&error)),
            None => answer(wait, self.rest).await,
        }
    }
}

async fn answer<T>(wait: Duration, request: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable(format!("no answer within {} s", wait.as_secs()));
    timeout(wait, request).await.map_err(late)?.map_err(|error| classify(&error))
}

/// Statements, each with values of its own.
#[derive(Default)]
struct Collected(Statements);

impl Sink for Collected {
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) {
        self.0.push((sql, values.iter().map(|value| value.clone().into_owned()).collect()));
    }
}
