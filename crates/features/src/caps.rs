//! Entity capabilities (XEP-0115): what the server can do, as one hash, so that clients need not ask each time.

pub mod clients;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use step::Card;
use xmpp::ns;
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 115,
    version: "1.6.0",
    title: "Entity Capabilities",
    host: &[ns::CAPS],
    note: "Of the server as a stream feature. Of clients, to know which news they want; they pass unchanged.",
    ..Card::PLAIN
};

/// Identifies this software. A URI that nobody else uses; it is compared, never fetched (XEP-0115 §4).
const NODE: &str = "urn:uuid:0d1c9f0a-5b0e-4c0b-9a63-7761787769e6";

/// The stream feature that tells the server's capabilities (XEP-0115 §6.3); `info` is the query that our domain
/// answers to disco#info.
pub fn element(info: &Element) -> Element {
    Element::new(ns::CAPS, "c").with_attr("hash", "sha-1").with_attr("node", NODE).with_attr("ver", ver(info))
}

/// The node at which our domain answers disco#info for this hash (XEP-0115 §6.2).
pub fn node(info: &Element) -> String {
    format!("{NODE}#{}", ver(info))
}

/// The verification string of a disco#info query (XEP-0115 §5.1), with SHA-1.
pub fn ver(info: &Element) -> String {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, plain(info).as_bytes());
    STANDARD.encode(digest)
}

/// The string S before it is hashed (XEP-0115 §5.1, steps 1 to 7). What stands between its parts is in none of them
/// (§5.4): else something else could be made to read the same.
fn plain(info: &Element) -> String {
    let named = |name: &'static str| {
        info.children().filter(move |child| child.name() == name && child.ns() == info.ns())
    };
    let mut identities: Vec<_> = named("identity")
        .map(|identity| {
            let attribute = |name| identity.attr(name).unwrap_or_default();
            let lang = identity.lang().unwrap_or_default();
            (attribute("category"), attribute("type"), lang, attribute("name"))
        })
        .collect();
    identities.sort_unstable();
    let mut features: Vec<_> = named("feature").filter_map(|feature| feature.attr("var")).collect();
    features.sort_unstable();
    let mut forms: Vec<_> = info.children().filter_map(form).collect();
    forms.sort_unstable();

    let mut text = String::new();
    for (category, type_, lang, name) in identities {
        text.push_str(&format!("{category}/{type_}/{lang}/{name}").replace('<', "&lt;"));
        text.push('<');
    }
    for feature in features {
        text.push_str(&feature.replace('<', "&lt;"));
        text.push('<');
    }
    for (form_type, fields) in forms {
        text.push_str(&form_type.replace('<', "&lt;"));
        text.push('<');
        for (var, values) in fields {
            for part in std::iter::once(var).chain(values) {
                text.push_str(&part.replace('<', "&lt;"));
                text.push('<');
            }
        }
    }
    text
}

/// A form's type, and its other fields with their values.
type Form = (String, Vec<(String, Vec<String>)>);

/// A form with its type, and its other fields with their values, sorted. A form without a hidden FORM_TYPE does
/// not count (XEP-0115 §5.4).
fn form(form: &Element) -> Option<Form> {
    if !form.is(ns::FORMS, "x") {
        return None;
    }
    let mut form_type = None;
    let mut fields = Vec::new();
    for field in form.children().filter(|child| child.is(ns::FORMS, "field")) {
        let mut values: Vec<_> =
            field.children().filter(|value| value.is(ns::FORMS, "value")).map(Element::text).collect();
        values.sort_unstable();
        match field.attr("var") {
            Some("FORM_TYPE") if field.attr("type") == Some("hidden") => {
                form_type = values.into_iter().next()
            }
            Some(var) => fields.push((var.to_owned(), values)),
            None => {}
        }
    }
    fields.sort_unstable();
    Some((form_type?, fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::element as parsed;

    const INFO: &str = "http://jabber.org/protocol/disco#info";

    fn query(inner: &str) -> Element {
        parsed(&format!("<query xmlns='{INFO}'>{inner}</query>"))
    }

    #[test]
    fn simple_example() {
        // XEP-0115 §5.2
        let info = query(
            "<identity category='client' type='pc' name='Exodus 0.9.1'/>\
             <feature var='http://jabber.org/protocol/disco#info'/>\
             <feature var='http://jabber.org/protocol/caps'/>\
             <feature var='http://jabber.org/protocol/muc'/>\
             <feature var='http://jabber.org/protocol/disco#items'/>",
        );
        assert_eq!(ver(&info), "QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert_eq!(node(&info), format!("{NODE}#QgayPKawpkPSDYmwT/WM94uAlu0="));
        let feature = super::element(&info);
        assert_eq!(feature.attr("ver"), Some("QgayPKawpkPSDYmwT/WM94uAlu0="));
        assert_eq!(feature.attr("hash"), Some("sha-1"));
    }

    #[test]
    fn complex_example() {
        // XEP-0115 §5.3
        let info = query(
            "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
             <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
             <feature var='http://jabber.org/protocol/caps'/>\
             <feature var='http://jabber.org/protocol/disco#info'/>\
             <feature var='http://jabber.org/protocol/disco#items'/>\
             <feature var='http://jabber.org/protocol/muc'/>\
             <x xmlns='jabber:x:data' type='result'>\
             <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
             <field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>\
             <field var='os'><value>Mac</value></field>\
             <field var='os_version'><value>10.5.1</value></field>\
             <field var='software'><value>Psi</value></field>\
             <field var='software_version'><value>0.11</value></field></x>",
        );
        assert_eq!(ver(&info), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }
}
