//! One tag: its name, its attributes and the namespaces it declares, as spans of the text it stands in.

use smallvec::SmallVec;

use super::characters::{is_legal, is_ncname};
use super::top::Space;
use super::{LimitName, Limits, ScanError};

/// A part of the text, from here to there.
pub type Span = (u32, u32);

/// The bytes of a span.
#[inline]
pub fn slice(data: &[u8], span: Span) -> &[u8] {
    &data[span.0 as usize..span.1 as usize]
}

/// Whether two names are the same. They are short, so that calling for a comparison costs more than comparing.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// The text of a span that was checked to be UTF-8, or nothing.
pub fn text(data: &[u8], span: Span) -> &str {
    std::str::from_utf8(slice(data, span)).unwrap_or_default()
}

/// What a byte may be part of.
const SPACE: u8 = 1;
const NAME: u8 = 2;
const NAME_START: u8 = 4;
const BEYOND_ASCII: u8 = 8;

/// The classes of all bytes.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => NAME | NAME_START,
            b'0'..=b'9' | b'-' | b'.' => NAME,
            // Part of a character beyond ASCII, which is looked at more closely.
            0x80.. => NAME | NAME_START | BEYOND_ASCII,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

#[inline]
fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

#[inline]
fn is(byte: u8, classes: u8) -> bool {
    class(byte) & classes != 0
}

/// White space (XML §2.3).
pub fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// A name with its prefix, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Name {
    from: u32,
    local_from: u32,
    to: u32,
}

impl Name {
    /// Prefix and local name as written.
    pub fn whole(self) -> Span {
        (self.from, self.to)
    }

    /// Empty without a prefix.
    pub fn prefix(self) -> Span {
        (self.from, self.local_from.saturating_sub(1).max(self.from))
    }

    /// The local name.
    pub fn local(self) -> Span {
        (self.local_from, self.to)
    }

    /// Whether it has a prefix.
    pub fn has_prefix(self) -> bool {
        self.from < self.local_from
    }
}

/// An attribute that declares no namespace.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value as written, without quotes.
    pub value: Span,
}

impl Attribute {
    /// Name, quotes and all.
    pub fn whole(&self) -> Span {
        (self.name.from, self.value.1 + 1)
    }
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
#[derive(Debug, Default)]
pub struct StartTag {
    /// Its name.
    pub name: Name,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Its namespace declarations.
    pub declarations: Vec<Declaration>,
    /// Whether any of the attributes has a prefix.
    pub has_prefixes: bool,
    /// Whether it is its own end.
    pub is_empty: bool,
}

impl StartTag {
    /// Reads `<name …>` or `<name …/>`, which begins at `from`. Returns where it ends; `None`: more bytes are needed.
    pub fn read(&mut self, data: &[u8], from: usize, limits: &Limits) -> Result<Option<usize>, ScanError> {
        let malformed = ScanError::NotWellFormed;
        self.attributes.clear();
        self.declarations.clear();
        self.has_prefixes = false;
        let mut at = from + 1;
        let Some(name) = name(data, &mut at)? else { return Ok(None) };
        self.name = name;
        loop {
            let before = at;
            skip_space(data, &mut at);
            match (data.get(at), data.get(at + 1)) {
                (None, _) | (Some(b'/'), None) => return Ok(None),
                (Some(b'>'), _) => {
                    self.is_empty = false;
                    return Ok(Some(at + 1));
                }
                (Some(b'/'), Some(b'>')) => {
                    self.is_empty = true;
                    return Ok(Some(at + 2));
                }
                _ if at == before => return Err(malformed("no space before an attribute")),
                _ => {}
            }
            if self.attributes.len() + self.declarations.len() == limits.attributes {
                return Err(ScanError::Limit(LimitName::Attributes));
            }
            if !self.attribute(data, &mut at)? {
                return Ok(None);
            }
        }
    }

    /// Reads one attribute; false when more bytes are needed.
    #[inline(always)]
    fn attribute(&mut self, data: &[u8], at: &mut usize) -> Result<bool, ScanError> {
        let malformed = ScanError::NotWellFormed;
        let Some(name) = name(data, at)? else { return Ok(false) };
        skip_space(data, at);
        match data.get(*at) {
            None => return Ok(false),
            Some(b'=') => *at += 1,
            Some(_) => return Err(malformed("an attribute without a value")),
        }
        skip_space(data, at);
        let quote = match data.get(*at) {
            None => return Ok(false),
            Some(quote @ (b'\'' | b'"')) => *quote,
            Some(_) => return Err(malformed("an attribute without quotes")),
        };
        *at += 1;
        let from = *at;
        let mut has_references = false;
        loop {
            let Some(offset) = memchr::memchr3(quote, b'<', b'&', &data[*at..]) else { return Ok(false) };
            *at += offset;
            match data[*at] {
                b'<' => return Err(malformed("< in an attribute")),
                b'&' => has_references = true,
                _ => break,
            }
            *at += 1;
        }
        let value = (from as u32, *at as u32);
        *at += 1;
        if has_references {
            check_references(slice(data, value))?;
        }
        if let Some(prefix) = declares(data, name) {
            // A namespace written with references, or normalised (XML §3.3.3), would need to be rewritten to be
            // compared; nobody writes one.
            if has_references {
                return Err(malformed("a reference in a namespace"));
            }
            // Without an early end, so that many bytes are looked at in one go.
            if slice(data, value)
                .iter()
                .fold(false, |found, byte| found | matches!(byte, b'\t' | b'\n' | b'\r'))
            {
                return Err(malformed("white space in a namespace"));
            }
            return self.declare(data, Declaration { prefix, uri: value }).map(|()| true);
        }
        let own = slice(data, name.whole());
        if self.attributes.iter().any(|other| same(slice(data, other.name.whole()), own)) {
            return Err(malformed("an attribute twice"));
        }
        self.has_prefixes |= name.has_prefix();
        self.attributes.push(Attribute { name, value });
        Ok(true)
    }

