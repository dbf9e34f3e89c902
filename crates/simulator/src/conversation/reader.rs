//! A second, simple reader of XML streams, so that the server's own scanner never judges the server's own writing.

use std::fmt::Write as _;

/// The namespace of stanzas between a client and its server.
pub const CLIENT: &str = "jabber:client";
/// The namespace of `<stream:stream>` and its features and errors.
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// The namespace of the conditions within `<stream:error>`.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// The namespace of the conditions within `<error>`.
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// An element, with its names resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Namespace of the name.
    pub ns: String,
    /// Name without its prefix.
    pub name: String,
    /// Attributes without namespace declarations; a prefixed one is written `xml:lang` or `{namespace}name`.
    pub attributes: Vec<(String, String)>,
    /// What is inside, in order.
    pub content: Vec<Content>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A child element.
    Node(Node),
    /// Characters, entities resolved.
    Text(String),
}

/// What a stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `<stream:stream …>`: its element without content.
    Open(Node),
    /// A complete element below it.
    Element(Node),
    /// `</stream:stream>`.
    Close,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The end came too early; more bytes may help.
    Incomplete,
    /// No bytes can help.
    Broken(String),
}

impl Node {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The child elements, in order.
    pub fn children(&self) -> impl Iterator<Item = &Node> {
        self.content.iter().filter_map(|content| match content {
            Content::Node(node) => Some(node),
            Content::Text(_) => None,
        })
    }

    /// The first child of this name, in any namespace.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children().find(|child| child.name == name)
    }

    /// Its own characters, trimmed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for content in &self.content {
            if let Content::Text(part) = content {
                text.push_str(part);
            }
        }
        text.trim().to_owned()
    }

    /// The element as XML, each namespace declared where it changes; for people to read.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(CLIENT, &mut out);
        out
    }

    fn write(&self, parent: &str, out: &mut String) {
        let _ = write!(out, "<{}", self.name);
        if self.ns != parent {
            let _ = write!(out, " xmlns='{}'", self.ns);
        }
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}='{}'", escape(value));
        }
        if self.content.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for content in &self.content {
            match content {
                Content::Node(node) => node.write(&self.ns, out),
                Content::Text(text) => out.push_str(&escape(text)),
            }
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// Characters as they must be written in XML, inside an attribute or not.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

/// Reads one element from a piece of text in which `jabber:client` and the prefix `stream` are known.
///
/// # Errors
/// What is wrong with it.
pub fn element(text: &str) -> Result<Node, Trouble> {
    let mut reader = Reader::new(text, Scope::default());
    reader.skip_space();
    let node = reader.element()?;
    reader.skip_space();
    if reader.at == text.len() {
        Ok(node)
    } else {
        Err(Trouble::Broken(format!("something follows the element: {}", &text[reader.at..])))
    }
}

/// Reads the start tag of a stream, alone.
///
/// # Errors
/// What is wrong with it.
pub fn stream_header(text: &str) -> Result<Node, Trouble> {
    let mut reader = Reader::new(text, Scope::default());
    reader.skip_declaration()?;
    Ok(reader.start_tag()?.0)
}

/// What arrives on one stream, cut into items as it comes.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    scope: Option<Scope>,
}

impl Inbox {
    /// Adds bytes that came.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets the stream's header: a new stream begins (RFC 6120 §4.3.3).
    pub fn restart(&mut self) {
        self.scope = None;
    }

    /// What has arrived and is not complete.
    pub fn rest(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The next item, if it has arrived whole.
    ///
    /// # Errors
    /// The server wrote something that is not an XML stream.
    pub fn next_item(&mut self) -> Result<Option<Item>, String> {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&self.bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(error) => return Err(format!("not UTF-8: {error}")),
        };
        let mut reader = Reader::new(text, self.scope.clone().unwrap_or_default());
        // A declaration begins a new stream, whoever asked for one.
        let read = match &self.scope {
            Some(_) if !text.trim_start().starts_with("<?xml") => reader.item(),
            _ => {
                reader.scope = Scope::default();
                reader.header()
            }
        };
        match read {
            Ok(item) => {
                let (at, scope) = (reader.at, reader.scope);
                if matches!(item, Item::Open(_)) {
                    self.scope = Some(scope);
                }
                self.bytes.drain(..at);
                Ok(Some(item))
            }
            Err(Trouble::Incomplete) => Ok(None),
            Err(Trouble::Broken(why)) => Err(format!("{why} in: {text}")),
        }
    }
}

