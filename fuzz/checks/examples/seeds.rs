//! Writes seeds for the fuzzer from what the conversations say: `cargo run -p fuzz-checks --example seeds`.
//!
//! They go where the fuzzer keeps its finds, `fuzz/target/found`; what is of use is taken over by `cargo xtask fuzz
//! --keep`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Where the scanner's unit tests have their stanzas.
const SCANNER_TESTS: &str = "crates/xmpp/tests/scanner.rs";

/// What the conversations do not hold: forms, result sets, dates.
const FORMS: [&str; 5] = [
    "<x xmlns='jabber:x:data' type='form'><title>t</title><instructions>i</instructions><field var='FORM_TYPE' \
     type='hidden'><value>urn:x</value></field><field var='a' type='text-multi' label='l'><required/><value>1</value>\
     <value>2</value></field></x>",
    "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>a</after></set>",
    "<set xmlns='http://jabber.org/protocol/rsm'><before/><max>0</max></set>",
    "<error type='cancel' by='a@one.test'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</gone>\
     <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>words</text><app xmlns='urn:x'/></error>",
    "2002-09-10T23:41:07.123456789+01:30",
];

const ADDRESSES: [&str; 10] = [
    "juliet@example.com",
    "juliet@example.com/foo@bar",
    "foo\\20bar@example.com",
    "fussball@example.com",
    "fu\u{df}ball@example.com",
    "\u{3c0}@example.com",
    "king@example.com/\u{265A}",
    "a.example.com/b@example.net",
    "m\u{fc}nchen.test./r",
    "\u{d9}\u{df}er@xn--mnchen-3ya.test/\u{1F600} \u{a0}",
];

/// Whole lives of client streams; see `fuzz_checks::c2s`.
const SCRIPTS: [&str; 8] = [
    "\0a\u{1}\u{3}\u{1}\u{6}\u{15}hi\u{16}\u{18}\u{19}\u{1f}d\u{14}",
    "\u{1}a\u{1}\u{7}\u{1}\u{3}\u{1}\u{5}\u{17}\u{1f}e\u{18}\u{14}",
    "\0b\u{1}\u{4}\u{8}\u{1}\u{5}\u{15}hi &amp; <![CDATA[<x>]]>\u{16}\u{1f}l\u{18}\u{1f}l",
    "@c\u{2}\u{b}\u{2}\u{6}<presence to='A@one.test/x'/>\u{1f}s",
    "\0d\u{1}\u{c}\u{1a}Yz1iaXdzLHI9YSxwPWE=\u{1b}\u{1e}\u{1c}\u{1a}AHVzZXIAcGVuY2ls\u{1b}\u{1}\u{5}\u{1d}",
    "\u{4}e\u{1}\u{e}\u{1f}w\u{3}\u{1}\u{6}<message><a><b><c><d/></c></b></a></message>",
    "\u{28}f\u{1}\u{3}\u{1}\u{6}\u{5}\u{6}\u{1f}c",
    "\0g\u{1}\u{3}\u{1}\u{6}<message xmlns:a='urn:a' a:b='1' from='user@one.test'><a:c/></message>\u{1f}g",
];

/// What servers say to clients; see `fuzz_checks::client`.
const ANSWERS: [&str; 4] = [
    "\0a\u{1}\u{3}\u{7}\u{1}\u{5}\u{c}\u{10}\u{f}",
    "\u{4}b\u{1}\u{2}\u{6}\u{1f}\u{1}\u{4}\u{b}\u{7}\u{e}",
    "\u{1}c\u{1}\u{3}\u{8}\u{f}",
    "\u{7}d\u{1}\u{2}\u{10}\u{10}\u{e}",
];

fn main() -> io::Result<()> {
    let (mut spoken, mut raw) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir("conversations")? {
        let text = fs::read_to_string(entry?.path())?;
        for line in text.lines() {
            let Some((_, said)) = line.split_once(" > ").or(line.split_once(" < ")) else { continue };
            let said = said.trim();
            if said.starts_with("<?xml") || said.starts_with("<stream:stream") {
                raw.insert(said.to_owned());
            } else if said.starts_with('<') {
                spoken.insert(said.to_owned());
            }
        }
    }
    let tests = fs::read_to_string(SCANNER_TESTS)?;
    for literal in tests.split('"').filter(|literal| literal.starts_with('<')) {
        spoken.insert(literal.replace("\\n", "\n"));
    }
    let scanner = spoken.iter().map(|said| format!("1 {said}</stream:stream>"));
    let scanner = scanner.chain(raw.iter().map(|said| format!("0 {said}<presence/></stream:stream>")));
    write("scanner", scanner)?;
    let forms = FORMS.iter().map(|form| (*form).to_owned());
    write("form_rsm", spoken.iter().cloned().chain(forms))?;
    write("jid", ADDRESSES.iter().map(|address| (*address).to_owned()))?;
    write("c2s", SCRIPTS.iter().map(|script| (*script).to_owned()))?;
    write("client", ANSWERS.iter().map(|answer| (*answer).to_owned()))?;
    Ok(())
}

fn write(target: &str, seeds: impl Iterator<Item = String>) -> io::Result<()> {
    let folder = Path::new("fuzz/target/found").join(target);
    fs::create_dir_all(&folder)?;
    for (number, seed) in seeds.enumerate() {
        fs::write(folder.join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}
