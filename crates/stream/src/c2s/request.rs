//! What a client says as it authenticates: its proof, which client it is, and what is to be done at once
//! (XEP-0388 §2.3).

use xmpp::error::Condition;
use xmpp::ns;
use xmpp::xml::Element;

use super::managing::{Enable, Resume};
use crate::limits::{AGENT_CHARS_MAX, TAG_BYTES_MAX};
use crate::sasl::scram::ScramHash;
use crate::sasl::{self, Mechanism, SaslCondition};

/// A client on one device, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent {
    /// The same for this client each time, a UUID in lower case.
    pub id: String,
    /// The software, if it says so; at most `AGENT_CHARS_MAX` characters.
    pub software: Option<String>,
    /// The device, if it says so; as long.
    pub device: Option<String>,
}

/// A client wants a resource with its login (XEP-0386 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InlineBind {
    /// What the resource shall begin with, if it can; at most `TAG_BYTES_MAX` bytes.
    pub tag: Option<String>,
    /// Whether its stream is to be managed from the first stanza on (XEP-0198 §9.1).
    pub enable: Option<Enable>,
    /// What else the client wants its session to begin with, each in the namespace of its feature.
    pub wishes: Vec<Element>,
}

/// How a client uses its token (XEP-0484 §3.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenUse {
    /// The number of this use, which must grow; none: the client does not count.
    pub count: Option<u32>,
    /// Whether it is the last (§3.6).
    pub invalidate: bool,
}

/// All of `<authenticate/>` but its mechanism.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub data: Option<Vec<u8>>,
    pub agent: Option<UserAgent>,
    pub bind: Option<InlineBind>,
    /// A former stream that the client would rather go on with (XEP-0198 §9.2), or why that cannot be.
    pub resume: Option<Result<Resume, Condition>>,
    /// Why a new stream cannot be managed from the first stanza on (XEP-0198 §9.1), though the client wishes it.
    pub not_enabled: Option<Condition>,
    pub token: Option<TokenUse>,
    /// The mechanism for which a token is wanted.
    pub wants_token: Option<Mechanism>,
    /// Keys that the client is willing to compute (XEP-0480 §2.2).
    pub upgrades: Vec<ScramHash>,
    /// What the client believes the server to offer (XEP-0509 §2.2).
    pub version: Option<String>,
}

impl Request {
    /// Reads `<authenticate/>`. What nobody here knows is passed over.
    pub fn read(authenticate: &Element) -> Result<Self, SaslCondition> {
        let mut request = Request::default();
        for child in authenticate.children() {
            match (child.ns(), child.name()) {
                (ns::SASL2, "initial-response") => request.data = Some(sasl::decode_bytes(&child.text())?),
                (ns::SASL2, "user-agent") => request.agent = user_agent(child)?,
                (ns::BIND2, "bind") => {
                    let bind = inline_bind(child);
                    let misread = child.child(ns::SM, "enable").is_some() && bind.enable.is_none();
                    request.not_enabled = misread.then_some(Condition::BadRequest);
                    request.bind = Some(bind);
                }
                (ns::SM, "resume") => {
                    request.resume = Some(Resume::read(child).ok_or(Condition::BadRequest));
                }
                (ns::FAST, "fast") => request.token = Some(token_use(child)?),
                (ns::FAST, "request-token") => {
                    request.wants_token = child.attr("mechanism").and_then(Mechanism::named);
                }
                (ns::SASL_UPGRADE, "upgrade") => request.upgrades.extend(upgrade(&child.text())),
                (ns::PIPELINING, "config-version") => {
                    request.version = child.attr("value").map(str::to_owned);
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// The id of the client's user agent.
    pub fn client(&self) -> Option<&str> {
        self.agent.as_ref().map(|agent| agent.id.as_str())
    }
}

/// The name of the task that gives an account keys for this hash (XEP-0480 §2.1).
pub(super) fn task(hash: ScramHash) -> String {
    format!("UPGR-SCRAM-{}", hash.name())
}

fn upgrade(named: &str) -> Option<ScramHash> {
    ScramHash::ALL.into_iter().find(|hash| task(*hash) == named)
}

/// One without an id is nobody that could be known again.
fn user_agent(element: &Element) -> Result<Option<UserAgent>, SaslCondition> {
    let Some(id) = element.attr("id") else { return Ok(None) };
    if !is_uuid(id) {
        return Err(SaslCondition::MalformedRequest);
    }
    let told = |name| {
        let text = element.child(ns::SASL2, name)?.text();
        let text = text.trim();
        (!text.is_empty()).then(|| text.chars().take(AGENT_CHARS_MAX).collect())
    };
    Ok(Some(UserAgent { id: id.to_ascii_lowercase(), software: told("software"), device: told("device") }))
}

/// The pattern of the schema (XEP-0388 §8).
fn is_uuid(id: &str) -> bool {
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.split('-').all(is_hex) && id.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn inline_bind(element: &Element) -> InlineBind {
    let mut bind = InlineBind::default();
    for child in element.children() {
        if child.is(ns::BIND2, "tag") {
            bind.tag = Some(child.text()).filter(|tag| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX);
        } else if child.is(ns::SM, "enable") {
            bind.enable = Enable::read(child);
        } else if child.ns() != ns::BIND2 {
            bind.wishes.push(child.clone());
        }
    }
    bind
}

fn token_use(element: &Element) -> Result<TokenUse, SaslCondition> {
    let count = match element.attr("count") {
        // XEP-0484 §3.4: a positive integer.
        Some(count) => {
            let count = count.parse().ok().filter(|count| *count > 0);
            Some(count.ok_or(SaslCondition::MalformedRequest)?)
        }
        None => None,
    };
    let invalidate = match element.attr("invalidate") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(SaslCondition::MalformedRequest),
    };
    Ok(TokenUse { count, invalidate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_has_the_id_of_the_schema() {
        assert!(is_uuid("d4565fa7-4d72-4749-b3d3-740edbf87770"));
        assert!(is_uuid("D4565FA7-4D72-4749-B3D3-740EDBF87770"));
        for id in
            ["", "d4565fa7", "d4565fa7-4d72-4749-b3d3-740edbf8777", "d4565fa7-4d72-4749-b3d3-740edbf8777x"]
        {
            assert!(!is_uuid(id), "{id}");
        }
        assert!(!is_uuid("d4565fa74d72-4749-b3d3-740edbf87770-0000"));
    }

    #[test]
    fn descriptions_are_cut() {
        let software = Element::new(ns::SASL2, "software").with_text(&"é".repeat(AGENT_CHARS_MAX + 1));
        let device = Element::new(ns::SASL2, "device").with_text(" ");
        let element = Element::new(ns::SASL2, "user-agent").with_child(software).with_child(device);
        assert_eq!(user_agent(&element), Ok(None));
        let element = element.with_attr("id", "D4565fa7-4d72-4749-b3d3-740edbf87770");
        let agent = user_agent(&element).unwrap().unwrap();
        assert_eq!(agent.id, "d4565fa7-4d72-4749-b3d3-740edbf87770");
        assert_eq!(agent.software.map(|software| software.chars().count()), Some(AGENT_CHARS_MAX));
        assert_eq!(agent.device, None);
    }

    #[test]
    fn a_count_is_positive() {
        let used = |count: &str| token_use(&Element::new(ns::FAST, "fast").with_attr("count", count));
        assert_eq!(used("7").map(|used| used.count), Ok(Some(7)));
        for count in ["", "0", "-1", "x", "4294967296"] {
            assert_eq!(used(count), Err(SaslCondition::MalformedRequest), "{count}");
        }
    }
}
