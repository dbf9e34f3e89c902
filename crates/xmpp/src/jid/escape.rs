//! Characters that a localpart cannot have, written so that it can (XEP-0106): `space cadet` as `space\20cadet`.

/// What is escaped, with its two hexadecimal digits (XEP-0106 §3, table 3).
const ESCAPES: [(char, &str); 10] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// Escapes a text for use as a localpart. A backslash is escaped only where it would look like an escape
/// (XEP-0106 §4.2).
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let code = ESCAPES.iter().find(|(known, _)| *known == character);
        match code {
            Some(('\\', code)) if code_at(&text[at + 1..]).is_some() => {
                escaped.push('\\');
                escaped.push_str(code);
            }
            Some(('\\', _)) | None => escaped.push(character),
            Some((_, code)) => {
                escaped.push('\\');
                escaped.push_str(code);
            }
        }
    }
    escaped
}

/// Reads an escaped localpart for people to see. What is no escape stays as it is (XEP-0106 §4.3).
pub fn unescape(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        unescaped.push_str(&rest[..at]);
        let is_first = rest.len() == text.len() && at == 0;
        let is_last = rest.len() == at + 3;
        match code_at(&rest[at + 1..]) {
            // §4.1: a space is never first or last, so its escape there is none.
            Some(' ') if is_first || is_last => {
                unescaped.push_str("\\20");
                rest = &rest[at + 3..];
            }
            Some(character) => {
                unescaped.push(character);
                rest = &rest[at + 3..];
            }
            None => {
                unescaped.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    unescaped.push_str(rest);
    unescaped
}

fn code_at(rest: &str) -> Option<char> {
    let code = rest.get(..2)?;
    ESCAPES.iter().find(|(_, known)| *known == code).map(|(character, _)| *character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_text() {
        for (plain, escaped) in [
            ("space cadet", "space\\20cadet"),
            ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
            ("at&t guy", "at\\26t\\20guy"),
            ("d'artagnan", "d\\27artagnan"),
            ("/.fanboy", "\\2f.fanboy"),
            ("::foo::", "\\3a\\3afoo\\3a\\3a"),
            ("<foo>", "\\3cfoo\\3e"),
            ("user@host", "user\\40host"),
            ("c:\\net", "c\\3a\\net"),
            ("c:\\5commas", "c\\3a\\5c5commas"),
        ] {
            assert_eq!(escape(plain), escaped);
            assert_eq!(unescape(escaped), plain);
        }
    }

    #[test]
    fn a_space_is_never_first_or_last() {
        for (escaped, plain) in
            [("\\20a", "\\20a"), ("a\\20", "a\\20"), ("\\20", "\\20"), ("a\\20\\20b\\20", "a  b\\20")]
        {
            assert_eq!(unescape(escaped), plain);
        }
    }
}
