//! How one session comes in: from the stream's header to where a person can talk.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stream::sasl::ht;

use crate::manner::{Manner, Peer};
use crate::scram::{Exchange, MECHANISMS, Salted};
use crate::text::{account, attribute, contains, inside};

/// Who comes in: accounts are numbered, and the clients of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Whose it is.
    pub account: u32,
    /// Which of the account's clients.
    pub number: u32,
}

impl From<u32> for Client {
    /// The account's first.
    fn from(account: u32) -> Self {
        Client { account, number: 0 }
    }
}

/// By what a session comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A password, then a resource: the old profile, which every server has.
    Password,
    /// A password in SASL2 (XEP-0388), with a token asked for (XEP-0484).
    PasswordForToken(Bind),
    /// That token, all said at once.
    Token(String, Bind),
    /// The token, and a stream that goes on (XEP-0198 §5).
    Resume {
        /// The token.
        token: String,
        /// The id of the stream.
        stream: String,
        /// Stanzas that the client had of it.
        handled: u32,
        /// If it does not go on.
        bind: Bind,
    },
}

/// When a session has its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// Within the login (XEP-0386): who knows archives.
    Within,
    /// After it (RFC 6120 §7): who is to be given what was held.
    After,
}

impl Way {
    fn bind(&self) -> Bind {
        match self {
            Way::Password => Bind::After,
            Way::PasswordForToken(bind) | Way::Token(_, bind) | Way::Resume { bind, .. } => *bind,
        }
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The server is waited for.
    Wait,
    /// TLS is negotiated now.
    Secure,
    /// A new stream begins on the connection.
    Restart,
    /// The person is in.
    In,
}

/// A session's entry.
#[derive(Debug)]
pub struct Entry {
    way: Way,
    client: Client,
    exchange: Option<(Exchange, bool)>,
    authenticated: bool,
    awaited: Option<u32>,
    /// The token that the server has given.
    pub token: Option<String>,
    /// The stream's id, to go on with it.
    pub stream: Option<String>,
    /// How much of what it said had been handled of the former stream, if that goes on.
    pub resumed: Option<u32>,
}

impl Entry {
    /// An entry of this client.
    pub fn new(client: Client, way: Way) -> Self {
        Entry {
            way,
            client,
            exchange: None,
            authenticated: false,
            awaited: None,
            token: None,
            stream: None,
            resumed: None,
        }
    }

    /// What is said first on a connection, and again when it is secure.
    pub fn open(&self, manner: &Manner, secure: bool, out: &mut Vec<u8>) {
        if manner.peer == Peer::Floor {
            let _ = write!(out, "<group id='{}'/>", self.client.account / manner.group);
            return;
        }
        header(manner, out);
        match &self.way {
            Way::Token(token, _) if secure => self.show(token, manner, "", out),
            Way::Resume { token, stream, handled, .. } if secure => {
                let wish = format!("<resume xmlns='urn:xmpp:sm:3' previd='{stream}' h='{handled}'/>");
                self.show(token, manner, &wish, out);
            }
            _ => {}
        }
    }

    fn show(&self, token: &str, manner: &Manner, wish: &str, out: &mut Vec<u8>) {
        let message = STANDARD.encode(ht::initiator(&format!("u{}", self.client.account), token, b""));
        let more = format!("<fast xmlns='urn:xmpp:fast:0'/>{wish}");
        self.authenticate("HT-SHA-256-NONE", &message, &more, manner, out);
    }

    fn authenticate(&self, mechanism: &str, message: &str, more: &str, manner: &Manner, out: &mut Vec<u8>) {
        let enable = if manner.managed { "<enable xmlns='urn:xmpp:sm:3' resume='true'/>" } else { "" };
        let carbons = if manner.carbons { "<enable xmlns='urn:xmpp:carbons:2'/>" } else { "" };
        let bind = match self.way.bind() {
            Bind::Within => format!("<bind xmlns='urn:xmpp:bind:0'><tag>bench</tag>{enable}{carbons}</bind>"),
            Bind::After => String::new(),
        };
        let _ = write!(
            out,
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
             <initial-response>{message}</initial-response>\
             <user-agent id='d4565fa7-4d72-4749-{:04x}-{:012x}'/>{bind}{more}</authenticate>",
            0xb3d3 + self.client.number,
            self.client.account
        );
    }

