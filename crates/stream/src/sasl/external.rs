//! EXTERNAL (RFC 4422 appendix A, XEP-0178): the certificate shown in the TLS handshake speaks.

use xmpp::jid::BareJid;

use super::{Identity, Mechanism, SaslCondition};
use crate::tls::TlsFacts;

/// The accounts of this domain that the client's certificate names; none unless it is trusted.
pub(crate) fn accounts(tls: Option<&TlsFacts>, domain: &str) -> Vec<BareJid> {
    let Some(certificate) = tls.and_then(|tls| tls.client.as_ref()) else {
        return Vec::new();
    };
    if !certificate.trusted {
        return Vec::new();
    }
    let named = certificate.xmpp_addrs.iter().filter_map(|name| BareJid::new(name).ok());
    named.filter(|jid| jid.domain() == domain && jid.local().is_some()).collect()
}

/// Chooses among the certificate's accounts (XEP-0178 §2, steps 10 and 11). Whether the account
/// exists is still to be asked.
pub(crate) fn judge(accounts: Vec<BareJid>, authzid: &str) -> Result<Identity, SaslCondition> {
    let account = if authzid.is_empty() {
        let mut accounts = accounts.into_iter();
        match (accounts.next(), accounts.next()) {
            (Some(only), None) => only,
            (None, _) => return Err(SaslCondition::NotAuthorized),
            (Some(_), Some(_)) => return Err(SaslCondition::InvalidAuthzid),
        }
    } else {
        let wanted = BareJid::new(authzid).map_err(|_| SaslCondition::InvalidAuthzid)?;
        let found = accounts.into_iter().find(|account| *account == wanted);
        found.ok_or(SaslCondition::InvalidAuthzid)?
    };
    Ok(Identity::proven(account, Mechanism::External))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::ClientCertificate;

    fn facts(names: &[&str], trusted: bool) -> TlsFacts {
        let xmpp_addrs = names.iter().map(|name| (*name).to_owned()).collect();
        TlsFacts { client: Some(ClientCertificate { xmpp_addrs, trusted }), ..TlsFacts::default() }
    }

    fn chosen(names: &[&str], authzid: &str) -> Result<String, SaslCondition> {
        let accounts = accounts(Some(&facts(names, true)), "one.test");
        judge(accounts, authzid).map(|identity| identity.account().as_str().to_owned())
    }

    #[test]
    fn one_name_needs_no_authzid() {
        assert_eq!(chosen(&["a@one.test"], "").unwrap(), "a@one.test");
        assert_eq!(chosen(&["a@one.test", "b@two.test"], "").unwrap(), "a@one.test");
        assert_eq!(chosen(&["a@one.test"], "A@one.test").unwrap(), "a@one.test");
    }

    #[test]
    fn several_names_need_one() {
        let both = ["a@one.test", "b@one.test"];
        assert_eq!(chosen(&both, ""), Err(SaslCondition::InvalidAuthzid));
        assert_eq!(chosen(&both, "b@one.test").unwrap(), "b@one.test");
        assert_eq!(chosen(&both, "c@one.test"), Err(SaslCondition::InvalidAuthzid));
        assert_eq!(chosen(&both, "@@"), Err(SaslCondition::InvalidAuthzid));
    }

    #[test]
    fn an_untrusted_certificate_names_nobody() {
        assert!(accounts(Some(&facts(&["a@one.test"], false)), "one.test").is_empty());
        assert!(accounts(None, "one.test").is_empty());
        assert_eq!(chosen(&[], ""), Err(SaslCondition::NotAuthorized));
    }
}