    #[inline(always)]
    fn declare(&mut self, data: &[u8], declared: Declaration) -> Result<(), ScanError> {
        let own = slice(data, declared.prefix);
        if self.declarations.iter().any(|other| same(slice(data, other.prefix), own)) {
            return Err(ScanError::NotWellFormed("a namespace declared twice"));
        }
        self.declarations.push(declared);
        Ok(())
    }
}

/// The prefix that an attribute of this name declares, if it declares one.
#[inline(always)]
fn declares(data: &[u8], name: Name) -> Option<Span> {
    match name.has_prefix() {
        true => same(slice(data, name.prefix()), b"xmlns").then(|| name.local()),
        false => same(slice(data, name.whole()), b"xmlns").then_some((name.to, name.to)),
    }
}

/// Reads a tag of which all bytes are there, from `<` to `>`.
pub fn start(data: &[u8], span: Span, limits: &Limits) -> Result<StartTag, ScanError> {
    let mut tag = StartTag::default();
    match tag.read(&data[..span.1 as usize], span.0 as usize, limits)? {
        Some(end) if end == span.1 as usize => Ok(tag),
        _ => Err(ScanError::NotWellFormed("not a tag")),
    }
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
    if !tag.has_prefixes {
        return Ok(());
    }
    let mut seen: SmallVec<[(Space, Span); 4]> = SmallVec::new();
    let prefixed = tag.attributes.iter().filter(|attribute| attribute.name.has_prefix());
    for attribute in prefixed {
        let space = space(attribute.name)?;
        let same = |other: &(Space, Span)| {
            slice(data, other.1) == slice(data, attribute.name.local())
                && other.0.uri(data, outer) == space.uri(data, outer)
        };
        if seen.iter().any(same) {
            return Err(ScanError::NotWellFormed("an attribute twice, by namespace"));
        }
        seen.push((space, attribute.name.local()));
    }
    Ok(())
}

/// Reads `</name>`, whose `>` is the last byte of the span; returns the name as written.
pub fn end(data: &[u8], span: Span) -> Result<Span, ScanError> {
    let mut at = span.0 as usize + 2;
    let data = &data[..span.1 as usize];
    let malformed = ScanError::NotWellFormed("an end tag with more than its name");
    let name = name(data, &mut at)?.ok_or(malformed)?;
    skip_space(data, &mut at);
    if at + 1 == data.len() { Ok(name.whole()) } else { Err(malformed) }
}

/// Reads a name (Namespaces in XML §4, QName); `None`: it may go on.
#[inline(always)]
fn name(data: &[u8], at: &mut usize) -> Result<Option<Name>, ScanError> {
    let mut classes = 0;
    let mut run = |from: usize| {
        for (to, byte) in data.iter().enumerate().skip(from) {
            let class = class(*byte);
            if class & NAME == 0 {
                return to;
            }
            classes |= class;
        }
        data.len()
    };
    let from = *at;
    let mut local_from = from;
    let mut to = run(from);
    if data.get(to) == Some(&b':') {
        local_from = to + 1;
        to = run(local_from);
    }
    if to == data.len() {
        return Ok(None);
    }
    *at = to;
    let name = Name { from: from as u32, local_from: local_from as u32, to: to as u32 };
    let begins = |span: Span| slice(data, span).first().is_some_and(|first| is(*first, NAME_START));
    let is_name = match classes & BEYOND_ASCII == 0 {
        true => begins(name.local()) && (!name.has_prefix() || begins(name.prefix())),
        false => {
            is_ncname(slice(data, name.local()))
                && (!name.has_prefix() || is_ncname(slice(data, name.prefix())))
        }
    };
    match is_name {
        true => Ok(Some(name)),
        // RFC 6120 §11.6: what is not UTF-8 is no name of anybody's.
        false if std::str::from_utf8(slice(data, name.whole())).is_err() => Err(ScanError::Encoding),
        false => Err(ScanError::NotWellFormed("not a name")),
    }
}

fn skip_space(data: &[u8], at: &mut usize) {
    while data.get(*at).is_some_and(|byte| is_space(*byte)) {
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
