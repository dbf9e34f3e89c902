//! Floods of logins, right and wrong, and what can be learnt from how long they take (guarantees G15 and G16).

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Pressure, must, of};
use crate::caller::Caller;
use crate::siege::{PASSWORD, Siege};
use crate::suite::Reach;

pub const ALL: [Pressure; 5] = [
    Pressure {
        name: "wrong passwords, forty at a time",
        settings: AT_ONCE,
        growth_mib: 24,
        bear: wrong_passwords,
    },
    Pressure { name: "one address guesses", settings: BACK_OFF, growth_mib: 16, bear: one_address_guesses },
    Pressure { name: "a storm of clients that come back", settings: "", growth_mib: 48, bear: storm },
    Pressure { name: "more devices than one may have", settings: "", growth_mib: 16, bear: devices },
    Pressure { name: "how long unknown names take", settings: AT_ONCE, growth_mib: 16, bear: names },
];

/// All tries are looked at as they come: what they cost is what counts here.
const AT_ONCE: &str = "with limit failed_logins_per_account 0\n";
/// As it is when nothing is set; elsewhere here it is off, since all come from one machine.
const BACK_OFF: &str = "with limit failed_logins_per_address 10\n";

/// limits.failed_logins_per_address: from then on right passwords are refused there, too; elsewhere nothing changes.
fn one_address_guesses(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let there = Some(Ipv4Addr::new(127, 6, 0, 1));
    let mut tried = 0;
    let refused = loop {
        let mut eve = Caller::connect_tls(server, there)?;
        let refused = eve.log_in(&format!("name{tried}"), "guessed").err().unwrap_or_default();
        if !refused.contains("<not-authorized") {
            break refused;
        }
        tried += 1;
    };
    must(refused.contains("<temporary-auth-failure"), || format!("heard {refused}"))?;
    must(tried >= 10, || format!("refused after {tried} tries"))?;
    let mut honest = Caller::connect_tls(server, Some(Ipv4Addr::new(127, 6, 0, 2)))?;
    honest.log_in("alice", PASSWORD)?;
    Ok(format!("{tried} names were tried, and then nothing is looked at any more"))
}

fn wrong_passwords(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let (count, next) = (of(reach, 1_200, 80), AtomicUsize::new(0));
    let (refused, let_in) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..40_u8 {
            let (next, refused, let_in) = (&next, &refused, &let_in);
            scope.spawn(move || {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let Ok(mut eve) = Caller::connect_tls(server, Some(Ipv4Addr::new(127, 2, 0, 1 + thread)))
                    else {
                        continue;
                    };
                    match eve.log_in("bob", "guessed") {
                        Ok(()) => let_in.fetch_add(1, Ordering::Relaxed),
                        Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
    });
    must(let_in.into_inner() == 0, || "a wrong password was taken for right".to_owned())?;
    // The owner of the account is never locked out.
    let mut bob = Caller::connect_tls(server, None)?;
    bob.log_in("bob", PASSWORD)?;
    bob.bind("own")?;
    Ok(format!("{} were refused, and the owner let in", refused.into_inner()))
}

fn storm(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let (count, rounds) = (of(reach, 200, 40), of(reach, 5, 2));
    let begun = Instant::now();
    for _ in 0..rounds {
        let failed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..count {
                let failed = &failed;
                scope.spawn(move || {
                    let third = u8::try_from(number / 50).unwrap_or_default();
                    let account = ["alice", "bob", "eve", "mallory"][number % 4];
                    let came = Caller::connect_tls(server, Some(Ipv4Addr::new(127, 3, third, 1))).and_then(
                        |mut caller| {
                            caller.log_in(account, PASSWORD)?;
                            caller.bind(&format!("device{}", number / 4 % 20))?;
                            caller.say(b"<presence/>");
                            Ok(())
                        },
                    );
                    failed.fetch_add(usize::from(came.is_err()), Ordering::Relaxed);
                });
            }
        });
        let failed = failed.into_inner();
        must(failed == 0, || format!("{failed} of {count} did not get in"))?;
    }
    let each = begun.elapsed().as_secs_f32() / rounds as f32;
    Ok(format!("{count} at once, {rounds} times, were in after {each:.2} s"))
}

fn devices(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut inside = Vec::new();
    for number in 0..20 {
        let mut eve = Caller::connect_tls(server, None)?;
        eve.log_in("eve", PASSWORD)?;
        eve.bind(&format!("device{number}"))?;
        inside.push(eve);
    }
    let mut eve = Caller::connect_tls(server, None)?;
    eve.log_in("eve", PASSWORD)?;
    // limits.sessions_per_account
    for number in 0..9 {
        let refused = eve.bind(&format!("more{number}")).err().unwrap_or_default();
        must(refused.contains("<resource-constraint"), || format!("the 21st device was answered {refused}"))?;
    }
    let refused = eve.bind("more").err().unwrap_or_default();
    must(refused.contains("<resource-constraint"), || format!("the last try was answered {refused}"))?;
    eve.hear("<policy-violation")?;
    Ok("20 were let in, and no more".to_owned())
}

/// Statistics, reported and not asserted: a shared machine is too restless to fail by.
fn names(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let count = of(reach, 400, 10);
    let mut took = [Vec::new(), Vec::new()];
    let mut said: [Option<String>; 2] = [None, None];
    for number in 0..count * 2 {
        let which = number % 2;
        let account = ["bob", "nobody"][which];
        let from = Ipv4Addr::new(127, 4, u8::try_from(number / 8 % 250).unwrap_or_default(), 1);
        let mut eve = Caller::connect_tls(server, Some(from))?;
        eve.open()?;
        let begun = Instant::now();
        let refused = eve.prove(account, "guessed").err().unwrap_or_default();
        took[which].push(begun.elapsed());
        match &said[which] {
            Some(before) => must(*before == refused, || format!("once {before}, once {refused}"))?,
            None => said[which] = Some(refused),
        }
    }
    must(said[0] == said[1], || format!("known names hear {:?}, unknown ones {:?}", said[0], said[1]))?;
    let [known, unknown] = took.map(median);
    let difference = known.abs_diff(unknown);
    let us = |time: Duration| time.as_micros();
    Ok(format!(
        "the same answer; medians of {count}: {} and {} µs, {} apart",
        us(known),
        us(unknown),
        us(difference)
    ))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
