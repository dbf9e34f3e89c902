//! Clients that do not read, or do not say that they have (guarantee G9).

use std::time::Duration;

use super::{Pressure, must, of};
use crate::caller::Caller;
use crate::siege::{PASSWORD, Siege};
use crate::suite::Reach;

pub const ALL: [Pressure; 4] = [
    Pressure { name: "a slow reader", settings: FAST, growth_mib: 64, bear: slow_reader },
    Pressure {
        name: "a reader that never acknowledges",
        settings: FAST,
        growth_mib: 64,
        bear: never_acknowledges,
    },
    Pressure {
        name: "somebody who asks and never reads",
        settings: FAST,
        growth_mib: 32,
        bear: asks_and_never_reads,
    },
    Pressure {
        name: "a client that asks first and reads later",
        settings: FAST,
        growth_mib: 48,
        bear: reads_later,
    },
];

/// Sixty megabytes are sent as fast as they go; at the pace of everyday they would take a quarter of an hour. Most of
/// the memory is what waits for its commit, 64 MiB at most, whoever they are for.
const FAST: &str = "with limit inbound_bytes_per_second 0\n";
const BODY_BYTES: usize = 20_000;

/// Sends bob so many messages, and stays until all have been handled.
fn send(siege: &Siege, to: &str, count: usize) -> Result<(), String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut mallory = Caller::connect_tls(server, None)?;
    mallory.be_patient(Duration::from_secs(120));
    mallory.log_in("mallory", PASSWORD)?;
    mallory.bind("sender")?;
    let body = "x".repeat(BODY_BYTES);
    for number in 0..count {
        let message = format!("<message to='{to}' type='chat' id='m{number}'><body>{body}</body></message>");
        must(mallory.say(message.as_bytes()), || format!("the server took {number} messages"))?;
    }
    mallory.ping("sent").map(drop)
}

/// Bob logs in, and says that he is there.
fn bob(siege: &Siege) -> Result<Caller, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut bob = Caller::connect_tls(server, None)?;
    bob.log_in("bob", PASSWORD)?;
    bob.bind("slow")?;
    bob.say(b"<presence/>");
    bob.hear("<presence")?;
    Ok(bob)
}

/// How many messages bob's archive has.
fn archived(siege: &Siege) -> Result<usize, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut bob = Caller::connect_tls(server, None)?;
    bob.log_in("bob", PASSWORD)?;
    bob.bind("reader")?;
    bob.say(
        b"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>\
          <set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query></iq>",
    );
    let page = bob.hear("</iq>")?;
    let count = page.split("<count>").nth(1).and_then(|rest| rest.split('<').next());
    count.and_then(|count| count.parse().ok()).ok_or_else(|| format!("no count in {page}"))
}

fn slow_reader(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 3_000, 300);
    let slow = bob(siege)?;
    send(siege, "bob@one.test", count)?;
    drop(slow);
    let kept = archived(siege)?;
    must(kept == count, || format!("{kept} of {count} messages are in the archive"))?;
    Ok(format!("{} MB sent to it are in its archive", count * BODY_BYTES / 1_000_000))
}

fn never_acknowledges(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 3_000, 300);
    let mut silent = bob(siege)?;
    silent.say(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    silent.hear("<enabled")?;
    let reading = std::thread::spawn(move || while silent.hear("</message>").is_ok() {});
    send(siege, "bob@one.test", count)?;
    let kept = archived(siege)?;
    must(kept == count, || format!("{kept} of {count} messages are in the archive"))?;
    drop(reading);
    Ok(format!("{} MB sent to it are in its archive", count * BODY_BYTES / 1_000_000))
}

fn asks_and_never_reads(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 200_000, 20_000);
    let mut greedy = bob(siege)?;
    let mut asked = 0;
    let disco =
        "<iq type='get' id='d' to='one.test'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    greedy.stop_writing_after(Duration::from_secs(2));
    while asked < count && greedy.say(disco.repeat(100).as_bytes()) {
        asked += 100;
    }
    Ok(format!("{asked} questions were taken of one who hears no answer"))
}

/// It is not read while its answers wait: so it gets all of them, and is not taken for one that never reads.
fn reads_later(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let (mut bob, count) = (bob(siege)?, 9_000);
    let disco =
        "<iq type='get' id='d' to='one.test'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    must(bob.say(disco.repeat(count).as_bytes()), || "the questions were not taken".to_owned())?;
    std::thread::sleep(Duration::from_secs(1));
    let answers = bob.ping("last")?;
    let heard = answers.matches("</iq>").count();
    must(heard == count, || format!("{heard} of {count} were answered"))?;
    Ok(format!("{count} questions, {} MB of answers", answers.len() / 1_000_000))
}
