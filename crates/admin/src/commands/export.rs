//! Everything that is kept of somebody, to be read by people or by another server, and its erasure.

use std::time::SystemTime;

use futures_util::future::BoxFuture;
use pubsub::node::{Node, Nodes};
use step::domain::Limits;
use store::{ArchiveQuery, ArchivedMessage, ItemsWanted, OfflineMessage, Page, Store, StoreError};
use xmpp::datetime;
use xmpp::form::FormType;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::xml::{self, Element};

use super::{ACCOUNT, Arguments, Command, Layout, Lines, Refused, line};
use crate::desk::{Desk, is_missing, unreadable};

/// Messages that are read at a time.
const PAGE: usize = 200;
/// Bytes of published items that are read at a time.
const PAGE_BYTES: u64 = 1 << 20;

/// Shows everything that is kept of somebody.
pub const EXPORT: Command = Command {
    name: "export-user",
    words: &["user", "export"],
    doc: "Write everything that is kept of an account to standard output, as XML (XEP-0227); keys are left out",
    arguments: &[ACCOUNT],
    layout: Layout::Values,
    run: export,
};

/// Erases an account.
pub const ERASE: Command = Command {
    name: "erase-user",
    words: &["user", "erase"],
    doc: "Erase an account with everything that is kept of it, and say what was erased",
    arguments: &[ACCOUNT, super::SURE],
    layout: Layout::Table,
    run: erase,
};

/// Reads what there is of one concern.
type Reader = for<'a> fn(&'a Store, &'a BareJid) -> BoxFuture<'a, Result<Vec<Element>, StoreError>>;

/// One concern of an account: what it is called, how it is written, and how much of it there is.
struct Concern {
    name: &'static str,
    read: Reader,
}

/// All that is kept of an account besides its keys; whatever is kept more gets a line here.
const CONCERNS: &[Concern] = &[
    Concern { name: "contacts", read: |store, owner| Box::pin(contacts(store, owner)) },
    Concern { name: "held messages", read: |store, owner| Box::pin(held(store, owner)) },
    Concern { name: "archived messages", read: |store, owner| Box::pin(archived(store, owner)) },
    Concern { name: "published items", read: |store, owner| Box::pin(published(store, owner)) },
    Concern { name: "notes", read: |store, owner| Box::pin(notes(store, owner)) },
];

fn export<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let account = arguments.account(desk)?;
        let mut user =
            Element::new(ns::PORTABLE, "user").with_attr("name", account.local().unwrap_or_default());
        if let Some(record) = record(desk, &account).await?.seen_at {
            user =
                user.with_child(Element::new(ns::LAST, "query").with_attr("seen", datetime::format(record)));
        }
        for concern in CONCERNS {
            let found = (concern.read)(desk.store(), &account).await.map_err(|error| unreadable(&error))?;
            user = user.with_children(found);
        }
        let host = Element::new(ns::PORTABLE, "host").with_attr("jid", account.domain()).with_child(user);
        let data = Element::new(ns::PORTABLE, "server-data").with_child(host);
        Ok(vec![line("user", format!("<?xml version='1.0' encoding='UTF-8'?>\n{}", data.to_xml()))])
    })
}

fn erase<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let account = arguments.account(desk)?;
        record(desk, &account).await?;
        if arguments.one(super::SURE.name) != Some(account.as_str()) {
            return Err(Refused(format!(
                "erasing {account} cannot be undone, and was not confirmed; `--yes` confirms it"
            )));
        }
        let mut lines = vec![line("erased", &account)];
        for concern in CONCERNS {
            let found = (concern.read)(desk.store(), &account).await.map_err(|error| unreadable(&error))?;
            lines.push(line(concern.name, found.iter().map(count).sum::<usize>()));
        }
        desk.remove_user(account).await?;
        Ok(lines)
    })
}

async fn record(desk: &dyn Desk, account: &BareJid) -> Result<store::AccountRecord, Refused> {
    let found = desk.store().account(account).await.map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| is_missing(account))
}

