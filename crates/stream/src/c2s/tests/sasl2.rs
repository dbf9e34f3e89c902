//! Logging in by SASL2: what comes along with it, what is told of it, what is refused (XEP-0388).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::sasl::{Mechanism, ht};

const SASL2: &str = "urn:xmpp:sasl:2";

fn agent() -> String {
    format!("<user-agent id='{CLIENT}'><software>Swift</software><device>phone</device></user-agent>")
}

fn authenticate(mechanism: &str, data: &[u8], more: &str) -> String {
    let data = STANDARD.encode(data);
    format!(
        "<authenticate xmlns='{SASL2}' mechanism='{mechanism}'><initial-response>{data}</initial-response>\
         {more}</authenticate>"
    )
}

fn by_password(more: &str) -> String {
    authenticate("PLAIN", format!("\0user\0{PASSWORD}").as_bytes(), more)
}

fn opened() -> Host {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    host
}

fn failed(answer: &str, condition: &str) -> bool {
    let start = format!("<failure xmlns='{SASL2}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    answer.starts_with(&start)
}

#[test]
fn it_is_offered_inside_tls_only() {
    let features = Host::secure().say(&header("one.test"));
    assert!(features.contains("<authentication xmlns='urn:xmpp:sasl:2'>"), "{features}");
    for name in ["EXPR", "ENDP", "NONE"] {
        assert!(features.contains(&format!("<mechanism>HT-SHA-256-{name}</mechanism>")), "{features}");
    }
    let mut settings = settings();
    settings.tls_required = false;
    let mut host = Host::new(settings, TransportFacts::Tcp { starttls: false });
    let features = host.say(&header("one.test"));
    assert!(features.contains("<mechanisms") && !features.contains("<authentication"), "{features}");
    assert!(failed(&host.say(&by_password("")), "encryption-required"));
}

#[test]
fn a_login_without_wishes_goes_on_in_the_same_stream() {
    let mut host = opened();
    let answer = host.say(&by_password(""));
    let success = format!(
        "<success xmlns='{SASL2}'><authorization-identifier>user@one.test</authorization-identifier></success>"
    );
    assert!(answer.starts_with(&success), "{answer}");
    let features = &answer[success.len()..];
    assert!(features.contains("xmpp-bind") && !features.contains("<stream:stream"), "{features}");
    assert!(host.entries.is_empty(), "nothing to ask for");
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    assert!(host.say(bind).contains("user@one.test/made-here"));
}

#[test]
fn a_session_and_a_token_come_with_it() {
    let mut host = opened();
    let wishes = format!(
        "{}<bind xmlns='urn:xmpp:bind:0'><tag>Swift</tag><enable xmlns='urn:xmpp:carbons:2'/></bind>\
         <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/>",
        agent()
    );
    let answer = host.say(&by_password(&wishes));
    let token = ht::derive(&[3; 32], "user@one.test", CLIENT, "new");
    for expected in [
        "<authorization-identifier>user@one.test/Swift/made-here</authorization-identifier>",
        "<bound xmlns='urn:xmpp:bind:0'/>",
        &format!("token='{token}'"),
        "expiry='1970-01-01T00:00:00",
    ] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    assert!(!answer.contains("xmpp-bind"), "{answer}");
    let [entry] = &host.entries[..] else { panic!("{:?}", host.entries) };
    assert_eq!(entry.wants_token, Mechanism::named("HT-SHA-256-EXPR"));
    assert_eq!(entry.bind.as_ref().map(|bind| bind.wishes.len()), Some(1));
    assert_eq!(host.machine.bound_jid().map(|jid| jid.as_str()), Some("user@one.test/Swift/made-here"));
    host.say("<presence/>");
    assert_eq!(host.stanzas.len(), 1);
}

fn by_token(token: &str, role: &[u8], binding: &[u8], more: &str, mechanism: &str) -> (String, Vec<u8>) {
    let sign = |role: &[u8]| ScramHash::Sha256.sign(token.as_bytes(), &[role, binding].concat());
    let mut message = b"user\0".to_vec();
    message.extend(sign(role));
    (authenticate(mechanism, &message, more), sign(b"Responder"))
}

fn with_token(mechanism: &str, expired: bool) -> (Host, String) {
    let mut host = opened();
    let known = KnownToken { seed: "s".to_owned(), mechanism: mechanism.to_owned(), expired };
    host.tokens = vec![KnownToken { seed: "other".to_owned(), ..known.clone() }, known];
    (host, ht::derive(&[3; 32], "user@one.test", CLIENT, "s"))
}

#[test]
fn a_token_lets_its_client_in_on_its_channel() {
    let channels: [(&str, &[u8]); 3] =
        [("HT-SHA-256-EXPR", &[9; 32]), ("HT-SHA-256-ENDP", &[7; 32]), ("HT-SHA-256-NONE", &[])];
    for (mechanism, binding) in channels {
        let fast = format!("{}<fast xmlns='urn:xmpp:fast:0' count='3'/>", agent());
        let (mut host, token) = with_token(mechanism, false);
        let (login, responder) = by_token(&token, b"Initiator", binding, &fast, mechanism);
        let answer = host.say(&login);
        let data = format!("<additional-data>{}</additional-data>", STANDARD.encode(responder));
        assert!(answer.contains("<success") && answer.contains(&data), "{answer}");
        let [entry] = &host.entries[..] else { panic!() };
        let (seed, used) = entry.token.clone().unwrap();
        assert_eq!((seed.as_str(), used.count), ("s", Some(3)));

        // On another channel; the server's own words; another token; one whose time is over.
        let (mut host, token) = with_token(mechanism, false);
        let wrong = [
            by_token(&token, b"Initiator", &[1; 32], &fast, mechanism).0,
            by_token(&token, b"Responder", binding, &fast, mechanism).0,
        ];
        for login in wrong {
            assert!(failed(&host.say(&login), "not-authorized"));
        }
        let (mut host, token) = with_token(mechanism, true);
        let (login, _) = by_token("another", b"Initiator", binding, &fast, mechanism);
        assert!(failed(&host.say(&login), "not-authorized"));
        let (login, _) = by_token(&token, b"Initiator", binding, &fast, mechanism);
        assert!(failed(&host.say(&login), "credentials-expired"));
        assert!(host.entries.is_empty() && host.machine.identity().is_none());
    }
}

#[test]
fn a_token_is_good_for_its_mechanism_only() {
    let (mut host, token) = with_token("HT-SHA-256-EXPR", false);
    let fast = format!("{}<fast xmlns='urn:xmpp:fast:0'/>", agent());
    let (login, _) = by_token(&token, b"Initiator", b"", &fast, "HT-SHA-256-NONE");
    assert!(failed(&host.say(&login), "not-authorized"));
}

#[test]
fn a_client_that_uses_a_token_says_so_and_who_it_is() {
    let (mut host, token) = with_token("HT-SHA-256-NONE", false);
    for more in [agent(), "<fast xmlns='urn:xmpp:fast:0'/>".to_owned()] {
        let (login, _) = by_token(&token, b"Initiator", b"", &more, "HT-SHA-256-NONE");
        assert!(failed(&host.say(&login), "malformed-request"), "{more}");
    }
    let mut host = opened();
    assert!(failed(&host.say(&by_password("<fast xmlns='urn:xmpp:fast:0'/>")), "malformed-request"));
    assert!(failed(&host.say(&by_password("<user-agent id='me'/>")), "malformed-request"));
}

#[test]
fn nothing_else_is_said_while_it_is_running() {
    for (said, condition) in [
        ("<presence/>", StreamCondition::NotAuthorized),
        ("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>", StreamCondition::PolicyViolation),
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
            StreamCondition::PolicyViolation,
        ),
    ] {
        let mut host = opened();
        let answer = host.say("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>");
        assert_eq!(answer, "<challenge xmlns='urn:xmpp:sasl:2'/>");
        host.say(said);
        assert_eq!(host.failure(), Some(condition), "{said}");
    }
}

