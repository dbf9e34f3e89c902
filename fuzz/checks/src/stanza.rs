//! Stanzas: what is written of one is what was read, whatever was cut out or put in on the way, for whatever stream.

use std::sync::Arc;

use xmpp::error::{Condition, StanzaError};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{ContentNs, Stanza, Type};

use crate::draw::{Draw, NAMES, NAMESPACES};
use crate::oracle;
use crate::scanner::{self, Read, Setting};
use crate::sketch;
use crate::tree::{Node, Tree};

/// The language of the streams that stanzas are read from.
pub const LANG: &str = "en";

/// Checks an input: a stanza's text that it stands for, and what is done to the stanza.
///
/// # Panics
/// When something else is written than must be.
pub fn check(data: &[u8]) {
    let mut draw = Draw::new(data);
    let header = draw.one(&sketch::HEADERS);
    let text = sketch::stanza(&mut draw);
    let stream = format!("{header}{text}");
    let Read { heard, trees, .. } = scanner::read(&Setting::whole(), stream.as_bytes());
    let (Some(said), Some(tree)) = (heard.elements.into_iter().next(), trees.into_iter().next()) else {
        return;
    };
    match said.stanza {
        None => {}
        Some(Err(malformed)) => {
            if let Some(reply) = malformed.reply() {
                answers(&reply, malformed.id.as_ref());
            }
        }
        Some(Ok(stanza)) => {
            declared(&stanza, &tree, draw.one(&[ns::CLIENT, ns::SERVER, ns::COMPONENT]));
            replies(&stanza, draw.one(Condition::ALL));
            spliced(stanza, tree, &mut draw);
        }
    }
}

/// Whether a stanza, written again, says what was read; `tree` is what the oracles read, content namespaces made one.
///
/// # Panics
/// When it does not.
pub fn is_faithful(stanza: &Stanza, tree: &Tree) {
    let written = stanza.to_xml();
    assert_eq!(oracle::element(&written, ns::CLIENT), expected(stanza, tree), "as written: {written}");
    let kept = Stanza::read(written.as_bytes());
    let kept = kept.unwrap_or_else(|malformed| panic!("the store cannot keep it: {malformed:?}: {written}"));
    if kept != *stanza {
        // What depends on a prefix of the head is spelt anew, and once only.
        let again = kept.to_xml();
        assert_eq!(oracle::element(&again, ns::CLIENT), expected(stanza, tree), "kept: {again}");
        assert_eq!(Stanza::read(again.as_bytes()), Ok(kept), "kept twice: {again}");
    }
}

/// The tree with its addresses prepared, its type known and its language filled in.
fn expected(stanza: &Stanza, tree: &Tree) -> Tree {
    let mut expected = Tree { attributes: Vec::new(), ..tree.clone() };
    for (namespace, name, value) in &tree.attributes {
        match (namespace.as_str(), name.as_str()) {
            ("", "to" | "from") => {
                let jid = Jid::new(value).unwrap_or_else(|_| panic!("{value} became an address"));
                expected.set("", name, jid.as_str());
            }
            ("", "type") => {}
            _ => expected.set(namespace, name, value),
        }
    }
    let type_ = Type::read(stanza.kind, tree.attr("type"));
    if let Some(type_) = type_.and_then(Type::name) {
        expected.set("", "type", type_);
    }
    if tree.attr_ns(ns::XML, "lang").is_none() {
        expected.set(ns::XML, "lang", LANG);
    }
    expected
}

/// Written for a stream of another content namespace. What stands deeper and has that namespace by inheritance goes
/// with it; what names it itself does not.
fn declared(stanza: &Stanza, tree: &Tree, namespace: &str) {
    let mut written = Vec::new();
    stanza.write(&mut written, ContentNs::Declared(namespace));
    let written = String::from_utf8(written).expect("UTF-8 is written");
    let again = oracle::element(&written, "");
    assert_eq!(again.namespace, namespace, "{written}");
    let expected = expected(stanza, tree);
    if namespace == ns::CLIENT {
        assert_eq!(again, expected, "{written}");
    }
    for (child, before) in again.children().zip(expected.children()) {
        let own = if before.namespace == ns::CLIENT { namespace } else { &before.namespace };
        assert_eq!(child.namespace, own, "{written}");
    }
    assert_eq!(again.without_content(), expected.without_content(), "{written}");
}

