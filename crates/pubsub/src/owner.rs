//! What the owner of nodes does with them (XEP-0060 §8): makes, configures, empties and deletes them, and says who may
//! see them.

use step::Step;
use store::{ItemSize, Write};
use xmpp::error::{Condition, StanzaError};
use xmpp::form::{Form, FormType};
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::xml::Element;

use crate::access::Owner;
use crate::config::Config;
use crate::errors::{error, unsupported};
use crate::news;
use crate::node::{AFFILIATIONS_MAX, Affiliation, Node, Nodes};
use crate::pep::{Answer, Refused};

/// §8.1
pub(crate) fn create(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    name: Option<String>,
    form: Option<&Form>,
    step: &mut Step<'_>,
) -> Answer {
    let limits = &step.domain.limits;
    let is_instant = name.is_none();
    let name = name.unwrap_or_else(|| step.new_id());
    if nodes.find(&name).is_some() {
        return Err(Condition::Conflict.into());
    }
    if nodes.len() >= limits.nodes_per_account {
        return Err(error(Condition::PolicyViolation, "max-nodes-exceeded").into());
    }
    let config = form.map_or(Ok(Config::default()), |form| Config::default().with(form, limits));
    let node = Node::new(step.wall, config.map_err(StanzaError::from)?);
    if !nodes.have_room(&name, &node) {
        return Err(error(Condition::PolicyViolation, "max-nodes-exceeded").into());
    }
    step.write(node.put(owner.account, &name));
    nodes.add(&name, node);
    Ok(is_instant.then(|| {
        let create = Element::new(ns::PUBSUB, "create").with_attr("node", name);
        Element::new(ns::PUBSUB, "pubsub").with_child(create)
    }))
}

/// §8.3
pub(crate) fn default() -> Answer {
    let form = Config::default().form(FormType::Form).to_element();
    Ok(Some(of_owner(Element::new(ns::PUBSUB_OWNER, "default").with_child(form))))
}

/// §8.2.2
pub(crate) fn configuration(nodes: &Nodes, name: &str) -> Answer {
    let node = nodes.find(name).ok_or(Condition::ItemNotFound)?;
    let configure = Element::new(ns::PUBSUB_OWNER, "configure").with_attr("node", name);
    Ok(Some(of_owner(configure.with_child(node.config.form(FormType::Form).to_element()))))
}

/// §8.2.4: items for which there is no more room go.
pub(crate) fn configure(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    name: &str,
    form: &Form,
    sizes: &[ItemSize],
    step: &mut Step<'_>,
) -> Answer {
    let limits = &step.domain.limits;
    let node = nodes.find(name).ok_or(Condition::ItemNotFound)?;
    if form.type_ == FormType::Cancel {
        return Ok(None);
    }
    let config = node.config.clone().with(form, limits).map_err(StanzaError::from)?;
    let node = changed(nodes, name, Node { config, ..node.clone() })?;
    let max = if node.config.persist { node.config.items_max(limits) } else { 0 };
    for (id, bytes) in &sizes[..sizes.len().saturating_sub(max)] {
        node.bytes = node.bytes.saturating_sub(*bytes);
        let (owner, node, id) = (owner.account.clone(), name.to_owned(), id.clone());
        step.write(Write::ItemRemove { owner, node, id });
    }
    cancel_lost(owner, node);
    step.write(node.put(owner.account, name));
    if node.config.notifies_config {
        // §8.2.5.3
        let form = node.config.with_payloads.then(|| node.config.form(FormType::Result).to_element());
        let news =
            Element::new(ns::PUBSUB_EVENT, "configuration").with_attr("node", name).with_children(form);
        news::tell(owner, name, node, &news, step);
    }
    Ok(None)
}

/// The node as it is from now on, if there is room for it.
fn changed<'n>(nodes: &'n mut Nodes, name: &str, changed: Node) -> Result<&'n mut Node, StanzaError> {
    if !nodes.have_room(name, &changed) {
        return Err(Condition::PolicyViolation.into());
    }
    let node = nodes.find_mut(name).ok_or(Condition::ItemNotFound)?;
    *node = changed;
    Ok(node)
}

/// XEP-0163 §7.1: who may not see the node any more has no subscription.
fn cancel_lost(owner: &Owner<'_>, node: &mut Node) {
    let mut subscribers = std::mem::take(&mut node.subscribers);
    subscribers.retain(|jid| owner.shows(node, &jid.bare()).is_ok());
    node.subscribers = subscribers;
}

/// §8.4
pub(crate) fn delete(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    name: &str,
    redirect: Option<&str>,
    step: &mut Step<'_>,
) -> Answer {
    let node = nodes.remove(name).ok_or(Condition::ItemNotFound)?;
    step.write(Write::NodeRemove { owner: owner.account.clone(), node: name.to_owned() });
    if node.config.notifies_delete {
        let redirect = redirect.map(|uri| Element::new(ns::PUBSUB_EVENT, "redirect").with_attr("uri", uri));
        let news = Element::new(ns::PUBSUB_EVENT, "delete").with_attr("node", name).with_children(redirect);
        news::tell(owner, name, &node, &news, step);
    }
    Ok(None)
}

