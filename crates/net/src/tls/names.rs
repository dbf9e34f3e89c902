//! What a certificate says: the names it is for, the addresses of its owner, and its own hash.

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
pub(super) const XMPP_ADDR: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 5];
const XMPP_ADDR_TEXT: &str = "1.3.6.1.5.5.7.8.5";

/// The DNS names a certificate is for, in lower case; wildcards as they stand.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    collect(certificate, |name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    })
}

/// The XMPP addresses of a client certificate's owner (XEP-0178 §2).
pub(super) fn xmpp_addrs(certificate: &CertificateDer<'_>) -> Vec<String> {
    collect(certificate, |name| match name {
        GeneralName::OtherName(id, value) if id.to_id_string() == XMPP_ADDR_TEXT => utf8_string(value),
        _ => None,
    })
}

/// When it ends, in seconds since 1970; `None` if it cannot be read.
pub(super) fn ends(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

fn collect(
    certificate: &CertificateDer<'_>,
    pick: impl Fn(&GeneralName<'_>) -> Option<String>,
) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    names.value.general_names.iter().filter_map(pick).collect()
}

/// Whether a certificate with these names is for the domain (RFC 6125 §6.4: a wildcard stands for one whole label).
pub(super) fn cover(names: &[String], domain: &str) -> bool {
    let domain = super::ascii(domain);
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(rest) => domain.split_once('.').is_some_and(|(_, parent)| parent == rest),
        None => *name == domain,
    })
}

/// `[0] EXPLICIT UTF8String`, as the value of an otherName stands in DER.
fn utf8_string(der: &[u8]) -> Option<String> {
    let text = content(content(der, 0xA0)?, 0x0C)?;
    String::from_utf8(text.to_vec()).ok()
}

/// The content of one DER value with this tag.
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7F => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    rest.get(..length)
}

/// Channel-binding data of `tls-server-end-point` (RFC 5929 §4.1): the certificate's hash by the function of its own
/// signature, SHA-256 in place of MD5 and SHA-1; undefined for signatures that name no hash, as Ed25519.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let id = parsed.signature_algorithm.algorithm.to_id_string();
    let hash = match SignatureAlgorithm::try_from(&parsed.signature_algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => parameters.hash_algorithm_oid().to_id_string(),
        _ => id,
    };
    let function = match hash.as_str() {
        // MD5 and SHA-1 with RSA, SHA-1 with ECDSA, SHA-1 of PSS.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.26" => {
            &digest::SHA256
        }
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.2.1" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(function, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_label() {
        let names = ["*.one.test".to_owned(), "two.test".to_owned()];
        assert!(cover(&names, "chat.one.test"));
        assert!(cover(&names, "two.test"));
        assert!(!cover(&names, "one.test"));
        assert!(!cover(&names, "a.chat.one.test"));
    }

    #[test]
    fn reads_der_text() {
        assert_eq!(utf8_string(b"\xA0\x05\x0C\x03a@b").as_deref(), Some("a@b"));
        assert_eq!(utf8_string(b"\xA0\x05\x0C\x09a@b"), None);
        assert_eq!(utf8_string(b""), None);
    }
}
