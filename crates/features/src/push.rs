//! Push notifications (XEP-0357): devices that are not there are woken by the push services that they have named.

mod notify;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use step::{Card, Identity, Reply, Session, Step, Stop};
use store::{NodeItem, Write};
use xmpp::error::Condition;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::{self, Element};

use settings::Settings;

pub use notify::{Event, SILENCE, answered, called_elsewhere, heed_service, look_again, wake};
pub use settings::ITEMS;

/// The topic of the notes that keep what is enabled: one for each service and node.
pub const TOPIC: &str = "push";

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 357,
    version: "0.4.1",
    title: "Push Notifications",
    account: &[ns::PUSH],
    note: "Services on our own domains: there is no way to those of other servers yet.",
    ..Card::PLAIN
};

/// Which chats wake somebody.
pub const SETTINGS_CARD: Card = Card {
    xep: 492,
    version: "0.2.0",
    title: "Chat notification settings",
    note: "Push heeds what clients have set in bookmarks (XEP-0402). Where nothing is set, all rooms count as public.",
    ..Card::PLAIN
};

/// Services and nodes that one account may have enabled.
const ENABLED_MAX: usize = 20;
/// Bytes of a service's address and its node together.
const NAME_BYTES_MAX: usize = 1_000;
/// Bytes of the options that go with every notification.
const OPTIONS_BYTES_MAX: usize = 4_096;

/// What an account has enabled, by service and node, and what it has set for single chats.
#[derive(Debug, Default)]
pub struct Enabled {
    all: BTreeMap<(Jid, String), Target>,
    settings: Settings,
    /// Somebody will look again whether a device must be woken.
    looks_again: bool,
}

/// A node of a push service, which wakes one device.
#[derive(Debug)]
struct Target {
    /// The resource of the device that enabled it.
    device: String,
    /// What its client is, as far as that is known: some settings are for some clients only (XEP-0492 §2.2).
    identities: Vec<Identity>,
    /// What the service wants to see with every notification.
    options: Option<Element>,
    /// Messages that were to wake the device since it was last there.
    messages: u32,
    /// Notifications that may go at once, and when that was so.
    credit: u32,
    credit_at: Option<Instant>,
    /// A notification waits for credit.
    due: Option<notify::Summary>,
    /// The notification that has not been answered.
    asked: Option<String>,
    /// Errors in a row that may pass.
    errors: u32,
    /// The last calls that the device was woken for.
    calls: Vec<String>,
}

impl Target {
    fn new(device: &str, identities: Vec<Identity>, options: Option<Element>) -> Self {
        Target {
            device: device.to_owned(),
            identities,
            options,
            messages: 0,
            credit: notify::CREDIT_MAX,
            credit_at: None,
            due: None,
            asked: None,
            errors: 0,
            calls: Vec::new(),
        }
    }

    fn to_note(&self) -> Vec<u8> {
        let identities = self.identities.iter().map(|identity| {
            Element::new(ns::DISCO_INFO, "identity")
                .with_attr("category", &identity.category)
                .with_attr("type", &identity.type_)
        });
        let note = Element::new(ns::PUSH, "enable").with_attr("device", &self.device);
        note.with_children(self.options.clone()).with_children(identities).to_xml().into_bytes()
    }

    fn from_note(note: &[u8]) -> Option<Self> {
        let note = xml::parse(note, xml::Limits::CHECKED).ok()?;
        let identities = note.children().filter(|child| child.is(ns::DISCO_INFO, "identity"));
        let identities = identities.filter_map(|identity| {
            let part = |name| identity.attr(name).map(str::to_owned);
            Some(Identity { category: part("category")?, type_: part("type")? })
        });
        let options = note.child(ns::FORMS, "x").cloned();
        Some(Target::new(note.attr("device")?, identities.collect(), options))
    }
}

impl Enabled {
    /// Reads what is enabled from the notes of topic [`TOPIC`], and what is set from [`ITEMS`]. Settings are not noted
    /// anew: so they are what the node says, whatever has written it.
    pub fn load(notes: Vec<(String, Vec<u8>)>, items: Vec<NodeItem>) -> Self {
        let all = notes.into_iter().filter_map(|(key, note)| {
            let (service, node) = key.split_once('\t')?;
            Some(((Jid::new(service).ok()?, node.to_owned()), Target::from_note(&note)?))
        });
        Enabled { all: all.collect(), settings: Settings::load(items), looks_again: false }
    }

    /// Whether nothing is enabled.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Heeds what the account's step writes: what is set may have changed with it.
    pub fn heed_settings(&mut self, writes: &[Write]) {
        self.settings.heed(writes);
    }

