//! The named limits of the configuration; each can be raised (or lowered) under `[limits]`.

use serde::Deserialize;

/// Every limit has a name and a number. Explanations are in the table of keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // The one explanation of each stands in config/keys.rs.
pub struct Limits {
    pub stanza_bytes: usize,
    pub stanza_tag_bytes: usize,
    pub stanza_depth: usize,
    pub stanza_elements: usize,
    pub stanza_attributes: usize,
    pub stanza_namespaces: usize,
    pub login_bytes: usize,
    pub login_element_bytes: usize,
    pub login_elements: u32,
    pub tls_seconds: u64,
    pub login_seconds: u64,
    pub bind_seconds: u64,
    pub idle_ping_seconds: u64,
    pub ping_answer_seconds: u64,
    pub connections_per_address: usize,
    pub connections_per_second: u32,
    pub connections_burst: u32,
    pub half_open_connections: usize,
    pub failed_logins_per_address: u32,
    pub failed_logins_per_account: u32,
    pub inbound_bytes_per_second: usize,
    pub inbound_burst_bytes: usize,
    pub inbound_stanzas_per_second: usize,
    pub inbound_burst_stanzas: usize,
    pub outbound_bytes: usize,
    pub held_back_stanzas: usize,
    pub sessions_per_account: usize,
    pub resumption_seconds: u32,
    pub roster_items: usize,
    pub blocklist_items: usize,
    pub offline_messages: usize,
    pub offline_bytes: usize,
    pub archive_days: u64,
    pub vcard_bytes: usize,
    pub private_bytes: usize,
    pub nodes_per_account: usize,
    pub items_per_node: usize,
    pub item_bytes: usize,
    pub items_bytes: usize,
    pub directed_presence: usize,
    pub pending_subscriptions: usize,
    pub clients_per_account: usize,
    pub client_days: u32,
    pub client_details_chars: usize,
    pub token_days: u32,
    pub memory_mib: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        let account = step::domain::Limits::default();
        Limits {
            stanza_bytes: 256 * 1024,
            stanza_tag_bytes: 64 * 1024,
            stanza_depth: 64,
            stanza_elements: 10_000,
            stanza_attributes: 64,
            stanza_namespaces: 128,
            login_bytes: 64 * 1024,
            login_element_bytes: 16 * 1024,
            login_elements: 64,
            tls_seconds: 15,
            login_seconds: 30,
            bind_seconds: 60,
            idle_ping_seconds: 300,
            ping_answer_seconds: 60,
            connections_per_address: 100,
            connections_per_second: 10,
            connections_burst: 50,
            half_open_connections: 5_000,
            failed_logins_per_address: 10,
            failed_logins_per_account: 20,
            inbound_bytes_per_second: 64 * 1024,
            inbound_burst_bytes: 1024 * 1024,
            inbound_stanzas_per_second: 50,
            inbound_burst_stanzas: 500,
            outbound_bytes: 1024 * 1024,
            held_back_stanzas: account.held_back_stanzas,
            sessions_per_account: account.sessions_per_account,
            resumption_seconds: account.resumption_seconds,
            roster_items: account.roster_items,
            blocklist_items: account.blocklist_items,
            offline_messages: account.offline_messages,
            offline_bytes: account.offline_bytes,
            archive_days: 365,
            vcard_bytes: account.vcard_bytes,
            private_bytes: account.private_bytes,
            nodes_per_account: account.nodes_per_account,
            items_per_node: account.items_per_node,
            item_bytes: account.item_bytes,
            items_bytes: account.items_bytes,
            directed_presence: account.directed_presence,
            pending_subscriptions: account.pending_subscriptions,
            clients_per_account: account.clients_per_account,
            client_days: account.client_days,
            client_details_chars: account.client_details_chars,
            token_days: account.token_days,
            memory_mib: None,
        }
    }
}

impl Limits {
    /// What an account may hold, for features.
    pub fn account(&self) -> step::domain::Limits {
        step::domain::Limits {
            sessions_per_account: self.sessions_per_account,
            resumption_seconds: self.resumption_seconds,
            held_back_stanzas: self.held_back_stanzas,
            roster_items: self.roster_items,
            blocklist_items: self.blocklist_items,
            offline_messages: self.offline_messages,
            offline_bytes: self.offline_bytes,
            vcard_bytes: self.vcard_bytes,
            private_bytes: self.private_bytes,
            nodes_per_account: self.nodes_per_account,
            items_per_node: self.items_per_node,
            item_bytes: self.item_bytes,
            items_bytes: self.items_bytes,
            directed_presence: self.directed_presence,
            pending_subscriptions: self.pending_subscriptions,
            clients_per_account: self.clients_per_account,
            client_days: self.client_days,
            client_details_chars: self.client_details_chars,
            token_days: self.token_days,
        }
    }

    /// Limits of one stanza of a client that is logged in.
    pub fn stanza(&self) -> xmpp::xml::Limits {
        xmpp::xml::Limits {
            stanza_bytes: self.stanza_bytes,
            tag_bytes: self.stanza_tag_bytes,
            depth: self.stanza_depth,
            attributes: self.stanza_attributes,
            elements: self.stanza_elements,
            namespaces: self.stanza_namespaces,
        }
    }
}
