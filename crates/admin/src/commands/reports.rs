//! What people have reported as spam or abuse (XEP-0377).

use futures_util::future::BoxFuture;
use store::Store;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::xml::{self, Element};

use super::{Arguments, Command, Layout, Lines, Refused, line};
use crate::desk::{Desk, unreadable};

/// Lists reports, the oldest first.
pub const LIST: Command = Command {
    name: "get-reports",
    words: &["report", "list"],
    doc: "List what people have reported as spam or abuse",
    arguments: &[super::COUNT],
    layout: Layout::Values,
    run: list,
};

fn list<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let store: &Store = desk.store();
        let found = store.notes_of_all(features::reports::TOPIC).await.map_err(|error| unreadable(&error))?;
        let mut reports: Vec<String> =
            found.iter().filter_map(|(reporter, _, note)| in_words(reporter, note)).collect();
        reports.sort();
        Ok(reports.into_iter().take(arguments.count()?).map(|report| line("report", report)).collect())
    })
}

/// When, whom, by whom, why, in which words, and which messages. One line: whatever was written stays in its quotes.
fn in_words(reporter: &BareJid, note: &[u8]) -> Option<String> {
    let note = xml::parse(note, xml::Limits::default()).ok()?;
    let report = note.child(ns::REPORTING, "report")?;
    let (at, jid, reason) = (note.attr("at")?, note.attr("jid")?, report.attr("reason")?);
    let mut words = format!("{at} {jid} by {reporter}: {}", plain(reason));
    for text in report.children().filter(|child| child.is(ns::REPORTING, "text")).map(Element::text) {
        words.push_str(&format!(" {:?}", text.trim()));
    }
    for id in report.children().filter(|child| child.is(ns::SID, "stanza-id")) {
        words.push_str(&format!(" {}", plain(id.attr("id").unwrap_or_default())));
    }
    Some(words)
}

/// Without anything that a terminal could obey.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_that_no_terminal_obeys() {
        let note = "<reported xmlns='urn:xmpp:reporting:1' jid='bob@two.test' at='2026-01-01T00:00:00Z'>\
            <report reason='r&#10;x'><text>\u{9b}31m\nfake</text>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='a@b'/></report></reported>";
        let reporter = BareJid::new("alice@one.test").unwrap();
        assert_eq!(
            in_words(&reporter, note.as_bytes()).unwrap(),
            "2026-01-01T00:00:00Z bob@two.test by alice@one.test: r x \"\\u{9b}31m\\nfake\" 1"
        );
        assert_eq!(in_words(&reporter, b"rubbish"), None);
    }
}
