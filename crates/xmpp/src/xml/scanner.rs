//! The scanner of streams: takes bytes as they come, gives whole top-level elements, refuses what is not strict XMPP.
//!
//! It is resumable at any byte and linear in the bytes: text is consumed as it arrives, and the search for the end of a
//! tag goes on where it stopped.

use super::characters::check_text;
use super::prolog::{self, Outer, StreamHeader};
use super::tag::{self, Declaration, Name, Reference, Span, StartTag, is_space, reference, same, slice};
use super::top::{Child, Head, Space, Top};
use super::{LimitName, Limits, ScanError};
use crate::ns;

/// What the scanner finds.
#[derive(Debug)]
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

/// Room for children that is kept from one element to the next.
const CHILDREN_KEPT: usize = 16;

/// How far the element that begins at the first byte has been read.
#[derive(Debug, Default)]
struct Progress {
    at: usize,
    /// Where the present run of text began.
    text_from: usize,
    /// An unfinished tag: where it begins, and the quote that is open at `at`.
    unfinished: Option<(usize, Option<u8>)>,
    in_cdata: bool,
    elements: usize,
    open: Vec<Open>,
    declared: Vec<Declaration>,
    /// Whether the start tag of the element has been read.
    begun: bool,
    head: Head,
    children: Vec<Child>,
    /// The tag that was read last.
    tag: StartTag,
    /// The element has been given out.
    given: bool,
}

/// An element that has begun.
#[derive(Debug, Clone, Copy)]
struct Open {
    name: Span,
    declared_before: u32,
}

/// How far a look at the bytes has led.
enum Look {
    /// On: there may be more to read.
    On,
    /// To the end of the bytes.
    Used,
    /// To the end of the element.
    Whole,
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

    /// From whom the last start tag of a stream says that it comes, even if the stream was refused.
    pub fn said_from(&self) -> Option<&str> {
        self.outer.from.as_deref()
    }

