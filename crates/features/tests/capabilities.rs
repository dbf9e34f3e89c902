//! The hash in the stream features is the hash of what disco#info answers (XEP-0115 §6.3).

use features::{ad_hoc, blocking, caps, disco, ping, vcard};
use step::{Card, Domain, Reply};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

const CARDS: &[Card] = &[disco::CARD, caps::CARD, ping::CARD, blocking::CARD, vcard::CARD, ad_hoc::CARD];

fn domain() -> Domain {
    Domain {
        jid: Jid::new("one.test").expect("a domain"),
        registration_open: false,
        admins: [].into(),
        contacts: [("abuse-addresses".to_owned(), "mailto:abuse@one.test".to_owned())].into(),
        archive_keep: None,
        seal: Default::default(),
        push_shows: Default::default(),
        strangers_may_write: true,
        limits: Default::default(),
    }
}

fn ask(node: Option<&str>) -> Element {
    let domain = domain();
    let query = Element::new(ns::DISCO_INFO, "query").with_attr_opt("node", node);
    let iq = Stanza::iq(Type::Get, "1")
        .with_from(Jid::new("bob@two.test/x").expect("an address"))
        .with_to(domain.jid.clone())
        .with_child(&query);
    let caps_node = caps::node(&disco::host_info(CARDS, &domain));
    match disco::answer_host(CARDS, &ad_hoc::list(), &caps_node, &iq, &domain) {
        Ok(Reply::Result(query)) => query,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_advertised_hash_is_that_of_the_answer() {
    let feature = caps::element(&disco::host_info(CARDS, &domain()));
    let ver = feature.attr("ver").expect("a hash");
    let node = format!("{}#{ver}", feature.attr("node").expect("a node"));
    assert_eq!(caps::ver(&ask(None)), ver);
    assert_eq!(caps::ver(&ask(Some(&node))), ver);
}
