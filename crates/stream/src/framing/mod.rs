//! How a transport becomes frames: an opening, elements, a close. The machines see frames only;
//! WebSocket (RFC 7395), BOSH and the `jabber:server` streams enter here.

mod tcp;

use xmpp::stanza::Stanza;
use xmpp::xml::Element;
use xmpp::xml::{Limits, ScanError, StreamHeader, Top};

use tcp::Tcp;

/// One unit of a stream.
pub(crate) enum Frame<'a> {
    /// The peer opened a stream.
    Open(StreamHeader),
    /// One complete top-level element.
    Element(Top<'a>),
    /// The peer closed the stream.
    Close,
}

/// A stream header to write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header<'a> {
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    pub id: Option<&'a str>,
    pub version: Option<&'a str>,
    pub lang: Option<&'a str>,
}

/// A transport's way to carry frames.
#[derive(Debug)]
pub(crate) enum Framing {
    /// Bytes in order: TCP, with or without TLS.
    Tcp(Box<Tcp>),
}

impl Framing {
    pub fn tcp(limits: Limits) -> Self {
        Framing::Tcp(Box::new(Tcp::new(limits)))
    }

    /// The next frame, or none until more bytes come. Takes what it reads off
    /// `input`, which may be more than the frame: call it until it gives none.
    pub fn next<'a>(&'a mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, ScanError> {
        match self {
            Framing::Tcp(tcp) => tcp.next(input),
        }
    }

    /// From whom the last opening says that it comes, even if it was refused.
    pub fn said_from(&self) -> Option<&str> {
        match self {
            Framing::Tcp(tcp) => tcp.said_from(),
        }
    }

    /// Bytes taken off the input that belong to no frame yet.
    pub fn pending(&self) -> &[u8] {
        match self {
            Framing::Tcp(tcp) => tcp.pending(),
        }
    }

    /// From here on other limits hold.
    pub fn set_limits(&mut self, limits: Limits) {
        match self {
            Framing::Tcp(tcp) => tcp.set_limits(limits),
        }
    }

    /// The next frame opens a new stream on the same channel (RFC 6120 §4.3.3).
    pub fn restart(&mut self) {
        match self {
            Framing::Tcp(tcp) => tcp.restart(),
        }
    }
}

/// A transport's way to write frames, apart from its reader: a frame just read may be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    /// Bytes in order: TCP, with or without TLS.
    Tcp,
}

impl Dialect {
    pub fn write_open(self, header: &Header<'_>, out: &mut Vec<u8>) {
        match self {
            Dialect::Tcp => tcp::write_open(header, out),
        }
    }

    pub fn write_element(self, element: &Element, out: &mut Vec<u8>) {
        match self {
            Dialect::Tcp => tcp::write_element(element, out),
        }
    }

    pub fn write_stanza(self, stanza: &Stanza, out: &mut Vec<u8>) {
        match self {
            Dialect::Tcp => tcp::write_stanza(stanza, out),
        }
    }

    pub fn write_close(self, out: &mut Vec<u8>) {
        match self {
            Dialect::Tcp => tcp::write_close(out),
        }
    }
}
