//! Every input that was ever of interest, checked again: what the fuzzer found stays found, without a fuzzer.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use fuzz_checks::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_corpus_passes() {
    let mut failed = Vec::new();
    for target in TARGETS {
        let mut files: Vec<PathBuf> = fs::read_dir(fuzz().join("corpus").join(target.name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(files.len() >= 10, "{} has a corpus of {}", target.name, files.len());
        for file in files {
            let data = fs::read(&file).unwrap();
            if panic::catch_unwind(|| (target.check)(&data)).is_err() {
                failed.push(format!("{}/{}", target.name, file.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    assert!(failed.is_empty(), "{} inputs fail: {failed:#?}", failed.len());
}

#[test]
fn each_target_is_fuzzed_and_replayed() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}

#[test]
fn no_input_breaks_a_check() {
    // What any fuzzer tries first.
    for target in TARGETS {
        for byte in 0..=u8::MAX {
            for length in [0, 1, 2, 3, 40] {
                (target.check)(&vec![byte; length]);
            }
        }
    }
}
