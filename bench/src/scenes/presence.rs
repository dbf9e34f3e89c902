//! People who go and come, and their contacts who are told: in circles in which everybody knows everybody.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use memchr::memmem;
use serde_json::{Value, json};

use super::{Span, found, wrong};
use crate::crowd::{Crowd, Nothing, Scene, Wishes};
use crate::measured::{Server, Waits, Window};
use crate::session::Session;
use crate::text::{account, attribute};

/// How long all answers to one person's requests may take; who then lacks contacts asks again.
const PATIENCE: Duration = Duration::from_secs(10);
const GOES: &[u8] = b"<presence type='unavailable'><status>gone for lunch</status></presence>";
const COMES: &[u8] = b"<presence><show>chat</show><status>here again</status>\
      <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://bench.example' \
      ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>";

/// People become contacts of one another by what clients say: one at a time in each circle, so that none is lost.
struct Making {
    domain: String,
    people: u32,
    circle: u32,
    done: u32,
    rosters: BTreeSet<u32>,
    wanted: bool,
}

impl Making {
    /// Asks all of the circle who come after.
    fn ask(&self, who: usize, own: u32, wishes: &mut Wishes) {
        let begin = own / self.circle * self.circle;
        for other in begin..begin + self.circle {
            if other != own && other < self.people {
                wishes.say(
                    who,
                    format!("<presence to='u{other}@{}' type='subscribe'/>", self.domain).as_bytes(),
                );
            }
        }
    }
}

impl Scene for Making {
    fn heard(
        &mut self,
        who: usize,
        session: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String> {
        match (name, attribute(xml, "type")) {
            ("presence", Some("subscribe")) => {
                let from = attribute(xml, "from").and_then(account).ok_or_else(|| wrong(xml))?;
                let answer = format!("<presence to='u{from}@{}' type='subscribed'/>", self.domain);
                wishes.say(who, answer.as_bytes());
            }
            ("presence", Some("subscribed")) => self.done += 1,
            ("iq", Some("set")) => {
                // A roster push (RFC 6121 §2.1.6).
                let id = attribute(xml, "id").unwrap_or_default();
                wishes.say(who, format!("<iq type='result' id='{id}'/>").as_bytes());
            }
            ("iq", Some("result")) if self.wanted => {
                let both = ["'both'", "\"both\""].map(|both| memmem::find_iter(xml, both).count());
                if both.iter().sum::<usize>() as u32 >= self.circle - 1 {
                    self.rosters.insert(session.account);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Makes everybody of a circle a contact of everybody else in it.
///
/// # Errors
/// Of the crowd, or rosters that are not complete.
pub fn acquaint(crowd: &mut Crowd, domain: &str, people: u32, circle: u32) -> Result<(), String> {
    let mut making = Making {
        domain: domain.to_owned(),
        people,
        circle,
        done: 0,
        rosters: BTreeSet::new(),
        wanted: false,
    };
    let numbers = crowd.gather(0..people, &mut making)?;
    for round in 0..circle {
        let before = making.done;
        let mut asked = 0;
        for own in (0..people).filter(|own| own % circle == round) {
            making.ask(numbers[own as usize], own, crowd.wishes());
            asked += circle - 1;
        }
        let end = Instant::now() + PATIENCE;
        crowd.turn_while(&mut making, |making| making.done < before + asked && Instant::now() < end)?;
    }
    making.wanted = true;
    for attempt in 0..20 {
        // ejabberd has been seen to lose an answer among many at once.
        if attempt > 0 {
            for own in (0..people).filter(|own| !making.rosters.contains(own)) {
                making.ask(numbers[own as usize], own, crowd.wishes());
            }
        }
        for (own, who) in
            numbers.iter().enumerate().filter(|(own, _)| !making.rosters.contains(&(*own as u32)))
        {
            let ask =
                format!("<iq type='get' id='look{own}x{attempt}'><query xmlns='jabber:iq:roster'/></iq>");
            crowd.wishes().say(*who, ask.as_bytes());
        }
        crowd.turn_until(Instant::now() + Duration::from_millis(500), &mut making)?;
        if making.rosters.len() as u32 == people {
            numbers.iter().for_each(|who| crowd.wishes().leave(*who));
            return crowd.turn_until(Instant::now() + Duration::from_secs(2), &mut Nothing);
        }
    }
    Err(format!("{} of {people} rosters are complete", making.rosters.len()))
}

struct Going {
    numbers: Vec<usize>,
    first: usize,
    circle: u32,
    circles: Vec<Circle>,
    delivered: u64,
    waits: Waits,
}

#[derive(Debug, Clone)]
struct Circle {
    mover: u32,
    present: bool,
    told: u32,
    at: Instant,
}

impl Going {
    fn move_on(&mut self, circle: usize, wishes: &mut Wishes) {
        let state = &mut self.circles[circle];
        if state.present {
            state.mover = (state.mover + 1) % self.circle;
        }
        state.present = !state.present;
        state.told = 0;
        state.at = Instant::now();
        let who = self.numbers[circle * self.circle as usize + state.mover as usize];
        wishes.say(who, if state.present { COMES } else { GOES });
    }
}

impl Scene for Going {
    fn heard(
        &mut self,
        who: usize,
        session: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String> {
        if name != "presence" || who < self.first {
            return Ok(());
        }
        // Through the floor nothing says from whom it comes, but it is always from the one who moves.
        let circle = (session.account / self.circle) as usize;
        let mover = circle as u32 * self.circle + self.circles[circle].mover;
        let from = attribute(xml, "from").and_then(account).unwrap_or(mover);
        match attribute(xml, "type") {
            None | Some("unavailable") => {}
            Some(_) => return Err(wrong(xml)),
        }
        if from == session.account {
            return Ok(());
        }
        self.delivered += 1;
        let state = &mut self.circles[circle];
        if from == mover && (attribute(xml, "type").is_none()) == state.present {
            state.told += 1;
            self.waits.note(state.at.elapsed());
            if state.told == self.circle - 1 {
                self.move_on(circle, wishes);
            }
        }
        Ok(())
    }
}

/// Lets them go and come; counted is what reaches others.
///
/// # Errors
/// Of the crowd.
pub fn run(crowd: &mut Crowd, server: Server, people: u32, circle: u32, span: Span) -> Result<Value, String> {
    let numbers = crowd.gather(0..people, &mut Nothing)?;
    crowd.turn_until(Instant::now() + span.settle, &mut Nothing)?;
    let state = Circle { mover: circle - 1, present: true, told: 0, at: Instant::now() };
    let circles = (people / circle) as usize;
    let mut going = Going {
        first: numbers[0],
        numbers,
        circle,
        circles: vec![state; circles],
        delivered: 0,
        waits: Waits::default(),
    };
    (0..circles).for_each(|number| going.move_on(number, crowd.wishes()));
    crowd.turn_until(Instant::now() + span.settle, &mut going)?;
    going.delivered = 0;
    going.waits.clear();
    let window = Window::open(server);
    crowd.turn_for(span.time, &mut going, |going| going.waits.count() > 0)?;
    let used = window.close();
    let mut found = found(going.delivered, used, &mut going.waits);
    found["peak_kib"] = json!(server.memory().peak);
    Ok(found)
}
