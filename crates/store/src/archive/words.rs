//! The words of a text, as both engines index them and as they are looked for.

use std::collections::HashSet;

/// Bytes of a word that count; longer ones are cut.
pub const WORD_BYTES_MAX: usize = 64;
/// Words of one message by which it is found; more are not looked at.
pub const WORDS_MAX: usize = 2_000;

/// The words of a text, in lower case, with a space between; of a long text, the different ones at its beginning.
pub fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut left = WORDS_MAX;
    for word in split(text) {
        if left == 0 {
            return different(text);
        }
        left -= 1;
        put(word, &mut words);
    }
    words
}

fn different(text: &str) -> String {
    let (mut words, mut word, mut seen) = (String::new(), String::new(), HashSet::new());
    for written in split(text) {
        word.clear();
        put(written, &mut word);
        if !word.is_empty() && seen.insert(word.clone()) {
            put(&word, &mut words);
        }
        if seen.len() == WORDS_MAX {
            break;
        }
    }
    words
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Puts a word behind others, as it counts.
fn put(word: &str, words: &mut String) {
    let end = words.len();
    if end > 0 {
        words.push(' ');
    }
    let begin = words.len();
    if word.is_ascii() {
        words.push_str(word.get(..WORD_BYTES_MAX).unwrap_or(word));
        words[begin..].make_ascii_lowercase();
        return;
    }
    // What becomes of a letter in lower case may end in a mark, which is no letter.
    words.extend(word.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()));
    words.truncate(words.floor_char_boundary(begin + WORD_BYTES_MAX));
    if words.len() == begin {
        words.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_other_characters() {
        for (text, expected) in [
            ("", ""),
            (" .,-_' ", ""),
            ("To be, or not to be?", "to be or not to be"),
            ("Straße_ÄPFEL 1,000", "straße äpfel 1 000"),
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
            assert!(found.ends_with(" 1999"));
        }
        let few = "to be or not to be ".repeat(WORDS_MAX);
        assert_eq!(words(&few), "to be or not");
    }
}