/// How many things an element holds.
fn count(element: &Element) -> usize {
    if element.is(ns::PUBSUB, "pubsub") {
        return element.children().map(|items| items.children().count()).sum();
    }
    if element.is(ns::PUBSUB_OWNER, "pubsub") {
        return 0;
    }
    let lists = [ns::PORTABLE, ns::PORTABLE_ARCHIVE, ns::KEPT, ns::ROSTER, ns::PRIVATE, ns::BLOCKING];
    if lists.contains(&element.ns()) { element.children().count() } else { 1 }
}

/// XEP-0227 §4.4
async fn contacts(store: &Store, owner: &BareJid) -> Result<Vec<Element>, StoreError> {
    let (_, items) = store.roster(owner).await?;
    let items = items.into_iter().map(|item| {
        let element = Element::new(ns::ROSTER, "item")
            .with_attr("jid", item.jid.as_str())
            .with_attr_opt("name", item.name)
            .with_attr("subscription", item.subscription.as_str())
            .with_attr_opt("ask", item.ask.then_some("subscribe"))
            .with_attr_opt("approved", item.approved.then_some("true"));
        element
            .with_children(item.groups.iter().map(|group| Element::new(ns::ROSTER, "group").with_text(group)))
    });
    Ok(vec![Element::new(ns::ROSTER, "query").with_children(items)])
}

/// XEP-0227 §4.5
async fn held(store: &Store, owner: &BareJid) -> Result<Vec<Element>, StoreError> {
    let mut messages = Element::new(ns::PORTABLE, "offline-messages");
    let mut after = 0;
    loop {
        let page = store.offline(owner, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(vec![messages]) };
        after = last.id;
        messages = messages.with_children(page.iter().filter_map(|held| held_since(held, owner.domain())));
    }
}

/// A held message with the stamp of our domain, as it is handed over.
fn held_since(held: &OfflineMessage, domain: &str) -> Option<Element> {
    let message = of_client(&held.xml)?;
    let is_ours = |child: &Element| child.is(ns::DELAY, "delay") && child.attr("from") == Some(domain);
    let is_stamped = message.children().any(is_ours);
    Some(if is_stamped { message } else { message.with_child(delay(held.at).with_attr("from", domain)) })
}

fn delay(at: SystemTime) -> Element {
    Element::new(ns::DELAY, "delay").with_attr("stamp", datetime::format(at))
}

/// XEP-0227 §4.10: from the oldest to the newest.
async fn archived(store: &Store, owner: &BareJid) -> Result<Vec<Element>, StoreError> {
    let mut archive = Element::new(ns::PORTABLE_ARCHIVE, "archive");
    let mut query = ArchiveQuery { max: PAGE, ..ArchiveQuery::default() };
    loop {
        let Some(page) = store.archive_page(owner, &query).await? else { return Ok(vec![archive]) };
        let Some(last) = page.messages.last() else { return Ok(vec![archive]) };
        query.page = Page::After(last.seq);
        archive = archive.with_children(page.messages.iter().filter_map(result));
        if page.complete {
            return Ok(vec![archive]);
        }
    }
}

/// An archived message as XEP-0313 shows it.
fn result(archived: &ArchivedMessage) -> Option<Element> {
    let forwarded = Element::new(ns::FORWARD, "forwarded").with_child(delay(archived.at));
    let forwarded = forwarded.with_child(of_client(&archived.xml)?);
    Some(Element::new(ns::MAM, "result").with_attr("id", archived.seq.to_string()).with_child(forwarded))
}

/// A stanza as it was kept, without the namespace that it inherits.
fn of_client(xml: &[u8]) -> Option<Element> {
    let whole = [format!("<x xmlns='{}'>", ns::CLIENT).as_bytes(), xml, b"</x>"].concat();
    xml::parse(&whole, xml::Limits::CHECKED).ok()?.children().next().cloned()
}

/// XEP-0227 §4.10: nodes as they are configured, with who is what to them, and their items, the oldest first.
async fn published(store: &Store, owner: &BareJid) -> Result<Vec<Element>, StoreError> {
    let nodes = Nodes::load(store.nodes(owner).await?, &Limits::default());
    let mut configured = Element::new(ns::PUBSUB_OWNER, "pubsub");
    let mut published = Element::new(ns::PUBSUB, "pubsub");
    for (name, node) in nodes.iter() {
        configured = configured.with_children(described(name, node));
        published.push(items(store, owner, name).await?);
    }
    Ok([configured, published].into_iter().filter(|element| element.children().next().is_some()).collect())
}

