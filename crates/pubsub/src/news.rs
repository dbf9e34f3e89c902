//! Who hears what is new (XEP-0060 §7.1.2, XEP-0163 §4): the owner's account knows who may see it, the reader's which
//! of its sessions want it.

use std::sync::Arc;
use std::time::Duration;

use step::Read;
use step::{Return, Returned, Roster, SessionId, Sessions, Step, Wish};
use store::NodeItem;
use xmpp::datetime;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::{self, Element};

use crate::access::Owner;
use crate::config::SendLast;
use crate::node::{Node, Nodes};

/// Bytes of last items that one who comes online is told by one account: much less than may wait for a connection,
/// which would end it each time.
pub const LAST_BYTES_MAX: usize = 128 * 1024;

/// After this time it is asked again for what could not be read.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// An item as an event shows it.
pub(crate) fn item(id: &str, payload: Option<Element>) -> Element {
    Element::new(ns::PUBSUB_EVENT, "item").with_attr("id", id).with_children(payload)
}

/// Something about items of a node.
pub(crate) fn items(node: &str, items: impl IntoIterator<Item = Element>) -> Element {
    Element::new(ns::PUBSUB_EVENT, "items").with_attr("node", node).with_children(items)
}

/// Tells all who may see a node and want to hear of it.
pub(crate) fn tell(owner: &Owner<'_>, name: &str, node: &Node, news: &Element, step: &mut Step<'_>) {
    if !node.config.notifies {
        return;
    }
    let message = message(owner.account, node, news, step);
    for session in owner.sessions.available() {
        let jid = Jid::from(session.jid.clone());
        if session.wishes.wants(name) || node.subscribers.contains(&jid) {
            step.to_session(session.id, message.clone().with_to(jid));
        }
    }
    let may_hear = |jid: &Jid| (owner.hears)(jid) && owner.shows(node, &jid.bare()).is_ok();
    let contacts = owner.roster.subscribers().cloned().map(Jid::from);
    // Who subscribed with their bare address and sees the owner's presence hears it once.
    let others = node
        .subscribers
        .iter()
        .filter(|jid| jid.bare() != *owner.account && !(jid.is_bare() && owner.roster.sees_me(&jid.bare())));
    let all: Vec<_> = contacts.chain(others.cloned()).filter(may_hear).collect();
    if all.is_empty() {
        return;
    }
    let name: Arc<str> = name.into();
    for to in all {
        step.notify(name.clone(), message.clone().with_to(to));
    }
}

/// XEP-0163 §4.3.1: from the owner's bare address.
fn message(account: &BareJid, node: &Node, news: &Element, step: &Step<'_>) -> Stanza {
    Stanza::message(node.config.message)
        .with_from(account.clone())
        .with_id(step.new_id())
        .with_child(&Element::new(ns::PUBSUB_EVENT, "event").with_child(news.clone()))
}

/// Somebody's session is there and wants the last items of nodes (XEP-0163 §4.3.4).
pub fn wished(nodes: &Nodes, owner: &Owner<'_>, wish: &Wish, step: &mut Step<'_>) {
    let (from, bare) = (Jid::from(wish.from.clone()), wish.from.bare());
    if nodes.is_empty() || !(bare == *owner.account || (owner.hears)(&from)) {
        return;
    }
    let follows = |node: &Node| {
        bare == *owner.account
            || owner.roster.sees_me(&bare)
            || node.subscribers.contains(&from)
            || node.subscribers.contains(&Jid::from(bare.clone()))
    };
    let wants = |name: &str| wish.wanted.binary_search_by(|other| (**other).cmp(name)).is_ok();
    let told = |node: &Node| node.config.send_last == SendLast::OnPresence && is_kept(node);
    let shown = nodes.iter().filter(|(name, node)| wants(name) && told(node) && follows(node));
    let shown = shown.filter(|(_, node)| owner.shows(node, &bare).is_ok());
    let names: Vec<_> = shown.map(|(name, _)| name.to_owned()).collect();
    ask(owner, names, from, step);
}

/// Somebody has just subscribed (XEP-0060 §6.1.7).
pub(crate) fn subscribed(owner: &Owner<'_>, name: &str, node: &Node, jid: Jid, step: &mut Step<'_>) {
    if node.config.send_last != SendLast::Never && is_kept(node) {
        ask(owner, vec![name.to_owned()], jid, step);
    }
}

