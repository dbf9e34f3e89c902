//! Result sets in pages (XEP-0059).

use crate::error::{Condition, StanzaError};
use crate::ns;
use crate::xml::Element;

/// What page of a result set is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// At most so many items.
    pub max: Option<usize>,
    /// Items after this one; the empty text: from the beginning.
    pub after: Option<String>,
    /// Items before this one; the empty text: from the end.
    pub before: Option<String>,
    /// From this place on.
    pub index: Option<usize>,
}

impl Wanted {
    /// Reads a `set` of a request.
    ///
    /// # Errors
    /// `bad-request` for a number that is none, or for more than one place to begin.
    pub fn read(set: &Element) -> Result<Wanted, StanzaError> {
        let text = |name: &str| set.child(ns::RSM, name).map(Element::text);
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(digits) => {
                digits.trim().parse().map(Some).map_err(|_| StanzaError::new(Condition::BadRequest))
            }
        };
        let wanted = Wanted {
            max: number("max")?,
            after: text("after"),
            before: text("before"),
            index: number("index")?,
        };
        let places = [wanted.after.is_some(), wanted.before.is_some(), wanted.index.is_some()];
        if places.iter().filter(|said| **said).count() > 1 {
            return Err(StanzaError::new(Condition::BadRequest));
        }
        Ok(wanted)
    }
}

/// What page is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// The first item, and its place in the whole set where it is known.
    pub first: Option<(String, Option<usize>)>,
    /// The last item.
    pub last: Option<String>,
    /// Items in the whole set, where they were counted.
    pub count: Option<usize>,
}

impl Given {
    /// The `set` of an answer.
    pub fn to_element(&self) -> Element {
        let mut set = Element::new(ns::RSM, "set");
        if let Some((first, index)) = &self.first {
            let index = index.map(|index| index.to_string());
            set.push(Element::new(ns::RSM, "first").with_attr_opt("index", index).with_text(first));
        }
        if let Some(last) = &self.last {
            set.push(Element::new(ns::RSM, "last").with_text(last));
        }
        if let Some(count) = self.count {
            set.push(Element::new(ns::RSM, "count").with_text(&count.to_string()));
        }
        set
    }
}