#[derive(Debug, Clone)]
struct Scope(Vec<(String, String)>);

impl Default for Scope {
    fn default() -> Self {
        Scope(vec![
            (String::new(), CLIENT.to_owned()),
            ("stream".to_owned(), STREAMS.to_owned()),
            ("xml".to_owned(), "http://www.w3.org/XML/1998/namespace".to_owned()),
        ])
    }
}

impl Scope {
    fn find(&self, prefix: &str) -> Result<&str, Trouble> {
        let found = self.0.iter().rev().find(|(key, _)| key == prefix);
        found.map(|(_, ns)| ns.as_str()).ok_or_else(|| broken(format!("prefix '{prefix}' is not declared")))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    scope: Scope,
}

fn broken(why: impl Into<String>) -> Trouble {
    Trouble::Broken(why.into())
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, scope: Scope) -> Self {
        Reader { text, at: 0, scope }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, expected: &str) -> Result<(), Trouble> {
        if self.rest().starts_with(expected) {
            self.at += expected.len();
            Ok(())
        } else if expected.starts_with(self.rest()) {
            Err(Trouble::Incomplete)
        } else {
            let found: String = self.rest().chars().take(20).collect();
            Err(broken(format!("expected '{expected}', found '{found}'")))
        }
    }

    fn until(&mut self, end: &str) -> Result<&'a str, Trouble> {
        let length = self.rest().find(end).ok_or(Trouble::Incomplete)?;
        let taken = &self.rest()[..length];
        self.at += length + end.len();
        Ok(taken)
    }

    fn skip_declaration(&mut self) -> Result<(), Trouble> {
        self.skip_space();
        if self.rest().starts_with("<?") {
            self.until("?>")?;
            self.skip_space();
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Item, Trouble> {
        self.skip_declaration()?;
        let (node, empty) = self.start_tag()?;
        if empty || node.name != "stream" || node.ns != STREAMS {
            return Err(broken("not a stream header"));
        }
        Ok(Item::Open(node))
    }

    fn item(&mut self) -> Result<Item, Trouble> {
        self.skip_space();
        if self.rest().starts_with("</") {
            self.take("</")?;
            let name = self.until(">")?.trim();
            return if name.rsplit(':').next() == Some("stream") {
                Ok(Item::Close)
            } else {
                Err(broken(format!("</{name}> closes nothing")))
            };
        }
        self.element().map(Item::Element)
    }

    fn element(&mut self) -> Result<Node, Trouble> {
        let depth = self.scope.0.len();
        let begin = self.at;
        let (mut node, empty) = self.start_tag()?;
        let name = self.text[begin + 1..].split(|c: char| c.is_whitespace() || c == '>' || c == '/').next();
        if !empty {
            self.content(&mut node, name.unwrap_or_default())?;
        }
        self.scope.0.truncate(depth);
        Ok(node)
    }

    fn content(&mut self, node: &mut Node, name: &str) -> Result<(), Trouble> {
        loop {
            let length = self.rest().find('<').ok_or(Trouble::Incomplete)?;
            if length > 0 {
                let text = unescape(&self.rest()[..length])?;
                self.at += length;
                node.content.push(Content::Text(text));
            }
            if self.rest().starts_with("</") {
                self.take("</")?;
                self.take(name)?;
                self.skip_space();
                return self.take(">");
            }
            if self.rest().starts_with("<!") || self.rest().starts_with("<?") {
                return Err(broken(
                    "comments, CDATA and instructions have no place in a stream (RFC 6120 §11.1)",
                ));
            }
            let child = self.element()?;
            node.content.push(Content::Node(child));
        }
    }

    /// Reads `<name …>` or `<name …/>`; the scope keeps its declarations. True: the element is empty.
    fn start_tag(&mut self) -> Result<(Node, bool), Trouble> {
        self.take("<")?;
        let name = self.word()?.to_owned();
        let mut written = Vec::new();
        let empty = loop {
            self.skip_space();
            if self.rest().starts_with('>') {
                self.at += 1;
                break false;
            }
            if self.rest().starts_with('/') {
                self.take("/>")?;
                break true;
            }
            let key = self.word()?.to_owned();
            self.skip_space();
            self.take("=")?;
            self.skip_space();
            let quote = self.rest().chars().next().ok_or(Trouble::Incomplete)?;
            if quote != '\'' && quote != '"' {
                return Err(broken(format!("the value of '{key}' has no quotes")));
            }
            self.at += 1;
            let value = unescape(self.until(if quote == '"' { "\"" } else { "'" })?)?;
            match key.strip_prefix("xmlns") {
                Some("") => self.scope.0.push((String::new(), value)),
                Some(prefix) if prefix.starts_with(':') => self.scope.0.push((prefix[1..].to_owned(), value)),
                _ => written.push((key, value)),
            }
        };
        let (ns, name) = self.resolve(&name)?;
        let mut attributes = Vec::new();
        for (key, value) in written {
            let key = match key.split_once(':') {
                Some(("xml", _)) | None => key,
                Some((prefix, local)) => format!("{{{}}}{local}", self.scope.find(prefix)?),
            };
            if attributes.iter().any(|(other, _)| *other == key) {
                return Err(broken(format!("'{key}' stands twice")));
            }
            attributes.push((key, value));
        }
        Ok((Node { ns, name, attributes, content: Vec::new() }, empty))
    }

    fn resolve(&self, name: &str) -> Result<(String, String), Trouble> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        Ok((self.scope.find(prefix)?.to_owned(), local.to_owned()))
    }

    fn word(&mut self) -> Result<&'a str, Trouble> {
        let ends = |c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/' | '<' | '\'' | '"');
        let length = self.rest().find(ends).ok_or(Trouble::Incomplete)?;
        if length == 0 {
            return Err(broken(format!("a name is missing before '{}'", self.rest())));
        }
        let word = &self.rest()[..length];
        self.at += length;
        Ok(word)
    }
}

