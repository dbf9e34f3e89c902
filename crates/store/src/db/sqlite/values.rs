//! Statements, values and errors in SQLite's words.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ToSql};

use crate::db::value::{Row, Value};
use crate::error::StoreError;

pub(in crate::db) fn execute(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<(), StoreError> {
    let run = || {
        let mut statement = connection.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        statement.raw_execute()
    };
    run().map(drop).map_err(classify)
}

pub(in crate::db) fn query(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    bind(&mut statement, values).map_err(classify)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(classify)? {
        let value = |column| row.get_ref(column).map_err(classify).and_then(owned);
        found.push(Row((0..columns).map(value).collect::<Result<_, _>>()?));
    }
    Ok(found)
}

fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for (number, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(number + 1, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let value = match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        };
        Ok(rusqlite::types::ToSqlOutput::Borrowed(value))
    }
}

fn owned(value: ValueRef<'_>) -> Result<Value<'static>, StoreError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(number.into()),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(text.to_owned().into()),
            Err(error) => Err(StoreError::Corrupt(format!("a text is not UTF-8: {error}"))),
        },
        ValueRef::Blob(bytes) => Ok(Value::Blob(bytes.to_vec().into())),
        ValueRef::Real(number) => Err(StoreError::Corrupt(format!("a column holds {number}"))),
    }
}

/// SQLite's error in the operator's words.
pub(in crate::db) fn classify(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    if let Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) = error.sqlite_error().map(|error| error.extended_code) {
        // The index of the write-ahead log is a file as well, and cannot grow.
        return StoreError::Full(text);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::NoLargeFileSupport,
        ) => StoreError::Io(text),
        _ => StoreError::Refused(text),
    }
}
