//! Why a stage ended a stanza: always with a reason, and the reason is visible.

use store::StoreError;
use xmpp::error::{Condition, StanzaError};
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

/// A stanza stops here, and why.
#[derive(Debug)]
pub enum Stop {
    /// Nothing more happens and nobody is told; the text is for the operator.
    Drop(&'static str),
    /// The sender hears this error.
    Bounce(StanzaError),
    /// The store failed; the sender hears `internal-server-error`.
    Failed(StoreError),
}

impl Stop {
    /// What the sender is told, if anything.
    pub fn stanza_error(&self) -> Option<StanzaError> {
        match self {
            Stop::Drop(_) => None,
            Stop::Bounce(error) => Some(error.clone()),
            Stop::Failed(_) => Some(StanzaError::new(Condition::InternalServerError)),
        }
    }
}

impl From<StanzaError> for Stop {
    fn from(error: StanzaError) -> Self {
        Stop::Bounce(error)
    }
}

impl From<Condition> for Stop {
    fn from(condition: Condition) -> Self {
        Stop::Bounce(StanzaError::new(condition))
    }
}

/// What a feature answers to an iq that it owns (RFC 6120 §8.2.3: exactly one answer).
#[derive(Debug)]
pub enum Reply {
    /// An empty result.
    Done,
    /// A result with this child.
    Result(Element),
    /// The answer comes later: the feature asked the store, another entity or the pool for something
    /// and kept the iq in its [`crate::Return`].
    Later,
}

impl Reply {
    /// The answer to `iq` as a stanza, unless it comes later.
    pub fn stanza(self, iq: &Stanza) -> Option<Stanza> {
        match self {
            Reply::Done => Some(iq.result()),
            Reply::Result(element) => Some(iq.result_with(&element)),
            Reply::Later => None,
        }
    }
}
