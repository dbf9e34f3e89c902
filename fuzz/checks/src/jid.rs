//! Addresses: prepared once they stay as they are, within the limits, and nothing in them can be taken for markup of an
//! address. Passwords and escaped localparts beside them.

use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};
use xmpp::jid::{self, BareJid, FullJid, Jid, PART_BYTES_MAX, escape};

use crate::draw::is_legal;

/// RFC 7622 §3.3.1.
const EXCLUDED: [char; 8] = ['"', '&', '\'', '/', ':', '<', '>', '@'];

/// Checks an input: a text that may be an address, a part of one, or a password.
///
/// # Panics
/// When a promise is broken.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(jid) = Jid::new(text) {
        whole(&jid);
        spelt(text, &jid);
    }
    local(text);
    domain(text);
    resource(text);
    password(text);
    escaped(text);
}

fn whole(jid: &Jid) {
    let (local, domain, resource) = (jid.local(), jid.domain(), jid.resource());
    let again = Jid::new(jid.as_str());
    assert_eq!(again.as_ref(), Ok(jid), "prepared twice");
    let again = again.expect("it was compared");
    assert_eq!((again.local(), again.domain(), again.resource()), (local, domain, resource), "{jid}");
    assert_eq!(Jid::from_parts(local, domain, resource).as_ref(), Ok(jid), "from its parts");

    for part in [local, Some(domain), resource].into_iter().flatten() {
        assert!((1..=PART_BYTES_MAX).contains(&part.len()), "{} bytes in a part of {jid}", part.len());
        assert!(part.chars().all(|character| is_legal(character) && !character.is_control()), "{jid:?}");
    }
    assert!(!local.is_some_and(|local| local.contains(EXCLUDED)), "{jid}");
    assert!(
        !local.is_some_and(|local| local.contains(|c: char| c.is_ascii_uppercase() || c == ' ')),
        "{jid}"
    );
    assert!(!domain.contains(['@', '/', ' ']) && !domain.ends_with('.'), "{jid}");
    assert!(!domain.contains(|c: char| c.is_ascii_uppercase()), "{jid}");
    assert!(domain.split('.').all(|label| !label.starts_with("xn--")), "an A-label in {jid}");
    let local = local.map(|local| format!("{local}@")).unwrap_or_default();
    let bare = format!("{local}{domain}");
    let full = resource.map(|resource| format!("{bare}/{resource}"));
    assert_eq!(jid.as_str(), full.as_deref().unwrap_or(&bare));

    assert_eq!(jid.bare().as_str(), bare);
    assert_eq!(BareJid::new(&bare).as_ref(), Ok(&jid.bare()));
    assert_eq!(jid.is_bare(), resource.is_none());
    assert_eq!(jid.full().is_some(), resource.is_some());
    assert_eq!(BareJid::new(jid.as_str()).is_ok(), resource.is_none());
    assert_eq!(FullJid::new(jid.as_str()).ok(), jid.full());
    if let Some(resource) = resource {
        let full = jid.bare().with_resource(resource).expect("its own resource");
        assert_eq!(Jid::from(full), *jid);
    }
}

/// RFC 7622 §3.1: the first slash and the first at sign before it part the address.
fn spelt(text: &str, jid: &Jid) {
    let (rest, resource) =
        text.split_once('/').map_or((text, None), |(rest, resource)| (rest, Some(resource)));
    let (local, domain) = rest.split_once('@').map_or((None, rest), |(local, domain)| (Some(local), domain));
    assert_eq!(Jid::from_parts(local, domain, resource).as_ref(), Ok(jid), "{text}");
}

/// The short way of plain ASCII decides as PRECIS does.
fn local(text: &str) {
    let prepared = UsernameCaseMapped::enforce(text).ok().map(String::from);
    let prepared =
        prepared.filter(|prepared| !prepared.contains(EXCLUDED) && prepared.len() <= PART_BYTES_MAX);
    let ours = Jid::from_parts(Some(text), "d", None).ok();
    if let Some(ours) = &ours {
        whole(ours);
    }
    if text.is_ascii() {
        let prepared = prepared.filter(|_| text.len() <= PART_BYTES_MAX);
        assert_eq!(ours.as_ref().and_then(|jid| jid.local()), prepared.as_deref(), "the localpart {text:?}");
    }
}

fn domain(text: &str) {
    let Ok(jid) = Jid::from_domain(text) else { return };
    whole(&jid);
    // What name servers are asked for is the same name.
    if !jid.domain().starts_with('[') {
        let ascii = idna::domain_to_ascii_strict(jid.domain());
        let ascii = ascii.unwrap_or_else(|_| panic!("{jid} has no name in ASCII"));
        assert_eq!(Jid::from_domain(&ascii).as_ref(), Ok(&jid), "{ascii}");
    }
}

fn resource(text: &str) {
    let ours = Jid::from_parts(Some("a"), "d", Some(text)).ok();
    if let Some(ours) = &ours {
        whole(ours);
    }
    if text.is_ascii() {
        let prepared = OpaqueString::enforce(text).ok().map(String::from);
        let prepared = prepared.filter(|_| text.len() <= PART_BYTES_MAX);
        assert_eq!(
            ours.as_ref().and_then(|jid| jid.resource()),
            prepared.as_deref(),
            "the resource {text:?}"
        );
    }
}

fn password(text: &str) {
    let ours = jid::prepare_password(text).ok();
    if let Some(ours) = &ours {
        assert_eq!(jid::prepare_password(ours).as_ref(), Ok(ours), "a password prepared twice");
    }
    if text.is_ascii() {
        assert_eq!(ours, OpaqueString::enforce(text).ok().map(String::from), "the password {text:?}");
    }
}

/// XEP-0106 §4: what is escaped is read as it was; a space at either end cannot be.
fn escaped(text: &str) {
    let escaped = escape::escape(text);
    assert!(!escaped.contains(EXCLUDED) && !escaped.contains(' '), "{escaped}");
    if !text.starts_with(' ') && !text.ends_with(' ') {
        assert_eq!(escape::unescape(&escaped), text, "escaped as {escaped}");
    }
    let shown = escape::unescape(text);
    let has_space = |text: &str| text.starts_with(' ') || text.ends_with(' ');
    assert!(has_space(text) || !has_space(&shown), "{shown:?} of {text:?}");
}
