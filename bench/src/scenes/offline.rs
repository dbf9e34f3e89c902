//! Messages to people who are not there, and their coming back to read them.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Span, wrong};
use crate::crowd::{Crowd, Nothing, Scene, Wishes};
use crate::measured::{Server, Waits, Window};
use crate::session::Session;
use crate::text::{attribute, contains};

/// Each of the senders writes to one person who is not there; the next message when the last has been acknowledged.
struct Writing {
    domain: String,
    people: u32,
    each: u32,
    sent: HashMap<usize, u32>,
    finished: u32,
    begun: HashMap<usize, Instant>,
    waits: Waits,
}

impl Writing {
    fn write(&mut self, who: usize, account: u32, wishes: &mut Wishes) {
        let sent = self.sent.entry(who).or_default();
        if *sent == self.each {
            self.finished += 1;
            return;
        }
        *sent += 1;
        let text = format!(
            "<message to='u{}@{}' type='chat' id='o{account}-{sent}'><body>number {sent}: But, soft! what light \
             through yonder window breaks? It is the east, and Juliet is the sun.</body></message>\
             <r xmlns='urn:xmpp:sm:3'/>",
            account + self.people,
            self.domain,
        );
        self.begun.insert(who, Instant::now());
        wishes.say(who, text.as_bytes());
    }
}

impl Scene for Writing {
    fn heard(
        &mut self,
        who: usize,
        session: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String> {
        match name {
            "message" if attribute(xml, "type") == Some("error") => return Err(wrong(xml)),
            "a" => {
                if let Some(begun) = self.begun.remove(&who) {
                    self.waits.note(begun.elapsed());
                    self.write(who, session.account, wishes);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Reading {
    came: BTreeSet<String>,
    twice: u64,
}

impl Scene for Reading {
    fn heard(&mut self, _: usize, _: &Session, name: &str, xml: &[u8], _: &mut Wishes) -> Result<(), String> {
        if name == "message" && contains(xml, "<body") {
            let id = attribute(xml, "id").unwrap_or_default().to_owned();
            self.twice += u64::from(!self.came.insert(id));
        }
        Ok(())
    }
}

/// Writes, reads, and comes in once more with nothing to read: what that costs is taken off.
///
/// # Errors
/// Of the crowd.
pub fn run(
    crowd: &mut Crowd,
    server: Server,
    domain: &str,
    people: u32,
    each: u32,
    span: Span,
) -> Result<Value, String> {
    let mut writing = Writing {
        domain: domain.to_owned(),
        people,
        each,
        sent: HashMap::new(),
        finished: 0,
        begun: HashMap::new(),
        waits: Waits::default(),
    };
    // What is loaded once for an account is not this scene's.
    let known = crowd.gather(people..people * 2, &mut Nothing)?;
    known.iter().for_each(|who| crowd.wishes().leave(*who));
    let senders = crowd.gather(0..people, &mut Nothing)?;
    crowd.turn_until(Instant::now() + span.settle, &mut Nothing)?;
    let window = Window::open(server);
    for (account, who) in senders.iter().enumerate() {
        writing.write(*who, account as u32, crowd.wishes());
    }
    crowd.turn_while(&mut writing, |writing| writing.finished < people)?;
    let storing = window.begun().elapsed();
    crowd.turn_until(Instant::now() + span.settle, &mut writing)?;
    let store = window.close();

    let units = u64::from(people) * u64::from(each);
    let mut reading = Reading::default();
    let window = Window::open(server);
    let readers = crowd.gather(people..people * 2, &mut reading)?;
    let begun = Instant::now();
    crowd.turn_while(&mut reading, |reading| {
        (reading.came.len() as u64) < units && begun.elapsed() < Duration::from_secs(30)
    })?;
    let draining = window.begun().elapsed();
    crowd.turn_until(Instant::now() + span.settle, &mut reading)?;
    let drain = window.close();
    readers.iter().for_each(|who| crowd.wishes().leave(*who));
    crowd.turn_until(Instant::now() + span.settle, &mut reading)?;

    let window = Window::open(server);
    let mut nothing = Reading::default();
    crowd.gather(people..people * 2, &mut nothing)?;
    crowd.turn_until(Instant::now() + span.settle, &mut nothing)?;
    let logins = window.close();
    let each_us = |time: Duration| time.as_secs_f64() * 1e6 / units as f64;
    let drained = drain.cpu.saturating_sub(logins.cpu);
    Ok(json!({
        "units": units,
        "cpu_us": each_us(store.cpu + drained),
        "store_us": each_us(store.cpu),
        "drain_us": each_us(drained),
        "rate": units as f64 / (storing + draining).as_secs_f64(),
        "p50_ms": writing.waits.at(0.5),
        "p99_ms": writing.waits.at(0.99),
        "lost": units - (reading.came.len() as u64).min(units),
        "twice": reading.twice + nothing.came.len() as u64,
        "peak_kib": server.memory().peak,
    }))
}
