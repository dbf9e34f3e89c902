//! Statements and their values in one text of bytes, as the journal keeps them.
//!
//! Each statement: its number and how many values it has, then the values, each behind a byte that says its kind.
//! Numbers take seven bits to a byte, the lowest first.

use rusqlite::Connection;

use super::values::execute;
use crate::db::value::Value;
use crate::error::StoreError;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;

/// Statements in their order.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<u8>);

/// One of them.
#[derive(Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) id: i64,
    pub(super) values: Vec<Value<'static>>,
}

impl Script {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, id: i64, values: &[Value<'_>]) {
        self.number(id.unsigned_abs());
        self.number(values.len() as u64);
        for value in values {
            match value {
                Value::Null => self.0.push(NULL),
                Value::Integer(number) => {
                    self.0.push(INTEGER);
                    self.0.extend_from_slice(&number.to_le_bytes());
                }
                Value::Text(text) => self.bytes(TEXT, text.as_bytes()),
                Value::Blob(bytes) => self.bytes(BLOB, bytes),
            }
        }
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.0.push(kind);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Puts it down as the last row of the journal.
    pub(super) fn keep(&self, connection: &Connection) -> Result<(), StoreError> {
        execute(connection, "INSERT INTO journal (writes) VALUES ($1)", &[self.0.as_slice().into()])
    }

    /// The statements of a row.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(mut bytes: &[u8]) -> Result<Vec<Statement>, StoreError> {
        let damaged = || StoreError::Corrupt("a row of the journal is damaged".to_owned());
        let mut statements = Vec::new();
        while !bytes.is_empty() {
            statements.push(statement(&mut bytes).ok_or_else(damaged)?);
        }
        Ok(statements)
    }
}

fn statement(bytes: &mut &[u8]) -> Option<Statement> {
    let id = i64::try_from(number(bytes)?).ok()?;
    let count = number(bytes)?;
    let values = (0..count).map(|_| value(bytes)).collect::<Option<_>>()?;
    Some(Statement { id, values })
}

fn value(bytes: &mut &[u8]) -> Option<Value<'static>> {
    match *bytes.split_off_first()? {
        NULL => Some(Value::Null),
        INTEGER => bytes.split_off(..8)?.try_into().ok().map(i64::from_le_bytes).map(Value::Integer),
        TEXT => String::from_utf8(run(bytes)?.to_vec()).ok().map(Value::from),
        BLOB => Some(Value::Blob(run(bytes)?.to_vec().into())),
        _ => None,
    }
}

fn run<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(bytes)?).ok()?;
    bytes.split_off(..length)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> (Script, Vec<Statement>) {
        let values = vec![
            Value::Null,
            Value::Integer(-1),
            Value::Integer(i64::MAX),
            Value::from("Семья".to_owned()),
            Value::Blob(vec![0; 300].into()),
            Value::from(String::new()),
        ];
        let statements = vec![
            Statement { id: 1, values },
            Statement { id: 300, values: Vec::new() },
            Statement { id: i64::MAX, values: vec![Value::Blob(Vec::new().into())] },
        ];
        let mut script = Script::default();
        statements.iter().for_each(|Statement { id, values }| script.add(*id, values));
        (script, statements)
    }

    #[test]
    fn statements_come_back_as_they_were() {
        let (script, statements) = sample();
        assert_eq!(Script::read(&script.0).unwrap(), statements);
        assert_eq!(Script::read(&[]).unwrap(), Vec::new());
    }

    #[test]
    fn what_is_cut_off_or_of_no_kind_is_damage() {
        let (script, statements) = sample();
        let ends = statements.iter().map(|Statement { id, values }| {
            let mut one = Script::default();
            one.add(*id, values);
            one.len()
        });
        let ends: Vec<usize> = ends
            .scan(0, |end, length| {
                *end += length;
                Some(*end)
            })
            .collect();
        for cut in 1..script.len() {
            assert_eq!(Script::read(&script.0[..cut]).is_ok(), ends.contains(&cut), "{cut}");
        }
        for damaged in
            [&[1, 1, 4][..], &[1, 1, TEXT, 1, 0xff], &[0xff; 20], &[1, 1, BLOB, 0xff, 0xff, 0xff, 0x7f]]
        {
            assert!(matches!(Script::read(damaged), Err(StoreError::Corrupt(_))), "{damaged:?}");
        }
    }
}
