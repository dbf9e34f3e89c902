//! A SCRAM client written from RFC 5802 alone, so that the server's side is not checked against itself.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stream::ScramHash;

/// What a server's challenge says.
#[derive(Debug)]
pub struct Challenge {
    /// All of it.
    pub text: String,
    /// The whole nonce.
    pub nonce: String,
    salt: Vec<u8>,
    iterations: u32,
}

impl Challenge {
    /// Reads `r=…,s=…,i=…`.
    pub fn read(text: &str) -> Option<Challenge> {
        let mut parts = text.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?.to_owned();
        let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
        let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        Some(Challenge { text: text.to_owned(), nonce, salt, iterations })
    }
}

/// The proof of the client and that of the server (RFC 5802 §3).
pub fn proofs(
    hash: ScramHash,
    password: &str,
    bare: &str,
    challenge: &Challenge,
    without_proof: &str,
) -> (Vec<u8>, Vec<u8>) {
    let (digest, hmac, pbkdf2) = match hash {
        ScramHash::Sha1 => {
            (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pbkdf2::PBKDF2_HMAC_SHA1)
        }
        ScramHash::Sha256 => (&digest::SHA256, hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
        ScramHash::Sha512 => (&digest::SHA512, hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
    };
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac, key), text).as_ref().to_vec();
    let mut salted = vec![0; digest.output_len()];
    let iterations = challenge.iterations.try_into().unwrap_or(std::num::NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2, iterations, &challenge.salt, password.as_bytes(), &mut salted);
    let message = format!("{bare},{},{without_proof}", challenge.text);
    let client_key = sign(&salted, b"Client Key");
    let stored_key = digest::digest(digest, &client_key);
    let signature = sign(stored_key.as_ref(), message.as_bytes());
    let proof = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    (proof, sign(&sign(&salted, b"Server Key"), message.as_bytes()))
}
