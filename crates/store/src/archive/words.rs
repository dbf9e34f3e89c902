//! The words of a text, as both engines index them and as they are looked for.

use std::collections::BTreeSet;

/// Bytes of a word that count; longer ones are cut.
pub const WORD_BYTES_MAX: usize = 64;
/// Words of one message by which it is found; more are not looked at.
pub const WORDS_MAX: usize = 2_000;

/// The different words of a text, in lower case, in the order of their letters, with a space between; of a long text,
/// those at its beginning.
pub fn words(text: &str) -> String {
    if text.is_ascii() {
        let text = text.to_ascii_lowercase();
        let cut = |word| <str>::get(word, ..WORD_BYTES_MAX).unwrap_or(word);
        let mut all: Vec<&str> = split(&text).map(cut).take(WORDS_MAX + 1).collect();
        if all.len() <= WORDS_MAX {
            all.sort_unstable();
            all.dedup();
            return all.join(" ");
        }
    }
    let mut found = BTreeSet::new();
    for word in split(text) {
        found.insert(in_lower_case(word));
        if found.len() == WORDS_MAX {
            break;
        }
    }
    found.remove("");
    Vec::from_iter(found).join(" ")
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
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
            ("", ""),
            (" .,-_' ", ""),
            ("To be, or not to be?", "be not or to"),
            ("Straße_ÄPFEL 1,000", "000 1 straße äpfel"),
            ("Война и мир", "война и мир"),
            ("İ", "i"),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        assert_eq!(words(&"ä".repeat(100)).len(), WORD_BYTES_MAX);
        assert_eq!(words(&"A".repeat(100)), "a".repeat(WORD_BYTES_MAX));
        let many: String = (0..3_000).map(|number| format!("{number} ")).collect();
        for text in [many.clone(), many + "ä"] {
            let found = words(&text);
            assert_eq!(found.split(' ').count(), WORDS_MAX);
            assert!(found.contains(" 1999 ") && !found.contains("2000"));
        }
        let few = "to be or not to be ".repeat(WORDS_MAX);
        assert_eq!(words(&few), "be not or to");
    }
}
