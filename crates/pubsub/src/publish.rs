//! Publishing (XEP-0060 §7.1): an item is kept, in a node that is made for it if need be, and those who want it hear.

use step::Step;
use step::domain::Limits;
use store::{ItemSize, NodeItem, Write};
use xmpp::error::{Condition, StanzaError};
use xmpp::form::Form;
use xmpp::ns;
use xmpp::xml::Element;

use crate::access::Owner;
use crate::config::{Config, Wrong};
use crate::errors::error;
use crate::news;
use crate::node::{Node, Nodes};
use crate::pep::Answer;
use crate::request::Item;

/// Publishes an item.
pub(crate) fn publish(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    name: &str,
    item: Option<Item>,
    options: Option<&Form>,
    sizes: &[ItemSize],
    step: &mut Step<'_>,
) -> Answer {
    let limits = &step.domain.limits;
    let is_new = nodes.find(name).is_none();
    let config = configured(nodes, name, options, limits)?;
    if is_new && !nodes.have_room(name, &Node::new(step.wall, config.clone())) {
        return Err(error(Condition::PolicyViolation, "max-nodes-exceeded").into());
    }
    let Some(item) = wanted(&config, item)? else {
        make(nodes, owner, name, config, step);
        tell(nodes, owner, name, news::items(name, []), step);
        return Ok(Some(answer(name, None)));
    };
    let xml = item.payload.as_ref().map(|payload| payload.to_xml().into_bytes()).unwrap_or_default();
    if xml.len() > config.payload_max(limits) {
        return Err(error(Condition::NotAcceptable, "payload-too-big").into());
    }
    let id = item.id.unwrap_or_else(|| step.new_id());
    if config.persist {
        let makes_room = making_room(&config, &id, sizes, limits);
        let replaced = sizes.iter().find(|(other, _)| *other == id);
        let freed: u64 = makes_room.iter().chain(replaced).map(|(_, bytes)| bytes).sum();
        if nodes.bytes().saturating_sub(freed) + xml.len() as u64 > limits.items_bytes as u64 {
            return Err(error(Condition::PolicyViolation, "payload-too-big").into());
        }
        make(nodes, owner, name, config.clone(), step);
        let (account, node) = (owner.account, name.to_owned());
        step.write_all(makes_room.iter().map(|(id, _)| Write::ItemRemove {
            owner: account.clone(),
            node: node.clone(),
            id: id.clone(),
        }));
        let bytes = xml.len() as u64;
        let kept = NodeItem { id: id.clone(), seq: nodes.next(), at: step.wall, xml };
        step.write(Write::ItemPut { owner: account.clone(), node, item: kept });
        if let Some(node) = nodes.find_mut(name) {
            node.bytes = node.bytes.saturating_sub(freed) + bytes;
        }
    } else if is_new {
        make(nodes, owner, name, config.clone(), step);
    }
    let payload = item.payload.filter(|_| config.with_payloads);
    tell(nodes, owner, name, news::items(name, [news::item(&id, payload)]), step);
    Ok(Some(answer(name, Some(&id))))
}

/// How the node is configured; as it will be, if it is to be made (§7.1.4, §7.1.5).
fn configured(
    nodes: &Nodes,
    name: &str,
    options: Option<&Form>,
    limits: &Limits,
) -> Result<Config, StanzaError> {
    let unmet = || error(Condition::Conflict, "precondition-not-met");
    match (nodes.find(name), options) {
        (Some(node), None) => Ok(node.config.clone()),
        (Some(node), Some(options)) => {
            let wished = node.config.clone().with(options, limits).map_err(|_| unmet())?;
            if wished == node.config { Ok(wished) } else { Err(unmet()) }
        }
        (None, _) if nodes.len() >= limits.nodes_per_account => {
            Err(error(Condition::PolicyViolation, "max-nodes-exceeded"))
        }
        (None, None) => Ok(Config::default()),
        (None, Some(options)) => Config::default().with(options, limits).map_err(|wrong| match wrong {
            Wrong::Field => unmet(),
            wrong => wrong.into(),
        }),
    }
}

/// §7.1.3.7: what must be there, and what must not.
fn wanted(config: &Config, item: Option<Item>) -> Result<Option<Item>, StanzaError> {
    let only_tells = !config.persist && !config.with_payloads;
    match item {
        None if only_tells => Ok(None),
        None => Err(error(Condition::BadRequest, "item-required")),
        Some(_) if only_tells => Err(error(Condition::BadRequest, "item-forbidden")),
        Some(Item { payload: None, .. }) if config.with_payloads => {
            Err(error(Condition::BadRequest, "payload-required"))
        }
        Some(item) => Ok(Some(item)),
    }
}

/// The oldest items, which give way to a new one (§7.1.2.5).
fn making_room<'s>(config: &Config, id: &str, sizes: &'s [ItemSize], limits: &Limits) -> &'s [ItemSize] {
    if sizes.iter().any(|(other, _)| other == id) {
        return &[];
    }
    let too_many = (sizes.len() + 1).saturating_sub(config.items_max(limits));
    &sizes[..too_many.min(sizes.len())]
}

/// Makes the node if there is none.
fn make(nodes: &mut Nodes, owner: &Owner<'_>, name: &str, config: Config, step: &mut Step<'_>) {
    if nodes.find(name).is_none() {
        let node = Node::new(step.wall, config);
        step.write(node.put(owner.account, name));
        nodes.add(name, node);
    }
}

fn tell(nodes: &mut Nodes, owner: &Owner<'_>, name: &str, event: Element, step: &mut Step<'_>) {
    let Some(node) = nodes.find_mut(name) else { return };
    // XEP-0163 §7.1: who may not see it any more has no subscription.
    let lost: Vec<_> =
        node.subscribers.iter().filter(|jid| owner.shows(node, &jid.bare()).is_err()).cloned().collect();
    if !lost.is_empty() {
        node.subscribers.retain(|jid| !lost.contains(jid));
        step.write(node.put(owner.account, name));
    }
    news::tell(owner, name, node, &event, step);
}

/// §7.1.2
fn answer(name: &str, id: Option<&str>) -> Element {
    let items = id.map(|id| Element::new(ns::PUBSUB, "item").with_attr("id", id));
    let publish = Element::new(ns::PUBSUB, "publish").with_attr("node", name).with_children(items);
    Element::new(ns::PUBSUB, "pubsub").with_child(publish)
}
