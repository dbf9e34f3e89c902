//! We have closed our half: what the client still says is heard, nothing is said (RFC 6120 §4.4).

use std::time::Instant;

use xmpp::error::StreamError;
use xmpp::xml::Top;

use super::bound::Bound;
use super::line::Line;

/// Waits for the client to close its half.
#[derive(Debug)]
pub(super) struct Closing {
    /// Present if the client had an address: its last stanzas still count.
    bound: Option<Bound>,
    due: Instant,
}

impl Closing {
    pub fn new(bound: Option<Bound>, line: &Line) -> Self {
        Closing { bound, due: line.now + line.settings.closing_timeout }
    }

    pub fn due(&self) -> Instant {
        self.due
    }

    pub fn element(mut self, top: &Top<'_>, line: &mut Line) -> Result<Self, StreamError> {
        if let Some(bound) = self.bound.take() {
            self.bound = Some(bound.element(top, line)?);
        }
        Ok(self)
    }
}
