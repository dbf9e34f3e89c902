//! What devices publish in rehearsal (XEP-0163): each a number that grows, under an id of its own, in one node.

use features::caps;
use xmpp::form::{Field, Form, FormType};
use xmpp::ns;
use xmpp::xml::Element;

/// The node.
pub const NODE: &str = "urn:waxwing:rehearsal:numbers";

/// What a device tells of what it can do (XEP-0115): it wants to hear what is new.
pub fn capabilities() -> Element {
    let ver = caps::ver(&info());
    let c = Element::new(ns::CAPS, "c").with_attr("hash", "sha-1").with_attr("node", "urn:waxwing:rehearsal");
    c.with_attr("ver", ver)
}

/// What it answers when it is asked.
pub fn info() -> Element {
    let feature = Element::new(ns::DISCO_INFO, "feature").with_attr("var", format!("{NODE}+notify"));
    Element::new(ns::DISCO_INFO, "query").with_child(feature)
}

/// Publishes a number.
pub fn publish(id: &str, number: u32) -> Element {
    let payload = Element::new(NODE, "number").with_text(&number.to_string());
    let item = Element::new(ns::PUBSUB, "item").with_attr("id", id).with_child(payload);
    let publish = Element::new(ns::PUBSUB, "publish").with_attr("node", NODE).with_child(item);
    let mut form = Form::new(FormType::Submit, ns::PUBLISH_OPTIONS);
    let (var, values) = ("pubsub#max_items".to_owned(), vec!["max".to_owned()]);
    form.fields.push(Field { var, values, ..Field::default() });
    let options = Element::new(ns::PUBSUB, "publish-options").with_child(form.to_element());
    Element::new(ns::PUBSUB, "pubsub").with_child(publish).with_child(options)
}

/// Takes it back.
pub fn retract(id: &str) -> Element {
    let item = Element::new(ns::PUBSUB, "item").with_attr("id", id);
    let retract = Element::new(ns::PUBSUB, "retract").with_attr("node", NODE).with_child(item);
    Element::new(ns::PUBSUB, "pubsub").with_child(retract)
}

/// Asks for it.
pub fn ask(id: &str) -> Element {
    let item = Element::new(ns::PUBSUB, "item").with_attr("id", id);
    let items = Element::new(ns::PUBSUB, "items").with_attr("node", NODE).with_child(item);
    Element::new(ns::PUBSUB, "pubsub").with_child(items)
}

/// The number in an answer.
pub fn answered(iq: &Element) -> Option<u32> {
    let items = iq.child(ns::PUBSUB, "pubsub")?.child(ns::PUBSUB, "items")?;
    items.child(ns::PUBSUB, "item")?.children().next()?.text().parse().ok()
}

/// What a message tells: an item's id, and its number or that it was taken back.
pub fn news(message: &Element) -> Option<(&str, Option<u32>)> {
    let items = message.child(ns::PUBSUB_EVENT, "event")?.child(ns::PUBSUB_EVENT, "items")?;
    let item = items.children().next()?;
    let number = item.children().next().and_then(|payload| payload.text().parse().ok());
    Some((item.attr("id")?, number.filter(|_| item.name() == "item")))
}
