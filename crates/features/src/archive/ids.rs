//! The ids of archived messages: a number that only grows, sealed, so that nobody can guess one or learn how much is in
//! an archive (XEP-0313 §3, XEP-0359 §3, §6).

use std::time::SystemTime;

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use step::Seal;
use xmpp::jid::BareJid;

/// An id is one block of AES.
const BYTES: usize = 16;
/// Bytes of the number: more messages than anybody will ever have. The others are zero; an id whose others are not is
/// none of ours.
const NUMBER_BYTES: usize = 6;

/// What the ids of one archive are made with.
#[derive(Clone)]
pub struct Ids {
    key: [u8; 32],
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Ids")
    }
}

impl Ids {
    /// The ids of an account's archive. An account that is made anew under the same address has others.
    pub fn new(seal: &Seal, owner: &BareJid, created: SystemTime) -> Self {
        // The store keeps microseconds.
        let created = created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let text = format!("archive {owner} {created}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &seal.0), text.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        Ids { key }
    }

    /// What seals them. Whoever has many of them to seal makes it once; none could only be for want of memory.
    pub fn sealer(&self) -> Option<Sealer> {
        EncryptingKey::ecb(self.key()?).ok().map(Sealer)
    }

    /// The number in an id; `None` for what is no id of this archive.
    pub fn open(&self, id: &str) -> Option<u64> {
        let mut block: [u8; BYTES] = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
        let opens = DecryptingKey::ecb(self.key()?).ok()?;
        opens.decrypt(&mut block, DecryptionContext::None).ok()?;
        let number = u64::try_from(u128::from_be_bytes(block)).ok()?;
        (number >> (8 * NUMBER_BYTES) == 0).then_some(number)
    }

    fn key(&self) -> Option<UnboundCipherKey> {
        UnboundCipherKey::new(&AES_256, &self.key).ok()
    }
}

/// Seals the ids of one archive. It is as large as sixteen keys, so that it is made when it is needed.
///
/// One block under a key of its own is a permutation of all blocks that nobody can tell from chance: it hides the
/// number, and of blocks that somebody makes up one in 2^80 is an id.
pub struct Sealer(EncryptingKey);

impl Sealer {
    /// The id of a number; always the same.
    pub fn seal(&self, number: u64) -> Option<String> {
        let mut block = [0; BYTES];
        block[BYTES - NUMBER_BYTES..].copy_from_slice(&number.to_be_bytes()[8 - NUMBER_BYTES..]);
        self.0.encrypt(&mut block).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(block))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::check::bare;

    fn ids(owner: &str, created: u64) -> Ids {
        Ids::new(&Seal([7; 32]), &bare(owner), SystemTime::UNIX_EPOCH + Duration::from_secs(created))
    }

    fn seal(ids: &Ids, number: u64) -> String {
        ids.sealer().unwrap().seal(number).unwrap()
    }

    #[test]
    fn ids_are_opened_by_the_archive_that_sealed_them_alone() {
        let alice = ids("alice@one.test", 1);
        let mut seen = BTreeSet::new();
        for number in [1, 2, 3, 255, 256, 1 << 20, (1 << 48) - 1] {
            let id = seal(&alice, number);
            assert_eq!((id.len(), alice.open(&id)), (22, Some(number)));
            assert_eq!(seal(&ids("alice@one.test", 1), number), id, "stable");
            assert_eq!(ids("alice@one.test", 2).open(&id), None, "of an account before");
            assert_eq!(ids("bob@one.test", 1).open(&id), None);
            assert!(seen.insert(id));
        }
        for text in ["", "1", "AAAAAAAAAAAAAAAAAAAAAA", "ä", "28482-98726-73623"] {
            assert_eq!(alice.open(text), None);
        }
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        let alice = ids("alice@one.test", 1);
        let bytes = |number| BASE64_URL_SAFE_NO_PAD.decode(seal(&alice, number)).unwrap();
        let same = (1..200)
            .map(|number| bytes(number).iter().zip(bytes(number + 1)).filter(|(a, b)| *a == b).count());
        // By chance, one byte in 256.
        assert!(same.sum::<usize>() < 199 * 16 / 64);
    }
}