/// §8.5
pub(crate) fn purge(nodes: &mut Nodes, owner: &Owner<'_>, name: &str, step: &mut Step<'_>) -> Answer {
    let node = nodes.find_mut(name).ok_or(Condition::ItemNotFound)?;
    if !node.config.persist {
        return Err(unsupported("persistent-items").into());
    }
    node.bytes = 0;
    step.write(Write::NodePurge { owner: owner.account.clone(), node: name.to_owned() });
    let news = Element::new(ns::PUBSUB_EVENT, "purge").with_attr("node", name);
    news::tell(owner, name, node, &news, step);
    Ok(None)
}

/// §5.7: what somebody is to all nodes, or to one.
pub(crate) fn affiliations(nodes: &Nodes, owner: &Owner<'_>, asker: &BareJid, name: Option<&str>) -> Answer {
    if let Some(name) = name {
        owner.visible(nodes.find(name), asker)?;
    }
    let asked_for = nodes.iter().filter(|(other, _)| name.is_none_or(|name| name == *other));
    let found = asked_for.filter_map(|(name, node)| {
        let affiliation = match node.affiliations.get(asker) {
            _ if asker == owner.account => "owner",
            Some(affiliation) => affiliation.name(),
            None => return None,
        };
        let element = Element::new(ns::PUBSUB, "affiliation");
        Some(element.with_attr("node", name).with_attr("affiliation", affiliation))
    });
    let affiliations = Element::new(ns::PUBSUB, "affiliations").with_children(found);
    Ok(Some(Element::new(ns::PUBSUB, "pubsub").with_child(affiliations)))
}

/// §8.9.1: who is what to a node.
pub(crate) fn affiliated(nodes: &Nodes, owner: &Owner<'_>, name: &str) -> Answer {
    let node = nodes.find(name).ok_or(Condition::ItemNotFound)?;
    let others = node.affiliations.iter().map(|(jid, affiliation)| affiliation_of(jid, affiliation.name()));
    let list = [affiliation_of(owner.account, "owner")].into_iter().chain(others);
    Ok(Some(list_of(name, list)))
}

/// §8.9.2: all changes, or none.
pub(crate) fn affiliate(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    name: &str,
    changes: &[(BareJid, Option<String>)],
    step: &mut Step<'_>,
) -> Answer {
    let node = nodes.find(name).ok_or(Condition::ItemNotFound)?;
    let mut affiliations = node.affiliations.clone();
    for (jid, affiliation) in changes {
        let Some(affiliation) = affiliation.as_deref() else { continue };
        match (jid == owner.account, affiliation, Affiliation::read(affiliation)) {
            (true, "owner", _) => {}
            // There is one owner, and no other (§8.9.2.4): nothing of the request is done.
            (true, ..) | (false, "owner", _) => return Err(unchanged(name, owner, node, changes)),
            (false, "none", _) => drop(affiliations.remove(jid)),
            (false, _, Some(affiliation)) => drop(affiliations.insert(jid.clone(), affiliation)),
            (false, "publisher", None) => return Err(unsupported("publisher-affiliation").into()),
            (false, "publish-only", None) => return Err(unsupported("publish-only-affiliation").into()),
            (false, _, None) => return Err(Condition::BadRequest.into()),
        }
    }
    if affiliations.len() > AFFILIATIONS_MAX {
        return Err(Condition::PolicyViolation.into());
    }
    let node = changed(nodes, name, Node { affiliations, ..node.clone() })?;
    cancel_lost(owner, node);
    step.write(node.put(owner.account, name));
    Ok(None)
}

/// §8.9.2.4: those that were not changed, as they are.
fn unchanged(name: &str, owner: &Owner<'_>, node: &Node, changes: &[(BareJid, Option<String>)]) -> Refused {
    let list = changes.iter().map(|(jid, _)| {
        let affiliation = match node.affiliations.get(jid) {
            _ if jid == owner.account => "owner",
            Some(affiliation) => affiliation.name(),
            None => "none",
        };
        affiliation_of(jid, affiliation)
    });
    Refused { error: Condition::NotAcceptable.into(), beside: Some(Box::new(list_of(name, list))) }
}

fn affiliation_of(jid: &BareJid, affiliation: &str) -> Element {
    Element::new(ns::PUBSUB_OWNER, "affiliation")
        .with_attr("jid", jid.as_str())
        .with_attr("affiliation", affiliation)
}

fn list_of(name: &str, list: impl IntoIterator<Item = Element>) -> Element {
    of_owner(Element::new(ns::PUBSUB_OWNER, "affiliations").with_attr("node", name).with_children(list))
}

fn of_owner(child: Element) -> Element {
    Element::new(ns::PUBSUB_OWNER, "pubsub").with_child(child)
}
