//! The most specific setting holds, rubbish does not, and what goes from the node goes from here.

use std::time::SystemTime;

use super::*;
use crate::check::{bare, jid};

const ROOM: &str = "play@rooms.test";

fn item(id: &str, seq: u64, xml: &str) -> NodeItem {
    NodeItem { id: id.to_owned(), seq, at: SystemTime::UNIX_EPOCH, xml: xml.as_bytes().to_vec() }
}

fn bookmark(settings: &str) -> String {
    let notify = format!("<notify xmlns='urn:xmpp:notification-settings:1'>{settings}</notify>");
    format!(
        "<conference xmlns='urn:xmpp:bookmarks:1'><nick>JC</nick><extensions>\
         <state xmlns='urn:x'/>{notify}</extensions></conference>"
    )
}

fn put(node: &str, item: NodeItem) -> Write {
    Write::ItemPut { owner: bare("alice@one.test"), node: node.to_owned(), item }
}

fn identity(category: &str, type_: &str) -> Identity {
    Identity { category: category.to_owned(), type_: type_.to_owned() }
}

/// What is set for the room, for clients of these identities.
fn set(settings: &str, identities: &[Identity]) -> Option<Setting> {
    Settings::load(vec![item(ROOM, 1, &bookmark(settings))]).of(&jid(ROOM), identities)
}

#[test]
fn the_most_specific_setting_holds() {
    // XEP-0492 §2.2, in another order
    let example = "<always/><on-mention identity-category='gateway'/>\
        <never identity-category='client' identity-type='pc'/>\
        <on-mention identity-category='client' identity-type='phone'/>";
    for (identities, expected) in [
        (vec![], Setting::Always),
        (vec![identity("client", "pc")], Setting::Never),
        (vec![identity("client", "phone")], Setting::OnMention),
        (vec![identity("client", "web")], Setting::Always),
        (vec![identity("gateway", "irc")], Setting::OnMention),
        (vec![identity("automation", "phone")], Setting::Always),
        // Both are its own: a type is more specific than a category.
        (vec![identity("gateway", "irc"), identity("client", "pc")], Setting::Never),
        // The category is that of one identity, the type of another.
        (vec![identity("client", "web"), identity("gateway", "pc")], Setting::OnMention),
    ] {
        assert_eq!(set(example, &identities), Some(expected), "{identities:?}");
    }
    let category =
        "<never identity-category='client'/><always identity-category='client' identity-type='pc'/>";
    assert_eq!(set(category, &[identity("client", "pc")]), Some(Setting::Always));
    assert_eq!(set(category, &[identity("client", "phone")]), Some(Setting::Never));
    assert_eq!(set(category, &[identity("gateway", "phone")]), None);
    assert_eq!(set(category, &[]), None);
}

#[test]
fn what_is_none_is_overlooked() {
    assert_eq!(set("<never><advanced><night xmlns='urn:x'/></advanced></never>", &[]), Some(Setting::Never));
    assert_eq!(set("<never/><always/>", &[]), Some(Setting::Always));
    assert_eq!(set("<never/><on-mention/><never/>", &[]), Some(Setting::OnMention));
    for none in [
        "",
        "never",
        "<often/>",
        "<never xmlns='urn:x'/>",
        "<never identity-type='pc'/>",
        "<x xmlns='urn:x'><never/></x>",
    ] {
        assert_eq!(set(none, &[identity("client", "pc")]), None, "{none}");
    }
    let notify = "<notify xmlns='urn:xmpp:notification-settings:1'><never/></notify>";
    let long = "x".repeat(BOOKMARK_BYTES_MAX);
    for elsewhere in [
        String::new(),
        "rubbish".to_owned(),
        notify.to_owned(),
        format!("<conference xmlns='urn:xmpp:bookmarks:1'>{notify}</conference>"),
        format!("<conference xmlns='urn:x'><extensions>{notify}</extensions></conference>"),
        format!("<x xmlns='urn:xmpp:bookmarks:1'><extensions>{notify}</extensions></x>"),
        bookmark("<never/>").replace(":settings:1", ":settings:0").replace("settings:1", "settings:0"),
        bookmark(&format!("<never/><x>{long}</x>")),
    ] {
        let settings = Settings::load(vec![item(ROOM, 1, &elsewhere)]);
        assert_eq!(settings.of(&jid(ROOM), &[]), None, "{elsewhere}");
    }
    let nobody =
        Settings::load(vec![item("a@b@c", 1, &bookmark("<never/>")), item("", 2, &bookmark("<never/>"))]);
    assert!(nobody.chats.is_empty());
}

