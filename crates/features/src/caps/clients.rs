//! What clients can do (XEP-0115): told as a hash in their presence, asked once of one of them, and proven by the hash.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use step::{Act, Identity, Read, Return, Returned, SessionId, Sessions, Shown, Step, Told, Wishes};
use store::{Capabilities, Write};
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// Bytes of each part of what a client's presence tells.
const PART_BYTES_MAX: usize = 1_023;
/// Nodes that one client wants news of.
pub const WANTED_MAX: usize = 200;
/// Bytes of their names together.
pub const WANTED_BYTES_MAX: usize = 16 * 1024;

/// Identities of one client.
pub const IDENTITIES_MAX: usize = 16;
/// Bytes of a category or a type of them.
const IDENTITY_BYTES_MAX: usize = 64;

/// What follows the name of a node in a feature that says that news of it are wanted (XEP-0060 §9.2).
const NOTIFY: &str = "+notify";

/// Whether something new has become known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// What it wants.
    Wishes(SessionId),
    /// Nothing.
    Nothing,
}

/// Presence without an address tells what the client can do: if that is new, the store is asked whether it is known.
/// Presence that says that somebody is there no more, or nothing of capabilities, takes them away (XEP-0115 §6.1).
pub fn heed(sessions: &mut Sessions, id: SessionId, presence: &Stanza, step: &mut Step<'_>) {
    let Some(session) = sessions.find_mut(id) else { return };
    let told = told(presence);
    if told.as_ref() != session.wishes.told() {
        look_up(&mut session.wishes, told, id, step);
    }
}

/// What was asked may be lost, or was asked in another life of the server: it is asked again.
pub fn heed_again(sessions: &mut Sessions, step: &mut Step<'_>) {
    for id in sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
        let Some(session) = sessions.find_mut(id) else { continue };
        if session.wishes.wanted().is_none() {
            let told = session.presence.as_ref().and_then(told);
            look_up(&mut session.wishes, told, id, step);
        }
    }
}

fn look_up(wishes: &mut Wishes, told: Option<Told>, id: SessionId, step: &mut Step<'_>) {
    *wishes = match told {
        None => Wishes::None,
        Some(told) => {
            let (hash, ver) = (told.hash.clone(), told.ver.clone());
            let told = Box::new(told);
            step.read(Read::Capabilities { hash, ver }, Return::Capabilities(id, told.clone()));
            Wishes::Looked(told)
        }
    };
}

/// The hash in a presence; what is too long, or of the format without a hash function (XEP-0115 §13), is none.
fn told(presence: &Stanza) -> Option<Told> {
    if presence.type_ != Type::Available {
        return None;
    }
    let c = presence.element(ns::CAPS, "c")?;
    let part = |name| c.attr(name).filter(|value| value.len() <= PART_BYTES_MAX).map(str::to_owned);
    Some(Told { hash: part("hash")?, node: part("node")?, ver: part("ver")? })
}

/// The store has answered for what a session `told` then: the client itself is asked what is not known (XEP-0115 §6.2).
pub fn returned(
    sessions: &mut Sessions,
    account: &BareJid,
    id: SessionId,
    told: Box<Told>,
    came: Returned,
    step: &mut Step<'_>,
) -> Learnt {
    let Some(session) = sessions.find_mut(id) else { return Learnt::Nothing };
    if !matches!(&session.wishes, Wishes::Looked(now) if *now == told) {
        return Learnt::Nothing;
    }
    if let Returned::Capabilities(Some(shown)) = came {
        session.wishes = Wishes::Known(told, shown);
        return Learnt::Wishes(id);
    }
    let request = step.new_id();
    let node = format!("{}#{}", told.node, told.ver);
    let question = Stanza::iq(Type::Get, &request)
        .with_from(account.clone())
        .with_to(session.jid.clone())
        .with_child(&Element::new(ns::DISCO_INFO, "query").with_attr("node", node));
    session.wishes = Wishes::Asked(told, request);
    step.to_session(id, question);
    Learnt::Nothing
}

