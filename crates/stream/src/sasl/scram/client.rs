//! The client's side of SCRAM, which also checks that the server knows the password.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::messages::{Binding, ServerFirst, escape};
use super::{ITERATIONS_MAX, ITERATIONS_MIN, ScramHash, salted_password};

/// The client has sent its first message and waits for the challenge.
#[derive(Debug)]
pub(crate) struct ClientExchange {
    hash: ScramHash,
    nonce: String,
    bare: String,
    /// GS2 header and channel-binding data.
    bound: Vec<u8>,
}

/// The client has sent its proof and waits for the server's.
#[derive(Debug)]
pub(crate) struct ClientProof {
    expected: Vec<u8>,
}

impl ClientExchange {
    /// Starts an exchange; returns the client-first-message beside it.
    pub fn new(
        hash: ScramHash,
        username: &str,
        authzid: Option<&str>,
        nonce: String,
        binding: &Binding,
        binding_data: &[u8],
    ) -> (Self, String) {
        let flag = match binding {
            Binding::Unable => "n".to_owned(),
            Binding::NotOffered => "y".to_owned(),
            Binding::Used(name) => format!("p={name}"),
        };
        let authzid = authzid.map(|id| format!("a={}", escape(id))).unwrap_or_default();
        let header = format!("{flag},{authzid},");
        let bare = format!("n={},r={nonce}", escape(username));
        let message = format!("{header}{bare}");
        let mut bound = header.into_bytes();
        bound.extend_from_slice(binding_data);
        (ClientExchange { hash, nonce, bare, bound }, message)
    }

    /// Answers the challenge with a proof. `advertised` is the hash of what this client saw
    /// advertised (XEP-0474); a server that sends another one is not the one who advertised.
    pub fn prove(
        self,
        challenge: &str,
        password: &str,
        advertised: &str,
    ) -> Result<(ClientProof, String), &'static str> {
        let first = ServerFirst::parse(challenge).ok_or("the challenge is malformed")?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err("the challenge is not for our nonce");
        }
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&first.iterations) {
            return Err("the iteration count is out of bounds");
        }
        if first.downgrade.is_some_and(|hash| hash != advertised) {
            return Err("the advertised mechanisms were changed on the way");
        }
        let hash = self.hash;
        let salted = salted_password(hash, password, &first.salt, first.iterations);
        let bound = STANDARD.encode(&self.bound);
        let without_proof = format!("c={bound},r={}", first.nonce);
        let signed = format!("{},{challenge},{without_proof}", self.bare);
        let client_key = hash.sign(&salted, b"Client Key");
        let signature = hash.sign(&hash.hash(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let expected = hash.sign(&hash.sign(&salted, b"Server Key"), signed.as_bytes());
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((ClientProof { expected }, message))
    }
}

impl ClientProof {
    /// Whether the server-final-message proves that the server knows the password.
    pub fn accepts(&self, message: &str) -> bool {
        let signature = message.split(',').next().and_then(|part| part.strip_prefix("v="));
        let Some(signature) = signature.and_then(|text| STANDARD.decode(text).ok()) else {
            return false;
        };
        verify_slices_are_equal(&signature, &self.expected).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_vector_of_rfc_7677() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let (exchange, first) =
            ClientExchange::new(ScramHash::Sha256, "user", None, nonce, &Binding::Unable, b"");
        assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (proof, last) = exchange.prove(challenge, "pencil", "").unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(proof.accepts("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!proof.accepts("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!proof.accepts(""));
    }

    #[test]
    fn refuses_an_evil_challenge() {
        for challenge in [
            "",
            "r=other,s=c2FsdA==,i=4096",
            "r=mine,s=c2FsdA==,i=4096",
            "r=mineX,s=c2FsdA==,i=1",
            "r=mineX,s=c2FsdA==,i=99999999",
            "r=mineX,s=c2FsdA==,i=4096,h=bm9wZQ==",
            "r=mineX,s=c2FsdA==,i=4096,m=1",
        ] {
            let (exchange, _) =
                ClientExchange::new(ScramHash::Sha1, "u", None, "mine".into(), &Binding::Unable, b"");
            assert!(exchange.prove(challenge, "p", "aGFzaA==").is_err(), "{challenge}");
        }
    }
}
