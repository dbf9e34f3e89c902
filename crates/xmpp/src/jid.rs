//! Addresses (RFC 7622): who is meant, in one prepared form, so that equal addresses are equal texts.

pub mod escape;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use precis_profiles::precis_core::profile::{PrecisFastInvocation, stabilize};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

/// Bytes that each part of an address may have (RFC 7622 §3.1).
pub const PART_BYTES_MAX: usize = 1023;

/// Characters that PRECIS allows but a localpart may not have (RFC 7622 §3.3.1).
const EXCLUDED_FROM_LOCALPART: &[char] = &['"', '&', '\'', '/', ':', '<', '>', '@'];

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JidError {
    /// The localpart is empty, too long, or has a character that it may not have (RFC 7622 §3.3).
    Localpart,
    /// The domainpart is empty, too long, or no domain name or IP address (RFC 7622 §3.2).
    Domainpart,
    /// The resourcepart is empty, too long, or has a character that it may not have (RFC 7622 §3.4).
    Resourcepart,
    /// The address has a resourcepart where none may be, or lacks one where one must be.
    Shape,
}

impl fmt::Display for JidError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            JidError::Localpart => "the part before the @ is empty, too long or has a forbidden character",
            JidError::Domainpart => "the domain is empty, too long or malformed",
            JidError::Resourcepart => "the part after the / is empty, too long or has a forbidden character",
            JidError::Shape => "the address has a resource where none may be, or lacks one",
        })
    }
}

impl std::error::Error for JidError {}

/// An address: `local@domain/resource`, of which only the domain must be there. Cheap to clone.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Length of the localpart; the `@` follows. Zero without one.
    at: u16,
    /// Where the `/` is; the length of the text without one.
    slash: u16,
}

impl Jid {
    /// Prepares an address.
    ///
    /// # Errors
    /// The part that is at fault.
    pub fn new(text: &str) -> Result<Jid, JidError> {
        let (rest, resource) = match text.split_once('/') {
            Some((rest, resource)) => (rest, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match rest.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, rest),
        };
        Jid::from_parts(local, domain, resource)
    }

    /// Prepares an address from its parts.
    ///
    /// # Errors
    /// The part that is at fault.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Jid, JidError> {
        let mut text = String::with_capacity(
            local.map_or(0, |local| local.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1),
        );
        if let Some(local) = local {
            prepare_local(local, &mut text)?;
            text.push('@');
        }
        let at = text.len().saturating_sub(1) as u16;
        prepare_domain(domain, &mut text)?;
        let slash = text.len() as u16;
        if let Some(resource) = resource {
            text.push('/');
            prepare_resource(resource, &mut text)?;
        }
        Ok(Jid { text: text.into(), at, slash })
    }

    /// A domain as an address.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_domain(domain: &str) -> Result<Jid, JidError> {
        Jid::from_parts(None, domain, None)
    }

    /// The part before the `@`.
    pub fn local(&self) -> Option<&str> {
        (self.at > 0).then(|| &self.text[..usize::from(self.at)])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        let from = if self.at > 0 { usize::from(self.at) + 1 } else { 0 };
        &self.text[from..usize::from(self.slash)]
    }

    /// The part behind the `/`.
    pub fn resource(&self) -> Option<&str> {
        let slash = usize::from(self.slash);
        (slash < self.text.len()).then(|| &self.text[slash + 1..])
    }

    /// Whether it has no resource.
    pub fn is_bare(&self) -> bool {
        usize::from(self.slash) == self.text.len()
    }

    /// The address without its resource.
    pub fn bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        let text = &self.text[..usize::from(self.slash)];
        BareJid(Jid { text: text.into(), at: self.at, slash: self.slash })
    }

    /// The address with its resource, if it has one.
    pub fn full(&self) -> Option<FullJid> {
        (!self.is_bare()).then(|| FullJid(self.clone()))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::new(text)
    }
}

macro_rules! shaped {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Jid);

        impl Deref for $name {
            type Target = Jid;

            fn deref(&self) -> &Jid {
                &self.0
            }
        }

        impl From<$name> for Jid {
            fn from(jid: $name) -> Jid {
                jid.0
            }
        }

        impl From<&$name> for Jid {
            fn from(jid: &$name) -> Jid {
                jid.0.clone()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl FromStr for $name {
            type Err = JidError;

            fn from_str(text: &str) -> Result<$name, JidError> {
                $name::new(text)
            }
        }

        impl TryFrom<Jid> for $name {
            type Error = JidError;

            fn try_from(jid: Jid) -> Result<$name, JidError> {
                $name::shaped(jid)
            }
        }
    };
}

shaped! {
    /// An address without a resource: an account, a room, a domain.
    BareJid
}

shaped! {
    /// An address with a resource: one device of an account, one occupant of a room.
    FullJid
}

impl BareJid {
    /// Prepares an address that must have no resource.
    ///
    /// # Errors
    /// The part that is at fault, or [`JidError::Shape`].
    pub fn new(text: &str) -> Result<BareJid, JidError> {
        BareJid::shaped(Jid::new(text)?)
    }

