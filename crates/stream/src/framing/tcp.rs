//! One XML document per direction over a byte stream (RFC 6120 §4).

use xmpp::stanza::{ContentNs, Stanza};
use xmpp::xml::Element;
use xmpp::xml::{Item, Limits, ScanError, Scanner};

use super::{Frame, Header};
use xmpp::ns;

/// Reads the frames of a TCP connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    scanner: Scanner,
}

impl Tcp {
    pub fn new(limits: Limits) -> Self {
        Tcp { scanner: Scanner::new(limits) }
    }

    pub fn said_from(&self) -> Option<&str> {
        self.scanner.said_from()
    }

    pub fn pending(&self) -> &[u8] {
        self.scanner.pending()
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.scanner.set_limits(limits);
    }

    pub fn restart(&mut self) {
        self.scanner.restart();
    }

    pub fn next<'a>(&'a mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, ScanError> {
        Ok(self.scanner.next(input)?.map(|item| match item {
            Item::Open(header) => Frame::Open(header),
            Item::Element(top) => Frame::Element(top),
            Item::Close => Frame::Close,
        }))
    }
}

pub fn write_open(header: &Header<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream");
    let attributes = [
        ("from", header.from),
        ("to", header.to),
        ("id", header.id),
        ("version", header.version),
        ("xml:lang", header.lang),
        ("xmlns", Some(ns::CLIENT)),
        ("xmlns:stream", Some(ns::STREAM)),
    ];
    for (name, value) in attributes {
        let Some(value) = value else { continue };
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"='");
        escape(value, out);
        out.push(b'\'');
    }
    out.push(b'>');
}

pub fn write_close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</stream:stream>");
}

pub fn write_element(element: &Element, out: &mut Vec<u8>) {
    // The stream's own elements carry its prefix: old parsers look for it.
    if element.ns() != ns::STREAM {
        element.write(ns::CLIENT, out);
        return;
    }
    let name = element.name().as_bytes();
    out.extend_from_slice(b"<stream:");
    out.extend_from_slice(name);
    out.push(b'>');
    for child in element.children() {
        child.write(ns::CLIENT, out);
    }
    out.extend_from_slice(b"</stream:");
    out.extend_from_slice(name);
    out.push(b'>');
}

pub fn write_stanza(stanza: &Stanza, out: &mut Vec<u8>) {
    stanza.write(out, ContentNs::Inherited);
}

/// Writes an attribute's value.
fn escape(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            b'\t' | b'\n' | b'\r' => out.extend_from_slice(format!("&#{byte};").as_bytes()),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn reads_what_it_writes() {
        let mut tcp = Tcp::new(limits::before());
        let header = Header { from: Some("a'&<b"), id: Some("1"), version: Some("1.0"), ..Header::default() };
        let mut out = Vec::new();
        write_open(&header, &mut out);
        write_element(
            &Element::new(ns::STREAM, "features").with_child(Element::new(ns::BIND, "bind")),
            &mut out,
        );
        write_close(&mut out);
        let mut rest = 0;
        let mut seen = Vec::new();
        while rest < out.len() {
            let mut input = &out[rest..];
            let frame = tcp.next(&mut input).unwrap();
            seen.push(match frame.expect("a frame") {
                Frame::Open(header) => header.from.unwrap_or_default(),
                Frame::Element(top) => top.element().to_xml(),
                Frame::Close => "close".to_owned(),
            });
            rest = out.len() - input.len();
        }
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[0], "a'&<b");
        assert!(seen[1].contains("bind"), "{}", seen[1]);
        assert_eq!(seen[2], "close");
    }
}
