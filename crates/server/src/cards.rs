//! What we speak: the cards of all features. Service discovery, doap.xml and the book's table come from this list.

use features::{
    ad_hoc, blocking, caps, delivery, disco, last_activity, offline, ping, presence, private, registration,
    roster, subscription, time, vcard, version,
};
use step::Card;

/// All cards, in the order of their numbers; the RFCs first.
pub const CARDS: &[Card] = &[
    roster::CARD,
    subscription::CARD,
    presence::CARD,
    delivery::CARD,
    last_activity::CARD,
    disco::CARD,
    private::CARD,
    ad_hoc::CARD,
    vcard::CARD,
    registration::CARD,
    version::CARD,
    caps::CARD,
    disco::EXTENSIONS_CARD,
    ad_hoc::ADMINISTRATION_CARD,
    disco::CONTACTS_CARD,
    offline::CARD,
    blocking::CARD,
    ping::CARD,
    time::CARD,
    offline::DELAY_CARD,
];
