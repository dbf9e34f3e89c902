//! Items of a node: shown in pages (XEP-0060 §6.5), named by service discovery (§5.5), taken back (§7.2).

use step::Step;
use store::{ItemSize, ItemsFound, ItemsWanted, Write};
use xmpp::error::Condition;
use xmpp::ns;
use xmpp::rsm::Given;
use xmpp::xml::{self, Element};

use crate::access::Owner;
use crate::errors::{no_such_node, unsupported};
use crate::news;
use crate::node::Nodes;
use crate::pep::Answer;
use crate::request::Request;

/// §6.5.2, §6.5.4
pub(crate) fn show(nodes: &Nodes, request: &Request, found: Option<ItemsFound>) -> Answer {
    let Request::Items { node: name, wanted, paged } = request else {
        return Err(Condition::InternalServerError.into());
    };
    let node = nodes.find(name).ok_or_else(no_such_node)?;
    if !node.config.persist {
        return Err(unsupported("persistent-items").into());
    }
    // XEP-0059 §3: the one that is named as the end of a page is not there.
    let found = found.ok_or(Condition::ItemNotFound)?;
    let shown = found.items.iter().map(|item| {
        let payload = xml::parse(&item.xml, xml::Limits::CHECKED).ok();
        Element::new(ns::PUBSUB, "item").with_attr("id", &item.id).with_children(payload)
    });
    let items = Element::new(ns::PUBSUB, "items").with_attr("node", name).with_children(shown);
    let is_page = !matches!(wanted, ItemsWanted::Named(_));
    let set = (*paged || !found.complete).then(|| {
        let index = is_page.then_some(found.index);
        Given {
            first: found.items.first().map(|item| (item.id.clone(), index)),
            last: found.items.last().map(|item| item.id.clone()),
            count: Some(found.count),
        }
        .to_element()
    });
    Ok(Some(Element::new(ns::PUBSUB, "pubsub").with_child(items).with_children(set)))
}

/// §5.5
pub(crate) fn ids(nodes: &Nodes, owner: &Owner<'_>, name: &str, sizes: &[ItemSize]) -> Answer {
    nodes.find(name).ok_or(Condition::ItemNotFound)?;
    let item = |(id, _): &ItemSize| {
        Element::new(ns::DISCO_ITEMS, "item").with_attr("jid", owner.account.as_str()).with_attr("name", id)
    };
    let query = Element::new(ns::DISCO_ITEMS, "query").with_attr("node", name);
    Ok(Some(query.with_children(sizes.iter().map(item))))
}

/// §7.2
pub(crate) fn retract(
    nodes: &mut Nodes,
    owner: &Owner<'_>,
    name: &str,
    id: &str,
    notify: bool,
    sizes: &[ItemSize],
    step: &mut Step<'_>,
) -> Answer {
    let node = nodes.find_mut(name).ok_or(Condition::ItemNotFound)?;
    if !node.config.persist {
        return Err(unsupported("persistent-items").into());
    }
    let (_, bytes) = sizes.iter().find(|(other, _)| other == id).ok_or(Condition::ItemNotFound)?;
    node.bytes = node.bytes.saturating_sub(*bytes);
    let (account, node_name) = (owner.account.clone(), name.to_owned());
    step.write(Write::ItemRemove { owner: account, node: node_name, id: id.to_owned() });
    if notify || node.config.notifies_retract {
        let retract = Element::new(ns::PUBSUB_EVENT, "retract").with_attr("id", id);
        news::tell(owner, name, node, &news::items(name, [retract]), step);
    }
    Ok(None)
}
