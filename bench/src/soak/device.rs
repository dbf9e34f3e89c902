//! A device of the soak: where it is, what it has said and is not acknowledged, how far it has caught up.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::heard::short;
use crate::entry::{Bind, Client, Way};
use crate::session::Session;

/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Away until then, and back by this.
    Away(Instant, Back),
    /// On its way in, by this.
    Coming(Back),
    /// In, with the session of this number.
    In(usize),
    /// The same, and says goodbye when all that it said has been acknowledged.
    Leaving(usize),
}

/// By what a device comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// Its stream goes on (XEP-0198 §5).
    Stream,
    /// A new one, by its token (XEP-0484).
    Token,
    /// A new one, by the password.
    Password,
}

/// A stanza that was said.
#[derive(Debug)]
pub struct Said {
    /// Its number, if it is a message.
    pub message: Option<u32>,
    /// As it was said; none if it was said as it came in.
    pub xml: Vec<u8>,
    /// When.
    pub at: Instant,
}

/// The device.
#[derive(Debug)]
pub struct Device {
    /// Whose, and which.
    pub client: Client,
    /// Whether it keeps up with its archive; or takes what is given to it.
    pub follows: bool,
    /// Where it is.
    pub place: Place,
    /// The present stream, counted from 1.
    pub stream: u32,
    /// Said on it and not acknowledged.
    pub unacked: VecDeque<Said>,
    acked: u32,
    token: Option<String>,
    id: Option<String>,
    handled: u32,
    archive: Progress,
}

/// How far a device has caught up with its archive.
#[derive(Debug, Default)]
struct Progress {
    /// It has all up to this id; empty: nothing.
    until: String,
    /// Pages are still to come.
    is_behind: bool,
    /// The latest that came in the meantime otherwise.
    ahead: Option<String>,
    /// What was on the pages.
    paged: HashSet<u64>,
}

impl Device {
    /// Not connected yet.
    pub fn new(client: Client, follows: bool, at: Instant) -> Self {
        Device {
            client,
            follows,
            place: Place::Away(at, Back::Password),
            stream: 0,
            unacked: VecDeque::new(),
            acked: 0,
            token: None,
            id: None,
            handled: 0,
            archive: Progress { is_behind: follows, ..Progress::default() },
        }
    }

    /// The session, if it is in and stays.
    pub fn session(&self) -> Option<usize> {
        if let Place::In(who) = self.place { Some(who) } else { None }
    }

    /// Whether it has nothing more to do: it is in, all that it said is acknowledged, and it has caught up.
    pub fn is_settled(&self) -> bool {
        self.session().is_some() && self.unacked.is_empty() && !self.archive.is_behind
    }

    /// It is away for a while.
    pub fn go(&mut self, at: Instant, time: Duration, back: Back) {
        self.place = Place::Away(at + time, back);
        // What it is given on another stream does not follow what it had on this one.
        self.archive.is_behind |= self.follows && back != Back::Stream;
    }

    /// It comes back; by what, as far as it can.
    pub fn come(&mut self, back: Back) -> Way {
        self.place = Place::Coming(back);
        let bind = if self.follows { Bind::Within } else { Bind::After };
        match (back, &self.token, &self.id) {
            (Back::Stream, Some(token), Some(stream)) => {
                Way::Resume { token: token.clone(), stream: stream.clone(), handled: self.handled, bind }
            }
            (Back::Token, Some(token), _) => Way::Token(token.clone(), bind),
            _ => Way::PasswordForToken(bind),
        }
    }

    /// What is known of its session by now, to go on with it.
    pub fn remember(&mut self, session: &Session) {
        self.handled = session.handled;
        self.token.clone_from(&session.token);
        self.id.clone_from(&session.stream);
    }

    /// It is in with a new stream: what was not acknowledged on the former one never will be. Returns how many messages
    /// these were.
    pub fn begin(&mut self, who: usize, now: Instant) -> usize {
        self.place = Place::In(who);
        self.stream += 1;
        self.acked = 0;
        let unknown = self.unacked.drain(..).filter(|said| said.message.is_some()).count();
        // The request for the roster, which is part of coming in.
        self.unacked.push_back(Said { message: None, xml: Vec::new(), at: now });
        self.archive.is_behind = self.follows;
        self.archive.paged.clear();
        unknown
    }

    /// The server has handled so much of this stream. Returns what is newly acknowledged.
    ///
    /// # Errors
    /// A count that cannot be.
    pub fn acknowledged(&mut self, handled: u32) -> Result<impl Iterator<Item = Said> + '_, String> {
        let newly = handled.wrapping_sub(self.acked) as usize;
        if newly > self.unacked.len() {
            return Err(format!(
                "{handled} acknowledged after {}, {} said since",
                self.acked,
                self.unacked.len()
            ));
        }
        self.acked = handled;
        Ok(self.unacked.drain(..newly))
    }

    /// What comes on a stream that has just begun does not follow what it had.
    pub fn fall_behind(&mut self) {
        self.archive.is_behind = self.follows;
    }

    /// A message with this id in the archive came, otherwise than on a page.
    pub fn came(&mut self, id: &str) {
        if self.archive.is_behind {
            self.archive.ahead = Some(id.to_owned());
        } else {
            id.clone_into(&mut self.archive.until);
        }
    }

    /// It came on a page.
    pub fn paged(&mut self, id: &str) {
        self.archive.paged.insert(short(id));
    }

    /// A page is over, with this last id if there was anything on it. Whether there are more.
    pub fn turned(&mut self, last: Option<&str>, is_complete: bool) -> bool {
        if let Some(last) = last {
            last.clone_into(&mut self.archive.until);
        }
        if is_complete {
            self.archive.is_behind = false;
            let paged = std::mem::take(&mut self.archive.paged);
            // What came besides is later, unless it was on the pages, too.
            if let Some(ahead) = self.archive.ahead.take().filter(|ahead| !paged.contains(&short(ahead))) {
                self.archive.until = ahead;
            }
        }
        !is_complete
    }

    /// It has everything up to this id of its archive; empty: nothing.
    pub fn until(&self) -> &str {
        &self.archive.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_caught_up_with_the_latest_it_knows() {
        let mut device = Device::new(Client::from(1), true, Instant::now());
        device.begin(0, Instant::now());
        device.came("b");
        device.paged("a");
        device.paged("b");
        assert!(device.turned(Some("b"), false));
        device.paged("c");
        assert!(!device.turned(Some("c"), true));
        assert_eq!(device.until(), "c", "what came besides was on a page");
        device.came("d");
        device.go(Instant::now(), Duration::ZERO, Back::Token);
        device.came("x");
        device.begin(1, Instant::now());
        device.came("f");
        device.paged("e");
        device.turned(Some("e"), true);
        assert_eq!(device.until(), "f", "what came besides was later");
    }

    #[test]
    fn counts_that_cannot_be_are_seen() {
        let mut device = Device::new(Client::from(1), true, Instant::now());
        device.begin(0, Instant::now());
        assert_eq!(device.acknowledged(1).unwrap().count(), 1);
        assert_eq!(device.acknowledged(1).unwrap().count(), 0);
        assert!(device.acknowledged(2).is_err());
        assert!(device.acknowledged(0).is_err());
    }
}
