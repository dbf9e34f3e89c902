//! The words in braces: `{alice.bare}`, `{base64 …}`, `{1000 * a}`, and what earlier lines captured.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// What the words stand for.
#[derive(Debug, Clone, Default)]
pub struct Words(BTreeMap<String, String>);

impl Words {
    /// What a word stands for, if it is known.
    pub fn find(&self, word: &str) -> Option<&str> {
        self.0.get(word).map(String::as_str)
    }

    /// Gives a word its meaning.
    pub fn learn(&mut self, word: &str, meaning: &str) {
        self.0.insert(word.to_owned(), meaning.to_owned());
    }

    /// Teaches `{name}`, `{name.bare}`, `{name.local}`, `{name.domain}`, `{name.resource}` and `{name.password}`.
    pub fn introduce(&mut self, name: &str, jid: &str, password: &str) {
        let (bare, resource) = jid.split_once('/').unwrap_or((jid, ""));
        let (local, domain) = bare.split_once('@').unwrap_or(("", bare));
        self.learn(name, jid);
        for (part, meaning) in [
            ("bare", bare),
            ("local", local),
            ("domain", domain),
            ("resource", resource),
            ("password", password),
        ] {
            self.learn(&format!("{name}.{part}"), meaning);
        }
    }

    /// Replaces all words, inner ones first.
    ///
    /// # Errors
    /// A word that nobody knows.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut text = text.to_owned();
        let mut from = 0;
        while let Some(close) = text[from..].find('}').map(|at| at + from) {
            let Some(open) = text[..close].rfind('{') else {
                from = close + 1;
                continue;
            };
            let meaning = self.meaning(&text[open + 1..close])?;
            text.replace_range(open..=close, &meaning);
            from = open + meaning.len();
            // An outer word may close right here; its opening brace is found backwards.
        }
        Ok(text)
    }

    fn meaning(&self, word: &str) -> Result<String, String> {
        if let Some(plain) = word.strip_prefix("base64 ") {
            return Ok(STANDARD.encode(bytes(plain)?));
        }
        if let Some(keys) = word.strip_prefix("salted ") {
            let [hash, rounds, salt, password] = keys.split(' ').collect::<Vec<_>>()[..] else {
                return Err("'salted HASH ITERATIONS SALT PASSWORD'".to_owned());
            };
            return super::sasl::salted(hash, rounds, salt, password);
        }
        if let Some((count, what)) = word.split_once(" * ") {
            let count: usize = count.trim().parse().map_err(|_| format!("'{count}' is not a number"))?;
            return Ok(what.repeat(count));
        }
        let known = self.find(word).ok_or_else(|| format!("nothing is known as {{{word}}}"))?;
        Ok(known.to_owned())
    }
}

/// The bytes of a text in which `\0`, `\n` and `\xNN` stand for what cannot be written.
///
/// # Errors
/// Another escape.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        match rest {
            [b'0', after @ ..] => (out.push(0), rest = after).1,
            [b'n', after @ ..] => (out.push(b'\n'), rest = after).1,
            [b'\\', after @ ..] => (out.push(b'\\'), rest = after).1,
            [b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or("?");
                out.push(u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?);
                rest = after;
            }
            _ => return Err(format!("an escape is unknown in: {text}")),
        }
    }
    Ok(out)
}

/// Compares a pattern with a text. `...` stands for anything, `{word}` for what it means or, if it means nothing
/// yet, for anything not empty, which it then means.
pub fn matches(pattern: &str, text: &str, words: &mut Words) -> bool {
    if let Some(after) = pattern.strip_prefix("...") {
        return ends(text).any(|at| matches(after, &text[at..], words));
    }
    if let Some((word, after)) = pattern.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        if let Some(known) = words.find(word) {
            let known = known.to_owned();
            return text.strip_prefix(known.as_str()).is_some_and(|rest| matches(after, rest, words));
        }
        return ends(text).rev().take_while(|at| *at > 0).any(|at| {
            let mut learning = words.clone();
            learning.learn(word, &text[..at]);
            let matched = matches(after, &text[at..], &mut learning);
            if matched {
                *words = learning;
            }
            matched
        });
    }
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => matches(&pattern[a.len_utf8()..], &text[b.len_utf8()..], words),
        _ => false,
    }
}

fn ends(text: &str) -> impl DoubleEndedIterator<Item = usize> + '_ {
    (0..=text.len()).filter(|at| text.is_char_boundary(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_from_the_inside() {
        let mut words = Words::default();
        words.introduce("alice", "alice@one.test/phone", "secret");
        assert_eq!(
            words.fill("<a to='{alice.bare}'>{3 * ab}</a>").unwrap(),
            "<a to='alice@one.test'>ababab</a>"
        );
        assert_eq!(
            words.fill("{base64 \\0{alice.local}\\0{alice.password}}").unwrap(),
            "AGFsaWNlAHNlY3JldA=="
        );
        assert!(words.fill("{bob}").is_err());
    }

    #[test]
    fn patterns_capture_and_compare() {
        let mut words = Words::default();
        assert!(matches("push-{n}", "push-17", &mut words));
        assert!(matches("{n}", "17", &mut words) && !matches("{n}", "18", &mut words));
        assert!(matches("a...c", "abbc", &mut words) && !matches("a...c", "abb", &mut words));
    }
}
