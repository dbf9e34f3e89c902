//! Every dialogue in `conversations/`: in rehearsal, and over sockets against this server on both engines.
//!
//! `CONVERSATION=blocking cargo test --test conversations` plays only those whose name contains the word.
#![allow(clippy::unwrap_used)]

use simulator::conversation::{Outcome, Script, Stage, play};
use simulator::house::PASSWORD;
use simulator::rehearsed::Rehearsed;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use store::fixture::Postgres;
use support::sockets::Sockets;
use support::waxwing::Waxwing;

mod support;

#[test]
fn as_written_in_rehearsal() {
    // Each seed tears the bytes elsewhere and lets other things come first.
    for seed in 1..=3 {
        play_all(|| Rehearsed::new(seed), |_| String::new());
    }
}

#[test]
fn as_written_on_sqlite() {
    play_over_sockets(None);
}

#[test]
fn as_written_on_postgresql() {
    match Postgres::start() {
        Ok(postgres) => play_over_sockets(Some(Arc::new(postgres))),
        Err(why) if std::env::var_os("WAXWING_WITHOUT_POSTGRESQL").is_some() => {
            println!("passed over: {why}")
        }
        Err(why) => panic!("{why} (or set WAXWING_WITHOUT_POSTGRESQL=1 to pass this over)"),
    }
}

#[test]
fn every_conversation_can_be_read() {
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let script = Script::read(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        assert!(!script.title.is_empty(), "{} has no title", file.display());
    }
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
    let wanted = std::env::var("CONVERSATION").unwrap_or_default();
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .filter(|path| path.file_stem().unwrap().to_string_lossy().contains(&wanted))
        .collect();
    files.sort();
    files
}

fn play_over_sockets(postgres: Option<Arc<Postgres>>) {
    play_all(|| Sockets::new(Waxwing::new(postgres.clone())), |stage| stage.house.last_words());
}

/// Plays all, four at a time, each with a server of its own, and fails with all that went another way.
fn play_all<S: Stage>(stage: impl Fn() -> S + Sync, last_words: impl Fn(&S) -> String + Sync) {
    let files = files();
    let next = AtomicUsize::new(0);
    let (failures, played) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stage = stage();
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match play_one(file, &mut stage) {
                        Ok(Outcome::Played) => drop(played.fetch_add(1, Ordering::Relaxed)),
                        Ok(Outcome::PassedOver(why)) => {
                            println!("{}: passed over: {why}", file.display())
                        }
                        Err(why) => failures.lock().unwrap().push(match last_words(&stage) {
                            log if log.is_empty() => why,
                            log => format!("{why}\n    the server's log ends with:\n{log}"),
                        }),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    println!("{} of {} conversations went as written", played.into_inner(), files.len());
    assert!(failures.is_empty(), "{} went another way:\n\n{}", failures.len(), failures.join("\n\n"));
}

fn play_one(file: &Path, stage: &mut impl Stage) -> Result<Outcome, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let script = Script::read(&text).map_err(|why| format!("{name}: {why}"))?;
    play(&script, stage, &|_| PASSWORD.to_owned()).map_err(|failure| format!("{name} {failure}"))
}
