//! Reading a stanza: the scanner, with and without making a stanza of it, against rxml, quick-xml and minidom on the
//! same bytes. Only the scanner and rxml hold XMPP's restrictions, and only the scanner holds limits.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rxml::Parse;
use xmpp::xml::{Item, Limits, Scanner};

const OPEN: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    to='one.test' version='1.0'>";

const MESSAGE: &str = "<message from='juliet@capulet.example/balcony-7f3a' to='romeo@montague.example' type='chat' \
    id='a6f3c1e2-9b1d-4c55-8f06-2b1c5d4e7a90'><body>Art thou not Romeo, and a Montague? &amp; so on</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='a6f3c1e2-9b1d-4c55-8f06-2b1c5d4e7a90'/></message>";

const PRESENCE: &str = "<presence from='juliet@capulet.example/balcony-7f3a'><show>away</show><priority>5</priority>\
    <status>be right back</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
    node='https://example.org/client' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/><x xmlns='vcard-temp:x:update'/></presence>";

const CYRILLIC: &str = "<message from='джульетта@capulet.example/b' to='romeo@montague.example' type='chat' id='x1'>\
    <body>Ромео, как мне жаль, что ты Ромео! Отринь отца да имя измени</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/></message>";

fn main_scanner(stanza: &[u8], scanner: &mut Scanner) {
    let mut rest = stanza;
    while let Ok(Some(item)) = scanner.next(&mut rest) {
        black_box(&item);
    }
}

fn opened() -> Scanner {
    let mut scanner = Scanner::new(Limits::default());
    main_scanner(OPEN.as_bytes(), &mut scanner);
    scanner
}

fn rxml_opened() -> rxml::Parser {
    let mut parser = rxml::Parser::new();
    let mut rest = OPEN.as_bytes();
    while let Ok(Some(event)) = parser.parse(&mut rest, false) {
        black_box(event);
    }
    parser
}

fn read(criterion: &mut Criterion) {
    for (name, stanza) in [("message", MESSAGE), ("presence", PRESENCE), ("cyrillic", CYRILLIC)] {
        let mut group = criterion.benchmark_group(format!("{name}, {} bytes", stanza.len()));
        group.throughput(Throughput::Bytes(stanza.len() as u64));
        let bytes = stanza.as_bytes();
        let mut scanner = opened();
        group.bench_function("scanner", |bencher| {
            bencher.iter(|| main_scanner(black_box(bytes), &mut scanner));
        });
        let mut scanner = opened();
        group.bench_function("scanner, as a stanza", |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(bytes);
                while let Ok(Some(Item::Element(top))) = scanner.next(&mut rest) {
                    black_box(top.stanza(None));
                }
            });
        });
        let mut parser = rxml_opened();
        group.bench_function("rxml", |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(bytes);
                while let Ok(Some(event)) = parser.parse(&mut rest, false) {
                    black_box(event);
                }
            });
        });
        group.bench_function("quick-xml", |bencher| {
            bencher.iter(|| {
                let mut reader = quick_xml::NsReader::from_str(black_box(stanza));
                loop {
                    match reader.read_resolved_event() {
                        Ok((_, quick_xml::events::Event::Eof)) | Err(_) => return,
                        Ok((
                            _,
                            quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start),
                        )) => {
                            start.attributes().flatten().for_each(|attribute| drop(black_box(attribute)));
                        }
                        Ok(event) => drop(black_box(event)),
                    }
                }
            });
        });
        let declared = stanza.replacen(' ', " xmlns='jabber:client' ", 1);
        group.bench_function("minidom", |bencher| {
            bencher.iter(|| black_box(declared.as_str()).parse::<minidom::Element>().map(black_box));
        });
        group.finish();
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
