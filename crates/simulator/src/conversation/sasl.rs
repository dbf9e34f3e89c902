//! The client's side of SASL, able to do it wrong on purpose (RFC 6120 §6, RFC 5802, RFC 7677).

use super::reader::Node;
use super::script::{Attempt, Twist};
use super::stage::Binding;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Salted passwords by what they are made of: those who log in a thousand times do the costly part once.
static SALTED: Mutex<BTreeMap<Ingredients, Vec<u8>>> = Mutex::new(BTreeMap::new());
/// Bytes of the key, rounds, salt and password.
type Ingredients = (usize, NonZeroU32, Vec<u8>, String);
/// So many of them.
const SALTED_MAX: usize = 1_000;

/// The first message of a mechanism, and what is needed to answer the challenge.
#[derive(Debug)]
pub struct Exchange {
    attempt: Attempt,
    password: String,
    header: String,
    bare: String,
    binding: Option<Vec<u8>>,
    server_signature: Vec<u8>,
}

impl Exchange {
    /// Begins; returns the exchange and the initial response, not encoded.
    ///
    /// # Errors
    /// When the channel cannot be bound as the attempt wants, or the mechanism is unknown.
    pub fn begin(attempt: &Attempt, password: &str, binding: &Binding) -> Result<(Self, Vec<u8>), String> {
        let (local, _) = attempt.account.split_once('@').unwrap_or((&attempt.account, ""));
        let authzid = attempt.authzid.clone().unwrap_or_default();
        let first = match attempt.mechanism.as_str() {
            "PLAIN" => Some(format!("{authzid}\0{local}\0{password}")),
            "EXTERNAL" => Some(authzid.clone()),
            "ANONYMOUS" => Some(String::new()),
            name if name.starts_with("SCRAM-") || name.starts_with("HT-") => None,
            name => return Err(format!("the mechanism '{name}' is unknown here")),
        };
        let mut exchange = Exchange {
            attempt: attempt.clone(),
            password: password.to_owned(),
            header: String::new(),
            bare: String::new(),
            binding: None,
            server_signature: Vec::new(),
        };
        if let Some(first) = first {
            return Ok((exchange, first.into_bytes()));
        }
        exchange.bind(binding)?;
        if attempt.mechanism.starts_with("HT-") {
            let mut first = format!("{local}\0").into_bytes();
            first.extend(exchange.hashed("Initiator"));
            if attempt.twist == Some(Twist::Proof) {
                first.last_mut().into_iter().for_each(|byte| *byte ^= 1);
            }
            exchange.server_signature = exchange.hashed("Responder");
            return Ok((exchange, first));
        }
        let flag = match (&exchange.binding, attempt.twist) {
            (Some(_), _) => format!("p={}", exchange.kind(binding)),
            (None, Some(Twist::Unoffered)) => "y".to_owned(),
            (None, _) => "n".to_owned(),
        };
        let authzid = if authzid.is_empty() { authzid } else { format!("a={}", name(&authzid)) };
        exchange.header = format!("{flag},{authzid},");
        // A fixed nonce keeps simulations the same; the server's part makes each exchange its own.
        exchange.bare = format!("n={},r=fyko+d2lbbFgONRv9qkxdawL", name(local));
        let first = format!("{}{}", exchange.header, exchange.bare);
        Ok((exchange, first.into_bytes()))
    }

