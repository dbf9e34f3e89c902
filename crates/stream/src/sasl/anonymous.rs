//! ANONYMOUS (RFC 4505, XEP-0175): a new address for this stream, forgotten with it.

use xmpp::jid::BareJid;

use super::{Identity, Mechanism, SaslCondition};

/// Most characters of trace data (RFC 4505 §2); we keep none of them.
const TRACE_MAX_CHARS: usize = 255;

/// Makes an identity whose local part is `token`, which must be fresh and hard to guess.
pub(crate) fn judge(trace: &str, token: &str, domain: &str) -> Result<Identity, SaslCondition> {
    if trace.chars().count() > TRACE_MAX_CHARS {
        return Err(SaslCondition::MalformedRequest);
    }
    let account = BareJid::from_parts(Some(token), domain);
    let account = account.map_err(|_| SaslCondition::TemporaryAuthFailure)?;
    Ok(Identity::proven(account, Mechanism::Anonymous))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_an_address_of_the_token() {
        let identity = judge("", "c0ffee", "one.test").unwrap();
        assert_eq!(identity.account().as_str(), "c0ffee@one.test");
        assert!(identity.is_anonymous());
    }

    #[test]
    fn a_trace_has_a_limit() {
        assert!(judge(&"é".repeat(255), "t", "one.test").is_ok());
        let long = "é".repeat(256);
        assert_eq!(judge(&long, "t", "one.test").unwrap_err(), SaslCondition::MalformedRequest);
    }
}
