//! Connections that come in crowds, say nothing, say it slowly, or say what is no TLS (guarantee G10).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Pressure, must, of};
use crate::caller::Caller;
use crate::siege::{PASSWORD, Siege};
use crate::suite::Reach;

pub const ALL: [Pressure; 10] = [
    Pressure { name: "silent connections", settings: SOON, growth_mib: 80, bear: silent },
    Pressure { name: "silent connections inside TLS", settings: SOON, growth_mib: 80, bear: silent_tls },
    Pressure { name: "handshakes that stop half way", settings: SOON, growth_mib: 48, bear: half_handshakes },
    Pressure { name: "slow writers", settings: SOON, growth_mib: 16, bear: slow_writers },
    Pressure { name: "bytes that are no TLS", settings: "", growth_mib: 16, bear: garbage },
    Pressure { name: "one address takes all", settings: "", growth_mib: 16, bear: one_address },
    Pressure {
        name: "more half-open ones than there may be",
        settings: FEW,
        growth_mib: 16,
        bear: half_open,
    },
    Pressure { name: "connections that are reset at once", settings: "", growth_mib: 16, bear: resets },
    Pressure { name: "records that are none", settings: "", growth_mib: 16, bear: records },
    Pressure { name: "keys that are changed without end", settings: "", growth_mib: 16, bear: keys },
];

/// Deadlines for which nobody has to wait long.
const SOON: &str = "with limit tls_seconds 2\nwith limit login_seconds 2\n";
const FEW: &str = "with limit half_open_connections 50\n";

/// Another address of this machine for every fifty connections.
fn from(number: usize) -> Option<Ipv4Addr> {
    let neighbour = u32::try_from(number / 50).unwrap_or_default();
    Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + neighbour))
}

/// Somebody honest logs in meanwhile.
fn honest(siege: &Siege) -> Result<(), String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut alice = Caller::connect_tls(server, None)?;
    alice.log_in("alice", PASSWORD).map_err(|why| format!("somebody honest is not let in: {why}"))?;
    alice.bind("honest")
}

/// Each of them is ended by the server, which has said no more than so many bytes.
fn all_are_ended(callers: Vec<Caller>, most: usize) -> Result<(), String> {
    for caller in callers {
        let mut caller = caller;
        let heard = caller.hear_all()?;
        must(heard.len() <= most, || format!("heard {} bytes", heard.len()))?;
    }
    Ok(())
}

fn silent(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let (server, count) = (siege.addresses()?.plain, of(reach, 4_500, 300));
    let callers: Result<Vec<_>, _> = (0..count).map(|number| Caller::connect(server, from(number))).collect();
    let callers = callers?;
    honest(siege)?;
    all_are_ended(callers, 2_000)?;
    Ok(format!("{count} came and were ended in time"))
}

fn silent_tls(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let count = of(reach, 2_000, 50);
    let mut callers = Vec::new();
    for number in 0..count {
        callers.push(Caller::connect_tls(server, from(number))?);
    }
    honest(siege)?;
    all_are_ended(callers, 2_000)?;
    Ok(format!("{count} came and were ended in time"))
}

/// The beginning of a ClientHello of 508 bytes.
const HELLO: &[u8] = b"\x16\x03\x01\x01\xfc\x01\x00\x01\xf8\x03\x03";

fn half_handshakes(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let count = of(reach, 2_000, 100);
    let mut callers = Vec::new();
    for number in 0..count {
        let mut caller = Caller::connect(server, from(number))?;
        caller.say(HELLO);
        callers.push(caller);
    }
    honest(siege)?;
    all_are_ended(callers, 100)?;
    Ok(format!("{count} began and were ended in time"))
}

