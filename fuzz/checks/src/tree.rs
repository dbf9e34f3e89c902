//! XML as any reader should see it: namespaces resolved, references read, nothing about how it was spelt.

use xmpp::ns;
use xmpp::xml::Element;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Empty for none.
    pub namespace: String,
    /// The local name.
    pub name: String,
    /// Namespace (empty for none), local name, value; in this order.
    pub attributes: Vec<(String, String, String)>,
    /// What is in it; no two texts side by side.
    pub nodes: Vec<Node>,
}

/// A part of what is in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Tree),
    /// Text, never empty.
    Text(String),
}

impl Tree {
    /// An empty element.
    pub fn new(namespace: &str, name: &str) -> Self {
        Tree { namespace: namespace.to_owned(), name: name.to_owned(), ..Tree::default() }
    }

    /// Adds an attribute, in its place.
    pub fn set(&mut self, namespace: &str, name: &str, value: &str) {
        let attribute = (namespace.to_owned(), name.to_owned(), value.to_owned());
        let at = self.attributes.partition_point(|known| *known < attribute);
        self.attributes.insert(at, attribute);
    }

    /// The value of an attribute without a namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_ns("", name)
    }

    /// The value of an attribute.
    pub fn attr_ns(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, local, _)| own == namespace && local == name);
        found.map(|(_, _, value)| value.as_str())
    }

    /// Adds text at its end.
    pub fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(known)) => known.push_str(text),
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    /// Adds an element at its end.
    pub fn push(&mut self, child: Tree) {
        self.nodes.push(Node::Element(child));
    }

    /// Its child elements.
    pub fn children(&self) -> impl Iterator<Item = &Tree> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(tree) => Some(tree),
            Node::Text(_) => None,
        })
    }

    /// Takes out every child of this name; texts beside it grow together.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        for node in std::mem::take(&mut self.nodes) {
            match node {
                Node::Element(tree) if tree.namespace == namespace && tree.name == name => {}
                Node::Element(tree) => self.push(tree),
                Node::Text(text) => self.push_text(&text),
            }
        }
    }

    /// RFC 6120 §4.8.2 and §4.8.3: the stream's content namespace is read as `jabber:client`, wherever it reaches.
    pub fn adopt(&mut self) {
        if ns::is_content(&self.namespace) {
            let own = self.namespace.clone();
            self.rename(&own);
        }
    }

    fn rename(&mut self, own: &str) {
        if self.namespace == own {
            ns::CLIENT.clone_into(&mut self.namespace);
        }
        for node in &mut self.nodes {
            if let Node::Element(tree) = node {
                tree.rename(own);
            }
        }
    }

    /// With all content namespaces made one, wherever they stand.
    pub fn without_content(mut self) -> Self {
        self.merge_content();
        self
    }

    fn merge_content(&mut self) {
        if ns::is_content(&self.namespace) {
            ns::CLIENT.clone_into(&mut self.namespace);
        }
        for node in &mut self.nodes {
            if let Node::Element(tree) = node {
                tree.merge_content();
            }
        }
    }

    /// Elements inside one another, itself included.
    pub fn depth(&self) -> usize {
        1 + self.children().map(Tree::depth).max().unwrap_or(0)
    }

    /// Elements in it, itself included.
    pub fn count(&self) -> usize {
        1 + self.children().map(Tree::count).sum::<usize>()
    }

    /// Whether our reader says the same. Between which children a text stands, our tree does not tell; that is compared
    /// where it is written again.
    pub fn is_like(&self, element: &Element) -> bool {
        let same_attributes = self.attributes.len() == element.attributes().count()
            && element
                .attributes()
                .all(|(namespace, name, value)| self.attr_ns(namespace.unwrap_or(""), name) == Some(value));
        let mut children = self.children();
        self.namespace == element.ns()
            && self.name == element.name()
            && same_attributes
            && self.has_text(&element.text())
            && element.children().all(|child| children.next().is_some_and(|tree| tree.is_like(child)))
            && children.next().is_none()
    }

    fn has_text(&self, text: &str) -> bool {
        let mut rest = Some(text);
        for node in &self.nodes {
            if let Node::Text(part) = node {
                rest = rest.and_then(|rest| rest.strip_prefix(part.as_str()));
            }
        }
        rest == Some("")
    }
}
