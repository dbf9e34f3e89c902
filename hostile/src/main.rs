//! Plays all that is hostile against a server: see `hostile/README.md`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hostile::sessions::{self, Run};
use hostile::suite::{self, Reach, Report};

const USAGE: &str = "\
usage: hostile/run [cases [WORD] | pressure [WORDS] | fuzz [--sessions N] [--seed N] [--first N]]

                     plays all cases and all pressure
  cases [WORD]       plays the cases of hostile/cases, or of the files whose name contains the word
  pressure [WORDS]   puts the server under pressure in all ways, or in those whose name contains the words
  fuzz               plays mutated sessions, 100,000 if nothing else is said; --first N --sessions 1 plays one again";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (program, words) = match words.as_slice() {
        ["--server", program, words @ ..] => (Path::new(program).canonicalize().unwrap_or_default(), words),
        words => (PathBuf::from("waxwing"), words),
    };
    match run(&program, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(program: &Path, words: &[&str]) -> Result<(), String> {
    match words {
        [] => cases(program, "").and(pressure(program, "")),
        ["cases"] => cases(program, ""),
        ["cases", word] => cases(program, word),
        ["pressure"] => pressure(program, ""),
        ["pressure", words @ ..] => pressure(program, &words.join(" ")),
        ["fuzz", words @ ..] => fuzz(program, words),
        _ => Err(USAGE.to_owned()),
    }
}

fn cases(program: &Path, wanted: &str) -> Result<(), String> {
    let mut report = Report::default();
    for theme in suite::themes(Path::new("hostile/cases"), wanted)? {
        let (before, plays) = (report.failures.len(), report.plays);
        suite::play_theme(&theme, program, Reach::Whole, &mut report)?;
        let failed = report.failures.len() - before;
        println!(
            "{:<24} {:>4} cases {:>6} plays {failed:>3} failed",
            theme.name,
            theme.cases.len(),
            report.plays - plays
        );
        report.failures[before..].iter().for_each(|failure| println!("  {failure}"));
    }
    conclude(&report)
}

fn pressure(program: &Path, wanted: &str) -> Result<(), String> {
    let mut report = Report::default();
    hostile::pressure::play(wanted, program, Reach::Whole, &mut report)?;
    report.failures.iter().for_each(|failure| println!("  {failure}"));
    conclude(&report)
}

fn fuzz(program: &Path, words: &[&str]) -> Result<(), String> {
    let mut run = Run { sessions: 100_000, seed: 1, first: 0 };
    for pair in words.chunks(2) {
        let &[name, value] = pair else { return Err(USAGE.to_owned()) };
        let value = value.parse().map_err(|_| format!("{value} is no number"))?;
        match name {
            "--sessions" => run.sessions = value,
            "--seed" => run.seed = value,
            "--first" => run.first = value,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let mut report = Report::default();
    sessions::play(run, program, Reach::Whole, &mut report)?;
    report.failures.iter().for_each(|failure| println!("  {failure}"));
    if report.failures.is_empty() { Ok(()) } else { Err("not all went as it must".to_owned()) }
}

fn conclude(report: &Report) -> Result<(), String> {
    println!("{} cases, {} plays, {} failed", report.cases, report.plays, report.failures.len());
    println!("memory grew by {} KiB at most ({})", report.grown.0, report.grown.1);
    println!("a bystander waited {} ms at most ({})", report.waited.0.as_millis(), report.waited.1);
    if report.failures.is_empty() { Ok(()) } else { Err("not all went as it must".to_owned()) }
}
