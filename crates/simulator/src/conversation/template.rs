//! What a line expects, and whether a stanza is that.
//!
//! A template is exact, but for what a server is free to choose: at the top of a stanza the attributes `from`, `to`
//! and `id` count only if named; `xml:lang` and `<stanza-id/>` count only if named anywhere; children stand in any
//! order; errors may have a `<text/>`, a `by`, a condition of the application's own, and the stanza that they answer;
//! `...` inside an element stands for more of anything, as an attribute's value for any or none, and `!` for none.

use super::reader::{CLIENT, Content, Node, STANZA_ERRORS, STREAM_ERRORS, STREAMS};
use super::words::{self, Words};

/// Gives conditions inside `<error>` and `<stream:error>` the namespace that nobody wants to write.
pub fn complete(node: &mut Node) {
    let conditions = match (node.ns.as_str(), node.name.as_str()) {
        (CLIENT, "error") => Some((CLIENT, STANZA_ERRORS)),
        (STREAMS, "error") => Some((CLIENT, STREAM_ERRORS)),
        _ => None,
    };
    for content in &mut node.content {
        if let Content::Node(child) = content {
            match conditions {
                Some((written, meant)) if child.ns == written => child.ns = meant.to_owned(),
                _ => complete(child),
            }
        }
    }
}

/// Whether `actual` is what `template` describes. Words that it names for the first time are learnt.
pub fn matches(template: &Node, actual: &Node, words: &mut Words) -> bool {
    let mut learning = words.clone();
    let matched = element(template, actual, Place::Top, &mut learning);
    if matched {
        *words = learning;
    }
    matched
}

/// Whether a stream header has the attributes that the template names.
pub fn header_matches(template: &Node, actual: &Node, words: &mut Words) -> bool {
    attributes(template, actual, |_| true, words)
}

/// Where ids of archived messages are (XEP-0359).
const SID: &str = "urn:xmpp:sid:0";

/// Where the conditions are that an error cannot have more of; others are an application's own (RFC 6120 §4.9.4).
const CONDITIONS: [&str; 3] = [STANZA_ERRORS, STREAM_ERRORS, "urn:ietf:params:xml:ns:xmpp-sasl"];

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Inside,
}

fn element(template: &Node, actual: &Node, place: Place, words: &mut Words) -> bool {
    if template.name != actual.name || template.ns != actual.ns {
        return false;
    }
    let stanza = place == Place::Top && template.ns == CLIENT;
    let error = template.name == "error" && [CLIENT, STREAMS].contains(&template.ns.as_str());
    let free = |name: &str| match name {
        "xml:lang" => true,
        "from" | "to" | "id" => stanza,
        "by" => error,
        _ => false,
    };
    let mut actual = std::borrow::Cow::Borrowed(actual);
    // RFC 6121 §5.2.2: no type is the type normal.
    let normal = actual.attribute("type") == Some("normal") && template.attribute("type").is_none();
    if stanza && template.name == "message" && normal {
        actual.to_mut().attributes.retain(|(key, _)| key != "type");
    }
    attributes(template, &actual, free, words) && content(template, &actual, stanza, words)
}

fn attributes(template: &Node, actual: &Node, free: impl Fn(&str) -> bool, words: &mut Words) -> bool {
    let named =
        template.attributes.iter().all(|(name, pattern)| match (pattern.as_str(), actual.attribute(name)) {
            ("...", _) | ("!", None) => true,
            ("!", Some(_)) | (_, None) => false,
            (pattern, Some(value)) => words::matches(pattern, value, words),
        });
    named && actual.attributes.iter().all(|(name, _)| free(name) || template.attribute(name).is_some())
}

