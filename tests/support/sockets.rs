//! Conversations over real sockets: blocking TCP, TLS by rustls, and a house that has a server in it.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use simulator::conversation::{Binding, Door, Received, Refused, Scene, Stage, Wire};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// TCP with STARTTLS.
    pub plain: SocketAddr,
    /// Direct TLS, if it has that.
    pub tls: Option<SocketAddr>,
}

/// A certificate that a client shows, and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Something with a server in it.
pub trait House {
    /// Starts it for a scene; called once per conversation.
    fn set(&mut self, scene: &Scene) -> Result<Addresses, Refused>;
    /// Ends it and starts it again on the same store.
    fn restart(&mut self) -> Result<Addresses, String>;
    /// Kills it and starts it again on the same store.
    fn crash(&mut self) -> Result<Addresses, String>;
    /// The certificate of a person, if the house's authority signs such.
    fn identity(&self, _account: &str) -> Option<Identity> {
        None
    }
}

/// The stage on sockets.
pub struct Sockets<H> {
    /// The house with the server.
    pub house: H,
    /// How long to wait for what must come.
    pub patience: Duration,
    addresses: Option<Addresses>,
    wires: Vec<Option<Link>>,
}

enum Link {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl<H> Sockets<H> {
    /// A stage with nobody connected.
    pub fn new(house: H) -> Self {
        Sockets { house, patience: Duration::from_secs(10), addresses: None, wires: Vec::new() }
    }
}

impl<H: House> Stage for Sockets<H> {
    fn name(&self) -> &'static str {
        "sockets"
    }

    fn set(&mut self, scene: &Scene) -> Result<(), Refused> {
        self.wires.clear();
        self.addresses = Some(self.house.set(scene)?);
        Ok(())
    }

    fn open(&mut self, door: Door, _domain: &str) -> Result<Wire, String> {
        let addresses = self.addresses.ok_or("the server was not started")?;
        let address = match door {
            Door::Plain => addresses.plain,
            Door::Tls => addresses.tls.ok_or("this server has no port for direct TLS")?,
        };
        let link = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        link.set_nodelay(true).map_err(|error| error.to_string())?;
        link.set_read_timeout(Some(self.patience)).map_err(|error| error.to_string())?;
        self.wires.push(Some(Link::Plain(link)));
        Ok(Wire(self.wires.len() - 1))
    }

    fn secure(&mut self, wire: Wire, domain: &str, account: Option<&str>) -> Result<Binding, String> {
        let Some(Link::Plain(tcp)) = self.wires[wire.0].take() else {
            return Err("TLS is there already, or the connection is not".to_owned());
        };
        let identity = match account {
            Some(account) => Some(
                self.house.identity(account).ok_or_else(|| format!("no certificate for {account} here"))?,
            ),
            None => None,
        };
        let name = ServerName::try_from(domain.to_owned()).map_err(|error| error.to_string())?;
        let connection =
            ClientConnection::new(settings(identity), name).map_err(|error| error.to_string())?;
        let mut tls = StreamOwned::new(connection, tcp);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).map_err(|error| format!("TLS: {error}"))?;
        }
        let binding = binding(&tls.conn);
        self.wires[wire.0] = Some(Link::Tls(Box::new(tls)));
        Ok(binding)
    }

    fn send(&mut self, wire: Wire, bytes: &[u8]) {
        // An error here means that the server closed; why is told by what is read.
        let _ = match &mut self.wires[wire.0] {
            Some(Link::Plain(link)) => link.write_all(bytes),
            Some(Link::Tls(link)) => link.write_all(bytes).and_then(|()| link.flush()),
            None => Ok(()),
        };
    }

    fn receive(&mut self, wire: Wire) -> Received {
        let mut bytes = vec![0; 16 * 1024];
        let read = match &mut self.wires[wire.0] {
            Some(Link::Plain(link)) => link.read(&mut bytes),
            Some(Link::Tls(link)) => link.read(&mut bytes),
            None => Ok(0),
        };
        match read {
            Ok(0) => Received::Closed,
            Ok(length) => {
                bytes.truncate(length);
                Received::Bytes(bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Received::Quiet
            }
            Err(_) => Received::Closed,
        }
    }

    fn cut(&mut self, wire: Wire) {
        self.wires[wire.0] = None;
    }

    fn restart(&mut self) -> Result<(), String> {
        self.addresses = Some(self.house.restart()?);
        Ok(())
    }

    fn crash(&mut self) -> Result<(), String> {
        self.addresses = Some(self.house.crash()?);
        Ok(())
    }

    fn pass(&mut self, _time: Duration) -> Result<(), String> {
        Err("time passes at its own pace on sockets; mark the conversation '# only: simulator'".to_owned())
    }
}

/// How clients do TLS: as any of today, but for whom they trust.
pub fn settings(identity: Option<Identity>) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
    let mut settings = match identity {
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).expect("the key fits the certificate")
        }
        None => builder.with_no_client_auth(),
    };
    settings.alpn_protocols = vec![b"xmpp-client".to_vec()];
    Arc::new(settings)
}

fn binding(connection: &ClientConnection) -> Binding {
    // RFC 9266 §2.
    let exporter = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => {
            connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).ok()
        }
        _ => None,
    };
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    // RFC 5929 §4.1: SHA-256, for all certificates that the tests make.
    let end_point = certificate.map(|der| simulator::conversation::sha256(der));
    Binding { exporter: exporter.map(|data| data.to_vec()), end_point }
}

/// What is said is tested here, not who is spoken to: any certificate will do, if it signs the handshake.
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
