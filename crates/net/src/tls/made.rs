//! The certificate that the server makes for itself at first start, so that it can be tried at once.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{TlsError, names};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a certificate of our own lasts.
const LASTS: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);
/// How long before its end it is made anew.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Finds the self-signed certificate and its key in a directory. If there is none, or it does not name all domains,
/// or it ends soon, it is made: ECDSA P-256, for all domains, `localhost` and the loopback addresses.
///
/// # Errors
/// When the files cannot be written.
pub fn self_signed(
    directory: &Path,
    domains: &[String],
    now: SystemTime,
) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    if key.exists() && serves(&certificate, domains, now) {
        return Ok((certificate, key));
    }
    let (chain, secret) = make(domains, now)
        .map_err(|error| TlsError(format!("a certificate for {domains:?} cannot be made: {error}")))?;
    let failed =
        |path: &Path, error: io::Error| TlsError(format!("{} cannot be written: {error}", path.display()));
    write_private(&key, &secret).map_err(|error| failed(&key, error))?;
    std::fs::write(&certificate, chain).map_err(|error| failed(&certificate, error))?;
    Ok((certificate, key))
}

fn serves(path: &Path, domains: &[String], now: SystemTime) -> bool {
    let Ok(text) = std::fs::read(path) else {
        return false;
    };
    let Ok(certificate) = CertificateDer::from_pem_slice(&text) else {
        return false;
    };
    let known = names::names(&certificate);
    let since = (now + RENEW_BEFORE).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let lasts = names::ends(&certificate)
        .is_some_and(|end| u64::try_from(end).is_ok_and(|end| end > since.as_secs()));
    lasts && domains.iter().all(|domain| names::cover(&known, domain))
}

/// The certificate and its key, both as PEM.
fn make(domains: &[String], now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let mut parameters = CertificateParams::default();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // A day back, for clients whose clock is behind.
    parameters.not_before = epoch + since.saturating_sub(DAY);
    parameters.not_after = epoch + since + LASTS;
    let mut subject = DistinguishedName::new();
    let common = domains.first().map_or("localhost", String::as_str);
    subject.push(DnType::CommonName, common.chars().take(64).collect::<String>());
    parameters.distinguished_name = subject;
    // Not an authority: whoever trusts this file trusts this server and nobody else.
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for domain in domains {
        parameters.subject_alt_names.push(SanType::DnsName(super::ascii(domain).try_into()?));
        // RFC 6120 §13.7.1.2.1
        let address = SanType::OtherName((names::XMPP_ADDR.to_vec(), domain.as_str().into()));
        parameters.subject_alt_names.push(address);
    }
    if !domains.iter().any(|domain| domain == "localhost") {
        parameters.subject_alt_names.push(SanType::DnsName("localhost".try_into()?));
    }
    for loopback in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        parameters.subject_alt_names.push(SanType::IpAddress(loopback));
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a file that nobody else may read, not even for a moment.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_all_domains_and_stays_until_they_change() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let now = SystemTime::now();
        let one = ["one.test".to_owned()];
        let (certificate, key) = self_signed(directory.path(), &one, now)?;
        let first = std::fs::read(&certificate)?;
        let parsed = CertificateDer::from_pem_slice(&first)?;
        assert_eq!(names::names(&parsed), ["one.test", "localhost"]);
        assert_eq!(names::xmpp_addrs(&parsed), ["one.test"]);
        assert_eq!(std::fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);

        self_signed(directory.path(), &one, now)?;
        assert_eq!(std::fs::read(&certificate)?, first);
        let two = ["one.test".to_owned(), "two.test".to_owned()];
        self_signed(directory.path(), &two, now)?;
        let second = std::fs::read(&certificate)?;
        assert_ne!(second, first);
        self_signed(directory.path(), &two, now + LASTS)?;
        assert_ne!(std::fs::read(&certificate)?, second);
        Ok(())
    }
}