/// A client answers. What the hash proves holds for all that tell the same; what comes with a hash function that is not
/// known here, for this client alone; what the hash belies, for nobody (XEP-0115 §5.4). None: it answers something
/// else.
pub fn answered(
    sessions: &mut Sessions,
    id: SessionId,
    answer: &Stanza,
    step: &mut Step<'_>,
) -> Option<Learnt> {
    let session = sessions.find_mut(id)?;
    let Wishes::Asked(told, request) = &session.wishes else { return None };
    if answer.id.as_deref() != Some(request) {
        return None;
    }
    let told = told.clone();
    let info = answer.element(ns::DISCO_INFO, "query").filter(|_| answer.type_ == Type::Result);
    let Some(info) = info else {
        session.wishes = Wishes::Known(told, Shown::default());
        return Some(Learnt::Nothing);
    };
    let proof = proof(&told, &info);
    if proof == Proof::Belied {
        session.wishes = Wishes::Known(told, Shown::default());
        return Some(Learnt::Wishes(id));
    }
    let (wants, identities) = (wanted(&info), identities(&info));
    let shown = Shown {
        wanted: wants.iter().map(|node| Arc::from(node.as_str())).collect(),
        identities: identities.as_slice().into(),
    };
    if proof == Proof::Holds {
        let Told { hash, ver, .. } = (*told).clone();
        let by = session.jid.bare();
        let identities = identities.into_iter().map(|identity| (identity.category, identity.type_)).collect();
        step.act(Act::Learnt((hash.clone(), ver.clone()), shown.clone()));
        let shown = Capabilities { wants, identities };
        step.write(Write::CapabilitiesKeep { by, hash, ver, at: step.wall, shown });
    }
    session.wishes = Wishes::Known(told, shown);
    Some(Learnt::Wishes(id))
}

/// What a hash says of what a client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Holds,
    Belied,
    Unknown,
}

fn proof(told: &Told, info: &Element) -> Proof {
    use aws_lc_rs::digest;
    let function = match told.hash.as_str() {
        "sha-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha-256" => &digest::SHA256,
        "sha-384" => &digest::SHA384,
        "sha-512" => &digest::SHA512,
        _ => return Proof::Unknown,
    };
    let hash = digest::digest(function, super::plain(info).as_bytes());
    if STANDARD.encode(hash) != told.ver || !is_well_formed(info) {
        return Proof::Belied;
    }
    match is_ambiguous(info) {
        true => Proof::Unknown,
        false => Proof::Holds,
    }
}

/// A hash does not tell a feature from what an identity or a form says, nor an identity from a feature, a form or
/// another way to divide it. Who says in one place what others have in another could take it away from them, so it
/// proves nothing for others (XEP-0115 §9.3).
fn is_ambiguous(info: &Element) -> bool {
    let says = |text: &str| text.contains(NOTIFY);
    // As an identity reads; what begins as a URI does not.
    let could_be_one = |text: &str| {
        let category = text.split_once('/').map_or("", |(category, _)| category);
        text.matches('/').count() >= 3 && !category.contains(':')
    };
    let other = |text: &str| says(text) || could_be_one(text);
    let attributes =
        |element: &Element, is: &dyn Fn(&str) -> bool| element.attributes().any(|(.., value)| is(value));
    let divided = |identity: &Element| {
        ["category", "type"].iter().any(|part| identity.attr(part).is_some_and(|part| part.contains('/')))
    };
    info.children().any(|child| match child.name() {
        "feature" => attributes(child, &could_be_one),
        "identity" => attributes(child, &says) || divided(child),
        _ => child
            .children()
            .any(|field| attributes(field, &other) || field.children().any(|value| other(&value.text()))),
    })
}

/// What a client is; beyond the limits, nothing.
fn identities(info: &Element) -> Vec<Identity> {
    let all = info.children().filter(|child| child.is(ns::DISCO_INFO, "identity"));
    let identity = |identity: &Element| {
        let part =
            |name| identity.attr(name).filter(|part| part.len() <= IDENTITY_BYTES_MAX).map(str::to_owned);
        Some(Identity { category: part("category")?, type_: part("type")? })
    };
    let mut found: Vec<Identity> = all.filter_map(identity).collect();
    found.dedup();
    if found.len() > IDENTITIES_MAX {
        found.clear();
    }
    found
}

