//! The ids of archived messages: a number that only grows, sealed, so that nobody can guess one or learn how much is in
//! an archive (XEP-0313 §3, XEP-0359 §3, §6).

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use step::Seal;
use xmpp::jid::BareJid;

/// Bytes that tell whether an id is one of ours.
const TAG_BYTES: usize = 10;
/// Bytes of the number: more messages than anybody will ever have.
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

    /// What seals and opens them. Whoever has many of them to seal makes it once.
    pub fn sealer(&self) -> Sealer {
        Sealer(hmac::Key::new(hmac::HMAC_SHA256, &self.key))
    }
}

/// Seals and opens the ids of one archive. It is as large as twenty keys, so that it is made when it is needed.
pub struct Sealer(hmac::Key);

impl Sealer {
    /// The id of a number; always the same.
    pub fn seal(&self, number: u64) -> String {
        let tag = self.tag(number);
        let mut bytes = [0; TAG_BYTES + NUMBER_BYTES];
        bytes[..TAG_BYTES].copy_from_slice(&tag);
        bytes[TAG_BYTES..].copy_from_slice(&number.to_be_bytes()[8 - NUMBER_BYTES..]);
        self.mask(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The number in an id; `None` for what is no id of this archive.
    pub fn open(&self, id: &str) -> Option<u64> {
        let mut bytes: [u8; TAG_BYTES + NUMBER_BYTES] =
            BASE64_URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
        self.mask(&mut bytes);
        let mut number = [0; 8];
        number[8 - NUMBER_BYTES..].copy_from_slice(&bytes[TAG_BYTES..]);
        let number = u64::from_be_bytes(number);
        (self.tag(number) == bytes[..TAG_BYTES]).then_some(number)
    }

    fn tag(&self, number: u64) -> [u8; TAG_BYTES] {
        let signed = hmac::sign(&self.0, &[b"tag".as_slice(), &number.to_be_bytes()].concat());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&signed.as_ref()[..TAG_BYTES]);
        tag
    }

    /// Covers the number by what the tag says, or uncovers it.
    fn mask(&self, bytes: &mut [u8; TAG_BYTES + NUMBER_BYTES]) {
        let signed = hmac::sign(&self.0, &[b"mask".as_slice(), &bytes[..TAG_BYTES]].concat());
        for (byte, mask) in bytes[TAG_BYTES..].iter_mut().zip(signed.as_ref()) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::check::bare;

    fn ids(owner: &str, created: u64) -> Sealer {
        Ids::new(&Seal([7; 32]), &bare(owner), SystemTime::UNIX_EPOCH + Duration::from_secs(created)).sealer()
    }

    #[test]
    fn ids_are_opened_by_the_archive_that_sealed_them_alone() {
        let alice = ids("alice@one.test", 1);
        let mut seen = BTreeSet::new();
        for number in [1, 2, 3, 255, 256, 1 << 20, (1 << 48) - 1] {
            let id = alice.seal(number);
            assert_eq!((id.len(), alice.open(&id)), (22, Some(number)));
            assert_eq!(ids("alice@one.test", 1).seal(number), id, "stable");
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
        let bytes = |number| BASE64_URL_SAFE_NO_PAD.decode(alice.seal(number)).unwrap();
        let same = (1..200)
            .map(|number| bytes(number).iter().zip(bytes(number + 1)).filter(|(a, b)| *a == b).count());
        // By chance, one byte in 256.
        assert!(same.sum::<usize>() < 199 * 16 / 64);
    }
}
