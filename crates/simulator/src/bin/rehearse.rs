//! Rehearses seeds: `rehearse --seeds 1..1000`, or one with all that is logged: `rehearse --seed 17`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Duration;

use simulator::misfortune::Faults;
use simulator::play::{Plan, Report, rehearse};
use tracing_subscriber::filter::LevelFilter;

const USAGE: &str =
    "rehearse [--seeds FROM..TO | --seed N] [--people N] [--devices N] [--time SECONDS] [--no-faults] [--until-broken]
  every seed is rehearsed twice and must leave the same trace";

struct Wanted {
    seeds: RangeInclusive<u64>,
    plan: Plan,
    until_broken: bool,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)) {
        Ok(wanted) => run(&wanted),
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { seeds: 1..=100, plan: Plan::small(), until_broken: false };
    while let Some(argument) = arguments.next() {
        if argument == "--no-faults" {
            wanted.plan.faults = Faults::NONE;
            continue;
        }
        if argument == "--until-broken" {
            wanted.until_broken = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{value} is no number"));
        match argument.as_str() {
            "--seed" => wanted.seeds = number()?..=number()?,
            "--seeds" => {
                let (from, to) = value.split_once("..").ok_or("--seeds FROM..TO")?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
                wanted.seeds = number(from)?..=number(to)?;
            }
            "--people" => wanted.plan.people = number()? as usize,
            "--devices" => wanted.plan.devices = number()? as usize,
            "--time" => wanted.plan.time = Duration::from_secs(number()?),
            _ => return Err(format!("{argument} is unknown")),
        }
    }
    Ok(wanted)
}

fn run(wanted: &Wanted) -> ExitCode {
    if wanted.seeds.start() == wanted.seeds.end() {
        // One seed is looked at: everything that happens in it is told.
        let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
        log.without_time().with_ansi(false).init();
    }
    let (mut seeds, mut failed, mut counts) = (0, 0, BTreeMap::new());
    for seed in wanted.seeds.clone() {
        seeds += 1;
        let broken = match twice(seed, &wanted.plan) {
            Ok(report) => {
                for (what, count) in &report.counts {
                    *counts.entry(*what).or_insert(0_u64) += count;
                }
                report.complaints
            }
            Err(why) => vec![why],
        };
        if !broken.is_empty() {
            failed += 1;
            println!("FAIL seed {seed}\n  {}", broken.join("\n  "));
            if wanted.until_broken {
                break;
            }
        }
    }
    println!("{seeds} seeds, each rehearsed twice with the same trace; {failed} failed");
    println!(
        "{}",
        counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Rehearses a seed twice: what happened must be the same.
fn twice(seed: u64, plan: &Plan) -> Result<Report, String> {
    let (first, second) = (rehearse(seed, plan)?, rehearse(seed, plan)?);
    if first != second {
        return Err(format!("two rehearsals differ: {:?} and {:?}", first.trace, second.trace));
    }
    Ok(first)
}
