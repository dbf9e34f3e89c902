//! A hundred small worlds in which everything goes wrong that can: no rule is broken, and every replay is the same.
//! `cargo run --release -p simulator --bin rehearse -- --seeds 1..1000` rehearses more of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulator::play::{Plan, rehearse};

const SEEDS: u64 = 100;

#[test]
fn small_worlds_keep_every_rule() {
    let next = AtomicU64::new(1);
    let (broken, counts) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS {
                        return;
                    }
                    let twice = [(); 2].map(|()| rehearse(seed, &Plan::small()).unwrap());
                    assert_eq!(twice[0], twice[1], "seed {seed} has two traces");
                    let [report, _] = twice;
                    broken
                        .lock()
                        .unwrap()
                        .extend(report.complaints.iter().map(|why| format!("{seed}: {why}")));
                    for (what, count) in report.counts {
                        *counts.lock().unwrap().entry(what).or_insert(0) += count;
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{SEEDS} seeds: {counts:?}");
    // A world in which nothing goes wrong proves nothing.
    let happened = [
        "kills",
        "cuts",
        "full disks",
        "failing reads",
        "clocks set",
        "messages received",
        "requests refused",
    ];
    for what in happened {
        assert!(counts.get(what).is_some_and(|count| *count > SEEDS), "{what}: {counts:?}");
    }
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_world_without_faults_loses_nothing_at_all() {
    let plan = Plan { faults: simulator::misfortune::Faults::NONE, ..Plan::small() };
    for seed in 1..=20 {
        let report = rehearse(seed, &plan).unwrap();
        assert_eq!(report.complaints, Vec::<String>::new(), "seed {seed}");
        assert!(!report.counts.contains_key("kills"));
    }
}
