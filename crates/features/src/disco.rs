//! Service discovery (XEP-0030): what our domain and its accounts are and can do.

use std::collections::{BTreeMap, BTreeSet};

use step::{Card, Domain, Reply, Sessions, Stop};
use xmpp::error::Condition;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 30,
    version: "2.5.0",
    title: "Service Discovery",
    host: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    account: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    ..Card::PLAIN
};

/// Forms in what our domain tells of itself.
pub const EXTENSIONS_CARD: Card =
    Card { xep: 128, version: "1.0.1", title: "Service Discovery Extensions", ..Card::PLAIN };

/// Whom to write to about our domain.
pub const CONTACTS_CARD: Card =
    Card { xep: 157, version: "1.1.1", title: "Contact Addresses for XMPP Services", ..Card::PLAIN };

/// What is asked, and of which node.
enum Question {
    Info(Option<String>),
    Items(Option<String>),
}

/// Answers for an account, to the account itself or to one who may see its presence (XEP-0030 §8). `kind` is the type
/// of its identity; `identities` and `items` are what else it is and has.
///
/// # Errors
/// `item-not-found` for any node; `bad-request` for what is not a question.
pub fn answer_account(
    cards: &[Card],
    account: &BareJid,
    kind: &str,
    identities: &[Element],
    items: &[Element],
    sessions: &Sessions,
    iq: &Stanza,
) -> Result<Reply, Stop> {
    match question(iq)? {
        Question::Info(None) => {
            let own = identity("account", kind, account.as_str());
            let identities = std::iter::once(own).chain(identities.iter().cloned());
            let features = cards.iter().flat_map(|card| card.account);
            Ok(Reply::Result(info_query(None, identities, features)))
        }
        Question::Items(None) => {
            let devices = sessions
                .available()
                .map(|session| Element::new(ns::DISCO_ITEMS, "item").with_attr("jid", session.jid.as_str()));
            Ok(Reply::Result(
                Element::new(ns::DISCO_ITEMS, "query")
                    .with_children(devices)
                    .with_children(items.iter().cloned()),
            ))
        }
        Question::Info(Some(_)) | Question::Items(Some(_)) => Err(Condition::ItemNotFound.into()),
    }
}

/// Answers for an account, to one who may not see its presence; and for an account that does not exist, so that
/// nobody can tell the two apart (XEP-0030 §8).
///
/// # Errors
/// `service-unavailable` for disco#info; `bad-request` for what is not a question.
pub fn answer_stranger(iq: &Stanza) -> Result<Reply, Stop> {
    match question(iq)? {
        Question::Info(_) => Err(Condition::ServiceUnavailable.into()),
        Question::Items(node) => {
            Ok(Reply::Result(Element::new(ns::DISCO_ITEMS, "query").with_attr_opt("node", node)))
        }
    }
}

/// What our domain answers to disco#info; its hash is in the stream features (XEP-0115 §6.3).
pub fn host_info(cards: &[Card], domain: &Domain) -> Element {
    let features = cards.iter().flat_map(|card| card.host);
    // XEP-0222 §5, XEP-0223 §5: clients look here for whether accounts can publish.
    let identities = [identity("server", "im", "Waxwing"), identity("pubsub", "pep", "Waxwing")];
    let query = info_query(None, identities, features);
    match contacts(domain) {
        Some(form) => query.with_child(form),
        None => query,
    }
}

/// Answers for our domain. `commands` are the nodes and names of its commands; `caps_node` is the node that stands
/// for its capabilities.
///
/// # Errors
/// `item-not-found` for a node that does not exist; `forbidden` for a command that the asker may not run;
/// `bad-request` for what is not a question.
pub fn answer_host(
    cards: &[Card],
    commands: &[(&'static str, &'static str)],
    caps_node: &str,
    iq: &Stanza,
    domain: &Domain,
) -> Result<Reply, Stop> {
    let admin = iq.from.as_ref().is_some_and(|from| domain.is_admin(&from.bare()));
    let query = match question(iq)? {
        Question::Info(None) => host_info(cards, domain),
        Question::Info(Some(node)) if node == caps_node => host_info(cards, domain).with_attr("node", node),
        Question::Info(Some(node)) => command_info(commands, &node, admin)?,
        // Services beside the accounts (rooms, uploads) will be listed here.
        Question::Items(None) => Element::new(ns::DISCO_ITEMS, "query"),
        Question::Items(Some(node)) => command_items(commands, &node, admin, domain)?,
    };
    Ok(Reply::Result(query))
}

