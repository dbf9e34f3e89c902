//! Logging in (RFC 6120 §6): the mechanisms, what is advertised of them, how they fail.

pub(crate) mod anonymous;
pub(crate) mod external;
pub mod ht;
pub(crate) mod plain;
pub mod scram;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::tls::TlsFacts;
use scram::ScramHash;
use xmpp::ns;

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// EXTERNAL with a client certificate (XEP-0178).
    External,
    /// SCRAM bound to the TLS channel: `SCRAM-…-PLUS`.
    ScramPlus(ScramHash),
    /// SCRAM without channel binding.
    Scram(ScramHash),
    /// PLAIN, only inside TLS.
    Plain,
    /// ANONYMOUS (XEP-0175).
    Anonymous,
    /// A token that the server has given before (XEP-0484), bound to the TLS channel or not.
    Token(Option<BindingType>),
}

impl Mechanism {
    /// All mechanisms of tokens, the strongest first. `tls-unique` does not exist over TLS 1.3.
    pub const TOKENS: [Mechanism; 3] = [
        Mechanism::Token(Some(BindingType::Exporter)),
        Mechanism::Token(Some(BindingType::EndPoint)),
        Mechanism::Token(None),
    ];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::External => "EXTERNAL",
            Mechanism::ScramPlus(ScramHash::Sha1) => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramPlus(ScramHash::Sha256) => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramPlus(ScramHash::Sha512) => "SCRAM-SHA-512-PLUS",
            Mechanism::Scram(ScramHash::Sha1) => "SCRAM-SHA-1",
            Mechanism::Scram(ScramHash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(ScramHash::Sha512) => "SCRAM-SHA-512",
            Mechanism::Plain => "PLAIN",
            Mechanism::Anonymous => "ANONYMOUS",
            Mechanism::Token(Some(BindingType::Exporter)) => "HT-SHA-256-EXPR",
            Mechanism::Token(Some(BindingType::EndPoint)) => "HT-SHA-256-ENDP",
            Mechanism::Token(None) => "HT-SHA-256-NONE",
        }
    }

    /// The mechanism of this registered name, if we know it.
    pub fn named(name: &str) -> Option<Mechanism> {
        let all = [Mechanism::External, Mechanism::Plain, Mechanism::Anonymous];
        let scram = ScramHash::ALL.into_iter();
        let scram = scram.flat_map(|hash| [Mechanism::ScramPlus(hash), Mechanism::Scram(hash)]);
        all.into_iter().chain(scram).chain(Self::TOKENS).find(|mechanism| mechanism.name() == name)
    }
}

/// Why a login failed (RFC 6120 §6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslCondition {
    /// The client gave up.
    Aborted,
    /// The account is switched off for now.
    AccountDisabled,
    /// The credentials were right once.
    CredentialsExpired,
    /// Not outside TLS.
    EncryptionRequired,
    /// The base64 is wrong.
    IncorrectEncoding,
    /// The client may not act as the address it asked for.
    InvalidAuthzid,
    /// No such mechanism.
    InvalidMechanism,
    /// The message breaks the mechanism's grammar.
    MalformedRequest,
    /// Known, but weaker than this server allows.
    MechanismTooWeak,
    /// Wrong password, no such account, or anything else that is nobody's business.
    NotAuthorized,
    /// Our own trouble; later it may work.
    TemporaryAuthFailure,
}

