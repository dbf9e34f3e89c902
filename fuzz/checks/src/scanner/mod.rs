//! The scanner: what it says does not depend on how its bytes are cut, and the oracles say the same.
//!
//! Input: a digit (see [`Setting`]), a byte that seeds the cuts, the stream.

mod differences;

use xmpp::stanza::{Malformed, Stanza};
use xmpp::xml::{self, Element, Item, Limits, ScanError, Scanner, StreamHeader};

use differences::Compared;
pub use differences::Difference;

use crate::oracle::{self, by_quick_xml, by_rxml};
use crate::stanza;
use crate::tree::Tree;

/// The stream's start tag, where the input does not bring its own.
pub const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:o='urn:outer' to='one.test' version='1.0'>";

/// Limits so small that short inputs reach them.
const NARROW: Limits =
    Limits { stanza_bytes: 120, tag_bytes: 80, depth: 4, attributes: 4, elements: 6, namespaces: 6 };

/// Bytes that an unfinished header may have, whatever the limits of elements.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// How an input is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The stream has begun already, with [`OPEN`].
    pub opened: bool,
    /// What the scanner may take in.
    pub limits: Limits,
    /// Where the bytes are cut.
    pub cuts: u8,
}

impl Setting {
    /// Reads the first two bytes: `0` the stream begins with its header, `1` it has begun, `2` and `3` the same with
    /// narrow limits; then the seed of the cuts.
    pub fn read(data: &[u8]) -> Option<(Setting, Vec<u8>)> {
        let [kind, cuts, rest @ ..] = data else { return None };
        let opened = kind & 1 == 1;
        let limits = if kind & 2 == 2 { NARROW } else { Limits::default() };
        let mut bytes = if opened { OPEN.as_bytes().to_vec() } else { Vec::new() };
        bytes.extend_from_slice(rest);
        Some((Setting { opened, limits, cuts: *cuts }, bytes))
    }

    /// A stream from its beginning, with the limits of every day.
    pub fn whole() -> Setting {
        Setting { opened: false, limits: Limits::default(), cuts: 0 }
    }
}

/// What the scanner says of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// The stream's header.
    pub header: Option<StreamHeader>,
    /// Its elements.
    pub elements: Vec<Said>,
    /// Whether it was closed.
    pub closed: bool,
    /// Why it is no stream any more.
    pub error: Option<ScanError>,
}

/// One element, as a tree and as a stanza.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// All of it.
    pub element: Element,
    /// If it is a stanza.
    pub stanza: Option<Result<Stanza, Malformed>>,
}

impl Heard {
    /// How much was accepted: the header, each element, the end.
    pub fn items(&self) -> usize {
        usize::from(self.header.is_some()) + self.elements.len() + usize::from(self.closed)
    }
}

/// Feeds the pieces to a scanner.
///
/// # Panics
/// When it keeps more bytes than an unfinished element may have.
pub fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Heard {
    let mut scanner = Scanner::new(limits);
    let mut heard = Heard { header: None, elements: Vec::new(), closed: false, error: None };
    for piece in pieces {
        let mut rest = piece;
        loop {
            match scanner.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(Item::Open(header))) => heard.header = Some(header),
                Ok(Some(Item::Close)) => heard.closed = true,
                Ok(Some(Item::Element(top))) => {
                    heard
                        .elements
                        .push(Said { element: top.element(), stanza: top.stanza(Some(stanza::LANG)) });
                }
                Err(error) => {
                    heard.error = Some(error);
                    return heard;
                }
            }
        }
        let kept = scanner.pending().len();
        assert!(kept <= limits.stanza_bytes.max(HEADER_BYTES_MAX), "{kept} bytes of an unfinished element");
    }
    heard
}

/// Cuts bytes at places that follow from a seed.
pub fn cut(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let mut state = u32::from(seed) | 0x100;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let longest = [1, 3, 9, 40][(state >> 28) as usize & 3];
        let length = 1 + (state >> 16) as usize % longest;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(piece)
    })
}

/// Checks an input.
///
/// # Panics
/// When the scanner breaks a promise.
pub fn check(data: &[u8]) {
    if let Some((setting, bytes)) = Setting::read(data) {
        let _ = judge(setting, &bytes);
    }
}