#[test]
fn both_profiles_count_the_same_failures() {
    let mut host = opened();
    let wrong = authenticate("PLAIN", b"\0user\0wrong", "");
    assert!(failed(&host.say(&wrong), "not-authorized"));
    assert!(host.say(&plain("user", "wrong")).contains("<not-authorized/>"));
    host.say(&wrong);
    assert_eq!(host.failure(), Some(StreamCondition::PolicyViolation));
}

#[test]
fn the_server_may_refuse_at_the_end() {
    let mut host = opened();
    host.refusal = None;
    host.machine.receive(host.now, by_password(&agent()).as_bytes());
    while let Some(event) = host.machine.poll_event() {
        match event {
            Event::CheckPassword { .. } => host.machine.answer(host.now, Answer::Authenticated),
            Event::Enter(_) => {
                let error = xmpp::error::StanzaError::new(xmpp::error::Condition::ResourceConstraint);
                host.machine.answer(host.now, Answer::BindRefused(error));
            }
            other => panic!("{other:?}"),
        }
    }
    let answer = host.settle();
    assert!(failed(&answer, "temporary-auth-failure"), "{answer}");
    assert!(
        answer.contains("<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"),
        "{answer}"
    );
    assert!(host.machine.identity().is_none());
    assert!(host.say(&by_password("")).contains("<success"));
}
