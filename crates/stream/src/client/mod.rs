//! The initiating side: a client that secures, logs in and binds, then speaks raw elements. The
//! simulator, the conversations and the benchmarks talk to servers through it.

mod login;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use xmpp::jid::FullJid;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use crate::c2s::TransportFacts;
use crate::framing::{Dialect, Frame, Framing, Header};
use crate::limits;
use crate::sasl::{Mechanism, SaslCondition};
use crate::seed::Seed;
use crate::tls::TlsFacts;
use login::Exchange;
use xmpp::ns;

/// What a client knows and wants.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The server's domain.
    pub domain: String,
    /// How to log in.
    pub login: Login,
    /// By which profile of SASL.
    pub profile: Profile,
    /// The resource to ask for; none: the server chooses.
    pub resource: Option<String>,
    /// Use STARTTLS where it is offered.
    pub starttls: bool,
    /// Mechanisms to use, best first; none: the best that is offered and fits the login.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// The stream's `xml:lang`.
    pub lang: Option<String>,
    /// How long it may take until a resource is bound.
    pub deadline: Duration,
    /// A former stream to go on with, if the server lets it (XEP-0198 §5).
    pub former: Option<Former>,
}

/// A stream whose connection has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Its id.
    pub id: String,
    /// How many stanzas of the server's have been handled on it, modulo 2^32.
    pub handled: u32,
    /// The address that it is bound to.
    pub jid: FullJid,
}

impl ClientSettings {
    /// A client of this domain that takes what it is offered.
    pub fn new(domain: impl Into<String>, login: Login) -> Self {
        ClientSettings {
            domain: domain.into(),
            login,
            profile: Profile::Sasl,
            resource: None,
            starttls: true,
            mechanisms: None,
            lang: None,
            deadline: Duration::from_secs(60),
            former: None,
        }
    }
}

/// The profiles of SASL that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The first one (RFC 6120 §6): a new stream begins behind it, and whatever else is wanted is asked for there.
    Sasl,
    /// The extensible one (XEP-0388): a former stream goes on with it (XEP-0198 §9.2).
    Sasl2,
}

impl Profile {
    fn namespace(self) -> &'static str {
        match self {
            Profile::Sasl => ns::SASL,
            Profile::Sasl2 => ns::SASL2,
        }
    }
}

/// How a client logs in.
#[derive(Clone)]
pub enum Login {
    /// With a user name and a password: SCRAM or PLAIN.
    Password {
        /// The local part of the account's address.
        username: String,
        /// Its password.
        password: String,
    },
    /// With the certificate shown in the TLS handshake: EXTERNAL.
    Certificate {
        /// The account to act as, if the certificate names several.
        authzid: Option<String>,
    },
    /// As nobody in particular.
    Anonymous,
    /// Not at all: every element is an event and the user speaks for itself.
    None,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Login::Password { .. } => "Password",
            Login::Certificate { .. } => "Certificate",
            Login::Anonymous => "Anonymous",
            Login::None => "None",
        })
    }
}

/// What a client asks or tells.
#[derive(Debug)]
pub enum ClientEvent {
    /// Asks for the TLS handshake: send what `poll_send` has first, then answer `TlsReady`.
    StartTls,
    /// The server's features, each time it sends some.
    Features(Element),
    /// Logged in and bound.
    Bound(FullJid),
    /// Logged in; the former stream goes on.
    Resumed {
        /// How many of the client's stanzas have been handled on it, modulo 2^32.
        handled: u32,
    },
    /// The former stream does not go on; a resource is asked for instead.
    NotResumed,
    /// Anything the server sent since.
    Element(Element),
    /// The login failed; the stream is closed.
    LoginFailed(SaslCondition),
    /// The resource was refused with this iq; the stream is closed.
    BindFailed(Element),
    /// The stream is over: send what `poll_send` still has, then close the connection.
    Closed(ClientClosed),
}

/// What a client is told.
#[derive(Debug)]
pub enum ClientAnswer {
    /// The handshake is done; `exporter` and `end_point` (of the server's certificate) make the
    /// channel-binding mechanisms possible.
    TlsReady(TlsFacts),
}

