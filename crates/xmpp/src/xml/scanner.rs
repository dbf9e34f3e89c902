//! The scanner of streams: takes bytes as they come, gives whole top-level elements, refuses what is not strict XMPP.
//!
//! It is resumable at any byte and linear in the bytes: text is consumed as it arrives, and the search for the end of a
//! tag goes on where it stopped.

use smallvec::SmallVec;

use super::characters::is_legal_text;
use super::tag::{self, Declaration, Name, Reference, Span, StartTag, is_space, reference, slice};
use super::top::{Child, Head, Space, Top};
use super::{LimitName, Limits, ScanError, read};
use crate::ns;

/// What the scanner finds.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // it lives on the stack, for one turn of a loop
pub enum Item<'a> {
    /// The stream begins.
    Open(StreamHeader),
    /// A whole element, directly in the stream.
    Element(Top<'a>),
    /// The stream ends.
    Close,
}

/// The start tag of a stream (RFC 6120 §4.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// The default namespace: what the stream carries.
    pub content_ns: String,
    /// To whom.
    pub to: Option<String>,
    /// From whom.
    pub from: Option<String>,
    /// The stream's id.
    pub id: Option<String>,
    /// The version of XMPP.
    pub version: Option<String>,
    /// The default language of what the stream carries.
    pub lang: Option<String>,
}

/// Bytes of the XML declaration and the stream's start tag together.
const HEADER_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the stream's start tag.
    Prolog,
    /// Between top-level elements.
    Between,
    /// After the stream's end tag.
    Closed,
    /// One element that stands by itself.
    Fragment,
}

/// A stream's bytes in, its elements out.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    phase: Phase,
    /// An unfinished element, from its first byte on.
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out with the last item.
    given: usize,
    /// Default namespace and prefixes of the stream.
    outer: Vec<(String, String)>,
    progress: Progress,
}

/// How far the element that begins at the first byte has been read.
#[derive(Debug, Default)]
struct Progress {
    at: usize,
    /// Where the present run of text began.
    text_from: usize,
    /// An unfinished tag: where it begins, and the quote that is open at `at`.
    tag: Option<(usize, Option<u8>)>,
    in_cdata: bool,
    elements: usize,
    open: Vec<Open>,
    declared: Vec<Declaration>,
    head: Option<Head>,
    children: SmallVec<[Child; 4]>,
}

/// An element that has begun.
#[derive(Debug, Clone, Copy)]
struct Open {
    name: Span,
    declared_before: usize,
}

impl Scanner {
    /// A scanner at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Scanner {
            limits,
            phase: Phase::Prolog,
            buffer: Vec::new(),
            given: 0,
            outer: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// A scanner for elements outside of a stream.
    pub(super) fn fragment(limits: Limits) -> Self {
        Scanner { phase: Phase::Fragment, ..Scanner::new(limits) }
    }

    /// A scanner for one element that stands where `default` is the default namespace.
    pub(crate) fn within(limits: Limits, default: &str) -> Self {
        let outer = vec![(String::new(), default.to_owned())];
        Scanner { outer, ..Scanner::fragment(limits) }
    }

    /// From here on with other limits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A new stream begins on the same connection (RFC 6120 §4.3.3); bytes that were kept belong to it.
    pub fn restart(&mut self) {
        self.phase = Phase::Prolog;
        self.outer.clear();
        self.buffer.drain(..self.given);
        self.given = 0;
        self.progress = Progress::default();
    }

