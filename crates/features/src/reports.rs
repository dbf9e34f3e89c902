//! Reports of spam and abuse (XEP-0377): they come with an order to block somebody, and the operator reads them.

use std::collections::BTreeSet;

use step::{Card, Step};
use store::Write;
use xmpp::datetime;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

/// The topic of the notes that keep reports: one for each address that an account has reported, its key.
pub const TOPIC: &str = "reports";

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 377,
    version: "0.4.1",
    title: "Blocking Command Reports",
    host: &[ns::REPORTING],
    note: "Reports are kept for the operator and forwarded to nobody.",
    ..Card::PLAIN
};

/// Addresses that one account may have reported; a report of one more is not kept.
const REPORTS_MAX: usize = 200;
/// Bytes of one report; of a longer one only the reason is kept.
const REPORT_BYTES_MAX: usize = 8 << 10;

/// Whom an account has reported.
#[derive(Debug, Clone, Default)]
pub struct Reported(BTreeSet<String>);

impl Reported {
    /// Reads them from the notes of topic [`TOPIC`].
    pub fn load(notes: Vec<(String, Vec<u8>)>) -> Self {
        Reported(notes.into_iter().map(|(address, _)| address).collect())
    }
}

/// Keeps what an order to block says of those whom it blocks. The order has been carried out: a report never changes
/// what comes of it (§6), and one that says no reason says nothing (§4).
pub fn keep(reported: &mut Reported, account: &BareJid, iq: &Stanza, step: &mut Step<'_>) {
    let Some(order) = iq.element(ns::BLOCKING, "block") else { return };
    for item in order.children().filter(|item| item.is(ns::BLOCKING, "item")) {
        let Some(report) = item.child(ns::REPORTING, "report") else { continue };
        let (Some(reason), Some(Ok(address))) = (report.attr("reason"), item.attr("jid").map(Jid::new))
        else {
            continue;
        };
        let address = address.to_string();
        if reported.0.len() >= REPORTS_MAX && !reported.0.contains(&address) {
            continue;
        }
        let short = Element::new(ns::REPORTING, "report").with_attr("reason", reason);
        let kept = if report.to_xml().len() > REPORT_BYTES_MAX { &short } else { report };
        if kept.to_xml().len() > REPORT_BYTES_MAX {
            continue;
        }
        let note = Element::new(ns::REPORTING, "reported")
            .with_attr("jid", &address)
            .with_attr("at", datetime::format(step.wall))
            .with_child(kept.clone());
        let value = Some(note.to_xml().into_bytes());
        step.write(Write::Note { owner: account.clone(), topic: TOPIC, key: address.clone(), value });
        reported.0.insert(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, iq, stepped};
    use xmpp::stanza::Type;

    fn kept(reported: &mut Reported, items: &str) -> Vec<String> {
        let order = iq(Type::Set, &format!("<block xmlns='urn:xmpp:blocking'>{items}</block>"));
        let left = stepped(|step| keep(reported, &bare("alice@one.test"), &order, step)).1;
        let notes = left.writes.into_iter().filter_map(|write| match write {
            Write::Note { topic: TOPIC, value: Some(value), .. } => String::from_utf8(value).ok(),
            _ => None,
        });
        notes.collect()
    }

    fn item(jid: &str, report: &str) -> String {
        format!("<item jid='{jid}'><report xmlns='urn:xmpp:reporting:1'{report}</report></item>")
    }

    #[test]
    fn each_is_kept_with_its_own_reason() {
        let mut reported = Reported::default();
        let both =
            item("a@two.test", " reason='r:1'>") + "<item jid='b@two.test'/>" + &item("c@two.test", ">");
        let notes = kept(&mut reported, &both);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("a@two.test") && notes[0].contains("r:1"), "{}", notes[0]);
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut reported = Reported::default();
        for number in 0..REPORTS_MAX {
            assert_eq!(kept(&mut reported, &item(&format!("{number}@two.test"), " reason='r'>")).len(), 1);
        }
        assert!(kept(&mut reported, &item("more@two.test", " reason='r'>")).is_empty());
        let long = format!(" reason='r'><text>{}</text>", "x".repeat(REPORT_BYTES_MAX));
        let notes = kept(&mut reported, &item("1@two.test", &long));
        assert!(notes.len() == 1 && !notes[0].contains("text"), "{notes:?}");
        let endless = format!(" reason='{}'>", "x".repeat(REPORT_BYTES_MAX));
        assert!(kept(&mut reported, &item("1@two.test", &endless)).is_empty());
    }
}