/// Why a client's stream is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientClosed {
    /// Both sides closed it.
    Ended,
    /// The server sent this stream error.
    Error(Element),
    /// The server did what it must not; in words.
    Protocol(&'static str),
    /// It took too long.
    TimedOut,
    /// The connection ended without a word (`Client::transport_closed`).
    TransportClosed,
}

/// One client stream, initiating side.
#[derive(Debug)]
pub struct Client {
    settings: ClientSettings,
    seed: Seed,
    framing: Framing,
    dialect: Dialect,
    state: State,
    tls: Option<TlsFacts>,
    jid: Option<FullJid>,
    logged_in: bool,
    out: Vec<u8>,
    events: VecDeque<ClientEvent>,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Waits for the server's header.
    Opening,
    /// Waits for its features.
    Features,
    /// Waits for `<proceed/>`.
    Proceeding,
    /// Waits for the handshake.
    Securing,
    /// A mechanism is running.
    Login(Exchange),
    /// Waits for word on the former stream.
    Resuming(Former),
    /// Waits for an address.
    Binding,
    /// Raw elements.
    Open,
    /// We closed and wait for the server to do so.
    Closing,
    Closed,
}

/// The id of the request to bind.
const BIND_ID: &str = "bind";

impl Client {
    /// A client on a new connection; its header is ready to be sent.
    pub fn new(now: Instant, settings: ClientSettings, seed: [u8; 32], transport: TransportFacts) -> Self {
        let tls = match transport {
            TransportFacts::Tcp { .. } => None,
            TransportFacts::DirectTls(facts) => Some(facts),
        };
        let mut client = Client {
            deadline: Some(now + settings.deadline),
            settings,
            seed: Seed::new(&seed),
            framing: Framing::tcp(limits::after()),
            dialect: Dialect::Tcp,
            state: State::Opening,
            tls,
            jid: None,
            logged_in: false,
            out: Vec::new(),
            events: VecDeque::new(),
        };
        client.open();
        client
    }

    /// Takes bytes from the server.
    pub fn receive(&mut self, _now: Instant, bytes: &[u8]) {
        let mut read = 0;
        while self.wants_input() {
            let mut input = &bytes[read..];
            let left = input.len();
            let frame = self.framing.next(&mut input);
            let taken = left - input.len();
            let (owned, failed) = match frame {
                Ok(Some(Frame::Open(_))) => (Some(Received::Open), false),
                Ok(Some(Frame::Element(top))) => (Some(Received::Element(top.element())), false),
                Ok(Some(Frame::Close)) => (Some(Received::Close), false),
                Ok(None) => (None, false),
                Err(_) => (None, true),
            };
            read += taken;
            match owned {
                Some(received) => self.handle(received),
                None if failed => self.protocol("the server's XML is broken"),
                None => break,
            }
        }
    }

    /// Takes an answer.
    pub fn answer(&mut self, _now: Instant, answer: ClientAnswer) {
        let ClientAnswer::TlsReady(facts) = answer;
        if matches!(self.state, State::Securing) {
            self.tls = Some(facts);
            self.framing = Framing::tcp(limits::after());
            self.open();
        }
    }

