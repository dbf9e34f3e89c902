//! The schema's numbered steps, forward only: an older database is brought up to date when it is opened.

use crate::error::StoreError;

/// All steps, in order; step n leads to schema n. A released step is never changed.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "accounts, rosters, held messages, letters, notes", text: include_str!("schema/0001.sql") },
    Step { name: "sessions that can be resumed", text: include_str!("schema/0002.sql") },
    Step { name: "archives of messages", text: include_str!("schema/0003.sql") },
    Step { name: "clients and their tokens", text: include_str!("schema/0004.sql") },
    Step { name: "a short list before the index of words", text: include_str!("schema/0005.sql") },
    Step { name: "less to write for a message", text: include_str!("schema/0006.sql") },
    Step { name: "a journal before the tables", text: include_str!("schema/0007.sql") },
    Step { name: "nodes, and what is published in them", text: include_str!("schema/0008.sql") },
    Step { name: "what clients are", text: include_str!("schema/0009.sql") },
];

/// What leads from one schema to the next.
pub(crate) struct Step {
    /// What it is about, for whoever waits for it.
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// Makes the table that holds the schema's number.
pub(crate) const PREPARE: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";

/// The schema's number; 0 for an empty database.
pub(crate) const FOUND: &str = "SELECT COALESCE(MAX(version), 0) FROM schema_version";

/// How an engine spells the schema's types.
#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Sqlite,
    /// Text is compared by bytes, as SQLite does, whatever the database's locale.
    Postgres,
}

/// A step that is to be taken now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    number: usize,
    last: usize,
    name: &'static str,
    /// Its text, which also moves the schema's number.
    pub(crate) script: String,
}

impl Due {
    /// On a large store a step takes its time: whoever waits sees where it is.
    pub(crate) fn announce(&self) {
        tracing::info!(
            step = self.number,
            of = self.last,
            name = self.name,
            "bringing the store's schema up to date"
        );
    }
}

/// What leads from the schema found to the newest, all in one transaction.
pub(crate) fn due(steps: &[Step], found: i64, dialect: Dialect) -> Result<Vec<Due>, StoreError> {
    let found = u64::try_from(found).map_err(|_| StoreError::Corrupt(format!("schema {found}")))?;
    let (last, known) = (steps.len(), steps.len() as u64);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let due = |(at, step): (usize, &Step)| {
        let number = at + 1;
        let text = spelled(step.text, dialect);
        let script = format!(
            "{text}\nDELETE FROM schema_version;\nINSERT INTO schema_version (version) VALUES ({number});\n"
        );
        Due { number, last, name: step.name, script }
    };
    Ok(steps.iter().enumerate().skip(found as usize).map(due).collect())
}

/// The step in the engine's own words; at its end it may have a part for each engine, behind a line that names it.
fn spelled(step: &str, dialect: Dialect) -> String {
    let (step, own) = step.split_once("-- SQLite:\n").unwrap_or((step, ""));
    let (sqlite, postgres) = own.split_once("-- PostgreSQL:\n").unwrap_or((own, ""));
    match dialect {
        Dialect::Sqlite => format!("{step}{sqlite}"),
        Dialect::Postgres => format!("{step}{postgres}")
            .replace(" BLOB", " BYTEA")
            .replace(" INTEGER", " BIGINT")
            .replace(" WITHOUT ROWID", "")
            .replace(" TEXT", " TEXT COLLATE \"C\""),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused() {
        let newest = STEPS.len() as i64;
        let newer = StoreError::Newer { found: newest as u64 + 1, known: newest as u64 };
        assert_eq!(due(STEPS, newest + 1, Dialect::Sqlite), Err(newer));
        assert!(matches!(due(STEPS, -1, Dialect::Sqlite), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn what_has_been_taken_is_not_taken_again() {
        assert_eq!(due(STEPS, STEPS.len() as i64, Dialect::Sqlite), Ok(Vec::new()));
        let due = due(STEPS, 0, Dialect::Postgres).unwrap();
        assert_eq!(due.len(), STEPS.len());
        assert!(due[0].script.contains("BYTEA"), "in the engine's own words");
    }
}
