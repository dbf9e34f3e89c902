//! A client's stream, seen from the server: from the first byte to the last stanza (RFC 6120).

mod authenticating;
mod binding;
mod bound;
mod closing;
mod entering;
mod event;
mod exchange;
mod leaving;
mod line;
mod managing;
mod opening;
mod request;
mod securing;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::FullJid;
use xmpp::stanza::Stanza;
use xmpp::xml::Top;

pub use entering::{Entered, Entry};
pub use event::{Answer, CloseReason, Event, TransportFacts};
pub use managing::{Enable, Enabled, Resumption, Wait};
pub use request::{InlineBind, TokenUse, UserAgent};
pub use settings::C2sSettings;

use crate::framing::{Frame, Framing};
use crate::limits::HELD_BYTES_MAX;
use crate::sasl::Identity;
use authenticating::Authenticating;
use binding::Binding;
use bound::Bound;
use closing::Closing;
use entering::Entering;
use leaving::Leaving;
use line::{Line, Reframe};
use opening::Opening;
use securing::Securing;

/// One client stream of the server.
#[derive(Debug)]
pub struct C2s {
    framing: Framing,
    state: State,
    line: Line,
    /// Input that came behind an element which made us ask.
    held: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Opening(Opening),
    Securing(Securing),
    Authenticating(Box<Authenticating>),
    Entering(Box<Entering>),
    Binding(Binding),
    Bound(Bound),
    Leaving(Leaving),
    Closing(Closing),
    Closed,
}

impl C2s {
    /// A machine for a new connection. `seed` must be fresh and secret: stream ids and nonces
    /// come from it.
    pub fn new(now: Instant, settings: Arc<C2sSettings>, seed: [u8; 32], transport: TransportFacts) -> Self {
        let framing = Framing::tcp(settings.limits_before);
        let line = Line::new(now, settings, &seed, transport);
        C2s { framing, state: State::Opening(Opening), line, held: Vec::new() }
    }

