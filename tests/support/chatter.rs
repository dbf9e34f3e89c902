//! A person on a phone: whose stream goes on over whatever becomes of its connection (XEP-0198).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use simulator::managed::Managed;
use stream::TransportFacts;
use stream::client::{Client, ClientEvent, ClientSettings, Login};
use xmpp::jid::{BareJid, FullJid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// How long one look at the connection takes at most.
const LOOK: Duration = Duration::from_millis(2);
/// How long it may take to be let in; a server that starts again is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many messages the server is asked how many it has handled.
const BETWEEN_REQUESTS: u32 = 10;

/// The person.
pub struct Chatter {
    address: SocketAddr,
    jid: FullJid,
    line: Option<(TcpStream, Client)>,
    managed: Option<Managed>,
    heard: VecDeque<Heard>,
}

/// What came.
#[derive(Debug)]
pub enum Heard {
    /// A message of this number.
    Message(u32),
    /// So many messages have been handled.
    Acked(u32),
    /// The stream goes on, and so many messages have been handled.
    Resumed(u32),
    /// Nothing for now.
    Nothing,
}

impl Chatter {
    /// Somebody who is not connected yet.
    pub fn new(address: SocketAddr, account: &str) -> Self {
        let jid = BareJid::new(account).and_then(|jid| jid.with_resource("phone")).expect("an address");
        Chatter { address, jid, line: None, managed: None, heard: VecDeque::new() }
    }

    /// Whether there is a connection, and a stream that can go on over another one.
    pub fn is_connected(&self) -> bool {
        let resumable = self.managed.as_ref().is_some_and(|managed| managed.former(&self.jid).is_some());
        self.line.is_some() && resumable
    }

    /// Says a message of this number.
    pub fn message(&mut self, to: &str, number: u32) {
        let to = BareJid::new(to).expect("an address");
        let body = Element::new(ns::CLIENT, "body").with_text(&number.to_string());
        let message = Stanza::message(Type::Chat).with_to(to).with_id(format!("m{number}")).with_child(&body);
        self.say(&message);
        if number.is_multiple_of(BETWEEN_REQUESTS) {
            self.send(&Managed::ask());
        }
    }

    fn say(&mut self, stanza: &Stanza) {
        if let Some(managed) = &mut self.managed {
            managed.sent(stanza);
        }
        if let Some((_, client)) = &mut self.line {
            client.send_stanza(stanza);
        }
    }

    fn send(&mut self, element: &Element) {
        if let Some((_, client)) = &mut self.line {
            client.send(element);
        }
    }

    /// The connection breaks.
    pub fn vanish(&mut self) {
        if let Some((tcp, _)) = self.line.take() {
            let _ = tcp.shutdown(Shutdown::Both);
        }
    }

    /// Closes the stream.
    pub fn say_goodbye(mut self) {
        if let Some((tcp, client)) = &mut self.line {
            client.close(now());
            let _ = client.poll_send().map(|out| tcp.write_all(&out));
        }
    }

    /// What comes next; connects if need be, and goes on with the former stream.
    pub fn hear(&mut self) -> Heard {
        if let Some(heard) = self.heard.pop_front() {
            return heard;
        }
        if self.line.is_none() {
            self.connect();
        }
        if self.look().is_err() {
            self.line = None;
        }
        // Asked again and again, so that the last messages are acknowledged, too.
        if self.heard.is_empty() {
            self.send(&Managed::ask());
            wait(LOOK);
        }
        self.heard.pop_front().unwrap_or(Heard::Nothing)
    }

    /// Writes what there is to say and reads what has come.
    fn look(&mut self) -> Result<(), String> {
        let Some((tcp, client)) = &mut self.line else { return Ok(()) };
        if let Some(out) = client.poll_send() {
            tcp.write_all(&out).map_err(|error| error.to_string())?;
        }
        let mut buffer = [0; 16 * 1024];
        match tcp.read(&mut buffer) {
            Ok(0) => return Err("the connection was closed".to_owned()),
            Ok(count) => client.receive(now(), &buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
        while let Some(event) = self.line.as_mut().and_then(|(_, client)| client.poll_event()) {
            match event {
                ClientEvent::Element(element) => self.element(&element),
                ClientEvent::Closed(why) => return Err(format!("{why:?}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn element(&mut self, element: &Element) {
        let managed = self.managed.as_mut().expect("the stream is managed from its beginning");
        let (answer, numbers) = managed.hear(element).expect("the server counts rightly");
        if !numbers.is_empty() {
            self.heard.push_back(Heard::Acked(numbers.len() as u32));
        }
        if let Some(answer) = answer {
            self.send(&answer);
        }
        if element.name() == "message" {
            assert_ne!(element.attr("type"), Some("error"), "{}", element.to_xml());
            let body = element.child(ns::CLIENT, "body").expect("a body").text();
            self.heard.push_back(Heard::Message(body.parse().expect("a number")));
        }
    }

    /// Logs in, and goes on with the former stream if there is one; it must be there.
    fn connect(&mut self) {
        let begun = now();
        while let Err(why) = self.try_to_connect() {
            assert!(begun.elapsed() < PATIENCE, "{}: {why}", self.jid);
            wait(Duration::from_millis(20));
        }
    }

    fn try_to_connect(&mut self) -> Result<(), String> {
        let tcp = TcpStream::connect(self.address).map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let (username, password) = (self.jid.local().unwrap_or_default().to_owned(), "secret".to_owned());
        let login = Login::Password { username, password };
        let mut settings =
            ClientSettings { starttls: false, ..ClientSettings::new(self.jid.domain(), login) };
        settings.resource = Some(self.jid.resource().to_owned());
        settings.former = self.managed.as_ref().and_then(|managed| managed.former(&self.jid));
        let knows_former = settings.former.is_some();
        // A nonce that nobody may guess is not needed here.
        let client = Client::new(now(), settings, [7; 32], TransportFacts::Tcp { starttls: false });
        let (tcp, client, resumed) = enter(tcp, client)?;
        tcp.set_read_timeout(Some(LOOK)).map_err(|error| error.to_string())?;
        self.line = Some((tcp, client));
        match (resumed, &mut self.managed) {
            (Some(handled), Some(managed)) => {
                let (again, numbers) = managed.resumed(handled).expect("the server counts rightly");
                self.heard.push_back(Heard::Resumed(numbers.len() as u32));
                if let Some((_, client)) = &mut self.line {
                    again.iter().for_each(|stanza| client.send_stanza(stanza));
                }
            }
            _ => {
                assert!(!knows_former, "{}: the stream was not resumed", self.jid);
                self.begin();
            }
        }
        Ok(())
    }

    /// A new stream is managed, and the person available.
    fn begin(&mut self) {
        self.send(&Managed::enable(true));
        self.managed = Some(Managed::default());
        self.say(&Stanza::presence(Type::Available));
    }
}

/// Returns the connection once the client is in, and how much had been handled if its former stream goes on.
fn enter(mut tcp: TcpStream, mut client: Client) -> Result<(TcpStream, Client, Option<u32>), String> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(out) = client.poll_send() {
            tcp.write_all(&out).map_err(|error| error.to_string())?;
        }
        match client.poll_event() {
            Some(ClientEvent::Bound(_)) => return Ok((tcp, client, None)),
            Some(ClientEvent::Resumed { handled }) => return Ok((tcp, client, Some(handled))),
            Some(ClientEvent::Features(_) | ClientEvent::NotResumed) => {}
            Some(other) => return Err(format!("not let in: {other:?}")),
            None => match tcp.read(&mut buffer).map_err(|error| error.to_string())? {
                0 => return Err("the connection was closed".to_owned()),
                count => client.receive(now(), &buffer[..count]),
            },
        }
    }
}

#[allow(clippy::disallowed_methods)] // a real server is waited for
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods)] // a real server is waited for
fn wait(time: Duration) {
    std::thread::sleep(time);
}
