//! More than there is memory for: nobody new is let in, and nothing is lost (guarantee G10).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Pressure, must};
use crate::caller::{Caller, PATIENCE};
use crate::siege::{PASSWORD, Siege};
use crate::suite::Reach;

pub const ALL: [Pressure; 1] = [Pressure {
    name: "more than there is memory for",
    settings: SMALL,
    growth_mib: CAP_KIB / 1024,
    bear: more_than_there_is,
}];

/// At the pace of everyday, what waits for sessions would take a quarter of an hour.
const SMALL: &str = "with limit memory_mib 64\nwith limit inbound_bytes_per_second 4194304\n";
const CAP_KIB: u64 = 64 * 1024;
const ACCOUNTS: [&str; 3] = ["alice", "bob", "eve"];
/// Sessions of each account: what they may be owed is, in all, as much as there is memory.
const SESSIONS: usize = 19;
/// What each is owed, a little less than limits.outbound_bytes.
const MESSAGES: usize = 45;
const BODY_BYTES: usize = 20_000;
/// Connections that say nothing: more than may be on their way in while memory is scarce.
const SILENT: usize = 100;

/// A session that waits for its client.
struct Waiting {
    account: &'static str,
    jid: String,
    stream: String,
}

impl Waiting {
    fn begin(server: SocketAddr, account: &'static str, number: usize) -> Result<Waiting, String> {
        let mut client = Caller::connect_tls(server, None)?;
        client.log_in(account, PASSWORD)?;
        client.bind(&format!("s{number}"))?;
        client.say(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        let enabled = client.hear("/>")?;
        let stream = enabled.split(" id='").nth(1).and_then(|rest| rest.split('\'').next());
        let stream = stream.ok_or_else(|| format!("heard {enabled}"))?.to_owned();
        Ok(Waiting { account, jid: format!("{account}@one.test/s{number}"), stream })
    }

    /// Its client goes on with it.
    fn resume(&self, server: SocketAddr) -> Result<Caller, String> {
        let mut client = Caller::connect_tls(server, Some(Ipv4Addr::new(127, 9, 9, 9)))?;
        client.log_in(self.account, PASSWORD)?;
        client.say(format!("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='0'/>", self.stream).as_bytes());
        let heard = client.hear(">")?;
        if heard.starts_with("<resumed") { Ok(client) } else { Err(heard) }
    }
}

fn more_than_there_is(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut sessions = Vec::new();
    for account in ACCOUNTS {
        for number in 0..SESSIONS {
            sessions.push(Waiting::begin(server, account, number)?);
        }
    }
    let last = sessions.pop().ok_or("no sessions")?;
    let mut mallory = Caller::connect_tls(server, None)?;
    mallory.log_in("mallory", PASSWORD)?;
    mallory.bind("sender")?;
    let mut inside = None;
    for session in &sessions {
        fill(&mut mallory, &session.jid)?;
        if inside.is_none() && status(siege)?.contains("memory is scarce") {
            inside = Some(while_it_is_scarce(siege, server, &last)?);
        }
    }
    let (_phone, full) = (inside.ok_or("memory was never scarce")?, status(siege)?);
    let made_room = siege.stage.house.house.log().contains("memory is short");
    must(made_room, || format!("nobody made room: {full}"))?;
    let peak = siege.eyes().peak_kib();
    must(peak <= CAP_KIB, || format!("{peak} KiB were taken, of {CAP_KIB}"))?;
    // The operator makes room: whoever comes then is let in, and nothing was lost.
    for account in ACCOUNTS {
        // All that it had may have ended already.
        let _ = order(siege, &["session", "end", &format!("{account}@one.test")]);
    }
    let honest = until(|| {
        let mut alice = Caller::connect_tls(server, None)?;
        alice.log_in("alice", PASSWORD)?;
        alice.bind("honest")?;
        Ok(alice)
    });
    let mut alice = honest.map_err(|why| format!("nobody is let in again: {why}; {:?}", status(siege)))?;
    alice.say(b"<presence/>");
    for number in 0..MESSAGES * SESSIONS {
        alice.hear("</message>").map_err(|why| format!("{number} messages were left: {why}"))?;
    }
    Ok(format!("{peak} of {CAP_KIB} KiB were taken, and {} messages held", MESSAGES * SESSIONS))
}

/// Owes a session as much as it may be owed; all of it is committed then.
fn fill(sender: &mut Caller, to: &str) -> Result<(), String> {
    let body = "x".repeat(BODY_BYTES);
    let message = format!("<message to='{to}' type='chat'><body>{body}</body></message>");
    must(sender.say(message.repeat(MESSAGES).as_bytes()), || "the messages were not taken".to_owned())?;
    sender.ping("filled").map(drop)
}

/// Who asks for a session hears why there is none, and who has one goes on with it, whoever presses in.
fn while_it_is_scarce(siege: &Siege, server: SocketAddr, last: &Waiting) -> Result<Caller, String> {
    let mut newcomer = Caller::connect_tls(server, None)?;
    newcomer.log_in("alice", PASSWORD)?;
    let refused = newcomer.bind("one-more").err().unwrap_or_default();
    must(refused.contains("type='error'") && refused.contains("<resource-constraint"), || {
        format!("a newcomer heard {refused}")
    })?;
    let end = String::from_utf8_lossy(&newcomer.hear_all()?).into_owned();
    must(end.contains("<stream:error><resource-constraint"), || format!("and then {end}"))?;
    let silent = (0..SILENT).map(|number| Caller::connect(siege.addresses()?.plain, crowd(number)));
    let silent = silent.collect::<Result<Vec<_>, _>>()?;
    // Those who say nothing give way after a while.
    let phone = until(|| last.resume(server)).map_err(|why| format!("nobody can come back: {why}"))?;
    drop(silent);
    Ok(phone)
}

fn crowd(number: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::new(127, 8, 0, 1 + u8::try_from(number / 20).unwrap_or_default()))
}

/// Tries until it can be done, for a while.
fn until<T>(mut what: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut tried = what();
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if tried.is_ok() {
            break;
        }
        std::thread::sleep(PAUSE);
        tried = what();
    }
    tried
}

fn status(siege: &Siege) -> Result<String, String> {
    order(siege, &["status"])
}

fn order(siege: &Siege, words: &[&str]) -> Result<String, String> {
    siege.stage.house.house.order(words)
}
