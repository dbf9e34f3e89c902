//! What it costs the server to bring a stanza from one client to others, without sockets, TLS and storage: from the
//! sender's bytes to the receivers' bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use node::{Entered, House, people};
use store::StoreUrl;

mod node;

const MESSAGE: &str = "<message to='person1@one.test' type='chat' id='a6f3c1e2-9b1d-4c55-8f06-2b1c5d4e7a90'>\
    <body>Art thou not Romeo, and a Montague? &amp; so on, for as long as a message among friends is</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='a6f3c1e2-9b1d-4c55-8f06-2b1c5d4e7a90'/></message>";

const PRESENCE: &str = "<presence><show>away</show><priority>5</priority><status>be right back</status>\
    <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' \
    ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>";

fn route(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("routing");
    for receivers in [1, 20, 300] {
        let accounts = people(receivers + 1);
        let url = StoreUrl::Sqlite(dir.path().join(format!("{receivers}.sqlite")));
        let house = House::new(&url, &accounts);
        house.show(&accounts[0], &accounts[1..]);
        let _inside = house.inside();
        let mut others: Vec<Entered> = accounts[1..].iter().map(|account| house.enter(account)).collect();
        let mut sender = house.enter(&accounts[0]);
        let mut hear = |sender: &mut Entered| {
            black_box(sender.hear());
            others.iter_mut().for_each(|other| drop(black_box(other.hear())));
        };
        hear(&mut sender);
        group.throughput(Throughput::Elements(receivers as u64));
        if receivers == 1 {
            group.bench_function("a message to 1", |bencher| {
                bencher.iter(|| {
                    sender.say(black_box(MESSAGE.as_bytes()));
                    hear(&mut sender);
                });
            });
        }
        group.bench_function(format!("a presence to {receivers}"), |bencher| {
            bencher.iter(|| {
                sender.say(black_box(PRESENCE.as_bytes()));
                hear(&mut sender);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, route);
criterion_main!(benches);
