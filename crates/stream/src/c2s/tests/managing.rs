//! Stream management on a client's stream (XEP-0198): what it is answered.

use super::Host;

const FAILED: &str = "<failed xmlns='urn:xmpp:sm:3'";

fn logged_in() -> Host {
    let mut host = Host::secure();
    host.log_in();
    host
}

#[test]
fn what_is_asked_of_a_managed_stream_is_said_in_both_styles() {
    for (asked, answered) in [
        ("", "<enabled xmlns='urn:xmpp:sm:3'/>"),
        (" resume='0'", "<enabled xmlns='urn:xmpp:sm:3'/>"),
        (" resume='1'", "id='sm-1' resume='true' max='600' location='one.test:5222'"),
        (" resume='true' max='30'", "resume='true' max='30'"),
    ] {
        let said = Host::bound().say(&format!("<enable xmlns='urn:xmpp:sm:3'{asked}/>"));
        assert!(said.contains(answered), "{asked}: {said}");
    }
    for bad in ["resume='yes'", "resume='1' max='-1'", "resume='1' max='4294967296'"] {
        let mut host = Host::bound();
        let said = host.say(&format!("<enable xmlns='urn:xmpp:sm:3' {bad}/>"));
        assert!(said.starts_with(FAILED) && said.contains("<bad-request"), "{bad}: {said}");
        assert!(host.say("<enable xmlns='urn:xmpp:sm:3'/>").starts_with("<enabled"), "it may try again");
    }
}

#[test]
fn a_former_stream_goes_on() {
    let mut host = logged_in();
    let said = host.say("<resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='7'/>");
    assert_eq!(said, "<resumed xmlns='urn:xmpp:sm:3' previd='sm-1' h='5'/>");
    assert_eq!(host.acked, Some(7));
    assert_eq!(host.say("<r xmlns='urn:xmpp:sm:3'/>"), "<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert!(host.say("<enable xmlns='urn:xmpp:sm:3'/>").contains("<unexpected-request"));
    host.say("<message to='bob@one.test'/>");
    assert!(host.stanzas[0].contains("from='user@one.test/former'"), "{:?}", host.stanzas);
}

#[test]
fn a_stream_that_is_not_there_is_not_resumed_and_another_can_begin() {
    let mut host = logged_in();
    for (asked, answered) in [
        ("previd='sm-0' h='0'", "h='4'"),
        ("previd='other' h='0'", "<item-not-found"),
        ("h='0'", "<bad-request"),
        ("previd='sm-1'", "<bad-request"),
        ("previd='sm-1' h='-1'", "<bad-request"),
        ("previd='sm-1' h='many'", "<bad-request"),
    ] {
        let said = host.say(&format!("<resume xmlns='urn:xmpp:sm:3' {asked}/>"));
        assert!(said.starts_with(FAILED) && said.contains(answered), "{asked}: {said}");
    }
    assert!(host.say("<enable xmlns='urn:xmpp:sm:3'/>").contains("<unexpected-request"));
    let bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    assert!(host.say(bind).contains("type='result'"));
}

#[test]
fn nobody_tries_ids_for_ever() {
    let mut host = logged_in();
    let mut said = String::new();
    for _ in 0..crate::limits::BIND_REFUSALS_MAX {
        said = host.say("<resume xmlns='urn:xmpp:sm:3' previd='guess' h='0'/>");
    }
    assert!(said.contains("<policy-violation"), "{said}");
}
