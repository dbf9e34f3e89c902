//! Namespaces, each under one name.

macro_rules! namespaces {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => { $($(#[$doc])* pub const $name: &str = $text;)* };
}

namespaces! {
    /// `xml:lang` and `xml:space`.
    XML = "http://www.w3.org/XML/1998/namespace";
    /// Namespace declarations.
    XMLNS = "http://www.w3.org/2000/xmlns/";
    /// Content of client streams (RFC 6120 §4.8.2).
    CLIENT = "jabber:client";
    /// Content of streams between servers.
    SERVER = "jabber:server";
    /// Content of component streams (XEP-0114).
    COMPONENT = "jabber:component:accept";
    /// The stream itself.
    STREAM = "http://etherx.jabber.org/streams";
    /// Conditions of stream errors.
    STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";
    /// Conditions of stanza errors.
    STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// STARTTLS.
    TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    /// SASL.
    SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// SASL2 (XEP-0388).
    SASL2 = "urn:xmpp:sasl:2";
    /// Tasks that give an account keys (XEP-0480).
    SASL_UPGRADE = "urn:xmpp:sasl:upgrade:0";
    /// What such tasks say for SCRAM (XEP-0480 §3).
    SCRAM_UPGRADE = "urn:xmpp:scram-upgrade:0";
    /// Tokens to log in with (XEP-0484).
    FAST = "urn:xmpp:fast:0";
    /// What a client may rely on before it has seen it (XEP-0509).
    PIPELINING = "urn:xmpp:iap:0";
    /// Channel bindings (XEP-0440).
    SASL_CB = "urn:xmpp:sasl-cb:0";
    /// Resource binding.
    BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    /// Resource binding within the login (XEP-0386).
    BIND2 = "urn:xmpp:bind:0";
    /// Sessions (RFC 3921).
    SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    /// Stream limits (XEP-0478).
    STREAM_LIMITS = "urn:xmpp:stream-limits:0";
    /// Rosters.
    ROSTER = "jabber:iq:roster";
    /// Clients that have access to an account (XEP-0494).
    CLIENT_ACCESS = "urn:xmpp:cam:0";
    /// Roster versioning.
    ROSTER_VER = "urn:xmpp:features:rosterver";
    /// Subscription pre-approval.
    PRE_APPROVAL = "urn:xmpp:features:pre-approval";
    /// Data forms (XEP-0004).
    FORMS = "jabber:x:data";
    /// Last activity (XEP-0012).
    LAST = "jabber:iq:last";
    /// disco#info (XEP-0030).
    DISCO_INFO = "http://jabber.org/protocol/disco#info";
    /// disco#items (XEP-0030).
    DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    /// Private XML (XEP-0049).
    PRIVATE = "jabber:iq:private";
    /// Ad-hoc commands (XEP-0050).
    COMMANDS = "http://jabber.org/protocol/commands";
    /// vCards (XEP-0054).
    VCARD = "vcard-temp";
    /// Result set management (XEP-0059).
    RSM = "http://jabber.org/protocol/rsm";
    /// Registration (XEP-0077).
    REGISTER = "jabber:iq:register";
    /// Registration as a stream feature (XEP-0077 §8).
    REGISTER_FEATURE = "http://jabber.org/features/iq-register";
    /// Chat states (XEP-0085).
    CHAT_STATES = "http://jabber.org/protocol/chatstates";
    /// Version (XEP-0092).
    VERSION = "jabber:iq:version";
    /// Capabilities (XEP-0115).
    CAPS = "http://jabber.org/protocol/caps";
    /// Encryption with OpenPGP of old (XEP-0027).
    PGP_OLD = "jabber:x:encrypted";
    /// Service administration (XEP-0133).
    ADMIN = "http://jabber.org/protocol/admin";
    /// Contact addresses (XEP-0157).
    SERVERINFO = "http://jabber.org/network/serverinfo";
    /// Blocking (XEP-0191).
    BLOCKING = "urn:xmpp:blocking";
    /// Errors of blocking.
    BLOCKING_ERRORS = "urn:xmpp:blocking:errors";
    /// Publishing (XEP-0060).
    PUBSUB = "http://jabber.org/protocol/pubsub";
    /// What only the owner of a node may do (XEP-0060 §8).
    PUBSUB_OWNER = "http://jabber.org/protocol/pubsub#owner";
    /// Errors of publishing.
    PUBSUB_ERRORS = "http://jabber.org/protocol/pubsub#errors";
    /// The configuration of a node, as a form (XEP-0060 §16.4.4).
    NODE_CONFIG = "http://jabber.org/protocol/pubsub#node_config";
    /// What a node tells of itself, as a form (XEP-0060 §5.4).
    META_DATA = "http://jabber.org/protocol/pubsub#meta-data";
    /// The options of publishing, as a form (XEP-0060 §7.1.5).
    PUBLISH_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options";
    /// What nodes tell their subscribers (XEP-0060).
    PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event";
    /// The element by which rooms mark what comes from them (XEP-0045).
    MUC_USER = "http://jabber.org/protocol/muc#user";
    /// What may be filled into forms (XEP-0122).
    VALIDATE = "http://jabber.org/protocol/xdata-validate";
    /// Delivery receipts (XEP-0184).
    RECEIPTS = "urn:xmpp:receipts";
    /// Ping (XEP-0199).
    PING = "urn:xmpp:ping";
    /// Time (XEP-0202).
    TIME = "urn:xmpp:time";
    /// Delayed delivery (XEP-0203).
    DELAY = "urn:xmpp:delay";
    /// Stream management (XEP-0198).
    SM = "urn:xmpp:sm:3";
    /// Direct invitations to rooms (XEP-0249).
    CONFERENCE = "jabber:x:conference";
    /// Carbons (XEP-0280).
    CARBONS = "urn:xmpp:carbons:2";
    /// All of the rules of carbons (XEP-0280 §6.2).
    CARBONS_RULES = "urn:xmpp:carbons:rules:0";
    /// Forwarded stanzas (XEP-0297).
    FORWARD = "urn:xmpp:forward:0";
    /// Text as it is typed (XEP-0301).
    REAL_TIME_TEXT = "urn:xmpp:rtt:0";
    /// Corrections (XEP-0308).
    CORRECTION = "urn:xmpp:message-correct:0";
    /// Message archives (XEP-0313).
    MAM = "urn:xmpp:mam:2";
    /// Archives with all that is newer in them (XEP-0313 §7).
    MAM_EXTENDED = "urn:xmpp:mam:2#extended";
    /// Archives that may be asked for what was said in rooms, or not (XEP-0313 §7).
    MAM_GROUPCHAT = "urn:xmpp:mam:2#groupchat-field";
    /// Displayed markers (XEP-0333).
    MARKERS = "urn:xmpp:chat-markers:0";
    /// Message processing hints (XEP-0334).
    HINTS = "urn:xmpp:hints";
    /// Whether somebody looks at a client (XEP-0352).
    CSI = "urn:xmpp:csi:0";
    /// Invitations to calls ahead of Jingle (XEP-0353).
    CALLS = "urn:xmpp:jingle-message:0";
    /// Ids of stanzas (XEP-0359).
    SID = "urn:xmpp:sid:0";
    /// Push notifications (XEP-0357).
    PUSH = "urn:xmpp:push:0";
    /// What a push notification says, as a form.
    PUSH_SUMMARY = "urn:xmpp:push:summary";
    /// References to somebody or something (XEP-0372).
    REFERENCE = "urn:xmpp:reference:0";
    /// OpenPGP (XEP-0373).
    OPENPGP = "urn:xmpp:openpgp:0";
    /// Which encryption was used (XEP-0380).
    ENCRYPTION = "urn:xmpp:eme:0";
    /// An account as a file (XEP-0227).
    PORTABLE = "urn:xmpp:pie:0";
    /// The archive in such a file.
    PORTABLE_ARCHIVE = "urn:xmpp:pie:0#mam";
    /// What such a file has of ours that no specification names.
    KEPT = "urn:waxwing:kept";
    /// Reports of spam and abuse (XEP-0377).
    REPORTING = "urn:xmpp:reporting:1";
    /// OMEMO (XEP-0384).
    OMEMO = "urn:xmpp:omemo:2";
    /// OMEMO, as most clients still speak it.
    OMEMO_OLD = "eu.siacs.conversations.axolotl";
    /// Retraction of a message (XEP-0424).
    RETRACTION = "urn:xmpp:message-retract:1";
    /// Archives in which what was retracted leaves a mark (XEP-0424 §4).
    TOMBSTONES = "urn:xmpp:message-retract:1#tombstone";
    /// Search for words in archives (XEP-0431).
    FULL_TEXT = "urn:xmpp:fulltext:0";
    /// Bookmarks, as a node and in its items (XEP-0402).
    BOOKMARKS = "urn:xmpp:bookmarks:1";
    /// Reactions to a message (XEP-0444).
    REACTIONS = "urn:xmpp:reactions:0";
    /// Replies to a message (XEP-0461).
    REPLY = "urn:xmpp:reply:0";
    /// Invitations to calls of any kind (XEP-0482).
    CALL_INVITES = "urn:xmpp:call-invites:0";
    /// Of which chats somebody wants to be told (XEP-0492).
    NOTIFICATION_SETTINGS = "urn:xmpp:notification-settings:1";
}

/// Whether a namespace is the content of a kind of stream: the same stanzas, whatever it says (RFC 6120 §4.8.2).
pub fn is_content(namespace: &str) -> bool {
    matches!(namespace, CLIENT | SERVER | COMPONENT)
}
