//! What quick-xml reads: the second oracle. It is lax about what it takes, and independent in how it reads it.

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};

use super::oddity::Oddities;
use crate::tree::Tree;

/// A stream as quick-xml reads it, up to where it refuses it.
#[derive(Debug, Default)]
pub struct Reading {
    /// Of the XML declaration and the stream's start tag.
    pub header: Oddities,
    /// The whole elements in it.
    pub elements: Vec<(Tree, Oddities)>,
    /// A CDATA section stands before the stream.
    pub cdata_before: bool,
    /// Before which element the first CDATA section stands that is in none.
    pub cdata_between: Option<usize>,
    /// Why it reads no further.
    pub refused: Option<String>,
}

/// Reads a stream.
pub fn stream(text: &str) -> Reading {
    let mut reading = Reading::default();
    if let Err(why) = read(text, &mut reading) {
        reading.refused = Some(why);
    }
    reading
}

fn read(text: &str, reading: &mut Reading) -> Result<(), String> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.resolver_mut().set_max_namespace_bindings(usize::MAX);
    let mut open: Vec<Tree> = Vec::new();
    let mut declared: Vec<usize> = Vec::new();
    let mut oddities = Oddities::default();
    let mut begun = false;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            // Empty elements come as a start and an end.
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Empty(_) => {}
            Event::Eof => return Ok(()),
            Event::Start(start) => {
                let (tree, declares) = tag(&reader, &start, &mut oddities)?;
                declared.push(declares);
                oddities.namespaces = oddities.namespaces.max(declared.iter().sum());
                if begun {
                    open.push(tree);
                } else {
                    begun = true;
                    reading.header = std::mem::take(&mut oddities);
                }
            }
            Event::End(_) => {
                declared.pop();
                match (open.pop(), open.last_mut()) {
                    (Some(tree), Some(parent)) => parent.push(tree),
                    (Some(tree), None) => reading.elements.push((tree, std::mem::take(&mut oddities))),
                    (None, _) => return Ok(()),
                }
            }
            Event::Text(text) => {
                if let Some(tree) = open.last_mut() {
                    tree.push_text(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                reading.cdata_before |= !begun;
                if begun && open.is_empty() {
                    reading.cdata_between.get_or_insert(reading.elements.len());
                }
                if let Some(tree) = open.last_mut() {
                    tree.push_text(&text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| error.to_string())?;
                let resolved = match character {
                    Some(character) => character.to_string(),
                    None => resolve_predefined_entity(&reference).ok_or("an entity")?.to_owned(),
                };
                if let Some(tree) = open.last_mut() {
                    tree.push_text(&resolved);
                }
            }
        }
    }
}

/// The element of a start tag, and how many namespaces it declares.
fn tag(
    reader: &NsReader<&[u8]>,
    start: &BytesStart<'_>,
    oddities: &mut Oddities,
) -> Result<(Tree, usize), String> {
    let resolver = reader.resolver();
    let (namespace, name) = resolver.resolve_element(start.name());
    oddities.has_xml_element |= start.name().prefix().is_some_and(|prefix| prefix.as_ref() == "xml");
    let mut tree = Tree::new(&uri(namespace)?, name.as_ref());
    let (mut declares, mut attributes, mut has_default) = (0, 0, false);
    for attribute in start.attributes().with_checks(false) {
        attributes += 1;
        let attribute = attribute.map_err(|error| error.to_string())?;
        if let Some(declaration) = attribute.key.as_namespace_binding() {
            declares += 1;
            let is_default = declaration == PrefixDeclaration::Default;
            oddities.default_twice |= is_default && has_default;
            has_default |= is_default;
            oddities.namespace(&attribute.value, is_default);
            continue;
        }
        let (namespace, name) = resolver.resolve_attribute(attribute.key);
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| error.to_string())?;
        tree.set(&uri(namespace)?, name.as_ref(), &value);
    }
    oddities.attributes = oddities.attributes.max(attributes);
    Ok((tree, declares))
}

fn uri(namespace: ResolveResult<'_>) -> Result<String, String> {
    match namespace {
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Bound(namespace) => Ok(namespace.as_ref().to_owned()),
        ResolveResult::Unknown(prefix) => Err(format!("the prefix {prefix} is not bound")),
    }
}

/// Reads one element that stands where `default` is the default namespace.
///
/// # Errors
/// What quick-xml says against it.
pub fn element(xml: &str, default: &str) -> Result<Tree, String> {
    let mut reading = stream(&format!("<stream xmlns='{default}'>{xml}</stream>"));
    match (reading.refused, reading.elements.len()) {
        (None, 1) => Ok(reading.elements.remove(0).0),
        (Some(error), _) => Err(error),
        _ => Err("not one whole element".to_owned()),
    }
}
