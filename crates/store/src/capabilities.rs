//! What clients can do, by the hash that they tell (XEP-0115): what one has proven holds for all that tell the same.

use std::time::SystemTime;

use crate::db::{About, Sink, micros, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Hashes that are known at once; the one that was learnt first makes room.
pub const CAPABILITIES_MAX: u64 = 2_000;

/// Between the nodes that a client wants news of, and between its identities. XML cannot hold it, so no name has it.
const BETWEEN: char = '\u{1f}';
/// Between the category and the type of an identity.
const WITHIN: char = '\u{1e}';

/// What clients can do, as far as the server has a use for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The nodes whose news they want.
    pub wants: Vec<String>,
    /// What they are: categories and types (XEP-0030 §3.1).
    pub identities: Vec<(String, String)>,
}

impl Store {
    /// What clients can do that tell this hash; nothing if that is not known, or was learnt a moment ago.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn capabilities(&self, hash: &str, ver: &str) -> Result<Option<Capabilities>, StoreError> {
        const SQL: &str = "SELECT wants, identities FROM capabilities WHERE hash = $1 AND ver = $2";
        let values = vec![hash.to_owned().into(), ver.to_owned().into()];
        // What was learnt just now need not be there yet.
        let rows = self.db().read(About::TheSame, SQL, values).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let (wants, identities) = (row.text(0)?, row.text(1)?);
        let wants = wants.split(BETWEEN).filter(|node| !node.is_empty()).map(str::to_owned);
        let identities = identities.split(BETWEEN).filter_map(|identity| identity.split_once(WITHIN));
        let identities = identities.map(|(category, type_)| (category.to_owned(), type_.to_owned()));
        Ok(Some(Capabilities { wants: wants.collect(), identities: identities.collect() }))
    }
}

pub(crate) fn keep(hash: &str, ver: &str, at: SystemTime, shown: &Capabilities, sink: &mut dyn Sink) {
    const KEEP: &str = "INSERT INTO capabilities (hash, ver, at, wants, identities) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash, ver) DO UPDATE SET at = excluded.at, \
         wants = excluded.wants, identities = excluded.identities";
    const FORGET: &str = "DELETE FROM capabilities WHERE at <= \
         (SELECT at FROM capabilities ORDER BY at DESC LIMIT 1 OFFSET $1)";
    let identities: Vec<String> =
        shown.identities.iter().map(|(category, type_)| format!("{category}{WITHIN}{type_}")).collect();
    let joined = |list: &[String]| list.join(BETWEEN.encode_utf8(&mut [0; 4]));
    let (wants, identities) = (joined(&shown.wants), joined(&identities));
    sink.run(
        KEEP,
        &[hash.into(), ver.into(), micros(at).into(), wants.as_str().into(), identities.as_str().into()],
    );
    sink.run(FORGET, &[signed(CAPABILITIES_MAX).into()]);
}
