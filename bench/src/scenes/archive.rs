//! People who read their archives page by page (XEP-0313), and what fills these.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Span, found, wrong};
use crate::crowd::{Crowd, Nothing, Scene, Wishes};
use crate::measured::{Server, Waits, Window};
use crate::session::Session;
use crate::text::{attribute, contains, inside};

/// Messages on a page.
const PAGE: u32 = 50;
/// Pages that one person reads back before beginning again at the last.
const BACK: u32 = 10;

#[derive(Debug, Clone)]
struct Reader {
    had: u32,
    before: String,
    pages: u32,
    at: Instant,
}

struct Reading {
    readers: HashMap<usize, Reader>,
    waits: Waits,
    short: u64,
}

impl Reading {
    fn ask(&mut self, who: usize, wishes: &mut Wishes) {
        let Some(reader) = self.readers.get_mut(&who) else { return };
        reader.had = 0;
        reader.pages += 1;
        reader.at = Instant::now();
        let before = if reader.before.is_empty() {
            "<before/>".to_owned()
        } else {
            format!("<before>{}</before>", reader.before)
        };
        let text = format!(
            "<iq type='set' id='p{}'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max>{before}</set></query></iq>",
            reader.pages
        );
        wishes.say(who, text.as_bytes());
    }
}

impl Scene for Reading {
    fn heard(
        &mut self,
        who: usize,
        _: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String> {
        let Some(reader) = self.readers.get_mut(&who) else { return Ok(()) };
        match name {
            "message" if contains(xml, "urn:xmpp:mam:2") => reader.had += 1,
            "iq" if attribute(xml, "type") == Some("error") => return Err(wrong(xml)),
            "iq" if contains(xml, "<fin") => {
                self.waits.note(reader.at.elapsed());
                self.short += u64::from(reader.had != PAGE);
                let again = reader.pages % BACK == 0 || reader.had != PAGE;
                let first = inside(xml, "first").unwrap_or_default();
                reader.before = if again { String::new() } else { first.to_owned() };
                self.ask(who, wishes);
            }
            _ => {}
        }
        Ok(())
    }
}

/// So many sessions of one account read for this time: the last page, and back from there.
///
/// # Errors
/// Of the crowd.
pub fn run(
    crowd: &mut Crowd,
    server: Server,
    account: u32,
    readers: u32,
    span: Span,
) -> Result<Value, String> {
    let numbers = crowd.gather((0..readers).map(|_| account), &mut Nothing)?;
    let reader = Reader { had: 0, before: String::new(), pages: 0, at: Instant::now() };
    let mut reading = Reading {
        readers: numbers.iter().map(|who| (*who, reader.clone())).collect(),
        waits: Waits::default(),
        short: 0,
    };
    numbers.iter().for_each(|who| reading.ask(*who, crowd.wishes()));
    crowd.turn_until(Instant::now() + span.settle, &mut reading)?;
    reading.waits.clear();
    let window = Window::open(server);
    crowd.turn_for(span.time, &mut reading, |reading| reading.waits.count() > 0)?;
    let used = window.close();
    let mut found = found(reading.waits.count(), used, &mut reading.waits);
    found["short"] = json!(reading.short);
    found["peak_kib"] = json!(server.memory().peak);
    Ok(found)
}

struct Filling {
    writer: usize,
    acked: u32,
}

impl Scene for Filling {
    fn heard(
        &mut self,
        who: usize,
        _: &Session,
        name: &str,
        xml: &[u8],
        _: &mut Wishes,
    ) -> Result<(), String> {
        match name {
            "a" if who == self.writer => {
                self.acked = attribute(xml, "h").and_then(|handled| handled.parse().ok()).unwrap_or_default();
            }
            "message" if attribute(xml, "type") == Some("error") => return Err(wrong(xml)),
            _ => {}
        }
        Ok(())
    }
}

/// The account writes so many messages to the next one: both archives have them.
///
/// # Errors
/// Of the crowd.
pub fn fill(crowd: &mut Crowd, domain: &str, account: u32, messages: u32) -> Result<Value, String> {
    let numbers = crowd.gather([account, account + 1].into_iter(), &mut Nothing)?;
    let mut filling = Filling { writer: numbers[0], acked: 0 };
    // Presence and queries of the beginning count, too.
    crowd.wishes().say(filling.writer, b"<r xmlns='urn:xmpp:sm:3'/>");
    crowd.turn_until(Instant::now() + Duration::from_secs(1), &mut filling)?;
    let already = filling.acked;
    for number in 0..messages {
        let text = format!(
            "<message to='u{}@{domain}' type='chat' id='f{number}'><body>number {number}: But, soft! what light \
             through yonder window breaks? It is the east, and Juliet is the sun.</body></message>",
            account + 1
        );
        crowd.wishes().say(filling.writer, text.as_bytes());
        if number % 50 == 49 || number + 1 == messages {
            crowd.wishes().say(filling.writer, b"<r xmlns='urn:xmpp:sm:3'/>");
            crowd.turn_while(&mut filling, |filling| filling.acked < already + number + 1)?;
        }
    }
    Ok(json!({ "units": messages }))
}
