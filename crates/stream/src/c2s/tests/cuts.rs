//! However the bytes are cut or spoilt, the machine says the same or closes: it never breaks.

use super::*;

/// Everything a client says in a whole life.
fn life() -> String {
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let stanzas = "<presence/> <message to='a@b.test'><body>h\u{e9} &amp; <![CDATA[<x>]]></body>\
                   </message>\n<iq type='get' id='1' to='@'><q xmlns='urn:x'/></iq>";
    let open = header("one.test");
    let wrong = plain("user", "wrong");
    let right = plain("user", PASSWORD);
    format!("{open}{wrong}{right}{open}{bind}{stanzas}</stream:stream>")
}

fn hear(pieces: &[&[u8]]) -> (String, Vec<String>) {
    let mut host = Host::secure();
    let mut sent = String::new();
    for piece in pieces {
        host.machine.receive(host.now, piece);
        sent.push_str(&host.settle());
    }
    (sent, host.stanzas)
}

#[test]
fn every_cut_gives_the_same() {
    let life = life();
    let bytes = life.as_bytes();
    let whole = hear(&[bytes]);
    assert_eq!(whole.1.len(), 2);
    assert!(whole.0.ends_with("</stream:stream>"), "{}", whole.0);
    for cut in 0..bytes.len() {
        assert_eq!(hear(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
}

#[test]
fn every_cut_gives_the_same_where_the_allowance_ends() {
    let text = header("one.test") + &plain("user", "wrong") + "<a/></a>";
    let hear = |bytes_before: usize, pieces: &[&[u8]]| {
        let settings = C2sSettings { bytes_before, ..settings() };
        let mut host = Host::new(settings, TransportFacts::DirectTls(facts()));
        let mut sent = String::new();
        for piece in pieces {
            host.machine.receive(host.now, piece);
            sent.push_str(&host.settle());
        }
        sent
    };
    let bytes = text.as_bytes();
    for bytes_before in (1..bytes.len()).step_by(7).chain(bytes.len() - 10..bytes.len()) {
        let whole = hear(bytes_before, &[bytes]);
        for cut in (0..bytes.len()).step_by(3) {
            let cut_once = hear(bytes_before, &[&bytes[..cut], &bytes[cut..]]);
            assert_eq!(cut_once, whole, "cut at {cut}, {bytes_before} bytes allowed");
        }
    }
}

#[test]
fn spoilt_bytes_break_nothing() {
    let life = life();
    let spoilers = [0, b'<', b'>', b'\'', b'&', b'/', b' ', b':', b'=', 0xff, 0xc3, b'a'];
    for at in 0..life.len() {
        for spoiler in spoilers {
            let mut bytes = life.clone().into_bytes();
            bytes[at] = spoiler;
            let mut host = Host::secure();
            host.machine.receive(host.now, &bytes);
            host.settle();
            // Left alone it ends in any case.
            for _ in 0..4 {
                host.wait(Duration::from_secs(400));
            }
            assert!(host.closed.is_some(), "{spoiler} at {at}");
            assert_eq!(host.machine.poll_timeout(), None);
        }
    }
}
