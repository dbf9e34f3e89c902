//! What is kept and what is refused, without a server around it.

use store::ArchiveQuery;
use store::Page;

use super::*;
use crate::check::{bare, element, friends, iq, jid, sessions, shown, stepped};

fn archive(last: u64, peak: u64) -> Archive {
    let peak = SystemTime::UNIX_EPOCH + Duration::from_secs(peak);
    let state = ArchiveState { is_new: last == 0, last, peak, ends: None };
    Archive::load(&Seal::default(), &bare("alice@one.test"), SystemTime::UNIX_EPOCH, state, None)
}

fn chat(from: &str, inner: &str) -> Stanza {
    Stanza::message(Type::Chat)
        .with_from(jid(from))
        .with_to(jid("alice@one.test"))
        .with_child(&element(inner))
}

/// What one message makes of an archive: what is written, and the message as it goes on.
fn receive(archive: &mut Archive, message: Stanza) -> (Option<ArchiveMessage>, Stanza) {
    let alice = bare("alice@one.test");
    let (message, left) =
        stepped(|step| keep_received(archive, &friends(&["bob@two.test"]), &alice, message, step));
    let kept = left.writes.into_iter().find_map(|write| match write {
        Write::ArchiveKeep(kept) => Some(*kept),
        _ => None,
    });
    (kept, message)
}

#[test]
fn numbers_follow_one_another_and_are_not_given_out_twice() {
    let mut own = archive(0, 0);
    let body = || chat("bob@two.test/x", "<body xmlns='jabber:client'>hello</body>");
    let (first, message) = receive(&mut own, body());
    let first = first.expect("kept");
    assert_eq!((first.seq, first.first, first.sent, first.same_as), (1, true, false, None));
    assert_eq!((message.archived(), first.words), (Some(1), "hello".to_owned()));
    let (second, _) = receive(&mut own, body().archived_as(7));
    let second = second.expect("kept");
    assert_eq!((second.seq, second.first), (2, false));
    assert_eq!(second.same_as, Some((bare("bob@two.test"), 7)), "where its sender has it");

    // It comes again, from a device that did not take it.
    let (again, message) = receive(&mut own, message.archived_as(0));
    assert_eq!((again, message.archived()), (None, Some(1)));

    // After a failed commit the store has the first alone.
    let mut anew = archive(1, 0);
    anew.carry_over(&own);
    assert_eq!(receive(&mut anew, body()).0.map(|kept| kept.seq), Some(3));
}

#[test]
fn a_clock_that_goes_back_a_little_stands_still() {
    // A step takes place at 1,800,000,000 s.
    let times = |peak| {
        let (kept, _) =
            receive(&mut archive(1, peak), chat("bob@two.test/x", "<body xmlns='jabber:client'>a</body>"));
        let kept = kept.expect("kept");
        [kept.at, kept.peak].map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    };
    assert_eq!(times(1_700_000_000), [1_800_000_000, 1_800_000_000]);
    assert_eq!(times(1_800_000_060), [1_800_000_060, 1_800_000_060]);
    assert_eq!(times(1_800_000_061), [1_800_000_000, 1_800_000_061]);
}

#[test]
fn what_an_owner_prefers_decides() {
    let roster = friends(&["bob@two.test"]);
    let wanted = |prefs: &str, with: &str| Preferences::read(prefs.as_bytes()).want(&roster, &jid(with));
    for (prefs, with, expected) in [
        ("nonsense", "eve@two.test", true),
        ("<prefs xmlns='urn:xmpp:mam:2' default='never'/>", "bob@two.test/x", false),
        ("<prefs xmlns='urn:xmpp:mam:2' default='roster'/>", "bob@two.test/x", true),
        ("<prefs xmlns='urn:xmpp:mam:2' default='roster'/>", "eve@two.test", false),
    ] {
        assert_eq!(wanted(prefs, with), expected, "{prefs} {with}");
    }
    let mut nobody = Archive::default();
    let (kept, message) =
        receive(&mut nobody, chat("bob@two.test/x", "<body xmlns='jabber:client'>a</body>"));
    assert_eq!((kept, message.has_ns(ns::SID)), (None, false), "nothing is archived of an anonymous visitor");
}

#[test]
fn too_many_addresses_and_ids_are_refused() {
    let mut all = sessions(&["alice@one.test/phone"]);
    let mut ask = |type_: Type, payload: &str| {
        let question = iq(type_, payload).with_from(jid("alice@one.test/phone"));
        let mut own = archive(9, 0);
        let alice = bare("alice@one.test");
        let (reply, _) =
            stepped(|step| answer_own(&mut own, &mut all, &alice, SessionId(0), &question, step));
        shown(reply)
    };
    let many: String = (0..=1_000).map(|number| format!("<jid>u{number}@two.test</jid>")).collect();
    let prefs = format!("<prefs xmlns='urn:xmpp:mam:2' default='never'><always>{many}</always></prefs>");
    assert_eq!(ask(Type::Set, &prefs), "policy-violation");
    let many = "<value>x</value>".repeat(251);
    let query = format!(
        "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='ids'>{many}</field></x></query>"
    );
    assert_eq!(ask(Type::Set, &query), "policy-violation");
    assert_eq!(ask(Type::Set, "<query xmlns='urn:xmpp:mam:2'/>"), "later");
    assert_eq!(shown(answer_other()), "forbidden");
}

#[test]
fn pages_have_a_size() {
    let read = |set: &str| {
        let text = format!(
            "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>{set}</set></query>"
        );
        query::read(&element(&text), &|_| Some(1)).map(|query| (query.max, query.count)).ok()
    };
    for (set, expected) in [
        ("", (50, false)),
        ("<max>7</max>", (7, false)),
        ("<max>1000000</max>", (250, false)),
        ("<max>0</max>", (0, true)),
    ] {
        assert_eq!(read(set), Some(expected), "{set}");
    }
    assert_eq!(read("<max>99999999999999999999999999</max>"), None);
}

#[test]
fn only_who_goes_on_to_the_end_reads_the_archive() {
    let page = |page| ArchiveQuery { page, max: 50, ..ArchiveQuery::default() };
    for reads in [
        page(Page::First),
        page(Page::Last),
        page(Page::After(3)),
        ArchiveQuery { after: Some(3), ..page(Page::Last) },
    ] {
        assert!(query::reaches_the_end(&reads), "{reads:?}");
    }
    for not in [
        page(Page::Before(3)),
        ArchiveQuery { max: 0, ..page(Page::First) },
        ArchiveQuery { before: Some(3), ..page(Page::First) },
        ArchiveQuery { ids: vec![1], ..page(Page::First) },
        ArchiveQuery { end: Some(SystemTime::UNIX_EPOCH), ..page(Page::Last) },
        ArchiveQuery { with: Some(jid("bob@two.test")), ..page(Page::First) },
        ArchiveQuery { words: "a".to_owned(), ..page(Page::First) },
    ] {
        assert!(!query::reaches_the_end(&not), "{not:?}");
    }
}
