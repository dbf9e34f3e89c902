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

/// PostgreSQL's error in the operator's words.
pub(super) fn classify(error: &tokio_postgres::Error) -> StoreError {
    let text = chain(error);
    match error.code() {
        Some(code) if *code == SqlState::DISK_FULL => StoreError::Full(text),
        Some(code) if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            StoreError::Corrupt(text)
        }
        Some(code) if is_shutdown(code) => StoreError::Unavailable(text),
        Some(_) => StoreError::Refused(text),
        None => StoreError::Unavailable(text),
    }
}

/// The server itself goes, so nobody knows what became of what was under way.
fn is_shutdown(code: &SqlState) -> bool {
    [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
    ]
    .contains(code)
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
