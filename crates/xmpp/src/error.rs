//! Errors in the words of the RFCs: of a stanza, which its sender hears, and of a stream, which ends it.

use crate::jid::Jid;
use crate::ns;
use crate::xml::{Element, ScanError};

macro_rules! conditions {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$note])* #[doc = concat!("`", $text, "`")] $variant,)* }

        impl $name {
            /// All of them, in the order of the RFC.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name of its element.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The condition of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.name())
            }
        }
    };
}

conditions! {
    /// What the sender of a stanza may do about an error (RFC 6120 §8.3.2).
    ErrorType {
        Auth = "auth",
        Cancel = "cancel",
        Continue = "continue",
        Modify = "modify",
        Wait = "wait",
    }
}

conditions! {
    /// Conditions of stanza errors (RFC 6120 §8.3.3).
    Condition {
        BadRequest = "bad-request",
        Conflict = "conflict",
        FeatureNotImplemented = "feature-not-implemented",
        Forbidden = "forbidden",
        Gone = "gone",
        InternalServerError = "internal-server-error",
        ItemNotFound = "item-not-found",
        JidMalformed = "jid-malformed",
        NotAcceptable = "not-acceptable",
        NotAllowed = "not-allowed",
        NotAuthorized = "not-authorized",
        PolicyViolation = "policy-violation",
        RecipientUnavailable = "recipient-unavailable",
        Redirect = "redirect",
        RegistrationRequired = "registration-required",
        RemoteServerNotFound = "remote-server-not-found",
        RemoteServerTimeout = "remote-server-timeout",
        ResourceConstraint = "resource-constraint",
        ServiceUnavailable = "service-unavailable",
        SubscriptionRequired = "subscription-required",
        UndefinedCondition = "undefined-condition",
        UnexpectedRequest = "unexpected-request",
    }
}

conditions! {
    /// Conditions of stream errors (RFC 6120 §4.9.3).
    StreamCondition {
        BadFormat = "bad-format",
        BadNamespacePrefix = "bad-namespace-prefix",
        Conflict = "conflict",
        ConnectionTimeout = "connection-timeout",
        HostGone = "host-gone",
        HostUnknown = "host-unknown",
        ImproperAddressing = "improper-addressing",
        InternalServerError = "internal-server-error",
        InvalidFrom = "invalid-from",
        InvalidNamespace = "invalid-namespace",
        InvalidXml = "invalid-xml",
        NotAuthorized = "not-authorized",
        NotWellFormed = "not-well-formed",
        PolicyViolation = "policy-violation",
        RemoteConnectionFailed = "remote-connection-failed",
        Reset = "reset",
        ResourceConstraint = "resource-constraint",
        RestrictedXml = "restricted-xml",
        SeeOtherHost = "see-other-host",
        SystemShutdown = "system-shutdown",
        UndefinedCondition = "undefined-condition",
        UnsupportedEncoding = "unsupported-encoding",
        UnsupportedFeature = "unsupported-feature",
        UnsupportedStanzaType = "unsupported-stanza-type",
        UnsupportedVersion = "unsupported-version",
    }
}

impl Condition {
    /// The type that RFC 6120 §8.3.3 recommends for it.
    pub fn usual_type(self) -> ErrorType {
        match self {
            Condition::BadRequest
            | Condition::JidMalformed
            | Condition::NotAcceptable
            | Condition::PolicyViolation
            | Condition::Redirect => ErrorType::Modify,
            Condition::Forbidden
            | Condition::NotAuthorized
            | Condition::RegistrationRequired
            | Condition::SubscriptionRequired => ErrorType::Auth,
            Condition::RecipientUnavailable
            | Condition::RemoteServerTimeout
            | Condition::ResourceConstraint
            | Condition::UnexpectedRequest => ErrorType::Wait,
            _ => ErrorType::Cancel,
        }
    }
}

/// The error of a stanza (RFC 6120 §8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do.
    pub type_: ErrorType,
    /// What is wrong.
    pub condition: Condition,
    /// In words, for people.
    pub text: Option<String>,
    /// Who found it.
    pub by: Option<Jid>,
    /// An application's own condition (XEP-0182).
    pub app: Option<Box<Element>>,
    /// The number by which clients of old know it (XEP-0086).
    pub code: Option<u16>,
}