    /// Bytes that are kept because their element is not finished.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.given
    }

    /// The next item; takes from `input` what it has read. `None`: it has read all of it and needs more.
    ///
    /// # Errors
    /// The stream is over then.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Item<'s>>, ScanError> {
        self.buffer.drain(..self.given);
        self.given = 0;
        if self.buffer.is_empty() && !self.skip_space(input)? {
            return Ok(None);
        }
        let direct = self.buffer.is_empty();
        if !direct {
            self.buffer.extend_from_slice(input);
            *input = &[];
            if self.progress.is_fresh() {
                let spaces = self.buffer.iter().take_while(|byte| is_space(**byte)).count();
                self.buffer.drain(..spaces);
                if self.buffer.is_empty() {
                    return Ok(None);
                }
            }
        }
        let given = *input;
        let data: &[u8] = if direct { given } else { &self.buffer };
        let step = match self.phase {
            Phase::Prolog => prolog(data, &self.limits, &mut self.outer)?,
            Phase::Closed => return Err(ScanError::NotWellFormed("something follows the stream")),
            Phase::Between if data[0] == b'<' && data.get(1) == Some(&b'/') => closing(data)?,
            Phase::Between if data == b"<" => Found::Nothing,
            Phase::Between | Phase::Fragment => self.progress.read(data, &self.limits, &self.outer)?,
        };
        match step {
            Found::Nothing => {
                if direct {
                    self.buffer.extend_from_slice(input);
                    *input = &[];
                }
                Ok(None)
            }
            Found::Header(header, length) => {
                self.phase = Phase::Between;
                self.give(direct, input, length);
                Ok(Some(Item::Open(header)))
            }
            Found::End(length) => {
                self.phase = Phase::Closed;
                self.give(direct, input, length);
                Ok(Some(Item::Close))
            }
            Found::Element(length) => {
                let progress = std::mem::take(&mut self.progress);
                let head = progress.head.ok_or(ScanError::NotWellFormed("no element"))?;
                self.give(direct, input, length);
                let data = if direct { given } else { &self.buffer[..length] };
                let (data, _) = data.split_at(length);
                Ok(Some(Item::Element(Top { data, head, children: progress.children, outer: &self.outer })))
            }
        }
    }

    /// White space between elements keeps connections alive (RFC 6120 §4.6.1); it means nothing.
    fn skip_space(&self, input: &mut &[u8]) -> Result<bool, ScanError> {
        // White space before an XML declaration makes it none, but before the stream's tag it is legal; peers send it.
        let spaces = input.iter().take_while(|byte| is_space(**byte)).count();
        *input = &input[spaces..];
        Ok(!input.is_empty())
    }

    /// So many bytes have been given out with an item.
    fn give(&mut self, direct: bool, input: &mut &[u8], length: usize) {
        if direct {
            *input = &input[length..];
        } else {
            self.given = length;
        }
    }
}

enum Found {
    Nothing,
    Header(StreamHeader, usize),
    Element(usize),
    End(usize),
}

/// `</stream:stream>`; whatever the prefix was, the tag must close the stream.
fn closing(data: &[u8]) -> Result<Found, ScanError> {
    match memchr::memchr(b'>', data) {
        None if data.len() > HEADER_BYTES_MAX => Err(ScanError::Limit(LimitName::TagBytes)),
        None => Ok(Found::Nothing),
        Some(end) => {
            let name = tag::end(data, (0, end as u32 + 1))?;
            if slice(data, name) != b"stream:stream" && slice(data, name) != b"stream" {
                return Err(ScanError::NotWellFormed("an end tag without its start"));
            }
            Ok(Found::End(end + 1))
        }
    }
}

/// The XML declaration, if there is one, and the stream's start tag.
fn prolog(data: &[u8], limits: &Limits, outer: &mut Vec<(String, String)>) -> Result<Found, ScanError> {
    let found = read_prolog(data, limits, outer);
    match found {
        Ok(Found::Nothing) if data.len() > HEADER_BYTES_MAX => Err(ScanError::Limit(LimitName::TagBytes)),
        found => found,
    }
}

fn read_prolog(data: &[u8], limits: &Limits, outer: &mut Vec<(String, String)>) -> Result<Found, ScanError> {
    let mut at = 0;
    if begins(data, b"<?xml") {
        let Some(length) = declaration(data)? else { return Ok(Found::Nothing) };
        at = length + data[length..].iter().take_while(|byte| is_space(**byte)).count();
    }
    match &data[at..] {
        [] | [b'<'] => return Ok(Found::Nothing),
        [b'<', b'!' | b'?', ..] => return Err(ScanError::Restricted("markup before the stream")),
        [b'<', ..] => {}
        // UTF-16 with or without a mark, or a UTF-8 mark (RFC 6120 §11.6).
        [0xFE | 0xFF | 0x00, ..] => return Err(ScanError::Encoding),
        _ => return Err(ScanError::NotWellFormed("text before the stream")),
    }
    let Some(end) = tag_end(data, at + 1, &mut None, &mut 0) else { return Ok(Found::Nothing) };
    if end + 1 > HEADER_BYTES_MAX {
        return Err(ScanError::Limit(LimitName::TagBytes));
    }
    let tag = tag::start(data, (at as u32, end as u32 + 1), limits)?;
    if !is_legal_text(&data[..=end]) {
        return Err(ScanError::NotWellFormed("an illegal character"));
    }
    let header = header(data, &tag, outer)?;
    Ok(Found::Header(header, end + 1))
}

fn begins(data: &[u8], with: &[u8]) -> bool {
    let length = data.len().min(with.len());
    length > 1 && data[..length] == with[..length] && data.get(with.len()).is_none_or(|byte| is_space(*byte))
}

