//! Subscriptions by request (XEP-0060 §5.6, §6.1, §6.2): contacts need none, as they see the owner's presence.

use step::Step;
use xmpp::error::{Condition, ErrorType};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::xml::Element;

use crate::access::Owner;
use crate::errors::error;
use crate::news;
use crate::node::{Node, Nodes, SUBSCRIBERS_MAX, SUBSCRIBERS_OF_ONE};
use crate::pep::Answer;

/// The addresses with which somebody has subscribed to a node.
pub(crate) fn of<'n>(node: &'n Node, asker: &'n BareJid) -> impl Iterator<Item = &'n Jid> {
    node.subscribers.iter().filter(move |jid| jid.bare() == *asker)
}

/// §6.1
pub(crate) fn subscribe(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    asker: &BareJid,
    name: &str,
    jid: Jid,
    step: &mut Step<'_>,
) -> Answer {
    let node = nodes.find(name).ok_or(Condition::ItemNotFound)?;
    if jid.bare() != *asker {
        return Err(error(Condition::BadRequest, "invalid-jid").into());
    }
    if !node.subscribers.contains(&jid) {
        let mut with = node.clone();
        with.subscribers.insert(jid.clone());
        if !may_be_one_more(node, asker) || !nodes.have_room(name, &with) {
            let full = error(Condition::PolicyViolation, "too-many-subscriptions");
            return Err(full.with_type(ErrorType::Wait).into());
        }
        let node = nodes.find_mut(name).ok_or(Condition::ItemNotFound)?;
        *node = with;
        step.write(node.put(owner.account, name));
        news::subscribed(owner, name, node, jid.clone(), step);
    }
    Ok(Some(Element::new(ns::PUBSUB, "pubsub").with_child(subscription(name, &jid))))
}

/// Whether there is a place left for somebody.
fn may_be_one_more(node: &Node, asker: &BareJid) -> bool {
    node.subscribers.len() < SUBSCRIBERS_MAX && of(node, asker).count() < SUBSCRIBERS_OF_ONE
}

/// §6.2
pub(crate) fn unsubscribe(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    asker: &BareJid,
    name: &str,
    jid: &Jid,
    step: &mut Step<'_>,
) -> Answer {
    let node = nodes.find_mut(name).ok_or(Condition::ItemNotFound)?;
    if jid.bare() != *asker {
        return Err(Condition::Forbidden.into());
    }
    if !node.subscribers.remove(jid) {
        let none = error(Condition::UnexpectedRequest, "not-subscribed");
        return Err(none.with_type(ErrorType::Cancel).into());
    }
    step.write(node.put(owner.account, name));
    Ok(None)
}

/// §5.6
pub(crate) fn list(nodes: &Nodes, owner: &Owner<'_>, asker: &BareJid, name: Option<&str>) -> Answer {
    if let Some(name) = name {
        owner.visible(nodes.find(name), asker)?;
    }
    let asked_for = nodes.iter().filter(|(other, _)| name.is_none_or(|name| name == *other));
    let visible = asked_for.filter(|(_, node)| owner.shows(node, asker).is_ok());
    let found = visible.flat_map(|(name, node)| of(node, asker).map(move |jid| subscription(name, jid)));
    let list = Element::new(ns::PUBSUB, "subscriptions").with_attr_opt("node", name).with_children(found);
    Ok(Some(Element::new(ns::PUBSUB, "pubsub").with_child(list)))
}

fn subscription(name: &str, jid: &Jid) -> Element {
    Element::new(ns::PUBSUB, "subscription")
        .with_attr("node", name)
        .with_attr("jid", jid.as_str())
        .with_attr("subscription", "subscribed")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::config::Config;

    fn jid(text: &str) -> Jid {
        Jid::new(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn a_node_has_so_many_subscribers_and_of_each_so_many() {
        let mut node = Node::new(SystemTime::UNIX_EPOCH, Config::default());
        for number in 1..SUBSCRIBERS_MAX {
            node.subscribers.insert(jid(&format!("u{number}@one.test")));
        }
        let (last, next) = (jid("last@one.test"), jid("next@one.test").bare());
        assert!(may_be_one_more(&node, &last.bare()));
        node.subscribers.insert(last.clone());
        assert!(!may_be_one_more(&node, &next) && !may_be_one_more(&node, &last.bare()));
        node.subscribers.remove(&last);
        assert!(may_be_one_more(&node, &next));

        node.subscribers.clear();
        for number in 1..SUBSCRIBERS_OF_ONE {
            node.subscribers.insert(jid(&format!("next@one.test/{number}")));
        }
        assert!(may_be_one_more(&node, &next));
        node.subscribers.insert(next.clone().into());
        assert!(!may_be_one_more(&node, &next) && may_be_one_more(&node, &last.bare()));
    }
}
