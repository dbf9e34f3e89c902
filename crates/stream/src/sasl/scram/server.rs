//! The server's side of SCRAM: one challenge, then a proof that is right or not.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::messages::{ClientFinal, ClientFirst};
use super::{ScramHash, ScramKeys};
use crate::sasl::SaslCondition;

/// Whose keys the challenge was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOwner {
    /// An account.
    Account,
    /// Nobody: the exchange takes the same steps and fails at its end.
    Nobody,
}

/// The server has sent its challenge and waits for the proof.
#[derive(Debug)]
pub(crate) struct Challenged {
    hash: ScramHash,
    keys: ScramKeys,
    owner: KeyOwner,
    nonce: String,
    /// GS2 header and channel-binding data that the client must repeat.
    binding: Vec<u8>,
    /// client-first-message-bare "," server-first-message
    signed: String,
}

impl Challenged {
    /// Makes the challenge; returns the server-first-message beside the waiting exchange.
    ///
    /// `decoy` stands in for an account without keys; `nonce` is the server's half; `binding` the
    /// channel-binding data of the type that the client named (empty without channel binding);
    /// `downgrade` the `h` attribute of XEP-0474, if not empty.
    pub fn new(
        first: &ClientFirst,
        hash: ScramHash,
        keys: Option<ScramKeys>,
        decoy: ScramKeys,
        nonce: &str,
        binding: &[u8],
        downgrade: &str,
    ) -> (Self, String) {
        let (keys, owner) = match keys {
            Some(keys) => (keys, KeyOwner::Account),
            None => (decoy, KeyOwner::Nobody),
        };
        let nonce = format!("{}{nonce}", first.nonce);
        let salt = STANDARD.encode(&keys.salt);
        let mut message = format!("r={nonce},s={salt},i={}", keys.iterations);
        if !downgrade.is_empty() {
            message.push_str(",h=");
            message.push_str(downgrade);
        }
        let mut bound = first.header.clone().into_bytes();
        bound.extend_from_slice(binding);
        let signed = format!("{},{message}", first.bare);
        (Challenged { hash, keys, owner, nonce, binding: bound, signed }, message)
    }

    /// Judges the client-final-message; returns the server-final-message (`v=…`).
    pub fn finish(self, message: &str) -> Result<String, SaslCondition> {
        let last = ClientFinal::parse(message)?;
        let hash = self.hash;
        if last.proof.len() != hash.output_bytes() {
            return Err(SaslCondition::MalformedRequest);
        }
        let signed = format!("{},{}", self.signed, last.without_proof);
        let signature = hash.sign(&self.keys.stored_key, signed.as_bytes());
        let client_key: Vec<u8> = last.proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        // Everything is computed and compared whatever the earlier outcome.
        let same = |a: &[u8], b: &[u8]| verify_slices_are_equal(a, b).is_ok();
        let proven = same(&hash.hash(&client_key), &self.keys.stored_key)
            & same(last.nonce.as_bytes(), self.nonce.as_bytes())
            & same(&last.binding, &self.binding)
            & (self.owner == KeyOwner::Account);
        let proof = hash.sign(&self.keys.server_key, signed.as_bytes());
        if !proven {
            return Err(SaslCondition::NotAuthorized);
        }
        Ok(format!("v={}", STANDARD.encode(proof)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::derive;
    use super::*;

    struct Vector {
        hash: ScramHash,
        salt: &'static str,
        client_first: &'static str,
        server_nonce: &'static str,
        server_first: &'static str,
        client_final: &'static str,
        server_final: &'static str,
    }

    /// RFC 5802 §5.
    const RFC5802: Vector = Vector {
        hash: ScramHash::Sha1,
        salt: "QSXCR+Q6sek8bf92",
        client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    };

    /// RFC 7677 §3.
    const RFC7677: Vector = Vector {
        hash: ScramHash::Sha256,
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    };

    fn challenge(vector: &Vector, keys: Option<ScramKeys>) -> (Challenged, String) {
        let first = ClientFirst::parse(vector.client_first).unwrap();
        let decoy = ScramKeys::decoy(&[1; 32], "user@one.test", vector.hash, 4096);
        Challenged::new(&first, vector.hash, keys, decoy, vector.server_nonce, b"", "")
    }

    fn keys(vector: &Vector) -> ScramKeys {
        derive(vector.hash, "pencil", &STANDARD.decode(vector.salt).unwrap(), 4096)
    }

    #[test]
    fn follows_the_vectors_of_the_rfcs() {
        for vector in [RFC5802, RFC7677] {
            let (challenged, first) = challenge(&vector, Some(keys(&vector)));
            assert_eq!(first, vector.server_first);
            assert_eq!(challenged.finish(vector.client_final).unwrap(), vector.server_final);
        }
    }

    #[test]
    fn refuses_a_changed_message() {
        for vector in [RFC5802, RFC7677] {
            let right = vector.client_final;
            for (wrong, condition) in [
                (right.replace("c=biws", "c=eSws"), SaslCondition::NotAuthorized),
                (right.replace("r=", "r=x"), SaslCondition::NotAuthorized),
                (right.replace(",p=", ",x=1,p="), SaslCondition::NotAuthorized),
                (right.replace(",p=", ",p=AAAA"), SaslCondition::MalformedRequest),
            ] {
                let (challenged, _) = challenge(&vector, Some(keys(&vector)));
                assert_eq!(challenged.finish(&wrong), Err(condition), "{wrong}");
            }
        }
    }

    #[test]
    fn nobody_takes_the_same_steps_and_fails() {
        let (challenged, first) = challenge(&RFC7677, None);
        assert!(first.starts_with("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s="));
        assert!(first.ends_with(",i=4096"));
        assert_eq!(challenged.finish(RFC7677.client_final), Err(SaslCondition::NotAuthorized));
    }
}
