//! A bystander: somebody who uses the server meanwhile and measures how long it takes to answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use crate::support::person::Person;

/// Whose account it is.
pub const ACCOUNT: &str = "bystander@one.test";
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(20);

/// The bystander; dropping it lets it go.
pub struct Bystander {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    rounds: AtomicU64,
    worst_us: AtomicU64,
    gone: AtomicBool,
}

impl Bystander {
    /// Logs in over TLS and begins to write to itself: each message goes through the archive and is on disk before
    /// it comes back.
    ///
    /// # Errors
    /// When the server does not let it in.
    pub fn begin(address: SocketAddr, password: &str) -> Result<Bystander, String> {
        let mut person = Person::log_in_over_tls(address, ACCOUNT, password)?;
        person.say(&Stanza::presence(Type::Available));
        let seen = Arc::new(Seen::default());
        let theirs = seen.clone();
        let thread = std::thread::spawn(move || theirs.watch(person));
        Ok(Bystander { seen, thread: Some(thread) })
    }

    /// The longest round trip since the last look.
    ///
    /// # Errors
    /// When the server has sent the bystander away.
    pub fn look(&self) -> Result<Duration, String> {
        if self.seen.gone.load(Ordering::Acquire) {
            return Err("the bystander was not served any more".to_owned());
        }
        Ok(Duration::from_micros(self.seen.worst_us.swap(0, Ordering::AcqRel)))
    }

    /// How many messages have come back.
    pub fn rounds(&self) -> u64 {
        self.seen.rounds.load(Ordering::Acquire)
    }

    /// Waits until two more messages have come back: what went before has been measured.
    ///
    /// # Errors
    /// When none does for long, or the server has sent the bystander away.
    pub fn wait(&self) -> Result<(), String> {
        let (begun, rounds) = (Instant::now(), self.rounds());
        while self.rounds() < rounds + 2 {
            if self.seen.gone.load(Ordering::Acquire) {
                return Err("the bystander was not served any more".to_owned());
            }
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("the bystander waits since 20 s".to_owned());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Seen {
    fn watch(&self, mut person: Person) {
        let mut number = 0_u64;
        while !self.stop.load(Ordering::Acquire) {
            number += 1;
            let begun = Instant::now();
            if round(&mut person, number).is_err() {
                self.gone.store(true, Ordering::Release);
                return;
            }
            let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.worst_us.fetch_max(took, Ordering::AcqRel);
            self.rounds.fetch_add(1, Ordering::AcqRel);
            std::thread::sleep(PAUSE);
        }
    }
}

/// Says something to itself and hears it.
fn round(person: &mut Person, number: u64) -> Result<(), String> {
    let id = format!("round-{number}");
    let body = Element::new(ns::CLIENT, "body").with_text("still served?");
    let to = BareJid::new(ACCOUNT).map_err(|error| error.to_string())?;
    person.say(&Stanza::message(Type::Chat).with_to(to).with_id(&id).with_child(&body));
    while person.hear()?.attr("id") != Some(&id) {}
    Ok(())
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
