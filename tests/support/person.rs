//! A person on a plain connection, for tests in which what is said matters and not how it is protected.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use stream::TransportFacts;
use stream::client::{Client, ClientEvent, ClientSettings, Login};
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A person with a bound resource.
pub struct Person {
    tcp: TcpStream,
    client: Client,
}

impl Person {
    /// Logs in and binds a resource.
    ///
    /// # Errors
    /// When the server does not let them in, or goes away.
    pub fn log_in(address: SocketAddr, account: &str, password: &str) -> Result<Self, String> {
        let (username, domain) = account.split_once('@').ok_or("an account has a domain")?;
        let tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let login = Login::Password { username: username.to_owned(), password: password.to_owned() };
        let settings = ClientSettings { starttls: false, ..ClientSettings::new(domain, login) };
        let seed =
            std::array::from_fn(|at| (tcp.local_addr().map_or(0, |own| own.port()) >> (at % 16)) as u8);
        let transport = TransportFacts::Tcp { starttls: false };
        let mut person = Person { client: Client::new(now(), settings, seed, transport), tcp };
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
                self.tcp.write_all(&out).map_err(|error| error.to_string())?;
            }
            if let Some(event) = self.client.poll_event() {
                return Ok(event);
            }
            match self.tcp.read(&mut buffer) {
                Ok(0) => return Err("the connection was closed".to_owned()),
                Ok(count) => self.client.receive(now(), &buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[allow(clippy::disallowed_methods)] // a real server is waited for
fn now() -> Instant {
    Instant::now()
}
