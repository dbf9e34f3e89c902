//! TLS: which certificate is shown to whom, and what the stream needs to know of a handshake.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, ServerConfig, ServerConnection};
use tokio::net::TcpStream;

mod client;
mod handshake;
mod made;
mod names;
mod records;
mod secrets;

pub use made::self_signed;
pub use names::names;
pub use records::{RECORD_MAX, Records};

use client::Authorities;
use secrets::Confidant;
use stream::TlsFacts;

/// The label of RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// The protocol name of XEP-0368 §3.
const ALPN_CLIENT: &[u8] = b"xmpp-client";

/// Where certificates come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The domains served; the first is shown to clients that name none.
    pub domains: Vec<String>,
    /// Files of certificate chains and keys.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Authorities of client certificates.
    pub client_ca: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// How a connection comes to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// By STARTTLS (RFC 6120 §5).
    StartTls,
    /// From the first byte (XEP-0368).
    Direct,
}

/// One certificate, ready to be shown.
struct Identity {
    start_tls: Arc<ServerConfig>,
    direct: Arc<ServerConfig>,
    /// Channel-binding data of `tls-server-end-point`.
    end_point: Option<Vec<u8>>,
}

/// All certificates, by the domains they are for.
struct Identities {
    by_name: BTreeMap<String, Arc<Identity>>,
    first: Arc<Identity>,
    /// When the files were last changed, as far as known.
    as_of: Vec<Option<SystemTime>>,
}

/// The certificates in use, and where newer ones come from.
pub struct Tls {
    sources: Sources,
    current: ArcSwap<Identities>,
    authorities: Option<Arc<Authorities>>,
}

impl Tls {
    /// Reads all certificates.
    ///
    /// # Errors
    /// A line for the operator: which file, what is wrong with it.
    pub fn load(sources: Sources) -> Result<Tls, TlsError> {
        let authorities = match &sources.client_ca {
            Some(path) => Some(Arc::new(Authorities::load(path)?)),
            None => None,
        };
        let identities = Identities::load(&sources, authorities.as_ref())?;
        Ok(Tls { sources, current: ArcSwap::from_pointee(identities), authorities })
    }

    /// Reads the certificates again. Connections keep what they were shown.
    ///
    /// # Errors
    /// As [`Tls::load`]; the old certificates stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let identities = Identities::load(&self.sources, self.authorities.as_ref())?;
        self.current.store(Arc::new(identities));
        Ok(())
    }

    /// Whether a file is not the one that was read.
    pub fn has_changed(&self) -> bool {
        self.current.load().as_of != times(&self.sources)
    }

    /// Does the server's part of a handshake.
    ///
    /// # Errors
    /// When the other side goes, or speaks no TLS that we do.
    pub async fn accept(
        self: Arc<Self>,
        mut socket: TcpStream,
        entrance: Entrance,
    ) -> io::Result<(TcpStream, Records, TlsFacts)> {
        let hello = handshake::hear(&mut socket).await?;
        let sni = hello.client_hello().server_name().map(str::to_ascii_lowercase);
        let identities = self.current.load_full();
        let named = sni.as_ref().and_then(|name| identities.by_name.get(name));
        let identity = named.unwrap_or(&identities.first);
        let config = match entrance {
            Entrance::StartTls => &identity.start_tls,
            Entrance::Direct => &identity.direct,
        };
        let (mut config, confidant) = (ServerConfig::clone(config), Arc::new(Confidant::default()));
        config.key_log = confidant.clone();
        let connection = handshake::finish(&mut socket, hello, Arc::new(config)).await?;
        let facts = self.facts(&connection, sni, identity);
        Ok((socket, Records::new(connection, confidant.tell())?, facts))
    }

    fn facts(&self, connection: &ServerConnection, sni: Option<String>, identity: &Identity) -> TlsFacts {
        // `require_ems` makes the exporter safe on TLS 1.2, too (RFC 9266 §4.2).
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(b"")).ok();
        let client = match (&self.authorities, connection.peer_certificates()) {
            (Some(authorities), Some(chain)) => authorities.judge(chain),
            _ => None,
        };
        TlsFacts {
            version13: connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3),
            sni,
            exporter,
            end_point: identity.end_point.clone(),
            client,
        }
    }
}

fn times(sources: &Sources) -> Vec<Option<SystemTime>> {
    let paths = sources.files.iter().flat_map(|(certificate, key)| [certificate, key]);
    let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    paths.map(modified).collect()
}