    /// The token as one of the two sides shows it (draft-schmaus-kitten-sasl-ht-09 §3).
    fn hashed(&self, role: &str) -> Vec<u8> {
        let mut signing =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.password.as_bytes()));
        signing.update(role.as_bytes());
        signing.update(self.binding.as_deref().unwrap_or_default());
        signing.sign().as_ref().to_vec()
    }

    fn kind(&self, binding: &Binding) -> String {
        match self.attempt.mechanism.as_str() {
            "HT-SHA-256-EXPR" => return "tls-exporter".to_owned(),
            "HT-SHA-256-ENDP" => return "tls-server-end-point".to_owned(),
            _ => {}
        }
        let usual = if binding.exporter.is_some() { "tls-exporter" } else { "tls-server-end-point" };
        self.attempt.binding.clone().unwrap_or_else(|| usual.to_owned())
    }

    fn bind(&mut self, binding: &Binding) -> Result<(), String> {
        if !["-PLUS", "-EXPR", "-ENDP"].iter().any(|end| self.attempt.mechanism.ends_with(end)) {
            return Ok(());
        }
        let kind = self.kind(binding);
        let mut data = match kind.as_str() {
            "tls-exporter" => binding.exporter.clone().ok_or("this channel has no exporter")?,
            "tls-server-end-point" => {
                binding.end_point.clone().ok_or("the server's certificate is not known")?
            }
            _ => b"a binding that nobody knows".to_vec(),
        };
        if self.attempt.twist == Some(Twist::Binding) {
            data.iter_mut().for_each(|byte| *byte ^= 0xff);
        }
        self.binding = Some(data);
        Ok(())
    }

    /// Answers SCRAM's challenge.
    ///
    /// # Errors
    /// When the challenge is not one.
    pub fn answer(&mut self, challenge: &str) -> Result<Vec<u8>, String> {
        let part = |key: &str| {
            challenge
                .split(',')
                .find_map(|part| part.strip_prefix(key))
                .ok_or(format!("no {key} in {challenge}"))
        };
        let (nonce, salt, count) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with("fyko+d2lbbFgONRv9qkxdawL") || nonce.len() < 40 {
            return Err("the server's nonce does not extend ours".to_owned());
        }
        let salt = STANDARD.decode(salt).map_err(|error| error.to_string())?;
        let count: NonZeroU32 = count.parse().map_err(|_| format!("'{count}' iterations"))?;
        let (kdf, mac, hash) = algorithms(&self.attempt.mechanism);
        let made_of = (hash.output_len, count, salt, self.password.clone());
        let mut known = SALTED.lock();
        if known.len() > SALTED_MAX {
            known.clear();
        }
        let salted = known.entry(made_of).or_insert_with_key(|(length, count, salt, password)| {
            let mut salted = vec![0; *length];
            pbkdf2::derive(kdf, *count, salt, password.as_bytes(), &mut salted);
            salted
        });
        let salted = salted.clone();
        drop(known);

        let mut header = self.header.clone().into_bytes();
        header.extend(self.binding.iter().flatten());
        let tampered = if self.attempt.twist == Some(Twist::Nonce) { "x" } else { "" };
        let without_proof = format!("c={},r={nonce}{tampered}", STANDARD.encode(header));
        let message = format!("{},{challenge},{without_proof}", self.bare);

        let key = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text).as_ref().to_vec();
        let client_key = key(&salted, b"Client Key");
        let stored_key = digest::digest(hash, &client_key);
        let signature = key(stored_key.as_ref(), message.as_bytes());
        let mut proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if self.attempt.twist == Some(Twist::Proof) {
            proof[0] ^= 1;
        }
        self.server_signature = key(&key(&salted, b"Server Key"), message.as_bytes());
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// Judges the data that came with success: only the server that knows the password can sign (RFC 5802 §3).
    ///
    /// # Errors
    /// When it is not signed.
    pub fn accept(&self, success: &[u8]) -> Result<(), String> {
        let expected = match &self.attempt.mechanism {
            name if name.starts_with("SCRAM-") => {
                format!("v={}", STANDARD.encode(&self.server_signature)).into_bytes()
            }
            name if name.starts_with("HT-") => self.server_signature.clone(),
            _ => return Ok(()),
        };
        if !self.server_signature.is_empty() && success == expected {
            Ok(())
        } else {
            Err(format!("the server's signature is wrong: {success:?} instead of {expected:?}"))
        }
    }
}

/// What a server's features told of ways to log in.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    mechanisms: Vec<String>,
    bindings: Vec<String>,
}

impl Offer {
    /// Reads it from `<stream:features/>`.
    pub fn of(features: &Node) -> Self {
        let below = |name| features.child(name).into_iter().flat_map(Node::children);
        let kind = |node: &Node| node.attribute("type").unwrap_or_default().to_owned();
        Offer {
            mechanisms: below("mechanisms").map(Node::text).collect(),
            bindings: below("sasl-channel-binding").map(kind).collect(),
        }
    }

    /// Holds the hash in SCRAM's challenge, if there is one or the attempt wants one, against what was told
    /// (XEP-0474 §6.1, §6.2).
    ///
    /// # Errors
    /// Something was changed on its way.
    pub fn check(&self, challenge: &str, attempt: &Attempt) -> Result<(), String> {
        let (mut mechanisms, mut bindings) = (self.mechanisms.clone(), self.bindings.clone());
        mechanisms.sort_unstable();
        bindings.sort_unstable();
        let mut text = mechanisms.join("\u{1e}");
        if !bindings.is_empty() {
            text = format!("{text}\u{1f}{}", bindings.join("\u{1e}"));
        }
        let (_, _, hash) = algorithms(&attempt.mechanism);
        let expected = STANDARD.encode(digest::digest(hash, text.as_bytes()));
        match challenge.split(',').find_map(|part| part.strip_prefix("h=")) {
            None if attempt.checks_offer => Err(format!("no h= in {challenge}")),
            Some(told) if told != expected => {
                Err(format!("the challenge says that other ways to log in were offered: {challenge}"))
            }
            _ => Ok(()),
        }
    }
}

/// A name as SCRAM writes it (RFC 5802 §5.1).
fn name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn algorithms(mechanism: &str) -> (pbkdf2::Algorithm, hmac::Algorithm, &'static digest::Algorithm) {
    match mechanism.trim_end_matches("-PLUS") {
        "SCRAM-SHA-512" => (pbkdf2::PBKDF2_HMAC_SHA512, hmac::HMAC_SHA512, &digest::SHA512),
        "SCRAM-SHA-256" => (pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256, &digest::SHA256),
        _ => {
            (pbkdf2::PBKDF2_HMAC_SHA1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA1_FOR_LEGACY_USE_ONLY)
        }
    }
}

/// The SaltedPassword of RFC 5802 §3, in base64, as `{salted SHA-256 ITERATIONS SALT PASSWORD}`.
///
/// # Errors
/// When something of it is no hash, number or salt.
pub fn salted(hash: &str, iterations: &str, salt: &str, password: &str) -> Result<String, String> {
    let (kdf, _, hash) = algorithms(&format!("SCRAM-{hash}"));
    let iterations: NonZeroU32 = iterations.parse().map_err(|_| format!("'{iterations}' iterations"))?;
    let salt = STANDARD.decode(salt).map_err(|error| error.to_string())?;
    let mut salted = vec![0; hash.output_len];
    pbkdf2::derive(kdf, iterations, &salt, password.as_bytes(), &mut salted);
    Ok(STANDARD.encode(salted))
}

/// SHA-256, for `tls-server-end-point` (RFC 5929 §4.1).
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}
