//! The client has closed its half: what it said before takes effect, and what comes of that is still written, before
//! our half closes too (RFC 6120 §4.4).

use std::time::Instant;

use super::line::Line;

/// Waits for the end of what the client's last stanzas have begun.
#[derive(Debug)]
pub(super) struct Leaving {
    due: Instant,
}

impl Leaving {
    pub fn new(line: &Line) -> Self {
        Leaving { due: line.now + line.settings.closing_timeout }
    }

    pub fn due(&self) -> Instant {
        self.due
    }
}
