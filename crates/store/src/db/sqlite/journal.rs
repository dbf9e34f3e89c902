//! The journal: what a group writes is appended there as a row, or some, and is safe with them; tables follow in larger
//! steps, without what later writes have made void meanwhile.
//!
//! Row and tables are in one database: a step takes away the rows that it carries out, in the same transaction. After a
//! crash what is left is carried out as the file is opened, before anything is read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use xmpp::jid::BareJid;
use xmpp::map::{Map, Set};

use super::script::{Script, Statement};
use super::values::{classify, execute, query};
use crate::db::condense::{condense, gather};
use crate::db::value::{Row, Value};
use crate::db::{About, Sink, Tables};
use crate::error::StoreError;
use crate::log::Append;
use crate::write::Write;

/// Tables follow at the latest when so many writes are ahead of them: the longer, the less there is to write for each,
/// and the longer the writer is busy with that.
const WRITES_AHEAD: usize = 8_192;

/// The same in bytes, roughly: they are in memory, too.
const BYTES_AHEAD: usize = 4 << 20;

/// A row ends with the write that reaches so many bytes: SQLite copies a row three times on its way to the file.
const ROW_BYTES: usize = 256 << 10;

/// When tables cannot follow (the disk is full), nothing more is taken from so many times as much on.
const PATIENCE: usize = 4;

/// Whose things may be ahead of the tables. Clones are the same.
#[derive(Clone, Default)]
pub(in crate::db) struct Ahead(Arc<Whose>);

#[derive(Default)]
struct Whose {
    accounts: Mutex<Set<BareJid>>,
    everybody: AtomicBool,
}

impl Ahead {
    /// Whether tables do not show all that was committed of that.
    pub(in crate::db) fn concerns(&self, about: About<'_>) -> bool {
        let Whose { accounts, everybody } = &*self.0;
        match about {
            About::TheSame => false,
            _ if everybody.load(Ordering::Acquire) => true,
            About::Account(account) => accounts.lock().contains(account),
            About::Everybody => !accounts.lock().is_empty(),
        }
    }

    fn add(&self, writes: &[Write]) {
        let mut accounts = self.0.accounts.lock();
        for write in writes {
            match write.whose() {
                Some(account) if accounts.contains(account) => {}
                Some(account) => {
                    accounts.insert(account.clone());
                }
                None => self.0.everybody.store(true, Ordering::Release),
            }
        }
    }

    fn clear(&self) {
        self.0.accounts.lock().clear();
        self.0.everybody.store(false, Ordering::Release);
    }
}

/// The journal of an open database, in which nothing is left of former ones.
#[derive(Default)]
pub(in crate::db) struct Journal {
    /// Statements that the database knows.
    known: Known,
    appends: Vec<Append>,
    writes: usize,
    bytes: usize,
    ahead: Ahead,
}

impl Journal {
    /// Whose things are ahead of the tables.
    pub(in crate::db) fn ahead(&self) -> Ahead {
        self.ahead.clone()
    }

    pub(in crate::db) fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    /// Whether it is time for the tables to follow.
    pub(in crate::db) fn is_due(&self) -> bool {
        self.is_beyond(1)
    }

    fn is_beyond(&self, times: usize) -> bool {
        self.writes > WRITES_AHEAD * times || self.bytes > BYTES_AHEAD * times
    }

    /// Commits a group. On an error nothing of it is there. Returns how many bytes it takes.
    pub(in crate::db) fn commit(
        &mut self,
        connection: &mut Connection,
        group: Vec<Append>,
    ) -> Result<usize, StoreError> {
        if self.is_beyond(PATIENCE) {
            self.follow(connection)?;
        }
        let bytes = match self.append(connection, &group) {
            // The rows that are carried out make room.
            Err(StoreError::Full(_)) if !self.is_empty() => {
                self.follow(connection)?;
                self.append(connection, &group)?
            }
            appended => appended?,
        };
        for append in &group {
            self.writes += append.writes.len();
            self.bytes += append.bytes;
            self.ahead.add(&append.writes);
        }
        self.appends.extend(group);
        Ok(bytes)
    }

    fn append(&mut self, connection: &mut Connection, group: &[Append]) -> Result<usize, StoreError> {
        let transaction = begin(connection)?;
        let mut writer = Writer {
            known: &mut self.known,
            new: Vec::new(),
            script: Script::default(),
            kept: 0,
            transaction: &transaction,
            error: None,
        };
        for write in condense(group) {
            write.run(&mut writer);
            if writer.script.len() >= ROW_BYTES {
                writer.keep();
            }
        }
        writer.keep();
        let Writer { new, kept, error, .. } = writer;
        let done = match error {
            Some(error) => Err(error),
            None => transaction.commit().map_err(classify),
        };
        if done.is_err() {
            // The database does not know them after all.
            new.iter().for_each(|text| {
                self.known.remove(text);
            });
        }
        done.map(|()| kept)
    }

    /// The tables follow. On an error they stay as they are. Returns how many statements that took.
    pub(in crate::db) fn follow(&mut self, connection: &mut Connection) -> Result<u64, StoreError> {
        if self.is_empty() {
            return Ok(0);
        }
        let transaction = begin(connection)?;
        let statements = self.carry_out(&transaction)?;
        transaction.commit().map_err(classify)?;
        self.appends.clear();
        (self.writes, self.bytes) = (0, 0);
        self.ahead.clear();
        Ok(statements)
    }

