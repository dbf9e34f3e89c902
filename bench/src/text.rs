//! Pieces of stanzas by their markers: what a load needs to know of them, whichever quotes a server uses.

use memchr::memmem;

/// The value of the first attribute of this name.
pub fn attribute<'a>(xml: &'a [u8], name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(found) = memmem::find(&xml[from..], name.as_bytes()) {
        let (start, end) = (from + found, from + found + name.len());
        let stands_alone = start > 0 && xml[start - 1].is_ascii_whitespace() && xml.get(end) == Some(&b'=');
        if let (true, Some(quote @ (b'\'' | b'"'))) = (stands_alone, xml.get(end + 1)) {
            let value = &xml[end + 2..];
            let length = memchr::memchr(*quote, value)?;
            return std::str::from_utf8(&value[..length]).ok();
        }
        from = end;
    }
    None
}

/// Whether this stands anywhere in it.
pub fn contains(xml: &[u8], marker: &str) -> bool {
    memmem::find(xml, marker.as_bytes()).is_some()
}

/// What stands between the tags of the first element of this name.
pub fn inside<'a>(xml: &'a [u8], name: &str) -> Option<&'a str> {
    let start = memmem::find(xml, format!("<{name}").as_bytes())?;
    let from = start + memchr::memchr(b'>', &xml[start..])? + 1;
    let length = memmem::find(&xml[from..], format!("</{name}").as_bytes())?;
    std::str::from_utf8(&xml[from..from + length]).ok()
}

/// The number of the account that an address is of.
pub fn account(address: &str) -> Option<u32> {
    address.split('@').next()?.strip_prefix('u')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_quote_is_read() {
        let xml = br#"<message xml:id="no" from="u7@one.test/b" id='x'><body>hi</body></message>"#;
        assert_eq!(attribute(xml, "from"), Some("u7@one.test/b"));
        assert_eq!(attribute(xml, "id"), Some("x"));
        assert_eq!(attribute(xml, "to"), None);
        assert_eq!(inside(xml, "body"), Some("hi"));
        assert_eq!(account("u7@one.test/b"), Some(7));
    }
}