/// XEP-0115 §5.4, points 3.3 to 3.5: nothing is said twice.
fn is_well_formed(info: &Element) -> bool {
    let named = |name: &'static str| {
        info.children().filter(move |child| child.name() == name && child.ns() == info.ns())
    };
    let identities = named("identity").map(|identity| {
        let attribute = |name| identity.attr(name).unwrap_or_default();
        let lang = identity.lang().unwrap_or_default();
        (attribute("category"), attribute("type"), lang, attribute("name"))
    });
    let features = named("feature").map(|feature| feature.attr("var").unwrap_or_default());
    let types: Vec<Vec<String>> = info.children().filter_map(form_types).collect();
    all_differ(identities.collect())
        && all_differ(features.collect())
        && types.iter().all(|types| types.iter().all(|type_| *type_ == types[0]))
        && all_differ(types.iter().filter_map(|types| types.first()).collect())
}

/// The values of a form's type.
fn form_types(form: &Element) -> Option<Vec<String>> {
    let is_type = |field: &&Element| {
        field.is(ns::FORMS, "field")
            && field.attr("var") == Some("FORM_TYPE")
            && field.attr("type") == Some("hidden")
    };
    let field = form.children().find(is_type).filter(|_| form.is(ns::FORMS, "x"))?;
    Some(field.children().filter(|value| value.is(ns::FORMS, "value")).map(Element::text).collect())
}

fn all_differ<T: Ord>(mut all: Vec<T>) -> bool {
    all.sort_unstable();
    all.windows(2).all(|two| two[0] != two[1])
}

