//! What somebody asks of nodes (XEP-0060 §5 to §8), read and checked as far as that is possible without them.

use store::ItemsWanted;
use xmpp::error::{Condition, StanzaError};
use xmpp::form::{Form, FormType};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::rsm::Wanted;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use crate::errors::{error, unsupported};

/// Bytes of a node's name, and of an item's id.
pub const NAME_BYTES_MAX: usize = 1_023;
/// Items that are asked for by their ids at once.
const IDS_MAX: usize = 100;

/// What is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its id, if the publisher names one.
    pub id: Option<String>,
    /// Its payload, if there is one.
    pub payload: Option<Element>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// §7.1
    Publish { node: String, item: Option<Item>, options: Option<Form> },
    /// §7.2
    Retract { node: String, id: String, notify: bool },
    /// §6.5
    Items { node: String, wanted: ItemsWanted, paged: bool },
    /// §8.1
    Create { node: Option<String>, form: Option<Form> },
    /// §8.3
    Default,
    /// §8.2
    Configuration { node: String },
    /// §8.2.4
    Configure { node: String, form: Form },
    /// §8.4
    Delete { node: String, redirect: Option<String> },
    /// §8.5
    Purge { node: String },
    /// §5.7
    Affiliations { node: Option<String> },
    /// §8.9.1
    Affiliated { node: String },
    /// §8.9.2
    Affiliate { node: String, changes: Vec<(BareJid, Option<String>)> },
    /// §6.1
    Subscribe { node: String, jid: Jid },
    /// §6.2
    Unsubscribe { node: String, jid: Jid },
    /// §5.6
    Subscriptions { node: Option<String> },
    /// §5.5: by service discovery.
    Ids { node: String },
}

impl Request {
    /// The node that it is about, if it is about one.
    pub fn node(&self) -> Option<&str> {
        match self {
            Request::Publish { node, .. }
            | Request::Retract { node, .. }
            | Request::Items { node, .. }
            | Request::Configuration { node }
            | Request::Configure { node, .. }
            | Request::Delete { node, .. }
            | Request::Purge { node }
            | Request::Affiliated { node }
            | Request::Affiliate { node, .. }
            | Request::Subscribe { node, .. }
            | Request::Unsubscribe { node, .. }
            | Request::Ids { node } => Some(node),
            Request::Create { node, .. }
            | Request::Affiliations { node }
            | Request::Subscriptions { node } => node.as_deref(),
            Request::Default => None,
        }
    }

    /// Bytes of the names under which it keeps something.
    pub fn key_bytes(&self) -> usize {
        let id = match self {
            Request::Publish { item: Some(Item { id: Some(id), .. }), .. } => id.len(),
            _ => 0,
        };
        self.node().map_or(0, str::len) + id
    }

