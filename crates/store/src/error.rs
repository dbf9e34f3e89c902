//! What can go wrong with the store, in words that tell its operator what to do.

use std::fmt;
use std::path::PathBuf;

/// The store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// Another process has it open.
    InUse {
        /// The file, or the database, that says so.
        lock: PathBuf,
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// It was written by a newer version.
    Newer {
        /// The schema that was found.
        found: u64,
        /// The newest schema that this version knows.
        known: u64,
    },
    /// No room is left.
    Full(String),
    /// The disk or its file system failed.
    Io(String),
    /// Another program holds it for too long, or too much is asked of it.
    Busy(String),
    /// What was found in it cannot be.
    Corrupt(String),
    /// The database server does not answer.
    Unavailable(String),
    /// The database refused a statement.
    Refused(String),
    /// It has been closed.
    Closed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::InUse { lock, pid: Some(pid) } => {
                write!(formatter, "process {pid} has the store open ({}); stop it first", lock.display())
            }
            StoreError::InUse { lock, pid: None } => {
                write!(formatter, "another process has the store open ({}); stop it first", lock.display())
            }
            StoreError::Newer { found, known } => write!(
                formatter,
                "the store has schema {found} and this version knows up to {known}; use the version that wrote it"
            ),
            StoreError::Full(text) => {
                write!(
                    formatter,
                    "no room is left for the store; free some, the server goes on by itself ({text})"
                )
            }
            StoreError::Io(text) => write!(formatter, "the store's disk failed ({text})"),
            StoreError::Busy(text) => {
                write!(formatter, "the store is too busy; does another program hold it? ({text})")
            }
            StoreError::Corrupt(text) => {
                write!(formatter, "the store is damaged; restore it from a backup ({text})")
            }
            StoreError::Unavailable(text) => {
                write!(formatter, "the database server does not answer ({text})")
            }
            StoreError::Refused(text) => write!(formatter, "the database refused ({text})"),
            StoreError::Closed => formatter.write_str("the store has been closed"),
        }
    }
}

impl std::error::Error for StoreError {}