#[test]
fn addresses_are_compared_as_addresses() {
    let never = bookmark("<never/>");
    let mut settings =
        Settings::load(vec![item("Play@Rooms.test", 1, &never), item("play@rooms.test/bob", 2, &never)]);
    assert_eq!(settings.of(&jid(ROOM), &[]), Some(Setting::Never));
    assert_eq!(settings.of(&jid("play@rooms.test/bob"), &[]), Some(Setting::Never));
    assert_eq!(settings.of(&jid("play@rooms.test/carol"), &[]), None);
    assert_eq!(settings.of(&jid("play@rooms.tes"), &[]), None);

    // Two items of one chat: one goes, the other stays.
    settings.heed(&[put(ns::BOOKMARKS, item(ROOM, 3, &bookmark("<always/>")))]);
    assert_eq!(settings.of(&jid(ROOM), &[]), Some(Setting::Always));
    let (owner, node) = (bare("alice@one.test"), ns::BOOKMARKS.to_owned());
    settings.heed(&[Write::ItemRemove { owner, node, id: ROOM.to_owned() }]);
    assert_eq!(settings.of(&jid(ROOM), &[]), Some(Setting::Never));
}

#[test]
fn what_goes_from_the_node_is_set_no_more() {
    let (owner, node) = (bare("alice@one.test"), ns::BOOKMARKS.to_owned());
    let never = || put(ns::BOOKMARKS, item(ROOM, 1, &bookmark("<never/>")));
    let other = "another".to_owned();
    let gone = [
        put(ns::BOOKMARKS, item(ROOM, 2, &bookmark(""))),
        put(ns::BOOKMARKS, item(ROOM, 2, "")),
        Write::ItemRemove { owner: owner.clone(), node: node.clone(), id: ROOM.to_owned() },
        Write::NodePurge { owner: owner.clone(), node: node.clone() },
        Write::NodeRemove { owner: owner.clone(), node: node.clone() },
    ];
    for write in gone {
        let mut settings = Settings::default();
        settings.heed(&[never()]);
        assert_eq!(settings.of(&jid(ROOM), &[]), Some(Setting::Never));
        settings.heed(std::slice::from_ref(&write));
        assert!(settings.chats.is_empty(), "{write:?}");
    }
    let mut settings = Settings::default();
    settings.heed(&[
        never(),
        put(&other, item(ROOM, 2, &bookmark("<always/>"))),
        Write::ItemRemove { owner: owner.clone(), node: other.clone(), id: ROOM.to_owned() },
        Write::NodePurge { owner: owner.clone(), node: other.clone() },
        Write::NodeRemove { owner: owner.clone(), node: other },
        Write::ItemRemove { owner, node, id: "other@rooms.test".to_owned() },
    ]);
    assert_eq!(settings.of(&jid(ROOM), &[]), Some(Setting::Never));
}

#[test]
fn settings_are_bounded() {
    let never = bookmark("<never/>");
    let numbered = |number: usize| item(&format!("{number}@rooms.test"), number as u64, &never);
    let mut settings = Settings::default();
    for number in 1..=CHATS_MAX + 1 {
        settings.heed(&[put(ns::BOOKMARKS, numbered(number))]);
    }
    assert_eq!(settings.chats.len(), CHATS_MAX);
    assert_eq!(settings.of(&jid("1@rooms.test"), &[]), None);
    assert_eq!(settings.of(&jid("2@rooms.test"), &[]), Some(Setting::Never));

    let others = "<never identity-category='x'/>".repeat(CHOICES_MAX);
    assert_eq!(set(&format!("<never/>{others}"), &[]), Some(Setting::Never));
    assert_eq!(set(&format!("{others}<never/>"), &[]), None);
}
