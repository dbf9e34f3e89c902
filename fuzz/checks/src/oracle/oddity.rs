//! What is odd about an element, seen without our scanner: an explanation of a difference must find its cause here.

use xmpp::ns;

/// Counts and oddities of one top-level element, or of the stream's start tag.
#[derive(Debug, Default)]
pub struct Oddities {
    /// Most attributes of one tag, namespace declarations included.
    pub attributes: usize,
    /// Most namespace declarations in scope.
    pub namespaces: usize,
    /// A tag declares the default namespace twice.
    pub default_twice: bool,
    /// A namespace is written with a reference.
    pub namespace_has_reference: bool,
    /// A namespace is written with a tab or a line end.
    pub namespace_has_space: bool,
    /// The namespace behind `xmlns:` or `xml:` is declared as any other.
    pub reserved_is_declared: bool,
    /// An element has the prefix `xml`.
    pub has_xml_element: bool,
}

impl Oddities {
    /// Notes a namespace by its raw value.
    pub fn namespace(&mut self, raw: &str, is_default: bool) {
        self.namespace_has_reference |= raw.contains('&');
        self.namespace_has_space |= raw.contains(['\t', '\n', '\r']);
        self.reserved_is_declared |= is_default && matches!(raw, ns::XMLNS | ns::XML);
    }
}
