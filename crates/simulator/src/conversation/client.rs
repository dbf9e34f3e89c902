//! One connection of a conversation: what has come on it, and how it gets in.

use super::reader::{CLIENT, Inbox, Item, Node, escape};
use super::sasl::{Exchange, Offer};
use super::script::{Attempt, Overlooked};
use super::stage::{Binding, Door, Received, Stage, Wire};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;
use xmpp::ns;

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2: &str = "urn:xmpp:sasl:2";

/// A connection.
#[derive(Debug)]
pub struct Client {
    /// The connection itself.
    pub wire: Wire,
    /// What TLS can be bound to.
    pub binding: Binding,
    /// The address it is bound to, once it is.
    pub jid: Option<String>,
    /// Whether the server ended the stream or the connection.
    pub closed: bool,
    /// What has come and has not been looked at.
    pub unread: VecDeque<Item>,
    /// What is passed over.
    pub overlooked: Vec<Overlooked>,
    /// The names of mechanisms and bindings that the last features told.
    pub offer: Offer,
    inbox: Inbox,
}

/// What came next.
#[derive(Debug)]
pub enum Next {
    /// This.
    Item(Item),
    /// Nothing more will.
    Closed,
    /// Nothing has.
    Quiet,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens, or TLS fails.
    pub fn connect(stage: &mut dyn Stage, door: Door, domain: &str) -> Result<Self, String> {
        let wire = stage.open(door, domain)?;
        let mut client = Client {
            wire,
            binding: Binding::default(),
            jid: None,
            closed: false,
            unread: VecDeque::new(),
            overlooked: Vec::new(),
            offer: Offer::default(),
            inbox: Inbox::default(),
        };
        if door == Door::Tls {
            client.binding = stage.secure(wire, domain, None)?;
        }
        Ok(client)
    }

    /// Sends text as it is.
    pub fn say(&mut self, stage: &mut dyn Stage, bytes: &[u8]) {
        // A new header begins a new stream, and the server's next header answers it (RFC 6120 §4.3.3).
        if bytes.windows(14).any(|part| part == b"<stream:stream") {
            self.inbox.restart();
        }
        stage.send(self.wire, bytes);
    }

    /// What came next.
    ///
    /// # Errors
    /// The server wrote what is not a stream.
    pub fn next(&mut self, stage: &mut dyn Stage) -> Result<Next, String> {
        match self.unread.pop_front() {
            Some(item) => Ok(Next::Item(item)),
            None => self.next_new(stage),
        }
    }

    /// What came next, after all that is unread.
    ///
    /// # Errors
    /// As [`Client::next`].
    pub fn next_new(&mut self, stage: &mut dyn Stage) -> Result<Next, String> {
        loop {
            if let Some(item) = self.inbox.next_item()? {
                if let Item::Element(node) = &item
                    && self.overlooked.iter().any(|kind| kind.is(node))
                {
                    continue;
                }
                self.closed |= item == Item::Close;
                if let Item::Element(node) = &item
                    && node.name == "features"
                {
                    self.offer = Offer::of(node);
                }
                return Ok(Next::Item(item));
            }
            match stage.receive(self.wire) {
                Received::Bytes(bytes) => self.inbox.receive(&bytes),
                Received::Quiet => return Ok(Next::Quiet),
                Received::Closed => {
                    self.closed = true;
                    return Ok(Next::Closed);
                }
            }
        }
    }

    /// What came next, which must be an element.
    ///
    /// # Errors
    /// It is something else, or nothing.
    pub fn element(&mut self, stage: &mut dyn Stage) -> Result<Node, String> {
        match self.next(stage)? {
            Next::Item(Item::Element(node)) => Ok(node),
            other => Err(format!("expected an element, got {}", say(&other, &self.inbox))),
        }
    }

