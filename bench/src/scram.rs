//! SCRAM as a client does it (RFC 5802), with what costs most kept: accounts of a load share one password and salt.

use std::collections::HashMap;
use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The mechanisms that a load knows, the preferred first.
pub const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-1"];

/// SaltedPassword by mechanism, password, salt and rounds.
#[derive(Debug, Default)]
pub struct Salted(HashMap<(&'static str, String, Vec<u8>, u32), Vec<u8>>);

/// A login under way.
#[derive(Debug)]
pub struct Exchange {
    mechanism: &'static str,
    bare: String,
}

impl Exchange {
    /// A login, and the client's first message.
    pub fn begin(mechanism: &'static str, username: &str, nonce: u64) -> (Self, String) {
        let bare = format!("n={username},r=waxwingbench{nonce:016x}");
        let first = STANDARD.encode(format!("n,,{bare}"));
        (Exchange { mechanism, bare }, first)
    }

    /// The client's last message.
    ///
    /// # Errors
    /// What is wrong with the challenge.
    pub fn answer(&self, challenge: &str, password: &str, salted: &mut Salted) -> Result<String, String> {
        let challenge = STANDARD.decode(challenge.trim()).map_err(|error| error.to_string())?;
        let challenge = String::from_utf8(challenge).map_err(|error| error.to_string())?;
        let field = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or("a challenge without a nonce")?;
        let salt = field("s=").ok_or("a challenge without salt")?;
        let salt = STANDARD.decode(salt).map_err(|error| error.to_string())?;
        let rounds =
            field("i=").and_then(|rounds| rounds.parse().ok()).ok_or("a challenge without rounds")?;
        let key = salted.get(self.mechanism, password, salt, rounds)?;
        let (sign, hash) = algorithms(self.mechanism);
        let client_key = hmac::sign(&hmac::Key::new(sign, &key), b"Client Key");
        let stored_key = digest::digest(hash, client_key.as_ref());
        let last = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{last}", self.bare);
        let signature = hmac::sign(&hmac::Key::new(sign, stored_key.as_ref()), message.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(left, right)| left ^ right).collect();
        Ok(STANDARD.encode(format!("{last},p={}", STANDARD.encode(proof))))
    }
}

impl Salted {
    fn get(
        &mut self,
        mechanism: &'static str,
        password: &str,
        salt: Vec<u8>,
        rounds: u32,
    ) -> Result<Vec<u8>, String> {
        let count = NonZeroU32::new(rounds).ok_or("a challenge of no rounds")?;
        let place = self.0.entry((mechanism, password.to_owned(), salt.clone(), rounds));
        let make = || {
            let (algorithm, bytes) = match mechanism {
                "SCRAM-SHA-1" => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
                _ => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            };
            let mut key = vec![0; bytes];
            pbkdf2::derive(algorithm, count, &salt, password.as_bytes(), &mut key);
            key
        };
        Ok(place.or_insert_with(make).clone())
    }
}

fn algorithms(mechanism: &str) -> (hmac::Algorithm, &'static digest::Algorithm) {
    match mechanism {
        "SCRAM-SHA-1" => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA1_FOR_LEGACY_USE_ONLY),
        _ => (hmac::HMAC_SHA256, &digest::SHA256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3, but for the client's nonce, which is our own.
    #[test]
    fn the_proof_is_that_of_our_own_client() {
        let (exchange, first) = Exchange::begin("SCRAM-SHA-1", "user", 1);
        assert_eq!(STANDARD.decode(first).expect("base64"), b"n,,n=user,r=waxwingbench0000000000000001");
        let challenge = "r=waxwingbench0000000000000001srv,s=QSXCR+Q6sek8bf92,i=4096";
        let mut salted = Salted::default();
        let proof = exchange.answer(&STANDARD.encode(challenge), "pencil", &mut salted).expect("a proof");
        let proof = String::from_utf8(STANDARD.decode(proof).expect("base64")).expect("text");
        assert!(proof.starts_with("c=biws,r=waxwingbench0000000000000001srv,p="), "{proof}");
        // 20 bytes of proof in base64.
        assert_eq!(proof.rsplit("p=").next().map(str::len), Some(28));
        assert!(exchange.answer(&STANDARD.encode("r=x,i=1"), "pencil", &mut salted).is_err());
    }
}
