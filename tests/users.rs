//! The command line about people: everything that is kept of somebody is shown, and erased without a trace.
#![allow(clippy::unwrap_used)]

use simulator::conversation::{Outcome, Script, play};
use simulator::house::PASSWORD;
use support::sockets::Sockets;
use support::waxwing::Waxwing;

mod support;

/// Alice leaves something of everything behind.
const LIFE: &str = "# A life.
alice = alice@one.test/phone
bob = bob@two.test/laptop
alice > <iq type='set' id='1'><query xmlns='jabber:iq:roster'>
    <item jid='carol@two.test' name='Carol'><group>friends</group></item></query></iq>
alice < <iq type='result' id='1'/>
alice > <iq type='set' id='2'><vCard xmlns='vcard-temp'><FN>Alice Liddell</FN></vCard></iq>
alice < <iq type='result' id='2'/>
alice > <iq type='set' id='3'><query xmlns='jabber:iq:private'>
    <storage xmlns='urn:example:marks'>here be dragons</storage></query></iq>
alice < <iq type='result' id='3'/>
alice > <iq type='set' id='4'><block xmlns='urn:xmpp:blocking'>
    <item jid='mallory@two.test'>
    <report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>
    <text>pills</text></report></item></block></iq>
alice < <iq type='result' id='4'/>
alice > <iq type='set' id='5'><enable xmlns='urn:xmpp:push:0' jid='push.test' node='the-node'/></iq>
alice < <iq type='result' id='5'/>
alice > <iq type='set' id='6'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:example:tune'>
    <item id='current'><tune xmlns='urn:example:tune'>Magnificat</tune></item></publish></pubsub></iq>
alice < <iq type='result' id='6'>...</iq>
alice > <iq type='set' id='7'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>
    <affiliations node='urn:example:tune'>
    <affiliation jid='dave@two.test' affiliation='outcast'/></affiliations></pubsub></iq>
alice < <iq type='result' id='7'/>
alice disconnects
bob > <presence to='{alice.bare}' type='subscribe'/>
bob > <message to='{alice.bare}' type='chat'><body>where are you?</body></message>
bob < (nothing)
";

/// What each of the things above is known by.
const TRACES: [&str; 11] = [
    "name=\"Carol\"",
    "friends",
    "Alice Liddell",
    "here be dragons",
    "mallory@two.test",
    "the-node",
    "pubsub#access_model",
    "dave@two.test",
    "Magnificat",
    "where are you?",
    "bob@two.test",
];

fn lived() -> Sockets<Waxwing> {
    let mut stage = Sockets::new(Waxwing::new(None));
    let played = play(&Script::read(LIFE).unwrap(), &mut stage, &|_| PASSWORD.to_owned());
    assert_eq!(played.unwrap(), Outcome::Played);
    stage
}

fn is_shown_and_erased(house: &Waxwing) {
    let order = |words: &[&str]| house.order(words);
    let exported = order(&["user", "export", "alice@one.test"]).unwrap();
    let xml = exported.strip_prefix("<?xml version='1.0' encoding='UTF-8'?>\n").unwrap();
    let tree = xmpp::xml::parse(xml.trim().as_bytes(), xmpp::xml::Limits::default()).unwrap();
    assert!(tree.is("urn:xmpp:pie:0", "server-data"), "{xml}");
    for trace in TRACES {
        let quoted = trace.replace('"', "'");
        assert!(xml.contains(trace) || xml.contains(&quoted), "{trace} is missing in {xml}");
    }
    let (_, held) = xml.split_once("<offline-messages").expect("what is held");
    let (held, _) = held.split_once("</offline-messages>").expect("its end");
    assert!(
        held.contains("where are you?") && held.contains("urn:xmpp:delay"),
        "since when it is held: {held}"
    );
    assert!(!xml.contains("StoredKey") && !xml.contains("salt"), "{xml}");
    let reports = order(&["report", "list"]).unwrap();
    assert!(
        reports.contains("mallory@two.test by alice@one.test: urn:xmpp:reporting:spam \"pills\""),
        "{reports}"
    );

    let purge = |more: &[&str]| order(&[&["archive", "purge", "alice@one.test"], more].concat());
    assert!(purge(&[]).unwrap_err().contains("--yes"));
    assert!(purge(&["--older-than-days", "x", "--yes"]).unwrap_err().contains("not a number of days"));
    assert!(order(&["archive", "purge", "nobody@one.test", "--yes"]).unwrap_err().contains("no account"));
    let cleared = |said: String| said.split_whitespace().last().map(str::to_owned);
    assert_eq!(cleared(purge(&["--older-than-days", "1", "--yes"]).unwrap()).as_deref(), Some("0"));
    assert_eq!(order(&["user", "export", "alice@one.test"]).unwrap(), exported);
    assert!(order(&["user", "export", "bob@two.test"]).unwrap().contains("where are you?"));
    let purged = order(&["archive", "purge", "bob@two.test", "--yes"]).unwrap();
    assert_eq!(cleared(purged).as_deref(), Some("1"));
    assert!(!order(&["user", "export", "bob@two.test"]).unwrap().contains("where are you?"));
    // What was hers as well stays hers.
    assert_eq!(order(&["user", "export", "alice@one.test"]).unwrap(), exported);

    let unsure = order(&["user", "erase", "alice@one.test"]).unwrap_err();
    assert!(unsure.contains("--yes"), "{unsure}");
    assert!(order(&["user", "erase", "nobody@one.test", "--yes"]).unwrap_err().contains("no account"));
    assert_eq!(order(&["user", "export", "alice@one.test"]).unwrap(), exported);

    let erased = order(&["user", "erase", "alice@one.test", "--yes"]).unwrap();
    let lines: Vec<Vec<&str>> = erased
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect())
        .collect();
    assert_eq!(lines[0], ["erased", "alice@one.test"]);
    assert!(
        lines.contains(&vec!["contacts", "1"])
            && lines.contains(&vec!["archived messages", "1"])
            && lines.contains(&vec!["published items", "1"]),
        "{erased}"
    );
    assert!(order(&["user", "export", "alice@one.test"]).unwrap_err().contains("no account"));
    assert_eq!(order(&["report", "list"]).unwrap(), "");
    assert!(!order(&["user", "list"]).unwrap().contains("alice"));
}

#[test]
fn by_the_running_server() {
    let stage = lived();
    is_shown_and_erased(&stage.house);
}

#[test]
fn by_the_store_of_one_that_is_stopped() {
    let mut stage = lived();
    stage.house.kill();
    is_shown_and_erased(&stage.house);
}