impl SaslCondition {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            SaslCondition::Aborted => "aborted",
            SaslCondition::AccountDisabled => "account-disabled",
            SaslCondition::CredentialsExpired => "credentials-expired",
            SaslCondition::EncryptionRequired => "encryption-required",
            SaslCondition::IncorrectEncoding => "incorrect-encoding",
            SaslCondition::InvalidAuthzid => "invalid-authzid",
            SaslCondition::InvalidMechanism => "invalid-mechanism",
            SaslCondition::MalformedRequest => "malformed-request",
            SaslCondition::MechanismTooWeak => "mechanism-too-weak",
            SaslCondition::NotAuthorized => "not-authorized",
            SaslCondition::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// The condition of this element's name; an unknown one means not-authorized (RFC 6120 §6.5).
    pub fn named(name: &str) -> SaslCondition {
        use SaslCondition::*;
        let all = [
            Aborted,
            AccountDisabled,
            CredentialsExpired,
            EncryptionRequired,
            IncorrectEncoding,
            InvalidAuthzid,
            InvalidMechanism,
            MalformedRequest,
            MechanismTooWeak,
            TemporaryAuthFailure,
        ];
        all.into_iter().find(|condition| condition.name() == name).unwrap_or(NotAuthorized)
    }

    /// The `<failure/>` that tells the client, in the namespace of the profile that it speaks.
    pub(crate) fn failure(self, profile: &'static str) -> Element {
        Element::new(profile, "failure").with_child(Element::new(ns::SASL, self.name()))
    }
}

/// Who logged in. Only a mechanism that saw the proof can make one, so no other address can
/// stand in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    account: BareJid,
    mechanism: Mechanism,
}

impl Identity {
    pub(crate) fn proven(account: BareJid, mechanism: Mechanism) -> Self {
        Identity { account, mechanism }
    }

    /// The account's address.
    pub fn account(&self) -> &BareJid {
        &self.account
    }

    /// How it was proven.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether the account lives only as long as this stream (XEP-0175).
    pub fn is_anonymous(&self) -> bool {
        self.mechanism == Mechanism::Anonymous
    }
}

/// A type of channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// `tls-exporter` (RFC 9266).
    Exporter,
    /// `tls-server-end-point` (RFC 5929 §4).
    EndPoint,
}

impl BindingType {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            BindingType::Exporter => "tls-exporter",
            BindingType::EndPoint => "tls-server-end-point",
        }
    }

    /// The channel-binding data of this type, if the channel has it.
    pub fn data(self, tls: &TlsFacts) -> Option<&[u8]> {
        match self {
            BindingType::Exporter => tls.exporter.as_ref().map(|bytes| bytes.as_slice()),
            BindingType::EndPoint => tls.end_point.as_deref(),
        }
    }

    /// The types this channel can be bound with, strongest first.
    pub fn available(tls: Option<&TlsFacts>) -> Vec<BindingType> {
        let all = [BindingType::Exporter, BindingType::EndPoint].into_iter();
        all.filter(|kind| tls.is_some_and(|tls| kind.data(tls).is_some())).collect()
    }
}

/// What one stream advertises: mechanisms in the server's order of preference, and bindings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub mechanisms: Vec<Mechanism>,
    pub bindings: Vec<BindingType>,
    /// For clients that have a token (XEP-0484 §3.1); none outside TLS.
    pub tokens: Vec<Mechanism>,
}

impl Offer {
    /// The stream features; the bindings come with XEP-0440.
    pub fn features(&self) -> Vec<Element> {
        let mut features = Vec::new();
        if !self.bindings.is_empty() {
            let kinds = self
                .bindings
                .iter()
                .map(|kind| Element::new(ns::SASL_CB, "channel-binding").with_attr("type", kind.name()));
            let bindings = Element::new(ns::SASL_CB, "sasl-channel-binding");
            features.push(bindings.with_children(kinds));
        }
        if !self.mechanisms.is_empty() {
            let each = self
                .mechanisms
                .iter()
                .map(|mechanism| Element::new(ns::SASL, "mechanism").with_text(mechanism.name()));
            features.push(Element::new(ns::SASL, "mechanisms").with_children(each));
        }
        features
    }

    /// Whether some mechanism with channel binding is on offer.
    pub fn has_plus(&self) -> bool {
        self.mechanisms.iter().any(|mechanism| matches!(mechanism, Mechanism::ScramPlus(_)))
    }