    /// Prepares one from its parts.
    ///
    /// # Errors
    /// The part that is at fault.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<BareJid, JidError> {
        Ok(BareJid(Jid::from_parts(local, domain, None)?))
    }

    /// The same address with a resource.
    ///
    /// # Errors
    /// If the resource is none.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let mut text = String::with_capacity(self.text.len() + 1 + resource.len());
        text.push_str(&self.text);
        text.push('/');
        prepare_resource(resource, &mut text)?;
        Ok(FullJid(Jid { text: text.into(), at: self.at, slash: self.slash }))
    }

    fn shaped(jid: Jid) -> Result<BareJid, JidError> {
        if jid.is_bare() { Ok(BareJid(jid)) } else { Err(JidError::Shape) }
    }
}

impl FullJid {
    /// Prepares an address that must have a resource.
    ///
    /// # Errors
    /// The part that is at fault, or [`JidError::Shape`].
    pub fn new(text: &str) -> Result<FullJid, JidError> {
        FullJid::shaped(Jid::new(text)?)
    }

    /// The part behind the `/`; it is always there.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    fn shaped(jid: Jid) -> Result<FullJid, JidError> {
        jid.full().ok_or(JidError::Shape)
    }
}

/// Prepares a password (RFC 8265 §4.2, OpaqueString), so that it is the same on every keyboard.
///
/// # Errors
/// If it is empty or has characters that PRECIS refuses.
pub fn prepare_password(password: &str) -> Result<String, JidError> {
    if !password.is_empty() && password.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return Ok(password.to_owned());
    }
    opaque(password).map(String::from).ok_or(JidError::Shape)
}

fn within(length: usize, error: JidError) -> Result<(), JidError> {
    if (1..=PART_BYTES_MAX).contains(&length) { Ok(()) } else { Err(error) }
}

/// RFC 7622 §3.3: UsernameCaseMapped without the excluded characters.
fn prepare_local(local: &str, text: &mut String) -> Result<(), JidError> {
    within(local.len(), JidError::Localpart)?;
    let plain = |byte: u8| matches!(byte, 0x21..=0x7E) && !byte.is_ascii_uppercase();
    if local.bytes().all(plain) {
        if local.contains(EXCLUDED_FROM_LOCALPART) {
            return Err(JidError::Localpart);
        }
        text.push_str(local);
        return Ok(());
    }
    // RFC 8264 §7: until it stays as it is. A capital may have a small letter that PRECIS does not know.
    let prepared =
        stabilize(local, |text| UsernameCaseMapped::enforce(text)).map_err(|_| JidError::Localpart)?;
    if prepared.contains(EXCLUDED_FROM_LOCALPART) {
        return Err(JidError::Localpart);
    }
    within(prepared.len(), JidError::Localpart)?;
    text.push_str(&prepared);
    Ok(())
}

/// RFC 8265 §4.2: OpaqueString, until it stays as it is (RFC 8264 §7): a dot that stood alone may be one, once it is
/// normalized, that needs neighbours.
fn opaque(text: &str) -> Option<Cow<'_, str>> {
    stabilize(text, |text| OpaqueString::enforce(text)).ok()
}

/// RFC 7622 §3.4: OpaqueString.
fn prepare_resource(resource: &str, text: &mut String) -> Result<(), JidError> {
    within(resource.len(), JidError::Resourcepart)?;
    if resource.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        text.push_str(resource);
        return Ok(());
    }
    let prepared = opaque(resource).ok_or(JidError::Resourcepart)?;
    within(prepared.len(), JidError::Resourcepart)?;
    text.push_str(&prepared);
    Ok(())
}

/// RFC 7622 §3.2: a domain name as U-labels, or an IP address.
fn prepare_domain(domain: &str, text: &mut String) -> Result<(), JidError> {
    // §3.2.1: a dot at the end is taken off before anything else.
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    within(domain.len(), JidError::Domainpart)?;
    if let Some(literal) = domain.strip_prefix('[') {
        let address = literal.strip_suffix(']').ok_or(JidError::Domainpart)?;
        let address: Ipv6Addr = address.parse().map_err(|_| JidError::Domainpart)?;
        text.push_str(&format!("[{address}]"));
        return Ok(());
    }
    if is_plain_domain(domain) {
        text.push_str(domain);
        return Ok(());
    }
    let (unicode, checked) = idna::domain_to_unicode(domain);
    checked.map_err(|_| JidError::Domainpart)?;
    // What no name server could ever know is no domain; this also refuses empty labels and forbidden characters.
    let ascii = idna::domain_to_ascii_strict(&unicode).map_err(|_| JidError::Domainpart)?;
    if looks_like_ipv4(&ascii) && ascii.parse::<Ipv4Addr>().is_err() {
        return Err(JidError::Domainpart);
    }
    within(unicode.len(), JidError::Domainpart)?;
    text.push_str(&unicode);
    Ok(())
}

/// Lower-case letters, digits, inner hyphens and dots, no A-label: nothing to prepare.
fn is_plain_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.split('.').all(|label| {
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && bytes[0] != b'-'
                && bytes[bytes.len() - 1] != b'-'
                && (bytes.len() < 4 || &bytes[2..4] != b"--")
        })
        && (!looks_like_ipv4(domain) || domain.parse::<Ipv4Addr>().is_ok())
}

fn looks_like_ipv4(domain: &str) -> bool {
    domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}
