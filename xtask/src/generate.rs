//! What is written from the code and never by hand: doap.xml, the table of extensions, the settings' reference.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Result, bail};
use server::cards::CARDS;
use step::Card;
use step::rules::{Copied, Inactive, Push, RULES};

use crate::coverage;

/// Whether files are written, or only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write them.
    Write,
    /// Say which would change.
    Check,
}

/// Writes, or compares, every generated file.
pub fn run(mode: Mode) -> Result<()> {
    let files = [
        ("doap.xml", doap()),
        ("docs/operate/extensions.md", table()),
        ("docs/operate/messages.md", rules()),
        ("docs/operate/settings.md", settings()),
        ("docs/build/coverage.md", coverage::page()?),
    ];
    let mut stale = Vec::new();
    for (path, text) in &files {
        if fs::read_to_string(path).ok().as_ref() == Some(text) {
            continue;
        }
        match mode {
            Mode::Write => fs::write(path, text)?,
            Mode::Check => stale.push(*path),
        }
    }
    if !stale.is_empty() {
        bail!("stale: {}; run `cargo xtask generate`", stale.join(", "));
    }
    println!("generated pages are as the code says");
    Ok(())
}

fn extensions() -> impl Iterator<Item = &'static Card> {
    CARDS.iter().filter(|card| card.xep > 0)
}

/// A description of the project by XEP-0453.
fn doap() -> String {
    let mut text = String::from(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <!-- Written by `cargo xtask generate` from the feature cards. -->\n\
         <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'\n         \
         xmlns='http://usefulinc.com/ns/doap#'\n         \
         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>\n  \
         <Project>\n    <name>Waxwing</name>\n    \
         <shortdesc xml:lang='en'>An XMPP server that loses nothing it accepted</shortdesc>\n    \
         <programming-language>Rust</programming-language>\n    <os>Linux</os>\n    \
         <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>\n    \
         <implements rdf:resource='https://xmpp.org/rfcs/rfc6120.html'/>\n    \
         <implements rdf:resource='https://xmpp.org/rfcs/rfc6121.html'/>\n    \
         <implements rdf:resource='https://xmpp.org/rfcs/rfc7622.html'/>\n",
    );
    for card in extensions() {
        let status = if card.note.is_empty() { "complete" } else { "partial" };
        let _ = write!(
            text,
            "    <implements>\n      <xmpp:SupportedXep>\n        \
             <xmpp:xep rdf:resource='https://xmpp.org/extensions/xep-{:04}.html'/>\n        \
             <xmpp:status>{status}</xmpp:status>\n        <xmpp:version>{}</xmpp:version>\n",
            card.xep, card.version
        );
        if !card.note.is_empty() {
            let _ = writeln!(text, "        <xmpp:note xml:lang='en'>{}</xmpp:note>", card.note);
        }
        text.push_str("      </xmpp:SupportedXep>\n    </implements>\n");
    }
    text.push_str("  </Project>\n</rdf:RDF>\n");
    text
}

/// The table of extensions in the book.
fn table() -> String {
    let mut text = String::from(
        "# Extensions\n\nWritten by `cargo xtask generate` from the feature cards; every row has a conversation in \
         `conversations/`.\n\n| extension | version | title | |\n|---|---|---|---|\n",
    );
    for card in extensions() {
        let _ = writeln!(text, "| XEP-{:04} | {} | {} | {} |", card.xep, card.version, card.title, card.note);
    }
    text.push_str("\nOf the RFCs: ");
    let rfcs: Vec<&str> = CARDS.iter().filter(|card| card.xep == 0).map(|card| card.title).collect();
    let _ = writeln!(text, "{}.", rfcs.join("; "));
    text
}

/// What happens to messages.
fn rules() -> String {
    let mut text = String::from(
        "# What happens to messages\n\nWritten by `cargo xtask generate` from the one table of rules \
         (`crates/step/src/rules.rs`). The first row that fits a stanza speaks of it.\n\n\
         | what | kept for somebody who is not there (XEP-0160) | archived (XEP-0313) | copied to other devices \
         (XEP-0280) | for a device that is idle (XEP-0352) | wakes devices (XEP-0357) |\n|---|---|---|---|---|---|\n",
    );
    for row in RULES {
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.what,
            yes_or_no(row.kept),
            yes_or_no(row.archived),
            match row.copied {
                Copied::Always => "yes",
                Copied::Spoken => "chat, or with a body",
                Copied::Answer => "if what it answers was",
                Copied::Never => "no",
            },
            match row.inactive {
                Inactive::Flush => "at once, with all that is held back",
                Inactive::Hold => "held back",
                Inactive::Newest => "held back, the newest of each source",
                Inactive::IfNamed => "held back unless it names the reader",
            },
            match row.push {
                Push::Wake => "yes",
                Push::Call => "yes, before all others",
                Push::AfterCall => "those whom the call woke",
                Push::IfNamed => "if it names the reader",
                Push::Never => "no",
            },
        );
    }
    text.push_str(
        "\nHints override the row (XEP-0334): `no-store` is neither kept nor archived, `no-permanent-store` is not \
         archived, `store` is both unless it was said in a room, `no-copy` and `private` are not copied. Headlines, \
         and what is said in rooms, are never kept. A subscription request waits until it is answered. A copy is held \
         back if the message in it would be. What wakes, and what is held back in rooms, is so unless its reader has \
         set something else for the chat (XEP-0492); calls and requests wake all the same.\n",
    );
    text
}

/// The reference of all settings.
fn settings() -> String {
    format!(
        "# Settings\n\nWritten by `cargo xtask generate`. A file may name any of these keys; an unknown key is refused \
         with its line. `waxwing config explain KEY` shows one of them.\n\n```toml\n{}```\n",
        server::config::keys::example()
    )
}
