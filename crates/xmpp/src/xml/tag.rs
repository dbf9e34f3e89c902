//! One tag: its name, its attributes and the namespaces it declares, as spans of the text it stands in.

use smallvec::SmallVec;

use super::characters::{is_legal, is_ncname};
use super::top::Space;
use super::{LimitName, Limits, ScanError};

/// A part of the text, from here to there.
pub type Span = (u32, u32);

/// The bytes of a span.
pub fn slice(data: &[u8], span: Span) -> &[u8] {
    &data[span.0 as usize..span.1 as usize]
}

/// The text of a span that was checked to be UTF-8, or nothing.
pub fn text(data: &[u8], span: Span) -> &str {
    std::str::from_utf8(slice(data, span)).unwrap_or_default()
}

/// White space (XML §2.3).
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A name with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Prefix and local name as written.
    pub whole: Span,
    /// Empty without a prefix.
    pub prefix: Span,
    /// The local name.
    pub local: Span,
}

/// An attribute that declares no namespace.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value as written, without quotes.
    pub value: Span,
    /// Name, quotes and all.
    pub whole: Span,
}

/// A namespace declaration.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// The prefix; empty for the default namespace.
    pub prefix: Span,
    /// The namespace as written.
    pub uri: Span,
}

/// A start tag, or an empty-element tag.
#[derive(Debug)]
pub struct StartTag {
    /// Its name.
    pub name: Name,
    /// Its attributes.
    pub attributes: SmallVec<[Attribute; 8]>,
    /// Its namespace declarations.
    pub declarations: SmallVec<[Declaration; 2]>,
    /// Whether it is its own end.
    pub is_empty: bool,
}

/// Reads `<name …>` or `<name …/>`, whose `>` is the last byte of the span.
pub fn start(data: &[u8], span: Span, limits: &Limits) -> Result<StartTag, ScanError> {
    let malformed = ScanError::NotWellFormed;
    let mut end = span.1 as usize - 1;
    let is_empty = data[end - 1] == b'/' && end - 1 > span.0 as usize;
    if is_empty {
        end -= 1;
    }
    let mut at = span.0 as usize + 1;
    let name = name(data, &mut at, end)?;
    let mut tag = StartTag { name, attributes: SmallVec::new(), declarations: SmallVec::new(), is_empty };
    loop {
        let before = at;
        skip_space(data, &mut at, end);
        if at == end {
            break;
        }
        if at == before {
            return Err(malformed("no space before an attribute"));
        }
        if tag.attributes.len() + tag.declarations.len() == limits.attributes {
            return Err(ScanError::Limit(LimitName::Attributes));
        }
        attribute(data, &mut at, end, &mut tag)?;
    }
    Ok(tag)
}

/// Finds the `>` that ends a tag; remembers where it has looked and which quote is open.
pub fn find_end(data: &[u8], from: usize, quote: &mut Option<u8>, looked: &mut usize) -> Option<usize> {
    let mut at = from.max(*looked);
    loop {
        let found = match *quote {
            Some(open) => memchr::memchr(open, &data[at..]),
            None => memchr::memchr3(b'>', b'\'', b'"', &data[at..]),
        };
        let Some(offset) = found else {
            *looked = data.len();
            return None;
        };
        at += offset;
        match (*quote, data[at]) {
            (None, b'>') => return Some(at),
            (None, opened) => *quote = Some(opened),
            (Some(_), _) => *quote = None,
        }
        at += 1;
    }
}

/// Namespaces in XML §6.3: no two attributes of one name, however their prefixes are spelt. `space` finds the namespace
/// of a prefix, or says that it is not bound.
pub(super) fn check_unique(
    data: &[u8],
    tag: &StartTag,
    outer: &[(String, String)],
    mut space: impl FnMut(Name) -> Result<Space, ScanError>,
) -> Result<(), ScanError> {
    let mut seen: SmallVec<[(Space, Span); 4]> = SmallVec::new();
    let prefixed =
        tag.attributes.iter().filter(|attribute| attribute.name.prefix.0 < attribute.name.prefix.1);
    for attribute in prefixed {
        let space = space(attribute.name)?;
        let same = |other: &(Space, Span)| {
            slice(data, other.1) == slice(data, attribute.name.local)
                && other.0.uri(data, outer) == space.uri(data, outer)
        };
        if seen.iter().any(same) {
            return Err(ScanError::NotWellFormed("an attribute twice, by namespace"));
        }
        seen.push((space, attribute.name.local));
    }
    Ok(())
}

/// Reads `</name>`, whose `>` is the last byte of the span; returns the name as written.
pub fn end(data: &[u8], span: Span) -> Result<Span, ScanError> {
    let end = span.1 as usize - 1;
    let mut at = span.0 as usize + 2;
    let name = name(data, &mut at, end)?;
    skip_space(data, &mut at, end);
    if at == end { Ok(name.whole) } else { Err(ScanError::NotWellFormed("an end tag has attributes")) }
}

