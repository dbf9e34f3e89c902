//! Stream management on a client's stream (XEP-0198): its elements, read and written. Whoever serves the stream counts.

use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::ns;
use xmpp::xml::{Element, Top};

use super::Event;
use super::line::Line;

/// How long a client would like to be waited for (§3 'max', in seconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As long as the server likes.
    Unsaid,
    /// So long.
    Seconds(u32),
}

/// A client wants its stream to be managed (§3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enable {
    /// If the stream is to be resumable: how long the client would like to be waited for, if it says so.
    pub resumption: Option<Wait>,
}

/// What a client hears when its stream comes to be managed (§3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enabled {
    /// How the stream can be resumed, if it can.
    pub resumption: Option<Resumption>,
}

/// How a stream can be resumed (§5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumption {
    /// The stream's id.
    pub id: String,
    /// For how long after its connection has gone, in seconds.
    pub max: u32,
    /// Where the client had better come back to, as `domainpart:port`.
    pub location: Option<String>,
}

/// What the stream offers (§2).
pub fn feature() -> Element {
    Element::new(ns::SM, "sm")
}

/// Whether the element is one of stream management.
pub fn is_management(top: &Top<'_>) -> bool {
    top.ns() == ns::SM
}

/// The client is not where it could ask for this (§3), or asks for what there is not (§5).
pub fn refuse(condition: Condition, line: &mut Line) {
    line.write_element(&failed(condition));
}

/// What it hears then.
pub fn failed(condition: Condition) -> Element {
    let error = StanzaError::new(condition).to_element();
    let condition = error.children().find(|child| child.ns() == ns::STANZA_ERRORS).cloned();
    Element::new(ns::SM, "failed").with_children(condition)
}

/// A stream that is to be resumed (§5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Its id.
    pub previd: String,
    /// How many of its stanzas the client has handled.
    pub handled: u32,
}

impl Resume {
    /// Both attributes must be there (§5).
    pub fn read(element: &Element) -> Option<Self> {
        let previd = element.attr("previd")?.to_owned();
        let handled = element.attr("h")?.parse().ok()?;
        Some(Resume { previd, handled })
    }
}

impl Enable {
    /// What the client wants, or nothing that can be understood.
    pub fn read(element: &Element) -> Option<Self> {
        // §3: xs:boolean in both styles.
        let resumable = match element.attr("resume") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return None,
        };
        let wait = match element.attr("max") {
            None => Wait::Unsaid,
            Some(max) => Wait::Seconds(max.parse().ok()?),
        };
        Some(Enable { resumption: resumable.then_some(wait) })
    }
}

/// Before a resource is bound: a stream cannot be managed yet (§3), but a former one be resumed (§5).
pub fn before_binding(top: &Top<'_>, line: &mut Line) -> Result<Option<Resume>, StreamError> {
    match top.name() {
        "resume" => {
            let resume = Resume::read(&top.element());
            if resume.is_none() {
                refuse(Condition::BadRequest, line);
            }
            return Ok(resume);
        }
        "enable" | "r" | "a" => refuse(Condition::UnexpectedRequest, line),
        _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
    }
    Ok(None)
}

/// Once a resource is bound. `managed` tells whether the stream is managed, and is set when it comes to be.
pub fn bound(top: &Top<'_>, managed: &mut bool, line: &mut Line) -> Result<(), StreamError> {
    match (top.name(), *managed) {
        ("enable", false) => match Enable::read(&top.element()) {
            Some(enable) => {
                *managed = true;
                line.events.push_back(Event::Manage(enable));
            }
            None => refuse(Condition::BadRequest, line),
        },
        ("r", true) => line.events.push_back(Event::AckAsked),
        ("a", true) => {
            let handled = top.element().attr("h").and_then(|h| h.parse().ok());
            // §4: an <a/> has an 'h', which is an unsignedInt.
            let handled = handled.ok_or_else(|| StreamError {
                text: Some("An acknowledgement says how many, as a number.".to_owned()),
                ..StreamError::new(StreamCondition::BadFormat)
            })?;
            line.events.push_back(Event::Acked { handled });
        }
        // §3: once is enough; §6: such errors are recoverable.
        ("enable" | "resume" | "r" | "a", _) => refuse(Condition::UnexpectedRequest, line),
        _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
    }
    Ok(())
}

/// The stream is managed (§3).
pub fn enabled(enabled: &Enabled) -> Element {
    let element = Element::new(ns::SM, "enabled");
    let Some(Resumption { id, max, location }) = &enabled.resumption else { return element };
    element
        .with_attr("id", id.as_str())
        .with_attr("resume", "true")
        .with_attr("max", max.to_string())
        .with_attr_opt("location", location.as_deref())
}

/// The client goes on with a former stream (§5).
pub fn resumed(previd: &str, handled: u32) -> Element {
    Element::new(ns::SM, "resumed").with_attr("previd", previd).with_attr("h", handled.to_string())
}

/// There is no such stream, or none any more (§5).
pub fn not_resumed(handled: Option<u32>) -> Element {
    failed(Condition::ItemNotFound).with_attr_opt("h", handled.map(|handled| handled.to_string()))
}

/// So many of the client's stanzas have been handled (§4).
pub fn acknowledge(handled: u32, line: &mut Line) {
    line.write_element(&Element::new(ns::SM, "a").with_attr("h", handled.to_string()));
}

/// The client is asked how many it has handled (§4).
pub fn ask(line: &mut Line) {
    line.write_element(&Element::new(ns::SM, "r"));
}

/// The client says that it has handled more than it was sent (§6).
pub fn too_high(handled: u32, sent: u32) -> StreamError {
    let app = Element::new(ns::SM, "handled-count-too-high")
        .with_attr("h", handled.to_string())
        .with_attr("send-count", sent.to_string());
    let mut error = StreamError::new(StreamCondition::UndefinedCondition);
    error.text = Some(format!("You acknowledged {handled} stanzas, but only {sent} were sent to you."));
    error.app = Some(Box::new(app));
    error
}
