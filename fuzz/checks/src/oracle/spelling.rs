//! Spellings that rxml takes, in place of others that it does not though XML allows them.

use std::ops::RangeInclusive;

/// XML §2.11: line ends are line feeds before anything is read.
pub fn with_line_feeds(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            b'\r' => out.push(b'\n'),
            _ => out.push(*byte),
        }
    }
    out
}

/// Without white space (XML §2.3) at the beginning.
pub fn without_space_before(bytes: &[u8]) -> Vec<u8> {
    let spaces = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
    bytes[spaces..].to_vec()
}

/// Character references without leading zeros; in CDATA there are none.
pub fn without_zeros(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        if rest.starts_with(b"<![CDATA[") {
            let end = rest.windows(3).position(|three| three == b"]]>").unwrap_or(rest.len());
            let (cdata, behind) = rest.split_at(end);
            out.extend_from_slice(cdata);
            rest = behind;
            continue;
        }
        let Some((head, zeros)) = leading_zeros(rest) else {
            out.push(*first);
            rest = after;
            continue;
        };
        out.extend_from_slice(&rest[..head]);
        rest = &rest[head + zeros..];
    }
    out
}

/// The longest reference that we take.
const REFERENCE_BYTES_MAX: usize = 16;

/// At a character reference: the length of what is before its digits, and of the zeros that say nothing.
fn leading_zeros(rest: &[u8]) -> Option<(usize, usize)> {
    let (head, hexadecimal) = match rest {
        [b'&', b'#', b'x', ..] => (3, true),
        [b'&', b'#', ..] => (2, false),
        _ => return None,
    };
    let end = rest.iter().take(REFERENCE_BYTES_MAX).position(|byte| *byte == b';')?;
    let digits = &rest[head..end];
    let digit = |byte: &u8| if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    if digits.is_empty() || !digits.iter().all(digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    Some((head, zeros.min(digits.len() - 1)))
}

/// U+FDF0 to U+FFFD, moved to where rxml takes them as letters of names; as long as before, and none of them one that
/// is there already.
pub fn with_other_letters(bytes: &[u8]) -> Vec<u8> {
    // Where the first of them may go, so that the last is no further than U+FDCF.
    const HOMES: RangeInclusive<u32> = 0xF900..=0xFBC2;
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let moved = |home: u32| {
        let strange =
            text.char_indices().filter(|(_, character)| ('\u{FDF0}'..='\u{FFFD}').contains(character));
        strange.filter_map(move |(at, character)| {
            Some((at, char::from_u32(u32::from(character) - 0xFDF0 + home)?))
        })
    };
    let is_free = |home: &u32| moved(*home).all(|(_, character)| !text.contains(character));
    let home = HOMES.clone().find(is_free).unwrap_or(*HOMES.start());
    let mut out = bytes.to_vec();
    for (at, character) in moved(home) {
        character.encode_utf8(&mut out[at..]);
    }
    out
}
