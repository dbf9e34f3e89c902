//! Which characters XML allows, and where (XML §2.2, §2.3).

use super::ScanError;

/// Checks that all of it is UTF-8 (RFC 6120 §4.9.3.22) made of legal characters (§4.9.3.13).
pub fn check_text(bytes: &[u8]) -> Result<(), ScanError> {
    // Without an early end, so that many bytes are looked at in one go.
    let (controls, all) =
        bytes.iter().fold((false, 0), |(controls, all), byte| (controls | (*byte < 0x20), all | byte));
    if !all.is_ascii() {
        simdutf8::basic::from_utf8(bytes).map_err(|_| ScanError::Encoding)?;
    }
    let refused = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    if controls && bytes.iter().any(refused) || !all.is_ascii() && has_noncharacters(bytes) {
        return Err(ScanError::NotWellFormed("an illegal character"));
    }
    Ok(())
}

/// U+FFFE and U+FFFF, the only legal code points in UTF-8 that XML refuses besides controls.
fn has_noncharacters(bytes: &[u8]) -> bool {
    memchr::memchr_iter(0xEF, bytes).any(|at| matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])))
}

/// Whether a character reference may name this code point.
pub fn is_legal(code: u32) -> bool {
    matches!(code, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x1_0000..=0x10_FFFF)
}

/// Whether it is a name without a colon (Namespaces in XML §3, NCName).
pub fn is_ncname(bytes: &[u8]) -> bool {
    if bytes.is_ascii() {
        return bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut characters = text.chars();
    characters.next().is_some_and(starts_name) && characters.all(continues_name)
}

fn starts_name(character: char) -> bool {
    matches!(character,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn continues_name(character: char) -> bool {
    starts_name(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