    /// Has something looked at as if the tables had followed: they cannot, since there is no room.
    pub(in crate::db) fn look(
        &mut self,
        connection: &mut Connection,
        look: impl FnOnce(&Connection),
    ) -> Result<(), StoreError> {
        let transaction = begin(connection)?;
        self.carry_out(&transaction)?;
        look(&transaction);
        // Dropping the transaction rolls it back.
        Ok(())
    }

    fn carry_out(&self, transaction: &Transaction<'_>) -> Result<u64, StoreError> {
        execute(transaction, CLEAR, &[])?;
        let mut runner = Runner { connection: transaction, error: None, statements: 0 };
        for together in gather(&self.appends) {
            together.run(&mut runner);
        }
        runner.error.map_or(Ok(runner.statements), Err)
    }
}

const CLEAR: &str = "DELETE FROM journal";

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)
}

/// What was committed before a crash, in the words of the server that did so: also before the schema changes.
pub(super) fn carry_out_left(connection: &mut Connection) -> Result<(), StoreError> {
    const THERE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'journal'";
    const LEFT: &str = "SELECT writes FROM journal ORDER BY number";
    const TEXTS: &str = "SELECT id, text FROM journal_statements";
    if query(connection, THERE, &[])?.is_empty() {
        return Ok(());
    }
    let transaction = begin(connection)?;
    let left = query(&transaction, LEFT, &[])?;
    if !left.is_empty() {
        tracing::info!(groups = left.len(), "carrying out what was committed before the server ended");
    }
    let text = |mut row: Row| Ok((row.integer(0)?, row.text(1)?));
    let texts: HashMap<i64, String> =
        query(&transaction, TEXTS, &[])?.into_iter().map(text).collect::<Result<_, StoreError>>()?;
    for mut row in left {
        for Statement { id, values } in Script::read(&row.blob(0)?)? {
            let text = texts.get(&id).ok_or_else(|| StoreError::Corrupt(format!("no statement {id}")))?;
            carry_out(&transaction, text, &values)?;
        }
    }
    // Statements of former versions are not kept for ever.
    transaction.execute_batch("DELETE FROM journal; DELETE FROM journal_statements").map_err(classify)?;
    transaction.commit().map_err(classify)
}

/// The numbers of statements by where their texts stand; a text that stands twice has two.
type Known = Map<Place, i64>;

/// Where a text stands, and how long it is.
type Place = (usize, usize);

fn place(text: &'static str) -> Place {
    (text.as_ptr().addr(), text.len())
}

/// Carries a statement out. One that its table refuses has been answered, and what others have committed does not wait
/// for it: it is left out. There is none that we know of.
fn carry_out(connection: &Connection, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
    match execute(connection, sql, values) {
        Err(error @ StoreError::Refused(_)) => {
            tracing::error!(%error, sql, "left out: what was committed is refused by its table");
            Ok(())
        }
        done => done,
    }
}

/// Writes down statements instead of running them.
struct Writer<'a> {
    known: &'a mut Known,
    /// Which of these are known since just now.
    new: Vec<Place>,
    script: Script,
    /// Bytes that are put down.
    kept: usize,
    transaction: &'a Transaction<'a>,
    error: Option<StoreError>,
}

impl Writer<'_> {
    fn id(&mut self, sql: &'static str) -> Result<i64, StoreError> {
        const KEEP: &str = "INSERT INTO journal_statements (id, text) VALUES ($1, $2)";
        if let Some(id) = self.known.get(&place(sql)) {
            return Ok(*id);
        }
        let id = self.known.len() as i64 + 1;
        execute(self.transaction, KEEP, &[id.into(), sql.into()])?;
        self.known.insert(place(sql), id);
        self.new.push(place(sql));
        Ok(id)
    }

    /// Puts down what there is as a row.
    fn keep(&mut self) {
        let script = std::mem::take(&mut self.script);
        if self.error.is_some() || script.is_empty() {
            return;
        }
        self.kept += script.len();
        self.error = script.keep(self.transaction).err();
    }
}

impl Sink for Writer<'_> {
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) {
        if self.error.is_some() {
            return;
        }
        match self.id(sql) {
            Ok(id) => self.script.add(id, values),
            Err(error) => self.error = Some(error),
        }
    }
}

/// Runs statements until one fails.
struct Runner<'a> {
    connection: &'a Connection,
    error: Option<StoreError>,
    statements: u64,
}

impl Sink for Runner<'_> {
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) {
        if self.error.is_none() {
            self.statements += 1;
            self.error = carry_out(self.connection, sql, values).err();
        }
    }
}

impl Tables for Runner<'_> {
    fn number(&mut self, sql: &'static str, values: &[Value<'_>]) -> Option<i64> {
        if self.error.is_some() {
            return None;
        }
        let rows = query(self.connection, sql, values);
        let number =
            rows.and_then(|rows| rows.into_iter().next().map_or(Ok(None), |mut row| row.maybe_integer(0)));
        number.unwrap_or_else(|error| {
            self.error = Some(error);
            None
        })
    }
}
