//! What goes into statements and comes out of rows.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use crate::error::StoreError;

/// One value, the same in every engine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same value, on its own.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Integer(number) => Value::Integer(number),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Blob(bytes) => Value::Blob(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Blob(Cow::Borrowed(bytes))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A query and its values.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value<'static>>,
}

/// One row of an answer. Values are taken out, once each.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Value<'static>>);

impl Row {
    /// The text in this column.
    pub(crate) fn text(&mut self, column: usize) -> Result<String, StoreError> {
        self.maybe_text(column)?.ok_or_else(|| wrong("text", column))
    }

    /// The text in this column, if any.
    pub(crate) fn maybe_text(&mut self, column: usize) -> Result<Option<String>, StoreError> {
        match self.take(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.into_owned())),
            _ => Err(wrong("text", column)),
        }
    }

    /// The bytes in this column.
    pub(crate) fn blob(&mut self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.maybe_blob(column)?.ok_or_else(|| wrong("bytes", column))
    }

    /// The bytes in this column, if any.
    pub(crate) fn maybe_blob(&mut self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        match self.take(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Blob(bytes)) => Ok(Some(bytes.into_owned())),
            _ => Err(wrong("bytes", column)),
        }
    }

    /// The number in this column.
    pub(crate) fn integer(&mut self, column: usize) -> Result<i64, StoreError> {
        self.maybe_integer(column)?.ok_or_else(|| wrong("a number", column))
    }

    /// The number in this column, if any.
    pub(crate) fn maybe_integer(&mut self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.take(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number)),
            _ => Err(wrong("a number", column)),
        }
    }

    fn take(&mut self, column: usize) -> Option<Value<'static>> {
        self.0.get_mut(column).map(|value| std::mem::replace(value, Value::Null))
    }
}

fn wrong(expected: &str, column: usize) -> StoreError {
    StoreError::Corrupt(format!("{expected} expected in column {column}"))
}

/// A count or sequence number for the database; what does not fit is as good as the largest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or sequence number from the database.
pub(crate) fn number(signed: i64) -> Result<u64, StoreError> {
    u64::try_from(signed).map_err(|_| StoreError::Corrupt(format!("{signed} is negative")))
}

/// Time is kept in microseconds since 1970, negative before.
pub(crate) fn micros(at: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

/// The time that these microseconds mean.
pub(crate) fn instant(micros: i64) -> Result<SystemTime, StoreError> {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let at = if micros < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    at.ok_or_else(|| StoreError::Corrupt(format!("{micros} is no time")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back() {
        for offset in [0, 1, -1, 1_800_000_000_123_456, -62_135_596_800_000_000] {
            assert_eq!(micros(instant(offset).unwrap()), offset);
        }
    }

    #[test]
    fn a_value_of_another_kind_is_damage() {
        let mut row = Row(vec![Value::Integer(1), Value::Null]);
        assert!(matches!(row.text(0), Err(StoreError::Corrupt(_))));
        assert_eq!(row.maybe_blob(1).unwrap(), None);
        assert!(matches!(row.integer(7), Err(StoreError::Corrupt(_))));
    }
}
