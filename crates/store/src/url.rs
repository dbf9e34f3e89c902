//! Where the store is: `sqlite:PATH` or `postgres://user:password@host:port/name`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A database server. The connection is not encrypted: use it on the same machine or a private network.
    /// `connect_timeout` and `tcp_user_timeout` (seconds, in the URL's query) say how long it may take to connect and
    /// to answer.
    Postgres(String),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(StoreUrl::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match text.parse::<tokio_postgres::Config>() {
                Ok(_) => Ok(StoreUrl::Postgres(text.to_owned())),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                    Err(format!("{error}{}", cause.unwrap_or_default()))
                }
            };
        }
        Err("a store is `sqlite:PATH` or `postgres://user@host/name`".to_owned())
    }
}

/// Without the password.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(formatter, "Sqlite({})", path.display()),
            StoreUrl::Postgres(_) => formatter.write_str("Postgres"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_a_server() {
        assert_eq!("sqlite:/var/lib/x.db".parse(), Ok(StoreUrl::Sqlite(PathBuf::from("/var/lib/x.db"))));
        for url in ["postgres://waxwing@db.example/waxwing", "postgresql://w:secret@127.0.0.1:5433/w"] {
            assert_eq!(url.parse(), Ok(StoreUrl::Postgres(url.to_owned())));
        }
    }

    #[test]
    fn anything_else_is_told_why() {
        for url in ["", "sqlite:", "mysql://x", "waxwing.db"] {
            assert!(url.parse::<StoreUrl>().unwrap_err().contains("sqlite:PATH"));
        }
        let port = "postgres://waxwing@db.example:port/waxwing".parse::<StoreUrl>().unwrap_err();
        assert!(port.contains("port"), "{port}");
    }

    #[test]
    fn a_password_is_not_shown() {
        let url: StoreUrl = "postgres://waxwing:secret@127.0.0.1/waxwing".parse().unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }
}
