//! One session: a socket, TLS over it, and the stanzas that come.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConnection;
use socket2::{Domain, Protocol, Socket, Type};
use xmpp::xml::{Item, Limits, Scanner};

use crate::entry::{Client, Entry, Next, Way};
use crate::manner::{Manner, Peer};
use crate::scram::Salted;
use crate::text::contains;

/// The floor sends no header of a stream; what it relays is read as if it had.
const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
      version='1.0' from='floor' id='1'>";
/// Bytes in one plain read.
const PIECE: usize = 16 * 1024;

/// The session.
#[derive(Debug)]
pub struct Session {
    /// Whose it is.
    pub account: u32,
    /// Which of the account's clients.
    pub client: u32,
    tcp: TcpStream,
    tls: Option<ClientConnection>,
    scanner: Scanner,
    /// Until the person is in.
    entry: Option<Box<Entry>>,
    /// By what it came in.
    pub token: Option<String>,
    /// Its id, to go on with it.
    pub stream: Option<String>,
    /// Whether a header has been sent in clear text.
    opened: bool,
    /// How much of what it said had been handled of the former stream, if that goes on.
    pub resumed: Option<u32>,
    counts: bool,
    /// Stanzas that have come since the stream is managed.
    pub handled: u32,
    /// Whether there is something to write.
    pub waiting: bool,
}

/// What a session is told.
pub enum Event<'a> {
    /// The person is in.
    In,
    /// A stanza, or another element of the stream; its name and bytes.
    Stanza(&'a str, &'a [u8]),
}

impl Session {
    /// Begins to connect.
    ///
    /// # Errors
    /// Of the system.
    pub fn connect(
        number: usize,
        client: Client,
        way: Way,
        manner: &Manner,
        registry: &Registry,
    ) -> Result<Self, String> {
        let mut session =
            connect(number, client, way, manner, registry).map_err(|error| error.to_string())?;
        if manner.peer != Peer::StartTls {
            session.secure(manner)?;
        }
        Ok(session)
    }

    fn open(&mut self, manner: &Manner, secure: bool) {
        let mut out = Vec::new();
        if let Some(entry) = &self.entry {
            entry.open(manner, secure, &mut out);
        }
        self.say(&out);
    }

    fn secure(&mut self, manner: &Manner) -> Result<(), String> {
        let mut tls =
            ClientConnection::new(manner.tls(), manner.name()?).map_err(|error| error.to_string())?;
        tls.set_buffer_limit(None);
        self.tls = Some(tls);
        self.scanner.restart();
        if manner.peer == Peer::Floor {
            let _ = self.scanner.next(&mut &*HEADER);
        }
        self.open(manner, true);
        Ok(())
    }

    /// Says something; it is written by [`Session::flush`].
    pub fn say(&mut self, bytes: &[u8]) {
        // Neither fails: TLS has no limit, and the few words in clear text find room in the socket.
        match &mut self.tls {
            Some(tls) => {
                let _ = tls.writer().write_all(bytes);
            }
            None => {
                let _ = self.tcp.write_all(bytes);
            }
        }
        self.waiting = true;
    }

    /// Whether the person is in.
    pub fn is_in(&self) -> bool {
        self.entry.is_none()
    }

