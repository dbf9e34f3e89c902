//! One of our domains as somebody to talk to: it answers questions about itself.

use std::sync::Arc;
use std::time::Instant;

use features::ad_hoc::Desk;
use features::{caps, disco};
use step::{Domain, Return, Step, Stop};
use store::Write;
use xmpp::error::Condition;
use xmpp::stanza::{Kind, Stanza, Type};

use crate::cards::CARDS;
use crate::letter::Letter;
use crate::{pipeline, queries};

/// A domain.
pub struct Host {
    /// Which.
    pub domain: Arc<Domain>,
    /// When the server started.
    pub started: Instant,
    /// The node by which its capabilities are known (XEP-0115).
    pub caps_node: String,
    /// Commands that are being filled in.
    pub desk: Desk,
}

impl Host {
    /// A domain that has just woken.
    pub fn new(domain: Arc<Domain>, started: Instant) -> Self {
        let caps_node = caps::node(&disco::host_info(CARDS, &domain));
        Host { domain, started, caps_node, desk: Desk::default() }
    }

    /// Reads one letter.
    pub fn read(&mut self, letter: Letter, step: &mut Step<'_>) {
        match letter {
            Letter::Registered(key, stanza) => {
                step.write(Write::LetterDrop { to: self.domain.jid.bare(), key });
                self.read(Letter::Arriving(stanza), step);
            }
            Letter::Arriving(stanza) => {
                if let Err(stop) = self.hear(&stanza, step) {
                    pipeline::stopped(&stanza, stop, step);
                }
            }
            Letter::Answered(Return::Command(asked), what) => {
                features::ad_hoc::returned(asked, what, step);
            }
            _ => {}
        }
    }

    /// RFC 6120 §10.5.1, RFC 6121 §8.4: a stanza to the domain itself.
    fn hear(&mut self, stanza: &Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
        let device = stanza.to.as_ref().is_some_and(|to| to.resource().is_some());
        match stanza.kind {
            Kind::Iq if device && stanza.is_request() => Err(Condition::ServiceUnavailable.into()),
            Kind::Iq => queries::host(self, stanza, step),
            Kind::Message if stanza.type_ == Type::Error => Err(Stop::Drop("an error to the domain")),
            Kind::Message => Err(Condition::ServiceUnavailable.into()),
            Kind::Presence => Err(Stop::Drop("presence to the domain")),
        }
    }
}
