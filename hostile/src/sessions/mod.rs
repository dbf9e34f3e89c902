//! Mutated sessions: what people say in the conversations, torn, mixed and bent, against a server that others use.

mod mutation;
mod seeds;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use simulator::chance::Chance;
use simulator::conversation::Script;

use crate::caller::Caller;
use crate::siege::{BYSTANDER_MAX, PASSWORD, Siege};
use crate::suite::{Reach, Report};
pub use seeds::Seeds;

/// Who plays them; conversations speak of the same people.
const ACCOUNTS: [&str; 8] = [
    "alice@one.test",
    "bob@one.test",
    "carol@one.test",
    "dave@one.test",
    "eve@one.test",
    "mallory@one.test",
    "bob@two.test",
    "carol@two.test",
];
/// Played at a time.
const THREADS: u64 = 4;
/// Between two looks at the server.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// MiB by which memory may have grown at the end, against when a twentieth was played: what is kept has caches.
const GROWTH_MIB: u64 = 64;
/// Many connections in the clear from one machine, without waiting.
const SETTINGS: &str = "with plaintext allowed\nwith limit connections_per_address 0\n\
    with limit inbound_bytes_per_second 0\nwith limit failed_logins_per_account 0\nwith log.level = \"warn\"\n";

/// Which of them are played.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// How many.
    pub sessions: u64,
    /// Where chance begins.
    pub seed: u64,
    /// The number of the first; with one session this plays it alone.
    pub first: u64,
}

/// What one session came to.
#[derive(Debug)]
enum End {
    /// The server ended it, or heard its end.
    Over,
    /// The one who was to play it was not let in: another session of the same name was quicker, or the like.
    NotIn,
}

/// Plays mutated sessions, and tells how it goes.
///
/// # Errors
/// The server does not start, or the seeds cannot be read.
pub fn play(run: Run, program: &Path, reach: Reach, report: &mut Report) -> Result<(), String> {
    let seeds = Seeds::gather(&["conversations", "hostile/cases"])?;
    let settings = Script::read(SETTINGS)?.settings;
    let siege = Siege::lay(program, &ACCOUNTS.map(str::to_owned), &settings)?;
    let (next, not_in) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let begun = Instant::now();
    let addresses = siege.addresses()?;
    let (baseline, mut peak_kib, mut worst) = (AtomicU64::new(0), 0, Duration::ZERO);
    let seen = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= run.sessions || failures.lock().is_ok_and(|failures| failures.len() > 20) {
                        return;
                    }
                    match one(&seeds, run.seed, run.first + number, addresses) {
                        Ok(End::Over) => {}
                        Ok(End::NotIn) => drop(not_in.fetch_add(1, Ordering::Relaxed)),
                        Err(why) => {
                            let failure = format!("seed {} session {}: {why}", run.seed, run.first + number);
                            if let Ok(mut failures) = failures.lock() {
                                failures.push(failure);
                            }
                        }
                    }
                }
            });
        }
        let mut told = Instant::now();
        while next.load(Ordering::Relaxed) < run.sessions + THREADS {
            std::thread::sleep(LOOK_EVERY);
            let (played, now_kib) = (next.load(Ordering::Relaxed), siege.eyes().resident_kib());
            peak_kib = peak_kib.max(now_kib);
            if played >= run.sessions / 20 && baseline.load(Ordering::Relaxed) == 0 {
                baseline.store(now_kib, Ordering::Relaxed);
            }
            let waited = siege.bystander().look()?;
            worst = worst.max(waited);
            if now_kib == 0 {
                return Err("the server is gone".to_owned());
            }
            if failures.lock().is_ok_and(|failures| failures.len() > 20) {
                return Ok(());
            }
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                let rate = played as f32 / begun.elapsed().as_secs_f32();
                let worst = worst.as_millis();
                println!(
                    "{played} sessions, {rate:.0} a second, {now_kib} KiB, bystander {worst} ms at most"
                );
            }
        }
        Ok(())
    });
    let played = next.into_inner().min(run.sessions);
    report.plays += usize::try_from(played).unwrap_or(usize::MAX);
    report.failures.extend(failures.into_inner().unwrap_or_default());
    report.failures.extend(seen.err().map(|why| format!("{why}; {}", siege.last_words())));
    report.failures.extend(siege.complaints());
    let not_in = not_in.into_inner();
    if not_in > played / 20 + 5 {
        report.failures.push(format!("{not_in} of {played} sessions were not let in"));
    }
    // What is closed is forgotten within moments.
    std::thread::sleep(Duration::from_secs(2));
    let (before, after) = (baseline.into_inner(), siege.eyes().resident_kib());
    if after > before + GROWTH_MIB * 1024 {
        report.failures.push(format!("memory grew from {before} to {after} KiB"));
    }
    if reach == Reach::Whole && worst > BYSTANDER_MAX {
        println!("the bystander waited {} ms once: so restless may this machine be", worst.as_millis());
    }
    let seconds = begun.elapsed().as_secs_f32();
    let (rate, bytes, worst) = (played as f32 / seconds, seeds.bytes(), worst.as_millis());
    println!(
        "{played} sessions of seed {} in {seconds:.0} s, {rate:.0} a second, {not_in} not let in",
        run.seed
    );
    println!("{bytes} bytes of seeds; bystander {worst} ms at most");
    println!("memory {before} KiB early, {peak_kib} at most, {after} in the end");
    Ok(())
}

/// Plays one; the same number of the same seed says the same bytes.
fn one(
    seeds: &Seeds,
    seed: u64,
    number: u64,
    addresses: crate::support::sockets::Addresses,
) -> Result<End, String> {
    let mut chance = Chance::new(Chance::new(seed).draw() ^ number);
    // No address of ours is used up by what the system remembers of closed connections.
    let from = Ipv4Addr::from(
        u32::from(Ipv4Addr::new(127, 16, 0, 1)) + u32::try_from(number / 2_000 % 60_000).unwrap_or(0),
    );
    let mut caller = match chance.once_in(50) {
        true => Caller::connect_tls(addresses.tls.unwrap_or(addresses.plain), Some(from))?,
        false => Caller::connect(addresses.plain, Some(from))?,
    };
    let (account, domain) = chance.pick(&ACCOUNTS).split_once('@').unwrap_or_default();
    let stage = chance.below(8);
    let said = mutation::session(seeds, stage > 0, &mut chance);
    if stage > 0 {
        caller.domain(domain);
        let resource = format!("r{}", chance.below(12));
        let let_in = caller.log_in(account, PASSWORD).and_then(|()| match stage {
            1 => Ok(()),
            _ => caller.bind(&resource),
        });
        if let_in.is_err() {
            return Ok(End::NotIn);
        }
    }
    let mut rest = said.as_slice();
    while !rest.is_empty() {
        let piece = if chance.once_in(3) { chance.below(rest.len()) + 1 } else { rest.len() };
        if !caller.say(&rest[..piece]) {
            break;
        }
        rest = &rest[piece..];
    }
    caller.leave().map(|_| End::Over)
}
