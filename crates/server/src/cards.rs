//! What we speak: the cards of all features. Service discovery, doap.xml and the book's table come from this list.

use features::{
    ad_hoc, archive, blocking, caps, carbons, client_state, clients, delivery, disco, last_activity, offline,
    ping, presence, private, push, registration, reports, roster, subscription, time, vcard, version,
};
use pubsub::pep;
use step::Card;

// What streams and addresses speak by themselves (crates `stream` and `xmpp`), where no feature has a hand in it.
const JID_ESCAPING: Card = Card {
    xep: 106,
    version: "1.1.1",
    title: "JID Escaping",
    note: "Escaped addresses are kept as they are.",
    ..Card::PLAIN
};
const ANONYMOUS: Card = Card {
    xep: 175,
    version: "1.2",
    title: "Best Practices for Use of SASL ANONYMOUS",
    note: "Off by default.",
    ..Card::PLAIN
};
const EXTERNAL: Card = Card {
    xep: 178,
    version: "1.2",
    title: "Best Practices for Use of SASL EXTERNAL with Certificates",
    note: "For clients.",
    ..Card::PLAIN
};
const STREAM_MANAGEMENT: Card = Card {
    xep: 198,
    version: "1.6.3",
    title: "Stream Management",
    note: "Acknowledgements of what is durable, and resumption, over a restart and a crash of the server too.",
    ..Card::PLAIN
};
const DIRECT_TLS: Card =
    Card { xep: 368, version: "1.1.0", title: "SRV records for XMPP over TLS", ..Card::PLAIN };
const BIND2: Card = Card {
    xep: 386,
    version: "1.1.0",
    title: "Bind 2",
    note: "Carbons can be turned on with it. Of what is held it clears what is in the archive; the rest is handed \
           over.",
    ..Card::PLAIN
};
const SASL2: Card = Card { xep: 388, version: "1.0.4", title: "Extensible SASL Profile", ..Card::PLAIN };
const PASSWORDS: Card = Card {
    xep: 438,
    version: "0.2.0",
    title: "Best practices for password hashing and storage",
    ..Card::PLAIN
};
const CHANNEL_BINDINGS: Card =
    Card { xep: 440, version: "1.0.0", title: "SASL Channel-Binding Type Capability", ..Card::PLAIN };
const DOWNGRADES: Card =
    Card { xep: 474, version: "0.5.0", title: "SASL SCRAM Downgrade Protection", ..Card::PLAIN };
const UPGRADES: Card = Card {
    xep: 480,
    version: "0.2.0",
    title: "SASL Upgrade Tasks",
    note: "To SCRAM-SHA-256 and SCRAM-SHA-512.",
    ..Card::PLAIN
};
const PIPELINING: Card =
    Card { xep: 509, version: "0.2.0", title: "Initial Authentication Pipelining", ..Card::PLAIN };
const STREAM_LIMITS: Card =
    Card { xep: 478, version: "0.2.0", title: "Stream Limits Advertisement", ..Card::PLAIN };

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
    archive::PAGES_CARD,
    pep::CARD,
    registration::CARD,
    version::CARD,
    JID_ESCAPING,
    caps::CARD,
    disco::EXTENSIONS_CARD,
    ad_hoc::ADMINISTRATION_CARD,
    disco::CONTACTS_CARD,
    offline::CARD,
    pep::PERSONAL_CARD,
    ANONYMOUS,
    EXTERNAL,
    blocking::CARD,
    STREAM_MANAGEMENT,
    ping::CARD,
    time::CARD,
    offline::DELAY_CARD,
    pep::PUBLIC_CARD,
    pep::PRIVATE_CARD,
    carbons::CARD,
    carbons::FORWARDING_CARD,
    archive::CARD,
    archive::HINTS_CARD,
    archive::IDS_CARD,
    DIRECT_TLS,
    archive::RETRACTION_CARD,
    archive::SEARCH_CARD,
    BIND2,
    SASL2,
    client_state::CARD,
    push::CARD,
    reports::CARD,
    PASSWORDS,
    CHANNEL_BINDINGS,
    archive::PREFERENCES_CARD,
    DOWNGRADES,
    STREAM_LIMITS,
    UPGRADES,
    clients::TOKENS_CARD,
    push::SETTINGS_CARD,
    clients::CARD,
    PIPELINING,
];
