//! Between `<proceed/>` and the end of the TLS handshake nothing may be said (RFC 6120 §5.4.3).

use xmpp::error::StreamError;
use xmpp::xml::Element;

use super::line::Line;
use super::opening::Opening;
use super::{Answer, Event, State};
use xmpp::ns;

/// Waits for the handshake.
#[derive(Debug)]
pub(super) struct Securing;

impl Securing {
    /// Gives the go-ahead.
    pub fn begin(line: &mut Line) -> Self {
        line.write_element(&Element::new(ns::TLS, "proceed"));
        line.ask(Event::StartTls);
        Securing
    }

    pub fn answer(self, answer: Answer, line: &mut Line) -> Result<State, StreamError> {
        let Answer::TlsReady(facts) = answer else {
            return Ok(State::Securing(self));
        };
        line.secured(facts);
        Ok(State::Opening(Opening))
    }
}
