//! The schema's numbered steps, forward only: an older database is brought up to date when it is opened.

use crate::error::StoreError;

/// All steps, in order; step n leads to schema n. A released step is never changed.
const STEPS: [&str; 1] = [include_str!("schema/0001.sql")];

/// The newest schema.
pub(crate) const NEWEST: u64 = STEPS.len() as u64;

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

/// What leads from the schema found to the newest, to be run in one transaction; `None` if there is nothing to do.
pub(crate) fn script(found: i64, dialect: Dialect) -> Result<Option<String>, StoreError> {
    let found = u64::try_from(found).map_err(|_| StoreError::Corrupt(format!("schema {found}")))?;
    if found > NEWEST {
        return Err(StoreError::Newer { found, known: NEWEST });
    }
    if found == NEWEST {
        return Ok(None);
    }
    let mut script = String::new();
    for step in STEPS.iter().skip(found as usize) {
        script.push_str(&spelled(step, dialect));
        script.push('\n');
    }
    script.push_str(&format!(
        "DELETE FROM schema_version;\nINSERT INTO schema_version (version) VALUES ({NEWEST});\n"
    ));
    Ok(Some(script))
}

fn spelled(step: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => step.to_owned(),
        Dialect::Postgres => step.replace(" BLOB", " BYTEA").replace(" TEXT", " TEXT COLLATE \"C\""),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused() {
        let found = NEWEST + 1;
        assert_eq!(script(found as i64, Dialect::Sqlite), Err(StoreError::Newer { found, known: NEWEST }));
        assert_eq!(script(NEWEST as i64, Dialect::Sqlite), Ok(None));
        assert!(script(0, Dialect::Postgres).unwrap().unwrap().contains("BYTEA"));
    }
}
