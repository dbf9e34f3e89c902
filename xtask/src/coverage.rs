//! Which conversation shows which section of which specification: a page of the book, and what is missing in it.
//!
//! A conversation cites what it shows in its comments: `RFC 6121 §8.5.3`, `XEP-0191 §3.3`, and then only `§3.4`, which
//! is of the specification that was named last in the same brackets, or of the one that the title names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const SECTIONS: &str = include_str!("coverage/sections.txt");

/// A section that is to be shown, or why it is not.
struct Section {
    spec: &'static str,
    number: &'static str,
    title: &'static str,
    why_not: Option<&'static str>,
}

/// The conversations that cite a section, by specification and number.
type Citations = BTreeMap<(String, String), BTreeSet<String>>;

/// The page of the book.
pub fn page() -> Result<String> {
    let (sections, cited) = (sections(), citations()?);
    let mut text = String::from(
        "# Coverage\n\nWritten by `cargo xtask generate` from the comments of the conversations, which cite what they \
         show. `cargo xtask tidy` fails if a section below has neither a conversation nor a reason why there is \
         none.\n",
    );
    let mut spec = "";
    for section in &sections {
        if section.spec != spec {
            spec = section.spec;
            let _ = write!(text, "\n## {spec}\n\n| section | | shown by |\n|---|---|---|\n");
        }
        let shown = match (section.cited_by(&cited), section.why_not) {
            (Some(names), _) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            (None, Some(why)) => format!("*none: {why}*"),
            (None, None) => "its parts".to_owned(),
        };
        let _ = writeln!(text, "| §{} | {} | {shown} |", section.number, section.title);
    }
    text.push_str("\n## Others\n\n| section | shown by |\n|---|---|\n");
    for ((spec, number), names) in &cited {
        if !sections.iter().any(|section| section.spec == spec && section.number == number) {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(text, "| {spec} §{number} | {} |", names.join(", "));
        }
    }
    Ok(text)
}

/// Every section is shown or says why not; what is cited exists; every conversation cites something.
pub fn check(wrong: &mut Vec<String>) -> Result<()> {
    let (sections, cited) = (sections(), citations()?);
    for section in &sections {
        let Section { spec, number, title, why_not } = section;
        let has_parts = sections.iter().any(|other| other.spec == *spec && is_below(other.number, number));
        match (section.cited_by(&cited), why_not) {
            (None, None) if !has_parts => {
                wrong.push(format!("{spec} §{number} ({title}): no conversation cites it, nor is said why"));
            }
            (Some(names), Some(_)) => {
                wrong.push(format!(
                    "{spec} §{number} ({title}): said to be shown by none, but {names:?} cite it"
                ));
            }
            _ => {}
        }
        let files = why_not.iter().flat_map(|why| why.split(' ')).filter(|word| word.starts_with("crates/"));
        for file in files {
            if !Path::new(file).is_file() {
                wrong.push(format!("{spec} §{number} ({title}): said to be tested in {file}, which is none"));
            }
        }
    }
    for ((spec, number), names) in &cited {
        // A chapter that is listed is listed whole: what is not in it is a slip of the pen.
        let chapter = |number: &str| number.split('.').next().unwrap_or_default().to_owned();
        let mut of_chapter = sections
            .iter()
            .filter(|section| section.spec == spec && chapter(section.number) == chapter(number))
            .peekable();
        if of_chapter.peek().is_some() && !of_chapter.any(|section| section.number == number) {
            wrong.push(format!("{spec} §{number}: cited by {names:?}, missing in coverage/sections.txt"));
        }
    }
    let citing: BTreeSet<&String> = cited.values().flatten().collect();
    for (name, _) in conversations()? {
        if !citing.contains(&name) {
            wrong.push(format!("conversations/{name}.txt: cites no section of any specification"));
        }
    }
    Ok(())
}

impl Section {
    fn cited_by<'a>(&self, cited: &'a Citations) -> Option<&'a BTreeSet<String>> {
        cited.get(&(self.spec.to_owned(), self.number.to_owned()))
    }
}

fn is_below(number: &str, parent: &str) -> bool {
    number.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}

fn sections() -> Vec<Section> {
    let mut spec = "";
    let mut sections = Vec::new();
    for line in SECTIONS.lines() {
        match line.strip_prefix("  ").and_then(|line| line.split_once("  ")) {
            Some((number, rest)) => {
                let (title, why_not) = match rest.split_once(" -- ") {
                    Some((title, why)) => (title, Some(why)),
                    None => (rest, None),
                };
                sections.push(Section { spec, number, title, why_not });
            }
            None if line.starts_with("RFC ") || line.starts_with("XEP-") => spec = line,
            None => {}
        }
    }
    sections
}

