//! Personal eventing (XEP-0163): every account is a service of nodes of its own, in which it alone publishes.

use step::{Asked, Card, Read, Reply, Return, Returned, Step, Stop};
use store::KEY_BYTES_MAX;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::access::Owner;
use crate::node::Nodes;
use crate::request::Request;
use crate::{items, owner, publish, subscriptions};

/// Bytes of items that one answer shows, unless the first one alone has more; the rest is asked for in pages.
pub const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// What this crate speaks of itself (XEP-0060 §10).
const FEATURES: &[&str] = &[
    ns::PUBSUB,
    "http://jabber.org/protocol/pubsub#access-presence",
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    "http://jabber.org/protocol/pubsub#instant-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#member-affiliation",
    "http://jabber.org/protocol/pubsub#meta-data",
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#outcast-affiliation",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#presence-subscribe",
    "http://jabber.org/protocol/pubsub#publish",
    PUBLISH_OPTIONS,
    "http://jabber.org/protocol/pubsub#pubsub-on-a-jid",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#rsm",
    "http://jabber.org/protocol/pubsub#subscribe",
];

const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

/// Publishing on an account.
pub const CARD: Card = Card {
    xep: 60,
    version: "1.30.0",
    title: "Publish-Subscribe",
    account: FEATURES,
    note: "On accounts (XEP-0163). Subscriptions are not configured, nor managed by the owner.",
    ..Card::PLAIN
};

/// Personal eventing. Clients look for it on the server, too (XEP-0222 §5, XEP-0223 §5).
pub const PERSONAL_CARD: Card = Card {
    xep: 163,
    version: "1.2.2",
    title: "Personal Eventing Protocol",
    host: &[PUBLISH_OPTIONS],
    note: "Contacts on this server hear of what is new; those on others will, once servers talk to one another. \
           Which device has published is not told (§4.3.1).",
    ..Card::PLAIN
};

/// Public data that stays.
pub const PUBLIC_CARD: Card =
    Card { xep: 222, version: "1.0", title: "Persistent Storage of Public Data via PubSub", ..Card::PLAIN };

/// Private data that stays.
pub const PRIVATE_CARD: Card = Card {
    xep: 223,
    version: "1.1.1",
    title: "Persistent Storage of Private Data via PubSub",
    ..Card::PLAIN
};

/// Why a request is refused, and what is said beside the error.
pub(crate) struct Refused {
    pub error: StanzaError,
    pub beside: Option<Box<Element>>,
}

impl From<StanzaError> for Refused {
    fn from(error: StanzaError) -> Self {
        Refused { error, beside: None }
    }
}

impl From<Condition> for Refused {
    fn from(condition: Condition) -> Self {
        StanzaError::from(condition).into()
    }
}

/// What a request is answered with, if there is more to say than that it is done.
pub(crate) type Answer = Result<Option<Element>, Refused>;

/// Answers the owner, or anybody else. All requests to one account are carried out one after another: each sees what
/// the one before has changed.
///
/// # Errors
/// Those of XEP-0060. Who may not know that the account exists hears `service-unavailable` whatever they ask, as for
/// one that does not exist (guarantee G16).
pub fn answer(nodes: &Nodes, owner: &Owner<'_>, iq: &Stanza, step: &mut Step<'_>) -> Result<Reply, Stop> {
    let asker = asker(owner, iq);
    let request = match Request::read(iq) {
        Ok(request) => request,
        Err(_) if !owner.is_known_to(&asker) => return Err(Condition::ServiceUnavailable.into()),
        Err(error) => return Err(error.into()),
    };
    if owner.account.as_str().len() + request.key_bytes() > KEY_BYTES_MAX {
        return Err(Condition::PolicyViolation.into());
    }
    if asker != *owner.account {
        may_ask(nodes, owner, &asker, &request)?;
    }
    let account = owner.account.clone();
    let read = match &request {
        Request::Items { node, wanted, .. } => Read::Items {
            owner: account,
            node: node.clone(),
            wanted: wanted.clone(),
            bytes_max: ANSWER_BYTES_MAX,
        },
        _ => Read::ItemSizes { owner: account, node: request.node().unwrap_or_default().to_owned() },
    };
    step.read(read, Return::Nodes(Box::new(iq.clone())));
    Ok(Reply::Later)
}