impl Identities {
    fn load(sources: &Sources, authorities: Option<&Arc<Authorities>>) -> Result<Self, TlsError> {
        // Taken before the files are read: a change in between is seen at the next look.
        let as_of = times(sources);
        let mut loaded: Vec<(Vec<String>, Arc<Identity>)> = Vec::new();
        for (certificate, key) in &sources.files {
            let (names, identity) = Identity::load(certificate, key, authorities)?;
            loaded.push((names, Arc::new(identity)));
        }
        let Some((_, first)) = loaded.first().cloned() else {
            return Err(TlsError("there is no certificate".to_owned()));
        };
        let mut by_name = BTreeMap::new();
        for domain in &sources.domains {
            let fitting = loaded.iter().find(|(names, _)| names::cover(names, domain));
            if fitting.is_none() {
                tracing::warn!(%domain, "no certificate names this domain; clients will refuse it");
            }
            let identity = fitting.map_or(&first, |(_, identity)| identity);
            by_name.insert(ascii(domain), identity.clone());
        }
        // A client may also name the host that it found by SRV (RFC 6120 §13.7.2.1).
        for (names, identity) in &loaded {
            for name in names {
                by_name.entry(name.clone()).or_insert_with(|| identity.clone());
            }
        }
        let speaks = sources.domains.first().and_then(|domain| by_name.get(&ascii(domain)));
        let first = speaks.cloned().unwrap_or(first);
        Ok(Identities { by_name, first, as_of })
    }
}

/// A domain as it stands in certificates and in SNI: with A-labels.
fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

impl Identity {
    fn load(
        certificate: &Path,
        key: &Path,
        authorities: Option<&Arc<Authorities>>,
    ) -> Result<(Vec<String>, Identity), TlsError> {
        let chain = read_chain(certificate)?;
        let names = chain.first().map(|first| names::names(first)).unwrap_or_default();
        let end_point = chain.first().and_then(|first| names::end_point(first));
        let secret = read_key(key)?;
        let config = |alpn: &[&[u8]]| {
            let mut config = server_config(chain.clone(), secret.clone_key(), authorities)
                .map_err(|error| mismatch(certificate, key, &error))?;
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Ok::<_, TlsError>(Arc::new(config))
        };
        let identity = Identity { start_tls: config(&[])?, direct: config(&[ALPN_CLIENT])?, end_point };
        Ok((names, identity))
    }
}

