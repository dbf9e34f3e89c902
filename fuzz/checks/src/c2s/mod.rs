//! A client's stream, seen from the server: the same whatever pieces its bytes come in; nobody is in without a success;
//! what is sent is XML, and not more than what came deserves.
//!
//! Input: what the server allows ([`host::Choices`]), a byte that seeds the cuts, a script ([`script`]).

mod host;
mod script;

use crate::oracle::by_rxml;
use crate::scanner::cut;
use host::{Choices, Host};
use script::{Act, Part};

/// Checks an input.
///
/// # Panics
/// When the machine breaks a promise.
pub fn check(data: &[u8]) {
    let [choices, cuts, script @ ..] = data else { return };
    let choices = Choices(*choices);
    let acts = script::read(script);
    let whole = run(choices, &acts, &Cut::Nowhere);
    is_xml(&whole);
    same(&whole, &run(choices, &acts, &Cut::Everywhere));
    same(&whole, &run(choices, &acts, &Cut::Somewhere(*cuts)));
}

/// How bytes are cut into pieces.
enum Cut {
    Nowhere,
    /// Byte by byte, but for what the script wrote as one: that would cost time, and find little.
    Everywhere,
    /// At places that follow from a seed, everywhere.
    Somewhere(u8),
}

fn run(choices: Choices, acts: &[Act], how: &Cut) -> Host {
    let mut host = Host::new(choices);
    for act in acts {
        let Act::Bytes(parts) = act else {
            host.act(act);
            continue;
        };
        if parts.is_empty() {
            continue;
        }
        let whole = || parts.iter().flat_map(Part::bytes).copied().collect::<Vec<u8>>();
        match how {
            Cut::Nowhere => host.receive(&whole()),
            Cut::Everywhere => {
                for part in parts {
                    let length = if let Part::Raw(_) = part { 1 } else { part.bytes().len() };
                    part.bytes().chunks(length).for_each(|piece| host.receive(piece));
                }
            }
            Cut::Somewhere(seed) => cut(&whole(), *seed).for_each(|piece| host.receive(piece)),
        }
    }
    host.wait_for_the_end();
    let (sent, limit) = (host.outcome.sent.len(), host.said_bytes_max());
    assert!(sent <= limit, "{sent} bytes are said, {limit} are enough: {}", host.outcome.sent);
    host
}

/// The same came of both, unless bytes stood right behind `<starttls/>`: these are an attack if they come with it
/// (RFC 6120 §5.3.3), and the handshake's if they come later.
fn same(whole: &Host, cut: &Host) {
    if cut.secured_at.is_some() && whole.secured_at.is_none() {
        let closed = whole.outcome.closed.as_deref();
        assert_eq!(closed, Some("failed: policy-violation"), "not secured: {}", whole.outcome.sent);
        return;
    }
    assert_eq!(whole.outcome, cut.outcome, "split");
}

/// Every stream that is sent is read by rxml, and closed unless nothing could be said any more.
fn is_xml(host: &Host) {
    const OPEN: &str = "<?xml version='1.0'?>";
    let sent = &host.outcome.sent;
    let mut streams = sent.split(OPEN);
    assert_eq!(streams.next(), Some(""), "something before the header: {sent}");
    let mut closed = 0;
    for stream in streams {
        let reading = by_rxml::stream(format!("{OPEN}{stream}").as_bytes());
        assert_eq!((reading.refused, reading.text_after), (None, None), "{stream}");
        let header = reading.header.unwrap_or_else(|| panic!("no header: {stream}"));
        assert!(header.attr("id").is_some() && header.attr("version") == Some("1.0"), "{stream}");
        closed += usize::from(reading.closed);
    }
    let wordless = matches!(host.outcome.closed.as_deref(), Some("TransportClosed" | "HandshakeTimeout"));
    assert!(closed == 1 || closed == 0 && wordless, "{closed} streams were closed: {sent}");
}