/// Whether somebody else may ask this. Nothing is read for one who may not, so that the answer comes as fast as for an
/// account that does not exist.
fn may_ask(nodes: &Nodes, owner: &Owner<'_>, asker: &BareJid, request: &Request) -> Result<(), StanzaError> {
    let known = owner.is_known_to(asker);
    if !request.is_for_all() {
        return Err(if known { Condition::Forbidden.into() } else { Condition::ServiceUnavailable.into() });
    }
    match (request, request.node()) {
        // Who was let in may leave.
        (Request::Unsubscribe { .. }, Some(name)) => {
            let has = nodes.find(name).is_some_and(|node| subscriptions::of(node, asker).next().is_some());
            if known || has { Ok(()) } else { Err(Condition::ServiceUnavailable.into()) }
        }
        (_, Some(name)) => owner.visible(nodes.find(name), asker).map(drop),
        (_, None) => {
            let is_there = nodes.iter().any(|(_, node)| {
                owner.shows(node, asker).is_ok()
                    && (node.affiliations.contains_key(asker)
                        || subscriptions::of(node, asker).next().is_some())
            });
            if known || is_there { Ok(()) } else { Err(Condition::ServiceUnavailable.into()) }
        }
    }
}

/// Who asks.
fn asker(owner: &Owner<'_>, iq: &Stanza) -> BareJid {
    iq.from.as_ref().map_or_else(|| owner.account.clone(), Jid::bare)
}

/// Goes on once the store has said what is in the node: carries the request out.
#[allow(clippy::boxed_local)] // as it comes, in its Return
pub fn returned(nodes: &mut Nodes, owner: &Owner<'_>, asked: Asked, came: Returned, step: &mut Step<'_>) {
    let answer = match came {
        Returned::Refused(error) => Err(error.into()),
        came => carry_out(nodes, owner, &asked, came, step),
    };
    match answer {
        Ok(Some(element)) => step.route(asked.result_with(&element)),
        Ok(None) => step.route(asked.result()),
        Err(Refused { error, beside }) => {
            let Some(mut refusal) = asked.error_reply(&error) else { return };
            if let Some(beside) = beside {
                refusal = refusal.with_child(&beside);
            }
            step.route(refusal);
        }
    }
}

fn carry_out(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    asked: &Stanza,
    came: Returned,
    step: &mut Step<'_>,
) -> Answer {
    let (asker, request) = (asker(owner, asked), Request::read(asked)?);
    if asker != *owner.account {
        may_ask(nodes, owner, &asker, &request)?;
    }
    let sizes = match came {
        Returned::ItemSizes(sizes) => sizes,
        Returned::Items(found) => return items::show(nodes, &request, found),
        _ => return Err(Condition::InternalServerError.into()),
    };
    match request {
        Request::Publish { node, item, options } => {
            publish::publish(nodes, owner, &node, item, options.as_ref(), &sizes, step)
        }
        Request::Retract { node, id, notify } => {
            items::retract(nodes, owner, &node, &id, notify, &sizes, step)
        }
        Request::Create { node, form } => owner::create(nodes, owner, node, form.as_ref(), step),
        Request::Default => owner::default(),
        Request::Configuration { node } => owner::configuration(nodes, &node),
        Request::Configure { node, form } => owner::configure(nodes, owner, &node, &form, &sizes, step),
        Request::Delete { node, redirect } => owner::delete(nodes, owner, &node, redirect.as_deref(), step),
        Request::Purge { node } => owner::purge(nodes, owner, &node, step),
        Request::Affiliations { node } => owner::affiliations(nodes, owner, &asker, node.as_deref()),
        Request::Affiliated { node } => owner::affiliated(nodes, owner, &node),
        Request::Affiliate { node, changes } => owner::affiliate(nodes, owner, &node, &changes, step),
        Request::Subscribe { node, jid } => subscriptions::subscribe(nodes, owner, &asker, &node, jid, step),
        Request::Unsubscribe { node, jid } => {
            subscriptions::unsubscribe(nodes, owner, &asker, &node, &jid, step)
        }
        Request::Subscriptions { node } => subscriptions::list(nodes, owner, &asker, node.as_deref()),
        Request::Ids { node } => items::ids(nodes, owner, &node, &sizes),
        Request::Items { .. } => Err(Condition::InternalServerError.into()),
    }
}
