//! Plays the cases of `hostile/cases`, and tells what came of each.

use std::fs;
use std::path::Path;
use std::time::Duration;

use simulator::conversation::{Outcome, Script, play};

use crate::cut::{Cut, Pieces};
use crate::siege::{BYSTANDER_MAX, PASSWORD, Seen, Siege};
use crate::theme::{Case, Theme};

/// A restless machine is no fault of the server's: a case in which the bystander waited too long is tried again, so
/// often at most.
pub const TRIES_MORE: usize = 2;

/// How much is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All, and the bystander is held to its bound.
    Whole,
    /// What tests have time for: in pieces, only byte by byte. Nothing is timed.
    Bounded,
}

/// What came of all.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases that were played.
    pub cases: usize,
    /// How often, with those in pieces.
    pub plays: usize,
    /// Those that went another way, and how.
    pub failures: Vec<String>,
    /// The most that memory grew, in KiB, and in which case.
    pub grown: (u64, String),
    /// The longest that the bystander waited, and in which case.
    pub waited: (Duration, String),
}

impl Report {
    /// Takes in what was seen of a case.
    pub fn note(&mut self, name: &str, seen: Seen, growth_mib: u64, reach: Reach) {
        if seen.grown_kib > self.grown.0 {
            self.grown = (seen.grown_kib, name.to_owned());
        }
        if seen.waited > self.waited.0 {
            self.waited = (seen.waited, name.to_owned());
        }
        if seen.grown_kib > growth_mib * 1024 {
            let grown = seen.grown_kib;
            self.failures.push(format!("{name}: memory grew by {grown} KiB, more than {growth_mib} MiB"));
        }
        if reach == Reach::Whole && seen.waited > BYSTANDER_MAX {
            self.failures.push(format!("{name}: the bystander waited {} ms", seen.waited.as_millis()));
        }
    }
}

/// Reads all files of cases whose name contains a word.
///
/// # Errors
/// A file that cannot be read or understood.
pub fn themes(folder: &Path, wanted: &str) -> Result<Vec<Theme>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "txt"));
    files.sort();
    let mut themes = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains(wanted) {
            let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            themes.push(Theme::read(&name, &text)?);
        }
    }
    Ok(themes)
}

/// Plays one file's cases, one after the other, on a server of their own.
///
/// # Errors
/// When there is no such server.
pub fn play_theme(theme: &Theme, program: &Path, reach: Reach, report: &mut Report) -> Result<(), String> {
    let mut siege = Siege::lay(program, &theme.accounts(), &theme.settings)?;
    if let Some(first) = theme.cases.first() {
        // What a server sets aside for its first clients is not the doing of whoever comes first.
        let _ = play_once(&mut siege, &first.script, Cut::Nowhere);
    }
    for case in &theme.cases {
        let name = format!("{}: {}", theme.name, case.name);
        report.cases += 1;
        let mut watched = siege.watch(|siege| play_case(siege, theme, case, reach));
        for _ in 0..TRIES_MORE {
            if reach == Reach::Bounded || watched.as_ref().is_ok_and(|(_, seen)| seen.waited <= BYSTANDER_MAX)
            {
                break;
            }
            watched = siege.watch(|siege| play_case(siege, theme, case, reach));
        }
        match watched {
            Ok((plays, seen)) => {
                report.plays += plays;
                report.note(&name, seen, case.growth_mib, reach);
            }
            Err(why) => report.failures.push(format!("{name}: {why}")),
        }
        if siege.stage.house.house.process().is_none() {
            siege = Siege::lay(program, &theme.accounts(), &theme.settings)?;
        }
    }
    for complaint in siege.complaints() {
        report.failures.push(format!("{}: the server logged: {complaint}", theme.name));
    }
    Ok(())
}

/// Plays a case in all ways; how many there were.
fn play_case(siege: &mut Siege, theme: &Theme, case: &Case, reach: Reach) -> Result<usize, String> {
    let mut cuts = Cut::all(&case.script);
    cuts.truncate(match (theme.in_pieces, reach) {
        (false, _) => 1,
        (true, Reach::Bounded) => 2,
        (true, Reach::Whole) => cuts.len(),
    });
    for cut in &cuts {
        play_once(siege, &case.script, *cut).map_err(|why| format!("{why}\n    cut {cut:?}"))?;
    }
    Ok(cuts.len())
}

fn play_once(siege: &mut Siege, script: &Script, cut: Cut) -> Result<(), String> {
    match play(script, &mut Pieces::new(&mut siege.stage, cut), &|_| PASSWORD.to_owned()) {
        Ok(Outcome::Played) => Ok(()),
        Ok(Outcome::PassedOver(why)) => Err(format!("cannot be played: {why}")),
        Err(failure) => Err(failure.to_string()),
    }
}
