//! Pairs of people who answer one another's messages.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Span, found, wrong};
use crate::crowd::{Crowd, Nothing, Scene, Wishes};
use crate::measured::{Server, Waits, Window};
use crate::session::Session;
use crate::text::{attribute, contains};

/// How long the last messages may take.
const END: Duration = Duration::from_secs(15);
/// What everybody says: with it a message has about 300 bytes.
pub const BODY: &str = "But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun. \
     Arise, fair sun, and kill the envious moon.";

/// What a chat is like.
#[derive(Debug, Clone, Copy)]
pub struct Chat {
    /// Pairs who talk.
    pub pairs: u32,
    /// Messages of a pair that are under way at any time.
    pub window: u32,
    /// People who are there and say nothing.
    pub background: u32,
    /// Whether a sender asks with each message how many have been handled (XEP-0198).
    pub asks: bool,
}

struct Talk {
    chat: Chat,
    domain: String,
    first: usize,
    /// When what each has said, and what has not come yet, was said.
    said: Vec<VecDeque<Instant>>,
    waits: Waits,
    goes_on: bool,
    buffer: Vec<u8>,
    number: u64,
    came: u64,
    /// Of each, how many of its stanzas the server has handled, before the chat and now; and how many it said since.
    handled: Vec<(Option<u32>, u32)>,
    said_by: Vec<u32>,
}

impl Talk {
    fn say(&mut self, place: usize, wishes: &mut Wishes) {
        self.number += 1;
        self.buffer.clear();
        let _ = write!(
            self.buffer,
            "<message to='u{}@{}' type='chat' id='m{:08x}'><body>{BODY}</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
            place ^ 1,
            self.domain,
            self.number
        );
        if self.chat.asks {
            self.buffer.extend_from_slice(b"<r xmlns='urn:xmpp:sm:3'/>");
            self.said_by[place] += 1;
        }
        self.said[place].push_back(Instant::now());
        wishes.say(self.first + place, &self.buffer);
    }

    fn unacked(&self) -> u32 {
        let each = self.handled.iter().zip(&self.said_by);
        each.map(|((before, now), said)| said.saturating_sub(now.wrapping_sub(before.unwrap_or_default())))
            .sum()
    }

    fn under_way(&self) -> usize {
        self.said.iter().map(VecDeque::len).sum()
    }
}

impl Scene for Talk {
    fn heard(
        &mut self,
        who: usize,
        _: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String> {
        match name {
            "a" if who >= self.first => {
                let now =
                    attribute(xml, "h").and_then(|handled| handled.parse().ok()).ok_or_else(|| wrong(xml))?;
                let handled = &mut self.handled[who - self.first];
                *handled = (handled.0.or(Some(now)), now);
            }
            "message" if attribute(xml, "type") == Some("error") => return Err(wrong(xml)),
            "message" if who >= self.first && contains(xml, "<body") => {
                let place = who - self.first;
                let said = self.said[place ^ 1].pop_front().ok_or_else(|| wrong(xml))?;
                self.came += 1;
                self.waits.note(said.elapsed());
                if self.goes_on {
                    self.say(place, wishes);
                }
            }
            "error" => return Err(wrong(xml)),
            _ => {}
        }
        Ok(())
    }
}

/// Brings everybody in and lets them talk; what was lost is counted.
///
/// # Errors
/// Of the crowd.
pub fn run(crowd: &mut Crowd, server: Server, domain: &str, chat: Chat, span: Span) -> Result<Value, String> {
    let people = chat.pairs * 2;
    let idle = crowd.gather(people..people + chat.background, &mut Nothing)?;
    let numbers = crowd.gather(0..people, &mut Nothing)?;
    let mut talk = Talk {
        chat,
        domain: domain.to_owned(),
        first: numbers.first().copied().unwrap_or_default(),
        said: vec![VecDeque::new(); people as usize],
        waits: Waits::default(),
        goes_on: true,
        buffer: Vec::new(),
        number: 0,
        came: 0,
        handled: vec![(None, 0); people as usize],
        said_by: vec![0; people as usize],
    };
    if chat.asks {
        numbers.iter().for_each(|who| crowd.wishes().say(*who, b"<r xmlns='urn:xmpp:sm:3'/>"));
        crowd.turn_while(&mut talk, |talk| talk.handled.iter().any(|(before, _)| before.is_none()))?;
    }
    for place in 0..people as usize {
        // Both of a pair begin, as far as the window lets them.
        let begun = if place % 2 == 0 { chat.window.div_ceil(2) } else { chat.window / 2 };
        (0..begun).for_each(|_| talk.say(place, crowd.wishes()));
    }
    crowd.turn_until(Instant::now() + span.settle, &mut talk)?;
    talk.waits.clear();
    let window = Window::open(server);
    crowd.turn_for(span.time, &mut talk, |talk| talk.waits.count() > 0)?;
    let used = window.close();
    let mut found = found(talk.waits.count(), used, &mut talk.waits);
    talk.goes_on = false;
    let end = Instant::now() + END;
    crowd
        .turn_while(&mut talk, |talk| (talk.under_way() > 0 || talk.unacked() > 0) && Instant::now() < end)?;
    found["lost"] = json!(talk.under_way());
    found["unacked"] = json!(talk.unacked());
    found["background"] = json!(idle.len());
    found["said"] = json!(talk.number);
    found["came"] = json!(talk.came);
    let memory = server.memory();
    found["settled_kib"] = json!(memory.now);
    found["peak_kib"] = json!(memory.peak);
    Ok(found)
}
