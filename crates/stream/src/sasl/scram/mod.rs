//! SCRAM (RFC 5802, RFC 7677): proving a password over the stream without ever sending it.

mod client;
mod messages;
mod server;

use std::borrow::Cow;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use xmpp::jid;

pub(crate) use client::{ClientExchange, ClientProof};
pub(crate) use messages::{Binding, ClientFirst};
pub(crate) use server::Challenged;

/// Iterations for new passwords (the floor of XEP-0438).
pub const ITERATIONS: u32 = 10_000;

/// Fewest iterations a peer may ask of us, and the fewest we keep (RFC 7677 §4).
pub const ITERATIONS_MIN: u32 = 4_096;

/// Most iterations our client side is willing to compute for a server.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// Bytes of a fresh salt.
pub const SALT_BYTES: usize = 16;

/// The hash function behind a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1 (RFC 5802), for old clients.
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512, as registered with IANA.
    Sha512,
}

impl ScramHash {
    /// Every hash, strongest first.
    pub const ALL: [ScramHash; 3] = [ScramHash::Sha512, ScramHash::Sha256, ScramHash::Sha1];

    /// The name as it stands in the mechanism's name: `SHA-256`.
    pub fn name(self) -> &'static str {
        match self {
            ScramHash::Sha1 => "SHA-1",
            ScramHash::Sha256 => "SHA-256",
            ScramHash::Sha512 => "SHA-512",
        }
    }

    /// Bytes of one hash value.
    pub fn output_bytes(self) -> usize {
        self.digest().output_len()
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            ScramHash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ScramHash::Sha256 => &digest::SHA256,
            ScramHash::Sha512 => &digest::SHA512,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            ScramHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            ScramHash::Sha256 => hmac::HMAC_SHA256,
            ScramHash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            ScramHash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            ScramHash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            ScramHash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// H(data) of RFC 5802 §2.2.
    pub(crate) fn hash(self, data: &[u8]) -> Vec<u8> {
        digest::digest(self.digest(), data).as_ref().to_vec()
    }

    /// HMAC(key, data) of RFC 5802 §2.2.
    pub(crate) fn sign(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac(), key), data).as_ref().to_vec()
    }
}

/// What a server keeps instead of a password, for one hash (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// The account's salt.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations.
    pub iterations: u32,
    /// H(ClientKey): recognises the client's proof, cannot make one.
    pub stored_key: Vec<u8>,
    /// Signs the server's own proof.
    pub server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramKeys {
    /// Keys that fit no password, for an account that does not exist: the same salt and the same
    /// work each time one asks, so that nobody learns who is here. `secret` is the server's own,
    /// the same across restarts.
    pub fn decoy(secret: &[u8; 32], account: &str, hash: ScramHash, iterations: u32) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA512, secret);
        let part = |what: &str| {
            let mut signing = hmac::Context::with_key(&key);
            for piece in [what, hash.name(), account] {
                signing.update(&(piece.len() as u64).to_be_bytes());
                signing.update(piece.as_bytes());
            }
            signing.sign().as_ref().to_vec()
        };
        let cut = |mut bytes: Vec<u8>, length| {
            bytes.truncate(length);
            bytes
        };
        ScramKeys {
            salt: cut(part("salt"), SALT_BYTES),
            iterations,
            stored_key: cut(part("stored key"), hash.output_bytes()),
            server_key: cut(part("server key"), hash.output_bytes()),
        }
    }
}

/// All that is known of one account's password. A hash without keys is a mechanism that this
/// account cannot use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScramCredentials {
    /// Keys for SCRAM-SHA-1.
    pub sha1: Option<ScramKeys>,
    /// Keys for SCRAM-SHA-256.
    pub sha256: Option<ScramKeys>,
    /// Keys for SCRAM-SHA-512.
    pub sha512: Option<ScramKeys>,
}

