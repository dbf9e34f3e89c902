//! What rxml reads: the strict oracle. It refuses what RFC 6120 §11 refuses, and knows nothing of streams.

use rxml::{Event, Parse, Parser};

use crate::tree::Tree;

/// A stream as rxml reads it, up to where it refuses it.
#[derive(Debug, Default)]
pub struct Reading {
    /// The start tag of the stream, as an empty element.
    pub header: Option<Tree>,
    /// The whole elements in it.
    pub elements: Vec<Whole>,
    /// Whether the stream's end tag was read.
    pub closed: bool,
    /// Why it reads no further.
    pub refused: Option<rxml::Error>,
    /// How many elements came before the first text between elements that is not white space as it stands.
    pub text_after: Option<usize>,
}

/// A top-level element.
#[derive(Debug)]
pub struct Whole {
    /// What it says.
    pub tree: Tree,
    /// Its length as written.
    pub bytes: usize,
    /// The length of its longest tag.
    pub tag_bytes: usize,
}

impl Reading {
    /// Whether both say the same, as far as they go.
    pub fn says_as(&self, other: &Reading) -> bool {
        let trees =
            |reading: &Reading| reading.elements.iter().map(|whole| whole.tree.clone()).collect::<Vec<_>>();
        self.items() == other.items() && self.header == other.header && trees(self) == trees(other)
    }

    /// How much was accepted: the header, each element, the end.
    pub fn items(&self) -> usize {
        usize::from(self.header.is_some()) + self.elements.len() + usize::from(self.closed)
    }
}

/// Reads a stream; the end of the bytes is the end of what the peer says.
pub fn stream(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut parser = Parser::new();
    let mut rest = bytes;
    let mut open: Vec<Tree> = Vec::new();
    let (mut at, mut length, mut tag_bytes) = (0, 0, 0);
    loop {
        let event = match parser.parse(&mut rest, true) {
            Ok(Some(event)) => event,
            Ok(None) => return reading,
            Err(rxml::error::EndOrError::NeedMoreData) => return reading,
            Err(rxml::error::EndOrError::Error(rxml::Error::InvalidEof(_))) => return reading,
            Err(rxml::error::EndOrError::Error(error)) => {
                reading.refused = Some(error);
                return reading;
            }
        };
        let raw = &bytes[at..at + event.metrics().len()];
        (at, length) = (at + raw.len(), length + raw.len());
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(metrics, (namespace, name), attributes) => {
                let mut tree = Tree::new(namespace.as_str(), name.as_str());
                for ((namespace, name), value) in attributes.iter() {
                    tree.set(namespace.as_str(), name.as_str(), value);
                }
                if reading.header.is_none() {
                    reading.header = Some(tree);
                } else {
                    if open.is_empty() {
                        (length, tag_bytes) = (metrics.len(), 0);
                    }
                    tag_bytes = tag_bytes.max(metrics.len());
                    open.push(tree);
                }
            }
            Event::Text(_, text) => match open.last_mut() {
                Some(tree) => tree.push_text(&text),
                None if raw.iter().all(u8::is_ascii_whitespace) => {}
                None => {
                    reading.text_after.get_or_insert(reading.elements.len());
                }
            },
            Event::EndElement(metrics) => {
                tag_bytes = tag_bytes.max(metrics.len());
                match (open.pop(), open.last_mut()) {
                    (Some(tree), Some(parent)) => parent.push(tree),
                    (Some(tree), None) => reading.elements.push(Whole { tree, bytes: length, tag_bytes }),
                    (None, _) => reading.closed = true,
                }
            }
        }
    }
}

/// Reads one element that stands where `default` is the default namespace.
///
/// # Errors
/// What rxml says against it.
pub fn element(xml: &str, default: &str) -> Result<Tree, String> {
    let text = format!("<stream xmlns='{default}'>{xml}</stream>");
    let mut reading = stream(text.as_bytes());
    match (reading.refused, reading.closed, reading.elements.len(), reading.text_after) {
        (None, true, 1, None) => Ok(reading.elements.remove(0).tree),
        (Some(error), ..) => Err(error.to_string()),
        _ => Err("not one whole element".to_owned()),
    }
}
