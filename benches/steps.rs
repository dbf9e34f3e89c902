//! Steps with a durable write each: messages to people who are not there, in groups as they form by themselves, on
//! SQLite and PostgreSQL. Every message is two steps and one row, and counts when it is committed.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use node::{House, people};
use store::StoreUrl;
use store::fixture::Postgres;

mod node;

const SENDERS: usize = 8;
const RECEIVERS: usize = 200;

fn commit(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let postgres = Postgres::start();
    let mut engines = vec![("SQLite", StoreUrl::Sqlite(dir.path().join("steps.sqlite")))];
    match postgres.as_ref().map_err(String::clone).and_then(Postgres::database) {
        Ok(url) => engines.push(("PostgreSQL", url.parse().expect("a URL"))),
        Err(why) => eprintln!("without PostgreSQL: {why}"),
    }
    for (engine, url) in engines {
        let mut group = criterion.benchmark_group(engine);
        let accounts = people(SENDERS + RECEIVERS);
        let house = House::new(&url, &accounts);
        let _inside = house.inside();
        let mut senders: Vec<_> = accounts[..SENDERS].iter().map(|account| house.enter(account)).collect();
        for window in [1, 16] {
            group.throughput(Throughput::Elements((SENDERS * window) as u64));
            let mut next = 0;
            let name = format!("{SENDERS} senders, {window} messages each before they wait");
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut took = Duration::ZERO;
                    for _ in 0..rounds {
                        let begun = now();
                        for sender in &mut senders {
                            for _ in 0..window {
                                next += 1;
                                let to = SENDERS + next % RECEIVERS;
                                let message = format!(
                                    "<message to='person{to}@one.test' type='chat' id='m{next}'><body>Art thou not \
                                     Romeo, and a Montague?</body></message>"
                                );
                                sender.say(message.as_bytes());
                            }
                        }
                        house.settle();
                        took += begun.elapsed();
                        senders.iter_mut().for_each(|sender| drop(sender.hear()));
                    }
                    took
                });
            });
        }
        group.finish();
    }
}

#[allow(clippy::disallowed_methods)] // a benchmark looks at the clock
fn now() -> Instant {
    Instant::now()
}

criterion_group!(benches, commit);
criterion_main!(benches);
