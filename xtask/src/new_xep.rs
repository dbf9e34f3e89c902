//! Writes the files of a new extension and says which lines are left to write by hand.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

/// Writes `crates/features/src/NAME.rs` and `conversations/NAME.txt`.
pub fn run(number: &str, name: &str) -> Result<()> {
    let number: u16 = number.parse()?;
    let file = format!("crates/features/src/{name}.rs");
    let conversation = format!("conversations/{}.txt", name.replace('_', "-"));
    for path in [&file, &conversation] {
        if Path::new(path).exists() {
            bail!("{path} is there already");
        }
    }
    fs::write(&file, feature(number))?;
    fs::write(&conversation, dialogue(number, name))?;
    println!(
        "wrote {file} and {conversation}; now\n\
         - crates/xmpp/src/ns.rs: the namespace\n\
         - crates/features/src/lib.rs: `pub mod {name};`\n\
         - crates/server/src/cards.rs: `{name}::CARD`\n\
         - crates/server/src/queries.rs or pipeline.rs: the line that calls it\n\
         - conversations/disco-features.txt, if disco announces it\n\
         - xtask/src/coverage/sections.txt: its sections\n\
         - cargo xtask generate, then cargo xtask test --quick"
    );
    Ok(())
}

fn feature(number: u16) -> String {
    format!(
        "//! In one sentence, what a person gets from it (XEP-{number:04}).\n\n\
         use step::{{Card, Reply, Step, Stop}};\n\
         use xmpp::error::Condition;\n\
         use xmpp::ns;\n\
         use xmpp::stanza::Stanza;\n\n\
         /// What we speak.\n\
         pub const CARD: Card = Card {{ xep: {number}, version: \"\", title: \"\", ..Card::PLAIN }};\n\n\
         /// Answers its namespace (XEP-{number:04} §).\n\
         ///\n\
         /// # Errors\n\
         /// Which, and when.\n\
         pub fn answer(_iq: &Stanza, _step: &mut Step<'_>) -> Result<Reply, Stop> {{\n    \
             Err(Condition::FeatureNotImplemented.into())\n\
         }}\n"
    )
}

fn dialogue(number: u16, name: &str) -> String {
    format!(
        "# What it shows, in one line.              XEP-{number:04} §\n\
         # about: {name}\n\
         alice = alice@one.test/phone\n\n"
    )
}