    /// Sends a stream header and reads the server's (RFC 6120 §4.7).
    ///
    /// # Errors
    /// The server's header is not as it must be.
    pub fn open(&mut self, stage: &mut dyn Stage, domain: &str) -> Result<(), String> {
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        self.say(stage, header.as_bytes());
        match self.next(stage)? {
            Next::Item(Item::Open(node))
                if node.attribute("version") == Some("1.0")
                    && node.attribute("from") == Some(domain)
                    && node.attribute("id").is_some_and(|id| !id.is_empty()) =>
            {
                Ok(())
            }
            other => Err(format!("expected a stream header, got {}", say(&other, &self.inbox))),
        }
    }

    /// STARTTLS up to the end of the handshake (RFC 6120 §5).
    ///
    /// # Errors
    /// When it is not offered or fails.
    pub fn start_tls(
        &mut self,
        stage: &mut dyn Stage,
        domain: &str,
        certificate: Option<&str>,
    ) -> Result<(), String> {
        self.open(stage, domain)?;
        let features = self.element(stage)?;
        if features.child("starttls").is_none() {
            return Err(format!("STARTTLS is not offered: {}", features.to_xml()));
        }
        self.say(stage, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        let answer = self.element(stage)?;
        if answer.name != "proceed" {
            return Err(format!("STARTTLS is refused: {}", answer.to_xml()));
        }
        self.secure(stage, domain, certificate)
    }

    /// The TLS handshake.
    ///
    /// # Errors
    /// When it fails.
    pub fn secure(
        &mut self,
        stage: &mut dyn Stage,
        domain: &str,
        certificate: Option<&str>,
    ) -> Result<(), String> {
        self.binding = stage.secure(self.wire, domain, certificate)?;
        self.inbox = Inbox::default();
        Ok(())
    }

    /// Goes through SASL up to the server's last word, which is left unread.
    ///
    /// # Errors
    /// When the server does not follow the mechanism.
    pub fn authenticate(
        &mut self,
        stage: &mut dyn Stage,
        attempt: &Attempt,
        password: &str,
    ) -> Result<(), String> {
        let password = attempt.password.as_deref().unwrap_or(password);
        let (mut exchange, first) = Exchange::begin(attempt, password, &self.binding)?;
        let mechanism = escape(&attempt.mechanism);
        let (profile, auth) = match &attempt.asking {
            None => {
                let first = if first.is_empty() { "=".to_owned() } else { STANDARD.encode(first) };
                (SASL, format!("<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>"))
            }
            Some(asking) => {
                let first = STANDARD.encode(first);
                let first = format!("<initial-response>{first}</initial-response>");
                let start = format!("<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>");
                (SASL2, format!("{start}{first}{asking}</authenticate>"))
            }
        };
        self.say(stage, auth.as_bytes());
        if attempt.only_first {
            return Ok(());
        }
        let mut answer = self.element(stage)?;
        if answer.ns == profile && answer.name == "challenge" {
            let challenge = String::from_utf8(decoded(&answer)?).map_err(|error| error.to_string())?;
            self.offer.check(&challenge, attempt)?;
            let response = exchange.answer(&challenge)?;
            let response = format!("<response xmlns='{profile}'>{}</response>", STANDARD.encode(response));
            self.say(stage, response.as_bytes());
            answer = self.element(stage)?;
        }
        if answer.ns == SASL && answer.name == "success" {
            exchange.accept(&decoded(&answer)?)?;
        }
        if answer.ns == SASL2 && ["success", "continue"].contains(&answer.name.as_str()) {
            let data = answer.child("additional-data").map(decoded).transpose()?;
            exchange.accept(&data.unwrap_or_default())?;
        }
        self.unread.push_front(Item::Element(answer));
        Ok(())
    }

    /// Authenticates and reads the success.
    ///
    /// # Errors
    /// When the server does not let it in.
    pub fn log_in(&mut self, stage: &mut dyn Stage, jid: &str, password: &str) -> Result<(), String> {
        let (account, domain) = account(jid);
        self.open(stage, domain)?;
        let mut features = self.element(stage)?;
        if features.child("starttls").is_some() && self.binding == Binding::default() {
            self.say(stage, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            let answer = self.element(stage)?;
            if answer.name != "proceed" {
                return Err(format!("STARTTLS is refused: {}", answer.to_xml()));
            }
            self.secure(stage, domain, None)?;
            self.open(stage, domain)?;
            features = self.element(stage)?;
        }
        let offered: Vec<String> = features
            .child("mechanisms")
            .map(|node| node.children().map(Node::text).collect())
            .unwrap_or_default();
        let mechanism = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
            .into_iter()
            .find(|name| offered.iter().any(|other| other == name))
            .ok_or_else(|| format!("no mechanism that we know: {}", features.to_xml()))?;
        let attempt =
            Attempt { mechanism: mechanism.to_owned(), account: account.to_owned(), ..Attempt::default() };
        self.authenticate(stage, &attempt, password)?;
        let answer = self.element(stage)?;
        if answer.name == "success" {
            Ok(())
        } else {
            Err(format!("{account} is refused: {}", answer.to_xml()))
        }
    }

    /// Opens the last stream and binds the resource of `jid` (RFC 6120 §7).
    ///
    /// # Errors
    /// When another address is bound, or none.
    pub fn bind(&mut self, stage: &mut dyn Stage, jid: &str) -> Result<(), String> {
        let (account, domain) = account(jid);
        self.open(stage, domain)?;
        let features = self.element(stage)?;
        if features.child("bind").is_none() {
            return Err(format!("no binding is offered: {}", features.to_xml()));
        }
        let resource = escape(&jid[account.len() + 1..]);
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        );
        self.say(stage, bind.as_bytes());
        let answer = self.element(stage)?;
        let bound = answer.child("bind").and_then(|bind| bind.child("jid")).map(Node::text);
        if bound.as_deref() != Some(jid) {
            return Err(format!("{jid} was not bound: {}", answer.to_xml()));
        }
        self.jid = bound;
        Ok(())
    }

    /// Notes the address if a script binds one by hand.
    pub fn notice_binding(&mut self, node: &Node) {
        if node.ns == ns::SM && node.name == "resumed" {
            // Which one that is need not be known here.
            self.jid = Some(String::new());
        }
        let bind =
            node.child("bind").filter(|_| node.ns == CLIENT && node.attribute("type") == Some("result"));
        if let Some(jid) = bind.and_then(|bind| bind.child("jid")) {
            self.jid = Some(jid.text());
        }
        // XEP-0386 §3.2: a full address, if one is bound.
        let success = node.child("authorization-identifier").filter(|_| node.ns == SASL2);
        if let Some(own) = success.map(Node::text).filter(|own| own.contains('/')) {
            self.jid = Some(own);
        }
    }

    /// What is there instead of what was expected.
    pub fn say_next(&self, next: &Next) -> String {
        say(next, &self.inbox)
    }
}

/// The bare address, and its domain.
pub fn account(jid: &str) -> (&str, &str) {
    let bare = jid.split('/').next().unwrap_or(jid);
    (bare, bare.split_once('@').map_or(bare, |(_, domain)| domain))
}

fn decoded(node: &Node) -> Result<Vec<u8>, String> {
    let text = node.text();
    STANDARD.decode(&text).map_err(|error| format!("'{text}' is not base64: {error}"))
}

fn say(next: &Next, inbox: &Inbox) -> String {
    match next {
        Next::Item(Item::Element(node)) => node.to_xml(),
        Next::Item(Item::Open(node)) => format!("the stream header {}", node.to_xml()),
        Next::Item(Item::Close) => "</stream:stream>".to_owned(),
        Next::Closed => "the end of the connection".to_owned(),
        Next::Quiet if inbox.rest().is_empty() => "nothing".to_owned(),
        Next::Quiet => format!("only the beginning of something: {}", inbox.rest()),
    }
}
