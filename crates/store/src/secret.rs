//! The server's own secret: made once, kept for ever, so that what is derived from it stays the same over restarts.

use crate::db::{About, Value};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The secret. The first time, `seed` (from a good source of chance) becomes it; later `seed` is ignored.
    /// From it come the salts shown for accounts that do not exist.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn secret(&self, seed: [u8; 32]) -> Result<[u8; 32], StoreError> {
        const KEEP: &str = "INSERT INTO meta (key, value) VALUES ('secret', $1) ON CONFLICT (key) DO NOTHING";
        if let Some(secret) = self.known_secret().await? {
            return Ok(secret);
        }
        self.db().write_beside(KEEP, vec![Value::from(seed.as_slice()).into_owned()]).await?;
        // Whoever was first has made it.
        self.known_secret().await?.ok_or_else(|| StoreError::Corrupt("the secret was not kept".to_owned()))
    }

    async fn known_secret(&self) -> Result<Option<[u8; 32]>, StoreError> {
        const SQL: &str = "SELECT value FROM meta WHERE key = 'secret'";
        let rows = self.db().read(About::TheSame, SQL, Vec::new()).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let secret = row.blob(0)?;
        let length = secret.len();
        let wrong = |_| StoreError::Corrupt(format!("the secret has {length} bytes instead of 32"));
        secret.try_into().map(Some).map_err(wrong)
    }
}
