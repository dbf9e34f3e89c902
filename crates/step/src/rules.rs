//! One table of rules: of each message, whether it is kept, archived, copied, held back from an idle device, pushed.

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

/// Which devices get copies of a message (XEP-0280 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// All that want copies.
    Always,
    /// As [`Always`](Copied::Always) if it is a chat message, has a body or carries what is typical of conversations.
    Spoken,
    /// As [`Always`](Copied::Always) if the message that it answers was copied.
    Answer,
    /// None.
    Never,
}

/// What happens to a stanza for a device that says that nobody looks at it (XEP-0352 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inactive {
    /// It goes at once, behind all that was held back.
    Flush,
    /// It is held back until something goes.
    Hold,
    /// It is held back, and takes the place of an older one from the same source.
    Newest,
    /// As [`Flush`](Inactive::Flush) if it names the reader, else as [`Hold`](Inactive::Hold); unless they have set
    /// something else for the room (XEP-0492).
    IfNamed,
}

/// Whether a message wakes devices that are not there (XEP-0357 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// It does, unless the reader has set something else for the chat (XEP-0492).
    Wake,
    /// It does, and somebody waits: no other push makes it wait.
    Call,
    /// It wakes those whom the call that it speaks of has woken.
    AfterCall,
    /// It does if it names the reader, unless they have set something else for the room (XEP-0492).
    IfNamed,
    /// It does not.
    Never,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What the row speaks of, for the book.
    pub what: &'static str,
    is: fn(&Stanza) -> bool,
    /// Whether it is kept for somebody who is not there (XEP-0160 §3).
    pub kept: bool,
    /// Whether it goes into the archive (XEP-0313 §6.1.1).
    pub archived: bool,
    /// Which devices get copies of it.
    pub copied: Copied,
    /// What happens to it for a device at which nobody looks.
    pub inactive: Inactive,
    /// Whom it wakes.
    pub push: Push,
}

macro_rules! rules {
    ($($what:literal, $is:ident: $kept:ident, $archived:ident, $copied:ident, $inactive:ident, $push:ident;)*) => {
        &[$(Rule {
            what: $what,
            is: $is,
            kept: yes_or_no!($kept),
            archived: yes_or_no!($archived),
            copied: Copied::$copied,
            inactive: Inactive::$inactive,
            push: Push::$push,
        }),*]
    };
}

macro_rules! yes_or_no {
    (yes) => {
        true
    };
    (no) => {
        false
    };
}

/// The table: the first row that fits a stanza speaks of it, and hints override the row ([`of`]).
pub const RULES: &[Rule] = rules! {
    // what it is                                               kept arch. copied  inactive push
    "A request or an answer to one (iq)",       iq:             no,  no,   Never,  Flush,   Never;
    "An error",                                 error:          no,  no,   Answer, Flush,   Never;
    "A subscription request",                   asks:           no,  no,   Never,  Flush,   Wake;
    "Any other word about a subscription",      subscription:   no,  no,   Never,  Flush,   Never;
    "The reader's own presence in a room",      joins:          no,  no,   Never,  Flush,   Never;
    "Presence of others in a room",             occupant:       no,  no,   Never,  Hold,    Never;
    "Presence",                                 presence:       no,  no,   Never,  Newest,  Never;
    "What is said in a room",                   room_talk:      no,  no,   Never,  IfNamed, IfNamed;
    "The subject of a room",                    room_subject:   no,  no,   Never,  Flush,   Never;
    "Anything else in a room",                  room:           no,  no,   Never,  Hold,    Never;
    "News of a node (PEP, publish-subscribe)",  event:          yes, no,   Spoken, Newest,  Never;
    "A headline",                               headline:       no,  no,   Spoken, Hold,    Never;
    "An invitation to a call",                  call:           yes, yes,  Spoken, Flush,   Call;
    "The answer to an invitation to a call",    call_answer:    yes, yes,  Spoken, Flush,   AfterCall;
    "Anything else about a call",               call_state:     yes, yes,  Spoken, Flush,   Never;
    "An invitation to a room",                  is_invitation:  yes, yes,  Always, Flush,   Wake;
    "A correction, reaction or retraction",     amendment:      yes, yes,  Spoken, Hold,    Never;
    "A message with a body",                    body:           yes, yes,  Spoken, Flush,   Wake;
    "An encrypted message",                     encrypted:      yes, yes,  Spoken, Flush,   Wake;
    "An encrypted message that says nothing",   keys_only:      yes, yes,  Spoken, Hold,    Never;
    "A receipt or a marker",                    receipt:        yes, yes,  Always, Hold,    Never;
    "A chat state alone",                       chat_state:     no,  no,   Always, Newest,  Never;
    "Text as it is typed",                      typed:          no,  no,   Spoken, Hold,    Never;
    "Nothing but a thread or hints",            nothing:        no,  no,   Spoken, Flush,   Never;
    "Anything else",                            anything:       yes, no,   Spoken, Flush,   Never;
};

