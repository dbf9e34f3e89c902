//! What markup characters are written as. Carriage returns are escaped too, or every reader would turn them into line
//! feeds (XML §2.11), and so are tabs and line feeds in attributes (XML §3.3.3).

/// Appends text as character data.
pub fn text(text: &str, out: &mut Vec<u8>) {
    escaped(text, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

/// Appends text as the value of an attribute in either quote.
pub fn attribute(text: &str, out: &mut Vec<u8>) {
    escaped(text, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\'' => Some(b"&apos;"),
        b'"' => Some(b"&quot;"),
        b'\r' => Some(b"&#xD;"),
        b'\n' => Some(b"&#xA;"),
        b'\t' => Some(b"&#x9;"),
        _ => None,
    });
}

/// Appends a namespace as the value of its declaration, quotes and all. Namespaces are compared as they are written, so
/// none that was read needs a reference: it stands in the quotes that it does not hold itself.
pub(crate) fn namespace(uri: &str, out: &mut Vec<u8>) {
    let quote = if uri.contains('\'') { b'"' } else { b'\'' };
    let plain = !uri.contains(['&', '<', '\t', '\n', '\r']) && !uri.contains(char::from(quote));
    out.push(quote);
    if plain {
        out.extend_from_slice(uri.as_bytes());
    } else {
        attribute(uri, out);
    }
    out.push(quote);
}

fn escaped(text: &str, out: &mut Vec<u8>, code: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(code) = code(*byte) {
            out.extend_from_slice(&bytes[plain..at]);
            out.extend_from_slice(code);
            plain = at + 1;
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}
