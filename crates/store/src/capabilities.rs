//! What clients can do, by the hash that they tell (XEP-0115): what one has proven holds for all that tell the same.

use std::time::SystemTime;

use crate::db::{About, Sink, micros, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Hashes that are known at once; the one that was learnt first makes room.
pub const CAPABILITIES_MAX: u64 = 2_000;

/// Between the nodes that a client wants news of. XML cannot hold it, so no node has it in its name.
const BETWEEN: char = '\u{1f}';

impl Store {
    /// The nodes whose news clients want that tell this hash; nothing if that is not known, or was learnt a moment ago.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn capabilities(&self, hash: &str, ver: &str) -> Result<Option<Vec<String>>, StoreError> {
        const SQL: &str = "SELECT wants FROM capabilities WHERE hash = $1 AND ver = $2";
        let values = vec![hash.to_owned().into(), ver.to_owned().into()];
        // What was learnt just now need not be there yet.
        let rows = self.db().read(About::TheSame, SQL, values).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let wants = row.text(0)?;
        Ok(Some(wants.split(BETWEEN).filter(|node| !node.is_empty()).map(str::to_owned).collect()))
    }
}

pub(crate) fn keep(hash: &str, ver: &str, at: SystemTime, wants: &[String], sink: &mut dyn Sink) {
    const KEEP: &str = "INSERT INTO capabilities (hash, ver, at, wants) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (hash, ver) DO UPDATE SET at = excluded.at, wants = excluded.wants";
    const FORGET: &str = "DELETE FROM capabilities WHERE at <= \
         (SELECT at FROM capabilities ORDER BY at DESC LIMIT 1 OFFSET $1)";
    let wants = wants.join(BETWEEN.encode_utf8(&mut [0; 4]));
    sink.run(KEEP, &[hash.into(), ver.into(), micros(at).into(), wants.as_str().into()]);
    sink.run(FORGET, &[signed(CAPABILITIES_MAX).into()]);
}