    /// Takes bytes from the client: as they come, or decrypted once TLS is up.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        self.line.now = now;
        match &mut self.state {
            State::Closed => return,
            State::Securing(_) => return self.fail(StreamCondition::PolicyViolation.into()),
            State::Bound(bound) => bound.heard(now),
            _ => {}
        }
        let read = if self.held.is_empty() { self.read(bytes) } else { 0 };
        let rest = &bytes[read..];
        if self.held.len() + rest.len() > HELD_BYTES_MAX.max(bytes.len()) {
            return self.fail(StreamCondition::PolicyViolation.into());
        }
        self.held.extend_from_slice(rest);
    }

    /// Takes an answer. One that was not asked for, or comes too late, changes nothing.
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        self.line.now = now;
        if matches!(self.state, State::Closed) {
            return;
        }
        match answer {
            Answer::Close(error) => return self.fail(error),
            Answer::Shutdown => return self.fail(StreamCondition::SystemShutdown.into()),
            Answer::End => return self.end(),
            Answer::Deliver(stanza) => return self.deliver(&stanza),
            _ => {}
        }
        let state = mem::replace(&mut self.state, State::Closed);
        let line = &mut self.line;
        let next = match state {
            State::Securing(securing) => securing.answer(answer, line),
            State::Authenticating(authenticating) => authenticating.answer(answer, line),
            State::Entering(entering) => entering.answer(answer, line),
            State::Binding(binding) => binding.answer(answer, line),
            other => Ok(other),
        };
        self.enter(next);
        let held = mem::take(&mut self.held);
        self.reframe(&held);
        let read = self.read(&held);
        self.held.extend_from_slice(&held[read..]);
    }

    /// Writes a stanza to a bound client; before and after that it is dropped.
    pub fn deliver(&mut self, stanza: &Stanza) {
        if let State::Bound(_) | State::Leaving(_) = self.state {
            self.line.write_stanza(stanza);
        }
    }

    /// Tells a client that its stream is managed (XEP-0198 §3).
    pub fn manage(&mut self, enabled: &Enabled) {
        if let State::Bound(_) | State::Leaving(_) = self.state {
            self.line.write_element(&managing::enabled(enabled));
        }
    }

    /// Tells a client whose stream is managed how many of its stanzas have been handled (XEP-0198 §4).
    pub fn acknowledge(&mut self, handled: u32) {
        if let State::Bound(_) | State::Leaving(_) = self.state {
            managing::acknowledge(handled, &mut self.line);
        }
    }

    /// Asks a client whose stream is managed how many stanzas it has handled (XEP-0198 §4).
    pub fn ask_ack(&mut self) {
        if let State::Bound(_) = self.state {
            managing::ask(&mut self.line);
        }
    }

    /// Closes the stream of a client that has handled more than the `sent` stanzas (XEP-0198 §6).
    pub fn acked_too_many(&mut self, now: Instant, handled: u32, sent: u32) {
        self.answer(now, Answer::Close(managing::too_high(handled, sent)));
    }

    /// The moment asked for by `poll_timeout` has come.
    pub fn timeout(&mut self, now: Instant) {
        self.line.now = now;
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match &mut self.state {
            State::Securing(_) => self.close(CloseReason::HandshakeTimeout),
            State::Closing(_) => self.close(CloseReason::Ended),
            State::Leaving(_) => self.end(),
            State::Bound(bound) => {
                if let Err(error) = bound.timeout(&mut self.line) {
                    self.fail(error);
                }
            }
            _ => self.fail(StreamCondition::ConnectionTimeout.into()),
        }
    }

    /// The connection is gone: nothing more will be read.
    pub fn transport_closed(&mut self, now: Instant) {
        self.line.now = now;
        if !matches!(self.state, State::Closed) {
            self.close(CloseReason::TransportClosed);
        }
    }

    /// Everything there is to send, in one buffer.
    pub fn poll_send(&mut self) -> Option<Vec<u8>> {
        (!self.line.out.is_empty()).then(|| mem::take(&mut self.line.out))
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.line.events.pop_front();
        if self.line.events.is_empty() {
            // An idle stream holds no room for more.
            self.line.events = VecDeque::new();
        }
        event
    }

    /// When to call `timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Closed => None,
            State::Closing(closing) => Some(closing.due()),
            State::Leaving(leaving) => Some(leaving.due()),
            State::Bound(bound) => bound.due(&self.line),
            _ => Some(self.line.deadline),
        }
    }

    /// Whether to read on. False while an answer is awaited and after the end.
    pub fn wants_input(&self) -> bool {
        match &self.state {
            State::Securing(_) | State::Leaving(_) | State::Closed => false,
            State::Authenticating(authenticating) => !authenticating.awaits_answer(),
            State::Entering(entering) => !entering.awaits_answer(),
            State::Binding(binding) => !binding.awaits_answer(),
            _ => true,
        }
    }

    /// Whether what is delivered, or answered to a request for a resource, still reaches the client.
    pub fn takes_output(&self) -> bool {
        !matches!(self.state, State::Closing(_) | State::Closed)
    }

    /// Who logged in, once somebody has.
    pub fn identity(&self) -> Option<&Identity> {
        self.line.identity.as_ref()
    }

    /// The address of this stream, once it is bound.
    pub fn bound_jid(&self) -> Option<&FullJid> {
        match &self.state {
            State::Bound(bound) => Some(bound.jid()),
            _ => None,
        }
    }

    /// The domain that the client opened its stream to.
    pub fn host(&self) -> Option<&str> {
        self.line.host.as_deref()
    }

    /// Whether the channel is inside TLS.
    pub fn is_encrypted(&self) -> bool {
        self.line.tls.is_some()
    }

    /// Bytes waiting to be sent.
    pub fn unsent_bytes(&self) -> usize {
        self.line.out.len()
    }

    /// Feeds frames to the states until input ends or an answer is needed; returns what was read.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut read = 0;
        while self.wants_input() {
            // Only as far as the allowance goes, so that the verdict does not depend on how the bytes were cut.
            let rest = &bytes[read..];
            let allowed = &rest[..rest.len().min(self.line.bytes_left())];
            let mut input = allowed;
            let frame = self.framing.next(&mut input);
            let taken = allowed.len() - input.len();
            read += taken;
            self.line.spend_bytes(taken);
            let frame = match frame {
                Ok(Some(Frame::Element(_))) if !self.line.spend_element() => {
                    self.fail(StreamCondition::PolicyViolation.into());
                    break;
                }
                Ok(Some(frame)) => frame,
                Ok(None) if allowed.len() < rest.len() => {
                    self.fail(StreamCondition::PolicyViolation.into());
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    // RFC 6120 §4.7.2: a header that is refused is answered like any other.
                    self.line.address(self.framing.said_from());
                    self.fail(StreamCondition::from(error).into());
                    break;
                }
            };
            let state = mem::replace(&mut self.state, State::Closed);
            let next = state.frame(frame, &mut self.line);
            self.enter(next);
            self.reframe(&bytes[read..]);
            if matches!(self.state, State::Securing(_)) {
                // Only white space is left of what came in the clear.
                read = bytes.len();
            }
        }
        read
    }

    /// Does what a state wished of the reader; the bytes `behind` are still to be read.
    fn reframe(&mut self, behind: &[u8]) {
        match self.line.reframe.take() {
            None => {}
            Some(Reframe::Restart) => self.framing.restart(),
            // What follows in the clear could be somebody else's: CVE-2011-0411. COMPAT: go-xmpp of 2022 (Debian 12's
            // go-sendxmpp) ends <starttls/> with a newline, against RFC 6120 §5.3.3; white space can say nothing.
            Some(Reframe::Secure) if !is_white_space(self.framing.pending()) || !is_white_space(behind) => {
                self.fail(StreamCondition::PolicyViolation.into());
            }
            Some(Reframe::Secure) => self.state = State::Securing(Securing::begin(&mut self.line)),
            Some(Reframe::Fresh) => {
                self.framing = Framing::tcp(self.line.settings.limits_before);
            }
            Some(Reframe::Raise) => self.framing.set_limits(self.line.settings.limits_after),
        }
    }

    fn enter(&mut self, next: Result<State, StreamError>) {
        match next {
            Ok(state) => self.state = state,
            Err(error) => self.fail(error),
        }
    }

    /// Says why and closes (RFC 6120 §4.9.1).
    fn fail(&mut self, error: StreamError) {
        if !matches!(self.state, State::Securing(_)) {
            self.line.write_error(&error);
        }
        self.close(CloseReason::Failed(error));
    }

    fn end(&mut self) {
        let state = mem::replace(&mut self.state, State::Closed);
        match state {
            State::Securing(_) => self.close(CloseReason::Ended),
            State::Closing(_) => self.state = state,
            State::Leaving(_) => {
                self.line.write_close();
                self.close(CloseReason::PeerClosed);
            }
            other => {
                self.line.write_close();
                let bound = if let State::Bound(bound) = other { Some(bound) } else { None };
                self.state = State::Closing(Closing::new(bound, &self.line));
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        self.state = State::Closed;
        self.held = Vec::new();
        self.line.events.push_back(Event::Closed(reason));
    }
}

fn is_white_space(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

impl State {
    fn frame(self, frame: Frame<'_>, line: &mut Line) -> Result<State, StreamError> {
        match frame {
            Frame::Open(header) => match self {
                State::Opening(opening) => opening.open(&header, line),
                _ => Err(StreamError {
                    text: Some("The stream has begun already.".to_owned()),
                    ..StreamError::new(StreamCondition::BadFormat)
                }),
            },
            Frame::Element(top) if line::is_stream_error(&top) => Ok(line.peer_failed(&top.element())),
            Frame::Element(top) => self.element(&top, line),
            Frame::Close => Ok(self.peer_closed(line)),
        }
    }

    fn element(self, top: &Top<'_>, line: &mut Line) -> Result<State, StreamError> {
        match self {
            State::Authenticating(authenticating) => authenticating.element(top, line),
            State::Entering(entering) => entering.element(top, line),
            State::Binding(_) | State::Bound(_) if line::is_starttls(top) => Err(line.refuse_tls()),
            State::Binding(binding) => binding.element(top, line),
            State::Bound(bound) => bound.element(top, line).map(State::Bound),
            State::Closing(closing) => closing.element(top, line).map(State::Closing),
            State::Opening(_) | State::Securing(_) => Err(StreamCondition::NotAuthorized.into()),
            State::Leaving(_) | State::Closed => Ok(self),
        }
    }

    fn peer_closed(self, line: &mut Line) -> State {
        let reason = match self {
            State::Bound(_) => {
                line.events.push_back(Event::PeerEnded);
                return State::Leaving(Leaving::new(line));
            }
            State::Closing(_) => CloseReason::Ended,
            _ => {
                line.write_close();
                CloseReason::PeerClosed
            }
        };
        line.events.push_back(Event::Closed(reason));
        State::Closed
    }
}
