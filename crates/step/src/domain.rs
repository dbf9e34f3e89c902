//! One of our domains and its settings, as features see them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use xmpp::jid::{BareJid, Jid};

/// Limits that features enforce; each can be raised in the configuration under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Resources that one account may have bound at once.
    pub sessions_per_account: usize,
    /// Seconds for which a session waits for its client to come back (XEP-0198 §5).
    pub resumption_seconds: u32,
    /// Stanzas that are held back from a client at which nobody looks (XEP-0352).
    pub held_back_stanzas: usize,
    /// Contacts in one roster.
    pub roster_items: usize,
    /// Addresses in one blocklist.
    pub blocklist_items: usize,
    /// Messages held for an absent account.
    pub offline_messages: usize,
    /// Bytes of messages held for an absent account.
    pub offline_bytes: usize,
    /// Bytes of one vCard.
    pub vcard_bytes: usize,
    /// Bytes of all private XML of one account.
    pub private_bytes: usize,
    /// Nodes of one account (XEP-0163).
    pub nodes_per_account: usize,
    /// Items of one node.
    pub items_per_node: usize,
    /// Bytes of one item.
    pub item_bytes: usize,
    /// Bytes of all items of one account.
    pub items_bytes: usize,
    /// Addresses that one session has sent directed presence to.
    pub directed_presence: usize,
    /// Subscription requests from others that wait for an answer.
    pub pending_subscriptions: usize,
    /// Clients of one account that are remembered, each with two tokens at most (XEP-0484).
    pub clients_per_account: usize,
    /// Days after which a client is forgotten that has not been seen.
    pub client_days: u32,
    /// Characters that are kept of what a client says of its software, and of its device.
    pub client_details_chars: usize,
    /// Days for which a token lets its client in.
    pub token_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            sessions_per_account: 20,
            resumption_seconds: 600,
            held_back_stanzas: 200,
            roster_items: 2_000,
            blocklist_items: 2_000,
            offline_messages: 1_000,
            offline_bytes: 10 * 1024 * 1024,
            vcard_bytes: 64 * 1024,
            private_bytes: 256 * 1024,
            nodes_per_account: 200,
            items_per_node: 1_000,
            item_bytes: 64 * 1024,
            items_bytes: 16 * 1024 * 1024,
            directed_presence: 200,
            pending_subscriptions: 100,
            clients_per_account: 50,
            client_days: 90,
            client_details_chars: 100,
            token_days: 30,
        }
    }
}

/// The server's secret, of which identifiers are made that nobody can guess. It is never shown.
#[derive(Clone, Copy, Default)]
pub struct Seal(pub [u8; 32]);

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seal")
    }
}

/// What a push notification shows of the message that it speaks of (XEP-0357 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PushShows {
    /// How many messages wait.
    Count,
    /// And who has sent the last one.
    #[default]
    Sender,
    /// And what it says.
    Body,
}

/// A domain that we serve.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its address, prepared.
    pub jid: Jid,
    /// Whether strangers may register accounts in-band (XEP-0077).
    pub registration_open: bool,
    /// Accounts that may run service administration commands (XEP-0133).
    pub admins: Arc<[BareJid]>,
    /// Contact addresses shown by service discovery (XEP-0157), as field and address.
    pub contacts: Arc<[(String, String)]>,
    /// How long what was said stays in archives; for ever if it is not said.
    pub archive_keep: Option<Duration>,
    /// What identifiers are made of.
    pub seal: Seal,
    /// Whether those who are no contacts of somebody may write to them first.
    pub strangers_may_write: bool,
    /// What push notifications show.
    pub push_shows: PushShows,
    /// Limits on what an account may hold.
    pub limits: Limits,
}

impl Domain {
    /// Its name.
    pub fn name(&self) -> &str {
        self.jid.domain()
    }

    /// Whether this account administers the server.
    pub fn is_admin(&self, account: &BareJid) -> bool {
        self.admins.contains(account)
    }
}
