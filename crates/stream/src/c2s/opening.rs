//! A stream begins: the client's header is judged; ours and our features answer it
//! (RFC 6120 §4.7).

use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;
use xmpp::xml::StreamHeader;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::State;
use super::authenticating::Authenticating;
use super::binding::Binding;
use super::line::Line;
use super::managing;
use super::request::task;
use crate::sasl::scram::ScramHash;
use crate::sasl::{Mechanism, Offer};
use xmpp::ns;

/// Waits for a stream header; before login, or after it to bind a resource.
#[derive(Debug)]
pub(super) struct Opening;

impl Opening {
    pub fn open(self, header: &StreamHeader, line: &mut Line) -> Result<State, StreamError> {
        line.lang = header.lang.clone();
        line.address(header.from.as_deref());
        line.version = answered(header.version.as_deref());
        // RFC 6120 §4.8.2: the content's namespace, or none of its own: then each element says which it is of.
        if !matches!(header.content_ns.as_str(), ns::CLIENT | ns::STREAM | "") {
            return Err(StreamCondition::InvalidNamespace.into());
        }
        pin_host(header, line)?;
        pin_sender(header, line)?;
        if !is_version_1(header.version.as_deref()) {
            return Err(StreamCondition::UnsupportedVersion.into());
        }
        line.write_open();
        if let Some(identity) = line.identity.clone() {
            line.write_features(bind_features(line));
            return Ok(State::Binding(Binding::new(identity)));
        }
        let host = line.host.as_deref().unwrap_or_default();
        let offer = line.settings.offer(line.tls.as_ref(), host);
        let mut features = login_features(line);
        features.extend(offer.features());
        let version = extend_by_sasl2(&mut features, &offer, line);
        line.write_features(features);
        Ok(State::Authenticating(Box::new(Authenticating::new(offer, version))))
    }
}

/// The domain of the first header is the stream's for good (RFC 6120 §4.7.2).
fn pin_host(header: &StreamHeader, line: &mut Line) -> Result<(), StreamError> {
    let to = header.to.as_deref().filter(|to| !to.is_empty());
    let to = to.ok_or(StreamCondition::ImproperAddressing)?;
    let to = Jid::new(to).map_err(|_| StreamCondition::ImproperAddressing)?;
    let domain = to.domain();
    if to.local().is_some() || !to.is_bare() || !line.settings.domains.iter().any(|d| d == domain) {
        return Err(StreamCondition::HostUnknown.into());
    }
    match &line.host {
        Some(host) if host != domain => {
            let error = StreamError::from(StreamCondition::NotAuthorized);
            Err(StreamError { text: Some("The domain of a stream is fixed.".into()), ..error })
        }
        Some(_) => Ok(()),
        None => {
            line.host = Some(domain.to_owned());
            Ok(())
        }
    }
}

/// Who the client claims to be may not change either (RFC 6120 §4.7.1, §6.4.6).
fn pin_sender(header: &StreamHeader, line: &mut Line) -> Result<(), StreamError> {
    let Some(from) = header.from.as_deref() else {
        return Ok(());
    };
    let from: BareJid = Jid::new(from).map_err(|_| StreamCondition::InvalidFrom)?.bare();
    let account = line.identity.as_ref().map(|identity| identity.account());
    if account.or(line.claimed.as_ref()).is_some_and(|known| *known != from) {
        return Err(StreamCondition::InvalidFrom.into());
    }
    line.claimed = Some(from);
    Ok(())
}

fn is_version_1(version: Option<&str>) -> bool {
    version.and_then(numbers).is_some_and(|(major, _)| major == 1)
}

/// The version that our header names: the lower of the client's and ours; none if the client names none
/// (RFC 6120 §4.7.5, rules 2 and 4).
fn answered(version: Option<&str>) -> Option<String> {
    let ours = (1, 0);
    let (major, minor) = numbers(version?).unwrap_or(ours).min(ours);
    Some(format!("{major}.{minor}"))
}

/// Both numbers of a version; zeros in front do not count (RFC 6120 §4.7.5).
fn numbers(version: &str) -> Option<(u64, u64)> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (major, minor) = version.split_once('.')?;
    Some((digits(major)?, digits(minor)?))
}

