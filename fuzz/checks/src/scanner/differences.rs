//! The differences between the scanner and rxml that have a reason. Each must be proven by what the oracles saw; all
//! others are defects of ours, or findings about theirs.

use xmpp::xml::{LimitName, ScanError};

use super::{Heard, Setting};
use crate::oracle::{by_quick_xml, by_rxml, spelling};

/// A verdict of ours that is not rxml's, for a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// We take it: a carriage return in the value of an attribute.
    CarriageReturn,
    /// We take it: white space before the XML declaration.
    SpaceBeforeDeclaration,
    /// We take it: a name with a character from U+FDF0 to U+FFFD.
    NameCharacter,
    /// We take it: a character reference with leading zeros.
    LeadingZeros,
    /// We refuse it: a limit.
    Limit,
    /// We refuse it: XML, but no stream of XMPP.
    NotAStream,
    /// We refuse it: text between the elements of a stream.
    TextBetween,
    /// We refuse it: the default namespace declared twice in one tag.
    DefaultTwice,
    /// We refuse it: a namespace written with a reference, a tab or a line end.
    NamespaceSpelling,
    /// We refuse it: an element with the prefix `xml`.
    XmlElement,
    /// We refuse it: a namespace of XML's own declared as any other.
    ReservedNamespace,
}

impl Difference {
    /// All of them.
    pub const ALL: [Difference; 11] = [
        Difference::CarriageReturn,
        Difference::SpaceBeforeDeclaration,
        Difference::NameCharacter,
        Difference::LeadingZeros,
        Difference::Limit,
        Difference::NotAStream,
        Difference::TextBetween,
        Difference::DefaultTwice,
        Difference::NamespaceSpelling,
        Difference::XmlElement,
        Difference::ReservedNamespace,
    ];

    /// Why it is so.
    pub fn reason(self) -> &'static str {
        match self {
            Difference::CarriageReturn => {
                "XML §2.11 and §3.3.3 read it as a space; rxml refuses or loses it, against XML"
            }
            Difference::SpaceBeforeDeclaration => {
                "XML §2.8 wants the declaration first; clients end their login with a line end, and what comes before \
                 a new stream separates (RFC 6120 §11.7)"
            }
            Difference::NameCharacter => "XML §2.3 allows them in names; rxml's table lacks the range",
            Difference::LeadingZeros => {
                "XML §4.1 allows any number; we take references of sixteen bytes, rxml of ten"
            }
            Difference::Limit => "RFC 6120 §13.12: what one peer may send has limits; rxml has none of them",
            Difference::NotAStream => "RFC 6120 §4.8 and §4.9.3: name, prefix, namespace and end of a stream",
            Difference::TextBetween => {
                "RFC 6120 §11.7: only white space stands between the elements of a stream; XML §2.8: and before it; \
                 rxml hears nothing of a CDATA section that is empty"
            }
            Difference::DefaultTwice => "XML §3.1, unique attributes; rxml takes the last one",
            Difference::NamespaceSpelling => {
                "a namespace is compared as it is written, without reading it first; none that is in use needs a \
                 reference, and white space has no place in a URI (RFC 3986 §2)"
            }
            Difference::XmlElement => {
                "Namespaces in XML §3: names that begin with `xml` are reserved, and no specification has made one"
            }
            Difference::ReservedNamespace => {
                "Namespaces in XML §3: the two of XML's own have their prefixes and no others; rxml takes the second \
                 under any"
            }
        }
    }

    /// The input as both must see it, where the difference can be taken away.
    fn repaired(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let repaired = match self {
            Difference::CarriageReturn => spelling::with_line_feeds(bytes),
            Difference::SpaceBeforeDeclaration => spelling::without_space_before(bytes),
            Difference::NameCharacter => spelling::with_other_letters(bytes),
            Difference::LeadingZeros => spelling::without_zeros(bytes),
            _ => return None,
        };
        (repaired != bytes).then_some(repaired)
    }
}

/// A stream as it can be compared.
pub struct Compared {
    /// As we and quick-xml see it.
    pub bytes: Vec<u8>,
    /// What we say to other letters, where these were needed.
    pub other: Option<Heard>,
    /// How much of it we accept.
    pub items: usize,
    /// Why we accept no more, and after how many elements; none: the header.
    pub refused: Option<(ScanError, Option<usize>)>,
    /// What rxml reads, if need be in another spelling.
    pub strict: by_rxml::Reading,
    pub differences: Vec<Difference>,
    /// Bytes by which rxml saw less than we did.
    pub shorter: usize,
}

/// Takes out of a stream what rxml reads otherwise than XML has it.
///
/// # Panics
/// When we take what rxml does not, without a reason.
pub fn repair(setting: &Setting, bytes: &[u8], ours: &Heard) -> Compared {
    let raw = by_rxml::stream(bytes);
    let mut respelt = bytes.to_vec();
    let mut differences = Vec::new();
    for difference in
        [Difference::SpaceBeforeDeclaration, Difference::CarriageReturn, Difference::LeadingZeros]
    {
        if let Some(repaired) = difference.repaired(&respelt) {
            respelt = repaired;
            differences.push(difference);
        }
    }
    let mut strict = raw;
    if !differences.is_empty() {
        let again = by_rxml::stream(&respelt);
        if again.says_as(&strict) {
            differences.clear();
        }
        strict = again;
    }
    let shorter = bytes.len() - respelt.len();
    let at = ours.header.is_some().then_some(ours.elements.len());
    let refused = ours.error.map(|error| (error, at));
    let mut compared = Compared {
        bytes: bytes.to_vec(),
        other: None,
        items: ours.items(),
        refused,
        strict,
        differences,
        shorter,
    };
    if compared.items > compared.strict.items()
        && let Some(repaired) = Difference::NameCharacter.repaired(&respelt)
    {
        // To us these are other names, and as long.
        compared.bytes = spelling::with_other_letters(bytes);
        let heard = super::hear(std::iter::once(compared.bytes.as_slice()), setting.limits);
        assert_eq!(heard.items(), compared.items, "other letters: {heard:?}");
        compared.other = Some(heard);
        compared.strict = by_rxml::stream(&repaired);
        compared.differences.push(Difference::NameCharacter);
    }
    let theirs = &compared.strict;
    assert!(
        compared.items <= theirs.items(),
        "difference: taken, though rxml says {:?}: {ours:?}",
        theirs.refused
    );
    compared
}

