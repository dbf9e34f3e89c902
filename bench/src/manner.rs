//! How the people of a load come in and what they want there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

/// Source addresses that the sessions share: each has about 28,000 ports.
const SOURCES: u32 = 16;
/// TLS tickets that are kept for those who come back.
const TICKETS: usize = 4096;

/// What is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An XMPP server behind TLS (XEP-0368).
    DirectTls,
    /// An XMPP server that turns to TLS (RFC 6120 §5).
    StartTls,
    /// The floor: a relay that knows groups only.
    Floor,
}

/// The manner.
#[derive(Debug, Clone)]
pub struct Manner {
    /// What is spoken to.
    pub peer: Peer,
    /// Where.
    pub address: SocketAddr,
    /// The domain of all accounts.
    pub domain: String,
    /// The password of all accounts.
    pub password: String,
    /// Whether streams are managed (XEP-0198).
    pub managed: bool,
    /// Whether copies are wanted (XEP-0280).
    pub carbons: bool,
    /// Whether presence is sent.
    pub available: bool,
    /// People in one group; of the floor.
    pub group: u32,
    tls: Arc<ClientConfig>,
}

impl Manner {
    /// People who are available and want nothing more.
    ///
    /// # Panics
    /// If the TLS library does not know TLS.
    pub fn new(peer: Peer, address: SocketAddr, domain: &str, password: &str) -> Self {
        Manner {
            peer,
            address,
            domain: domain.to_owned(),
            password: password.to_owned(),
            managed: false,
            carbons: false,
            available: true,
            group: 2,
            tls: Arc::new(tls(Resumption::disabled())),
        }
    }

    /// The same, with TLS tickets.
    #[must_use]
    pub fn with_tickets(mut self) -> Self {
        self.tls = Arc::new(tls(Resumption::in_memory_sessions(TICKETS)));
        self
    }

    /// Settings of TLS.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// The address that a session comes from.
    pub fn source(&self, session: usize) -> SocketAddr {
        let last = 2 + (session as u32 % SOURCES) as u8;
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)
    }

    /// The server's name in TLS. Those with tickets are of one account each.
    ///
    /// # Errors
    /// A domain that is none.
    pub fn name(&self) -> Result<ServerName<'static>, String> {
        ServerName::try_from(self.domain.clone()).map_err(|error| error.to_string())
    }
}

#[allow(clippy::expect_used)] // of the library's own provider
fn tls(resumption: Resumption) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = resumption;
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    config
}

/// The server is one that we have started.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
