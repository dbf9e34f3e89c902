//! People who come in and leave again, as many at a time as are let.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Span, found, wrong};
use crate::crowd::{Crowd, Scene, Wishes};
use crate::entry::{Bind, Way};
use crate::measured::{Server, Waits, Window};
use crate::session::Session;

/// People who are on their way in at any time.
const AT_ONCE: u32 = 16;

/// By what people come in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Their password.
    Password,
    /// A token (XEP-0484).
    Token,
    /// A token, and the stream that broke (XEP-0198).
    Stream,
}

struct Storm {
    again: Again,
    accounts: u32,
    next: u32,
    begun: HashMap<u32, Instant>,
    known: HashMap<u32, Way>,
    waits: Waits,
    resumed: u64,
    open: bool,
}

impl Storm {
    fn enter_next(&mut self, wishes: &mut Wishes) {
        if !self.open {
            return;
        }
        // Who is on the way is not sent again: a second token would end the first.
        while self.begun.contains_key(&(self.next % self.accounts)) {
            self.next += 1;
        }
        let account = self.next % self.accounts;
        self.next += 1;
        let first =
            if self.again == Again::Password { Way::Password } else { Way::PasswordForToken(Bind::Within) };
        let way = self.known.get(&account).cloned().unwrap_or(first);
        self.begun.insert(account, Instant::now());
        wishes.enter(account, way);
    }

    fn remember(&mut self, session: &Session) {
        let way = match (self.again, &session.token, &session.stream) {
            (Again::Token, Some(token), _) => Way::Token(token.clone(), Bind::Within),
            (Again::Stream, Some(token), Some(stream)) => Way::Resume {
                token: token.clone(),
                stream: stream.clone(),
                handled: session.handled,
                bind: Bind::Within,
            },
            _ => return,
        };
        self.known.insert(session.account, way);
    }
}

impl Scene for Storm {
    fn entered(&mut self, who: usize, session: &Session, wishes: &mut Wishes) {
        if let Some(begun) = self.begun.remove(&session.account) {
            self.waits.note(begun.elapsed());
        }
        self.resumed += u64::from(session.resumed.is_some());
        self.remember(session);
        if self.again == Again::Stream {
            wishes.vanish(who)
        } else {
            wishes.leave(who)
        }
        self.enter_next(wishes);
    }

    fn heard(
        &mut self,
        _: usize,
        session: &Session,
        name: &str,
        xml: &[u8],
        _: &mut Wishes,
    ) -> Result<(), String> {
        // What comes in one read with the end of the entry is answered yet.
        if let Some(Way::Resume { handled, .. }) = self.known.get_mut(&session.account) {
            *handled = session.handled;
        }
        if name == "failure" { Err(wrong(xml)) } else { Ok(()) }
    }
}

/// The storm: first everybody once, then the measured time.
///
/// # Errors
/// Of the crowd.
pub fn run(
    crowd: &mut Crowd,
    server: Server,
    again: Again,
    accounts: u32,
    span: Span,
) -> Result<Value, String> {
    let mut storm = Storm {
        again,
        accounts,
        next: 0,
        begun: HashMap::new(),
        known: HashMap::new(),
        waits: Waits::default(),
        resumed: 0,
        open: true,
    };
    // Nobody comes back in the turn in which they left.
    for _ in 0..AT_ONCE.min(accounts.div_ceil(2)) {
        storm.enter_next(crowd.wishes());
    }
    let everybody = u64::from(accounts);
    crowd.turn_while(&mut storm, |storm| storm.waits.count() < everybody)?;
    let before = server.memory();
    let window = Window::open(server);
    storm.waits.clear();
    storm.resumed = 0;
    crowd.turn_for(span.time, &mut storm, |storm| storm.waits.count() > 0)?;
    let used = window.close();
    let units = storm.waits.count();
    storm.open = false;
    let mut found = found(units, used, &mut storm.waits);
    found["resumed"] = json!(storm.resumed);
    found["before_kib"] = json!(before.now);
    found["peak_kib"] = json!(server.memory().peak);
    Ok(found)
}
