//! What a login costs the server, without sockets, TLS and what the client computes: from the client's first byte until
//! it has an address; by the old profile and by SASL2, with a password and with a token.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, criterion_group, criterion_main};
use node::{Entered, House, now, people};
use server::credentials::{Salts, derive};
use simulator::conversation::script::Attempt;
use simulator::conversation::{Binding, Exchange};
use store::{Lsn, StoreUrl, Write};
use stream::client::{Client, ClientEvent, ClientSettings, Login};
use stream::sasl::ht;
use stream::{Mechanism, ScramHash, TlsFacts, TransportFacts};
use xmpp::secret::Password;

mod node;

const PASSWORD: &str = "pencil";
const HEADER: &str = "<?xml version='1.0'?><stream:stream to='one.test' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";
const WISHES: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/><bind xmlns='urn:xmpp:bind:0'/>";

/// A client's connection, and how long the server has worked for it.
struct Timed {
    session: Entered,
    took: Duration,
}

impl Timed {
    fn new(house: &House) -> Self {
        let begun = now();
        let session = house.connect(transport());
        Timed { session, took: begun.elapsed() }
    }

    /// Says something, and hears what comes of it, up to and with this.
    fn say(&mut self, bytes: &[u8], end: &str) -> String {
        let begun = now();
        self.session.say(bytes);
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(end) {
            heard.extend(self.session.hear());
        }
        self.took += begun.elapsed();
        String::from_utf8(heard).unwrap()
    }
}

fn transport() -> TransportFacts {
    TransportFacts::DirectTls(TlsFacts::default())
}

/// Four round trips: header, first message, proof; header, resource.
fn old_profile(house: &House) -> Duration {
    let login = Login::Password { username: "person0".to_owned(), password: PASSWORD.to_owned() };
    let mut settings = ClientSettings::new("one.test", login);
    settings.mechanisms = Some(vec![Mechanism::Scram(ScramHash::Sha256)]);
    let mut client = Client::new(now(), settings, [1; 32], transport());
    let mut timed = Timed::new(house);
    loop {
        let said = client.poll_send().unwrap_or_default();
        let heard = timed.say(&said, ">");
        client.receive(now(), heard.as_bytes());
        while let Some(event) = client.poll_event() {
            if let ClientEvent::Bound(_) = event {
                return timed.took;
            }
        }
    }
}

/// Header, first message, proof.
fn by_password(house: &House, more: &str) -> (Duration, String) {
    let attempt = Attempt {
        mechanism: "SCRAM-SHA-256".to_owned(),
        account: "person0@one.test".to_owned(),
        ..Attempt::default()
    };
    let (mut exchange, first) = Exchange::begin(&attempt, PASSWORD, &Binding::default()).unwrap();
    let mut timed = Timed::new(house);
    timed.say(HEADER.as_bytes(), "</stream:features>");
    let first = authenticate("SCRAM-SHA-256", &first, more);
    let challenge = timed.say(first.as_bytes(), "</challenge>");
    let challenge = between(&challenge, "<challenge xmlns='urn:xmpp:sasl:2'>", "</challenge>");
    let challenge = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
    let proof = STANDARD.encode(exchange.answer(&challenge).unwrap());
    let response = format!("<response xmlns='urn:xmpp:sasl:2'>{proof}</response>");
    let success = timed.say(response.as_bytes(), "</stream:features>");
    (timed.took, success)
}

/// All at once.
fn by_token(house: &House, token: &str) -> Duration {
    let message = ht::initiator("person0", token, b"");
    let said = authenticate("HT-SHA-256-NONE", &message, "<fast xmlns='urn:xmpp:fast:0'/>");
    let mut timed = Timed::new(house);
    timed.say(format!("{HEADER}{said}").as_bytes(), "</success>");
    timed.took
}

fn authenticate(mechanism: &str, data: &[u8], more: &str) -> String {
    let data = STANDARD.encode(data);
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{data}</initial-response>\
         {WISHES}{more}</authenticate>"
    )
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
}

fn logins(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let accounts = people(1);
    let house = House::new(&StoreUrl::Sqlite(dir.path().join("logins.sqlite")), &accounts);
    let _inside = house.inside();
    let salts = Salts::new(&house.node.world);
    let credentials = derive(&Password::new(PASSWORD), &salts, 4096).unwrap();
    let change = Write::AccountCredentials { account: accounts[0].clone(), credentials };
    house.node.store.log().append(Lsn::default(), vec![change]).unwrap();
    house.settle();
    let mut group = criterion.benchmark_group("login");
    let many = |one: &dyn Fn() -> Duration, rounds: u64| (0..rounds).map(|_| one()).sum();
    group.bench_function("SCRAM-SHA-256, and a resource", |bencher| {
        bencher.iter_custom(|rounds| many(&|| old_profile(&house), rounds));
    });
    group.bench_function("SCRAM-SHA-256 in SASL2 with Bind 2", |bencher| {
        bencher.iter_custom(|rounds| many(&|| by_password(&house, "").0, rounds));
    });
    let wanted = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
    let (_, success) = by_password(&house, wanted);
    let token = between(&success, "token='", "'").to_owned();
    group.bench_function("a token in SASL2 with Bind 2, all at once", |bencher| {
        bencher.iter_custom(|rounds| many(&|| by_token(&house, &token), rounds));
    });
    group.finish();
}

criterion_group!(benches, logins);
criterion_main!(benches);