    /// The moment asked for by `poll_timeout` has come.
    pub fn timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|due| now >= due) {
            let ended = matches!(self.state, State::Closing);
            self.finish(if ended { ClientClosed::Ended } else { ClientClosed::TimedOut });
        }
    }

    /// The connection is gone: nothing more will be read.
    pub fn transport_closed(&mut self, _now: Instant) {
        if !matches!(self.state, State::Closed) {
            self.finish(ClientClosed::TransportClosed);
        }
    }

    /// Everything there is to send, in one buffer.
    pub fn poll_send(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| mem::take(&mut self.out))
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// When to call `timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether to read on: false during the TLS handshake and after the end.
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Securing | State::Closed)
    }

    /// The address of this stream, once it is bound.
    pub fn bound_jid(&self) -> Option<&FullJid> {
        self.jid.as_ref()
    }

    /// Sends one element as it is.
    pub fn send(&mut self, element: &Element) {
        self.dialect.write_element(element, &mut self.out);
    }

    /// Sends one stanza as it is.
    pub fn send_stanza(&mut self, stanza: &Stanza) {
        self.dialect.write_stanza(stanza, &mut self.out);
    }

    /// Sends bytes as they are, well-formed or not.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Closes the stream and waits a bounded time for the server to do so too.
    pub fn close(&mut self, now: Instant) {
        if matches!(self.state, State::Closing | State::Closed) {
            return;
        }
        self.dialect.write_close(&mut self.out);
        self.state = State::Closing;
        self.deadline = Some(now + limits::CLOSING_TIMEOUT);
    }

    fn open(&mut self) {
        let header = Header {
            to: Some(&self.settings.domain),
            version: Some("1.0"),
            lang: self.settings.lang.as_deref(),
            ..Header::default()
        };
        self.dialect.write_open(&header, &mut self.out);
        self.state = State::Opening;
    }

    fn handle(&mut self, received: Received) {
        match received {
            Received::Open if matches!(self.state, State::Opening) => self.state = State::Features,
            Received::Open => self.protocol("a second stream header"),
            Received::Close => {
                if !matches!(self.state, State::Closing) {
                    self.dialect.write_close(&mut self.out);
                }
                self.finish(ClientClosed::Ended);
            }
            Received::Element(element) if element.is(ns::STREAM, "error") => {
                if !matches!(self.state, State::Closing) {
                    self.dialect.write_close(&mut self.out);
                }
                self.finish(ClientClosed::Error(element));
            }
            Received::Element(element) => self.element(element),
        }
    }

    fn element(&mut self, element: Element) {
        match mem::replace(&mut self.state, State::Closed) {
            State::Features => self.features(element),
            State::Proceeding if element.is(ns::TLS, "proceed") => {
                self.state = State::Securing;
                self.events.push_back(ClientEvent::StartTls);
            }
            State::Proceeding => self.protocol("no <proceed/>"),
            State::Login(exchange) => self.login(exchange, &element),
            State::Resuming(former) => self.resuming(former, &element),
            State::Binding => self.binding(element),
            state @ (State::Open | State::Closing) => {
                self.state = state;
                self.events.push_back(ClientEvent::Element(element));
            }
            State::Opening | State::Securing | State::Closed => self.protocol("out of turn"),
        }
    }

    fn features(&mut self, features: Element) {
        if !features.is(ns::STREAM, "features") {
            return self.protocol("no features");
        }
        self.events.push_back(ClientEvent::Features(features.clone()));
        if matches!(self.settings.login, Login::None) && self.tls.is_some() {
            self.state = State::Open;
            return;
        }
        if self.logged_in {
            return match self.settings.former.take() {
                Some(former) if features.child(ns::SM, "sm").is_some() => self.resume(former),
                _ if features.child(ns::BIND, "bind").is_none() => self.protocol("no resource binding"),
                _ => self.bind(),
            };
        }
        let starttls = features.child(ns::TLS, "starttls").is_some();
        if self.tls.is_none() && starttls && self.settings.starttls {
            self.send(&Element::new(ns::TLS, "starttls"));
            self.state = State::Proceeding;
            return;
        }
        if matches!(self.settings.login, Login::None) {
            self.state = State::Open;
            return;
        }
        let nonce = self.seed.token();
        match login::begin(&self.settings, &features, self.tls.as_ref(), nonce) {
            Ok((exchange, auth)) => {
                self.send(&match (self.settings.profile, &self.settings.former) {
                    (Profile::Sasl2, Some(former)) => auth.with_child(resume(former)),
                    _ => auth,
                });
                self.state = State::Login(exchange);
            }
            Err(why) => self.protocol(why),
        }
    }

    fn login(&mut self, exchange: Exchange, element: &Element) {
        match element.name() {
            _ if element.ns() != self.settings.profile.namespace() => self.protocol("not SASL"),
            "challenge" => match exchange.respond(&self.settings, element) {
                Ok((exchange, response)) => {
                    self.send(&response);
                    self.state = State::Login(exchange);
                }
                Err(why) => {
                    self.send(&Element::new(ns::SASL, "abort"));
                    self.protocol(why);
                }
            },
            "success" if exchange.accepts(self.settings.profile, element) => {
                self.logged_in = true;
                match self.settings.profile {
                    Profile::Sasl => {
                        self.framing.restart();
                        self.open();
                    }
                    Profile::Sasl2 => self.entered(element),
                }
            }
            "success" => self.protocol("the server does not know the password"),
            "failure" => {
                let condition = element.children().find(|child| child.name() != "text");
                let condition = condition.map_or("", |child| child.name());
                let condition = SaslCondition::named(condition);
                self.events.push_back(ClientEvent::LoginFailed(condition));
                self.dialect.write_close(&mut self.out);
                self.finish(ClientClosed::Ended);
            }
            _ => self.protocol("not SASL"),
        }
    }

    /// Logged in by SASL2: the stream goes on, as a former one or with its features (XEP-0198 §9.2).
    fn entered(&mut self, success: &Element) {
        self.state = State::Features;
        let Some(former) = self.settings.former.take() else { return };
        match success.child(ns::SM, "resumed") {
            Some(resumed) => self.resuming(former, resumed),
            None => self.events.push_back(ClientEvent::NotResumed),
        }
    }

    fn resume(&mut self, former: Former) {
        self.send(&resume(&former));
        self.state = State::Resuming(former);
    }

    fn resuming(&mut self, former: Former, element: &Element) {
        let handled = element.attr("h").and_then(|h| h.parse().ok());
        match (element.name(), handled) {
            _ if element.ns() != ns::SM => self.protocol("not stream management"),
            ("resumed", Some(handled)) if element.attr("previd") == Some(former.id.as_str()) => {
                self.jid = Some(former.jid);
                self.deadline = None;
                self.state = State::Open;
                self.events.push_back(ClientEvent::Resumed { handled });
            }
            ("failed", _) => {
                self.events.push_back(ClientEvent::NotResumed);
                self.bind();
            }
            _ => self.protocol("neither resumed nor not"),
        }
    }

    fn bind(&mut self) {
        let mut bind = Element::new(ns::BIND, "bind");
        if let Some(resource) = &self.settings.resource {
            bind.push(Element::new(ns::BIND, "resource").with_text(resource));
        }
        self.send_stanza(&Stanza::iq(Type::Set, BIND_ID).with_child(&bind));
        self.state = State::Binding;
    }

    fn binding(&mut self, iq: Element) {
        let bind = iq.child(ns::BIND, "bind");
        let jid = bind.and_then(|bind| bind.child(ns::BIND, "jid"));
        match jid.and_then(|jid| FullJid::new(jid.text().trim()).ok()) {
            Some(jid) if iq.attr("type") == Some("result") && iq.attr("id") == Some(BIND_ID) => {
                self.jid = Some(jid.clone());
                self.deadline = None;
                self.state = State::Open;
                self.events.push_back(ClientEvent::Bound(jid));
            }
            _ => {
                self.events.push_back(ClientEvent::BindFailed(iq));
                self.dialect.write_close(&mut self.out);
                self.finish(ClientClosed::Ended);
            }
        }
    }

    fn protocol(&mut self, why: &'static str) {
        self.dialect.write_close(&mut self.out);
        self.finish(ClientClosed::Protocol(why));
    }

    fn finish(&mut self, why: ClientClosed) {
        self.state = State::Closed;
        self.deadline = None;
        self.events.push_back(ClientEvent::Closed(why));
    }
}

/// The request to go on with a former stream (XEP-0198 §5).
fn resume(former: &Former) -> Element {
    let resume = Element::new(ns::SM, "resume").with_attr("previd", former.id.as_str());
    resume.with_attr("h", former.handled.to_string())
}

/// A frame that owns what it holds.
enum Received {
    Open,
    Element(Element),
    Close,
}
