//! The table once more, from the other side: what clients send, and what comes of it.

use super::*;

const BODY: &str = "<body>hi</body>";
const COMPOSING: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
const RECEIVED: &str = "<received xmlns='urn:xmpp:receipts' id='m'/>";
const DISPLAYED: &str = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>";
const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";
const NO_ARCHIVE: &str = "<no-permanent-store xmlns='urn:xmpp:hints'/>";
const STORE: &str = "<store xmlns='urn:xmpp:hints'/>";
const NO_COPY: &str = "<no-copy xmlns='urn:xmpp:hints'/>";
const PRIVATE: &str = "<private xmlns='urn:xmpp:carbons:2'/>";
const INVITE: &str = "<x xmlns='jabber:x:conference' jid='room@rooms.test'/>";
const MEDIATED: &str = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='bob@two.test'/></x>";
const ROOM: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
const KEYS: &str = "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/></encrypted>";
const OMEMO: &str = "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>x</payload></encrypted>";
const OLD: &str =
    "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>x</payload></encrypted>";
const OPENPGP: &str = "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>";
const PROPOSE: &str = "<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>";
const PROCEED: &str = "<proceed xmlns='urn:xmpp:jingle-message:0' id='c'/>";
const RINGING: &str = "<ringing xmlns='urn:xmpp:jingle-message:0' id='c'/>";
const FINISH: &str = "<finish xmlns='urn:xmpp:jingle-message:0' id='c'/>";
const CALL: &str = "<invite xmlns='urn:xmpp:call-invites:0'/>";
const LEFT: &str = "<left xmlns='urn:xmpp:call-invites:0' id='c'/>";
const CORRECTION: &str = "<body>ho</body><replace id='m' xmlns='urn:xmpp:message-correct:0'/>";
const REACTION: &str = "<reactions id='m' xmlns='urn:xmpp:reactions:0'><reaction>!</reaction></reactions>";
const RETRACTION: &str = "<retract id='m' xmlns='urn:xmpp:message-retract:1'/><body>gone</body>";
const EVENT: &str = "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'/></event>";
const TYPED: &str = "<rtt xmlns='urn:xmpp:rtt:0'><t>h</t></rtt>";
const RESULT: &str = "<result xmlns='urn:xmpp:mam:2' id='1'/>";
const SUBJECT: &str = "<subject>of the room</subject>";

fn stanza(text: &str) -> Stanza {
    Stanza::read(text.as_bytes()).expect(text)
}

/// The columns in short: k(ept) and a(rchived) or `-`, then the others.
fn shown(rule: &Rule) -> String {
    let (kept, archived) = (if rule.kept { "k" } else { "-" }, if rule.archived { "a" } else { "-" });
    format!("{kept}{archived} {:?} {:?} {:?}", rule.copied, rule.inactive, rule.push)
}

fn check(type_: &str, inside: &[&str], expected: &str) {
    let text = format!("<message type='{type_}' from='bob@two.test/x'>{}</message>", inside.concat());
    assert_eq!(shown(&of(&stanza(&text))), expected, "{text}");
}

#[test]
fn what_people_say() {
    for type_ in ["chat", "normal"] {
        check(type_, &[BODY], "ka Always Flush Wake");
        check(type_, &[BODY, COMPOSING], "ka Always Flush Wake");
        check(type_, &[BODY, "<request xmlns='urn:xmpp:receipts'/>"], "ka Always Flush Wake");
        check(type_, &[BODY, KEYS], "ka Always Flush Wake");
        check(type_, &[BODY, ROOM], "ka Always Flush Wake");
        check(type_, &[INVITE], "ka Always Flush Wake");
        check(type_, &[MEDIATED], "ka Always Flush Wake");
        check(type_, &[CORRECTION], "ka Always Hold Never");
        check(type_, &[RETRACTION], "ka Always Hold Never");
    }
    for payload in [OMEMO, OLD, OPENPGP] {
        check("chat", &[payload], "ka Always Flush Wake");
        // XEP-0280 §6.1: a normal message is copied for its body.
        check("normal", &[payload], "ka Never Flush Wake");
        check(
            "chat",
            &["<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>", payload],
            "ka Always Flush Wake",
        );
    }
    check("chat", &[KEYS], "ka Always Hold Never");
    check("chat", &[REACTION], "ka Always Hold Never");
    check("normal", &[REACTION], "ka Never Hold Never");
}

#[test]
fn calls() {
    check("chat", &[PROPOSE, STORE], "ka Always Flush Call");
    check("chat", &[CALL], "ka Always Flush Call");
    check("chat", &[PROCEED, STORE], "ka Always Flush AfterCall");
    for payload in [RINGING, FINISH, LEFT] {
        check("chat", &[payload], "ka Always Flush Never");
    }
}

