//! What may be asked of an archive (XEP-0313 §4, XEP-0431): the form, and how it is read.

use std::collections::BTreeSet;
use std::time::SystemTime;

use step::{ArchiveRead, Stop};
use store::{ArchiveQuery, Page, words};
use xmpp::datetime;
use xmpp::error::Condition;
use xmpp::form::{Field, Form, FormType};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::rsm::Wanted;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

/// Messages on a page whose size is not said.
const PAGE: usize = 50;
/// Messages on the largest page.
const PAGE_MAX: usize = 250;
/// Ids that may be asked for at once.
const IDS_MAX: usize = 250;
/// Words that may be looked for at once.
const WORDS_MAX: usize = 32;

const SEARCH: &str = "{urn:xmpp:fulltext:0}fulltext";

/// The fields, with their types (§4.1.5).
const FIELDS: [(&str, &str); 8] = [
    ("with", "jid-single"),
    ("start", "text-single"),
    ("end", "text-single"),
    ("before-id", "text-single"),
    ("after-id", "text-single"),
    ("ids", "list-multi"),
    ("include-groupchat", "boolean"),
    (SEARCH, "text-single"),
];

/// The form to be filled in, or not (§4.1.5).
pub fn form() -> Element {
    let mut form = Form::new(FormType::Form, ns::MAM);
    form.fields.extend(FIELDS.map(|(var, type_)| Field {
        var: var.to_owned(),
        type_: type_.to_owned(),
        ..Field::default()
    }));
    let mut form = form.to_element();
    // Any id may be named, of which there are too many for a list.
    let open = Element::new(ns::VALIDATE, "validate")
        .with_attr("datatype", "xs:string")
        .with_child(Element::new(ns::VALIDATE, "open"));
    if let Some(ids) = form.children_mut().find(|field| field.attr("var") == Some("ids")) {
        ids.push(open);
    }
    Element::new(ns::MAM, "query").with_child(form)
}

/// Reads a query; `seq` is the number in an id.
///
/// # Errors
/// See [`super::answer_own`].
pub fn read(query: &Element, seq: &dyn Fn(&str) -> Option<u64>) -> Result<ArchiveQuery, Stop> {
    if query.attr("node").is_some() {
        // §6.1.3: there are nodes only where something is published.
        return Err(Condition::ItemNotFound.into());
    }
    // §4.3.2: a page is asked for in a <set/>. Who asks beside it, as profanity 0.13 does, would get the whole again.
    if query.children().any(|child| child.ns() == ns::MAM && child.name() != "flip-page") {
        return Err(Condition::BadRequest.into());
    }
    let mut wanted = ArchiveQuery { max: PAGE, ..ArchiveQuery::default() };
    let mut forms = query.children().filter(|child| child.is(ns::FORMS, "x"));
    if let Some(form) = forms.next() {
        filter(form, seq, &mut wanted)?;
    }
    let mut sets = query.children().filter(|child| child.is(ns::RSM, "set"));
    if let Some(set) = sets.next() {
        page(set, seq, &mut wanted)?;
    }
    if forms.next().is_some() || sets.next().is_some() {
        return Err(Condition::BadRequest.into());
    }
    Ok(wanted)
}

fn filter(form: &Element, seq: &dyn Fn(&str) -> Option<u64>, wanted: &mut ArchiveQuery) -> Result<(), Stop> {
    let form = Form::read(form).filter(|form| form.type_ == FormType::Submit).ok_or(Condition::BadRequest)?;
    if form.form_type() != Some(ns::MAM) {
        return Err(Condition::BadRequest.into());
    }
    let id = |text: &str| seq(text).ok_or(Stop::from(Condition::ItemNotFound));
    for (place, field) in form.fields.iter().enumerate() {
        if form.fields[..place].iter().any(|other| other.var == field.var) {
            return Err(Condition::BadRequest.into());
        }
        if field.var == "ids" {
            if field.values.len() > IDS_MAX {
                return Err(Condition::PolicyViolation.into());
            }
            wanted.ids = field.values.iter().map(|value| id(value)).collect::<Result<_, _>>()?;
            continue;
        }
        let [value] = field.values.as_slice() else {
            // A field that is not filled in says nothing.
            match FIELDS.iter().any(|(var, _)| *var == field.var) {
                true if field.values.is_empty() => continue,
                true => return Err(Condition::BadRequest.into()),
                false => return Err(Condition::FeatureNotImplemented.into()),
            }
        };
        match field.var.as_str() {
            "FORM_TYPE" => {}
            "with" => wanted.with = Some(Jid::new(value.trim()).map_err(|_| Condition::JidMalformed)?),
            "start" => wanted.start = Some(time(value)?),
            "end" => wanted.end = Some(time(value)?),
            "before-id" => wanted.before = Some(id(value)?),
            "after-id" => wanted.after = Some(id(value)?),
            // Nothing that was said in rooms is here, whether it is wanted or not (§7).
            "include-groupchat" if ["true", "false", "1", "0"].contains(&value.trim()) => {}
            "include-groupchat" => return Err(Condition::BadRequest.into()),
            SEARCH => wanted.words = looked_for(value)?,
            _ => return Err(Condition::FeatureNotImplemented.into()), // §4.1.5
        }
    }
    Ok(())
}