fn mismatch(certificate: &Path, key: &Path, error: &rustls::Error) -> TlsError {
    let (certificate, key) = (certificate.display(), key.display());
    TlsError(format!("{certificate} and {key} cannot be used together: {error}"))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error: &dyn fmt::Display| TlsError(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| unreadable("certificate", path, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(wrong(&"there is no certificate in it (PEM is expected)")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(wrong(&error)),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = std::fs::read(path).map_err(|error| unreadable("key", path, &error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        TlsError(format!("{}: there is no private key in it (PEM is expected): {error}", path.display()))
    })
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> TlsError {
    let path = path.display();
    TlsError(match error.kind() {
        io::ErrorKind::NotFound => {
            format!("the {what} {path} does not exist; see `tls.{what}` in the configuration")
        }
        io::ErrorKind::PermissionDenied => {
            format!("the {what} {path} may not be read; give the user that runs waxwing the right to")
        }
        _ => format!("the {what} {path} cannot be read: {error}"),
    })
}

/// TLS 1.3 and 1.2 (AEAD and ephemeral keys only), extended master secret, no early data.
fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Option<&Arc<Authorities>>,
) -> Result<ServerConfig, rustls::Error> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // The one that everybody has (RFC 8446 §9.1) is strong enough, and costs less than AES-256, which many clients
    // name first.
    let first = CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != first);
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match authorities {
        Some(authorities) => builder.with_client_cert_verifier(authorities.clone()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.require_ems = true;
    config.ignore_client_order = true;
    // What follows the handshake is ours to seal (records.rs).
    config.enable_secret_extraction = true;
    // Its key lives with the certificate: after a reload, tickets of the old one are not taken.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(directory: &Path, domains: &[&str]) -> Result<Sources, Box<dyn std::error::Error>> {
        let domains: Vec<String> = domains.iter().map(|domain| (*domain).to_owned()).collect();
        let files = self_signed(directory, &domains, SystemTime::now())?;
        Ok(Sources { domains, files: vec![files], client_ca: None })
    }

    #[test]
    fn certificates_are_found_by_name_and_read_again() -> Result<(), Box<dyn std::error::Error>> {
        let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let mut all = sources(one.path(), &["one.test"])?;
        let other = sources(two.path(), &["two.test"])?;
        all.domains.extend(other.domains);
        all.files.extend(other.files);
        let tls = Tls::load(all)?;
        let before = tls.current.load_full();
        let end_point = |name: &str| before.by_name.get(name).and_then(|identity| identity.end_point.clone());
        assert!(end_point("one.test").is_some_and(|hash| hash.len() == 32));
        assert_ne!(end_point("one.test"), end_point("two.test"));
        assert_eq!(before.first.end_point, end_point("one.test"));
        assert!(!tls.has_changed());

        std::fs::remove_file(one.path().join("certificate.pem"))?;
        assert!(tls.has_changed());
        assert!(tls.reload().is_err_and(|error| error.to_string().contains("does not exist")));
        self_signed(one.path(), &["one.test".to_owned()], SystemTime::now())?;
        tls.reload()?;
        assert_ne!(tls.current.load().first.end_point, before.first.end_point);
        Ok(())
    }

    #[test]
    fn a_key_that_does_not_fit_is_named() -> Result<(), Box<dyn std::error::Error>> {
        let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let mut mixed = sources(one.path(), &["one.test"])?;
        mixed.files[0].1 = sources(two.path(), &["one.test"])?.files[0].1.clone();
        let error = Tls::load(mixed).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("cannot be used together"), "{error}");
        Ok(())
    }

    /// A chain for `alice@one.test` by an authority of its own: (authority, certificate, key), as PEM.
    fn client_certificate() -> Result<(String, String, String), rcgen::Error> {
        let authority_key = rcgen::KeyPair::generate()?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(parameters, authority_key)?;
        let key = rcgen::KeyPair::generate()?;
        let mut parameters = rcgen::CertificateParams::default();
        let alice = rcgen::SanType::OtherName((names::XMPP_ADDR.to_vec(), "alice@one.test".into()));
        parameters.subject_alt_names.push(alice);
        let certificate = parameters.signed_by(&key, &authority)?;
        Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
    }

    /// A handshake with ourselves: what the server learns, and what the client would bind to.
    async fn shake_hands(
        tls: &Arc<Tls>,
        trusted: &Path,
        client: Option<(&str, &str)>,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Result<(TlsFacts, [u8; 32]), Box<dyn std::error::Error>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        for certificate in read_chain(trusted)? {
            roots.add(certificate)?;
        }
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])?
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
                builder.with_client_auth_cert(chain.collect::<Result<_, _>>()?, key)?
            }
        };
        config.alpn_protocols = vec![ALPN_CLIENT.to_vec()];
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let socket = TcpStream::connect(listener.local_addr()?).await?;
        let (accepted, _) = listener.accept().await?;
        let server = tokio::spawn(tls.clone().accept(accepted, Entrance::Direct));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect("one.test".try_into()?, socket).await?;
        let (_, _, facts) = server.await??;
        let (_, connection) = stream.get_ref();
        assert_eq!(connection.alpn_protocol(), Some(ALPN_CLIENT));
        let bound = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(b""))?;
        Ok((facts, bound))
    }

    #[tokio::test]
    async fn a_handshake_tells_names_bindings_and_the_client() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let (authority, certificate, key) = client_certificate()?;
        let mut sources = sources(directory.path(), &["one.test"])?;
        let trusted = sources.files[0].0.clone();
        let anonymous = Arc::new(Tls::load(sources.clone())?);
        sources.client_ca = Some(directory.path().join("ca.pem"));
        std::fs::write(directory.path().join("ca.pem"), authority)?;
        let asking = Arc::new(Tls::load(sources)?);

        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (facts, bound) = shake_hands(&anonymous, &trusted, None, version).await?;
            assert_eq!(facts.version13, version.version == rustls::ProtocolVersion::TLSv1_3);
            assert_eq!(facts.sni.as_deref(), Some("one.test"));
            assert_eq!(facts.exporter, Some(bound));
            assert_eq!(facts.client, None);

            let own = Some((certificate.as_str(), key.as_str()));
            let (facts, _) = shake_hands(&asking, &trusted, own, version).await?;
            let alice =
                stream::ClientCertificate { xmpp_addrs: vec!["alice@one.test".to_owned()], trusted: true };
            assert_eq!(facts.client, Some(alice));

            let (_, stranger, key) = client_certificate()?;
            let strange = Some((stranger.as_str(), key.as_str()));
            let (facts, _) = shake_hands(&asking, &trusted, strange, version).await?;
            assert!(facts.client.is_some_and(|client| !client.trusted));
        }
        Ok(())
    }
}