    /// A device is there, or was until now: what it has not heard is counted anew.
    pub fn device_was_here(&mut self, device: &str) {
        for target in self.all.values_mut().filter(|target| target.device == device) {
            target.messages = 0;
            target.due = None;
        }
    }

    /// What a device's client is has become known, or has changed.
    pub fn device_is(&mut self, account: &BareJid, session: &Session, step: &mut Step<'_>) {
        let identities = session.wishes.identities();
        let known = |target: &Target| identities.is_empty() || target.identities == identities;
        let device = session.jid.resource();
        for (name, target) in self.all.iter_mut().filter(|(_, target)| target.device == device) {
            if !known(target) {
                target.identities = identities.to_vec();
                step.write(put(account, name, target));
            }
        }
    }

    fn disable(&mut self, account: &BareJid, name: &(Jid, String), step: &mut Step<'_>) {
        if self.all.remove(name).is_some() {
            step.write(Write::Note { owner: account.clone(), topic: TOPIC, key: key(name), value: None });
        }
    }
}

/// As it is to be kept.
fn put(account: &BareJid, name: &(Jid, String), target: &Target) -> Write {
    Write::Note { owner: account.clone(), topic: TOPIC, key: key(name), value: Some(target.to_note()) }
}

/// The key of a note. No address holds a tab (RFC 7622 §3.4).
fn key((service, node): &(Jid, String)) -> String {
    format!("{service}\t{node}")
}

/// Enables a service for the device that asks, or disables one for the account (§5, §6).
///
/// # Errors
/// `bad-request` for what is neither, names no service, or brings options that are none; `jid-malformed`;
/// `not-acceptable` for names or options that are too long; `resource-constraint` when too many are enabled.
pub fn answer_own(
    enabled: &mut Enabled,
    account: &BareJid,
    session: &Session,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Reply, Stop> {
    let (enable, disable) = (iq.element(ns::PUSH, "enable"), iq.element(ns::PUSH, "disable"));
    match (iq.type_, enable, disable) {
        (Type::Set, Some(order), None) => enable_for(enabled, account, session, &order, step)?,
        (Type::Set, None, Some(order)) => {
            let service = service(&order)?;
            // §6: without a node, all nodes of the service.
            let node = order.attr("node");
            let names = enabled.all.keys().filter(|name| name.0 == service);
            let names: Vec<_> =
                names.filter(|name| node.is_none_or(|node| name.1 == node)).cloned().collect();
            names.iter().for_each(|name| enabled.disable(account, name, step));
        }
        _ => return Err(Condition::BadRequest.into()),
    }
    Ok(Reply::Done)
}

fn enable_for(
    enabled: &mut Enabled,
    account: &BareJid,
    session: &Session,
    order: &Element,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    let name = (service(order)?, order.attr("node").unwrap_or_default().to_owned());
    let options = options(order)?;
    let options_bytes = options.as_ref().map_or(0, |options| options.to_xml().len());
    if name.0.as_str().len() + name.1.len() > NAME_BYTES_MAX || options_bytes > OPTIONS_BYTES_MAX {
        return Err(Condition::NotAcceptable.into());
    }
    if enabled.all.len() >= ENABLED_MAX && !enabled.all.contains_key(&name) {
        return Err(Condition::ResourceConstraint.into());
    }
    // §5: the last request counts.
    let target = Target::new(session.jid.resource(), session.wishes.identities().to_vec(), options);
    step.write(put(account, &name, &target));
    enabled.all.insert(name, target);
    Ok(())
}

fn service(order: &Element) -> Result<Jid, Stop> {
    let service = order.attr("jid").ok_or(Condition::BadRequest)?;
    Jid::new(service).map_err(|_| Condition::JidMalformed.into())
}

/// The options that a service wants to see, if any: one form of the kind that §5 names.
fn options(order: &Element) -> Result<Option<Element>, Stop> {
    let mut children = order.children();
    match (children.next(), children.next()) {
        (None, _) => Ok(None),
        (Some(form), None)
            if form.is(ns::FORMS, "x") && form_type(form) == Some(ns::PUBLISH_OPTIONS.into()) =>
        {
            Ok(Some(form.clone()))
        }
        _ => Err(Condition::BadRequest.into()),
    }
}

fn form_type(form: &Element) -> Option<String> {
    let field = form.children().find(|field| field.attr("var") == Some("FORM_TYPE"))?;
    Some(field.child(ns::FORMS, "value")?.text())
}