/// `<?xml version='1.0' encoding='UTF-8'?>` (RFC 6120 §11.5).
fn declaration(data: &[u8]) -> Result<Option<usize>, ScanError> {
    let Some(end) = memchr::memchr(b'>', data) else { return Ok(None) };
    let malformed = ScanError::NotWellFormed("not an XML declaration");
    let inside = data[5..=end].strip_suffix(b"?>").ok_or(malformed)?;
    let inside = std::str::from_utf8(inside).map_err(|_| ScanError::Encoding)?;
    let mut version = None;
    let mut rest = inside;
    let mut stage = 0;
    while !rest.trim().is_empty() {
        let begun = rest.trim_start();
        if begun.len() == rest.len() {
            return Err(malformed);
        }
        let (name, after) = begun.split_once('=').ok_or(malformed)?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '\'' | '"')).ok_or(malformed)?;
        let (value, after) = after[1..].split_once(quote).ok_or(malformed)?;
        rest = after;
        let order = match name.trim_end() {
            "version" => {
                version = Some(value);
                1
            }
            "encoding" if value.eq_ignore_ascii_case("utf-8") => 2,
            "encoding" => return Err(ScanError::Encoding),
            "standalone" if matches!(value, "yes" | "no") => 3,
            _ => return Err(malformed),
        };
        if order <= stage {
            return Err(malformed);
        }
        stage = order;
    }
    if version != Some("1.0") {
        return Err(malformed);
    }
    Ok(Some(end + 1))
}

fn header(data: &[u8], tag: &StartTag, outer: &mut Vec<(String, String)>) -> Result<StreamHeader, ScanError> {
    if tag.is_empty {
        return Err(ScanError::NotWellFormed("an empty stream"));
    }
    check_declarations(data, &tag.declarations)?;
    outer.clear();
    for declared in &tag.declarations {
        let prefix = tag::text(data, declared.prefix).to_owned();
        outer.push((prefix, tag::text(data, declared.uri).to_owned()));
    }
    let uri_of = |prefix: &[u8]| {
        outer.iter().find(|(known, _)| known.as_bytes() == prefix).map(|(_, uri)| uri.clone())
    };
    let namespace = uri_of(slice(data, tag.name.prefix));
    if slice(data, tag.name.local) != b"stream" {
        return Err(ScanError::Format);
    }
    match namespace.as_deref() {
        Some(ns::STREAM) => {}
        None if tag.name.prefix.0 < tag.name.prefix.1 => return Err(ScanError::Prefix),
        _ => return Err(ScanError::Namespace),
    }
    // RFC 6120 §4.8.5: the prefix is `stream`, or none at all.
    if !matches!(slice(data, tag.name.prefix), b"stream" | b"") {
        return Err(ScanError::Prefix);
    }
    let attributes = read::attributes(data, &tag.attributes);
    let value =
        |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Ok(StreamHeader {
        content_ns: uri_of(b"").unwrap_or_default(),
        to: value("to"),
        from: value("from"),
        id: value("id"),
        version: value("version"),
        lang: value("xml:lang"),
    })
}

