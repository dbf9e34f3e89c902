//! Client and server log in to each other, by every mechanism, well and badly.

use super::*;
use crate::client::{ClientClosed, Login};
use crate::sasl::Mechanism;
use crate::tls::ClientCertificate;

fn password(username: &str, password: &str) -> ClientSettings {
    let login = Login::Password { username: username.into(), password: password.into() };
    ClientSettings::new("one.test", login)
}

fn password_mechanisms() -> Vec<Mechanism> {
    let scram = ScramHash::ALL.into_iter();
    let scram = scram.flat_map(|hash| [Mechanism::Scram(hash), Mechanism::ScramPlus(hash)]);
    scram.chain([Mechanism::Plain]).collect()
}

fn with(mechanism: Mechanism, mut client: ClientSettings) -> Pair {
    client.mechanisms = Some(vec![mechanism]);
    Pair::secure(settings(), client)
}

#[test]
fn every_mechanism_takes_the_right_password() {
    for mechanism in password_mechanisms() {
        let mut pair = with(mechanism, password("user", PASSWORD));
        pair.run();
        assert_eq!(pair.bound(), Some("user@one.test/made-here"), "{mechanism:?}");
        let identity = pair.host.machine.identity().unwrap();
        assert_eq!(identity.mechanism(), mechanism);
        assert_eq!(identity.account().as_str(), "user@one.test");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    for mechanism in password_mechanisms() {
        let shapes: Vec<String> = [("user", "pencils"), ("nobody", PASSWORD)]
            .into_iter()
            .map(|(username, secret)| {
                let mut pair = with(mechanism, password(username, secret));
                pair.run();
                assert_eq!(pair.login_failure(), Some(SaslCondition::NotAuthorized));
                assert!(pair.host.machine.identity().is_none());
                // Same length, same elements: only nonce and salt differ.
                let at = pair.heard.find("</stream:features>").unwrap();
                let said = &pair.heard[at..];
                let end = said.find("<challenge").map(|at| (at, said.find("</challenge>")));
                match end {
                    Some((start, Some(end))) => {
                        format!("{}{}{}", &said[..start], end - start, &said[end..])
                    }
                    _ => said.to_owned(),
                }
            })
            .collect();
        assert_eq!(shapes[0], shapes[1], "{mechanism:?}");
    }
}

#[test]
fn the_salt_of_an_unknown_user_is_steady() {
    let challenge = || {
        let mut host = Host::secure();
        host.say(&header("one.test"));
        let answer = host.say(&auth("SCRAM-SHA-256", &crate::sasl::encode("n,,n=ghost,r=abc")));
        let start = answer.find("<challenge").unwrap();
        let text = answer[start..].split_once('>').unwrap().1.split_once('<').unwrap().0.to_owned();
        let text = crate::sasl::decode(&text).unwrap();
        text.split(',').find(|part| part.starts_with("s=")).unwrap().to_owned()
    };
    assert_eq!(challenge(), challenge());
}

#[test]
fn another_channel_is_noticed() {
    for hash in ScramHash::ALL {
        let mut client = password("user", PASSWORD);
        client.mechanisms = Some(vec![Mechanism::ScramPlus(hash)]);
        let host = Host::secure();
        let mut elsewhere = facts();
        elsewhere.exporter = Some([8; 32]);
        let mut pair = Pair::new(host, client.clone(), TransportFacts::DirectTls(elsewhere));
        pair.run();
        assert_eq!(pair.login_failure(), Some(SaslCondition::NotAuthorized));

        // tls-server-end-point, where it is all the client has.
        for (end_point, right) in [(vec![7; 32], true), (vec![6; 32], false)] {
            let tls = TlsFacts { end_point: Some(end_point), ..TlsFacts::default() };
            let transport = TransportFacts::DirectTls(tls);
            let mut pair = Pair::new(Host::secure(), client.clone(), transport);
            pair.run();
            assert_eq!(pair.bound().is_some(), right);
        }
    }
}

#[test]
fn plus_mechanisms_taken_off_the_list_are_noticed_by_the_server() {
    // The client sees neither -PLUS nor XEP-0440 and says `y`.
    let mut pair = Pair::secure(settings(), password("user", PASSWORD));
    pair.run_with(|sent| match sent.find("<sasl-channel-binding") {
        Some(start) => {
            let end = sent.find("</sasl-channel-binding>").unwrap();
            let rest = sent[end..].replace("</sasl-channel-binding>", "");
            let mut text = format!("{}{rest}", &sent[..start]);
            for hash in ["SHA-512", "SHA-256", "SHA-1"] {
                text = text.replace(&format!("<mechanism>SCRAM-{hash}-PLUS</mechanism>"), "");
            }
            text
        }
        None => sent,
    });
    assert_eq!(pair.login_failure(), Some(SaslCondition::NotAuthorized));
}

#[test]
fn a_changed_list_is_noticed_by_the_client() {
    // XEP-0474: somebody wants the client to use the weakest hash.
    let mut pair = Pair::secure(settings(), password("user", PASSWORD));
    pair.run_with(|sent| {
        sent.replace("<mechanism>SCRAM-SHA-512-PLUS</mechanism>", "")
            .replace("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "")
    });
    let closed = pair.events.iter().any(
        |event| matches!(event, ClientEvent::Closed(ClientClosed::Protocol(why)) if why.contains("changed")),
    );
    assert!(closed, "{:?}", pair.events);
}

#[test]
fn starttls_then_the_strongest_mechanism() {
    let host = Host::new(settings(), TransportFacts::Tcp { starttls: true });
    let mut client = password("user", PASSWORD);
    client.resource = Some("phone".into());
    let mut pair = Pair::new(host, client, TransportFacts::Tcp { starttls: true });
    pair.run();
    assert_eq!(pair.bound(), Some("user@one.test/phone"));
    let identity = pair.host.machine.identity().unwrap();
    assert_eq!(identity.mechanism(), Mechanism::ScramPlus(ScramHash::Sha512));
    let features = pair.features();
    assert_eq!(features.len(), 3);
    let tls = "urn:ietf:params:xml:ns:xmpp-tls";
    let starttls = features[0].child(tls, "starttls").unwrap();
    assert!(starttls.child(tls, "required").is_some());
    assert!(features[0].child("urn:ietf:params:xml:ns:xmpp-sasl", "mechanisms").is_none());
    assert!(features[1].child(tls, "starttls").is_none());
    let limits = features[2].child("urn:xmpp:stream-limits:0", "limits").unwrap();
    let numbers: Vec<_> = limits.children().map(|child| child.text()).collect();
    assert_eq!(numbers, ["262144", "300"]);
    let session = features[2].child("urn:ietf:params:xml:ns:xmpp-session", "session").unwrap();
    assert_eq!(session.children().next().unwrap().name(), "optional");
    // Three streams, three ids.
    let ids: std::collections::BTreeSet<_> = pair
        .heard
        .match_indices(" id='")
        .map(|(at, _)| pair.heard[at + 5..].split('\'').next().unwrap())
        .filter(|id| id.len() == 24)
        .collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn the_host_can_refuse_for_its_own_reasons() {
    for condition in [SaslCondition::AccountDisabled, SaslCondition::TemporaryAuthFailure] {
        for mechanism in password_mechanisms() {
            let mut pair = with(mechanism, password("user", PASSWORD));
            pair.host.refusal = Some(condition);
            pair.run();
            assert_eq!(pair.login_failure(), Some(condition));
        }
    }
}

fn certificate(names: &[&str], trusted: bool, authzid: Option<&str>) -> Pair {
    let xmpp_addrs = names.iter().map(|name| (*name).to_owned()).collect();
    let tls = TlsFacts { client: Some(ClientCertificate { xmpp_addrs, trusted }), ..facts() };
    let host = Host::new(settings(), TransportFacts::DirectTls(tls));
    let login = Login::Certificate { authzid: authzid.map(str::to_owned) };
    let mut client = ClientSettings::new("one.test", login);
    client.mechanisms = Some(vec![Mechanism::External]);
    let mut pair = Pair::new(host, client, TransportFacts::DirectTls(facts()));
    pair.run();
    pair
}

#[test]
fn a_certificate_logs_in() {
    assert_eq!(certificate(&["user@one.test"], true, None).bound(), Some("user@one.test/made-here"));
    let both = ["user@one.test", "other@one.test"];
    let chosen = certificate(&both, true, Some("user@one.test"));
    assert_eq!(chosen.bound(), Some("user@one.test/made-here"));
    let condition = |pair: Pair| pair.login_failure().unwrap();
    assert_eq!(condition(certificate(&both, true, None)), SaslCondition::InvalidAuthzid);
    let foreign = certificate(&["user@one.test"], true, Some("admin@one.test"));
    assert_eq!(condition(foreign), SaslCondition::InvalidAuthzid);
    let ghost = certificate(&["ghost@one.test"], true, None);
    assert_eq!(condition(ghost), SaslCondition::NotAuthorized);
    let untrusted = certificate(&["user@one.test"], false, None);
    assert_eq!(condition(untrusted), SaslCondition::InvalidMechanism);
    let elsewhere = certificate(&["user@two.test"], true, None);
    assert_eq!(condition(elsewhere), SaslCondition::InvalidMechanism);
}

#[test]
fn anonymous_only_where_it_is_allowed() {
    let client = || {
        let mut client = ClientSettings::new("one.test", Login::Anonymous);
        client.mechanisms = Some(vec![Mechanism::Anonymous]);
        client
    };
    let mut pair = Pair::secure(settings(), client());
    pair.run();
    assert_eq!(pair.login_failure(), Some(SaslCondition::InvalidMechanism));
    let mut open = settings();
    open.anonymous = true;
    let mut pair = Pair::secure(open, client());
    pair.run();
    let jid = pair.bound().unwrap();
    assert!(jid.ends_with("@one.test/made-here"), "{jid}");
    assert_eq!(jid.find('@'), Some(36));
    assert!(pair.host.machine.identity().unwrap().is_anonymous());
}

#[test]
fn names_and_passwords_with_every_kind_of_character() {
    let mut pair = Pair::secure(settings(), password("USER", PASSWORD));
    pair.run();
    assert_eq!(pair.bound(), Some("user@one.test/made-here"));
}