/// Checks a stream; returns the differences to the oracles that have a reason.
///
/// # Panics
/// When the scanner breaks a promise, or differs without a reason.
pub fn judge(setting: Setting, bytes: &[u8]) -> Vec<Difference> {
    let Read { heard: whole, differences, .. } = read(&setting, bytes);
    // Our own header is not cut: it costs time and finds nothing.
    let (own, theirs) = bytes.split_at(if setting.opened { OPEN.len() } else { 0 });
    let open = std::iter::once(own);
    assert_eq!(hear(open.clone().chain(theirs.chunks(1)), setting.limits), whole, "split: byte by byte");
    assert_eq!(hear(open.chain(cut(theirs, setting.cuts)), setting.limits), whole, "split: {}", setting.cuts);
    differences
}

/// A stream that was read by us and by the oracles.
#[derive(Debug)]
pub struct Read {
    /// What we say.
    pub heard: Heard,
    /// Our elements as the oracles read them, content namespaces made one.
    pub trees: Vec<Tree>,
    /// Differences that have a reason.
    pub differences: Vec<Difference>,
}

/// Reads a stream in one piece and compares it with what the oracles read.
///
/// # Panics
/// When there is a difference without a reason.
pub fn read(setting: &Setting, bytes: &[u8]) -> Read {
    let heard = hear(std::iter::once(bytes), setting.limits);
    let compared = differences::repair(setting, bytes, &heard);
    let second = by_quick_xml::stream(valid(&compared.bytes));
    let refused = differences::explain(setting, &compared, &second);
    let Compared { other, strict, mut differences, .. } = compared;
    differences.extend(refused);
    let ours = other.as_ref().unwrap_or(&heard);
    if let (Some(ours), Some(theirs)) = (&ours.header, &strict.header) {
        compare_headers(ours, theirs);
    }
    let mut trees = Vec::new();
    for (at, (said, theirs)) in ours.elements.iter().zip(&strict.elements).enumerate() {
        let again = second.elements.get(at);
        let (again, _) =
            again.unwrap_or_else(|| panic!("difference: quick-xml refuses {at}: {:?}", second.refused));
        assert_eq!(theirs.tree, *again, "difference: rxml and quick-xml read element {at}");
        trees.push(compare(said, theirs, &setting.limits));
    }
    Read { heard, trees, differences }
}

/// The part up to where it is no UTF-8 any more.
fn valid(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

fn compare_headers(ours: &StreamHeader, theirs: &Tree) {
    let pairs = [("to", &ours.to), ("from", &ours.from), ("id", &ours.id), ("version", &ours.version)];
    for (name, value) in pairs {
        assert_eq!(value.as_deref(), theirs.attr(name), "difference: the stream's {name}");
    }
    assert_eq!(
        ours.lang.as_deref(),
        theirs.attr_ns(xmpp::ns::XML, "lang"),
        "difference: the stream's language"
    );
}

fn compare(said: &Said, theirs: &by_rxml::Whole, limits: &Limits) -> Tree {
    assert!(theirs.bytes <= limits.stanza_bytes, "a limit passed: bytes");
    assert!(theirs.tag_bytes <= limits.tag_bytes, "a limit passed: bytes of a tag");
    assert!(theirs.tree.depth() <= limits.depth, "a limit passed: depth");
    assert!(theirs.tree.count() <= limits.elements, "a limit passed: elements");
    let mut tree = theirs.tree.clone();
    tree.adopt();
    assert!(tree.is_like(&said.element), "difference: {tree:?} and {:?}", said.element);
    // What is written again is the same: in order, which the comparison above does not tell.
    let written = said.element.to_xml();
    assert_eq!(oracle::element(&written, ""), tree, "difference: written again: {written}");
    let again = xml::parse(written.as_bytes(), Limits::default());
    assert_eq!(again.as_ref(), Ok(&said.element), "our own writing: {written}");
    if let Some(Ok(stanza)) = &said.stanza {
        stanza::is_faithful(stanza, &tree);
    }
    tree
}
