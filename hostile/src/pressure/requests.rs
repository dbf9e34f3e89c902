//! Somebody logged in who asks for too much: contacts, addresses, pages, stanzas (guarantee G15).

use std::time::{Duration, Instant};

use super::{Pressure, must, of};
use crate::caller::Caller;
use crate::siege::{PASSWORD, Siege};
use crate::suite::Reach;

pub const ALL: [Pressure; 8] = [
    Pressure { name: "a thousand contacts in one burst", settings: "", growth_mib: 24, bear: contacts },
    Pressure { name: "directed presence to two thousand", settings: "", growth_mib: 24, bear: directed },
    Pressure { name: "three hundred pages of the archive", settings: "", growth_mib: 24, bear: pages },
    Pressure {
        name: "three thousand messages to nobody there",
        settings: FAST,
        growth_mib: 24,
        bear: offline,
    },
    Pressure {
        name: "requests to be a contact, without end",
        settings: "",
        growth_mib: 24,
        bear: subscriptions,
    },
    Pressure { name: "stanzas as fast as they go", settings: FAST, growth_mib: 24, bear: flood },
    Pressure { name: "a client that sends faster than it may", settings: "", growth_mib: 16, bear: pace },
    Pressure {
        name: "a client that sends more stanzas than it may",
        settings: PACED,
        growth_mib: 16,
        bear: stanza_pace,
    },
];

pub(super) const FAST: &str = "with limit inbound_bytes_per_second 0\n";

/// As it is when nothing is set.
const PACED: &str = "with limit inbound_stanzas_per_second 50\n";

pub(super) fn eve(siege: &Siege) -> Result<Caller, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut eve = Caller::connect_tls(server, None)?;
    eve.be_patient(Duration::from_secs(60));
    eve.log_in("eve", PASSWORD)?;
    eve.bind("pushy")?;
    Ok(eve)
}

/// Says all this in one go, and counts how often a word stands in what comes back. When a first request is answered,
/// all before it is done with; what came of that, by others who had to be loaded, may be behind the answer, but is
/// before the next one.
pub(super) fn ask(eve: &mut Caller, said: &str, word: &str) -> Result<usize, String> {
    let ping =
        |id: &str| format!("<iq type='get' id='{id}' to='one.test'><ping xmlns='urn:xmpp:ping'/></iq>");
    let said = format!("{said}{}", ping("first"));
    must(eve.say(said.as_bytes()), || "the server did not take it all".to_owned())?;
    let heard = eve.hear("id='first'")?;
    eve.say(ping("next").as_bytes());
    let heard_behind = eve.hear("id='next'")?;
    Ok(heard.matches(word).count() + heard_behind.matches(word).count())
}

fn contacts(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 2_500, 2_100);
    let mut eve = eve(siege)?;
    let sets: String = (0..count)
        .map(|number| {
            format!(
                "<iq type='set' id='r{number}'><query xmlns='jabber:iq:roster'><item jid='c{number}@one.test'/></query>\
                 </iq>"
            )
        })
        .collect();
    let begun = Instant::now();
    // limits.roster_items
    let refused = ask(&mut eve, &sets, "type='error'")?;
    must(refused == count - 2_000, || format!("{refused} of {count} were refused"))?;
    Ok(format!("2000 kept, {refused} refused, {:.1} s", begun.elapsed().as_secs_f32()))
}

fn directed(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let mut eve = eve(siege)?;
    let said: String = (0..2_000).map(|number| format!("<presence to='p{number}@one.test'/>")).collect();
    // limits.directed_presence
    let refused = ask(&mut eve, &said, "<policy-violation")?;
    must(refused == 1_800, || format!("{refused} of 2000 were refused"))?;
    Ok("200 taken, 1800 refused".to_owned())
}

fn pages(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 300, 60);
    let mut eve = eve(siege)?;
    let said: String = (0..300)
        .map(|number| format!("<message to='eve@one.test' type='chat'><body>{number}</body></message>"))
        .collect();
    ask(&mut eve, &said, "")?;
    let begun = Instant::now();
    for _ in 0..count {
        eve.say(b"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
        eve.hear("<fin ")?;
    }
    Ok(format!("{count} pages of 50 in {:.1} s", begun.elapsed().as_secs_f32()))
}

fn offline(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 3_000, 1_200);
    let mut eve = eve(siege)?;
    let said: String = (0..count)
        .map(|number| {
            format!(
                "<message to='bob@one.test' type='chat' id='m{number}'><body>{number}</body>\
                 <no-permanent-store xmlns='urn:xmpp:hints'/></message>"
            )
        })
        .collect();
    // limits.offline_messages
    let refused = ask(&mut eve, &said, "<resource-constraint")?;
    must(refused == count - 1_000, || format!("{refused} of {count} were refused"))?;
    Ok(format!("1000 kept, {refused} refused"))
}

/// limits.pending_subscriptions is bob's: what others ask of him.
fn subscriptions(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let mut eve = eve(siege)?;
    let said = "<presence to='bob@one.test' type='subscribe'/>".repeat(2_000);
    ask(&mut eve, &said, "")?;
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut bob = Caller::connect_tls(server, None)?;
    bob.log_in("bob", PASSWORD)?;
    bob.bind("asked")?;
    let asked = ask(&mut bob, "<presence/>", "type='subscribe'")?;
    must(asked == 1, || format!("bob is asked {asked} times"))?;
    Ok("2000 requests are one".to_owned())
}

fn flood(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 100_000, 5_000);
    let mut eve = eve(siege)?;
    let begun = Instant::now();
    let some = "<message to='eve@one.test/none' type='headline'><body>x</body></message>".repeat(500);
    for _ in 0..count / 500 {
        ask(&mut eve, &some, "")?;
    }
    let rate = count as f32 / begun.elapsed().as_secs_f32();
    Ok(format!("{count} stanzas, {rate:.0} a second"))
}

fn pace(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let mut eve = eve(siege)?;
    // limits.inbound_burst_bytes, and then limits.inbound_bytes_per_second
    let some = format!(
        "<message to='eve@one.test/none' type='headline'><body>{}</body></message>",
        "x".repeat(8_000)
    );
    let begun = Instant::now();
    let burst = some.repeat(125);
    ask(&mut eve, &burst, "")?;
    let first = begun.elapsed();
    ask(&mut eve, &some.repeat(25), "")?;
    let then = begun.elapsed().saturating_sub(first);
    must(then > Duration::from_secs(1), || format!("200 kB more took {then:?}"))?;
    Ok(format!("1 MB in {:.1} s, and 0.2 MB more in {:.1} s", first.as_secs_f32(), then.as_secs_f32()))
}

/// limits.inbound_burst_stanzas, and then limits.inbound_stanzas_per_second: nothing is lost, all of it comes later.
fn stanza_pace(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let mut eve = eve(siege)?;
    let some = |count| "<message to='eve@one.test/none' type='headline'/>".repeat(count);
    let begun = Instant::now();
    ask(&mut eve, &some(600), "")?;
    let first = begun.elapsed();
    ask(&mut eve, &some(100), "")?;
    let then = begun.elapsed().saturating_sub(first);
    must(then > Duration::from_secs(1), || format!("100 stanzas more took {then:?}"))?;
    Ok(format!("600 in {:.1} s, and 100 more in {:.1} s", first.as_secs_f32(), then.as_secs_f32()))
}