fn question(iq: &Stanza) -> Result<Question, Stop> {
    if iq.type_ != Type::Get {
        return Err(Condition::BadRequest.into());
    }
    let node = |query: Element| query.attr("node").map(str::to_owned);
    match (iq.element(ns::DISCO_INFO, "query"), iq.element(ns::DISCO_ITEMS, "query")) {
        (Some(query), _) => Ok(Question::Info(node(query))),
        (None, Some(query)) => Ok(Question::Items(node(query))),
        (None, None) => Err(Condition::BadRequest.into()),
    }
}

/// XEP-0050 §2.2: the list of commands and each command are nodes.
fn command_info(commands: &[(&'static str, &'static str)], node: &str, admin: bool) -> Result<Element, Stop> {
    let command = commands.iter().find(|(command, _)| *command == node);
    let (identity, features) = match command {
        _ if node == ns::COMMANDS => (
            identity("automation", "command-list", "Commands"),
            [ns::COMMANDS, ns::DISCO_INFO, ns::DISCO_ITEMS].as_slice(),
        ),
        Some((_, name)) => (
            identity("automation", "command-node", name),
            [ns::COMMANDS, ns::FORMS, ns::DISCO_INFO].as_slice(),
        ),
        None => return Err(Condition::ItemNotFound.into()),
    };
    if !admin {
        return Err(Condition::Forbidden.into());
    }
    Ok(info_query(Some(node), [identity], features))
}

/// The list of commands: empty for one who may run none (XEP-0050 §2.2).
fn command_items(
    commands: &[(&'static str, &'static str)],
    node: &str,
    admin: bool,
    domain: &Domain,
) -> Result<Element, Stop> {
    let query = Element::new(ns::DISCO_ITEMS, "query").with_attr("node", node);
    if node != ns::COMMANDS {
        let known = commands.iter().any(|(command, _)| *command == node);
        return if known { Ok(query) } else { Err(Condition::ItemNotFound.into()) };
    }
    let shown = if admin { commands } else { &[] };
    Ok(query.with_children(shown.iter().map(|(command, name)| {
        Element::new(ns::DISCO_ITEMS, "item")
            .with_attr("jid", domain.name())
            .with_attr("node", *command)
            .with_attr("name", *name)
    })))
}

fn identity(category: &str, type_: &str, name: &str) -> Element {
    Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", category)
        .with_attr("type", type_)
        .with_attr("name", name)
}

/// A query with its features sorted and each told once.
fn info_query<'a>(
    node: Option<&str>,
    identities: impl IntoIterator<Item = Element>,
    features: impl IntoIterator<Item = &'a &'static str>,
) -> Element {
    let features: BTreeSet<&str> = features.into_iter().copied().collect();
    Element::new(ns::DISCO_INFO, "query").with_attr_opt("node", node).with_children(identities).with_children(
        features.into_iter().map(|feature| Element::new(ns::DISCO_INFO, "feature").with_attr("var", feature)),
    )
}