/// The rule for a stanza: its row, with the hints that override it (XEP-0334 §4), `Spoken` decided.
pub fn of(stanza: &Stanza) -> Rule {
    let found = RULES.iter().find(|row| (row.is)(stanza));
    // The last row fits everything.
    let mut rule = *found.unwrap_or(&RULES[RULES.len() - 1]);
    // XEP-0334 §5: an error bears the hints of what it answers.
    if stanza.kind != Kind::Message || stanza.type_ == Type::Error {
        return rule;
    }
    let hint = |name| stanza.has(ns::HINTS, name);
    let conversation = matches!(stanza.type_, Type::Normal | Type::Chat);
    // XEP-0160 §3: whoever is not there has missed what was said in a room, and headlines.
    rule.kept = conversation && (rule.kept || hint("store")) && !hint("no-store");
    // XEP-0313 §6.1.1: conversations, and headlines of which it is asked. What is said in a room is archived there.
    rule.archived = match stanza.type_ {
        Type::Groupchat => false,
        _ => hint("store") || (conversation && rule.archived),
    } && !hint("no-store")
        && !hint("no-permanent-store");
    if rule.copied == Copied::Spoken {
        rule.copied = if is_spoken(stanza) { Copied::Always } else { Copied::Never };
    }
    // XEP-0280 §9, XEP-0334 §4.3
    if stanza.has(ns::CARBONS, "private") || hint("no-copy") {
        rule.copied = Copied::Never;
    }
    rule
}

/// What happens to a stanza for a device at which nobody looks: to a copy what happens to the message in it.
pub fn while_inactive(stanza: &Stanza) -> Inactive {
    match copied_message(stanza) {
        Some(message) => of(&message).inactive,
        None => of(stanza).inactive,
    }
}

/// The message in a copy, if the stanza is one (XEP-0280 §7, §8).
pub fn copied_message(stanza: &Stanza) -> Option<Stanza> {
    let copy = ["received", "sent"].into_iter().find_map(|way| stanza.element(ns::CARBONS, way))?;
    let message = copy.child(ns::FORWARD, "forwarded")?.child(ns::CLIENT, "message")?;
    Stanza::read(message.to_xml().as_bytes()).ok()
}

/// What news of a node speak of: the node and the item. None at all: they are no such news; `Some(None)`: they speak of
/// more than one thing.
pub fn item(message: &Stanza) -> Option<Option<String>> {
    let event = message.element(ns::PUBSUB_EVENT, "event")?;
    let mut nodes = event.children();
    let (Some(items), None) = (nodes.next(), nodes.next()) else { return Some(None) };
    let mut inside = items.children();
    let (Some(item), None) = (inside.next(), inside.next()) else { return Some(None) };
    let (node, id) = (items.attr("node").unwrap_or_default(), item.attr("id").unwrap_or_default());
    Some((item.name() == "item" || item.name() == "retract").then(|| format!("{node} {id}")))
}

/// The id of the call that a message speaks of (XEP-0353 §3, XEP-0482 §3.1).
pub fn call_id(message: &Stanza) -> Option<String> {
    let known = |(namespace, _): &(&str, &str)| [ns::CALLS, ns::CALL_INVITES].contains(namespace);
    match message.children().find(known)? {
        (ns::CALL_INVITES, "invite") => message.id.as_deref().map(str::to_owned),
        (namespace, name) => message.element(namespace, name)?.attr("id").map(str::to_owned),
    }
}

