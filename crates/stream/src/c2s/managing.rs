//! Stream management on a client's stream (XEP-0198): its elements, read and written. Whoever serves the stream counts.

use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::ns;
use xmpp::xml::{Element, Top};

use super::Event;
use super::line::Line;

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
    let error = StanzaError::new(condition).to_element();
    let condition = error.children().find(|child| child.ns() == ns::STANZA_ERRORS).cloned();
    line.write_element(&Element::new(ns::SM, "failed").with_children(condition));
}

/// Before a resource is bound: a stream cannot be managed yet (§3), and none can be resumed (§5).
pub fn before_binding(top: &Top<'_>, line: &mut Line) -> Result<(), StreamError> {
    match top.name() {
        "resume" => refuse(Condition::FeatureNotImplemented, line),
        "enable" | "r" | "a" => refuse(Condition::UnexpectedRequest, line),
        _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
    }
    Ok(())
}

/// Once a resource is bound. `managed` tells whether the stream is managed, and is set when it comes to be.
pub fn bound(top: &Top<'_>, managed: &mut bool, line: &mut Line) -> Result<(), StreamError> {
    match (top.name(), *managed) {
        ("enable", false) => {
            *managed = true;
            line.events.push_back(Event::Managed);
        }
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
pub fn begin(line: &mut Line) {
    line.write_element(&Element::new(ns::SM, "enabled"));
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