    /// The `h` attribute of XEP-0474 for this offer.
    pub fn downgrade_hash(&self, hash: ScramHash) -> String {
        let mechanisms = self.mechanisms.iter().map(|mechanism| mechanism.name().to_owned());
        let bindings = self.bindings.iter().map(|kind| kind.name().to_owned());
        downgrade_hash(hash, mechanisms.collect(), bindings.collect())
    }
}

/// Hashes what was advertised (XEP-0474 §5.1): both lists sorted by octets, joined by %x1E, with
/// %x1F between them if there are bindings at all.
pub(crate) fn downgrade_hash(
    hash: ScramHash,
    mut mechanisms: Vec<String>,
    mut bindings: Vec<String>,
) -> String {
    mechanisms.sort_unstable();
    let mut text = mechanisms.join("\u{1e}");
    if !bindings.is_empty() {
        bindings.sort_unstable();
        text.push('\u{1f}');
        text.push_str(&bindings.join("\u{1e}"));
    }
    STANDARD.encode(hash.hash(text.as_bytes()))
}

/// Decodes what stands in `<auth/>`, `<response/>` or `<challenge/>`: `=` means no data
/// (RFC 6120 §6.4.2), and all mechanisms we know speak UTF-8.
pub(crate) fn decode(text: &str) -> Result<String, SaslCondition> {
    if text == "=" {
        return Ok(String::new());
    }
    utf8(decode_bytes(text)?)
}

/// Decodes what stands in SASL2's elements, where `=` means nothing (XEP-0388 §2.2).
pub(crate) fn decode_bytes(text: &str) -> Result<Vec<u8>, SaslCondition> {
    STANDARD.decode(text).map_err(|_| SaslCondition::IncorrectEncoding)
}

/// Data as the text that all mechanisms but those of tokens speak.
pub(crate) fn utf8(data: Vec<u8>) -> Result<String, SaslCondition> {
    String::from_utf8(data).map_err(|_| SaslCondition::MalformedRequest)
}

/// Encodes what goes into those elements.
pub(crate) fn encode(text: &str) -> String {
    if text.is_empty() { "=".to_owned() } else { STANDARD.encode(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_offer_as_in_the_example() {
        // XEP-0474 §5.3
        let offer = Offer {
            mechanisms: vec![Mechanism::Scram(ScramHash::Sha1), Mechanism::ScramPlus(ScramHash::Sha1)],
            bindings: vec![BindingType::EndPoint, BindingType::Exporter],
            ..Offer::default()
        };
        assert_eq!(offer.downgrade_hash(ScramHash::Sha1), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn every_mechanism_is_found_by_its_name() {
        for name in ["EXTERNAL", "PLAIN", "ANONYMOUS", "SCRAM-SHA-1", "SCRAM-SHA-512-PLUS", "HT-SHA-256-EXPR"]
        {
            assert_eq!(Mechanism::named(name).unwrap().name(), name);
        }
        assert_eq!(Mechanism::named("CRAM-MD5"), None);
        assert_eq!(Mechanism::named("plain"), None);
    }

    #[test]
    fn data_is_strict_base64() {
        assert_eq!(decode("=").unwrap(), "");
        assert_eq!(decode("").unwrap(), "");
        assert_eq!(decode("bixhPQ==").unwrap(), "n,a=");
        for wrong in ["bixhPQ", "bixh PQ==", "====", "bixhPR==", "!"] {
            assert_eq!(decode(wrong), Err(SaslCondition::IncorrectEncoding), "{wrong}");
        }
        assert_eq!(decode("/w=="), Err(SaslCondition::MalformedRequest));
    }

    #[test]
    fn an_unknown_condition_is_not_authorized() {
        assert_eq!(SaslCondition::named("aborted"), SaslCondition::Aborted);
        assert_eq!(SaslCondition::named("payment-required"), SaslCondition::NotAuthorized);
    }
}
