//! An authority that signs people's certificates, for SASL EXTERNAL.

use crate::support::sockets::Identity;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, OtherNameValue, SanType};
use rustls::pki_types::PrivateKeyDer;

/// `id-on-xmppAddr` (RFC 6120 §13.7.1.4).
const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, as the server reads it.
    pub pem: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When keys cannot be made.
    pub fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate that says that its owner is `account`.
    pub fn identity(&self, account: &str) -> Option<Identity> {
        let key = KeyPair::generate().ok()?;
        let mut params = CertificateParams::new(Vec::new()).ok()?;
        let name = OtherNameValue::Utf8String(account.to_owned());
        params.subject_alt_names = vec![SanType::OtherName((XMPP_ADDR.to_vec(), name))];
        let certificate = params.signed_by(&key, &self.issuer).ok()?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
        Some((vec![certificate.der().clone()], key))
    }
}