fn login_features(line: &Line) -> Vec<Element> {
    let settings = &line.settings;
    let mut features = Vec::new();
    if line.starttls {
        let mut starttls = Element::new(ns::TLS, "starttls");
        if settings.tls_required {
            starttls.push(Element::new(ns::TLS, "required"));
        }
        features.push(starttls);
    }
    if settings.register && (line.tls.is_some() || !settings.tls_required) {
        features.push(Element::new(ns::REGISTER_FEATURE, "register"));
    }
    features.push(settings.limits_feature(&settings.limits_before));
    features
}

/// SASL2, with all that can come along with it, and what this offer is known by (XEP-0388 §2.1, XEP-0509 §2.1).
fn extend_by_sasl2(features: &mut Vec<Element>, offer: &Offer, line: &Line) -> Option<String> {
    // XEP-0388 §3: only inside TLS. §2.1: not without a mechanism.
    if line.tls.is_none() || offer.mechanisms.is_empty() {
        return None;
    }
    let settings = &line.settings;
    let each = |name: &'static str| {
        move |mechanism: &Mechanism| Element::new(name, "mechanism").with_text(mechanism.name())
    };
    let turned_on = [ns::SM].into_iter().chain(settings.inline.iter().copied());
    let turned_on = turned_on.map(|var| Element::new(ns::BIND2, "feature").with_attr("var", var));
    let bind = Element::new(ns::BIND2, "bind")
        .with_child(Element::new(ns::BIND2, "inline").with_children(turned_on));
    // XEP-0198 §9.2: a former stream can be resumed at once.
    let mut inline = Element::new(ns::SASL2, "inline").with_child(managing::feature()).with_child(bind);
    if !offer.tokens.is_empty() {
        inline.push(Element::new(ns::FAST, "fast").with_children(offer.tokens.iter().map(each(ns::FAST))));
    }
    let upgrades =
        settings.upgrades().map(|hash| Element::new(ns::SASL_UPGRADE, "upgrade").with_text(&task(hash)));
    let authentication = Element::new(ns::SASL2, "authentication")
        .with_children(offer.mechanisms.iter().map(each(ns::SASL2)))
        .with_child(inline)
        .with_children(upgrades);
    features.push(authentication);
    let told: String = features.iter().map(Element::to_xml).collect();
    let version = STANDARD.encode(ScramHash::Sha256.hash(told.as_bytes()));
    features.push(
        Element::new(ns::PIPELINING, "config-version")
            .with_attr("scheme", "opaque")
            .with_attr("value", version.as_str()),
    );
    Some(version)
}

/// What a stream offers whose client has logged in.
pub(super) fn bind_features(line: &Line) -> Vec<Element> {
    let optional = Element::new(ns::SESSION, "optional");
    let mut features = vec![
        Element::new(ns::BIND, "bind"),
        // RFC 3921 clients open a session; RFC 6121 made that a formality.
        Element::new(ns::SESSION, "session").with_child(optional),
    ];
    features.extend(bound_features(line));
    features
}

/// What it offers whose client has its resource already.
pub(super) fn bound_features(line: &Line) -> Vec<Element> {
    let mut features = vec![managing::feature()];
    features.extend(managed_features(line));
    features
}

/// What it offers that is managed already, too (XEP-0388 §2.6.1: what applies).
pub(super) fn managed_features(line: &Line) -> Vec<Element> {
    let settings = &line.settings;
    let mut features = vec![settings.limits_feature(&settings.limits_after), Element::new(ns::CSI, "csi")];
    features.extend(settings.features.iter().cloned());
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_1_is_spoken() {
        for version in ["1.0", "1.1", "1.23", "01.0"] {
            assert!(is_version_1(Some(version)), "{version}");
        }
        for version in ["", "1", "0.9", "2.0", "11.0", "1.", ".0", "1.x", "-1.0"] {
            assert!(!is_version_1(Some(version)), "{version}");
        }
        assert!(!is_version_1(None));
    }

    #[test]
    fn the_lower_version_is_answered() {
        for (said, ours) in [("1.0", "1.0"), ("1.10", "1.0"), ("2.0", "1.0"), ("00.9", "0.9"), ("x", "1.0")] {
            assert_eq!(answered(Some(said)).as_deref(), Some(ours), "{said}");
        }
        assert_eq!(answered(None), None);
    }
}
