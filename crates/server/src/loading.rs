//! Waking an entity: everything that its steps need is read from the store once, before its first letter.

use std::sync::Arc;
use std::time::Duration;

use features::archive::{self, Archive};
use features::blocking::{self, Blocklist};
use features::clients::Clients;
use features::offline::Held;
use features::{push, reports, strangers};
use pubsub::node::Nodes;
use step::{Domain, LastSeen, Roster};
use store::{Fate, Household, KeptLetter, KeptSession, StoreError};
use xmpp::jid::BareJid;

use crate::account::Account;
use crate::door::Door;
use crate::entity::Entity;
use crate::host::Host;
use crate::kept::{self, Kept};
use crate::nobody::Nobody;
use crate::node::Node;
use crate::resumption;
use crate::sent::Sent;

/// When the store cannot be read, it is tried again after this time; letters wait meanwhile.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Reads an entity, and the letters that it has not read. What lives only in memory (sessions and their doors) is
/// carried over from `before`.
pub async fn entity(
    node: &Arc<Node>,
    domain: Arc<Domain>,
    address: &BareJid,
    before: Option<Box<Entity>>,
) -> (Entity, Vec<KeptLetter>) {
    let before = match before.map(|before| *before) {
        // Nothing of it is in the store.
        Some(anonymous) if !anonymous.is_kept() => return (anonymous, Vec::new()),
        before => before,
    };
    loop {
        match read(node, address, &domain, before.as_ref()).await {
            Ok((found, letters)) => return (carry_over(node, found, before), letters),
            Err(error) => {
                tracing::error!(%error, entity = %address, "an entity could not be read; trying again");
                node.world.clock.sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// The entity as the store knows it, and its letters.
async fn read(
    node: &Node,
    address: &BareJid,
    domain: &Arc<Domain>,
    before: Option<&Entity>,
) -> Result<(Entity, Vec<KeptLetter>), StoreError> {
    if address.local().is_none() {
        let host = Entity::Host(Host::new(domain.clone(), node.started));
        return Ok((host, node.store.letters(address).await?));
    }
    let mut household = node.store.household(address, TOPICS, &push::ITEMS).await?;
    let letters = std::mem::take(&mut household.letters);
    Ok((account(node, address, household, domain, before).await?, letters))
}

/// What is kept of an account in notes.
const TOPICS: [&str; 6] =
    [step::roster::REQUESTS, blocking::TOPIC, push::TOPIC, reports::TOPIC, strangers::TOPIC, archive::TOPIC];

/// The account, or nobody.
async fn account(
    node: &Node,
    address: &BareJid,
    household: Household,
    domain: &Arc<Domain>,
    before: Option<&Entity>,
) -> Result<Entity, StoreError> {
    let mut nobody = Nobody::new(address.clone(), domain.clone());
    let Household {
        record,
        roster: (version, contacts),
        mut notes,
        nodes,
        items,
        held,
        clients,
        archive,
        sessions,
        ..
    } = household;
    let Some(record) = record else { return Ok(Entity::Nobody(nobody)) };
    let mut of = |topic| notes.remove(topic).unwrap_or_default();
    let mut account = nobody.with_account(false);
    account.roster = Roster::load(version, contacts, of(step::roster::REQUESTS));
    account.blocklist = Blocklist::load(of(blocking::TOPIC));
    account.clients = Clients::load(clients);
    let preferences = of(archive::TOPIC).into_iter().find(|(key, _)| key == archive::KEY);
    let preferences = preferences.as_ref().map(|(_, value)| value.as_slice());
    account.archive = Archive::load(&domain.seal, address, record.created, archive, preferences);
    account.reported = reports::Reported::load(of(reports::TOPIC));
    account.addressed = strangers::Addressed::load(of(strangers::TOPIC));
    account.push = push::Enabled::load(of(push::TOPIC), items);
    account.nodes = Nodes::load(nodes, &domain.limits);
    account.held = Held::load(held);
    account.last_seen = LastSeen { at: record.seen_at, status: record.seen_status };
    if before.is_none() {
        restore_sessions(node, &mut account, sessions).await?;
    }
    Ok(Entity::Account(account))
}

/// Sessions that were there before a restart or a crash, without connections, and streams that are over.
async fn restore_sessions(
    node: &Node,
    account: &mut Account,
    stored: Vec<KeptSession>,
) -> Result<(), StoreError> {
    let now = node.world.clock.now();
    account.has_streams = !stored.is_empty();
    let (over, stored): (Vec<_>, Vec<_>) = stored.into_iter().partition(|kept| kept.over_at.is_some());
    let stored: Vec<_> = stored.into_iter().map(|kept| (node.new_session(), kept)).collect();
    let ids = stored.iter().map(|(id, kept)| (kept.key.as_str(), *id)).collect();
    for (id, kept) in &stored {
        let Some((session, max)) = kept::restore(&account.jid, kept, *id, now) else {
            tracing::error!(account = %account.jid, "a session cannot be read");
            continue;
        };
        let owed = node.store.owed(&account.jid, &kept.key).await?;
        let owed = owed.into_iter().filter_map(|owed| kept::owed(owed, *id, &ids));
        let sent = Sent::restored(kept.acked, owed);
        let mut resumable = Kept::new(kept.key.clone(), max);
        (resumable.handled, resumable.acked) = (kept.handled, kept.acked);
        resumable.counted = (kept.handled, kept.acked);
        (resumable.numbered, resumable.owed) = (sent.numbered(), sent.numbered());
        resumable.stored = Some(session.clone());
        let (commits, bytes_max) = (node.commits.clone(), node.config.outbound_bytes());
        account.doors.insert(*id, Door::restored(*id, commits, bytes_max, kept.handled, sent));
        account.kept.insert(*id, Box::new(resumable));
        account.sessions.add(session);
    }
    account.over = resumption::remembered(over);
    Ok(())
}

/// Sessions are not in the store: they go on as they were.
fn carry_over(node: &Node, mut found: Entity, before: Option<Entity>) -> Entity {
    match (&mut found, before) {
        (Entity::Account(account), Some(Entity::Account(before))) => {
            account.sessions = before.sessions;
            account.doors = before.doors;
            account.kept = before.kept;
            account.over = before.over;
            account.has_streams = before.has_streams;
            account.copied = before.copied;
            account.archive.carry_over(&before.archive);
            account.departed = before.departed;
            account.taken_back = before.taken_back;
            // Of what is lost itself, its sender has been told.
            account.taken_back.retain(|taken| node.commits.fate(taken.lsn) != Fate::Failed);
        }
        (Entity::Account(account), Some(Entity::Nobody(before))) => account.doors = before.doors,
        (Entity::Nobody(nobody), Some(Entity::Account(before))) => nobody.doors = before.doors,
        (Entity::Nobody(nobody), Some(Entity::Nobody(before))) => nobody.doors = before.doors,
        _ => {}
    }
    found
}
