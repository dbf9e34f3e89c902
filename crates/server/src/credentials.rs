//! Passwords and the keys made from them: accounts keep SCRAM keys, never passwords (RFC 5802 §9, XEP-0438).

use step::World;
use store::{Credentials, ScramHash as Kept, StoredKeys};
use stream::sasl::scram;
use stream::{ScramCredentials, ScramHash as Hash, ScramKeys};
use xmpp::secret::Password;

/// Bytes of a salt (XEP-0438 §4.3 asks for at least 16).
const SALT_BYTES: usize = 16;

/// All hashes that keys are kept for, the weakest first.
const HASHES: [(Kept, Hash); 3] =
    [(Kept::Sha1, Hash::Sha1), (Kept::Sha256, Hash::Sha256), (Kept::Sha512, Hash::Sha512)];

/// A fresh salt for each hash.
pub struct Salts([[u8; SALT_BYTES]; HASHES.len()]);

impl Salts {
    /// Draws them.
    pub fn new(world: &World) -> Self {
        let mut salts = [[0; SALT_BYTES]; HASHES.len()];
        for salt in &mut salts {
            world.entropy.fill(salt);
        }
        Salts(salts)
    }
}

/// Derives the keys of all hashes (PBKDF2: costly, for the pool). `None` for a password that PRECIS refuses
/// (RFC 8265 §4.2).
pub fn derive(password: &Password, salts: &Salts, iterations: u32) -> Option<Credentials> {
    let prepared = xmpp::jid::prepare_password(password.reveal()).ok()?;
    let scram = HASHES
        .iter()
        .zip(&salts.0)
        .map(|((kept, hash), salt)| {
            let keys = scram::derive(*hash, &prepared, salt, iterations);
            (*kept, stored(keys))
        })
        .collect();
    Some(Credentials { scram })
}

/// Whether the password is the one that the keys were made from (costly, for the pool).
pub fn verify(password: &Password, credentials: &Credentials) -> bool {
    let Ok(prepared) = xmpp::jid::prepare_password(password.reveal()) else { return false };
    // The strongest hash that is there.
    HASHES
        .iter()
        .rev()
        .find_map(|(kept, hash)| Some((hash, keys_of(credentials, *kept)?)))
        .is_some_and(|(hash, keys)| scram::verify(&prepared, &keys, *hash))
}

/// The same work for an account that does not exist, and the same answer as for a wrong password (guarantee G16).
pub fn verify_nobody(password: &Password, secret: &[u8; 32], account: &str, iterations: u32) -> bool {
    let Ok(prepared) = xmpp::jid::prepare_password(password.reveal()) else { return false };
    let decoy = ScramKeys::decoy(secret, account, Hash::Sha512, iterations);
    let _ = scram::verify(&prepared, &decoy, Hash::Sha512);
    false
}

/// Whether the keys are weaker than those we make today, so that a login with the password in hand makes them anew.
pub fn are_outdated(credentials: &Credentials, iterations: u32) -> bool {
    HASHES.iter().any(|(kept, _)| keys_of(credentials, *kept).is_none_or(|keys| keys.iterations < iterations))
}

/// What the stream machine checks a SCRAM login against.
pub fn for_stream(credentials: &Credentials) -> ScramCredentials {
    ScramCredentials {
        sha1: keys_of(credentials, Kept::Sha1),
        sha256: keys_of(credentials, Kept::Sha256),
        sha512: keys_of(credentials, Kept::Sha512),
    }
}

/// Keys of one more hash, as the store keeps them.
pub fn for_store((hash, keys): (Hash, ScramKeys)) -> Option<(Kept, StoredKeys)> {
    let (kept, _) = HASHES.iter().find(|(_, other)| *other == hash)?;
    Some((*kept, stored(keys)))
}

/// What proves that one knows the password: the strongest StoredKey.
pub fn proof(credentials: &Credentials) -> Option<(Kept, Vec<u8>)> {
    let strongest = credentials.scram.iter().max_by_key(|(hash, _)| *hash);
    strongest.map(|(hash, keys)| (*hash, keys.stored_key.clone()))
}

fn keys_of(credentials: &Credentials, wanted: Kept) -> Option<ScramKeys> {
    let (_, keys) = credentials.scram.iter().find(|(hash, _)| *hash == wanted)?;
    Some(ScramKeys {
        salt: keys.salt.clone(),
        iterations: keys.iterations,
        stored_key: keys.stored_key.clone(),
        server_key: keys.server_key.clone(),
    })
}

fn stored(keys: ScramKeys) -> StoredKeys {
    StoredKeys {
        salt: keys.salt,
        iterations: keys.iterations,
        stored_key: keys.stored_key,
        server_key: keys.server_key,
    }
}