fn attribute(data: &[u8], at: &mut usize, end: usize, tag: &mut StartTag) -> Result<(), ScanError> {
    let malformed = ScanError::NotWellFormed;
    let from = *at;
    let name = name(data, at, end)?;
    skip_space(data, at, end);
    if data[*at..end].first() != Some(&b'=') {
        return Err(malformed("an attribute without a value"));
    }
    *at += 1;
    skip_space(data, at, end);
    let quote = match data[*at..end].first() {
        Some(quote @ (b'\'' | b'"')) => *quote,
        _ => return Err(malformed("an attribute without quotes")),
    };
    *at += 1;
    let length = memchr::memchr(quote, &data[*at..end]).ok_or(malformed("an attribute without its end"))?;
    let value = (*at as u32, (*at + length) as u32);
    *at += length + 1;
    let raw = slice(data, value);
    let has_references = match memchr::memchr2(b'<', b'&', raw) {
        None => false,
        Some(_) if memchr::memchr(b'<', raw).is_some() => return Err(malformed("< in an attribute")),
        Some(_) => check_references(raw).map(|()| true)?,
    };
    let known = |other: Span| slice(data, other) == slice(data, name.whole);
    let is_default = slice(data, name.whole) == b"xmlns";
    let is_prefix = slice(data, name.prefix) == b"xmlns";
    if is_default || is_prefix {
        // A namespace written with references would need to be rewritten to be compared; nobody writes one.
        if has_references {
            return Err(malformed("a reference in a namespace"));
        }
        // Neither is it normalised (XML §3.3.3) to be compared.
        if raw.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r')) {
            return Err(malformed("white space in a namespace"));
        }
        let prefix = if is_default { (name.local.1, name.local.1) } else { name.local };
        if tag.declarations.iter().any(|other| slice(data, other.prefix) == slice(data, prefix)) {
            return Err(malformed("a namespace declared twice"));
        }
        tag.declarations.push(Declaration { prefix, uri: value });
        return Ok(());
    }
    if tag.attributes.iter().any(|other| known(other.name.whole)) {
        return Err(malformed("an attribute twice"));
    }
    tag.attributes.push(Attribute { name, value, whole: (from as u32, *at as u32) });
    Ok(())
}

fn name(data: &[u8], at: &mut usize, end: usize) -> Result<Name, ScanError> {
    let from = *at;
    let stop = |byte: &u8| is_space(*byte) || matches!(byte, b'=' | b'/' | b'>' | b'\'' | b'"' | b'<' | b'&');
    let length = data[from..end].iter().position(stop).unwrap_or(end - from);
    *at = from + length;
    let whole = (from as u32, *at as u32);
    let raw = slice(data, whole);
    let (prefix, local) = match memchr::memchr(b':', raw) {
        Some(colon) => {
            let colon = whole.0 + colon as u32;
            ((whole.0, colon), (colon + 1, whole.1))
        }
        None => ((whole.0, whole.0), whole),
    };
    let prefix_is_name = prefix.0 == local.0 || is_ncname(slice(data, prefix));
    if !prefix_is_name || !is_ncname(slice(data, local)) {
        return Err(ScanError::NotWellFormed("not a name"));
    }
    Ok(Name { whole, prefix, local })
}

fn skip_space(data: &[u8], at: &mut usize, end: usize) {
    while *at < end && is_space(data[*at]) {
        *at += 1;
    }
}

/// Every `&` in it begins a legal reference.
fn check_references(raw: &[u8]) -> Result<(), ScanError> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'&', rest) {
        match reference(&rest[at..]) {
            Reference::Character(_, length) => rest = &rest[at + length..],
            Reference::Wrong(error) => return Err(error),
            Reference::Incomplete => return Err(ScanError::NotWellFormed("an unfinished reference")),
        }
    }
    Ok(())
}

/// The longest reference is `&#x10FFFF;`, with a few leading zeros.
const REFERENCE_BYTES_MAX: usize = 16;

/// What stands at an `&`.
pub enum Reference {
    /// This character, written in so many bytes.
    Character(char, usize),
    /// There is more to come.
    Incomplete,
    /// No reference that XMPP allows.
    Wrong(ScanError),
}

/// Reads a reference; `raw` begins with `&`.
pub fn reference(raw: &[u8]) -> Reference {
    let malformed = Reference::Wrong(ScanError::NotWellFormed("not a reference"));
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b'_' | b'-' | b'.' | b':');
    let window = &raw[1..raw.len().min(REFERENCE_BYTES_MAX)];
    let Some(end) = window.iter().position(|byte| !inside(byte)) else {
        return if raw.len() < REFERENCE_BYTES_MAX { Reference::Incomplete } else { malformed };
    };
    if window[end] != b';' || end == 0 {
        return malformed;
    }
    let length = end + 2;
    let name = &window[..end];
    if name[0] == b'#' {
        let code = match name[1..].strip_prefix(b"x") {
            Some(digits) => number(digits, 16),
            None => number(&name[1..], 10),
        };
        return match code.filter(|code| is_legal(*code)).and_then(char::from_u32) {
            Some(character) => Reference::Character(character, length),
            None => malformed,
        };
    }
    let character = match name {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"quot" => '"',
        b"apos" => '\'',
        _ if is_ncname(name) => {
            return Reference::Wrong(ScanError::Restricted("an entity reference"));
        }
        _ => return malformed,
    };
    Reference::Character(character, length)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}