/// Finds the reason why we refuse what rxml takes, if we do.
///
/// # Panics
/// When there is no reason.
pub fn explain(setting: &Setting, compared: &Compared, second: &by_quick_xml::Reading) -> Option<Difference> {
    let Compared { items, refused, strict, shorter, .. } = compared;
    if *items == strict.items() {
        return None;
    }
    let (error, at) = refused.unwrap_or_else(|| panic!("difference: not taken, though rxml takes it"));
    let refused = Refused { setting, at, strict, second, shorter: *shorter };
    let reason = refused.reason(error);
    assert!(reason.is_some(), "difference: refused, though rxml takes it: {error:?}");
    reason
}

/// What we refused and rxml took.
struct Refused<'a> {
    setting: &'a Setting,
    /// Which element; none: the header.
    at: Option<usize>,
    strict: &'a by_rxml::Reading,
    second: &'a by_quick_xml::Reading,
    shorter: usize,
}

impl Refused<'_> {
    fn reason(&self, error: ScanError) -> Option<Difference> {
        if let ScanError::Limit(limit) = error {
            return self.passes(limit).then_some(Difference::Limit);
        }
        let oddities = match self.at {
            None => &self.second.header,
            Some(at) => match self.second.elements.get(at) {
                Some((_, oddities)) => oddities,
                None if self.is_text(error) => return Some(Difference::TextBetween),
                None => return self.is_reserved(error).then_some(Difference::ReservedNamespace),
            },
        };
        let proven = [
            (self.at.is_none() && self.is_no_stream(error), Difference::NotAStream),
            (self.is_text(error), Difference::TextBetween),
            (
                error == malformed("a namespace declared twice") && oddities.default_twice,
                Difference::DefaultTwice,
            ),
            (
                error == malformed("a reference in a namespace") && oddities.namespace_has_reference,
                Difference::NamespaceSpelling,
            ),
            (
                error == malformed("white space in a namespace") && oddities.namespace_has_space,
                Difference::NamespaceSpelling,
            ),
            (
                error == malformed("an element of XML's own namespace") && oddities.has_xml_element,
                Difference::XmlElement,
            ),
            (
                error == malformed("a namespace that may not be declared") && oddities.reserved_is_declared,
                Difference::ReservedNamespace,
            ),
        ];
        proven.into_iter().find(|(holds, _)| *holds).map(|(_, difference)| difference)
    }

    /// Whether text stands before the element, or before the stream.
    fn is_text(&self, error: ScanError) -> bool {
        if self.at.is_none() {
            return error == malformed("a CDATA section before the stream") && self.second.cdata_before;
        }
        let found = error == ScanError::Format;
        let stands = self.strict.text_after == self.at || self.second.cdata_between == self.at;
        found && stands
    }

    /// Whether quick-xml, too, will not have a namespace of XML's own under another prefix.
    fn is_reserved(&self, error: ScanError) -> bool {
        let refused = self.second.refused.as_deref().unwrap_or_default();
        error == malformed("a namespace that may not be declared") && refused.contains("cannot be bound to")
    }

    /// Whether the oracles saw that the limit is passed.
    fn passes(&self, limit: LimitName) -> bool {
        let limits = &self.setting.limits;
        let Some(at) = self.at else {
            return match limit {
                LimitName::Attributes => self.second.header.attributes > limits.attributes,
                LimitName::Namespaces => self.second.header.namespaces > limits.namespaces,
                _ => false,
            };
        };
        let (Some(whole), Some((_, oddities))) = (self.strict.elements.get(at), self.second.elements.get(at))
        else {
            return false;
        };
        match limit {
            LimitName::StanzaBytes => whole.bytes + self.shorter > limits.stanza_bytes,
            LimitName::TagBytes => whole.tag_bytes + self.shorter > limits.tag_bytes,
            LimitName::Depth => whole.tree.depth() > limits.depth,
            LimitName::Elements => whole.tree.count() > limits.elements,
            LimitName::Attributes => oddities.attributes > limits.attributes,
            LimitName::Namespaces => oddities.namespaces > limits.namespaces,
        }
    }

    /// Whether rxml's header is no header of a stream.
    fn is_no_stream(&self, error: ScanError) -> bool {
        let Some(header) = &self.strict.header else { return false };
        let is_stream = header.namespace == xmpp::ns::STREAM && header.name == "stream";
        match error {
            ScanError::Format => header.name != "stream",
            ScanError::Namespace => !is_stream,
            // The prefix is lost in rxml's reading; that it is wrong is tested by hand.
            ScanError::Prefix => true,
            ScanError::NotWellFormed("an empty stream") => {
                self.strict.closed && self.strict.elements.is_empty()
            }
            _ => false,
        }
    }
}

fn malformed(why: &'static str) -> ScanError {
    ScanError::NotWellFormed(why)
}