    /// Whether anybody may ask it who may see the node; else the owner alone.
    pub fn is_for_all(&self) -> bool {
        matches!(
            self,
            Request::Items { .. }
                | Request::Ids { .. }
                | Request::Affiliations { .. }
                | Request::Subscriptions { .. }
                | Request::Subscribe { .. }
                | Request::Unsubscribe { .. }
        )
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Those of XEP-0060 for what is not said as it must be, and for what is not done here.
    pub fn read(iq: &Stanza) -> Result<Request, StanzaError> {
        if let Some(query) = iq.element(ns::DISCO_ITEMS, "query") {
            return Ok(Request::Ids { node: named(&query)? });
        }
        if let Some(pubsub) = iq.element(ns::PUBSUB_OWNER, "pubsub") {
            return of_owner(iq.type_, &pubsub);
        }
        let pubsub = iq.element(ns::PUBSUB, "pubsub").ok_or(Condition::BadRequest)?;
        let what = the_only_one(&pubsub)?;
        match (iq.type_, what.name()) {
            (Type::Set, "publish") => publish(&pubsub, what),
            (Type::Set, "retract") => retract(what),
            (Type::Set, "create") => create(&pubsub, what),
            (Type::Set, "subscribe") => Ok(Request::Subscribe { node: named(what)?, jid: subscriber(what)? }),
            (Type::Set, "unsubscribe") => {
                Ok(Request::Unsubscribe { node: named(what)?, jid: subscriber(what)? })
            }
            (Type::Get, "items") => items(&pubsub, what),
            (Type::Get, "affiliations") => Ok(Request::Affiliations { node: maybe_named(what)? }),
            (Type::Get, "subscriptions") => Ok(Request::Subscriptions { node: maybe_named(what)? }),
            (_, "options") => Err(unsupported("subscription-options")),
            (Type::Get, "default") => Err(unsupported("retrieve-default-sub")),
            _ => Err(Condition::BadRequest.into()),
        }
    }
}

/// What is to be done. §17.1: one thing, and what belongs to it, once; what nobody would do must not be taken for done.
fn the_only_one(pubsub: &Element) -> Result<&Element, StanzaError> {
    const THINGS: [&str; 8] = [
        "publish",
        "retract",
        "create",
        "subscribe",
        "unsubscribe",
        "items",
        "affiliations",
        "subscriptions",
    ];
    let mut children = pubsub.children().filter(|child| child.ns() == pubsub.ns());
    let what = children.next().ok_or(Condition::BadRequest)?;
    let beside: Vec<&str> = children.map(Element::name).collect();
    let is_twice = |name: &&str| beside.iter().filter(|other| *other == name).count() > 1;
    let is_alone = pubsub.ns() == ns::PUBSUB
        && !beside.iter().any(|name| THINGS.contains(name))
        && !["publish-options", "configure"].iter().any(is_twice);
    if beside.is_empty() || is_alone { Ok(what) } else { Err(Condition::BadRequest.into()) }
}

/// XEP-0060 §8
fn of_owner(type_: Type, pubsub: &Element) -> Result<Request, StanzaError> {
    let what = the_only_one(pubsub)?;
    match (type_, what.name()) {
        (Type::Get, "default") => Ok(Request::Default),
        (Type::Get, "configure") => Ok(Request::Configuration { node: named(what)? }),
        (Type::Set, "configure") => {
            let node = named(what)?;
            let form = what.child(ns::FORMS, "x").and_then(Form::read).ok_or(Condition::BadRequest)?;
            if form.type_ != FormType::Cancel {
                of_kind(&form, FormType::Submit, ns::NODE_CONFIG)?;
            }
            Ok(Request::Configure { node, form })
        }
        (Type::Set, "delete") => {
            let redirect = what.child(ns::PUBSUB_OWNER, "redirect");
            let redirect = redirect.and_then(|redirect| redirect.attr("uri")).map(str::to_owned);
            Ok(Request::Delete { node: named(what)?, redirect })
        }
        (Type::Set, "purge") => Ok(Request::Purge { node: named(what)? }),
        (Type::Get, "affiliations") => Ok(Request::Affiliated { node: named(what)? }),
        (Type::Set, "affiliations") => affiliate(what),
        (_, "subscriptions") => Err(unsupported("manage-subscriptions")),
        _ => Err(Condition::BadRequest.into()),
    }
}

/// §7.1.1: one item at most, with one payload at most, of a namespace of its own.
fn publish(pubsub: &Element, publish: &Element) -> Result<Request, StanzaError> {
    let node = named(publish)?;
    let mut items = publish.children().filter(|child| child.is(ns::PUBSUB, "item"));
    let item = items.next();
    if items.next().is_some() {
        return Err(Condition::BadRequest.into());
    }
    let item = item.map(published).transpose()?;
    let options = pubsub.child(ns::PUBSUB, "publish-options").map(|options| {
        let form = options.child(ns::FORMS, "x").and_then(Form::read).ok_or(Condition::BadRequest)?;
        of_kind(&form, FormType::Submit, ns::PUBLISH_OPTIONS)?;
        Ok::<_, StanzaError>(form)
    });
    Ok(Request::Publish { node, item, options: options.transpose()? })
}

fn published(item: &Element) -> Result<Item, StanzaError> {
    let mut payloads = item.children();
    let payload = payloads.next().cloned();
    let foreign = |payload: &Element| !matches!(payload.ns(), "" | ns::PUBSUB | ns::CLIENT);
    if payloads.next().is_some() || !payload.iter().all(foreign) {
        return Err(error(Condition::BadRequest, "invalid-payload"));
    }
    let id = item.attr("id").filter(|id| !id.is_empty()).map(str::to_owned);
    id.as_deref().map_or(Ok(()), fit)?;
    Ok(Item { id, payload })
}

/// §7.2.1
fn retract(retract: &Element) -> Result<Request, StanzaError> {
    let node = named(retract)?;
    let item = retract.child(ns::PUBSUB, "item").and_then(|item| item.attr("id"));
    let id = item.filter(|id| !id.is_empty()).map(str::to_owned);
    let id = id.ok_or_else(|| error(Condition::BadRequest, "item-required"))?;
    let notify = matches!(retract.attr("notify"), Some("1" | "true"));
    Ok(Request::Retract { node, id, notify })
}

/// §8.1: `configure` follows `create` and names no node.
fn create(pubsub: &Element, create: &Element) -> Result<Request, StanzaError> {
    let node = maybe_named(create)?;
    let mut children = pubsub.children().filter(|child| child.ns() == ns::PUBSUB);
    let in_order = children.next().is_some_and(|first| first.name() == "create");
    let configure = children.next();
    let is_plain =
        configure.is_none_or(|configure| configure.name() == "configure" && configure.attr("node").is_none());
    if !in_order || !is_plain {
        return Err(Condition::BadRequest.into());
    }
    let form = configure.and_then(|configure| configure.child(ns::FORMS, "x")).map(|x| {
        let form = Form::read(x).ok_or(Condition::BadRequest)?;
        of_kind(&form, FormType::Submit, ns::NODE_CONFIG)?;
        Ok::<_, StanzaError>(form)
    });
    Ok(Request::Create { node, form: form.transpose()? })
}

/// §6.5
fn items(pubsub: &Element, items: &Element) -> Result<Request, StanzaError> {
    let node = named(items)?;
    let named = items.children().filter(|child| child.is(ns::PUBSUB, "item"));
    let ids: Option<Vec<String>> = named.map(|item| item.attr("id").map(str::to_owned)).collect();
    let ids = ids.ok_or_else(|| error(Condition::BadRequest, "item-required"))?;
    if ids.len() > IDS_MAX {
        return Err(Condition::PolicyViolation.into());
    }
    let newest = items.attr("max_items").map(|digits| digits.parse::<usize>());
    let newest = newest.transpose().map_err(|_| Condition::BadRequest)?;
    let set = pubsub.child(ns::RSM, "set").map(Wanted::read).transpose()?;
    let paged = set.is_some();
    let wanted = match (ids.is_empty(), newest, set) {
        (false, ..) => ItemsWanted::Named(ids),
        (true, Some(newest), _) => ItemsWanted::Newest(newest),
        (true, None, Some(set)) => page(set),
        (true, None, None) => ItemsWanted::Newest(usize::MAX),
    };
    Ok(Request::Items { node, wanted, paged })
}

/// §6.5.4
fn page(set: Wanted) -> ItemsWanted {
    let some = |id: String| (!id.is_empty()).then_some(id);
    let max = set.max.unwrap_or(usize::MAX);
    match (set.after, set.before, set.index) {
        (Some(after), ..) => ItemsWanted::After(some(after), max),
        (_, Some(before), _) => ItemsWanted::Before(some(before), max),
        (.., Some(index)) => ItemsWanted::From(index, max),
        _ => ItemsWanted::After(None, max),
    }
}

/// §8.9.2: a change says what somebody is from now on; without that, nothing is changed.
fn affiliate(affiliations: &Element) -> Result<Request, StanzaError> {
    let node = named(affiliations)?;
    let mut changes: Vec<(BareJid, Option<String>)> = Vec::new();
    for change in affiliations.children().filter(|child| child.is(ns::PUBSUB_OWNER, "affiliation")) {
        let jid = change.attr("jid").ok_or(Condition::BadRequest)?;
        let jid = Jid::new(jid).map_err(|_| Condition::JidMalformed)?.bare();
        if changes.iter().any(|(other, _)| *other == jid) {
            return Err(Condition::BadRequest.into());
        }
        changes.push((jid, change.attr("affiliation").map(str::to_owned)));
    }
    Ok(Request::Affiliate { node, changes })
}

/// §6.1.1
fn subscriber(what: &Element) -> Result<Jid, StanzaError> {
    let jid = what.attr("jid").ok_or_else(|| error(Condition::BadRequest, "jid-required"))?;
    Jid::new(jid).map_err(|_| error(Condition::BadRequest, "invalid-jid"))
}

/// The node that must be named.
fn named(what: &Element) -> Result<String, StanzaError> {
    maybe_named(what)?.ok_or_else(|| error(Condition::BadRequest, "nodeid-required"))
}

fn maybe_named(what: &Element) -> Result<Option<String>, StanzaError> {
    let node = what.attr("node").filter(|node| !node.is_empty());
    node.map_or(Ok(()), fit)?;
    Ok(node.map(str::to_owned))
}

/// Whether a name can be kept.
fn fit(name: &str) -> Result<(), StanzaError> {
    if name.len() > NAME_BYTES_MAX { Err(Condition::PolicyViolation.into()) } else { Ok(()) }
}

fn of_kind(form: &Form, type_: FormType, kind: &str) -> Result<(), StanzaError> {
    match form.type_ == type_ && form.form_type() == Some(kind) {
        true => Ok(()),
        false => Err(Condition::BadRequest.into()),
    }
}
