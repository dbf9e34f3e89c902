//! XML as XMPP uses it (RFC 6120 §11): a strict scanner for streams, a tree for readers, and what is written.

mod characters;
mod element;
pub mod escape;
mod prolog;
mod read;
mod scanner;
mod tag;
mod top;

pub use element::Element;
pub use prolog::StreamHeader;
pub(crate) use read::value;
pub use scanner::{Item, Scanner};
pub(crate) use top::Space;
pub use top::Top;

/// Limits on what the scanner takes in. Each is checked by position, so that the verdict does not depend on how the
/// bytes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one top-level element.
    pub stanza_bytes: usize,
    /// Bytes of one tag.
    pub tag_bytes: usize,
    /// Elements inside one another, the top-level one included.
    pub depth: usize,
    /// Attributes of one tag.
    pub attributes: usize,
    /// Elements in one top-level element.
    pub elements: usize,
    /// Namespace declarations in scope.
    pub namespaces: usize,
}

impl Limits {
    /// What has been checked once, and read again from our own store or from ourselves, is read without limits.
    pub const CHECKED: Limits = Limits {
        stanza_bytes: usize::MAX >> 1,
        tag_bytes: usize::MAX >> 1,
        depth: usize::MAX,
        attributes: usize::MAX,
        elements: usize::MAX,
        namespaces: usize::MAX,
    };
}

impl Default for Limits {
    /// What a client may send after login (guarantee G17).
    fn default() -> Self {
        Limits {
            stanza_bytes: 256 * 1024,
            tag_bytes: 64 * 1024,
            depth: 64,
            attributes: 64,
            elements: 10_000,
            namespaces: 128,
        }
    }
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitName {
    /// [`Limits::stanza_bytes`].
    StanzaBytes,
    /// [`Limits::tag_bytes`].
    TagBytes,
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::attributes`].
    Attributes,
    /// [`Limits::elements`].
    Elements,
    /// [`Limits::namespaces`].
    Namespaces,
}

/// Why the bytes are no XML stream as XMPP knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanError {
    /// Not well-formed XML, or not with namespaces (RFC 6120 §4.9.3.13).
    NotWellFormed(&'static str),
    /// A comment, processing instruction, document type or entity (RFC 6120 §11.1).
    Restricted(&'static str),
    /// An encoding other than UTF-8, or bytes that break its rules (RFC 6120 §4.9.3.22, §11.6).
    Encoding,
    /// The stream's or the content's namespace is not what it must be (RFC 6120 §4.9.3.10).
    Namespace,
    /// The stream's namespace has another prefix than `stream` (RFC 6120 §4.9.3.2).
    Prefix,
    /// Something else than a stream begins (RFC 6120 §4.9.3.1).
    Format,
    /// A limit was passed (RFC 6120 §4.9.3.14).
    Limit(LimitName),
}

/// Reads one whole element that stands by itself.
///
/// # Errors
/// As the scanner, and when something follows the element.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Element, ScanError> {
    let mut scanner = Scanner::fragment(limits);
    let mut rest = bytes;
    let element = match scanner.next(&mut rest)? {
        Some(Item::Element(top)) => top.element(),
        _ => return Err(ScanError::NotWellFormed("incomplete")),
    };
    if !rest.iter().all(|byte| tag::is_space(*byte)) {
        return Err(ScanError::NotWellFormed("something follows the element"));
    }
    Ok(element)
}