/// XEP-0157 §2: the addresses by their fields.
fn contacts(domain: &Domain) -> Option<Element> {
    let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (field, address) in domain.contacts.iter() {
        fields.entry(field).or_default().push(address);
    }
    if fields.is_empty() {
        return None;
    }
    let field = |var: &str, type_: &str, values: &[&str]| {
        Element::new(ns::FORMS, "field")
            .with_attr("var", var)
            .with_attr("type", type_)
            .with_children(values.iter().map(|value| Element::new(ns::FORMS, "value").with_text(value)))
    };
    let form = Element::new(ns::FORMS, "x").with_attr("type", "result").with_child(field(
        "FORM_TYPE",
        "hidden",
        &["http://jabber.org/network/serverinfo"],
    ));
    Some(form.with_children(fields.iter().map(|(var, values)| field(var, "list-multi", values))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, domain, iq, jid, sessions, shown};

    const CARDS: &[Card] = &[
        CARD,
        Card { host: &["urn:b", "urn:a"], account: &["urn:mine"], ..Card::PLAIN },
        Card { host: &["urn:a"], ..Card::PLAIN },
    ];
    const LIST: &[(&str, &str)] = &[("admin#one", "One"), ("admin#two", "Two")];

    fn ask(ns: &str, node: Option<&str>) -> Stanza {
        let node = node.map(|node| format!(" node='{node}'")).unwrap_or_default();
        iq(Type::Get, &format!("<query xmlns='{ns}'{node}/>"))
    }

    fn host(from: &str, ns: &str, node: Option<&str>) -> Result<Reply, Stop> {
        let question = ask(ns, node).with_from(jid(from));
        answer_host(CARDS, LIST, "caps#x", &question, &domain())
    }

    fn query(reply: Result<Reply, Stop>) -> Element {
        let Ok(Reply::Result(query)) = reply else { panic!("no result: {}", shown(reply)) };
        query
    }

    fn vars(query: &Element) -> Vec<String> {
        let features = query.children().filter(|child| child.name() == "feature");
        features.filter_map(|feature| feature.attr("var").map(str::to_owned)).collect()
    }

    fn attrs(query: &Element, name: &str) -> Vec<String> {
        query.children().filter_map(|child| child.attr(name).map(str::to_owned)).collect()
    }

    #[test]
    fn the_host_tells_each_feature_once_in_order_and_its_contacts() {
        let info = query(host("bob@two.test/x", ns::DISCO_INFO, None));
        assert_eq!(vars(&info), [ns::DISCO_INFO, ns::DISCO_ITEMS, "urn:a", "urn:b"]);
        assert_eq!(info.child(ns::DISCO_INFO, "identity").and_then(|one| one.attr("type")), Some("im"));
        let form = info.child(ns::FORMS, "x").expect("a form");
        assert_eq!(attrs(form, "var"), ["FORM_TYPE", "abuse-addresses"]);
        let addresses = form.children().nth(1).expect("a field");
        assert_eq!(addresses.children().count(), 2);
        let mut silent = domain();
        silent.contacts = [].into();
        assert!(host_info(CARDS, &silent).child(ns::FORMS, "x").is_none());
    }

    #[test]
    fn the_caps_node_answers_the_same_and_others_are_not_found() {
        let plain = query(host("bob@two.test/x", ns::DISCO_INFO, None));
        let caps = query(host("bob@two.test/x", ns::DISCO_INFO, Some("caps#x")));
        assert_eq!(caps.attr("node"), Some("caps#x"));
        assert_eq!(vars(&caps), vars(&plain));
        assert_eq!(shown(host("bob@two.test/x", ns::DISCO_INFO, Some("caps#y"))), "item-not-found");
        assert_eq!(shown(host("bob@two.test/x", ns::DISCO_ITEMS, Some("nothing"))), "item-not-found");
        assert_eq!(query(host("bob@two.test/x", ns::DISCO_ITEMS, None)).children().count(), 0);
    }

    #[test]
    fn commands_are_listed_for_admins_only() {
        let admin = "admin@one.test/desk";
        let list = query(host(admin, ns::DISCO_ITEMS, Some(ns::COMMANDS)));
        assert_eq!(attrs(&list, "node"), ["admin#one", "admin#two"]);
        assert_eq!(attrs(&list, "jid"), ["one.test", "one.test"]);
        assert_eq!(query(host("bob@two.test/x", ns::DISCO_ITEMS, Some(ns::COMMANDS))).children().count(), 0);
        let one = query(host(admin, ns::DISCO_INFO, Some("admin#one")));
        assert_eq!(one.child(ns::DISCO_INFO, "identity").and_then(|i| i.attr("type")), Some("command-node"));
        assert_eq!(vars(&one), [ns::COMMANDS, ns::DISCO_INFO, ns::FORMS]);
        let list = query(host(admin, ns::DISCO_INFO, Some(ns::COMMANDS)));
        assert_eq!(list.child(ns::DISCO_INFO, "identity").and_then(|i| i.attr("type")), Some("command-list"));
        assert_eq!(shown(host("bob@two.test/x", ns::DISCO_INFO, Some("admin#one"))), "forbidden");
        assert_eq!(query(host(admin, ns::DISCO_ITEMS, Some("admin#one"))).children().count(), 0);
    }

    #[test]
    fn an_account_tells_friends_its_features_and_devices() {
        let alice = bare("alice@one.test");
        let devices = sessions(&["alice@one.test/phone"]);
        let answer = |iq: &Stanza| answer_account(CARDS, &alice, "registered", &[], &[], &devices, iq);
        let info = query(answer(&ask(ns::DISCO_INFO, None)));
        assert_eq!(vars(&info), [ns::DISCO_INFO, ns::DISCO_ITEMS, "urn:mine"]);
        assert_eq!(info.child(ns::DISCO_INFO, "identity").and_then(|i| i.attr("type")), Some("registered"));
        assert_eq!(attrs(&query(answer(&ask(ns::DISCO_ITEMS, None))), "jid"), ["alice@one.test/phone"]);
        assert_eq!(shown(answer(&ask(ns::DISCO_INFO, Some("n")))), "item-not-found");
        assert_eq!(
            shown(answer(&iq(Type::Set, "<query xmlns='http://jabber.org/protocol/disco#info'/>"))),
            "bad-request"
        );
    }

    #[test]
    fn strangers_learn_nothing_of_an_account() {
        assert_eq!(shown(answer_stranger(&ask(ns::DISCO_INFO, None))), "service-unavailable");
        assert_eq!(shown(answer_stranger(&ask(ns::DISCO_INFO, Some("n")))), "service-unavailable");
        let items = query(answer_stranger(&ask(ns::DISCO_ITEMS, Some("n"))));
        assert_eq!((items.attr("node"), items.children().count()), (Some("n"), 0));
    }
}