impl StanzaError {
    /// An error of the usual type.
    pub fn new(condition: Condition) -> Self {
        StanzaError { type_: condition.usual_type(), condition, text: None, by: None, app: None, code: None }
    }

    /// With words for people.
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With an application's own condition.
    pub fn with_app(mut self, app: Element) -> Self {
        self.app = Some(Box::new(app));
        self
    }

    /// With the number by which clients of old know it.
    pub fn with_code(mut self, code: u16) -> Self {
        self.code = Some(code);
        self
    }

    /// Of another type.
    pub fn with_type(mut self, type_: ErrorType) -> Self {
        self.type_ = type_;
        self
    }

    /// The `error` element.
    pub fn to_element(&self) -> Element {
        let mut error = Element::new(ns::CLIENT, "error")
            .with_attr_opt("by", self.by.as_ref().map(Jid::as_str))
            .with_attr("type", self.type_.name())
            .with_attr_opt("code", self.code.map(|code| code.to_string()))
            .with_child(Element::new(ns::STANZA_ERRORS, self.condition.name()));
        if let Some(text) = &self.text {
            error.push(Element::new(ns::STANZA_ERRORS, "text").with_lang("en").with_text(text));
        }
        if let Some(app) = &self.app {
            error.push(app.as_ref().clone());
        }
        error
    }

    /// Reads an `error` element; a condition or type that is not known is read as undefined.
    pub fn from_element(element: &Element) -> Self {
        let mut error = StanzaError::new(Condition::UndefinedCondition);
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::STANZA_ERRORS, "text") => error.text = Some(child.text()),
                (ns::STANZA_ERRORS, name) => {
                    error.condition = Condition::from_name(name).unwrap_or(error.condition);
                }
                _ => error.app = Some(Box::new(child.clone())),
            }
        }
        let type_ = element.attr("type").and_then(ErrorType::from_name);
        error.type_ = type_.unwrap_or(error.condition.usual_type());
        error.code = element.attr("code").and_then(|code| code.parse().ok());
        error.by = element.attr("by").and_then(|by| Jid::new(by).ok());
        error
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        StanzaError::new(condition)
    }
}

/// The error that ends a stream (RFC 6120 §4.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// What is wrong.
    pub condition: StreamCondition,
    /// In words, for people.
    pub text: Option<String>,
    /// An application's own condition.
    pub app: Option<Box<Element>>,
}

impl StreamError {
    /// An error without words.
    pub fn new(condition: StreamCondition) -> Self {
        StreamError { condition, text: None, app: None }
    }

    /// With words for people.
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The `stream:error` element's tree.
    pub fn to_element(&self) -> Element {
        let mut error = Element::new(ns::STREAM, "error")
            .with_child(Element::new(ns::STREAM_ERRORS, self.condition.name()));
        if let Some(text) = &self.text {
            error.push(Element::new(ns::STREAM_ERRORS, "text").with_lang("en").with_text(text));
        }
        if let Some(app) = &self.app {
            error.push(app.as_ref().clone());
        }
        error
    }

    /// Reads a `stream:error`.
    pub fn from_element(element: &Element) -> Self {
        let mut error = StreamError::new(StreamCondition::UndefinedCondition);
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::STREAM_ERRORS, "text") => error.text = Some(child.text()),
                (ns::STREAM_ERRORS, name) => {
                    error.condition = StreamCondition::from_name(name).unwrap_or(error.condition);
                }
                _ => error.app = Some(Box::new(child.clone())),
            }
        }
        error
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        StreamError::new(condition)
    }
}
impl From<ScanError> for StreamCondition {
    /// What a peer is told whose bytes could not be read.
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::NotWellFormed(_) => StreamCondition::NotWellFormed,
            ScanError::Restricted(_) => StreamCondition::RestrictedXml,
            ScanError::Encoding => StreamCondition::UnsupportedEncoding,
            ScanError::Namespace => StreamCondition::InvalidNamespace,
            ScanError::Prefix => StreamCondition::BadNamespacePrefix,
            ScanError::Format => StreamCondition::BadFormat,
            ScanError::Limit(_) => StreamCondition::PolicyViolation,
        }
    }
}
