//! Fuzzing in one command: sets up what it needs, runs the targets, says in a table what came of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::program;

/// Executions per target, where nothing else is said.
const RUNS: u64 = 10_000_000;
/// Bytes of one input: enough for a stanza, or a hundred of the shorthands that some targets have. What ten times as
/// many bytes find is in the corpora already; they make every execution last several times as long.
const INPUT_BYTES_MAX: usize = 96;
/// Without a sanitizer, since none of our code is unsafe, and without tracing comparisons, in whose place the
/// dictionaries stand: both together run four times as often.
const BUILD: [&str; 4] = ["--fuzz-dir", "fuzz", "--sanitizer=none", "--no-trace-compares"];

/// What came of one target.
struct Row {
    target: String,
    executions: u64,
    crashes: u64,
    differences: u64,
    seconds: u64,
}

/// Runs the targets that are named, or all; `keep` then takes over into the corpora what covers more.
#[allow(clippy::disallowed_methods)] // people wait for it
pub fn run(words: &[&str]) -> Result<()> {
    let (mut named, mut runs, mut keep) = (Vec::new(), RUNS, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--runs" => runs = words.next().context("--runs wants a number")?.parse()?,
            "--keep" => keep = true,
            name => named.push(name.to_owned()),
        }
    }
    let all = targets()?;
    if let Some(unknown) = named.iter().find(|name| !all.contains(*name)) {
        bail!("no target is called {unknown}; there are {}", Vec::from_iter(all).join(", "));
    }
    set_up()?;
    cargo_fuzz("build", &[])?;
    let chosen = all.into_iter().filter(|target| named.is_empty() || named.contains(target));
    let mut rows = Vec::new();
    for target in chosen {
        println!("── {target}: {runs} executions; fuzz/target/{target}.log tells how it goes");
        let begun = Instant::now();
        let mut row = fuzz(&target, runs)?;
        row.seconds = begun.elapsed().as_secs();
        if keep {
            take_over(&target)?;
        }
        rows.push(row);
    }
    println!(
        "{:<10} {:>12} {:>8} {:>24} {:>8}",
        "target", "executions", "crashes", "unexplained differences", "seconds"
    );
    for row in &rows {
        let Row { target, executions, crashes, differences, seconds } = row;
        println!("{target:<10} {executions:>12} {crashes:>8} {differences:>24} {seconds:>8}");
    }
    if rows.iter().any(|row| row.crashes + row.differences > 0) {
        bail!("the inputs are in fuzz/artifacts; copy each into fuzz/corpus/TARGET, and fix what it shows");
    }
    Ok(())
}

fn targets() -> Result<BTreeSet<String>> {
    let files = fs::read_dir("fuzz/fuzz_targets")?;
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(files.filter_map(|file| stem(file.ok()?.path())).collect())
}

fn set_up() -> Result<()> {
    let succeeds = |program: &str, arguments: &[&str]| {
        let status =
            Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !succeeds("cargo", &["+nightly", "--version"]) {
        program::run(Command::new("rustup").args([
            "toolchain",
            "install",
            "nightly",
            "--profile",
            "minimal",
        ]))?;
    }
    if !succeeds("cargo", &["fuzz", "--version"]) {
        program::run(Command::new("cargo").args(["+nightly", "install", "cargo-fuzz", "--locked"]))?;
    }
    Ok(())
}

fn cargo_fuzz(what: &str, more: &[&str]) -> Result<()> {
    program::run(Command::new("cargo").args(["+nightly", "fuzz", what]).args(BUILD).args(more))
}

/// Runs one target until it has done its executions or found something.
fn fuzz(target: &str, runs: u64) -> Result<Row> {
    let (found, corpus) = (format!("fuzz/target/found/{target}"), format!("fuzz/corpus/{target}"));
    fs::create_dir_all(&found)?;
    let log = format!("fuzz/target/{target}.log");
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", "run"]).args(BUILD).args([target, &found, &corpus, "--"]);
    command.args([&format!("-runs={runs}"), &format!("-max_len={INPUT_BYTES_MAX}"), "-print_final_stats=1"]);
    let dictionary = format!("fuzz/{target}.dict");
    if Path::new(&dictionary).exists() {
        command.arg(format!("-dict={dictionary}"));
    }
    let file = File::create(&log)?;
    let status = command.stdout(file.try_clone()?).stderr(file).status()?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let executions = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executions = executions.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
    let differs = text.contains("difference:") || text.contains("split:");
    let (crashes, differences) = match (status.success(), differs) {
        (true, _) => (0, 0),
        (false, true) => (0, 1),
        (false, false) => (1, 0),
    };
    Ok(Row { target: target.to_owned(), executions, crashes, differences, seconds: 0 })
}

/// Takes what covers more into the corpus, and out of it what no longer does. Files with a name of their own stay.
fn take_over(target: &str) -> Result<()> {
    let (found, corpus) = (format!("fuzz/target/found/{target}"), format!("fuzz/corpus/{target}"));
    let smallest = format!("fuzz/target/smallest/{target}");
    let _ = fs::remove_dir_all(&smallest);
    fs::create_dir_all(&smallest)?;
    // Edges alone, not how often each was taken: a corpus is for reading and for every run of the tests.
    let merge = ["-set_cover_merge=1", "-use_counters=0"];
    cargo_fuzz("run", &[&[target, &smallest, &corpus, &found, "--"], merge.as_slice()].concat())?;
    let is_hash = |path: &Path| {
        path.file_name().is_some_and(|name| {
            name.len() == 40 && name.to_string_lossy().bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    for entry in fs::read_dir(&corpus)? {
        let path = entry?.path();
        if is_hash(&path) {
            fs::remove_file(path)?;
        }
    }
    for entry in fs::read_dir(&smallest)? {
        let path = entry?.path();
        fs::copy(&path, Path::new(&corpus).join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}