/// XEP-0227 §4.10.1
fn described(name: &str, node: &Node) -> Vec<Element> {
    let of_node = |what: &'static str| Element::new(ns::PUBSUB_OWNER, what).with_attr("node", name);
    let entry = |what: &'static str, jid: &str, how: &str| {
        Element::new(ns::PUBSUB_OWNER, what).with_attr("jid", jid).with_attr(what, how)
    };
    let configure = of_node("configure").with_child(node.config.form(FormType::Form).to_element());
    let affiliations = node.affiliations.iter();
    let affiliations = affiliations.map(|(jid, what)| entry("affiliation", jid.as_str(), what.name()));
    let subscriptions = node.subscribers.iter().map(|jid| entry("subscription", jid.as_str(), "subscribed"));
    let affiliations = of_node("affiliations").with_children(affiliations);
    let subscriptions = of_node("subscriptions").with_children(subscriptions);
    let lists = [affiliations, subscriptions].into_iter().filter(|list| list.children().next().is_some());
    std::iter::once(configure).chain(lists).collect()
}

/// XEP-0227 §4.10.2, with the time at which each item was published.
async fn items(store: &Store, owner: &BareJid, name: &str) -> Result<Element, StoreError> {
    let mut items = Element::new(ns::PUBSUB, "items").with_attr("node", name);
    let mut after = None;
    loop {
        let wanted = ItemsWanted::After(after, PAGE);
        let Some(page) = store.items(owner, name, &wanted, PAGE_BYTES).await? else { return Ok(items) };
        let Some(last) = page.items.last() else { return Ok(items) };
        after = Some(last.id.clone());
        items = items.with_children(page.items.iter().map(|item| {
            let mut element = Element::new(ns::PUBSUB, "item").with_attr("id", &item.id);
            element.set_attr_ns(Some(ns::KEPT.into()), "at", datetime::format(item.at));
            element.with_children(xml::parse(&item.xml, xml::Limits::CHECKED).ok())
        }));
    }
}

/// Cards, private XML and requests as XEP-0227 §4.6, §4.7 and §4.9 have them, and the blocklist as XEP-0191 has it; the
/// rest by topic and key.
async fn notes(store: &Store, owner: &BareJid) -> Result<Vec<Element>, StoreError> {
    let mut private = Element::new(ns::PRIVATE, "query");
    let mut blocked = Element::new(ns::BLOCKING, "blocklist");
    let mut others = Element::new(ns::KEPT, "notes");
    let mut found = Vec::new();
    for (topic, key, value) in store.all_notes(owner).await? {
        let inside = xml::parse(&value, xml::Limits::CHECKED).ok();
        match (topic.as_str(), inside) {
            (features::vcard::TOPIC, Some(card)) => found.push(card),
            (features::private::TOPIC, Some(kept)) => private.push(kept),
            (features::blocking::TOPIC, _) => {
                blocked.push(Element::new(ns::BLOCKING, "item").with_attr("jid", key));
            }
            (step::roster::REQUESTS, _) => found.extend(of_client(&value)),
            (_, inside) => {
                let note =
                    Element::new(ns::KEPT, "note").with_attr("topic", topic).with_attr("key", plain(&key));
                let text = inside.is_none().then(|| String::from_utf8(value).ok()).flatten();
                let stanza = text.as_ref().and_then(|text| of_client(text.as_bytes()));
                others.push(match (inside, stanza, text) {
                    (Some(element), ..) | (None, Some(element), _) => note.with_child(element),
                    (None, None, Some(text)) => note.with_text(&plain(&text)),
                    (None, None, None) => note,
                });
            }
        }
    }
    found
        .extend([private, blocked, others].into_iter().filter(|element| element.children().next().is_some()));
    Ok(found)
}

/// Only what XML can hold.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
