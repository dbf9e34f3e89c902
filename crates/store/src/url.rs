//! Where the store is: `sqlite:PATH` or `postgres://user:password@host:port/name`.

use std::path::PathBuf;
use std::str::FromStr;

/// Where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A database server. The connection is not encrypted: use it on the same machine or a private network.
    Postgres(String),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(StoreUrl::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(StoreUrl::Postgres(text.to_owned()));
        }
        Err("a store is `sqlite:PATH` or `postgres://user@host/name`".to_owned())
    }
}
