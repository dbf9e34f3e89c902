//! The people that logins are tried against: who they are, and what a server keeps of their passwords.

use std::sync::OnceLock;

use stream::ScramCredentials;
use xmpp::jid::BareJid;

/// The domain of the streams.
pub const DOMAIN: &str = "one.test";

/// Addresses and passwords.
pub const PEOPLE: [(&str, &str); 2] = [("user@one.test", "pencil"), ("\u{fc}ser@one.test", "\u{e9},=")];

/// One round of work only: the proofs are as good, and the fuzzer does not wait.
const ITERATIONS: u32 = 1;

const SALT: &[u8] = b"0123456789abcdef";

/// The password of an account, if there is such an account.
pub fn password(account: &BareJid) -> Option<&'static str> {
    PEOPLE.into_iter().find(|(address, _)| *address == account.as_str()).map(|(_, password)| password)
}

/// What a server keeps of the password. The second of the people has no keys for SCRAM-SHA-1.
pub fn credentials(account: &BareJid) -> Option<ScramCredentials> {
    static KEPT: OnceLock<[ScramCredentials; 2]> = OnceLock::new();
    let kept = KEPT.get_or_init(|| {
        let [first, mut second] =
            PEOPLE.map(|(_, password)| ScramCredentials::derive(password, SALT, ITERATIONS));
        second.sha1 = None;
        [first, second]
    });
    let at = PEOPLE.into_iter().position(|(address, _)| address == account.as_str())?;
    Some(kept[at].clone())
}
