//! Client certificates: asked for, never required, and judged against the operator's own authorities (XEP-0178).

use std::path::Path;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use stream::ClientCertificate;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{TlsError, names, read_chain};

/// The authorities whose client certificates are trusted.
#[derive(Debug)]
pub(super) struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    subjects: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Authorities {
    pub(super) fn load(path: &Path) -> Result<Self, TlsError> {
        let wrong = |error: webpki::Error| TlsError(format!("{}: {error}", path.display()));
        let mut anchors = Vec::new();
        let mut subjects = Vec::new();
        for certificate in read_chain(path)? {
            let anchor = anchor_from_trusted_cert(&certificate).map_err(wrong)?.to_owned();
            subjects.push(DistinguishedName::in_sequence(&anchor.subject));
            anchors.push(anchor);
        }
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        Ok(Authorities { anchors, subjects, algorithms })
    }

    /// What the certificate is worth. The handshake has shown that the client has its key.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> Option<ClientCertificate> {
        let (first, others) = chain.split_first()?;
        let trusted = EndEntityCert::try_from(first).is_ok_and(|certificate| {
            let usage = KeyUsage::client_auth();
            let now = UnixTime::now();
            let judged = certificate.verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                others,
                now,
                usage,
                None,
                None,
            );
            if let Err(error) = &judged {
                tracing::debug!(%error, "a client's certificate is not trusted");
            }
            judged.is_ok()
        });
        Some(ClientCertificate { xmpp_addrs: names::xmpp_addrs(first), trusted })
    }
}

/// Every certificate passes the handshake: whether it is trusted decides what SASL offers, not whether there is TLS.
impl ClientCertVerifier for Authorities {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
