//! A person with one device, for tests in which what is said matters and not how it is protected.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use stream::client::{Client, ClientEvent, ClientSettings, Login};
use stream::{TlsFacts, TransportFacts};
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A person with a bound resource.
pub struct Person {
    channel: Box<dyn Channel>,
    client: Client,
}

/// What bytes go over.
trait Channel: Read + Write + Send {}

impl<T: Read + Write + Send> Channel for T {}

impl Person {
    /// Logs in over plain TCP and binds a resource.
    ///
    /// # Errors
    /// When the server does not let them in, or goes away.
    pub fn log_in(address: SocketAddr, account: &str, password: &str) -> Result<Self, String> {
        let tcp = connect(address)?;
        Person::enter(Box::new(tcp), TransportFacts::Tcp { starttls: false }, account, password)
    }

    /// Logs in over direct TLS, whatever the server's certificate, and binds a resource.
    ///
    /// # Errors
    /// As [`Person::log_in`].
    pub fn log_in_over_tls(address: SocketAddr, account: &str, password: &str) -> Result<Self, String> {
        let domain = account.split('@').next_back().unwrap_or_default().to_owned();
        let name = ServerName::try_from(domain).map_err(|error| error.to_string())?;
        let connection =
            ClientConnection::new(super::sockets::settings(None), name).map_err(|error| error.to_string())?;
        let tls = StreamOwned::new(connection, connect(address)?);
        let transport = TransportFacts::DirectTls(TlsFacts::default());
        Person::enter(Box::new(tls), transport, account, password)
    }

    fn enter(
        channel: Box<dyn Channel>,
        transport: TransportFacts,
        account: &str,
        password: &str,
    ) -> Result<Self, String> {
        let (username, domain) = account.split_once('@').ok_or("an account has a domain")?;
        let login = Login::Password { username: username.to_owned(), password: password.to_owned() };
        let settings = ClientSettings { starttls: false, ..ClientSettings::new(domain, login) };
        // A nonce that nobody may guess is not needed here.
        let client = Client::new(now(), settings, [7; 32], transport);
        let mut person = Person { channel, client };
        loop {
            match person.event()? {
                ClientEvent::Bound(_) => return Ok(person),
                ClientEvent::Features(_) => {}
                other => return Err(format!("{account} was not let in: {other:?}")),
            }
        }
    }

    /// Says something.
    pub fn say(&mut self, stanza: &Stanza) {
        self.client.send_stanza(stanza);
    }

    /// What is heard next.
    ///
    /// # Errors
    /// When the server goes away or says nothing.
    pub fn hear(&mut self) -> Result<Element, String> {
        match self.event()? {
            ClientEvent::Element(element) => Ok(element),
            other => Err(format!("heard {other:?}")),
        }
    }

    fn event(&mut self) -> Result<ClientEvent, String> {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(out) = self.client.poll_send() {
                let written = self.channel.write_all(&out).and_then(|()| self.channel.flush());
                written.map_err(|error| error.to_string())?;
            }
            if let Some(event) = self.client.poll_event() {
                return Ok(event);
            }
            match self.channel.read(&mut buffer) {
                Ok(0) => return Err("the connection was closed".to_owned()),
                Ok(count) => self.client.receive(now(), &buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    tcp.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    Ok(tcp)
}

#[allow(clippy::disallowed_methods)] // a real server is waited for
fn now() -> Instant {
    Instant::now()
}