/// The nodes that a client wants news of, sorted; beyond the limits, none of them.
fn wanted(info: &Element) -> Vec<String> {
    let features = info.children().filter(|child| child.is(ns::DISCO_INFO, "feature"));
    let nodes = features.filter_map(|feature| feature.attr("var")?.strip_suffix(NOTIFY).map(str::to_owned));
    let mut wanted: Vec<String> = nodes.filter(|node| !node.is_empty()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let bytes: usize = wanted.iter().map(String::len).sum();
    if wanted.len() > WANTED_MAX || bytes > WANTED_BYTES_MAX {
        wanted.clear();
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::element as parsed;

    const EXODUS: &str = "<identity category='client' type='pc' name='Exodus 0.9.1'/>\
         <feature var='http://jabber.org/protocol/disco#info'/>\
         <feature var='http://jabber.org/protocol/caps'/>\
         <feature var='http://jabber.org/protocol/muc'/>\
         <feature var='http://jabber.org/protocol/disco#items'/>";

    fn told(hash: &str, ver: &str) -> Told {
        Told { hash: hash.to_owned(), node: "http://client".to_owned(), ver: ver.to_owned() }
    }

    fn info(inner: &str) -> Element {
        parsed(&format!("<query xmlns='{}'>{inner}</query>", ns::DISCO_INFO))
    }

    #[test]
    fn what_the_hash_proves_holds_and_nothing_else() {
        // XEP-0115 §5.2
        let example = told("sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert_eq!(proof(&example, &info(EXODUS)), Proof::Holds);
        let more = format!("{EXODUS}<feature var='urn:x+notify'/>");
        assert_eq!(proof(&example, &info(&more)), Proof::Belied);
        assert_eq!(proof(&told("md2", "x"), &info(EXODUS)), Proof::Unknown);

        // The same hash, but a feature is the type of a form, or a name.
        let feature = "<identity category='client' type='pc'/><feature var='urn:x+notify'/>";
        let hidden = "<identity category='client' type='pc'/><x xmlns='jabber:x:data' type='result'>\
             <field var='FORM_TYPE' type='hidden'><value>urn:x+notify</value></field></x>";
        let ver = super::super::ver(&info(feature));
        assert_eq!(ver, super::super::ver(&info(hidden)));
        assert_eq!(proof(&told("sha-1", &ver), &info(feature)), Proof::Holds);
        assert_eq!(proof(&told("sha-1", &ver), &info(hidden)), Proof::Unknown);
        let named = "<identity category='client' type='pc' name='&lt;urn:x+notify'/>";
        assert_ne!(ver, super::super::ver(&info(named)));
    }

    #[test]
    fn nobody_takes_an_identity_away_from_others() {
        let phone = "<identity category='client' type='phone' name='a/b/c'/><feature var='urn:x'/>";
        let ver = super::super::ver(&info(phone));
        assert_eq!(proof(&told("sha-1", &ver), &info(phone)), Proof::Holds);
        for same in [
            "<feature var='client/phone//a/b/c'/><feature var='urn:x'/>",
            "<identity category='client/phone' type='' xml:lang='a' name='b/c'/><feature var='urn:x'/>",
            "<identity category='client' type='phone//a' xml:lang='b' name='c'/><feature var='urn:x'/>",
        ] {
            assert_eq!(super::super::ver(&info(same)), ver, "{same}");
            assert_eq!(proof(&told("sha-1", &ver), &info(same)), Proof::Unknown, "{same}");
        }
        let form = |type_: &str| {
            format!(
                "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>\
                 <value>{type_}</value></field></x>"
            )
        };
        let alone = "<identity category='client' type='phone' name='a'/>";
        let hidden = form("client/phone//a");
        let ver = super::super::ver(&info(alone));
        assert_eq!(super::super::ver(&info(&hidden)), ver);
        assert_eq!(proof(&told("sha-1", &ver), &info(alone)), Proof::Holds);
        assert_eq!(proof(&told("sha-1", &ver), &info(&hidden)), Proof::Unknown);
    }

    #[test]
    fn identities_are_bounded() {
        let identity = |type_: &str| format!("<identity category='client' type='{type_}'/>");
        let found =
            |inner: &str| identities(&info(inner)).into_iter().map(|found| found.type_).collect::<Vec<_>>();
        let long = identity(&"x".repeat(IDENTITY_BYTES_MAX + 1));
        assert_eq!(found(&(identity("pc") + &long + "<identity category='client'/>")), ["pc"]);
        let many: String = (0..=IDENTITIES_MAX).map(|number| identity(&number.to_string())).collect();
        assert!(found(&many).is_empty());
    }

    #[test]
    fn what_is_said_twice_is_ill_formed() {
        let form = |type_: &str, values: &str| {
            format!(
                "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='{type_}'>{values}</field></x>"
            )
        };
        let (a, b) = ("<value>a</value>", "<value>b</value>");
        assert!(is_well_formed(&info(EXODUS)));
        assert!(is_well_formed(&info(&(form("hidden", a) + &form("hidden", b)))));
        assert!(is_well_formed(&info(&(form("hidden", a) + &form("text-single", a)))));
        assert!(!is_well_formed(&info(&(form("hidden", a) + &form("hidden", a)))));
        assert!(!is_well_formed(&info(&form("hidden", &format!("{a}{b}")))));
        assert!(!is_well_formed(&info("<feature var='a'/><feature var='a'/>")));
        let identity = "<identity category='client' type='pc' xml:lang='en'/>";
        assert!(!is_well_formed(&info(&format!("{identity}{identity}"))));
        assert!(is_well_formed(&info(&format!("{identity}{}", identity.replace("en", "el")))));
    }

    #[test]
    fn wishes_are_bounded() {
        let feature = |node: &str| format!("<feature var='{node}+notify'/>");
        assert_eq!(wanted(&info(&(feature("urn:b") + &feature("urn:a") + &feature("")))), ["urn:a", "urn:b"]);
        let many: String = (0..=WANTED_MAX).map(|number| feature(&number.to_string())).collect();
        assert!(wanted(&info(&many)).is_empty());
        assert!(wanted(&info(&feature(&"x".repeat(WANTED_BYTES_MAX + 1)))).is_empty());
    }
}
