//! Two readers nobody here wrote. They are oracles of these checks and never part of the server.

pub mod by_quick_xml;
pub mod by_rxml;
pub mod oddity;
pub mod spelling;

use crate::tree::Tree;

/// One element, as both read it; rxml in the spelling that it takes. They must agree: what they say is held against us,
/// not against each other.
///
/// # Panics
/// When one of them refuses it, or they read different things.
pub fn element(xml: &str, default: &str) -> Tree {
    let respelt = spelling::without_zeros(&spelling::with_line_feeds(xml.as_bytes()));
    let respelt = String::from_utf8(respelt).unwrap_or_default();
    let strict =
        by_rxml::element(&respelt, default).unwrap_or_else(|why| panic!("difference: rxml: {why}: {xml}"));
    let second = by_quick_xml::element(xml, default)
        .unwrap_or_else(|why| panic!("difference: quick-xml: {why}: {xml}"));
    assert_eq!(strict, second, "difference: rxml and quick-xml: {xml}");
    strict
}