/// XEP-0431 §2.2: a text that is not empty. One that has no words is found nowhere.
fn looked_for(text: &str) -> Result<String, Stop> {
    let found = words(text);
    if found.is_empty() {
        // No message has this word.
        return Ok(if text.trim().is_empty() { found } else { "_".to_owned() });
    }
    let different: BTreeSet<&str> = found.split(' ').collect();
    match different.len() {
        ..=WORDS_MAX => Ok(Vec::from_iter(different).join(" ")),
        _ => Err(Condition::PolicyViolation.into()),
    }
}

/// XEP-0082. What lies before all times that we can write lies before all messages.
fn time(text: &str) -> Result<SystemTime, Stop> {
    let text = text.trim();
    let early = || {
        let rest = text.get(4..).filter(|_| text.get(..4).is_some_and(|year| year < "1970"))?;
        datetime::parse(&format!("1972{rest}")).map(|_| SystemTime::UNIX_EPOCH)
    };
    Ok(datetime::parse(text).or_else(early).ok_or(Condition::BadRequest)?)
}

/// XEP-0059; the ids are those of the archive (§4.3.1).
fn page(set: &Element, seq: &dyn Fn(&str) -> Option<u64>, wanted: &mut ArchiveQuery) -> Result<(), Stop> {
    let asked = Wanted::read(set)?;
    if asked.index.is_some() {
        return Err(Condition::FeatureNotImplemented.into()); // XEP-0059 §2.6
    }
    let id = |text: &str| seq(text).ok_or(Stop::from(Condition::ItemNotFound));
    wanted.page = match (asked.after.as_deref(), asked.before.as_deref()) {
        (None | Some(""), None) => Page::First,
        (Some(after), _) => Page::After(id(after)?),
        (None, Some("")) => Page::Last,
        (None, Some(before)) => Page::Before(id(before)?),
    };
    wanted.max = asked.max.unwrap_or(PAGE).min(PAGE_MAX);
    // XEP-0059 §2.7: who wants no messages wants to know how many there are; nobody else makes us count.
    wanted.count = wanted.max == 0;
    Ok(())
}

/// Whether one who goes on from this page to the next ones comes at everything that is new.
pub fn reaches_the_end(query: &ArchiveQuery) -> bool {
    let all = ArchiveQuery {
        max: query.max,
        page: query.page,
        start: query.start,
        after: query.after,
        ..Default::default()
    };
    *query == all && query.max > 0 && !matches!(query.page, Page::Before(_))
}

/// What a client takes out of the archive by a query that reaches its end, which is at `last`, and by those before it.
/// What is before the id after which it asks, or before the time, it may never have had: copies overtake what waits
/// behind held messages.
pub fn taken(query: &ArchiveQuery, before: &ArchiveRead, last: u64) -> ArchiveRead {
    let page = if let Page::After(seq) = query.page { seq } else { 0 };
    let first = page.max(query.after.unwrap_or(0)) + 1;
    let numbers = &before.numbers;
    match (*numbers.start()..=numbers.end() + 1).contains(&first) {
        true => ArchiveRead { numbers: *numbers.start()..=last, since: before.since.max(query.start) },
        false => ArchiveRead { numbers: first..=last, since: query.start },
    }
}

/// What a client takes that takes all, up to this number.
pub fn all(last: u64) -> ArchiveRead {
    ArchiveRead { numbers: 1..=last, since: None }
}

/// The words by which a message is found: of those that anybody can read.
pub fn words_of(message: &Stanza) -> String {
    let encrypted = [ns::ENCRYPTION, ns::OMEMO, ns::OMEMO_OLD, ns::OPENPGP, ns::PGP_OLD];
    if encrypted.iter().any(|namespace| message.has_ns(namespace)) {
        return String::new();
    }
    message.body().map(|body| words(&body)).unwrap_or_default()
}
