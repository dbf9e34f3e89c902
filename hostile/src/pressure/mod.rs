//! Pressure: much of something at once, from many or from one who does not stop. What it costs is watched.

mod connections;
mod logins;
mod memory;
mod nodes;
mod readers;
mod requests;

use std::path::Path;

use simulator::conversation::Script;

use crate::siege::{BYSTANDER_MAX, Siege};
use crate::suite::{Reach, Report, TRIES_MORE};

/// Something that is much.
#[derive(Clone)]
pub struct Pressure {
    /// What it is.
    pub name: &'static str,
    /// The server's settings, as a conversation names them.
    settings: &'static str,
    /// MiB by which the server's memory may grow meanwhile.
    growth_mib: u64,
    /// Does it, and says what came of it.
    bear: fn(&mut Siege, Reach) -> Result<String, String>,
}

/// Whoever takes part.
const ACCOUNTS: [&str; 4] = ["alice@one.test", "bob@one.test", "eve@one.test", "mallory@one.test"];

/// All of it, or what tests have time for.
pub fn all(reach: Reach) -> Vec<Pressure> {
    let mut all =
        [connections::ALL.as_slice(), &logins::ALL, &nodes::ALL, &readers::ALL, &requests::ALL].concat();
    if reach == Reach::Whole {
        // How soon the allocator gives back what is free is in nobody's hand.
        all.extend(memory::ALL);
    }
    all
}

/// Plays those whose name contains a word, each on a server of its own, and tells of each.
///
/// # Errors
/// When a server does not start.
pub fn play(wanted: &str, program: &Path, reach: Reach, report: &mut Report) -> Result<(), String> {
    let accounts = ACCOUNTS.map(str::to_owned);
    for pressure in all(reach).into_iter().filter(|pressure| pressure.name.contains(wanted)) {
        let settings = Script::read(pressure.settings)?.settings;
        let mut siege = Siege::lay(program, &accounts, &settings)?;
        report.cases += 1;
        report.plays += 1;
        let mut borne = siege.watch(|siege| (pressure.bear)(siege, reach));
        for _ in 0..TRIES_MORE {
            if reach == Reach::Bounded || borne.as_ref().is_ok_and(|(_, seen)| seen.waited <= BYSTANDER_MAX) {
                break;
            }
            siege = Siege::lay(program, &accounts, &settings)?;
            borne = siege.watch(|siege| (pressure.bear)(siege, reach));
        }
        match borne {
            Ok((said, seen)) => {
                let (grown, waited, took) =
                    (seen.grown_kib, seen.waited.as_millis(), seen.took.as_secs_f32());
                println!(
                    "{:<44} {said}; memory +{grown} KiB, bystander {waited} ms, {took:.1} s",
                    pressure.name
                );
                report.note(pressure.name, seen, pressure.growth_mib, reach);
            }
            Err(why) => report.failures.push(format!("{}: {why}", pressure.name)),
        }
        for complaint in siege.complaints() {
            report.failures.push(format!("{}: the server logged: {complaint}", pressure.name));
        }
    }
    Ok(())
}

/// So many of something: all, or as many as tests have time for.
fn of(reach: Reach, whole: usize, bounded: usize) -> usize {
    match reach {
        Reach::Whole => whole,
        Reach::Bounded => bounded,
    }
}

/// What is wrong, unless it is as it must be.
fn must(is: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(why()) }
}