fn content(template: &Node, actual: &Node, stanza: bool, words: &mut Words) -> bool {
    let text = template.text();
    let open = text.contains("...");
    let failing = template.name == "failure" || template.name == "error";
    let answer = stanza && template.attribute("type") == Some("error");
    let expected: Vec<&Node> = template.children().collect();
    let found: Vec<&Node> = actual
        .children()
        .filter(|child| {
            let named = expected.iter().any(|node| node.name == child.name && node.ns == child.ns);
            let id = child.name == "stanza-id" && child.ns == SID;
            let said_more = failing && (child.name == "text" || !CONDITIONS.contains(&child.ns.as_str()));
            named || !(id || said_more || answer && child.name != "error")
        })
        .collect();
    // An element that holds elements has no text of interest, only the spaces between them.
    let same_text = if expected.is_empty() && !(open && text == "...") {
        words::matches(&text, &actual.text(), words)
    } else {
        open || actual.text().is_empty() || text == actual.text()
    };
    same_text && children(&expected, &found, open, words)
}

/// Finds a different found child for each expected one; all must be used unless more is welcome.
fn children(expected: &[&Node], found: &[&Node], open: bool, words: &mut Words) -> bool {
    let Some((first, others)) = expected.split_first() else {
        return open || found.is_empty();
    };
    (0..found.len()).any(|at| {
        let mut learning = words.clone();
        if !element(first, found[at], Place::Inside, &mut learning) {
            return false;
        }
        let rest: Vec<&Node> = found[..at].iter().chain(&found[at + 1..]).copied().collect();
        let matched = children(others, &rest, open, &mut learning);
        if matched {
            *words = learning;
        }
        matched
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::reader::element;

    fn check(template: &str, actual: &str, expected: bool) {
        let mut template = element(template).unwrap();
        complete(&mut template);
        let actual = element(actual).unwrap();
        assert_eq!(matches(&template, &actual, &mut Words::default()), expected, "{template:?} {actual:?}");
    }

    #[test]
    fn a_stanza_is_exact_but_for_its_addresses() {
        check("<presence/>", "<presence from='a@b' to='c@d' xml:lang='en'/>", true);
        check("<presence/>", "<presence type='unavailable'/>", false);
        check("<presence from='!'/>", "<presence from='a@b'/>", false);
        check("<message><body>a</body></message>", "<message type='normal'><body>a</body></message>", true);
        check("<message><body>a</body></message>", "<message><body>a</body><x/></message>", false);
        check("<message><body>a</body>...</message>", "<message><x/><body>a</body></message>", true);
        check("<message><body>a</body>...</message>", "<message><x/></message>", false);
        let archived = "<message><body>a</body><stanza-id xmlns='urn:xmpp:sid:0' id='1' by='a@b'/></message>";
        check("<message><body>a</body></message>", archived, true);
        let named = "<message><body>a</body><stanza-id xmlns='urn:xmpp:sid:0' id='2' by='a@b'/></message>";
        check(named, archived, false);
        check(archived, "<message><body>a</body></message>", false);
    }

    #[test]
    fn inside_attributes_are_exact_and_order_is_free() {
        let query =
            |items: &str| format!("<iq type='set'><query xmlns='jabber:iq:roster'>{items}</query></iq>");
        check(&query("<item jid='a'/><item jid='b'/>"), &query("<item jid='b'/><item jid='a'/>"), true);
        check(&query("<item jid='a'/>"), &query("<item jid='a' ask='subscribe'/>"), false);
        check(&query("<item jid='a' ask='...'/>"), &query("<item jid='a' ask='subscribe'/>"), true);
        check(&query("<item jid='a'/>"), &query("<item jid='a'/><item jid='a'/>"), false);
        check(&query("..."), &query("<item jid='a'/>"), true);
    }

    #[test]
    fn errors_may_say_more() {
        let ns = STANZA_ERRORS;
        let actual = format!(
            "<iq type='error'><ping xmlns='p'/><error type='cancel' by='b'><conflict xmlns='{ns}'/>\
             <text xmlns='{ns}'>why</text><blocked xmlns='own'/></error></iq>"
        );
        check("<iq type='error'><error type='cancel'><conflict/></error></iq>", &actual, true);
        check("<iq type='error'><error type='modify'><conflict/></error></iq>", &actual, false);
        check("<iq type='error'><error type='cancel'><forbidden/></error></iq>", &actual, false);
    }
}
