//! Waking an entity: everything that its steps need is read from the store once, before its first letter.

use std::sync::Arc;
use std::time::Duration;

use features::blocking::{self, Blocklist};
use features::offline::Held;
use features::presence::LastSeen;
use step::{Domain, Roster};
use store::StoreError;
use xmpp::jid::BareJid;

use crate::entity::Entity;
use crate::host::Host;
use crate::nobody::Nobody;
use crate::node::Node;

/// When the store cannot be read, it is tried again after this time; letters wait meanwhile.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Reads an entity. What lives only in memory (sessions and their doors) is carried over from `before`.
pub async fn entity(
    node: &Arc<Node>,
    domain: Arc<Domain>,
    address: &BareJid,
    before: Option<Box<Entity>>,
) -> Entity {
    if address.local().is_none() {
        return Entity::Host(Host::new(domain, node.started));
    }
    let before = match before.map(|before| *before) {
        // Nothing of it is in the store.
        Some(anonymous) if !anonymous.is_kept() => return anonymous,
        before => before,
    };
    loop {
        match read(node, address, &domain).await {
            Ok(found) => return carry_over(found, before),
            Err(error) => {
                tracing::error!(%error, account = %address, "an account could not be read; trying again");
                node.world.clock.sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// The account as the store knows it, or nobody.
async fn read(node: &Node, address: &BareJid, domain: &Arc<Domain>) -> Result<Entity, StoreError> {
    let store = &node.store;
    let nobody = Nobody::new(address.clone(), domain.clone());
    let Some(record) = store.account(address).await? else { return Ok(Entity::Nobody(nobody)) };
    let (version, items) = store.roster(address).await?;
    let requests = store.notes(address, step::roster::REQUESTS).await?;
    let held = store.offline_size(address).await?;
    let blocked = store.notes(address, blocking::TOPIC).await?;
    let mut account = nobody.into_account(false);
    account.roster = Roster::load(version, items, requests);
    account.blocklist = Blocklist::load(blocked);
    account.held = Held::load(held.count, held.bytes, held.last_id);
    account.last_seen = LastSeen { at: record.seen_at, status: record.seen_status };
    Ok(Entity::Account(account))
}

/// Sessions are not in the store: they go on as they were.
fn carry_over(mut found: Entity, before: Option<Entity>) -> Entity {
    match (&mut found, before) {
        (Entity::Account(account), Some(Entity::Account(before))) => {
            account.sessions = before.sessions;
            account.doors = before.doors;
        }
        (Entity::Account(account), Some(Entity::Nobody(before))) => account.doors = before.doors,
        (Entity::Nobody(nobody), Some(Entity::Account(before))) => nobody.doors = before.doors,
        (Entity::Nobody(nobody), Some(Entity::Nobody(before))) => nobody.doors = before.doors,
        _ => {}
    }
    found
}
