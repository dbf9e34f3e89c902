//! Everything a stream needs that nobody may guess, derived from one seed.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::sasl::scram::SALT_BYTES;

/// Bytes of chance in one token: 144 bits, no padding in base64.
const TOKEN_BYTES: usize = 18;

/// A source of tokens: HMAC-SHA-256 of a counter under the seed. The key is made anew for each, as there are few: it
/// is 1.2 KiB, and every connection has a seed.
pub(crate) struct Seed {
    seed: [u8; 32],
    drawn: u64,
}

impl Seed {
    pub fn new(seed: &[u8; 32]) -> Self {
        Seed { seed: *seed, drawn: 0 }
    }

    fn draw(&mut self) -> [u8; TOKEN_BYTES] {
        self.drawn += 1;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.seed);
        let tag = hmac::sign(&key, &self.drawn.to_be_bytes());
        let mut token = [0; TOKEN_BYTES];
        token.copy_from_slice(&tag.as_ref()[..TOKEN_BYTES]);
        token
    }

    /// A fresh token for a stream id or a nonce: 24 characters of URL-safe base64.
    pub fn token(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.draw())
    }

    /// A fresh salt for keys.
    pub fn salt(&mut self) -> [u8; SALT_BYTES] {
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&self.draw()[..SALT_BYTES]);
        salt
    }

    /// A fresh token in lower case, fit for the local part of an address.
    pub fn local_part(&mut self) -> String {
        self.draw().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Seed").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_repeat_by_seed_only() {
        let (mut one, mut same, mut other) = (Seed::new(&[1; 32]), Seed::new(&[1; 32]), Seed::new(&[2; 32]));
        let first = one.token();
        assert_eq!(first.len(), 24);
        assert_eq!(first, same.token());
        assert_ne!(first, other.token());
        assert_ne!(first, one.token());
        assert_eq!(one.local_part().len(), 36);
    }
}