    /// Writes what there is to write.
    ///
    /// # Errors
    /// Of the connection.
    pub fn flush(&mut self) -> Result<(), String> {
        self.waiting = false;
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(format!("writing: {error}")),
            }
        }
        Ok(())
    }

    /// Reads what has come and tells of it.
    ///
    /// # Errors
    /// Of the connection, or a server that does not let the person in.
    pub fn read(
        &mut self,
        manner: &Manner,
        salted: &mut Salted,
        buffer: &mut [u8],
        tell: &mut dyn FnMut(&Session, Event<'_>),
    ) -> Result<(), String> {
        if self.tls.is_none() && !self.opened && self.tcp.peer_addr().is_ok() {
            self.opened = true;
            self.open(manner, false);
        }
        loop {
            let count = match self.tcp.read(buffer) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(count) => count,
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(format!("reading: {error}")),
            };
            if self.tls.is_some() {
                self.decrypt(&buffer[..count], manner, salted, tell)?;
            } else {
                self.take(&buffer[..count], manner, salted, tell)?;
            }
            // Of a stream socket, a short read is the last one.
            if count < buffer.len() {
                return Ok(());
            }
        }
    }

    fn decrypt(
        &mut self,
        mut cipher: &[u8],
        manner: &Manner,
        salted: &mut Salted,
        tell: &mut dyn FnMut(&Session, Event<'_>),
    ) -> Result<(), String> {
        let mut plain = [0; PIECE];
        while let (false, Some(tls)) = (cipher.is_empty(), &mut self.tls) {
            tls.read_tls(&mut cipher).map_err(|error| error.to_string())?;
            tls.process_new_packets().map_err(|error| format!("TLS: {error}"))?;
            self.waiting |= tls.wants_write();
            while let Some(Ok(count @ 1..)) = self.tls.as_mut().map(|tls| tls.reader().read(&mut plain)) {
                self.take(&plain[..count], manner, salted, tell)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        mut plain: &[u8],
        manner: &Manner,
        salted: &mut Salted,
        tell: &mut dyn FnMut(&Session, Event<'_>),
    ) -> Result<(), String> {
        // Out of the session, so that what it gives can be told of.
        let mut scanner = std::mem::replace(&mut self.scanner, Scanner::new(Limits::default()));
        let mut out = Vec::new();
        let mut next = Next::Wait;
        loop {
            let top = match scanner.next(&mut plain).map_err(|error| format!("XML: {error:?}"))? {
                Some(Item::Element(top)) => top,
                Some(Item::Open(_)) => continue,
                Some(Item::Close) => return Err("the server closed the stream".to_owned()),
                None => break,
            };
            let (name, xml) = (top.name(), top.bytes());
            self.count(name, xml, &mut out);
            // Some servers say what waits for somebody before all that was asked for is answered.
            if name == "message" && self.entry.is_some() {
                tell(self, Event::Stanza(name, xml));
            }
            if let Some(entry) = &mut self.entry {
                next = entry.heard(name, xml, manner, salted, &mut out)?;
                match next {
                    Next::Wait => {}
                    Next::In => {
                        self.come_in();
                        tell(self, Event::In);
                    }
                    Next::Restart => scanner.restart(),
                    Next::Secure => break,
                }
            } else {
                tell(self, Event::Stanza(name, xml));
            }
        }
        self.scanner = scanner;
        if next == Next::Secure && self.tls.is_none() {
            return self.secure(manner);
        }
        if !out.is_empty() {
            self.say(&out);
        }
        Ok(())
    }

    fn come_in(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.token = entry.token;
            self.stream = entry.stream;
            self.resumed = entry.resumed;
        }
    }

    /// Stanzas are counted, and acknowledged when the server asks (XEP-0198 §4).
    fn count(&mut self, name: &str, xml: &[u8], out: &mut Vec<u8>) {
        match name {
            "message" | "presence" | "iq" => self.handled += u32::from(self.counts),
            "enabled" => self.counts = true,
            // Within a login (XEP-0386).
            "success" => {
                self.counts = contains(xml, "<enabled") || contains(xml, "<resumed");
                // The former stream is over.
                if contains(xml, "<enabled") {
                    self.handled = 0;
                }
            }
            "r" if self.counts => {
                let _ = write!(out, "<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled);
            }
            _ => {}
        }
    }

    /// The connection goes, without a word.
    pub fn vanish(&self) {
        let _ = self.tcp.shutdown(std::net::Shutdown::Both);
    }
}

fn connect(
    number: usize,
    client: Client,
    way: Way,
    manner: &Manner,
    registry: &Registry,
) -> std::io::Result<Session> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&manner.source(number).into())?;
    match socket.connect(&manner.address.into()) {
        Err(error) if error.raw_os_error() != Some(115) && !is_later(&error) => return Err(error),
        _ => {}
    }
    let mut tcp = TcpStream::from_std(socket.into());
    let handled = if let Way::Resume { handled, .. } = way { handled } else { 0 };
    registry.register(&mut tcp, Token(number), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Session {
        account: client.account,
        client: client.number,
        tcp,
        tls: None,
        scanner: Scanner::new(Limits::default()),
        entry: Some(Box::new(Entry::new(client, way))),
        token: None,
        stream: None,
        opened: false,
        resumed: None,
        counts: false,
        handled,
        waiting: false,
    })
}

fn is_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}
