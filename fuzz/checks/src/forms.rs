//! What is read out of elements, and written into them: forms (XEP-0004), result sets (XEP-0059), dates (XEP-0082),
//! errors. What is read is written and read again as the same.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xmpp::datetime;
use xmpp::error::{StanzaError, StreamError};
use xmpp::form::Form;
use xmpp::ns;
use xmpp::rsm::{Given, Wanted};
use xmpp::xml::{self, Element, Limits};

/// Checks an input: an element, or else a date.
///
/// # Panics
/// When something is not read again as it was.
pub fn check(data: &[u8]) {
    match xml::parse(data, Limits::default()) {
        Ok(element) => everywhere(&element),
        Err(_) => {
            if let Ok(text) = std::str::from_utf8(data) {
                date(text);
            }
        }
    }
}

fn everywhere(element: &Element) {
    form(element);
    result_set(element);
    errors(element);
    date(&element.text());
    for (_, _, value) in element.attributes() {
        date(value);
    }
    for child in element.children() {
        everywhere(child);
    }
}

fn form(element: &Element) {
    let Some(form) = Form::read(element) else { return };
    let written = form.to_element();
    assert_eq!(Form::read(&written).as_ref(), Some(&form), "{written:?}");
    assert_eq!(Form::read(&sent(&written)).as_ref(), Some(&form), "{written:?}");
    assert_eq!(form.form_type(), form.value("FORM_TYPE"));
    for field in &form.fields {
        let first = form.field(&field.var).expect("the first of its name");
        assert_eq!(form.value(&field.var), first.values.first().map(String::as_str));
    }
}

fn result_set(element: &Element) {
    let Ok(wanted) = Wanted::read(element) else { return };
    let places = [wanted.after.is_some(), wanted.before.is_some(), wanted.index.is_some()];
    assert!(places.iter().filter(|said| **said).count() <= 1, "{wanted:?}");
    let first = wanted.after.or(wanted.before).map(|item| (item, wanted.index));
    let given = Given { last: first.as_ref().map(|(item, _)| item.clone()), first, count: wanted.max };
    let set = sent(&given.to_element());
    let text = |name: &str| set.child(ns::RSM, name).map(Element::text);
    assert_eq!(text("first"), given.first.as_ref().map(|(item, _)| item.clone()));
    assert_eq!(text("last"), given.last);
    assert_eq!(text("count"), given.count.map(|count| count.to_string()));
}

fn errors(element: &Element) {
    let error = StanzaError::from_element(element);
    assert_eq!(StanzaError::from_element(&sent(&error.to_element())), error);
    let error = StreamError::from_element(element);
    assert_eq!(StreamError::from_element(&sent(&error.to_element())), error);
}

/// As it arrives at the other end.
fn sent(element: &Element) -> Element {
    let text = element.to_xml();
    xml::parse(text.as_bytes(), Limits::default()).unwrap_or_else(|error| panic!("{error:?}: {text}"))
}

fn date(text: &str) {
    let Some(at) = datetime::parse(text) else { return };
    assert_eq!(Some(at), independent(text), "{text}");
    let written = datetime::format(at);
    let to_the_millisecond = datetime::parse(&written).unwrap_or_else(|| panic!("{written} of {text}"));
    let lost =
        at.duration_since(to_the_millisecond).unwrap_or_else(|_| panic!("{written} is later than {text}"));
    assert!(lost < Duration::from_millis(1), "{written} of {text}");
    assert_eq!(datetime::format(to_the_millisecond), written, "{text}");
}

/// The same moment, counted year by year and month by month.
fn independent(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = |year: i64| year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    let mut days: i64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    days -= (year..1970).map(|year| if leap(year) { 366 } else { 365 }).sum::<i64>();
    let months = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += months.get(..usize::try_from(month - 1).ok()?)?.iter().sum::<i64>() + day - 1;
    let rest = text.get(19..)?;
    let zone = rest.find(['Z', '+', '-'])?;
    let offset = match rest.get(zone..)? {
        "Z" => 0,
        offset => {
            let minutes =
                offset.get(1..3)?.parse::<i64>().ok()? * 60 + offset.get(4..6)?.parse::<i64>().ok()?;
            if offset.starts_with('-') { -60 * minutes } else { 60 * minutes }
        }
    };
    let nanos: String = rest[..zone].chars().skip(1).chain("000000000".chars()).take(9).collect();
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(UNIX_EPOCH + Duration::new(u64::try_from(seconds).ok()?, nanos.parse().ok()?))
}
