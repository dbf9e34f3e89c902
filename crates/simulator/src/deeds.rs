//! What a person on a device may do next, drawn from the seed.

use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::Type;

use crate::chance::Chance;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Send a chat message, to an account or to a device.
    Message(Jid),
    /// Send a marker (XEP-0333), which can wait for somebody to look at the device.
    Marker(Jid),
    /// Look away from the device, or at it again (XEP-0352).
    LookAway,
    /// See [`Deed::LookAway`].
    Look,
    /// Tell everybody how one is.
    Presence {
        /// With this priority.
        priority: i8,
    },
    /// Become unavailable, and stay.
    Hide,
    /// Put a contact into the roster, or change it.
    Befriend(BareJid),
    /// Remove a contact.
    Forget(BareJid),
    /// Send a subscription stanza.
    Subscription(Type, BareJid),
    /// Ask something of the server that changes nothing.
    Ask(Question),
    /// Keep the next number (XEP-0049).
    Keep,
    /// Publish the next number (XEP-0163), in the place of the one before.
    Publish,
    /// Take it back.
    Retract,
    /// Block somebody, or let them speak again.
    Block(BareJid),
    /// See [`Deed::Block`].
    Unblock(BareJid),
    /// Ask another device for a sign of life.
    Ping(Jid),
    /// Close the stream.
    Leave,
    /// Lose the connection.
    Vanish,
    /// Read nothing for a while.
    Stall,
}

/// Questions to the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it is there (XEP-0199).
    Ping,
    /// The roster.
    Roster,
    /// What it can do (XEP-0030).
    Disco,
    /// The own card (XEP-0054).
    Card,
    /// The number kept.
    Recall,
    /// The number published.
    Published,
}

/// Draws the next deed. `others` are the accounts there are, `devices` full addresses.
pub fn next(chance: &mut Chance, others: &[BareJid], devices: &[Jid]) -> Deed {
    const SUBSCRIPTIONS: [Type; 6] = [
        Type::Subscribe,
        Type::Subscribe,
        Type::Subscribed,
        Type::Subscribed,
        Type::Unsubscribe,
        Type::Unsubscribed,
    ];
    const QUESTIONS: [Question; 6] = [
        Question::Ping,
        Question::Roster,
        Question::Disco,
        Question::Card,
        Question::Recall,
        Question::Published,
    ];
    let other = chance.pick(others).clone();
    match chance.below(118) {
        0..=34 if chance.once_in(5) => Deed::Message(chance.pick(devices).clone()),
        0..=34 => Deed::Message(other.into()),
        35..=44 => Deed::Presence { priority: *chance.pick(&[0, 0, 1, 5, -1]) },
        45..=46 => Deed::Hide,
        47..=50 => Deed::Befriend(other),
        51 => Deed::Forget(other),
        52..=65 => Deed::Subscription(*chance.pick(&SUBSCRIPTIONS), other),
        66..=79 => Deed::Ask(*chance.pick(&QUESTIONS)),
        80..=85 => Deed::Keep,
        86 => Deed::Block(other),
        87..=88 => Deed::Unblock(other),
        89..=91 => Deed::Ping(chance.pick(devices).clone()),
        92..=94 => Deed::Leave,
        95..=97 => Deed::Vanish,
        98..=99 => Deed::Stall,
        100..=104 => Deed::Marker(other.into()),
        105..=107 => Deed::LookAway,
        108..=113 => Deed::Publish,
        114..=115 => Deed::Retract,
        _ => Deed::Look,
    }
}