#[test]
fn a_call_has_an_id() {
    let id = |inside: &str| call_id(&stanza(&format!("<message id='m'>{inside}</message>")));
    assert_eq!(id(PROPOSE), Some("c".to_owned()));
    assert_eq!(id(PROCEED), Some("c".to_owned()));
    assert_eq!(id(LEFT), Some("c".to_owned()));
    assert_eq!(id(CALL), Some("m".to_owned()));
    assert_eq!(id(BODY), None);
}

#[test]
fn what_devices_say() {
    for type_ in ["chat", "normal"] {
        check(type_, &[RECEIVED], "ka Always Hold Never");
        check(type_, &[DISPLAYED], "ka Always Hold Never");
        check(type_, &[COMPOSING], "-- Always Newest Never");
        check(type_, &[COMPOSING, "<thread>t</thread>", NO_STORE, ROOM], "-- Always Newest Never");
    }
    check("chat", &[TYPED], "-- Always Hold Never");
    check("normal", &[TYPED], "-- Never Hold Never");
    check("chat", &[EVENT], "k- Always Newest Never");
    check("headline", &[EVENT], "-- Never Newest Never");
    check("chat", &[], "-- Always Flush Never");
    check("normal", &["<thread>t</thread>"], "-- Never Flush Never");
    check("normal", &[RESULT], "k- Never Flush Never");
    check("normal", &["<thing xmlns='urn:example:thing'/>"], "k- Never Flush Never");
}

#[test]
fn headlines_errors_and_rooms() {
    check("headline", &[BODY], "-- Never Hold Never");
    check("headline", &[BODY, COMPOSING], "-- Always Hold Never");
    check("headline", &[BODY, STORE], "-a Never Hold Never");
    check("error", &[BODY, STORE], "-- Answer Flush Never");
    check("error", &[BODY, NO_COPY], "-- Answer Flush Never");
    check("groupchat", &[BODY], "-- Never IfNamed IfNamed");
    check("groupchat", &[OMEMO, STORE], "-- Never IfNamed IfNamed");
    check("groupchat", &[SUBJECT], "-- Never Flush Never");
    for payload in [REACTION, COMPOSING, CORRECTION, DISPLAYED] {
        check("groupchat", &[payload, STORE], "-- Never Hold Never");
    }
}

#[test]
fn hints_override_the_row() {
    check("chat", &[BODY, NO_STORE], "-- Always Flush Wake");
    check("chat", &[BODY, NO_STORE, STORE], "-- Always Flush Wake");
    // XEP-0334 §3.3: it may be kept until it is delivered.
    check("chat", &[BODY, NO_ARCHIVE], "k- Always Flush Wake");
    check("chat", &[COMPOSING, STORE], "ka Always Newest Never");
    check("normal", &["<thing xmlns='urn:example:thing'/>", STORE], "ka Never Flush Never");
    check("chat", &[BODY, NO_COPY], "ka Never Flush Wake");
    check("chat", &[BODY, PRIVATE], "ka Never Flush Wake");
}

#[test]
fn presence_and_iqs() {
    for (inside, expected) in [
        ("<presence from='bob@two.test/x'/>", Inactive::Newest),
        ("<presence type='unavailable' from='bob@two.test/x'/>", Inactive::Newest),
        ("<presence type='error' from='bob@two.test/x'/>", Inactive::Flush),
        ("<presence type='subscribed' from='bob@two.test'/>", Inactive::Flush),
        (
            "<presence from='room@rooms.test/n'><x xmlns='http://jabber.org/protocol/muc#user'/></presence>",
            Inactive::Hold,
        ),
        (
            "<presence from='room@rooms.test/n'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <status code='110'/></x></presence>",
            Inactive::Flush,
        ),
        ("<iq type='result' id='1'/>", Inactive::Flush),
        ("<iq type='set' id='1'><query xmlns='jabber:iq:roster'/></iq>", Inactive::Flush),
    ] {
        assert_eq!(of(&stanza(inside)).inactive, expected, "{inside}");
        assert_eq!(of(&stanza(inside)).push, Push::Never, "{inside}");
    }
    let request = of(&stanza("<presence type='subscribe' from='bob@two.test'/>"));
    assert_eq!(shown(&request), "-- Never Flush Wake");
}

#[test]
fn a_copy_is_judged_by_what_is_in_it() {
    for (inside, expected) in
        [(BODY, Inactive::Flush), (COMPOSING, Inactive::Newest), (DISPLAYED, Inactive::Hold)]
    {
        for way in ["received", "sent"] {
            let message = stanza(&format!("<message type='chat'>{inside}</message>"));
            let (wrapper, forwarded) =
                (Element::new(ns::CARBONS, way), Element::new(ns::FORWARD, "forwarded"));
            let copy = Stanza::message(Type::Chat).with_forwarded(&wrapper, &forwarded, &message);
            assert_eq!(copied_message(&copy), Some(message));
            assert_eq!(while_inactive(&copy), expected, "{way} {inside}");
        }
    }
    assert_eq!(copied_message(&stanza("<message><body>no copy</body></message>")), None);
}