/// The conversations by name, with their text.
fn conversations() -> Result<Vec<(String, String)>> {
    let folder = Path::new("conversations");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

fn citations() -> Result<Citations> {
    let mut cited = Citations::new();
    for (name, text) in conversations()? {
        for citation in cited_in(&text) {
            cited.entry(citation).or_default().insert(name.clone());
        }
    }
    Ok(cited)
}

/// The sections that the comments of a conversation cite.
fn cited_in(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut title_spec: Option<String> = None;
    for comment in text.lines().filter_map(|line| line.strip_prefix('#')) {
        let line = cited_in_line(comment, title_spec.as_deref());
        if title_spec.is_none() {
            // The last specification of which the title names a section; else the first that it names.
            title_spec = line.cited.last().map(|(spec, _)| spec.clone()).or(line.first_named);
        }
        found.extend(line.cited);
    }
    found
}

struct Line {
    cited: Vec<(String, String)>,
    first_named: Option<String>,
}

fn cited_in_line(comment: &str, default: Option<&str>) -> Line {
    let words: Vec<&str> = comment.split_whitespace().collect();
    let mut line = Line { cited: Vec::new(), first_named: None };
    let mut spec = default.map(str::to_owned);
    let mut outside = Vec::new();
    for (at, written) in words.iter().enumerate() {
        if written.starts_with('(') {
            outside.push(spec.clone());
        }
        let word = bare(written);
        let number = word.strip_prefix('§').or_else(|| word.starts_with("A.").then_some(word));
        if let Some(named) = named(word, words.get(at + 1).copied()) {
            line.first_named.get_or_insert_with(|| named.clone());
            spec = Some(named);
        } else if let (Some(number), Some(spec)) = (number, &spec) {
            let from = line.cited.last().map(|(_, number)| number.clone());
            match from.filter(|_| at > 0 && words[at - 1] == "to") {
                Some(from) => line.cited.extend(range(&from, number).map(|number| (spec.clone(), number))),
                None => line.cited.push((spec.clone(), number.to_owned())),
            }
        }
        if written.contains(')')
            && let Some(before) = outside.pop()
        {
            spec = before;
        }
    }
    line
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '§')
}

/// `RFC 6120` or `XEP-0191`.
fn named(word: &str, next: Option<&str>) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match word.strip_prefix("XEP-") {
        Some(number) if is_number(number) => Some(word.to_owned()),
        _ if word == "RFC" => next.map(bare).filter(|next| is_number(next)).map(|next| format!("RFC {next}")),
        _ => None,
    }
}

/// `§4.7.1 to §4.7.4`: the first has been noted already.
fn range(from: &str, to: &str) -> impl Iterator<Item = String> {
    let split = |number: &str| {
        let (parent, last) = number.rsplit_once('.').unwrap_or(("", number));
        (parent.to_owned(), last.parse::<u32>().unwrap_or_default())
    };
    let ((_, first), (parent, last)) = (split(from), split(to));
    (first + 1..=last).map(move |number| format!("{parent}.{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let cited: Vec<String> =
            cited_in(text).into_iter().map(|(spec, number)| format!("{spec} {number}")).collect();
        cited.join(", ")
    }

    #[test]
    fn a_section_is_of_the_specification_that_was_named_last() {
        assert_eq!(shown("# It. RFC 6120 §8.3, §8.4.\na > <x n='§9'/>"), "RFC 6120 8.3, RFC 6120 8.4");
        assert_eq!(
            shown("# It. RFC 5802 §5, RFC 6120 §6.5, RFC 7677\n# Then (§6.5.6)"),
            "RFC 5802 5, RFC 6120 6.5, RFC 6120 6.5.6"
        );
        assert_eq!(shown("# It. XEP-0050, XEP-0133\n# Not so (§4.4)."), "XEP-0050 4.4");
        assert_eq!(
            shown("# RFC 6120 §4\n# So (XEP-0191 §3, §4) and (§5)."),
            "RFC 6120 4, XEP-0191 3, XEP-0191 4, RFC 6120 5"
        );
        assert_eq!(shown("# RFC 6121 A.3.1"), "RFC 6121 A.3.1");
    }

    #[test]
    fn a_range_stands_for_all_in_it() {
        assert_eq!(shown("# RFC 6120 §4.7.1 to §4.7.3"), "RFC 6120 4.7.1, RFC 6120 4.7.2, RFC 6120 4.7.3");
    }
}
