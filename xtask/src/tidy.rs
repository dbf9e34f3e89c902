//! Holds the tree against its own rules: layers, siblings, sizes, names, cards and conversations.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{coverage, pages};

/// A file longer than this is asked for its reason.
const LINES_MAX: usize = 700;
/// A line longer than this does not fit beside another.
const COLUMNS_MAX: usize = 120;
/// Names of things that have no home yet.
const HOMELESS: [&str; 6] = ["utils", "util", "common", "helpers", "manager", "misc"];
/// What tests hold us against; none of it is part of the server.
const ORACLES: [&str; 4] = ["rxml", "quick-xml", "minidom", "fuzz-checks"];
/// Words that promise what is not there.
const PROMISES: [&str; 3] = ["todo!(", "unimplemented!(", "dbg!("];

/// Runs every check and lists all that is wrong.
pub fn run() -> Result<()> {
    let mut wrong = Vec::new();
    layers(&mut wrong)?;
    features(&mut wrong)?;
    coverage::check(&mut wrong)?;
    pages::check(&mut wrong)?;
    faults(&mut wrong)?;
    for file in rust_files()? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        names(&file, &mut wrong);
        sizes(&file, &text, &mut wrong);
        opening(&file, &text, &mut wrong);
        placeholders(&file, &text, &mut wrong);
    }
    if wrong.is_empty() {
        println!("tidy: the tree keeps its rules");
        return Ok(());
    }
    for line in &wrong {
        eprintln!("tidy: {line}");
    }
    bail!("{} rules broken", wrong.len())
}

/// The layer table of ARCHITECTURE.md against the manifests: every edge goes downward.
fn layers(wrong: &mut Vec<String>) -> Result<()> {
    let layer = layer_table()?;
    let metadata = Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(own) = layer.get(name) else {
            wrong.push(format!("crate {name} is missing in ARCHITECTURE.md's layer table"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // A test may look further than the code it tests.
            let other = dependency["name"].as_str().unwrap_or_default();
            if ORACLES.contains(&other) && dependency["kind"].is_null() && name != "fuzz-checks" {
                wrong.push(format!("{name} may use {other} in its tests only"));
            }
            let (Some(theirs), None) = (layer.get(other), dependency["kind"].as_str()) else { continue };
            if theirs >= own && *own < 6 {
                wrong.push(format!("{name} (layer {own}) may not use {other} (layer {theirs})"));
            }
        }
    }
    Ok(())
}

fn layer_table() -> Result<BTreeMap<String, u8>> {
    let text = fs::read_to_string("ARCHITECTURE.md")?;
    let mut table = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", layer, crates, _, ""] = cells.as_slice()
            && let Ok(layer) = layer.parse::<u8>()
        {
            table.extend(crates.split(',').map(|name| (name.trim().to_owned(), layer)));
        }
    }
    Ok(table)
}

/// Features are siblings: none imports another, but for the result of the stage before it. Each has its card, its
/// place in the list of cards, and a conversation.
fn features(wrong: &mut Vec<String>) -> Result<()> {
    const RESULTS_OF_STAGES: [(&str, &str); 2] =
        [("offline", "crate::delivery::Reached"), ("carbons", "crate::delivery::Reached")];
    let cards = fs::read_to_string("crates/server/src/cards.rs")?;
    let conversations = conversation_names()?;
    for file in rust_files()?.into_iter().filter(|file| file.starts_with("crates/features/src")) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file)?;
        for line in text.lines().filter(|line| line.trim_start().starts_with("use crate::")) {
            let own = format!("use crate::{name}::");
            let checks = line.trim_start().starts_with("use crate::check");
            let allowed =
                checks || RESULTS_OF_STAGES.iter().any(|(by, what)| *by == name && line.contains(what));
            if !allowed && !line.contains(&own) && file.parent() == Some(Path::new("crates/features/src")) {
                wrong.push(format!("{}: a feature imports its sibling: {}", file.display(), line.trim()));
            }
        }
        if text.contains("pub const CARD: Card") {
            if !cards.contains(&format!("{name}::CARD")) {
                wrong.push(format!("{}: its card is missing in cards.rs", file.display()));
            }
            if !conversations.iter().any(|conversation| conversation.starts_with(&name)) {
                wrong.push(format!("{}: no conversation is named after it", file.display()));
            }
        }
    }
    Ok(())
}

/// Every fault that is planted to see it caught can still be planted.
fn faults(wrong: &mut Vec<String>) -> Result<()> {
    for patch in files_below(Path::new("crates/simulator/faults"))? {
        let checked = Command::new("git").args(["apply", "--check"]).arg(&patch).output()?;
        if !checked.status.success() {
            wrong.push(format!("{}: does not fit the tree any more", patch.display()));
        }
    }
    Ok(())
}

/// Conversations by name, written as features are.
fn conversation_names() -> Result<BTreeSet<String>> {
    let files = files_below(Path::new("conversations"))?;
    Ok(files
        .iter()
        .filter_map(|file| file.file_stem())
        .map(|stem| stem.to_string_lossy().replace('-', "_"))
        .collect())
}

fn names(file: &Path, wrong: &mut Vec<String>) {
    for part in file.iter().map(|part| part.to_string_lossy()) {
        let stem = part.strip_suffix(".rs").unwrap_or(&part);
        if HOMELESS.contains(&stem) {
            wrong.push(format!("{}: `{stem}` is no name: what is in it?", file.display()));
        }
    }
}

fn sizes(file: &Path, text: &str, wrong: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        wrong.push(format!("{}: {lines} lines; split it by noun", file.display()));
    }
    for (number, line) in text.lines().enumerate() {
        if line.chars().count() > COLUMNS_MAX {
            wrong.push(format!("{}:{}: longer than {COLUMNS_MAX} columns", file.display(), number + 1));
        }
        if PROMISES.iter().any(|promise| line.contains(promise)) && !file.ends_with("tidy.rs") {
            wrong.push(format!("{}:{}: a promise that nothing keeps", file.display(), number + 1));
        }
    }
}

/// Every file says in its first line what it is.
fn opening(file: &Path, text: &str, wrong: &mut Vec<String>) {
    if !text.starts_with("//! ") && !text.starts_with("#!") {
        wrong.push(format!("{}: begins without a sentence on what it is", file.display()));
    }
}

/// SQLite numbers `$n` by first appearance: written in another order, a statement binds the wrong values.
fn placeholders(file: &Path, text: &str, wrong: &mut Vec<String>) {
    if !file.starts_with("crates/store/src") {
        return;
    }
    for literal in text.split('"').skip(1).step_by(2).filter(|literal| literal.contains("$1")) {
        let mut next = 1;
        for (at, _) in literal.match_indices('$') {
            let digits: String = literal[at + 1..].chars().take_while(char::is_ascii_digit).collect();
            let Ok(number) = digits.parse::<usize>() else { continue };
            if number > next {
                wrong.push(format!("{}: placeholder ${number} before ${next} in: {literal}", file.display()));
                break;
            }
            next = next.max(number + 1);
        }
    }
}

fn rust_files() -> Result<Vec<PathBuf>> {
    const TOPS: [&str; 9] = [
        "crates",
        "src",
        "tests",
        "benches",
        "bench",
        "xtask",
        "fuzz/checks",
        "fuzz/fuzz_targets",
        "hostile",
    ];
    let mut files = Vec::new();
    for top in TOPS {
        files.extend(files_below(Path::new(top))?);
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    Ok(files)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