/// Finds the `>` that ends a tag; remembers where it has looked and which quote is open.
fn tag_end(data: &[u8], from: usize, quote: &mut Option<u8>, looked: &mut usize) -> Option<usize> {
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

/// Namespaces in XML §3 and §5: what may be declared.
fn check_declarations(data: &[u8], declarations: &[Declaration]) -> Result<(), ScanError> {
    for declared in declarations {
        let prefix = slice(data, declared.prefix);
        let uri = slice(data, declared.uri);
        let wrong = match prefix {
            b"xmlns" => true,
            b"xml" => uri != ns::XML.as_bytes(),
            b"" => uri == ns::XML.as_bytes() || uri == ns::XMLNS.as_bytes(),
            _ => uri.is_empty() || uri == ns::XML.as_bytes() || uri == ns::XMLNS.as_bytes(),
        };
        if wrong {
            return Err(ScanError::NotWellFormed("a namespace that may not be declared"));
        }
    }
    Ok(())
}

impl Progress {
    fn is_fresh(&self) -> bool {
        self.at == 0 && self.tag.is_none()
    }

    /// Goes on until the element is whole or the bytes are used up.
    fn read(&mut self, data: &[u8], limits: &Limits, outer: &[(String, String)]) -> Result<Found, ScanError> {
        loop {
            if self.in_cdata {
                if !self.cdata(data) {
                    return self.starved(data, limits);
                }
                continue;
            }
            if let Some((from, mut quote)) = self.tag {
                let Some(end) = tag_end(data, from + 1, &mut quote, &mut self.at) else {
                    self.tag = Some((from, quote));
                    return self.starved(data, limits);
                };
                self.within(from, end + 1, limits)?;
                self.tag = None;
                if self.tag_done(data, (from as u32, end as u32 + 1), limits, outer)? {
                    if !is_legal_text(&data[..=end]) {
                        return Err(ScanError::NotWellFormed("an illegal character"));
                    }
                    return Ok(Found::Element(end + 1));
                }
                self.at = end + 1;
                self.text_from = self.at;
                continue;
            }
            if !self.text(data, limits)? {
                return self.starved(data, limits);
            }
        }
    }

    /// More bytes are needed; unless a limit says that they will not help.
    fn starved(&self, data: &[u8], limits: &Limits) -> Result<Found, ScanError> {
        let from = self.tag.map_or(data.len(), |(from, _)| from);
        self.within(from, data.len(), limits)?;
        Ok(Found::Nothing)
    }

    /// Which limit is passed at `end`, if any: the one whose place comes first.
    fn within(&self, tag_from: usize, end: usize, limits: &Limits) -> Result<(), ScanError> {
        let tag_limit = tag_from + limits.tag_bytes;
        if end <= tag_limit.min(limits.stanza_bytes) {
            Ok(())
        } else if tag_limit < limits.stanza_bytes {
            Err(ScanError::Limit(LimitName::TagBytes))
        } else {
            Err(ScanError::Limit(LimitName::StanzaBytes))
        }
    }

    /// Reads text up to the next markup; false when the bytes are used up.
    fn text(&mut self, data: &[u8], limits: &Limits) -> Result<bool, ScanError> {
        if self.head.is_none() && data[0] != b'<' {
            // RFC 6120 §4.9.3.1: XML it is, but nothing a stream may hold.
            return Err(ScanError::Format);
        }
        while let Some(offset) = memchr::memchr3(b'<', b'&', b'>', &data[self.at..]) {
            let found = self.at + offset;
            self.within(data.len(), found + 1, limits)?;
            match data[found] {
                b'<' => return self.markup(data, found),
                b'&' => match reference(&data[found..]) {
                    Reference::Character(_, length) => self.at = found + length,
                    Reference::Incomplete => {
                        self.at = found;
                        return Ok(false);
                    }
                    Reference::Wrong(error) => return Err(error),
                },
                _ => {
                    if data[self.text_from..found].ends_with(b"]]") {
                        return Err(ScanError::NotWellFormed("]]> in text"));
                    }
                    self.at = found + 1;
                }
            }
        }
        self.at = data.len();
        Ok(false)
    }

    /// What begins at a `<`; false when it cannot be told yet.
    fn markup(&mut self, data: &[u8], at: usize) -> Result<bool, ScanError> {
        const CDATA: &[u8] = b"<![CDATA[";
        self.at = at;
        let rest = &data[at..];
        match rest.get(1) {
            None => return Ok(false),
            Some(b'?') => return Err(ScanError::Restricted("a processing instruction")),
            Some(b'!') => {
                let length = rest.len().min(CDATA.len());
                if rest[..length] != CDATA[..length] || self.head.is_none() {
                    return Err(ScanError::Restricted("a comment or a document type"));
                }
                if length < CDATA.len() {
                    return Ok(false);
                }
                self.in_cdata = true;
                if let Some(head) = &mut self.head {
                    head.has_cdata = true;
                }
                self.at = at + length;
            }
            Some(_) => {
                self.tag = Some((at, None));
                self.at = at + 1;
            }
        }
        Ok(true)
    }

    /// Reads to the end of a CDATA section; false when it has not come yet.
    fn cdata(&mut self, data: &[u8]) -> bool {
        match memchr::memmem::find(&data[self.at..], b"]]>") {
            Some(offset) => {
                self.at += offset + 3;
                self.text_from = self.at;
                self.in_cdata = false;
                true
            }
            None => {
                // Two bytes of the end may have come already.
                self.at = self.at.max(data.len().saturating_sub(2));
                false
            }
        }
    }

    /// A tag is whole. True when it ends the element.
    fn tag_done(
        &mut self,
        data: &[u8],
        span: Span,
        limits: &Limits,
        outer: &[(String, String)],
    ) -> Result<bool, ScanError> {
        if data[span.0 as usize + 1] == b'/' {
            let name = tag::end(data, span)?;
            let open = self.open.pop().ok_or(ScanError::NotWellFormed("an end tag too many"))?;
            if slice(data, open.name) != slice(data, name) {
                return Err(ScanError::NotWellFormed("an end tag of another name"));
            }
            return Ok(self.close(open.declared_before, span.0, span.1));
        }
        let tag = tag::start(data, span, limits)?;
        self.elements += 1;
        if self.elements > limits.elements {
            return Err(ScanError::Limit(LimitName::Elements));
        }
        if self.open.len() == limits.depth {
            return Err(ScanError::Limit(LimitName::Depth));
        }
        let declared_before = self.declared.len();
        check_declarations(data, &tag.declarations)?;
        self.declared.extend_from_slice(&tag.declarations);
        if self.declared.len() + outer.len() > limits.namespaces {
            return Err(ScanError::Limit(LimitName::Namespaces));
        }
        self.names(data, &tag, outer, span)?;
        if tag.is_empty {
            if self.open.is_empty()
                && let Some(head) = &mut self.head
            {
                head.inner = (span.1, span.1);
            }
            return Ok(self.close(declared_before, span.1, span.1));
        }
        if self.open.is_empty()
            && let Some(head) = &mut self.head
        {
            head.inner = (span.1, span.1);
        }
        self.open.push(Open { name: tag.name.whole, declared_before });
        Ok(false)
    }

    /// An element has ended; true when it was the top-level one.
    fn close(&mut self, declared_before: usize, inner_end: u32, end: u32) -> bool {
        self.declared.truncate(declared_before);
        match self.open.len() {
            0 => {
                if let Some(head) = &mut self.head {
                    head.inner.1 = inner_end;
                }
                true
            }
            1 => {
                if let Some(child) = self.children.last_mut() {
                    child.whole.1 = end;
                }
                false
            }
            _ => false,
        }
    }

    /// Resolves the prefixes of a tag, and notes it in the envelope or the index of children.
    fn names(
        &mut self,
        data: &[u8],
        tag: &StartTag,
        outer: &[(String, String)],
        span: Span,
    ) -> Result<(), ScanError> {
        let space = self.resolve(data, tag.name, outer, true)?;
        self.attributes_are_unique(data, tag, outer)?;
        match self.open.len() {
            0 => {
                self.head = Some(Head {
                    name: tag.name.local,
                    space,
                    attributes: tag.attributes.clone(),
                    declares: tag.declarations.clone(),
                    inner: (span.1, span.1),
                    uses_outer_prefix: false,
                    has_cdata: false,
                });
            }
            1 => {
                let own = tag.declarations.iter().any(|declared| {
                    space == Space::Declared(declared.uri)
                        && slice(data, declared.prefix) == slice(data, tag.name.prefix)
                });
                let space = if own { space } else { Space::Inherited };
                self.children.push(Child { whole: span, name: tag.name.local, space });
            }
            _ => {}
        }
        Ok(())
    }

    /// The namespace of a name. An unprefixed attribute has none.
    fn resolve(
        &mut self,
        data: &[u8],
        name: Name,
        outer: &[(String, String)],
        is_element: bool,
    ) -> Result<Space, ScanError> {
        let prefix = slice(data, name.prefix);
        match prefix {
            b"xml" if !is_element => return Ok(Space::Xml),
            b"xml" => return Err(ScanError::NotWellFormed("an element of XML's own namespace")),
            b"xmlns" => return Err(ScanError::NotWellFormed("xmlns is no prefix of names")),
            b"" if !is_element => return Ok(Space::None),
            _ => {}
        }
        let inner = self.declared.iter().rev().find(|declared| slice(data, declared.prefix) == prefix);
        if let Some(declared) = inner {
            return Ok(Space::Declared(declared.uri));
        }
        match outer.iter().position(|(known, _)| known.as_bytes() == prefix) {
            Some(number) => {
                if !prefix.is_empty()
                    && let Some(head) = &mut self.head
                {
                    head.uses_outer_prefix = true;
                }
                Ok(Space::Outer(number as u32))
            }
            None if prefix.is_empty() => Ok(Space::None),
            None => Err(ScanError::NotWellFormed("a prefix that is not bound")),
        }
    }

    /// Namespaces in XML §6.3: no two attributes of one name, however their prefixes are spelt.
    fn attributes_are_unique(
        &mut self,
        data: &[u8],
        tag: &StartTag,
        outer: &[(String, String)],
    ) -> Result<(), ScanError> {
        let mut seen: SmallVec<[(Space, Span); 4]> = SmallVec::new();
        let prefixed =
            tag.attributes.iter().filter(|attribute| attribute.name.prefix.0 < attribute.name.prefix.1);
        for attribute in prefixed {
            let space = self.resolve(data, attribute.name, outer, false)?;
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
}