fn replies(stanza: &Stanza, condition: Condition) {
    let app = xmpp::xml::Element::new("urn:it's", "app").with_text("]]>");
    let error = StanzaError::new(condition).with_text("why & <what>").with_app(app);
    let reply = stanza.error_reply(&error);
    assert_eq!(reply.is_some(), !matches!(stanza.type_, Type::Error | Type::Result));
    if let Some(reply) = &reply {
        answers(reply, stanza.id.as_ref());
        assert_eq!((&reply.to, &reply.from), (&stanza.from, &stanza.to));
        let read = reply.element(ns::CLIENT, "error").map(|element| StanzaError::from_element(&element));
        assert_eq!(read, Some(error));
    }
    let result = stanza.result();
    let tree = oracle::element(&result.to_xml(), ns::CLIENT);
    assert!(tree.nodes.is_empty() && tree.attr("type") == Some("result"), "{tree:?}");
    assert_eq!((&result.to, &result.from), (&stanza.from, &stanza.to));
}

/// An error that answers: of type error, with the same id, and with one child that says why (RFC 6120 §8.3.1).
pub(crate) fn answers(reply: &Stanza, id: Option<&Arc<str>>) {
    let written = reply.to_xml();
    let tree = oracle::element(&written, ns::CLIENT);
    assert_eq!(tree.attr("type"), Some("error"), "{written}");
    // Rule 3: the error of an iq has an id, even if the iq had none.
    let empty = (tree.name == "iq").then_some("");
    assert_eq!(tree.attr("id"), id.map(AsRef::as_ref).or(empty), "{written}");
    assert_eq!(tree.children().count(), 1, "{written}");
    let error = tree.children().next().expect("it was counted");
    assert_eq!((error.namespace.as_str(), error.name.as_str()), (ns::CLIENT, "error"), "{written}");
    let conditions =
        error.children().filter(|child| child.namespace == ns::STANZA_ERRORS && child.name != "text");
    assert_eq!(conditions.count(), 1, "{written}");
}

/// Puts children in and takes them out; a tree to which the same is done must stay what is written.
fn spliced(mut stanza: Stanza, tree: Tree, draw: &mut Draw<'_>) {
    let mut model = expected(&stanza, &tree);
    for _ in 0..draw.below(5) {
        let before = stanza.clone();
        let text = before.to_xml();
        if draw.yes() {
            let (child, tree) = draw.element();
            stanza = stanza.with_child(&child);
            model.push(tree);
        } else {
            let at = draw.below(4);
            let named = model.children().nth(at).map(|child| (child.namespace.clone(), child.name.clone()));
            let (namespace, name) =
                named.unwrap_or_else(|| (draw.one(&NAMESPACES).to_owned(), draw.one(&NAMES).to_owned()));
            stanza = stanza.without(&namespace, &name);
            model.remove(&namespace, &name);
        }
        assert_eq!(before.to_xml(), text, "the other copy changed");
        matches_model(&stanza, &model);
    }
}

fn matches_model(stanza: &Stanza, model: &Tree) {
    let written = stanza.to_xml();
    assert_eq!(oracle::element(&written, ns::CLIENT), *model, "{written}");
    let names: Vec<_> =
        model.children().map(|child| (child.namespace.as_str(), child.name.as_str())).collect();
    assert_eq!(stanza.children().collect::<Vec<_>>(), names, "the index: {written}");
    assert_eq!(stanza.child_count(), names.len());
    for (namespace, name) in names {
        assert!(stanza.has(namespace, name) && stanza.has_ns(namespace));
        let first = model.nodes.iter().find_map(|node| match node {
            Node::Element(tree) if tree.namespace == namespace && tree.name == name => Some(tree),
            _ => None,
        });
        let first = first.expect("it is one of them");
        let found = stanza.element(namespace, name);
        assert!(found.is_some_and(|found| first.is_like(&found)), "{namespace} {name} in {written}");
    }
}
