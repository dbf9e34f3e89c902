//! Software version (XEP-0092): which server this is. The operating system is nobody's business (§4).

use step::{Card, Reply, Stop};
use xmpp::error::Condition;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 92,
    version: "1.1",
    title: "Software Version",
    host: &[ns::VERSION],
    note: "The operating system is not told.",
    ..Card::PLAIN
};

/// The name of this software.
pub const NAME: &str = "Waxwing";

/// The version of this software.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers which software our domain runs.
///
/// # Errors
/// `bad-request` for a set.
pub fn answer(iq: &Stanza) -> Result<Reply, Stop> {
    if iq.type_ != Type::Get {
        return Err(Condition::BadRequest.into());
    }
    let query = Element::new(ns::VERSION, "query")
        .with_child(Element::new(ns::VERSION, "name").with_text(NAME))
        .with_child(Element::new(ns::VERSION, "version").with_text(VERSION));
    Ok(Reply::Result(query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{iq, shown};

    #[test]
    fn tells_name_and_version_and_no_system() {
        let get = iq(Type::Get, "<query xmlns='jabber:iq:version'/>");
        let Ok(Reply::Result(query)) = answer(&get) else { panic!("no result") };
        assert_eq!(query.child(ns::VERSION, "name").map(Element::text).as_deref(), Some("Waxwing"));
        assert_eq!(query.child(ns::VERSION, "version").map(Element::text).as_deref(), Some(VERSION));
        assert!(query.child(ns::VERSION, "os").is_none());
        assert_eq!(shown(answer(&iq(Type::Set, "<query xmlns='jabber:iq:version'/>"))), "bad-request");
    }
}
