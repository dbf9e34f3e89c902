//! The whole proof in one command: sets up what a fresh machine lacks, then runs everything and says what ran.
#![allow(clippy::disallowed_methods)] // people wait for it

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{generate, program, tidy};

/// How far the tests reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything that CI runs.
    All,
    /// What needs nothing but the toolchain.
    Quick,
}

/// Tells the tests to do without PostgreSQL where it is missing, instead of failing.
const WITHOUT_POSTGRESQL: &str = "WAXWING_WITHOUT_POSTGRESQL";

/// Debian's packages that the tests use, and a file that shows that each is there. Real clients are set up by
/// `interop/run`.
const PACKAGES: [(&str, &str); 1] = [("postgresql", "/usr/lib/postgresql")];

/// Something that is run, and may fail.
type Stage = Box<dyn Fn() -> Result<()>>;

/// Runs the stages in order, goes on after a failure, and closes with a count.
pub fn run(reach: Reach) -> Result<()> {
    if reach == Reach::All {
        install_packages()?;
    }
    let mut stages: Vec<(&str, Stage)> = vec![
        ("format", command("cargo", &["fmt", "--all", "--check"])),
        (
            "lints",
            command("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
        ),
        ("tidy", Box::new(tidy::run)),
        ("generated pages", Box::new(|| generate::run(generate::Mode::Check))),
        ("tests", tests(reach)),
    ];
    if reach == Reach::All && Path::new("interop/run").exists() {
        stages.push(("real clients", command("interop/run", &["--server", "waxwing"])));
    }
    let mut rows = Vec::new();
    for (name, stage) in &stages {
        println!("── {name}");
        let begun = Instant::now();
        let outcome = stage();
        if let Err(error) = &outcome {
            println!("{name}: {error:#}");
        }
        rows.push((*name, outcome.is_ok(), begun.elapsed()));
    }
    println!("── summary");
    for (name, ok, took) in &rows {
        println!("{} {name} {:.0} s", if *ok { "ok  " } else { "FAIL" }, took.as_secs_f32());
    }
    let failed = rows.iter().filter(|(_, ok, _)| !ok).count();
    println!("{} passed, {failed} failed", rows.len() - failed);
    if failed > 0 {
        bail!("{failed} stages failed");
    }
    Ok(())
}

fn tests(reach: Reach) -> Stage {
    Box::new(move || {
        let mut command = Command::new("cargo");
        command.args(["test", "--workspace", "--no-fail-fast"]);
        match reach {
            Reach::All => command.env_remove(WITHOUT_POSTGRESQL),
            Reach::Quick => command.env(WITHOUT_POSTGRESQL, "1"),
        };
        program::run(&mut command)
    })
}

fn command(name: &'static str, arguments: &'static [&'static str]) -> Stage {
    Box::new(move || program::run(Command::new(name).args(arguments)))
}

fn install_packages() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("── installing {}", missing.join(", "));
    let apt = |arguments: &[&str]| {
        program::run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
            .context("the tests need Debian's packages: run them as root on Debian 12, or with --quick")
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(missing);
    apt(&install)
}
