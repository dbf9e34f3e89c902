//! Work on the tree itself: `cargo xtask tidy | test | fuzz | plant | generate | new-xep`.

mod coverage;
mod fuzz;
mod generate;
mod new_xep;
mod pages;
mod plant;
mod program;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy                    hold the tree against its own rules
  test [--quick]          set up and run everything CI runs; --quick leaves out real clients and PostgreSQL's set-up
  fuzz [TARGET ...] [--runs N] [--keep]
                          fuzz all targets or these, ten million times each; --keep takes over what covers more
  generate [--check]      write doap.xml and the reference pages of the book from the code
  new-xep NUMBER NAME     write the files of a new extension
  plant [FAULT]           show that the rehearsal catches planted faults";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // No backtrace, whatever the environment says: what went wrong has been printed where it did.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["tidy"] => tidy::run(),
        ["test"] => test::run(test::Reach::All),
        ["test", "--quick"] => test::run(test::Reach::Quick),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["generate"] => generate::run(generate::Mode::Write),
        ["generate", "--check"] => generate::run(generate::Mode::Check),
        ["plant"] => plant::run(None),
        ["plant", fault] => plant::run(Some(fault)),
        ["new-xep", number, name] => new_xep::run(number, name),
        _ => bail!(USAGE),
    }
}
