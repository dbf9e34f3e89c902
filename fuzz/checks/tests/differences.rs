//! The list of differences is true: each happens, is found for its own reason, and stands in the book.

use std::fs;
use std::path::Path;

use fuzz_checks::scanner::{Difference, Setting, judge};

const STREAM: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

fn differences(stream: &str) -> Vec<Difference> {
    judge(Setting::whole(), stream.as_bytes())
}

/// Two streams for each: one that differs, and one as like it as can be that does not.
fn examples(difference: Difference) -> [String; 2] {
    let [differs, agrees] = match difference {
        Difference::CarriageReturn => ["<a b='x\ry'/>", "<a b='x\ny'/>"],
        Difference::NameCharacter => ["<a\u{FDF0}/>", "<a\u{F900}/>"],
        Difference::LeadingZeros => ["<a>&#00000000065;</a>", "<a>&#65;</a>"],
        Difference::Limit => return [deep(65), deep(64)],
        Difference::NotAStream => {
            return [
                "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>".into(),
                STREAM.into(),
            ];
        }
        Difference::SpaceBeforeDeclaration => {
            return [format!(" <?xml version='1.0'?>{STREAM}"), format!("<?xml version='1.0'?>{STREAM}")];
        }
        Difference::TextBetween => ["<a/>x<b/>", "<a/> <b/>"],
        Difference::DefaultTwice => {
            ["<a xmlns='urn:a' xmlns='urn:b'/>", "<a xmlns='urn:a' xmlns:b='urn:b'/>"]
        }
        Difference::NamespaceSpelling => ["<a xmlns='urn:&amp;'/>", "<a xmlns='urn:a'/>"],
        Difference::XmlElement => ["<xml:a/>", "<xmla/>"],
        Difference::ReservedNamespace => {
            ["<a xmlns='http://www.w3.org/2000/xmlns/'/>", "<a xmlns='http://www.w3.org/'/>"]
        }
    };
    [format!("{STREAM}{differs}"), format!("{STREAM}{agrees}")]
}

fn deep(depth: usize) -> String {
    format!("{STREAM}{}{}", "<a>".repeat(depth), "</a>".repeat(depth))
}

#[test]
fn each_difference_happens_for_its_reason() {
    for difference in Difference::ALL {
        let [differs, agrees] = examples(difference);
        assert_eq!(differences(&differs), [difference], "{differs}");
        assert_eq!(differences(&agrees), [], "{agrees}");
    }
}

#[test]
fn a_reserved_namespace_is_refused_under_any_prefix() {
    let stream = format!("{STREAM}<m:a xmlns:m='http://www.w3.org/2000/xmlns/'/>");
    assert_eq!(differences(&stream), [Difference::ReservedNamespace]);
}

#[test]
fn each_difference_stands_in_the_book() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/build/fuzzing.md");
    let page = fs::read_to_string(page).unwrap();
    for difference in Difference::ALL {
        let row = format!("| {difference:?} | {} |", difference.reason());
        assert!(page.contains(&row), "missing in docs/build/fuzzing.md: {row}");
    }
}
