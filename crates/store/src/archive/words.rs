//! The words of a text, as both engines index them and as they are looked for.

use std::collections::BTreeSet;

/// Bytes of a word that count; longer ones are cut.
pub const WORD_BYTES_MAX: usize = 64;
/// Words of one message by which it is found; more are not looked at.
pub const WORDS_MAX: usize = 2_000;

/// The different words of a text, in lower case, in the order of their letters; of a long text, those at its beginning.
pub fn words(text: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        found.insert(in_lower_case(word));
        if found.len() == WORDS_MAX {
            break;
        }
    }
    found.remove("");
    found.into_iter().collect()
}

fn in_lower_case(word: &str) -> String {
    if word.is_ascii() {
        return word.get(..WORD_BYTES_MAX).unwrap_or(word).to_ascii_lowercase();
    }
    let mut word = word.to_lowercase();
    // What becomes of a letter in lower case may end in a mark, which is no letter.
    word.retain(char::is_alphanumeric);
    word.truncate(word.floor_char_boundary(WORD_BYTES_MAX));
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_other_characters() {
        for (text, expected) in [
            ("", &[][..]),
            (" .,-_' ", &[]),
            ("To be, or not to be?", &["be", "not", "or", "to"]),
            ("Straße_ÄPFEL 1,000", &["000", "1", "straße", "äpfel"]),
            ("Война и мир", &["война", "и", "мир"]),
            ("İ", &["i"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        let long = "ä".repeat(100);
        assert_eq!(words(&long)[0].len(), WORD_BYTES_MAX);
        assert_eq!(words(&"A".repeat(100)), ["a".repeat(WORD_BYTES_MAX)]);
        let many: String = (0..3_000).map(|number| format!("{number} ")).collect();
        assert_eq!(words(&many).len(), WORDS_MAX);
    }
}
