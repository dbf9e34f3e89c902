//! What strangers may try, as far as there is time for it here; `hostile/run` plays all of it. Nothing is timed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Mutex;

use hostile::sessions::Run;
use hostile::suite::{Reach, Report};
use hostile::{pressure, sessions, suite};

const PROGRAM: &str = env!("CARGO_BIN_EXE_waxwing");

#[test]
fn every_case_goes_as_it_must() {
    let themes = Mutex::new(suite::themes(Path::new("hostile/cases"), "").unwrap());
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(theme) = themes.lock().unwrap().pop() else { return };
                    let mut report = Report::default();
                    suite::play_theme(&theme, Path::new(PROGRAM), Reach::Bounded, &mut report).unwrap();
                    reports.lock().unwrap().push(report);
                }
            });
        }
    });
    let reports = reports.into_inner().unwrap();
    let cases: usize = reports.iter().map(|report| report.cases).sum();
    let failures: Vec<String> = reports.into_iter().flat_map(|report| report.failures).collect();
    println!("{cases} cases");
    assert!(
        cases > 500 && failures.is_empty(),
        "{} went another way:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn pressure_is_borne() {
    let mut report = Report::default();
    pressure::play("", Path::new(PROGRAM), Reach::Bounded, &mut report).unwrap();
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
}

#[test]
fn mutated_sessions_break_nothing() {
    let mut report = Report::default();
    let run = Run { sessions: 3_000, seed: 1, first: 0 };
    sessions::play(run, Path::new(PROGRAM), Reach::Bounded, &mut report).unwrap();
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
}