    /// Bytes that are kept because their element is not finished.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.given..]
    }

    /// The next item; takes from `input` what it has read. `None`: it has read all of it and needs more.
    ///
    /// # Errors
    /// The stream is over then.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Item<'s>>, ScanError> {
        if self.given > 0 {
            self.buffer.drain(..self.given);
            self.given = 0;
        }
        if self.progress.given {
            self.progress.begin();
        }
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
                self.progress.given = true;
                self.give(direct, input, length);
                let data = if direct { &given[..length] } else { &self.buffer[..length] };
                let Progress { head, children, .. } = &self.progress;
                Ok(Some(Item::Element(Top { data, head, children, outer: &self.outer.declared })))
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
        self.at == 0 && self.unfinished.is_none()
    }

    /// The next element: what was allocated is used again.
    fn begin(&mut self) {
        self.at = 0;
        self.text_from = 0;
        self.elements = 0;
        self.begun = false;
        self.given = false;
        self.open.clear();
        self.declared.clear();
        self.children.clear();
        self.children.shrink_to(CHILDREN_KEPT);
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
        let whole = loop {
            match self.look(within, limits, outer)? {
                Look::On => {}
                Look::Used => break false,
                Look::Whole => break true,
            }
        };
        if whole {
            check_text(&data[..self.at])?;
            return Ok(Some(self.at));
        }
        if data.len() > limits.stanza_bytes {
            return Err(ScanError::Limit(LimitName::StanzaBytes));
        }
        Ok(None)
    }

    fn look(&mut self, data: &[u8], limits: &Limits, outer: &[(String, String)]) -> Result<Look, ScanError> {
        if self.in_cdata {
            return Ok(self.cdata(data));
        }
        if self.unfinished.is_none() {
            match data.get(self.at) {
                None => return Ok(Look::Used),
                Some(b'<') => return self.markup(data, limits, outer),
                Some(_) => return self.text(data),
            }
        }
        let Some((from, mut quote)) = self.unfinished else { return Ok(Look::On) };
        let end = tag::find_end(data, from + 1, &mut quote, &mut self.at);
        if end.map_or(data.len(), |end| end + 1) - from > limits.tag_bytes {
            return Err(ScanError::Limit(LimitName::TagBytes));
        }
        let Some(end) = end else {
            self.unfinished = Some((from, quote));
            return Ok(Look::Used);
        };
        self.unfinished = None;
        let span = (from as u32, end as u32 + 1);
        if data[from + 1] == b'/' {
            let name = tag::end(data, span)?;
            return self.end(data, name, span);
        }
        match self.tag.read(&data[..=end], from, limits)? {
            Some(read) if read == end + 1 => self.start(data, span, limits, outer),
            _ => Err(ScanError::NotWellFormed("not a tag")),
        }
    }

    /// Reads text up to the next markup.
    fn text(&mut self, data: &[u8]) -> Result<Look, ScanError> {
        if !self.begun {
            // RFC 6120 §4.9.3.1: XML it is, but nothing a stream may hold.
            return Err(ScanError::Format);
        }
        while let Some(offset) = memchr::memchr3(b'<', b'&', b'>', &data[self.at..]) {
            let found = self.at + offset;
            self.at = found;
            match data[found] {
                b'<' => return Ok(Look::On),
                b'&' => match reference(&data[found..]) {
                    Reference::Character(_, length) => self.at += length,
                    Reference::Incomplete => return Ok(Look::Used),
                    Reference::Wrong(error) => return Err(error),
                },
                _ => {
                    if data[self.text_from..found].ends_with(b"]]") {
                        return Err(ScanError::NotWellFormed("]]> in text"));
                    }
                    self.at += 1;
                }
            }
        }
        self.at = data.len();
        Ok(Look::Used)
    }

    /// What begins at a `<`.
    fn markup(
        &mut self,
        data: &[u8],
        limits: &Limits,
        outer: &[(String, String)],
    ) -> Result<Look, ScanError> {
        let from = self.at;
        match data.get(from + 1) {
            None => return Ok(Look::Used),
            Some(b'?') => return Err(ScanError::Restricted("a processing instruction")),
            Some(b'!') => return self.cdata_begins(data),
            Some(b'/') => {
                // Nearly always just what is expected.
                if let Some(open) = self.open.last().copied() {
                    let name = slice(data, open.name);
                    let end = from + 2 + name.len();
                    if data.get(end) == Some(&b'>') && same(&data[from + 2..end], name) {
                        return self.end(data, open.name, (from as u32, end as u32 + 1));
                    }
                }
            }
            Some(_) => {
                // Nearly always the whole tag is there and as it must be. If not, its end is looked for first, so that
                // the verdict does not depend on how the bytes are cut.
                if let Ok(Some(end)) = self.tag.read(data, from, limits)
                    && end - from <= limits.tag_bytes
                {
                    return self.start(data, (from as u32, end as u32), limits, outer);
                }
            }
        }
        self.unfinished = Some((from, None));
        self.at = from + 1;
        Ok(Look::On)
    }

    fn cdata_begins(&mut self, data: &[u8]) -> Result<Look, ScanError> {
        const CDATA: &[u8] = b"<![CDATA[";
        let rest = &data[self.at..];
        let length = rest.len().min(CDATA.len());
        if rest[..length] != CDATA[..length] {
            return Err(ScanError::Restricted("a comment or a document type"));
        }
        if length < CDATA.len() {
            return Ok(Look::Used);
        }
        if !self.begun {
            // As in `text`: even an empty section is none of the white space that may stand there (RFC 6120 §11.7).
            return Err(ScanError::Format);
        }
        self.in_cdata = true;
        self.head.has_cdata = true;
        self.at += length;
        Ok(Look::On)
    }

    /// Reads to the end of a CDATA section.
    fn cdata(&mut self, data: &[u8]) -> Look {
        match memchr::memmem::find(&data[self.at..], b"]]>") {
            Some(offset) => {
                self.at += offset + 3;
                self.text_from = self.at;
                self.in_cdata = false;
                Look::On
            }
            None => {
                // Two bytes of the end may have come already.
                self.at = self.at.max(data.len().saturating_sub(2));
                Look::Used
            }
        }
    }

    /// An end tag is whole.
    fn end(&mut self, data: &[u8], name: Span, span: Span) -> Result<Look, ScanError> {
        let open = self.open.pop().ok_or(ScanError::NotWellFormed("an end tag too many"))?;
        if !same(slice(data, open.name), slice(data, name)) {
            return Err(ScanError::NotWellFormed("an end tag of another name"));
        }
        Ok(self.close(open.declared_before, span.0, span.1))
    }

    /// A start tag is whole: `self.tag`.
    fn start(
        &mut self,
        data: &[u8],
        span: Span,
        limits: &Limits,
        outer: &[(String, String)],
    ) -> Result<Look, ScanError> {
        self.elements += 1;
        if self.elements > limits.elements {
            return Err(ScanError::Limit(LimitName::Elements));
        }
        if self.open.len() == limits.depth {
            return Err(ScanError::Limit(LimitName::Depth));
        }
        let declared_before = self.declared.len() as u32;
        if !self.tag.declarations.is_empty() {
            prolog::check_declarations(data, &self.tag.declarations)?;
            self.declared.extend(self.tag.declarations.iter().copied());
            if self.declared.len() + outer.len() > limits.namespaces {
                return Err(ScanError::Limit(LimitName::Namespaces));
            }
            self.note_content(data);
        }
        let name = self.tag.name;
        let is_empty = self.tag.is_empty;
        self.note(data, outer, span)?;
        if is_empty {
            return Ok(self.close(declared_before, span.1, span.1));
        }
        self.open.push(Open { name: name.whole(), declared_before });
        self.at = span.1 as usize;
        self.text_from = self.at;
        Ok(Look::On)
    }

    /// A child that names its content namespace is rewritten to inherit it. Deeper, `jabber:client` stays as it is: it
    /// is what everything is read as.
    fn note_content(&mut self, data: &[u8]) {
        let is_child = self.open.len() == 1;
        let names = |declared: &Declaration| {
            if !slice(data, declared.uri).starts_with(b"jabber:") {
                return false;
            }
            let uri = tag::text(data, declared.uri);
            ns::is_content(uri) && (is_child || uri != ns::CLIENT)
        };
        if !self.open.is_empty() && self.tag.declarations.iter().any(names) {
            self.head.names_content = true;
        }
    }

    /// An element has ended.
    fn close(&mut self, declared_before: u32, inner_end: u32, end: u32) -> Look {
        self.declared.truncate(declared_before as usize);
        self.at = end as usize;
        self.text_from = self.at;
        match self.open.len() {
            0 => {
                self.head.inner.1 = inner_end;
                return Look::Whole;
            }
            1 => {
                if let Some(child) = self.children.last_mut() {
                    child.whole.1 = end;
                }
            }
            _ => {}
        }
        Look::On
    }

    /// Resolves the prefixes of the tag, and notes it in the envelope or the index of children.
    fn note(&mut self, data: &[u8], outer: &[(String, String)], span: Span) -> Result<(), ScanError> {
        let Progress { tag, declared, head, children, open, begun, .. } = self;
        let mut uses_outer = false;
        let space = resolve(data, declared, outer, tag.name, true, &mut uses_outer)?;
        tag::check_unique(data, tag, outer, |name| {
            resolve(data, declared, outer, name, false, &mut uses_outer)
        })?;
        match open.len() {
            0 => {
                *begun = true;
                head.name = tag.name.local();
                head.space = space;
                std::mem::swap(&mut head.attributes, &mut tag.attributes);
                std::mem::swap(&mut head.declares, &mut tag.declarations);
                head.inner = (span.1, span.1);
                head.uses_outer_prefix = false;
                head.names_content = false;
                head.has_cdata = false;
            }
            1 => {
                let own = tag.declarations.iter().any(|declared| {
                    space == Space::Declared(declared.uri)
                        && same(slice(data, declared.prefix), slice(data, tag.name.prefix()))
                });
                let space = if own { space } else { Space::Inherited };
                children.push(Child { whole: span, name: tag.name.local(), space });
                head.uses_outer_prefix |= uses_outer;
            }
            _ => head.uses_outer_prefix |= uses_outer,
        }
        Ok(())
    }
}

