//! How a stream begins and ends: the XML declaration, the stream's start tag, its end tag (RFC 6120 §4.7).

use super::characters::check_text;
use super::tag::{self, Declaration, Name, StartTag, is_space, slice};
use super::top::Space;
use super::{LimitName, Limits, ScanError, read};
use crate::ns;

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

/// Bytes of the XML declaration and the stream's start tag together; also of the stream's end tag.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// A stream's start tag: its default namespace and prefixes, its name as it was written, from whom it comes.
#[derive(Debug, Default)]
pub(super) struct Outer {
    /// Prefix (empty for the default namespace) and namespace.
    pub(super) declared: Vec<(String, String)>,
    name: String,
    /// Known even if the tag is refused.
    pub(super) from: Option<String>,
}

impl Outer {
    /// What is around one element that stands where `default` is the default namespace.
    pub(super) fn default_ns(default: &str) -> Self {
        Outer { declared: vec![(String::new(), default.to_owned())], ..Outer::default() }
    }
}

/// Reads what must come whole; `None`: more bytes are needed. The verdict depends on the first [`HEADER_BYTES_MAX`]
/// bytes alone, however they are cut.
fn bounded<T>(
    data: &[u8],
    read: impl FnOnce(&[u8]) -> Result<Option<T>, ScanError>,
) -> Result<Option<T>, ScanError> {
    let found = read(&data[..data.len().min(HEADER_BYTES_MAX)])?;
    if found.is_none() && data.len() > HEADER_BYTES_MAX {
        return Err(ScanError::Limit(LimitName::TagBytes));
    }
    Ok(found)
}

/// The stream's end tag; returns its length. It has the very name of the start tag (XML §3).
pub(super) fn closing(data: &[u8], outer: &Outer) -> Result<Option<usize>, ScanError> {
    bounded(data, |data| {
        let Some(end) = memchr::memchr(b'>', data) else { return Ok(None) };
        let name = tag::end(data, (0, end as u32 + 1))?;
        if slice(data, name) != outer.name.as_bytes() {
            return Err(ScanError::NotWellFormed("an end tag without its start"));
        }
        Ok(Some(end + 1))
    })
}

/// The XML declaration, if there is one, and the stream's start tag; returns their length too.
pub(super) fn opening(
    data: &[u8],
    limits: &Limits,
    outer: &mut Outer,
) -> Result<Option<(StreamHeader, usize)>, ScanError> {
    bounded(data, |data| {
        let mut at = 0;
        if begins(data, b"<?xml") {
            let Some(length) = declaration(data)? else { return Ok(None) };
            at = length + data[length..].iter().take_while(|byte| is_space(**byte)).count();
        }
        match &data[at..] {
            [] | [b'<'] | [b'<', b'!'] => return Ok(None),
            [b'<', b'!', b'[', ..] => {
                return Err(ScanError::NotWellFormed("a CDATA section before the stream"));
            }
            [b'<', b'!' | b'?', ..] => return Err(ScanError::Restricted("markup before the stream")),
            [b'<', ..] => {}
            // UTF-16 with or without a mark (RFC 6120 §11.6). A mark of UTF-8 is text like any other.
            [0xFE | 0xFF | 0x00, ..] => return Err(ScanError::Encoding),
            _ => return Err(ScanError::NotWellFormed("text before the stream")),
        }
        let Some(end) = tag::find_end(data, at + 1, &mut None, &mut 0) else { return Ok(None) };
        let tag = tag::start(data, (at as u32, end as u32 + 1), limits)?;
        check_text(&data[..=end])?;
        let header = header(data, &tag, outer)?;
        Ok(Some((header, end + 1)))
    })
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
    // XML §2.3 knows four spaces; Unicode has more.
    let space = |character: char| u8::try_from(character).is_ok_and(is_space);
    let mut version = None;
    let mut rest = inside;
    let mut stage = 0;
    while !rest.trim_matches(space).is_empty() {
        let begun = rest.trim_start_matches(space);
        if begun.len() == rest.len() {
            return Err(malformed);
        }
        let (name, after) = begun.split_once('=').ok_or(malformed)?;
        let after = after.trim_start_matches(space);
        let quote = after.chars().next().filter(|quote| matches!(quote, '\'' | '"')).ok_or(malformed)?;
        let (value, after) = after[1..].split_once(quote).ok_or(malformed)?;
        rest = after;
        let order = match name.trim_end_matches(space) {
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

fn header(data: &[u8], tag: &StartTag, outer: &mut Outer) -> Result<StreamHeader, ScanError> {
    if tag.is_empty {
        return Err(ScanError::NotWellFormed("an empty stream"));
    }
    let attributes = read::attributes(data, &tag.attributes);
    let value =
        |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    outer.from = value("from");
    check_declarations(data, &tag.declarations)?;
    let declared = tag.declarations.iter();
    outer.declared = declared
        .map(|declared| {
            (tag::text(data, declared.prefix).to_owned(), tag::text(data, declared.uri).to_owned())
        })
        .collect();
    outer.name = tag::text(data, tag.name.whole()).to_owned();
    let uri_of = |prefix: &[u8]| {
        outer.declared.iter().find(|(known, _)| known.as_bytes() == prefix).map(|(_, uri)| uri.clone())
    };
    let namespace = uri_of(slice(data, tag.name.prefix()));
    if slice(data, tag.name.local()) != b"stream" {
        return Err(ScanError::Format);
    }
    match namespace.as_deref() {
        Some(ns::STREAM) => {}
        None if tag.name.has_prefix() => return Err(ScanError::Prefix),
        _ => return Err(ScanError::Namespace),
    }
    // RFC 6120 §4.8.5: the prefix is `stream`, or none at all.
    if !matches!(slice(data, tag.name.prefix()), b"stream" | b"") {
        return Err(ScanError::Prefix);
    }
    tag::check_unique(data, tag, &outer.declared, |name| space(data, name, outer))?;
    Ok(StreamHeader {
        content_ns: uri_of(b"").unwrap_or_default(),
        to: value("to"),
        from: value("from"),
        id: value("id"),
        version: value("version"),
        lang: value("xml:lang"),
    })
}

/// The namespace of an attribute's prefix in the stream's start tag.
fn space(data: &[u8], name: Name, outer: &Outer) -> Result<Space, ScanError> {
    let prefix = slice(data, name.prefix());
    if prefix == b"xml" {
        return Ok(Space::Xml);
    }
    let known = outer.declared.iter().position(|(known, _)| known.as_bytes() == prefix);
    known
        .map(|number| Space::Outer(number as u32))
        .ok_or(ScanError::NotWellFormed("a prefix that is not bound"))
}

/// Namespaces in XML §3 and §5: what may be declared.
pub(super) fn check_declarations(data: &[u8], declarations: &[Declaration]) -> Result<(), ScanError> {
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
