//! Everything with a bare address of ours: an account, an address without one, or a domain itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use step::{Domain, SessionId, Step};
use xmpp::jid::BareJid;

use crate::account::Account;
use crate::door::Door;
use crate::host::Host;
use crate::letter::Letter;
use crate::nobody::Nobody;
use crate::told::Told;

/// One entity: it owns its state and reads one letter at a time.
pub enum Entity {
    /// A person's account.
    Account(Box<Account>),
    /// An address on our domain that has no account.
    Nobody(Nobody),
    /// One of our domains.
    Host(Host),
}

impl Entity {
    /// Reads one letter. An entity may become another one: an account is made, or removed.
    pub fn read(&mut self, letter: Letter, step: &mut Step<'_>, told: &mut Told) {
        let became = match self {
            Entity::Account(account) => account.read(letter, step, told).map(Entity::Nobody),
            Entity::Nobody(nobody) => nobody.read(letter, step, told).map(Entity::Account),
            Entity::Host(host) => {
                host.read(letter, step);
                None
            }
        };
        if let Some(became) = became {
            *self = became;
        }
    }

    /// All that it rests on is committed.
    pub fn settled(&mut self) {
        if let Entity::Account(account) = self {
            account.departed.clear();
            account.taken_back.clear();
        }
    }

    /// Its bare address.
    pub fn address(&self) -> BareJid {
        match self {
            Entity::Account(account) => account.jid.clone(),
            Entity::Nobody(nobody) => nobody.jid.clone(),
            Entity::Host(host) => host.domain.jid.bare(),
        }
    }

    /// The domain it belongs to.
    pub fn domain(&self) -> &Arc<Domain> {
        match self {
            Entity::Account(account) => &account.domain,
            Entity::Nobody(nobody) => &nobody.domain,
            Entity::Host(host) => &host.domain,
        }
    }

    /// The door of one of its sessions.
    pub fn door(&self, session: SessionId) -> Option<&Arc<Door>> {
        match self {
            Entity::Account(account) => account.doors.get(&session),
            Entity::Nobody(nobody) => nobody.doors.get(&session),
            Entity::Host(_) => None,
        }
    }

    /// The doors of all its connections.
    pub fn doors(&self) -> impl Iterator<Item = &Arc<Door>> {
        let doors = match self {
            Entity::Account(account) => Some(&account.doors),
            Entity::Nobody(nobody) => Some(&nobody.doors),
            Entity::Host(_) => None,
        };
        doors.into_iter().flat_map(BTreeMap::values)
    }

    /// Whether it may be forgotten and loaded again: nobody is connected to it.
    pub fn may_sleep(&self) -> bool {
        match self {
            Entity::Account(account) => account.doors.is_empty(),
            Entity::Nobody(nobody) => nobody.doors.is_empty(),
            Entity::Host(_) => false,
        }
    }

    /// Whether what it writes is to be kept; an anonymous account leaves nothing behind (XEP-0175).
    pub fn is_kept(&self) -> bool {
        !matches!(self, Entity::Account(account) if account.anonymous)
    }
}
