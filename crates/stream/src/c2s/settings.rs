//! What the operator decides about client streams.

use std::time::Duration;

use xmpp::xml::Element;
use xmpp::xml::Limits;

use crate::limits::{self, Allowance, Deadlines};
use crate::sasl::scram::{self, ScramHash};
use crate::sasl::{BindingType, Mechanism, Offer, external};
use crate::tls::TlsFacts;
use xmpp::ns;

/// Settings of every client stream of one listener.
#[derive(Debug, Clone)]
pub struct C2sSettings {
    /// The domains served here, prepared (lower case). The first speaks for the server when a
    /// client names none of them.
    pub domains: Vec<String>,
    /// Nothing but STARTTLS is possible outside TLS.
    pub tls_required: bool,
    /// SCRAM hashes on offer, in order of preference. Each is offered with `-PLUS` too where the
    /// channel can be bound.
    pub scram: Vec<ScramHash>,
    /// Offer PLAIN (inside TLS only). Off by default: whoever knows the password can do SCRAM
    /// (RFC 6120 §13.8.3).
    pub plain: bool,
    /// Offer EXTERNAL to clients that show a trusted certificate.
    pub external: bool,
    /// Offer ANONYMOUS.
    pub anonymous: bool,
    /// Give tokens to clients that ask for one, and take them (XEP-0484).
    pub tokens: bool,
    /// Namespaces of what a client can turn on as it binds (XEP-0386 §3.1).
    pub inline: Vec<&'static str>,
    /// Advertise registration before login (XEP-0077).
    pub register: bool,
    /// The server's lasting secret: makes the salts of accounts that do not exist.
    pub secret: [u8; 32],
    /// Iterations that accounts which do not exist pretend to have; the same as new accounts get.
    pub scram_iterations: u32,
    /// Limits of one element before a resource is bound.
    pub limits_before: Limits,
    /// Bytes in total before login.
    pub bytes_before: usize,
    /// Top-level elements in total before login.
    pub elements_before: u32,
    /// Limits of one stanza.
    pub limits_after: Limits,
    /// How long each stage may take.
    pub deadlines: Deadlines,
    /// Silence after which the client is pinged (XEP-0199); none: never.
    pub idle_ping: Option<Duration>,
    /// How long a pinged client may stay silent, then it counts as gone.
    pub ping_timeout: Duration,
    /// How long a client may take to close after we did.
    pub closing_timeout: Duration,
    /// More stream features after login (roster versioning, entity capabilities, …).
    pub features: Vec<Element>,
}

impl C2sSettings {
    /// The defaults for these domains and this lasting secret.
    pub fn new(domains: Vec<String>, secret: [u8; 32]) -> Self {
        C2sSettings {
            domains,
            tls_required: true,
            scram: ScramHash::ALL.to_vec(),
            plain: false,
            external: true,
            anonymous: false,
            tokens: true,
            inline: Vec::new(),
            register: false,
            secret,
            scram_iterations: scram::ITERATIONS,
            limits_before: limits::before(),
            bytes_before: limits::BEFORE_BYTES_TOTAL,
            elements_before: limits::BEFORE_ELEMENTS_TOTAL,
            limits_after: limits::after(),
            deadlines: Deadlines::default(),
            idle_ping: Some(Duration::from_secs(300)),
            ping_timeout: Duration::from_secs(60),
            closing_timeout: limits::CLOSING_TIMEOUT,
            features: Vec::new(),
        }
    }

    pub(crate) fn allowance(&self) -> Allowance {
        Allowance::new(self.bytes_before, self.elements_before)
    }

    /// What to offer on a channel, in the server's order of preference.
    pub(crate) fn offer(&self, tls: Option<&TlsFacts>, domain: &str) -> Offer {
        if tls.is_none() && self.tls_required {
            return Offer::default();
        }
        let mut mechanisms = Vec::new();
        // XEP-0178 §2: EXTERNAL only to whom it can help.
        if self.external && !external::accounts(tls, domain).is_empty() {
            mechanisms.push(Mechanism::External);
        }
        let bindings = match self.scram.is_empty() {
            true => Vec::new(),
            false => BindingType::available(tls),
        };
        if !bindings.is_empty() {
            mechanisms.extend(self.scram.iter().map(|hash| Mechanism::ScramPlus(*hash)));
        }
        mechanisms.extend(self.scram.iter().map(|hash| Mechanism::Scram(*hash)));
        if self.plain && tls.is_some() {
            mechanisms.push(Mechanism::Plain);
        }
        if self.anonymous {
            mechanisms.push(Mechanism::Anonymous);
        }
        let tokens = match tls {
            Some(tls) if self.tokens => {
                let able = |mechanism: &Mechanism| match mechanism {
                    Mechanism::Token(Some(kind)) => kind.data(tls).is_some(),
                    _ => true,
                };
                Mechanism::TOKENS.into_iter().filter(able).collect()
            }
            _ => Vec::new(),
        };
        Offer { mechanisms, bindings, tokens }
    }

    /// Hashes for which an account can be given keys as it logs in (XEP-0480 §2.1): SHA-1 is no step up.
    pub(crate) fn upgrades(&self) -> impl Iterator<Item = ScramHash> {
        self.scram.iter().copied().filter(|hash| *hash != ScramHash::Sha1)
    }

    /// The `<limits/>` feature of XEP-0478 with these limits.
    pub(crate) fn limits_feature(&self, limits: &Limits) -> Element {
        let bytes = limits.stanza_bytes.to_string();
        let bytes = Element::new(ns::STREAM_LIMITS, "max-bytes").with_text(&bytes);
        let mut feature = Element::new(ns::STREAM_LIMITS, "limits").with_child(bytes);
        if let Some(idle) = self.idle_ping {
            let idle = idle.as_secs().to_string();
            feature.push(Element::new(ns::STREAM_LIMITS, "idle-seconds").with_text(&idle));
        }
        feature
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::ClientCertificate;

    fn names(settings: &C2sSettings, tls: Option<&TlsFacts>) -> String {
        let offer = settings.offer(tls, "one.test");
        let names: Vec<_> = offer.mechanisms.iter().map(|mechanism| mechanism.name()).collect();
        names.join(" ")
    }

    #[test]
    fn offers_what_the_channel_can_bear() {
        let mut settings = C2sSettings::new(vec!["one.test".into()], [0; 32]);
        settings.scram = vec![ScramHash::Sha256];
        settings.plain = true;
        assert_eq!(names(&settings, None), "");
        let plain = TlsFacts::default();
        assert_eq!(names(&settings, Some(&plain)), "SCRAM-SHA-256 PLAIN");
        let mut bound = TlsFacts { end_point: Some(vec![1]), ..TlsFacts::default() };
        assert_eq!(names(&settings, Some(&bound)), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN");
        bound.client = Some(ClientCertificate { xmpp_addrs: vec!["a@one.test".into()], trusted: true });
        settings.anonymous = true;
        settings.plain = false;
        assert_eq!(names(&settings, Some(&bound)), "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 ANONYMOUS");
        settings.tls_required = false;
        settings.plain = true;
        assert_eq!(names(&settings, None), "SCRAM-SHA-256 ANONYMOUS");
    }
}
