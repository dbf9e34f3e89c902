//! How much a peer may send and how long it may take: every limit has a name and a number.

use std::time::Duration;

use xmpp::xml::Limits;

/// Bytes in total before login.
pub const BEFORE_BYTES_TOTAL: usize = 64 * 1024;
/// Top-level elements in total before login.
pub const BEFORE_ELEMENTS_TOTAL: u32 = 64;
/// Failed logins on one stream, then it is closed (RFC 6120 §6.4.5).
pub const LOGIN_FAILURES_MAX: u32 = 3;
/// Bytes of a tag that a client may wish its resource to begin with; a longer one is left out (XEP-0386 §3.2.1).
pub const TAG_BYTES_MAX: usize = 200;
/// Characters that are kept of what a client says of its software, and of its device (XEP-0388 §2.3).
pub const AGENT_CHARS_MAX: usize = 200;
/// Refused resources on one stream, then it is closed (RFC 6120 §7.7.3).
pub const BIND_REFUSALS_MAX: u32 = 10;
/// Bytes a machine keeps while it awaits an answer, in spite of `wants_input`.
pub const HELD_BYTES_MAX: usize = 64 * 1024;
/// How long a closing peer may take to say so (RFC 6120 §4.4).
pub const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of one element before login.
pub fn before() -> Limits {
    Limits {
        stanza_bytes: 16 * 1024,
        tag_bytes: 16 * 1024,
        depth: 16,
        attributes: 32,
        elements: 64,
        namespaces: 32,
    }
}

/// Limits of one stanza of a logged-in client.
pub fn after() -> Limits {
    Limits {
        stanza_bytes: 256 * 1024,
        tag_bytes: 64 * 1024,
        depth: 64,
        attributes: 64,
        elements: 10_000,
        namespaces: 128,
    }
}

/// How long each stage of a login may take, counted from the end of the stage before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// From connecting to the end of the TLS handshake.
    pub tls: Duration,
    /// From there to a successful login.
    pub auth: Duration,
    /// From there to a bound resource.
    pub bind: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Deadlines { tls: seconds(15), auth: seconds(30), bind: seconds(60) }
    }
}

/// What is left of the allowance before login.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    bytes: usize,
    elements: u32,
}

impl Allowance {
    pub fn new(bytes: usize, elements: u32) -> Self {
        Allowance { bytes, elements }
    }

    /// How many bytes may still be read.
    pub fn bytes_left(&self) -> usize {
        self.bytes
    }

    /// Takes off bytes that were read.
    pub fn spend_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Takes one element off; false when none was left.
    #[must_use]
    pub fn spend_element(&mut self) -> bool {
        let left = self.elements.checked_sub(1);
        self.elements = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_ends() {
        let mut allowance = Allowance::new(10, 2);
        allowance.spend_bytes(9);
        assert_eq!(allowance.bytes_left(), 1);
        allowance.spend_bytes(1);
        assert_eq!(allowance.bytes_left(), 0);
        assert!(allowance.spend_element());
        assert!(allowance.spend_element());
        assert!(!allowance.spend_element());
    }
}
