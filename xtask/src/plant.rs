//! Shows that the checkers of the rehearsal can fail: plants one fault after another in a copy of the tree and
//! rehearses until a rule is broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program;

/// Where the faults are: one patch each, which begins with what it does and who must notice.
const FAULTS: &str = "crates/simulator/faults";
/// The copy of the tree, and what is built of it.
const COPY: &str = "target/planted/tree";
/// Seeds that are rehearsed before a fault counts as unnoticed.
const SEEDS: &str = "1..1000";

/// Plants the fault of this name, or all of them.
pub fn run(name: Option<&str>) -> Result<()> {
    let mut faults: Vec<PathBuf> =
        fs::read_dir(FAULTS)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    faults.retain(|file| name.is_none_or(|name| file.file_stem().is_some_and(|stem| stem == name)));
    faults.sort();
    if faults.is_empty() {
        bail!("there is no such fault in {FAULTS}");
    }
    copy_tree()?;
    let mut unnoticed = 0;
    for fault in &faults {
        let text = fs::read_to_string(fault)?;
        println!("── {}\n{}", fault.display(), text.lines().next().unwrap_or_default());
        match plant(fault)? {
            Some(noticed) => println!("caught: {noticed}"),
            None => {
                unnoticed += 1;
                println!("NOT caught within {SEEDS}");
            }
        }
    }
    println!("{} faults planted, {unnoticed} not caught", faults.len());
    if unnoticed > 0 {
        bail!("{unnoticed} faults were not caught");
    }
    Ok(())
}

/// The tree as it is committed: a fault must never be planted in the one that is worked on.
fn copy_tree() -> Result<()> {
    if Path::new(COPY).exists() {
        git(&["worktree", "remove", "--force", COPY])?;
    }
    git(&["worktree", "prune"])?;
    git(&["worktree", "add", "--quiet", "--detach", COPY, "HEAD"])
}

/// Returns the first broken rule.
fn plant(fault: &Path) -> Result<Option<String>> {
    let patch = fault.canonicalize()?;
    let patch = patch.to_str().context("the path of the fault is no text")?;
    git(&["-C", COPY, "checkout", "--quiet", "."])?;
    git(&["-C", COPY, "apply", patch])?;
    let rehearsed = Command::new("cargo")
        .args(["run", "--quiet", "--release", "-p", "simulator", "--bin", "rehearse", "--", "--seeds", SEEDS])
        .arg("--until-broken")
        .current_dir(COPY)
        .env("CARGO_TARGET_DIR", fs::canonicalize("target")?.join("planted/build"))
        .output()?;
    let said = String::from_utf8_lossy(&rehearsed.stdout).into_owned();
    match rehearsed.status.code() {
        Some(0) => Ok(None),
        Some(1) => Ok(Some(said.lines().take(2).map(str::trim).collect::<Vec<_>>().join(": "))),
        _ => bail!("the copy could not be rehearsed:\n{}", String::from_utf8_lossy(&rehearsed.stderr)),
    }
}

fn git(arguments: &[&str]) -> Result<()> {
    program::run(Command::new("git").args(arguments))
}
