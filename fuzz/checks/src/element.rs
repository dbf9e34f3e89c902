//! Trees: what is written of one, two other readers and our own read again.

use xmpp::ns;
use xmpp::xml::{self, Element, Limits};

use crate::draw::Draw;
use crate::oracle;
use crate::tree::Tree;

/// Default namespaces that elements are written into.
const DEFAULTS: [&str; 3] = ["", ns::CLIENT, "urn:a"];

/// Checks an input: a tree that it stands for.
///
/// # Panics
/// When a reader reads another tree than was written.
pub fn check(data: &[u8]) {
    let mut draw = Draw::new(data);
    let default = draw.one(&DEFAULTS);
    let (element, tree) = draw.element();
    assert!(tree.is_like(&element), "as it was made: {tree:?} and {element:?}");
    accessors(&element, &tree);

    let mut written = Vec::new();
    element.write(default, &mut written);
    let written = String::from_utf8(written).expect("UTF-8 is written");
    assert!(!written.contains('\r'), "a carriage return is written: {written:?}");
    assert_eq!(oracle::element(&written, default), tree, "written into {default:?}: {written}");

    let alone = element.to_xml();
    let read = xml::parse(alone.as_bytes(), Limits::default());
    let read = read.unwrap_or_else(|error| panic!("we do not read what we write: {error:?}: {alone}"));
    if !ns::is_content(element.ns()) {
        assert_eq!(read, element, "read again: {alone}");
    }
    let mut adopted = tree;
    adopted.adopt();
    assert!(adopted.is_like(&read), "read again: {alone}");
    // Nothing changes any more.
    assert_eq!(xml::parse(read.to_xml().as_bytes(), Limits::default()), Ok(read), "read twice: {alone}");
}

fn accessors(element: &Element, tree: &Tree) {
    for (namespace, name, value) in &tree.attributes {
        match namespace.as_str() {
            "" => assert_eq!(element.attr(name), Some(value.as_str())),
            ns::XML => assert_eq!(element.lang(), Some(value.as_str())),
            _ => {}
        }
    }
    for child in tree.children() {
        let first =
            tree.children().find(|other| other.namespace == child.namespace && other.name == child.name);
        let found = element.child(&child.namespace, &child.name);
        assert!(first.zip(found).is_some_and(|(first, found)| first.is_like(found)), "{child:?}");
    }
}
