//! What sessions are made of: everything that anybody says in the conversations and the hostile cases.

use std::fs;

use simulator::conversation::Script;

use crate::siege::PASSWORD;
use crate::theme::Theme;

/// The seeds.
pub struct Seeds {
    /// Each conversation, with what is said in it, in order.
    pub sessions: Vec<Vec<Vec<u8>>>,
    /// Pieces of markup, and what stands in attributes and between tags.
    pub tokens: Vec<Vec<u8>>,
}

/// Longer ones say the same over and over.
const SAID_BYTES_MAX: usize = 8_000;
/// Accounts must stay for others to play with: these words end or change them.
const ENDS_ACCOUNTS: &[u8] = b"jabber:iq:register";

impl Seeds {
    /// Gathers them from folders of conversations and cases.
    ///
    /// # Errors
    /// A folder or a file that cannot be read.
    pub fn gather(folders: &[&str]) -> Result<Seeds, String> {
        let mut sessions = Vec::new();
        for folder in folders {
            let entries = fs::read_dir(folder).map_err(|error| format!("{folder}: {error}"))?;
            let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            files.retain(|file| file.extension().is_some_and(|end| end == "txt"));
            files.sort();
            for file in files {
                let text =
                    fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                sessions.extend(scripts(&text)?.iter().map(said).filter(|said| !said.is_empty()));
            }
        }
        let mut tokens: Vec<Vec<u8>> =
            sessions.iter().flatten().flat_map(|said| split(said)).map(<[u8]>::to_vec).collect();
        tokens.sort();
        tokens.dedup();
        Ok(Seeds { sessions, tokens })
    }

    /// Bytes of all that is said.
    pub fn bytes(&self) -> usize {
        self.sessions.iter().flatten().map(Vec::len).sum()
    }
}

fn scripts(text: &str) -> Result<Vec<Script>, String> {
    if text.contains("\n== ") {
        let theme = Theme::read("seed", text)?;
        return Ok(theme.cases.into_iter().map(|case| case.script).collect());
    }
    Ok(vec![Script::read(text)?])
}

fn said(script: &Script) -> Vec<Vec<u8>> {
    let mut said = script.said(PASSWORD);
    said.retain(|said| {
        said.len() <= SAID_BYTES_MAX && !said.windows(ENDS_ACCOUNTS.len()).any(|part| part == ENDS_ACCOUNTS)
    });
    said
}

/// Cuts text where markup begins and ends, so that what is put together again is often well-formed.
pub fn split(text: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::new();
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        let cut = match byte {
            b'<' | b'&' => at,
            b'>' | b' ' | b'=' | b'\'' | b'"' | b';' => at + 1,
            _ => continue,
        };
        if cut > from {
            tokens.push(&text[from..cut]);
            from = cut;
        }
    }
    if from < text.len() {
        tokens.push(&text[from..]);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_cutting() {
        let text = b"<a b='c &lt;'>text</a>";
        assert_eq!(split(text).concat(), text);
        assert_eq!(split(text)[..4], [&b"<a "[..], b"b=", b"'", b"c "]);
    }
}
