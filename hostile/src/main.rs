//! Plays all that is hostile against a server: see `hostile/README.md`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hostile::suite::{self, Reach, Report};

const USAGE: &str = "\
usage: hostile/run [cases [WORD]]

  cases [WORD]   plays the cases of hostile/cases, or of the files whose name contains the word";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (program, words) = match words.as_slice() {
        ["--server", program, words @ ..] => (PathBuf::from(program), words),
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
        [] | ["cases"] => cases(program, ""),
        ["cases", word] => cases(program, word),
        _ => Err(USAGE.to_owned()),
    }
}

fn cases(program: &Path, wanted: &str) -> Result<(), String> {
    let mut report = Report::default();
    for theme in suite::themes(Path::new("hostile/cases"), wanted)? {
        let (before, plays) = (report.failures.len(), report.plays);
        suite::play_theme(&theme, program, Reach::Whole, &mut report)?;
        let failed = report.failures.len() - before;
        println!("{:<24} {:>4} cases {:>6} plays {failed:>3} failed", theme.name, theme.cases.len(), report.plays - plays);
        report.failures[before..].iter().for_each(|failure| println!("  {failure}"));
    }
    println!("{} cases, {} plays, {} failed", report.cases, report.plays, report.failures.len());
    println!("memory grew by {} KiB at most ({})", report.grown.0, report.grown.1);
    println!("a bystander waited {} ms at most ({})", report.waited.0.as_millis(), report.waited.1);
    if report.failures.is_empty() { Ok(()) } else { Err("not all went as it must".to_owned()) }
}