/// Whether a message says this name, as a word by itself in any case: that of the reader in a room.
pub fn names(message: &Stanza, nick: &str) -> bool {
    let (Some(body), false) = (message.body(), nick.is_empty()) else { return false };
    let (body, nick) = (body.to_lowercase(), nick.to_lowercase());
    let is_edge = |next: Option<char>| next.is_none_or(|next| !next.is_alphanumeric());
    body.match_indices(&nick).any(|(at, found)| {
        is_edge(body[..at].chars().next_back()) && is_edge(body[at + found.len()..].chars().next())
    })
}

/// Whether a message points at somebody whose addresses these are: it answers what they have said (XEP-0461 §3), or
/// mentions them (XEP-0372 §3.2).
pub fn points_at(message: &Stanza, is_theirs: &dyn Fn(&Jid) -> bool) -> bool {
    let answers = message.element(ns::REPLY, "reply");
    let author = answers.as_ref().and_then(|reply| reply.attr("to")).and_then(|to| Jid::new(to).ok());
    let mentions = message.elements(ns::REFERENCE, "reference");
    let mut mentions = mentions.filter(|reference| reference.attr("type") == Some("mention"));
    author.is_some_and(|author| is_theirs(&author))
        || mentions.any(|mention| mention.attr("uri").and_then(addressed).is_some_and(|jid| is_theirs(&jid)))
}

/// The address that a URI names (RFC 5122 §2.2).
fn addressed(uri: &str) -> Option<Jid> {
    let (scheme, path) = uri.split_once(':')?;
    let path = path.split(['?', '#']).next().filter(|_| scheme.eq_ignore_ascii_case("xmpp"))?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let byte = match (first, behind) {
            (b'%', [high, low, ..]) => u8::try_from(digit(high)? * 16 + digit(low)?).ok()?,
            _ => *first,
        };
        bytes.push(byte);
        rest = if *first == b'%' { behind.get(2..)? } else { behind };
    }
    Jid::new(&String::from_utf8(bytes).ok()?).ok()
}

/// A mediated or a direct invitation to a room (XEP-0045 §7.8.2, XEP-0249 §2).
pub fn is_invitation(message: &Stanza) -> bool {
    message.has_ns(ns::CONFERENCE)
        || message.element(ns::MUC_USER, "x").is_some_and(|x| x.child(ns::MUC_USER, "invite").is_some())
}

/// XEP-0280 §6.1: chat, normal messages with a body, and what carries payloads that are typical of conversations.
fn is_spoken(message: &Stanza) -> bool {
    let typical = [ns::RECEIPTS, ns::CHAT_STATES, ns::MARKERS];
    match message.type_ {
        Type::Chat => true,
        Type::Normal if body(message) => true,
        _ => typical.iter().any(|namespace| message.has_ns(namespace)) || is_invitation(message),
    }
}

fn iq(stanza: &Stanza) -> bool {
    stanza.kind == Kind::Iq
}

fn error(stanza: &Stanza) -> bool {
    stanza.type_ == Type::Error
}

fn asks(stanza: &Stanza) -> bool {
    stanza.type_ == Type::Subscribe
}

fn subscription(stanza: &Stanza) -> bool {
    matches!(stanza.type_, Type::Subscribed | Type::Unsubscribe | Type::Unsubscribed | Type::Probe)
}

fn presence(stanza: &Stanza) -> bool {
    stanza.kind == Kind::Presence
}

fn occupant(stanza: &Stanza) -> bool {
    presence(stanza) && stanza.has(ns::MUC_USER, "x")
}

/// XEP-0045 §7.2.2: status 110 ends the presence that answers one who joins.
fn joins(stanza: &Stanza) -> bool {
    let own = |x: &Element| x.children().any(|child| child.attr("code") == Some("110"));
    occupant(stanza) && stanza.element(ns::MUC_USER, "x").is_some_and(|x| own(&x))
}