/// Whether its last item is there to be told.
fn is_kept(node: &Node) -> bool {
    node.config.persist && node.config.notifies
}

fn ask(owner: &Owner<'_>, nodes: Vec<String>, to: Jid, step: &mut Step<'_>) {
    if !nodes.is_empty() {
        let back = Return::News(Box::new(to), nodes.clone());
        step.read(Read::LastItems { owner: owner.account.clone(), nodes }, back);
    }
}

/// The last items have been read: whoever wanted them hears them, with the time at which they were published. What
/// could not be read is asked for again.
pub fn returned(
    nodes: &Nodes,
    owner: &Owner<'_>,
    to: Jid,
    wanted: Vec<String>,
    came: Returned,
    step: &mut Step<'_>,
) {
    let Returned::LastItems(found) = came else {
        return step.after(AGAIN_AFTER, Return::NewsAgain(Box::new(to), wanted));
    };
    for (name, last) in within_bounds(found) {
        let Some(node) = nodes.find(&name).filter(|node| owner.shows(node, &to.bare()).is_ok()) else {
            continue;
        };
        let payload = xml::parse(&last.xml, xml::Limits::CHECKED).ok().filter(|_| node.config.with_payloads);
        let delay = Element::new(ns::DELAY, "delay").with_attr("stamp", datetime::format(last.at));
        let event = message(owner.account, node, &items(&name, [item(&last.id, payload)]), step);
        let event = event.with_child(&delay).with_to(to.clone());
        match to.bare() == *owner.account {
            true => arrived(owner.sessions, &name, &event, step),
            false => step.notify(name.as_str().into(), event),
        }
    }
}

/// As many as there may be, the short ones first; the others can be asked for. One alone may always be.
fn within_bounds(mut found: Vec<(String, NodeItem)>) -> Vec<(String, NodeItem)> {
    found.sort_by_key(|(_, item)| item.xml.len());
    let mut bytes = 0;
    let fit = found.iter().take_while(|(_, item)| {
        bytes += item.xml.len();
        bytes <= LAST_BYTES_MAX
    });
    let fit = fit.count().max(1);
    found.truncate(fit);
    found
}

/// The time has come to ask again for what could not be read.
pub fn again(owner: &Owner<'_>, to: Jid, wanted: Vec<String>, step: &mut Step<'_>) {
    ask(owner, wanted, to, step);
}

/// Something was published that the account's sessions may want: those hear it that have asked for it by their
/// capabilities (XEP-0060 §9.2), or the one that it is for.
pub fn arrived(sessions: &Sessions, node: &str, event: &Stanza, step: &mut Step<'_>) {
    let only = event.to.as_ref().and_then(Jid::resource);
    for session in sessions.available() {
        let hears = match only {
            Some(resource) => session.jid.resource() == resource,
            None => session.wishes.wants(node),
        };
        if hears {
            step.to_session(session.id, event.clone().with_to(session.jid.clone()));
        }
    }
}

/// A session's wishes have become known: everybody whose presence the account sees is told them, and its own nodes are
/// looked at. Other servers do the same with the capabilities in its presence.
pub fn seek(nodes: &Nodes, owner: &Owner<'_>, session: SessionId, step: &mut Step<'_>) {
    let Some(wish) = wish(owner.sessions, session) else { return };
    wished(nodes, owner, &wish, step);
    for contact in contacts(owner.roster).filter(|contact| (owner.hears)(&Jid::from((*contact).clone()))) {
        step.wish(contact.clone(), wish.clone());
    }
}

/// A contact has let the account see its presence: what the account's sessions want of it is asked for.
pub fn seek_of(sessions: &Sessions, contact: &BareJid, step: &mut Step<'_>) {
    for session in sessions.available() {
        if let Some(wish) = wish(sessions, session.id) {
            step.wish(contact.clone(), wish);
        }
    }
}

fn contacts(roster: &Roster) -> impl Iterator<Item = &BareJid> {
    roster.subscriptions()
}

/// What a session wants, if it wants anything.
fn wish(sessions: &Sessions, session: SessionId) -> Option<Wish> {
    let session = sessions.find(session).filter(|session| session.is_available())?;
    let wanted = session.wishes.wanted().filter(|wanted| !wanted.is_empty())?;
    Some(Wish { from: session.jid.clone(), wanted: wanted.clone() })
}
