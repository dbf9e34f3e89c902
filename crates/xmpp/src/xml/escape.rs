//! What markup characters are written as. Carriage returns are escaped too, or every reader would turn them into line
//! feeds (XML §2.11), and so are tabs and line feeds in attributes (XML §3.3.3).

/// Appends text as character data.
pub fn text(text: &str, out: &mut Vec<u8>) {
    escaped(text, TEXT, out);
}

/// Appends text as the value of an attribute in either quote.
pub fn attribute(text: &str, out: &mut Vec<u8>) {
    escaped(text, ATTRIBUTE, out);
}

/// Appends a namespace as the value of its declaration, quotes and all. Namespaces are compared as they are written, so
/// none that was read needs a reference: it stands in the quotes that it does not hold itself.
pub(crate) fn namespace(uri: &str, out: &mut Vec<u8>) {
    let found = uri.bytes().fold(0, |found, byte| found | WHERE[usize::from(byte)]);
    let quote = if found & APOSTROPHE == 0 { b'\'' } else { b'"' };
    let plain = found & REFERENCE == 0 && (found & APOSTROPHE == 0 || found & QUOTE == 0);
    out.push(quote);
    if plain {
        out.extend_from_slice(uri.as_bytes());
    } else {
        attribute(uri, out);
    }
    out.push(quote);
}

/// It is escaped in character data.
const TEXT: u8 = 1;
/// It is escaped in attributes.
const ATTRIBUTE: u8 = 2;
/// It cannot stand in a namespace as it is.
const REFERENCE: u8 = 4;
const APOSTROPHE: u8 = 8;
const QUOTE: u8 = 16;

/// What is to be said of each byte.
static WHERE: [u8; 256] = {
    let mut of = [0; 256];
    of[b'&' as usize] = TEXT | ATTRIBUTE | REFERENCE;
    of[b'<' as usize] = TEXT | ATTRIBUTE | REFERENCE;
    of[b'>' as usize] = TEXT | ATTRIBUTE;
    of[b'\r' as usize] = TEXT | ATTRIBUTE | REFERENCE;
    of[b'\n' as usize] = ATTRIBUTE | REFERENCE;
    of[b'\t' as usize] = ATTRIBUTE | REFERENCE;
    of[b'\'' as usize] = ATTRIBUTE | APOSTROPHE;
    of[b'"' as usize] = ATTRIBUTE | QUOTE;
    of
};

fn escaped(text: &str, place: u8, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| WHERE[usize::from(*byte)] & place != 0) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(code(rest[at]));
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// What a byte is written as that is not written as it is.
fn code(byte: u8) -> &'static [u8] {
    match byte {
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        b'\'' => b"&apos;",
        b'"' => b"&quot;",
        b'\r' => b"&#xD;",
        b'\n' => b"&#xA;",
        _ => b"&#x9;",
    }
}