#[test]
fn news_are_of_one_item() {
    let news = |inside: &str| {
        let event = "http://jabber.org/protocol/pubsub#event";
        item(&stanza(&format!("<message><event xmlns='{event}'>{inside}</event></message>")))
    };
    assert_eq!(news("<items node='n'><item id='1'/></items>"), Some(Some("n 1".to_owned())));
    assert_eq!(news("<items node='n'><retract id='1'/></items>"), Some(Some("n 1".to_owned())));
    assert_eq!(news("<items node='n'><item id='1'/><item id='2'/></items>"), Some(None));
    assert_eq!(news("<purge node='n'/>"), Some(None));
    assert_eq!(item(&stanza("<message><body>no news</body></message>")), None);
}

#[test]
fn a_name_stands_by_itself() {
    for (body, nick, expected) in [
        ("alice: hello", "Alice", true),
        ("hello @ALICE!", "alice", true),
        ("malice", "alice", false),
        ("alices and alice", "alice", true),
        ("ünsal", "nsal", false),
        ("hello", "", false),
    ] {
        let message = stanza(&format!("<message type='groupchat'><body>{body}</body></message>"));
        assert_eq!(names(&message, nick), expected, "{body} {nick}");
    }
    assert!(!names(&stanza("<message type='groupchat'/>"), "alice"));
}

#[test]
fn every_row_is_the_first_for_something() {
    let message = |inside: &str| format!("<message type='chat'>{inside}</message>");
    let room = |inside: &str| format!("<message type='groupchat'>{inside}</message>");
    let presence = |type_: &str, inside: &str| format!("<presence{type_}>{inside}</presence>");
    let own = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>";
    let first = [
        "<iq type='result' id='1'/>".to_owned(),
        presence(" type='error'", ""),
        presence(" type='subscribe'", ""),
        presence(" type='unsubscribe'", ""),
        presence("", own),
        presence("", ROOM),
        presence("", ""),
        room(BODY),
        room(SUBJECT),
        room(REACTION),
        message(EVENT),
        format!("<message type='headline'>{BODY}</message>"),
        message(PROPOSE),
        message(PROCEED),
        message(RINGING),
        message(MEDIATED),
        message(RETRACTION),
        message(BODY),
        message(OMEMO),
        message(KEYS),
        message(DISPLAYED),
        message(COMPOSING),
        message(TYPED),
        message(NO_STORE),
        message(RESULT),
    ];
    let found: Vec<_> = first
        .iter()
        .map(|text| {
            let stanza = stanza(text);
            RULES.iter().find(|row| (row.is)(&stanza)).expect(text).what
        })
        .collect();
    assert_eq!(found, RULES.iter().map(|row| row.what).collect::<Vec<_>>());
}

#[test]
fn who_is_answered_or_mentioned() {
    let points = |inside: &str| {
        let message =
            stanza(&format!("<message type='groupchat' from='r@rooms.test/bob'>{inside}</message>"));
        points_at(&message, &|jid| ["r@rooms.test/Ally Ö", "alice@one.test"].contains(&jid.as_str()))
    };
    let mention = |type_: &str, uri: &str| {
        points(&format!(
            "<body>hi</body><reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:bob@two.test'/>\
             <reference xmlns='urn:xmpp:reference:0' type='{type_}' uri='{uri}'/>"
        ))
    };
    assert!(mention("mention", "xmpp:alice@one.test"));
    assert!(mention("mention", "XMPP:Alice@one.test?message"));
    assert!(mention("mention", "xmpp:r@rooms.test/Ally%20%C3%96#x"));
    for other in [
        "xmpp:bob@one.test",
        "mailto:alice@one.test",
        "alice@one.test",
        "xmpp:",
        "xmpp:alice@one.test%",
        "xmpp:alice@one.test%2",
        "xmpp:alice@one.test%zz",
        "xmpp:alice@one.test%ff",
        "xmpp:r@rooms.test/Ally",
    ] {
        assert!(!mention("mention", other), "{other}");
    }
    assert!(!mention("data", "xmpp:alice@one.test"));
    let reply = |to: &str| points(&format!("<reply xmlns='urn:xmpp:reply:0' id='m' {to}/>"));
    assert!(reply("to='r@rooms.test/Ally Ö'") && reply("to='alice@one.test'"));
    assert!(!reply("to='r@rooms.test/carol'") && !reply("") && !reply("to='a@b@c'"));
    assert!(!points("<body>alice@one.test</body>"));
}
