//! Preparing an address (RFC 7622): the fast path of ASCII, and what PRECIS and IDNA cost beyond it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use xmpp::jid::Jid;

fn prepare(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jid");
    for (name, text) in [
        ("bare, ASCII", "juliet@capulet.example"),
        ("full, ASCII", "juliet@capulet.example/balcony-7f3a"),
        ("full, mixed case", "Juliet@Capulet.Example/Balcony-7F3A"),
        ("full, Cyrillic", "джульетта@капулетти.example/балкон"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| Jid::new(black_box(text))));
    }
    let jid = Jid::new("juliet@capulet.example/balcony-7f3a");
    group.bench_function("copy and drop", |bencher| bencher.iter(|| black_box(jid.clone())));
    group.bench_function("bare address of a full one", |bencher| {
        bencher.iter(|| black_box(jid.as_ref().map(Jid::bare)));
    });
    group.finish();
}

criterion_group!(benches, prepare);
criterion_main!(benches);