impl ScramCredentials {
    /// Keys for every hash from one password, salt and number of iterations.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let keys = |hash| Some(derive(hash, password, salt, iterations));
        ScramCredentials {
            sha1: keys(ScramHash::Sha1),
            sha256: keys(ScramHash::Sha256),
            sha512: keys(ScramHash::Sha512),
        }
    }

    /// The keys for one hash.
    pub fn keys(&self, hash: ScramHash) -> Option<&ScramKeys> {
        match hash {
            ScramHash::Sha1 => self.sha1.as_ref(),
            ScramHash::Sha256 => self.sha256.as_ref(),
            ScramHash::Sha512 => self.sha512.as_ref(),
        }
    }
}

/// Derives what to keep for a password. Slow by design: the work grows with `iterations`.
pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> ScramKeys {
    from_salted(hash, &salted_password(hash, password, salt, iterations), salt, iterations)
}

/// What to keep for a SaltedPassword (RFC 5802 §3); whoever sends one has done the slow part (XEP-0480 §3).
pub(crate) fn from_salted(hash: ScramHash, salted: &[u8], salt: &[u8], iterations: u32) -> ScramKeys {
    ScramKeys {
        salt: salt.to_vec(),
        iterations,
        stored_key: hash.hash(&hash.sign(salted, b"Client Key")),
        server_key: hash.sign(salted, b"Server Key"),
    }
}

/// Whether the password is the one behind the keys; the comparison takes constant time.
pub fn verify(password: &str, keys: &ScramKeys, hash: ScramHash) -> bool {
    let derived = derive(hash, password, &keys.salt, keys.iterations);
    verify_slices_are_equal(&derived.stored_key, &keys.stored_key).is_ok()
}

/// Hi(Normalize(password), salt, i) of RFC 5802 §2.2.
fn salted_password(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut salted = vec![0; hash.output_bytes()];
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    let password = prepared(password);
    pbkdf2::derive(hash.pbkdf2(), iterations, salt, password.as_bytes(), &mut salted);
    salted
}

/// The password in its OpaqueString form (RFC 8265 §4.2), which succeeds SASLprep. One that has
/// none (it is empty, or holds a control character) is taken as it is: it fits no account,
/// because none is made with it.
fn prepared(password: &str) -> Cow<'_, str> {
    jid::prepare_password(password).map_or(Cow::Borrowed(password), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifies_the_right_password_only() {
        for hash in ScramHash::ALL {
            let keys = derive(hash, "pencil", b"salt and pepper!", 4096);
            assert_eq!(keys.stored_key.len(), hash.output_bytes());
            assert!(verify("pencil", &keys, hash));
            assert!(!verify("pencils", &keys, hash));
            assert!(!verify("", &keys, hash));
        }
    }

    #[test]
    fn passwords_are_compared_in_one_normal_form() {
        let keys = derive(ScramHash::Sha256, "Ame\u{301}lie\u{a0}1", b"0123456789abcdef", 4096);
        assert!(verify("Am\u{e9}lie 1", &keys, ScramHash::Sha256));
    }

    #[test]
    fn decoys_are_steady_and_differ() {
        let secret = [7; 32];
        let one = ScramKeys::decoy(&secret, "a@one.test", ScramHash::Sha1, 10_000);
        assert_eq!(one, ScramKeys::decoy(&secret, "a@one.test", ScramHash::Sha1, 10_000));
        let other = ScramKeys::decoy(&secret, "b@one.test", ScramHash::Sha1, 10_000);
        assert_ne!(one.salt, other.salt);
        let elsewhere = ScramKeys::decoy(&[8; 32], "a@one.test", ScramHash::Sha1, 10_000);
        assert_ne!(one.salt, elsewhere.salt);
        assert_eq!(one.salt.len(), SALT_BYTES);
        assert_eq!(one.stored_key.len(), 20);
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = derive(ScramHash::Sha1, "pencil", b"salt", 1);
        assert_eq!(format!("{keys:?}"), "ScramKeys { iterations: 1, .. }");
    }
}