fn unescape(text: &str) -> Result<String, Trouble> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (name, after) = rest[at + 1..].split_once(';').ok_or_else(|| broken("'&' without ';'"))?;
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            _ => character(name).ok_or_else(|| broken(format!("'&{name};' is not XML's own")))?,
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn character(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_items_wherever_the_bytes_are_split() {
        let stream = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
            xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'><stream:features/>\
            <message type='chat'><body>a &lt; b</body></message></stream:stream>";
        for split in 0..stream.len() {
            let mut inbox = Inbox::default();
            let mut items = Vec::new();
            for part in [&stream.as_bytes()[..split], &stream.as_bytes()[split..]] {
                inbox.receive(part);
                while let Some(item) = inbox.next_item().unwrap() {
                    items.push(item);
                }
            }
            assert_eq!(items.len(), 4, "split at {split}");
            let Item::Element(message) = &items[2] else { panic!("{items:?}") };
            assert_eq!(message.child("body").unwrap().text(), "a < b");
            assert_eq!(items[3], Item::Close);
        }
    }

    #[test]
    fn what_is_not_a_stream_is_refused() {
        for text in ["<a b=c/>", "<a><!-- x --></a>", "<x:a/>", "<a b='1' b='2'/>", "<a>&nbsp;</a>"] {
            assert!(matches!(element(text), Err(Trouble::Broken(_))), "{text}");
        }
    }
}
