//! What every state of a client stream shares: the channel, what is known of it, what to send.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::Stanza;
use xmpp::xml::Element;
use xmpp::xml::Top;

use super::{C2sSettings, CloseReason, Event, State, TransportFacts};
use crate::framing::{Dialect, Header};
use crate::limits::Allowance;
use crate::sasl::Identity;
use crate::seed::Seed;
use crate::tls::TlsFacts;
use xmpp::ns;

/// How the reader must change once the current frame is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reframe {
    /// A new stream begins on the same channel.
    Restart,
    /// The channel becomes secure, if nothing was said behind the request (RFC 6120 §5.3.3).
    Secure,
    /// A new stream begins on a new channel: what was read before counts for nothing.
    Fresh,
    /// The client is trusted with larger stanzas.
    Raise,
}

/// What all states share.
#[derive(Debug)]
pub(super) struct Line {
    pub settings: Arc<C2sSettings>,
    pub seed: Seed,
    pub now: Instant,
    pub dialect: Dialect,
    pub out: Vec<u8>,
    pub events: VecDeque<Event>,
    pub reframe: Option<Reframe>,
    /// STARTTLS is possible and not yet done.
    pub starttls: bool,
    pub tls: Option<TlsFacts>,
    /// The domain of the first header; later ones must repeat it.
    pub host: Option<String>,
    /// The account that a header inside TLS claimed to be.
    pub claimed: Option<BareJid>,
    /// The stream's default language, for stanzas that name none.
    pub lang: Option<String>,
    pub identity: Option<Identity>,
    /// The version that our header ns, if any (RFC 6120 §4.7.5).
    pub version: Option<String>,
    /// When the current stage of the login must be over.
    pub deadline: Instant,
    /// From whom the present header says that it comes; ours goes there (RFC 6120 §4.7.2).
    addressed: Option<BareJid>,
    header_sent: bool,
    /// Our half of the stream is closed: nothing more is written.
    closed: bool,
    allowance: Option<Allowance>,
}

impl Line {
    pub fn new(now: Instant, settings: Arc<C2sSettings>, seed: &[u8; 32], transport: TransportFacts) -> Self {
        let (starttls, tls) = match transport {
            TransportFacts::Tcp { starttls } => (starttls, None),
            TransportFacts::DirectTls(facts) => (false, Some(facts)),
        };
        let stage = if settings.tls_required && tls.is_none() {
            settings.deadlines.tls
        } else {
            settings.deadlines.auth
        };
        Line {
            allowance: Some(settings.allowance()),
            settings,
            seed: Seed::new(seed),
            now,
            dialect: Dialect::Tcp,
            out: Vec::new(),
            events: VecDeque::new(),
            reframe: None,
            starttls,
            tls,
            host: None,
            claimed: None,
            lang: None,
            identity: None,
            version: Some("1.0".to_owned()),
            deadline: now + stage,
            addressed: None,
            header_sent: false,
            closed: false,
        }
    }

    /// How many bytes the client may still send before login.
    pub fn bytes_left(&self) -> usize {
        self.allowance.as_ref().map_or(usize::MAX, Allowance::bytes_left)
    }

    /// Counts bytes before login.
    pub fn spend_bytes(&mut self, bytes: usize) {
        if let Some(allowance) = &mut self.allowance {
            allowance.spend_bytes(bytes);
        }
    }

    /// Counts an element before login; false when it is one too many.
    pub fn spend_element(&mut self) -> bool {
        self.allowance.as_mut().is_none_or(Allowance::spend_element)
    }

    /// The channel is inside TLS now: everything said before is forgotten (RFC 6120 §5.4.3.3).
    pub fn secured(&mut self, facts: TlsFacts) {
        self.tls = Some(facts);
        self.starttls = false;
        self.claimed = None;
        self.header_sent = false;
        self.reframe = Some(Reframe::Fresh);
        self.deadline = self.now + self.settings.deadlines.auth;
    }

    /// Somebody logged in: a new stream begins (RFC 6120 §6.4.6).
    pub fn logged_in(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.allowance = None;
        self.header_sent = false;
        self.reframe = Some(Reframe::Restart);
        self.deadline = self.now + self.settings.deadlines.bind;
    }

    /// Somebody logged in, and this stream goes on (XEP-0388 §2.6.1).
    pub fn entered(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.claimed = None;
        self.allowance = None;
        self.deadline = self.now + self.settings.deadlines.bind;
    }

    pub fn ask(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub fn write_element(&mut self, element: &Element) {
        if self.closed {
            return;
        }
        self.dialect.write_element(element, &mut self.out);
    }

    pub fn write_stanza(&mut self, stanza: &Stanza) {
        if self.closed {
            return;
        }
        self.dialect.write_stanza(stanza, &mut self.out);
    }

    /// The client's header says that it comes from here, whether we believe it or not.
    pub fn address(&mut self, from: Option<&str>) {
        self.addressed = from.and_then(|from| Jid::new(from).ok()).map(|from| from.bare());
    }

    /// Answers the client's header, once per stream.
    pub fn write_open(&mut self) {
        if self.header_sent || self.closed {
            return;
        }
        self.header_sent = true;
        let id = self.seed.token();
        let own = self.host.as_ref().or(self.settings.domains.first());
        let header = Header {
            from: own.map(String::as_str),
            to: self.addressed.as_ref().map(|jid| jid.as_str()),
            id: Some(&id),
            version: self.version.as_deref(),
            lang: Some("en"),
        };
        self.dialect.write_open(&header, &mut self.out);
    }

    /// An error closes the stream; a header comes before it in any case (RFC 6120 §4.9.1.2).
    pub fn write_error(&mut self, error: &StreamError) {
        self.write_open();
        self.write_element(&error.to_element());
        self.write_close();
    }

    pub fn write_close(&mut self) {
        if self.closed {
            return;
        }
        self.write_open();
        self.dialect.write_close(&mut self.out);
        self.closed = true;
    }

    /// STARTTLS is not possible here, or was not rightly asked for: the stream ends with it (RFC 6120 §5.4.2.2).
    pub fn refuse_tls(&mut self) -> StreamError {
        self.write_element(&Element::new(ns::TLS, "failure"));
        self.write_close();
        StreamCondition::PolicyViolation.into()
    }

    pub fn write_features(&mut self, features: impl IntoIterator<Item = Element>) {
        self.write_element(&Element::new(ns::STREAM, "features").with_children(features));
    }

    /// The client sent a stream error: the stream is over.
    pub fn peer_failed(&mut self, error: &Element) -> State {
        let condition = error.children().find(|child| child.ns() == ns::STREAM_ERRORS);
        let condition = condition.map_or("undefined-condition", |child| child.name());
        let condition = condition.to_owned();
        self.write_close();
        self.events.push_back(Event::Closed(CloseReason::PeerError(condition)));
        State::Closed
    }
}

pub(super) fn is_stream_error(top: &Top<'_>) -> bool {
    top.name() == "error" && top.ns() == ns::STREAM
}

/// Whether the element asks for TLS.
pub(super) fn is_starttls(top: &Top<'_>) -> bool {
    top.name() == "starttls" && top.ns() == ns::TLS
}

/// Whether the element is a stanza, whatever its content.
pub(super) fn is_stanza(top: &Top<'_>) -> bool {
    matches!(top.name(), "message" | "presence" | "iq") && top.ns() == ns::CLIENT
}
