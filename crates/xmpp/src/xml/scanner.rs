//! The scanner of streams: takes bytes as they come, gives whole top-level elements, refuses what is not strict XMPP.
//!
//! It is resumable at any byte and linear in the bytes: text is consumed as it arrives, and the search for the end of a
//! tag goes on where it stopped.

use smallvec::SmallVec;

use super::characters::is_legal_text;
use super::prolog::{self, Outer, StreamHeader};
use super::tag::{self, Declaration, Name, Reference, Span, StartTag, is_space, reference, slice};
use super::top::{Child, Head, Space, Top};
use super::{LimitName, Limits, ScanError};
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
    /// The stream's start tag.
    outer: Outer,
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
            outer: Outer::default(),
            progress: Progress::default(),
        }
    }

    /// A scanner for elements outside of a stream.
    pub(super) fn fragment(limits: Limits) -> Self {
        Scanner { phase: Phase::Fragment, ..Scanner::new(limits) }
    }

    /// A scanner for one element that stands where `default` is the default namespace.
    pub(crate) fn within(limits: Limits, default: &str) -> Self {
        Scanner { outer: Outer::default_ns(default), ..Scanner::fragment(limits) }
    }

    /// From here on with other limits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A new stream begins on the same connection (RFC 6120 §4.3.3); bytes that were kept belong to it.
    pub fn restart(&mut self) {
        self.phase = Phase::Prolog;
        self.outer = Outer::default();
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
        let outer = &self.outer.declared;
        let step = match self.phase {
            Phase::Prolog => prolog::opening(data, &self.limits, &mut self.outer)?.map(Found::Header),
            Phase::Closed => return Err(ScanError::NotWellFormed("something follows the stream")),
            Phase::Between if data[0] == b'<' && data.get(1) == Some(&b'/') => {
                prolog::closing(data, &self.outer)?.map(Found::End)
            }
            Phase::Between if data == b"<" => None,
            Phase::Between | Phase::Fragment => {
                self.progress.read(data, &self.limits, outer)?.map(Found::Element)
            }
        };
        match step {
            None => {
                if direct {
                    self.buffer.extend_from_slice(input);
                    *input = &[];
                }
                Ok(None)
            }
            Some(Found::Header((header, length))) => {
                self.phase = Phase::Between;
                self.give(direct, input, length);
                Ok(Some(Item::Open(header)))
            }
            Some(Found::End(length)) => {
                self.phase = Phase::Closed;
                self.give(direct, input, length);
                Ok(Some(Item::Close))
            }
            Some(Found::Element(length)) => {
                let progress = std::mem::take(&mut self.progress);
                let head = progress.head.ok_or(ScanError::NotWellFormed("no element"))?;
                self.give(direct, input, length);
                let data = if direct { given } else { &self.buffer[..length] };
                let (data, _) = data.split_at(length);
                let outer = &self.outer.declared;
                Ok(Some(Item::Element(Top { data, head, children: progress.children, outer })))
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

/// What was found, and its length.
enum Found {
    Header((StreamHeader, usize)),
    Element(usize),
    End(usize),
}

impl Progress {
    fn is_fresh(&self) -> bool {
        self.at == 0 && self.tag.is_none()
    }

    /// Goes on until the element is whole; returns its length then. The verdict depends on the bytes within the limit
    /// alone, however they are cut.
    fn read(
        &mut self,
        data: &[u8],
        limits: &Limits,
        outer: &[(String, String)],
    ) -> Result<Option<usize>, ScanError> {
        let within = &data[..data.len().min(limits.stanza_bytes)];
        let length = self.read_within(within, limits, outer)?;
        if length.is_none() && data.len() > limits.stanza_bytes {
            return Err(ScanError::Limit(LimitName::StanzaBytes));
        }
        Ok(length)
    }

    fn read_within(
        &mut self,
        data: &[u8],
        limits: &Limits,
        outer: &[(String, String)],
    ) -> Result<Option<usize>, ScanError> {
        loop {
            if self.in_cdata {
                if !self.cdata(data) {
                    return Ok(None);
                }
                continue;
            }
            if let Some((from, mut quote)) = self.tag {
                let end = tag::find_end(data, from + 1, &mut quote, &mut self.at);
                if end.map_or(data.len(), |end| end + 1) - from > limits.tag_bytes {
                    return Err(ScanError::Limit(LimitName::TagBytes));
                }
                let Some(end) = end else {
                    self.tag = Some((from, quote));
                    return Ok(None);
                };
                self.tag = None;
                if self.tag_done(data, (from as u32, end as u32 + 1), limits, outer)? {
                    if !is_legal_text(&data[..=end]) {
                        return Err(ScanError::NotWellFormed("an illegal character"));
                    }
                    return Ok(Some(end + 1));
                }
                self.at = end + 1;
                self.text_from = self.at;
                continue;
            }
            if !self.text(data)? {
                return Ok(None);
            }
        }
    }

    /// Reads text up to the next markup; false when the bytes are used up.
    fn text(&mut self, data: &[u8]) -> Result<bool, ScanError> {
        if self.head.is_none() && data[0] != b'<' {
            // RFC 6120 §4.9.3.1: XML it is, but nothing a stream may hold.
            return Err(ScanError::Format);
        }
        while let Some(offset) = memchr::memchr3(b'<', b'&', b'>', &data[self.at..]) {
            let found = self.at + offset;
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
        prolog::check_declarations(data, &tag.declarations)?;
        self.declared.extend_from_slice(&tag.declarations);
        if self.declared.len() + outer.len() > limits.namespaces {
            return Err(ScanError::Limit(LimitName::Namespaces));
        }
        self.names(data, &tag, outer, span)?;
        self.note_content(data, &tag);
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

    /// A child that names its content namespace is rewritten to inherit it. Deeper, `jabber:client` stays as it is: it
    /// is what everything is read as.
    fn note_content(&mut self, data: &[u8], tag: &StartTag) {
        let is_child = self.open.len() == 1;
        let names = |declared: &Declaration| {
            let uri = tag::text(data, declared.uri);
            ns::is_content(uri) && (is_child || uri != ns::CLIENT)
        };
        if let Some(head) = &mut self.head
            && !self.open.is_empty()
            && tag.declarations.iter().any(names)
        {
            head.names_content = true;
        }
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
        tag::check_unique(data, tag, outer, |name| self.resolve(data, name, outer, false))?;
        match self.open.len() {
            0 => {
                self.head = Some(Head {
                    name: tag.name.local,
                    space,
                    attributes: tag.attributes.clone(),
                    declares: tag.declarations.clone(),
                    inner: (span.1, span.1),
                    uses_outer_prefix: false,
                    names_content: false,
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
}
