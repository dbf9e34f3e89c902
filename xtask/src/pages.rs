//! Pages that code and pages name: each of them is in the tree, and in the book's summary if it belongs to the book.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Kinds of files in which pages are named.
const KINDS: [&str; 4] = ["md", "rs", "toml", "py"];

/// Lists pages that are named and not there, and pages of the book that its summary leaves out.
pub fn check(wrong: &mut Vec<String>) -> Result<()> {
    for file in tracked()? {
        let kind = file.extension().unwrap_or_default().to_string_lossy();
        if !KINDS.contains(&kind.as_ref()) {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        for (number, line) in text.lines().enumerate() {
            for page in named(line).filter(|page| !is_there(&file, page)) {
                wrong.push(format!("{}:{}: there is no {page}", file.display(), number + 1));
            }
        }
    }
    let summary = fs::read_to_string(SUMMARY)?;
    for file in tracked()? {
        let Ok(page) = file.strip_prefix("docs") else { continue };
        let decision = page.starts_with("decisions") && !page.ends_with("README.md");
        let listed =
            decision || file == Path::new(SUMMARY) || summary.contains(&format!("({})", page.display()));
        if page.extension().is_some_and(|kind| kind == "md") && !listed {
            wrong.push(format!("{}: {SUMMARY} leaves it out", file.display()));
        }
    }
    Ok(())
}

fn tracked() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .output()?;
    let names = String::from_utf8(output.stdout)?;
    let files = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(files.filter(|file| file.is_file() && !file.starts_with("fuzz/corpus")).collect())
}

/// Words of a line that name a page.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let apart = |character: char| !(character.is_ascii_alphanumeric() || "_-./".contains(character));
    line.split(apart)
        .filter(|word| word.strip_suffix(".md").is_some_and(|stem| !stem.is_empty() && stem != "."))
}

/// A page is named from the folder of the file, or from one above it.
fn is_there(file: &Path, page: &str) -> bool {
    file.ancestors().skip(1).any(|folder| folder.join(page).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_words_that_end_so() {
        let line = "see [it](../../docs/build/fuzzing.md#measured) and `docs/SUMMARY.md`, not x.mdx or .md";
        assert_eq!(Vec::from_iter(named(line)), ["../../docs/build/fuzzing.md", "docs/SUMMARY.md"]);
    }
}
