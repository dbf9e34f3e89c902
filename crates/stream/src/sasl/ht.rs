//! HT-SHA-256 (draft-schmaus-kitten-sasl-ht-09): one message proves that a client has its token, and on which channel.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SaslCondition;

/// Tokens that one client may have at once: the one it uses, and its successor (XEP-0484 §5.1).
pub const TOKENS_PER_CLIENT: usize = 2;

/// A token that the server has given to a client, as far as a login needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// What the token is derived from, with the server's secret.
    pub seed: String,
    /// The mechanism that it was given for, by its name.
    pub mechanism: String,
    /// Whether its time is over.
    pub expired: bool,
}

/// The token that belongs to a seed: whoever reads the store without the server's secret has no token.
pub fn derive(secret: &[u8; 32], account: &str, client: &str, seed: &str) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for piece in ["login token", account, client, seed] {
        signing.update(&(piece.len() as u64).to_be_bytes());
        signing.update(piece.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(signing.sign())
}

/// What a client says that has the token (§3.1).
pub fn initiator(username: &str, token: &str, binding: &[u8]) -> Vec<u8> {
    let mut message = format!("{username}\0").into_bytes();
    message.extend(sign(token, b"Initiator", binding));
    message
}

/// The client's only message (§3.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Initiator {
    pub username: String,
    hashed: Vec<u8>,
}

impl Initiator {
    /// Reads `authcid NUL initiator-hashed-token`.
    pub fn parse(message: &[u8]) -> Result<Self, SaslCondition> {
        let malformed = SaslCondition::MalformedRequest;
        let end = message.iter().position(|byte| *byte == 0).filter(|end| *end > 0).ok_or(malformed)?;
        let username = String::from_utf8(message[..end].to_vec()).map_err(|_| malformed)?;
        Ok(Initiator { username, hashed: message[end + 1..].to_vec() })
    }

    /// Whether it was made with this token on the channel with this binding; the comparison takes constant time.
    pub fn proves(&self, token: &str, binding: &[u8]) -> bool {
        verify_slices_are_equal(&sign(token, b"Initiator", binding), &self.hashed).is_ok()
    }
}

/// Shows the client that the server has the token as well (§3.2).
pub(crate) fn responder(token: &str, binding: &[u8]) -> Vec<u8> {
    sign(token, b"Responder", binding)
}

fn sign(token: &str, role: &[u8], binding: &[u8]) -> Vec<u8> {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()));
    signing.update(role);
    signing.update(binding);
    signing.sign().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_proven_on_its_channel_only() {
        let read = Initiator::parse(&initiator("juliet", "secret", b"channel")).unwrap();
        assert_eq!(read.username, "juliet");
        assert!(read.proves("secret", b"channel"));
        assert!(!read.proves("secret", b"other"));
        assert!(!read.proves("secret", b""));
        assert!(!read.proves("another", b"channel"));
        let cut = Initiator { hashed: read.hashed[..31].to_vec(), ..read };
        assert!(!cut.proves("secret", b"channel"));
        assert_ne!(responder("secret", b"channel"), sign("secret", b"Initiator", b"channel"));
    }

    #[test]
    fn other_shapes_are_malformed() {
        for message in [&b""[..], b"juliet", b"\0hash", b"\xff\0hash"] {
            assert_eq!(Initiator::parse(message), Err(SaslCondition::MalformedRequest), "{message:?}");
        }
    }

    #[test]
    fn tokens_differ_by_all_that_they_are_made_of() {
        let token = derive(&[1; 32], "a@one.test", "client", "seed");
        assert_eq!(token.len(), 43);
        assert_eq!(token, derive(&[1; 32], "a@one.test", "client", "seed"));
        for other in [
            derive(&[2; 32], "a@one.test", "client", "seed"),
            derive(&[1; 32], "b@one.test", "client", "seed"),
            derive(&[1; 32], "a@one.test", "clients", "eed"),
            derive(&[1; 32], "a@one.test", "client", "other"),
        ] {
            assert_ne!(token, other);
        }
    }
}
