//! How fast people of the soak talk.

use std::time::{Duration, Instant};

use super::Soak;
use crate::crowd::Crowd;

/// Stanzas of one device that wait for their acknowledgement, while the server is driven as fast as it goes.
const WINDOW: usize = 16;
/// What is due is done in pieces of this much at most: what could not be said in time is not made up for.
const PIECE: Duration = Duration::from_millis(100);
/// When as much waits for its acknowledgement as is said in this time, nothing more is said.
const BACKLOG: Duration = Duration::from_secs(1);

/// The pace.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// The next thing is said when something before it has been acknowledged.
    Closed,
    /// So many messages a second.
    Open(f64),
    /// Nothing is said.
    Silent,
}

/// People who keep a pace.
#[derive(Debug)]
pub struct Walk {
    pace: Pace,
    at: Instant,
    due: f64,
    /// Time in which nothing more was said, as too much waited.
    pub held: Duration,
}

impl Walk {
    /// They begin.
    pub fn new(pace: Pace) -> Self {
        Walk { pace, at: Instant::now(), due: 0.0, held: Duration::ZERO }
    }

    /// Says what is due, and hears what has come.
    ///
    /// # Errors
    /// Of the crowd.
    pub fn turn(&mut self, crowd: &mut Crowd, soak: &mut Soak) -> Result<(), String> {
        soak.look_at_the_clock(crowd.wishes());
        let now = Instant::now();
        let passed = now.duration_since(std::mem::replace(&mut self.at, now)).min(PIECE);
        match self.pace {
            Pace::Silent => {}
            Pace::Closed => while soak.act(WINDOW, crowd.wishes()) {},
            Pace::Open(rate) => {
                self.due += rate * passed.as_secs_f64();
                if soak.unacked() as f64 > rate * BACKLOG.as_secs_f64() {
                    self.held += passed;
                    self.due = 0.0;
                }
                while self.due >= 1.0 {
                    self.due -= 1.0;
                    soak.act(usize::MAX, crowd.wishes());
                }
            }
        }
        crowd.turn(soak)
    }
}
