//! Values and errors in PostgreSQL's words.

use std::error::Error;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::db::value::{Row, Value};
use crate::error::StoreError;

impl ToSql for Value<'_> {
    fn to_sql(&self, type_: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => number.to_sql(type_, out),
            Value::Text(text) => text.as_ref().to_sql(type_, out),
            Value::Blob(bytes) => bytes.as_ref().to_sql(type_, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        type_: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let fits = match self {
            Value::Null => true,
            Value::Integer(_) => *type_ == Type::INT8,
            Value::Text(_) => *type_ == Type::TEXT,
            Value::Blob(_) => *type_ == Type::BYTEA,
        };
        if fits { self.to_sql(type_, out) } else { Err(format!("{self:?} is no {type_}").into()) }
    }
}

/// Values as the driver takes them.
pub(super) fn parameters<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A row in our own values.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |column: usize| match *row.columns()[column].type_() {
        Type::INT8 => Ok(row.get::<_, Option<i64>>(column).into()),
        Type::TEXT => Ok(row.get::<_, Option<String>>(column).into()),
        Type::BYTEA => {
            Ok(row.get::<_, Option<Vec<u8>>>(column).map_or(Value::Null, |bytes| Value::Blob(bytes.into())))
        }
        ref other => Err(StoreError::Corrupt(format!("a column of type {other}"))),
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

/// PostgreSQL's error in the operator's words. [`StoreError::Unavailable`] says that nobody knows what became of what
/// was under way; every other that it was not done.
pub(super) fn classify(error: &tokio_postgres::Error) -> StoreError {
    let text = describe(error);
    let Some(code) = error.code() else { return StoreError::Unavailable(text) };
    match (code, code.code().get(..2)) {
        (code, _) if *code == SqlState::DISK_FULL => StoreError::Full(text),
        (code, _) if is_gone(code) => StoreError::Unavailable(text),
        // Connection exceptions.
        (_, Some("08")) => StoreError::Unavailable(text),
        // What lies beneath the database failed.
        (_, Some("58")) => StoreError::Io(text),
        (code, _) if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) => {
            StoreError::Corrupt(text)
        }
        // Another session was in the way.
        (code, _) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code) => {
            StoreError::Busy(text)
        }
        (_, Some("40")) => StoreError::Busy(text),
        _ => StoreError::Refused(text),
    }
}

/// The same for an attempt to connect, where nothing is at stake but the words: what is neither the network nor silence
/// is a mistake in the URL, or a server that does not want us.
pub(super) fn classify_connect(error: &tokio_postgres::Error) -> StoreError {
    let cause = error.source().filter(|cause| cause.downcast_ref::<std::io::Error>().is_none());
    match classify(error) {
        StoreError::Unavailable(text) if error.code().is_none() && cause.is_some() => {
            StoreError::Refused(text)
        }
        known => known,
    }
}

/// The server itself goes, or has become another's standby.
fn is_gone(code: &SqlState) -> bool {
    [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::DATABASE_DROPPED,
        SqlState::IDLE_SESSION_TIMEOUT,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ]
    .contains(code)
}

/// An error and its causes, on one line.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text.replace('\n', ", ")
}
