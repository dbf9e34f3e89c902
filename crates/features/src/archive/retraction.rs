//! Retractions (XEP-0424): of a message that its sender takes back, only a mark stays in the archive.

use step::{Read, Retraction, Return, Returned, Step};
use store::Write;
use xmpp::datetime;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{ContentNs, Kind, Stanza, Type};
use xmpp::xml::Element;

/// Has the message looked for that this one takes back, if it does so; `sent` says whether the owner has sent both.
pub fn look(owner: &BareJid, with: Option<&Jid>, sent: bool, message: &Stanza, step: &mut Step<'_>) {
    let conversation = message.kind == Kind::Message && matches!(message.type_, Type::Chat | Type::Normal);
    if !conversation || !message.has(ns::RETRACTION, "retract") {
        return;
    }
    let retract = message.element(ns::RETRACTION, "retract");
    let taken_back = retract.as_ref().and_then(|retract| retract.attr("id"));
    let (Some(with), Some(id), Some(own), Some(from)) = (with, taken_back, &message.id, &message.from) else {
        return;
    };
    let read = Read::Archived { owner: owner.clone(), with: with.bare(), sent, id: id.to_owned() };
    let retraction = Retraction { id: own.to_string(), from: from.clone(), at: step.wall };
    step.read(read, Return::Retraction(Box::new(retraction)));
}

/// The message has been looked for: in its place stands that it was retracted (§4). Of what an occupant of a room has
/// said, only the same occupant can take anything back (§5).
pub fn returned(owner: &BareJid, retraction: &Retraction, came: Returned, step: &mut Step<'_>) {
    let Returned::Archived(Some(found)) = came else { return };
    let Ok(original) = Stanza::read(&found.xml) else { return };
    let author = original.from.as_ref();
    let same = match original.has(ns::MUC_USER, "x") {
        true => author == Some(&retraction.from),
        false => author.is_some_and(|author| author.bare() == retraction.from.bare()),
    };
    if !same || original.has(ns::RETRACTION, "retracted") || original.has(ns::RETRACTION, "retract") {
        return;
    }
    let mut tombstone = Stanza::message(original.type_);
    tombstone.from.clone_from(&original.from);
    tombstone.to.clone_from(&original.to);
    tombstone.id.clone_from(&original.id);
    let mark = Element::new(ns::RETRACTION, "retracted")
        .with_attr("id", retraction.id.as_str())
        .with_attr("stamp", datetime::format(retraction.at));
    let mut xml = Vec::new();
    tombstone.with_child(&mark).write(&mut xml, ContentNs::Inherited);
    step.write(Write::ArchiveReplace { owner: owner.clone(), seq: found.seq, xml });
}
