//! The secrets that the keys of a TLS 1.3 connection come of (RFC 8446 §7), as the handshake tells them.

use std::sync::Arc;

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::hmac;
use parking_lot::Mutex;
use rustls::KeyLog;

/// The secret of one direction; nothing under TLS 1.2, whose keys are not renewed.
#[derive(Default, Clone)]
pub struct Secret(Box<[u8]>);

/// Those of both.
#[derive(Default, Clone)]
pub struct Secrets {
    /// Of what the server writes.
    pub server: Secret,
    /// Of what the client writes.
    pub client: Secret,
}

/// Hears the secrets of one handshake, and tells nobody else.
#[derive(Default)]
pub struct Confidant(Mutex<Secrets>);

impl Confidant {
    /// What it has heard. It forgets it.
    pub fn tell(self: Arc<Self>) -> Secrets {
        std::mem::take(&mut *self.0.lock())
    }
}

impl KeyLog for Confidant {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let mut heard = self.0.lock();
        match label {
            "SERVER_TRAFFIC_SECRET_0" => heard.server = Secret(secret.into()),
            "CLIENT_TRAFFIC_SECRET_0" => heard.client = Secret(secret.into()),
            _ => {}
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label.ends_with("_TRAFFIC_SECRET_0")
    }
}

impl std::fmt::Debug for Confidant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Confidant")
    }
}

impl Secret {
    /// The one that follows (RFC 8446 §7.2).
    pub fn next(&self) -> Secret {
        Secret(self.expand("traffic upd", self.0.len()).into())
    }

    /// The key and the IV that come of it (RFC 8446 §7.3).
    pub fn key_and_iv(&self, key_bytes: usize) -> (Vec<u8>, [u8; NONCE_LEN]) {
        let mut iv = [0; NONCE_LEN];
        iv.copy_from_slice(&self.expand("iv", NONCE_LEN));
        (self.expand("key", key_bytes), iv)
    }

    /// HKDF-Expand-Label without a context (RFC 8446 §7.1). One block is enough: `length` is that of the hash at most.
    fn expand(&self, label: &str, length: usize) -> Vec<u8> {
        // The secret is as long as the hash of its suite.
        let hash = if self.0.len() == 48 { hmac::HMAC_SHA384 } else { hmac::HMAC_SHA256 };
        let [high, low] = (length as u16).to_be_bytes();
        let mut context = hmac::Context::with_key(&hmac::Key::new(hash, &self.0));
        context.update(&[high, low, 6 + label.len() as u8]);
        context.update(b"tls13 ");
        context.update(label.as_bytes());
        // No context; the first block.
        context.update(&[0, 1]);
        context.sign().as_ref()[..length].to_vec()
    }
}
