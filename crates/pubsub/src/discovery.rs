//! What nodes tell of themselves (XEP-0060 §5.2, §5.3, §5.4), to those who may see them.

use xmpp::datetime;
use xmpp::error::StanzaError;
use xmpp::form::{Field, Form, FormType};
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::xml::Element;

use crate::access::Owner;
use crate::node::{Node, Nodes};

/// The identity of an account with nodes (XEP-0163 §6.1).
pub fn identity() -> Element {
    Element::new(ns::DISCO_INFO, "identity").with_attr("category", "pubsub").with_attr("type", "pep")
}

/// The nodes that somebody may see (XEP-0163 §6.2), as items of the account.
pub fn nodes(nodes: &Nodes, owner: &Owner<'_>, asker: &BareJid) -> Vec<Element> {
    let seen = nodes.iter().filter(|(_, node)| owner.shows(node, asker).is_ok());
    let item = |(name, node): (&str, &Node)| {
        let title = (!node.config.title.is_empty()).then_some(&node.config.title);
        Element::new(ns::DISCO_ITEMS, "item")
            .with_attr("jid", owner.account.as_str())
            .with_attr("node", name)
            .with_attr_opt("name", title)
    };
    seen.map(item).collect()
}

/// What a node is (§5.3, §5.4).
///
/// # Errors
/// `item-not-found`, or why the asker may not see it.
pub fn info(nodes: &Nodes, owner: &Owner<'_>, name: &str, asker: &BareJid) -> Result<Element, StanzaError> {
    let node = owner.visible(nodes.find(name), asker)?;
    let title = (!node.config.title.is_empty()).then_some(&node.config.title);
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", "pubsub")
        .with_attr("type", "leaf")
        .with_attr_opt("name", title);
    let feature = Element::new(ns::DISCO_INFO, "feature").with_attr("var", ns::PUBSUB);
    Ok(Element::new(ns::DISCO_INFO, "query")
        .with_attr("node", name)
        .with_child(identity)
        .with_child(feature)
        .with_child(form(node, owner.account).to_element()))
}

fn form(node: &Node, account: &BareJid) -> Form {
    let field = |name: &str, type_: &str, value: &str| Field {
        var: format!("pubsub#{name}"),
        type_: type_.to_owned(),
        values: (!value.is_empty()).then(|| value.to_owned()).into_iter().collect(),
        ..Field::default()
    };
    let config = &node.config;
    let mut form = Form::new(FormType::Result, ns::META_DATA);
    let max_items = config.max_items.map_or_else(|| "max".to_owned(), |max| max.to_string());
    form.fields.extend([
        field("owner", "jid-multi", account.as_str()),
        field("creator", "jid-single", account.as_str()),
        field("publisher", "jid-multi", account.as_str()),
        field("creation_date", "text-single", &datetime::format(node.created)),
        field("access_model", "list-single", config.access.name()),
        field("publish_model", "list-single", "publishers"),
        field("max_items", "text-single", &max_items),
    ]);
    let said = [("title", &config.title), ("description", &config.description), ("type", &config.type_)];
    form.fields.extend(
        said.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| field(name, "text-single", value)),
    );
    form
}
