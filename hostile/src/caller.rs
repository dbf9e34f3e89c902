//! A client in the hands of somebody hostile: it gets in as all do, and then sends whatever bytes it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use simulator::conversation::script::Attempt;
use simulator::conversation::{Binding, Exchange};
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::sockets;

/// How long to wait for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that are kept of what the server says; beyond it the server says more than anybody asked.
const HEARD_MAX: usize = 64 * 1024 * 1024;

/// The client.
pub struct Caller {
    line: Line,
    domain: String,
    heard: Vec<u8>,
}

enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Caller {
    /// Connects; from another address of this machine, so that more can come than one address may have.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(server: SocketAddr, from: Option<Ipv4Addr>) -> Result<Caller, String> {
        let tcp = socket(server, from).map_err(|error| format!("{server}: {error}"))?;
        Ok(Caller::over(Line::Plain(tcp)))
    }

    /// Connects and does the TLS handshake.
    ///
    /// # Errors
    /// When nobody listens, or the handshake fails.
    pub fn connect_tls(server: SocketAddr, from: Option<Ipv4Addr>) -> Result<Caller, String> {
        static SETTINGS: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let tcp = socket(server, from).map_err(|error| format!("{server}: {error}"))?;
        let name = ServerName::try_from("one.test").map_err(|error| error.to_string())?;
        let settings = SETTINGS.get_or_init(|| sockets::settings(None)).clone();
        let connection = ClientConnection::new(settings, name).map_err(|error| error.to_string())?;
        let mut tls = StreamOwned::new(connection, tcp);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).map_err(|error| format!("TLS: {error}"))?;
        }
        Ok(Caller::over(Line::Tls(Box::new(tls))))
    }

    fn over(line: Line) -> Caller {
        Caller { line, domain: "one.test".to_owned(), heard: Vec::new() }
    }

    /// Speaks to another of the server's domains.
    pub fn domain(&mut self, domain: &str) {
        domain.clone_into(&mut self.domain);
    }

    /// Sends bytes as they are; false when the server does not take them any more.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        let said = match &mut self.line {
            Line::Plain(tcp) => tcp.write_all(bytes),
            Line::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        said.is_ok()
    }

    /// Sends bytes under TLS, where records should be; false when the server does not take them any more.
    pub fn say_beneath(&mut self, bytes: &[u8]) -> bool {
        match &mut self.line {
            Line::Plain(tcp) => tcp.write_all(bytes).is_ok(),
            Line::Tls(tls) => tls.sock.write_all(bytes).is_ok(),
        }
    }

    /// Has the keys of TLS 1.3 changed in both directions (RFC 8446 §4.6.3); false when the server does not take it.
    pub fn change_keys(&mut self) -> bool {
        match &mut self.line {
            Line::Plain(_) => false,
            Line::Tls(tls) => tls.conn.refresh_traffic_keys().is_ok() && tls.flush().is_ok(),
        }
    }

    /// Hears up to the next `end`, which is part of it.
    ///
    /// # Errors
    /// The connection ends, or nothing comes any more.
    pub fn hear(&mut self, end: &str) -> Result<String, String> {
        let mut from = 0;
        loop {
            let found = self.heard[from..].windows(end.len()).position(|part| part == end.as_bytes());
            if let Some(at) = found {
                let rest = self.heard.split_off(from + at + end.len());
                let heard = std::mem::replace(&mut self.heard, rest);
                return Ok(String::from_utf8_lossy(&heard).into_owned());
            }
            from = self.heard.len().saturating_sub(end.len());
            if self.read()? == 0 {
                let heard = String::from_utf8_lossy(&self.heard);
                return Err(format!("the connection ended before {end}, after: {heard}"));
            }
        }
    }

    /// Hears all until the server ends the connection.
    ///
    /// # Errors
    /// It does not end it.
    pub fn hear_all(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match self.read() {
                Ok(0) => return Ok(std::mem::take(&mut self.heard)),
                Ok(_) => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Opens a stream and hears the features.
    ///
    /// # Errors
    /// Something else comes.
    pub fn open(&mut self) -> Result<String, String> {
        let domain = &self.domain;
        let header = format!(
            "<stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        self.say(header.as_bytes());
        self.hear("</stream:features>")
    }

    /// Opens a stream, proves to know a password, and opens the next one; `account` is the name before the at sign.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn log_in(&mut self, account: &str, password: &str) -> Result<(), String> {
        self.open()?;
        self.prove(account, password)?;
        self.open().map(drop)
    }

    /// Proves to know a password, on a stream that is open.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn prove(&mut self, account: &str, password: &str) -> Result<(), String> {
        let mechanism = "SCRAM-SHA-1".to_owned();
        let account = format!("{account}@{}", self.domain);
        let attempt = Attempt { mechanism, account, ..Attempt::default() };
        let (mut exchange, first) = Exchange::begin(&attempt, password, &Binding::default())?;
        let auth = format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{}</auth>", STANDARD.encode(first));
        self.say(auth.as_bytes());
        let heard = self.hear(">")?;
        if !heard.starts_with("<challenge") {
            return Err(format!("{heard}{}", self.hear("</failure>")?));
        }
        let challenge = self.hear("</challenge>")?;
        let challenge = challenge.trim_end_matches("</challenge>");
        let response = exchange.answer(&decoded(challenge)?)?;
        self.say(format!("<response xmlns='{SASL}'>{}</response>", STANDARD.encode(response)).as_bytes());
        let heard = self.hear(">")?;
        if !heard.starts_with("<success") {
            return Err(format!("{heard}{}", self.hear("</failure>")?));
        }
        self.hear("</success>").map(drop)
    }

    /// Binds a resource.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn bind(&mut self, resource: &str) -> Result<(), String> {
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        );
        self.say(bind.as_bytes());
        let heard = self.hear("</iq>")?;
        if heard.contains("<jid>") { Ok(()) } else { Err(heard) }
    }

    /// Asks the server for a ping, and hears everything up to its answer.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ping(&mut self, id: &str) -> Result<String, String> {
        let ping = format!("<iq type='get' id='{id}' to='one.test'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.say(ping.as_bytes());
        self.hear(&format!("id='{id}'"))
    }

    /// Says that nothing more will come, and waits for the server to say the same.
    ///
    /// # Errors
    /// It does not.
    pub fn leave(mut self) -> Result<Vec<u8>, String> {
        let _ = self.tcp().shutdown(std::net::Shutdown::Write);
        self.hear_all()
    }

    /// How long it waits for anything.
    pub fn be_patient(&mut self, patience: Duration) {
        let _ = self.tcp().set_read_timeout(Some(patience));
    }

    /// Gives up writing when the server takes nothing for so long.
    pub fn stop_writing_after(&mut self, patience: Duration) {
        let _ = self.tcp().set_write_timeout(Some(patience));
    }

    fn tcp(&self) -> &TcpStream {
        match &self.line {
            Line::Plain(tcp) => tcp,
            Line::Tls(tls) => &tls.sock,
        }
    }

    fn read(&mut self) -> Result<usize, String> {
        let mut buffer = [0; 16 * 1024];
        let read = match &mut self.line {
            Line::Plain(tcp) => tcp.read(&mut buffer),
            Line::Tls(tls) => tls.read(&mut buffer),
        };
        match read {
            Ok(count) if self.heard.len() + count > HEARD_MAX => {
                Err("the server does not stop talking".to_owned())
            }
            Ok(count) => {
                self.heard.extend_from_slice(&buffer[..count]);
                Ok(count)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let (bytes, heard) = (self.heard.len(), String::from_utf8_lossy(&self.heard));
                let last: String =
                    heard.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
                Err(format!("the server said nothing more after {bytes} bytes: …{last}"))
            }
            // Reset, or TLS without its end: it is over all the same.
            Err(_) => Ok(0),
        }
    }
}

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

fn socket(server: SocketAddr, from: Option<Ipv4Addr>) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::from((IpAddr::V4(from), 0)).into())?;
    }
    socket.connect_timeout(&server.into(), PATIENCE)?;
    let tcp = TcpStream::from(socket);
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    Ok(tcp)
}

fn decoded(text: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
