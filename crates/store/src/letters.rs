//! Letters between entities that must not be lost: kept with what their sender has written, dropped with what their
//! reader writes, so that a crash between the two loses neither (`docs/decisions/0006-registered-letters.md`).

use xmpp::jid::BareJid;

use crate::accounts::{address, owned};
use crate::db::{About, Row, Sink};
use crate::error::StoreError;
use crate::store::Store;

/// A letter that has not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLetter {
    /// Its name, used once.
    pub key: String,
    /// To whom.
    pub to: BareJid,
    /// Whether it is a stanza that the address itself sends, and which waits for something there.
    pub leaving: bool,
    /// The stanza.
    pub xml: Vec<u8>,
}

impl Store {
    /// Letters to this address that have not been read, in the order in which they were written.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letters(&self, to: &BareJid) -> Result<Vec<KeptLetter>, StoreError> {
        letters(to, self.db().read(About::Account(to), LETTERS, vec![owned(to)]).await?)
    }

    /// Everybody who has unread letters.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letter_recipients(&self) -> Result<Vec<BareJid>, StoreError> {
        const SQL: &str = "SELECT DISTINCT recipient FROM letters ORDER BY recipient";
        let rows = self.db().read(About::Everybody, SQL, Vec::new()).await?;
        rows.into_iter().map(|mut row| address(&row.text(0)?)).collect()
    }
}

pub(crate) const LETTERS: &str = "SELECT key, xml, leaving FROM letters WHERE recipient = $1 ORDER BY place";

pub(crate) fn letters(to: &BareJid, rows: Vec<Row>) -> Result<Vec<KeptLetter>, StoreError> {
    let letter = |mut row: Row| {
        let (key, to, xml) = (row.text(0)?, to.clone(), row.blob(1)?);
        Ok(KeptLetter { key, to, leaving: row.integer(2)? != 0, xml })
    };
    rows.into_iter().map(letter).collect()
}

pub(crate) fn keep(letter: &KeptLetter, sink: &mut dyn Sink) {
    // Places follow the log. One is given out again only when no later letter is left. A letter is kept once.
    const SQL: &str = "INSERT INTO letters (place, key, recipient, xml, leaving) \
         VALUES ((SELECT COALESCE(MAX(place), 0) + 1 FROM letters), $1, $2, $3, $4) \
         ON CONFLICT (key) DO NOTHING";
    let KeptLetter { key, to, leaving, xml } = letter;
    let leaving = i64::from(*leaving).into();
    sink.run(SQL, &[key.as_str().into(), to.as_str().into(), xml.as_slice().into(), leaving]);
}

pub(crate) fn drop(key: &str, sink: &mut dyn Sink) {
    sink.run("DELETE FROM letters WHERE key = $1", &[key.into()]);
}
