//! One step of a quiet world for unit tests, and plain views of what it left.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use step::{
    Act, Busy, Clock, Domain, Entropy, Memory, Question, Read, Reply, Roster, Session, SessionId, Sessions,
    Spawn, Step, Stop, World, Yield,
};
use store::{Credentials, RosterItem, Subscription};
use xmpp::error::StanzaError;
use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::{self, Element};

/// A clock that stands still, chance that counts, and a pool that is always full.
struct Quiet {
    now: Instant,
}

/// The one instant from which all tests count.
#[allow(clippy::disallowed_methods)] // any instant will do
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

impl Memory for Quiet {
    fn resident(&self) -> Option<u64> {
        None
    }

    fn look_again(&self) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn given(&self) -> Option<u64> {
        None
    }
}

impl Clock for Quiet {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn sleep(&self, _: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Entropy for Quiet {
    fn fill(&self, buffer: &mut [u8]) {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let order = std::sync::atomic::Ordering::Relaxed;
        let mut number = COUNT.fetch_add(1, order);
        for byte in buffer {
            *byte = (number & 31) as u8;
            number >>= 5;
        }
    }
}

impl Spawn for Quiet {
    fn spawn(&self, _: futures_util::future::BoxFuture<'static, ()>) {}

    fn run(&self, _: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        Err(Busy)
    }
}

/// Runs one step of an entity of `one.test`.
pub fn stepped<T>(run: impl FnOnce(&mut Step<'_>) -> T) -> (T, Yield) {
    stepped_at(Duration::ZERO, run)
}

/// Runs one step so long after the others.
pub fn stepped_at<T>(after: Duration, run: impl FnOnce(&mut Step<'_>) -> T) -> (T, Yield) {
    stepped_of(&domain(), after, run)
}

/// Runs one step of an entity of this domain.
pub fn stepped_of<T>(domain: &Domain, after: Duration, run: impl FnOnce(&mut Step<'_>) -> T) -> (T, Yield) {
    let quiet = Arc::new(Quiet { now: beginning() + after });
    let world = World { clock: quiet.clone(), entropy: quiet.clone(), spawn: quiet.clone(), memory: quiet };
    let mut step = Step::new(&world, domain, world.clock.now());
    let value = run(&mut step);
    (value, step.finish())
}

/// `one.test`, whose admin is `admin@one.test`.
pub fn domain() -> Domain {
    Domain {
        jid: jid("one.test"),
        registration_open: false,
        admins: [bare("admin@one.test")].into(),
        contacts: [
            ("abuse-addresses".to_owned(), "mailto:abuse@one.test".to_owned()),
            ("abuse-addresses".to_owned(), "xmpp:abuse@one.test".to_owned()),
        ]
        .into(),
        archive_keep: None,
        seal: Default::default(),
        push_shows: Default::default(),
        strangers_may_write: true,
        limits: Default::default(),
    }
}

/// An address.
pub fn jid(text: &str) -> Jid {
    Jid::new(text).expect(text)
}

/// An account's address.
pub fn bare(text: &str) -> BareJid {
    BareJid::new(text).expect(text)
}

/// An iq with this payload.
pub fn iq(type_: Type, payload: &str) -> Stanza {
    Stanza::iq(type_, "1").with_child(&element(payload))
}

/// An element from its text.
pub fn element(text: &str) -> Element {
    xml::parse(text.as_bytes(), xml::Limits::default()).expect(text)
}

/// Available sessions with these addresses, numbered from 0.
pub fn sessions(addresses: &[&str]) -> Sessions {
    let mut sessions = Sessions::default();
    for (number, address) in addresses.iter().enumerate() {
        let jid = FullJid::new(address).expect(address);
        let mut session = Session::new(SessionId(number as u64), jid.clone(), beginning());
        session.presence = Some(Stanza::presence(Type::Available).with_from(jid));
        sessions.add(session);
    }
    sessions
}

/// A roster with mutual subscriptions.
pub fn friends(addresses: &[&str]) -> Roster {
    let item =
        |address: &&str| RosterItem { subscription: Subscription::Both, ..RosterItem::new(bare(address)) };
    Roster::load(1, addresses.iter().map(item).collect(), Vec::new())
}

/// Keys of no password.
pub fn credentials() -> Credentials {
    Credentials { scram: Vec::new() }
}

/// An answer in a word: the condition of an error, `drop`, `later`, `result`, or the result's XML.
pub fn shown(reply: Result<Reply, Stop>) -> String {
    match reply {
        Ok(Reply::Done) => "result".to_owned(),
        Ok(Reply::Later) => "later".to_owned(),
        Ok(Reply::Result(element)) => element.to_xml(),
        Err(Stop::Drop(_)) => "drop".to_owned(),
        Err(Stop::Bounce(error)) => error
            .to_element()
            .children()
            .find(|child| child.ns() == "urn:ietf:params:xml:ns:xmpp-stanzas")
            .map(|condition| condition.name().to_owned())
            .unwrap_or_default(),
        Err(Stop::Failed(_)) => "failed".to_owned(),
    }
}

/// The error in an answer.
pub fn error(stanza: &Stanza) -> Option<StanzaError> {
    Some(StanzaError::from_element(&stanza.element(xmpp::ns::CLIENT, "error")?))
}

/// What was routed, in order.
pub fn routed(left: &Yield) -> Vec<Stanza> {
    left.acts
        .iter()
        .filter_map(|act| match act {
            Act::Route(stanza) | Act::RouteRegistered(_, stanza) => Some(stanza.clone()),
            _ => None,
        })
        .collect()
}

/// What was written to sessions, in order.
pub fn to_sessions(left: &Yield) -> Vec<(SessionId, Stanza)> {
    left.acts
        .iter()
        .filter_map(|act| match act {
            Act::Deliver(session, stanza) => Some((*session, stanza.clone())),
            _ => None,
        })
        .collect()
}

/// The topics that were read, in order.
pub fn reads(left: &Yield) -> Vec<&'static str> {
    left.acts
        .iter()
        .filter_map(|act| match act {
            Act::Ask(Question::Read(Read::Notes { topic, .. }), _) => Some(*topic),
            _ => None,
        })
        .collect()
}