/// A header, one byte now and then: the deadline counts, not how busy somebody seems.
fn slow_writers(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let (server, count) = (siege.addresses()?.plain, of(reach, 1_000, 100));
    let callers: Result<Vec<_>, _> = (0..count).map(|number| Caller::connect(server, from(number))).collect();
    let mut callers = callers?;
    let header =
        b"<stream:stream to='one.test' version='1.0' xmlns='jabber:client' xmlns:stream='http://ether";
    for byte in header {
        for caller in &mut callers {
            caller.say(&[*byte]);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    honest(siege)?;
    all_are_ended(callers, 2_000)?;
    Ok(format!("{count} wrote {} bytes each and were ended in time", header.len()))
}

/// What stands in place of a handshake. The last record says that it is larger than any may be.
const GARBAGE: [&[u8]; 9] = [
    b"<stream:stream to='one.test' version='1.0'>",
    b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x14\x03\x03\x00\x01\x01",
    b"\x17\x03\x03\x00\x05hello",
    b"\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03",
];

fn garbage(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let (addresses, rounds) = (siege.addresses()?, of(reach, 50, 2));
    let server = addresses.tls.ok_or("no port for TLS")?;
    let mut count = 0;
    for number in 0..rounds * GARBAGE.len() {
        let bytes = GARBAGE[number % GARBAGE.len()];
        let mut direct = Caller::connect(server, from(number))?;
        direct.say(bytes);
        let mut asked = Caller::connect(addresses.plain, from(number))?;
        asked.open()?;
        asked.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        asked.hear("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
        asked.say(bytes);
        // An alert at most (RFC 8446 §6).
        for caller in [direct, asked] {
            let heard = caller.leave()?;
            must(heard.len() <= 7, || format!("heard {heard:?} after {bytes:?}"))?;
            count += 1;
        }
    }
    honest(siege)?;
    Ok(format!("{count} handshakes failed"))
}

fn one_address(siege: &mut Siege, _reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.plain;
    let from = Some(Ipv4Addr::new(127, 7, 7, 7));
    let mut inside = Vec::new();
    for _ in 0..100 {
        let mut caller = Caller::connect(server, from)?;
        caller.open()?;
        inside.push(caller);
    }
    // limits.connections_per_address
    for _ in 0..50 {
        let heard = Caller::connect(server, from)?.hear_all()?;
        must(heard.is_empty(), || "more than a hundred were let in".to_owned())?;
    }
    honest(siege)?;
    drop(inside.pop());
    let again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Caller::connect(server, from).is_ok_and(|mut caller| caller.open().is_ok())
    });
    must(again, || "whoever leaves makes no room".to_owned())?;
    Ok("100 were let in, 50 more were not; others were".to_owned())
}

fn half_open(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let (server, count) = (siege.addresses()?.plain, of(reach, 1_000, 200));
    let mut callers = Vec::new();
    for number in 0..count {
        let mut caller = Caller::connect(server, from(number))?;
        caller.open()?;
        callers.push(caller);
    }
    // limits.half_open_connections: the oldest go, and the newest stay.
    let mut newest = callers.split_off(count - 40);
    all_are_ended(callers.drain(..count - 100).collect(), 2_000)?;
    for caller in &mut newest {
        caller.say(b"</stream:stream>");
        caller.hear("</stream:stream>")?;
    }
    honest(siege)?;
    Ok(format!("{count} came, and the oldest of them went"))
}

fn resets(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 5_000, 500);
    for number in 0..count {
        let server = siege.addresses()?;
        let server = if number % 2 == 0 { server.plain } else { server.tls.unwrap_or(server.plain) };
        reset(server, from(number)).map_err(|error| error.to_string())?;
    }
    honest(siege)?;
    Ok(format!("{count} came and went"))
}

/// Connects and has the system forget the connection, whatever is on its way.
fn reset(server: SocketAddr, from: Option<Ipv4Addr>) -> std::io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    socket.set_linger(Some(Duration::ZERO))?;
    socket.connect(&server.into())
}

/// What stands beneath TLS after its handshake. The first of them claim a length that no record may have.
const NO_RECORDS: [&[u8]; 10] = [
    b"\x17\x03\x03\x41\x01",
    b"\x17\x03\x03\xff\xff",
    b"\x17\x03\x03\x00\x00",
    b"\x17\x03\x03\x00\x01x",
    b"\x17\x03\x03\x00\x10 sixteen or more",
    b"\x17\x03\x03\x00\x20 thirty-two bytes, none of ours.",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x16\x03\x03\x00\x04\x00\x00\x00\x00",
    b"\x18\x03\x03\x00\x03\x01\xff\xff",
    b"</stream:stream>",
];

fn records(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let count = of(reach, 50, 2) * NO_RECORDS.len();
    for number in 0..count {
        let bytes = NO_RECORDS[number % NO_RECORDS.len()];
        let mut caller = Caller::connect_tls(server, from(number))?;
        caller.open()?;
        caller.say_beneath(bytes);
        // Whatever is said behind it is not heard.
        caller.say(b"<iq type='get' id='behind'><x xmlns='my:own'/></iq>");
        let heard = caller.leave()?;
        let heard = String::from_utf8_lossy(&heard);
        must(!heard.contains("<"), || format!("heard {heard} after {bytes:?}"))?;
    }
    honest(siege)?;
    Ok(format!("{count} connections ended with them"))
}

/// Each change is answered by one (RFC 8446 §4.6.3), and nobody hears the answers.
fn keys(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let server = siege.addresses()?.tls.ok_or("no port for TLS")?;
    let mut caller = Caller::connect_tls(server, None)?;
    caller.log_in("eve", PASSWORD)?;
    caller.bind("keys")?;
    caller.stop_writing_after(Duration::from_secs(2));
    let (mut changed, count) = (0, of(reach, 200_000, 20_000));
    while changed < count && caller.change_keys() {
        changed += 1;
    }
    honest(siege)?;
    Ok(format!("{changed} changes were taken of one who hears no answer"))
}