fn room(message: &Stanza) -> bool {
    message.type_ == Type::Groupchat
}

fn room_talk(message: &Stanza) -> bool {
    room(message) && !amendment(message) && (body(message) || encrypted(message))
}

/// XEP-0045 §7.2.15: it ends what answers one who joins.
fn room_subject(message: &Stanza) -> bool {
    room(message) && !body(message) && message.has(ns::CLIENT, "subject")
}

fn event(message: &Stanza) -> bool {
    message.has_ns(ns::PUBSUB_EVENT)
}

fn headline(message: &Stanza) -> bool {
    message.type_ == Type::Headline
}

/// XEP-0353 §3.1, XEP-0482 §2.1
fn call(message: &Stanza) -> bool {
    message.has(ns::CALLS, "propose") || message.has(ns::CALL_INVITES, "invite")
}

/// XEP-0353 §3.3 to §3.5, XEP-0482 §2.2 to §2.4
fn call_answer(message: &Stanza) -> bool {
    let answers =
        [(ns::CALLS, "retract"), (ns::CALLS, "proceed"), (ns::CALLS, "accept"), (ns::CALLS, "reject")];
    let invites = [(ns::CALL_INVITES, "retract"), (ns::CALL_INVITES, "accept"), (ns::CALL_INVITES, "reject")];
    message.children().any(|child| answers.contains(&child) || invites.contains(&child))
}

/// XEP-0353 §3.2, §3.7; XEP-0482 §2.5
fn call_state(message: &Stanza) -> bool {
    message.has_ns(ns::CALLS) || message.has_ns(ns::CALL_INVITES)
}

/// XEP-0308, XEP-0424, XEP-0444: what changes a message that was sent before.
fn amendment(message: &Stanza) -> bool {
    message.has(ns::CORRECTION, "replace")
        || message.has(ns::RETRACTION, "retract")
        || message.has(ns::REACTIONS, "reactions")
}

fn body(message: &Stanza) -> bool {
    message.has(ns::CLIENT, "body")
}

/// XEP-0380, XEP-0384 §5.5, XEP-0373, XEP-0027
fn encrypted(message: &Stanza) -> bool {
    let ways = [ns::ENCRYPTION, ns::OMEMO, ns::OMEMO_OLD, ns::OPENPGP, ns::PGP_OLD];
    ways.iter().any(|namespace| message.has_ns(namespace)) && !keys_only(message)
}

/// XEP-0384 §5.5: an empty OMEMO message manages sessions; nobody has said anything.
fn keys_only(message: &Stanza) -> bool {
    let omemo = [ns::OMEMO, ns::OMEMO_OLD].into_iter();
    let empty = |namespace, encrypted: Element| encrypted.child(namespace, "payload").is_none();
    let mut found = omemo.filter_map(|ns| Some(empty(ns, message.element(ns, "encrypted")?)));
    !body(message) && found.next().is_some_and(|first| first && found.all(|next| next))
}

/// XEP-0184 §7, XEP-0333 §4.2
fn receipt(message: &Stanza) -> bool {
    message.has_ns(ns::RECEIPTS) || message.has_ns(ns::MARKERS)
}

/// XEP-0085 §5, also between occupants of a room.
fn chat_state(message: &Stanza) -> bool {
    let state = |(namespace, _): (&str, &str)| namespace == ns::CHAT_STATES;
    let room = |child: (&str, &str)| child == (ns::MUC_USER, "x");
    message.children().any(state)
        && message.children().all(|child| state(child) || room(child) || is_trimming(child))
}

fn typed(message: &Stanza) -> bool {
    message.has_ns(ns::REAL_TIME_TEXT)
}

fn nothing(message: &Stanza) -> bool {
    message.children().all(is_trimming)
}

fn anything(_: &Stanza) -> bool {
    true
}

/// What says nothing by itself.
fn is_trimming((namespace, name): (&str, &str)) -> bool {
    matches!(namespace, ns::HINTS | ns::SID | ns::DELAY) || (namespace, name) == (ns::CLIENT, "thread")
}

#[cfg(test)]
mod tests;