    /// What follows from an element that the server sent.
    ///
    /// # Errors
    /// Why the person does not come in.
    pub fn heard(
        &mut self,
        name: &str,
        xml: &[u8],
        manner: &Manner,
        salted: &mut Salted,
        out: &mut Vec<u8>,
    ) -> Result<Next, String> {
        match name {
            "features" if self.authenticated && self.way.bind() == Bind::After => {
                // Who comes back takes the place of itself.
                let resource = match self.way {
                    Way::Password => String::new(),
                    _ => format!("<resource>bench{}</resource>", self.client.number),
                };
                let _ = write!(
                    out,
                    "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
                );
            }
            "features" if self.authenticated => {}
            "features"
                if contains(xml, "urn:ietf:params:xml:ns:xmpp-tls") && manner.peer == Peer::StartTls =>
            {
                out.extend_from_slice(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            }
            "proceed" => return Ok(Next::Secure),
            "features" => self.begin(xml, manner, out)?,
            "challenge" => {
                let (exchange, again) = self.exchange.as_ref().ok_or("a challenge that nobody asked for")?;
                let answer = exchange.answer(
                    inside(xml, "challenge").unwrap_or_default(),
                    &manner.password,
                    salted,
                )?;
                let ns = if *again { "urn:xmpp:sasl:2" } else { "urn:ietf:params:xml:ns:xmpp-sasl" };
                let _ = write!(out, "<response xmlns='{ns}'>{answer}</response>");
            }
            "success" if self.way == Way::Password => {
                self.authenticated = true;
                header(manner, out);
                return Ok(Next::Restart);
            }
            "success" => return Ok(self.succeeded(xml, manner, out)),
            "in" if manner.peer == Peer::Floor => return Ok(Next::In),
            "iq" if attribute(xml, "type") == Some("result") && attribute(xml, "id") == Some("bind") => {
                let mut awaited = 0;
                if manner.carbons {
                    out.extend_from_slice(
                        b"<iq type='set' id='in1'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
                    );
                    awaited += 1;
                }
                if manner.managed {
                    out.extend_from_slice(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
                    awaited += 1;
                }
                self.settle(awaited, manner, out);
            }
            "iq" if attribute(xml, "id").is_some_and(|id| id.starts_with("in")) => {
                if attribute(xml, "type") != Some("result") {
                    return Err(refused(xml));
                }
                self.awaited = self.awaited.map(|awaited| awaited - 1);
            }
            "enabled" => {
                self.stream = attribute(xml, "id").map(str::to_owned);
                self.awaited = self.awaited.map(|awaited| awaited - 1);
            }
            "presence" if attribute(xml, "from").and_then(account) == Some(self.client.account) => {
                self.awaited = self.awaited.map(|awaited| awaited - 1);
            }
            "failure" | "error" | "failed" => return Err(refused(xml)),
            _ => {}
        }
        Ok(if self.awaited == Some(0) { Next::In } else { Next::Wait })
    }

    /// What everybody asks for once there is an address.
    fn settle(&mut self, already: u32, manner: &Manner, out: &mut Vec<u8>) {
        let mut awaited = already + 1;
        out.extend_from_slice(b"<iq type='get' id='in3'><query xmlns='jabber:iq:roster'/></iq>");
        if manner.available {
            out.extend_from_slice(b"<presence/>");
            awaited += 1;
        }
        self.awaited = Some(awaited);
    }

    fn begin(&mut self, xml: &[u8], manner: &Manner, out: &mut Vec<u8>) -> Result<(), String> {
        if matches!(self.way, Way::Token(..) | Way::Resume { .. }) {
            return Ok(());
        }
        let account = self.client.account;
        let offered = |name: &&&str| contains(xml, &format!(">{name}<"));
        let mechanism = MECHANISMS.iter().find(offered).ok_or_else(|| refused(xml))?;
        let (exchange, first) = Exchange::begin(mechanism, &format!("u{account}"), u64::from(account));
        let again = matches!(self.way, Way::PasswordForToken(_));
        if again {
            let wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
            self.authenticate(mechanism, &first, wish, manner, out);
        } else {
            let _ = write!(
                out,
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{first}</auth>"
            );
        }
        self.exchange = Some((exchange, again));
        Ok(())
    }

    /// The end of SASL2: the resource is there already, or comes next, or the former stream goes on.
    fn succeeded(&mut self, xml: &[u8], manner: &Manner, out: &mut Vec<u8>) -> Next {
        self.authenticated = true;
        let part = |name: &str| memchr::memmem::find(xml, name.as_bytes()).map(|at| &xml[at..]);
        let token = part("<token").and_then(|part| attribute(part, "token")).map(str::to_owned);
        self.token = token.or(match &self.way {
            Way::Token(token, _) | Way::Resume { token, .. } => Some(token.clone()),
            _ => None,
        });
        if let (Some(resumed), Way::Resume { stream, .. }) = (part("<resumed"), &self.way) {
            self.stream = Some(stream.clone());
            self.resumed = attribute(resumed, "h").and_then(|handled| handled.parse().ok());
            return Next::In;
        }
        if self.way.bind() == Bind::Within {
            self.stream = part("<enabled").and_then(|part| attribute(part, "id")).map(str::to_owned);
            self.settle(0, manner, out);
        }
        Next::Wait
    }
}

fn header(manner: &Manner, out: &mut Vec<u8>) {
    let _ = write!(
        out,
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
        manner.domain
    );
}

fn refused(xml: &[u8]) -> String {
    format!("the server says {}", String::from_utf8_lossy(xml))
}
