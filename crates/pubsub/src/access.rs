//! Who may see a node (XEP-0060 §4.5), and what anybody else hears.

use step::{Roster, Sessions};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, Jid};

use crate::config::Access;
use crate::errors::{error, no_such_node};
use crate::node::{Affiliation, Node};

/// Whose nodes they are.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// The account.
    pub account: &'a BareJid,
    /// Its contacts.
    pub roster: &'a Roster,
    /// Its sessions.
    pub sessions: &'a Sessions,
    /// Whether an address may hear from it at all (it is not blocked, XEP-0191).
    pub hears: &'a dyn Fn(&Jid) -> bool,
}

/// Why somebody may not see a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// The owner has shut them out.
    Outcast,
    /// They do not see the owner's presence.
    Presence,
    /// They are in none of the groups that may.
    Group,
    /// They are not on the list.
    List,
}

impl From<Hindrance> for StanzaError {
    /// XEP-0060 §6.1.3, §6.5.9
    fn from(hindrance: Hindrance) -> Self {
        match hindrance {
            Hindrance::Outcast => Condition::Forbidden.into(),
            Hindrance::Presence => error(Condition::NotAuthorized, "presence-subscription-required")
                .with_type(xmpp::error::ErrorType::Auth),
            Hindrance::Group => {
                error(Condition::NotAuthorized, "not-in-roster-group").with_type(xmpp::error::ErrorType::Auth)
            }
            Hindrance::List => error(Condition::NotAllowed, "closed-node"),
        }
    }
}

impl Owner<'_> {
    /// Whether somebody knows that the account exists: it has put them on its list of contacts.
    pub fn is_known_to(&self, asker: &BareJid) -> bool {
        asker == self.account || self.roster.has(asker)
    }

    /// Whether somebody may see a node.
    ///
    /// # Errors
    /// Why not.
    pub fn shows(&self, node: &Node, asker: &BareJid) -> Result<(), Hindrance> {
        if asker == self.account {
            return Ok(());
        }
        match node.affiliations.get(asker) {
            Some(Affiliation::Outcast) => return Err(Hindrance::Outcast),
            Some(Affiliation::Member) => return Ok(()),
            None => {}
        }
        let sees = self.roster.sees_me(asker);
        let in_group = || self.roster.groups(asker).iter().any(|group| node.config.groups.contains(group));
        match node.config.access {
            Access::Open => Ok(()),
            Access::Presence | Access::Roster if !sees => Err(Hindrance::Presence),
            Access::Roster if !in_group() => Err(Hindrance::Group),
            Access::Presence | Access::Roster => Ok(()),
            Access::Whitelist => Err(Hindrance::List),
        }
    }

    /// The node that somebody asks for, if it is there and they may see it.
    ///
    /// # Errors
    /// `item-not-found`, or why they may not see it. Who is no contact hears `service-unavailable` in either case, as
    /// for an account that does not exist (guarantee G16).
    pub fn visible<'n>(&self, node: Option<&'n Node>, asker: &BareJid) -> Result<&'n Node, StanzaError> {
        let known = self.is_known_to(asker);
        let found = match node.map(|node| (node, self.shows(node, asker))) {
            Some((node, Ok(()))) => return Ok(node),
            Some((_, Err(hindrance))) => hindrance.into(),
            None => no_such_node(),
        };
        Err(if known { found } else { Condition::ServiceUnavailable.into() })
    }
}
