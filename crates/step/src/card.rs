//! What a feature says of itself; service discovery, doap.xml and the book's table are made from these cards.

/// A feature's card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// The number of the XEP, or 0 for what an RFC defines.
    pub xep: u16,
    /// The version of the specification that was implemented.
    pub version: &'static str,
    /// The specification's title.
    pub title: &'static str,
    /// Features that disco#info of our domain announces (XEP-0030 §3).
    pub host: &'static [&'static str],
    /// Features that disco#info of an account announces.
    pub account: &'static [&'static str],
    /// What is left out or different, for the reader of the table; empty if nothing.
    pub note: &'static str,
}

impl Card {
    /// A card that announces nothing; the fields that differ are set by struct update.
    pub const PLAIN: Card = Card { xep: 0, version: "", title: "", host: &[], account: &[], note: "" };
}
