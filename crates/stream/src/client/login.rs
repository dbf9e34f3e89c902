//! The client's choice of a mechanism, and its side of each.

use xmpp::xml::Element;

use super::{ClientSettings, Login, Profile};
use crate::sasl::scram::{Binding, ClientExchange, ClientProof};
use crate::sasl::{self, BindingType, Mechanism, plain};
use crate::tls::TlsFacts;
use xmpp::ns;

/// A running mechanism.
#[derive(Debug)]
pub(super) enum Exchange {
    /// SCRAM waits for the challenge; with the hash of what was advertised (XEP-0474).
    Scram(Box<ClientExchange>, String),
    /// SCRAM waits for the server's proof.
    Proof(ClientProof),
    /// Everything is said.
    Said,
}

/// What the server advertised.
struct Advertised {
    mechanisms: Vec<String>,
    bindings: Vec<String>,
}

impl Advertised {
    fn read(profile: Profile, features: &Element) -> Self {
        let mechanisms = match profile {
            Profile::Sasl => features.child(ns::SASL, "mechanisms"),
            Profile::Sasl2 => features.child(ns::SASL2, "authentication"),
        };
        let mechanisms = mechanisms.into_iter().flat_map(|list| list.children());
        let mechanisms = mechanisms.filter(|mechanism| mechanism.name() == "mechanism");
        let bindings = features.child(ns::SASL_CB, "sasl-channel-binding");
        let bindings = bindings.into_iter().flat_map(|list| list.children());
        Advertised {
            mechanisms: mechanisms.map(|mechanism| mechanism.text()).collect(),
            bindings: bindings.filter_map(|kind| kind.attr("type").map(str::to_owned)).collect(),
        }
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        self.mechanisms.iter().any(|name| name == mechanism.name())
    }

    /// The strongest binding that both sides have.
    fn binding(&self, tls: Option<&TlsFacts>) -> Option<(BindingType, Vec<u8>)> {
        let kinds = BindingType::available(tls).into_iter();
        let mut shared = kinds.filter(|kind| self.bindings.iter().any(|name| name == kind.name()));
        let kind = shared.next()?;
        let data = kind.data(tls?)?.to_vec();
        Some((kind, data))
    }
}

/// Chooses a mechanism and starts it; returns `<auth/>`, or `<authenticate/>`, beside it.
pub(super) fn begin(
    settings: &ClientSettings,
    features: &Element,
    tls: Option<&TlsFacts>,
    nonce: String,
) -> Result<(Exchange, Element), &'static str> {
    let advertised = Advertised::read(settings.profile, features);
    let shared = advertised.binding(tls);
    let suits = |mechanism: &Mechanism| match (mechanism, &settings.login) {
        (Mechanism::ScramPlus(_), Login::Password { .. }) => shared.is_some(),
        (Mechanism::Scram(_), Login::Password { .. }) => true,
        (Mechanism::Plain, Login::Password { .. }) => tls.is_some(),
        (Mechanism::External, Login::Certificate { .. }) => true,
        (Mechanism::Anonymous, Login::Anonymous) => true,
        _ => false,
    };
    let all = preferred();
    let mechanism = match &settings.mechanisms {
        // The caller insists: offered or not is for the server to say.
        Some(wanted) => wanted.iter().find(|mechanism| advertised.offers(**mechanism)).or(wanted.first()),
        None => all.iter().find(|kind| advertised.offers(**kind) && suits(kind)),
    };
    let mechanism = *mechanism.ok_or("no mechanism suits")?;
    let (exchange, message) = start(mechanism, &settings.login, &advertised, shared, tls, nonce)?;
    let auth = match settings.profile {
        Profile::Sasl => Element::new(ns::SASL, "auth").with_text(&sasl::encode(&message)),
        Profile::Sasl2 => {
            let initial = Element::new(ns::SASL2, "initial-response").with_text(&sasl::encode(&message));
            Element::new(ns::SASL2, "authenticate").with_child(initial)
        }
    };
    Ok((exchange, auth.with_attr("mechanism", mechanism.name())))
}

fn start(
    mechanism: Mechanism,
    login: &Login,
    advertised: &Advertised,
    shared: Option<(BindingType, Vec<u8>)>,
    tls: Option<&TlsFacts>,
    nonce: String,
) -> Result<(Exchange, String), &'static str> {
    match (mechanism, login) {
        (Mechanism::Plain, Login::Password { username, password }) => {
            Ok((Exchange::Said, plain::message(None, username, password)))
        }
        (Mechanism::External, Login::Certificate { authzid }) => {
            Ok((Exchange::Said, authzid.clone().unwrap_or_default()))
        }
        (Mechanism::Anonymous, _) => Ok((Exchange::Said, String::new())),
        (Mechanism::Scram(hash) | Mechanism::ScramPlus(hash), Login::Password { username, .. }) => {
            let plus = matches!(mechanism, Mechanism::ScramPlus(_));
            let plus_seen = advertised.mechanisms.iter().any(|name| name.ends_with("-PLUS"));
            let able = !BindingType::available(tls).is_empty();
            let (binding, data) = match shared.filter(|_| plus) {
                Some((kind, data)) => (Binding::Used(kind.name().to_owned()), data),
                None if plus => return Err("the channel cannot be bound"),
                // XEP-0440 §3, rule 3.
                None if able && !plus_seen && advertised.bindings.is_empty() => {
                    (Binding::NotOffered, Vec::new())
                }
                None => (Binding::Unable, Vec::new()),
            };
            let (exchange, message) = ClientExchange::new(hash, username, None, nonce, &binding, &data);
            let seen = sasl::downgrade_hash(hash, advertised.mechanisms.clone(), advertised.bindings.clone());
            Ok((Exchange::Scram(Box::new(exchange), seen), message))
        }
        _ => Err("the mechanism does not suit the login"),
    }
}

impl Exchange {
    /// Answers a challenge.
    pub fn respond(
        self,
        settings: &ClientSettings,
        challenge: &Element,
    ) -> Result<(Exchange, Element), &'static str> {
        let data = sasl::decode(&challenge.text()).map_err(|_| "the challenge is malformed")?;
        let (Exchange::Scram(exchange, seen), Login::Password { password, .. }) = (self, &settings.login)
        else {
            return Err("a challenge out of turn");
        };
        let (proof, message) = exchange.prove(&data, password, &seen)?;
        let response =
            Element::new(settings.profile.namespace(), "response").with_text(&sasl::encode(&message));
        Ok((Exchange::Proof(proof), response))
    }

    /// Whether success may be believed.
    pub fn accepts(&self, profile: Profile, success: &Element) -> bool {
        let data = match profile {
            Profile::Sasl => success.text(),
            Profile::Sasl2 => {
                success.child(ns::SASL2, "additional-data").map(Element::text).unwrap_or_default()
            }
        };
        match self {
            Exchange::Said => true,
            Exchange::Proof(proof) => sasl::decode(&data).is_ok_and(|message| proof.accepts(&message)),
            Exchange::Scram(..) => false,
        }
    }
}

/// Every mechanism, best first.
fn preferred() -> [Mechanism; 9] {
    use crate::sasl::scram::ScramHash::{Sha1, Sha256, Sha512};
    [
        Mechanism::External,
        Mechanism::ScramPlus(Sha512),
        Mechanism::ScramPlus(Sha256),
        Mechanism::ScramPlus(Sha1),
        Mechanism::Scram(Sha512),
        Mechanism::Scram(Sha256),
        Mechanism::Scram(Sha1),
        Mechanism::Plain,
        Mechanism::Anonymous,
    ]
}