/// The namespace of a name; notes whether a prefix of the stream's start tag stands before it. An unprefixed attribute
/// has none.
#[inline(always)]
fn resolve(
    data: &[u8],
    declared: &[Declaration],
    outer: &[(String, String)],
    name: Name,
    is_element: bool,
    uses_outer: &mut bool,
) -> Result<Space, ScanError> {
    let prefix = slice(data, name.prefix());
    match prefix {
        b"xml" if !is_element => return Ok(Space::Xml),
        b"xml" => return Err(ScanError::NotWellFormed("an element of XML's own namespace")),
        b"xmlns" => return Err(ScanError::NotWellFormed("xmlns is no prefix of names")),
        b"" if !is_element => return Ok(Space::None),
        _ => {}
    }
    let inner = declared.iter().rev().find(|declared| same(slice(data, declared.prefix), prefix));
    if let Some(declared) = inner {
        return Ok(Space::Declared(declared.uri));
    }
    match outer.iter().position(|(known, _)| same(known.as_bytes(), prefix)) {
        Some(number) => {
            *uses_outer |= !prefix.is_empty();
            Ok(Space::Outer(number as u32))
        }
        None if prefix.is_empty() => Ok(Space::None),
        None => Err(ScanError::NotWellFormed("a prefix that is not bound")),
    }
}
