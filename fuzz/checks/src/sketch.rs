//! Stanzas as text, spelt in many ways: prefixes here and there, either quote, CDATA, references.

use xmpp::ns;

use crate::draw::{Draw, NAMES};

/// Headers of streams that stanzas come in.
pub const HEADERS: [&str; 4] = [
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:o='urn:outer'>",
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:o='jabber:client'>",
    "<stream xmlns='http://etherx.jabber.org/streams' xmlns:o='jabber:client' xmlns:a='urn:a'>",
    "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>",
];

const KINDS: [&str; 4] = ["message", "presence", "iq", "x"];

const TYPES: [&str; 8] = ["get", "set", "result", "error", "chat", "unavailable", "subscribe", "\u{e9}"];

const ADDRESSES: [&str; 8] = [
    "a@one.test",
    "A@ONE.test/R",
    "one.test",
    "\u{c4}@one.test/\u{e9} &amp; &quot;",
    "a@one.test./x'y",
    "@",
    "a@one.test/\u{1F600}",
    "",
];

const PREFIXES: [&str; 5] = ["", "a:", "o:", "stream:", "b:"];

const URIS: [&str; 9] =
    ["urn:a", "urn:b", ns::CLIENT, "", "urn:it's", "a > b", ns::SERVER, ns::XML, "urn:&amp;"];

/// What stands in values and texts, as it is written.
const SPELLINGS: [&str; 14] = [
    "x",
    "&amp;",
    "&#x27;",
    "&quot;",
    " xmlns:a=\"urn:a\"",
    "\r\n",
    "\r",
    "\t",
    "&#xD;",
    "&#10;",
    "]]",
    ">",
    "\u{e9}",
    "&#0065;",
];

const DEPTH_MAX: usize = 4;

/// Draws one stanza, or what only looks like one.
pub fn stanza(draw: &mut Draw<'_>) -> String {
    let mut out = String::new();
    let prefix = if draw.below(8) == 1 { "o:" } else { "" };
    let name = format!("{prefix}{}", draw.one(&KINDS));
    out.push('<');
    out.push_str(&name);
    for (attribute, values) in [("type", &TYPES), ("to", &ADDRESSES), ("from", &ADDRESSES)] {
        if draw.yes() {
            attribute_of(attribute, draw.one(values), draw, &mut out);
        }
    }
    if draw.below(4) != 3 {
        let id = spelling(draw);
        attribute_of("id", &id, draw, &mut out);
    }
    attributes(draw, &mut out);
    finish(&name, 1, draw, &mut out);
    out
}

fn attributes(draw: &mut Draw<'_>, out: &mut String) {
    for _ in 0..draw.below(5) {
        let value = spelling(draw);
        match draw.below(7) {
            0 => attribute_of("xmlns", draw.one(&URIS), draw, out),
            1 => attribute_of("xmlns:a", draw.one(&URIS), draw, out),
            2 => attribute_of("xmlns:b", draw.one(&URIS), draw, out),
            3 => attribute_of("xml:lang", &value, draw, out),
            4 => attribute_of(&format!("a:{}", draw.one(&NAMES)), &value, draw, out),
            5 => attribute_of(&format!("{}{}", draw.one(&PREFIXES), draw.one(&NAMES)), &value, draw, out),
            _ => attribute_of(draw.one(&NAMES), &value, draw, out),
        }
    }
}

fn attribute_of(name: &str, value: &str, draw: &mut Draw<'_>, out: &mut String) {
    let double = value.contains('\'') || !value.contains('"') && draw.yes();
    let (quote, other) = if double { ('"', "&quot;") } else { ('\'', "&apos;") };
    out.push_str(draw.one(&[" ", "\n", " \t"]));
    out.push_str(name);
    out.push_str(draw.one(&["=", " ="]));
    out.push(quote);
    out.push_str(&value.replace(quote, other));
    out.push(quote);
}

/// The rest of a start tag, what is in the element, and its end.
fn finish(name: &str, depth: usize, draw: &mut Draw<'_>, out: &mut String) {
    let parts = draw.below(5);
    if parts == 0 {
        out.push_str(draw.one(&["/>", " />"]));
        return;
    }
    out.push('>');
    for _ in 0..parts {
        match draw.below(6) {
            0 => out.push_str(&spelling(draw)),
            1 => {
                out.push_str("<![CDATA[");
                out.push_str(draw.one(&["", "<b>", "&amp;", "\r\n", "]]", "\u{e9}"]));
                out.push_str("]]>");
            }
            _ if depth < DEPTH_MAX => {
                let name = format!("{}{}", draw.one(&PREFIXES), draw.one(&NAMES));
                out.push('<');
                out.push_str(&name);
                attributes(draw, out);
                finish(&name, depth + 1, draw, out);
            }
            _ => {}
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push_str(draw.one(&[">", " >"]));
}

fn spelling(draw: &mut Draw<'_>) -> String {
    (0..draw.below(4)).map(|_| draw.one(&SPELLINGS)).collect()
}
