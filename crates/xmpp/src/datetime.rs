//! Dates and times as XMPP writes them (XEP-0082).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a point in time: `2026-11-24T14:00:00.123Z`; without a fraction when it is a whole second.
pub fn format(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days as i64);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = String::with_capacity("2026-11-24T14:00:00.123Z".len());
    let fields =
        [(year, 4, '-'), (month, 2, '-'), (day, 2, 'T'), (hour as i64, 2, ':'), (minute as i64, 2, ':')];
    for (number, digits, then) in fields {
        push(&mut text, number, digits);
        text.push(then);
    }
    push(&mut text, second as i64, 2);
    if since.subsec_millis() > 0 {
        text.push('.');
        push(&mut text, i64::from(since.subsec_millis()), 3);
    }
    text.push('Z');
    text
}

/// Appends a number with so many digits, or more. By hand: an archive stamps each message that it hands out.
fn push(text: &mut String, number: i64, digits: u32) {
    if number >= 10_i64.pow(digits) {
        text.push_str(&number.to_string());
        return;
    }
    for place in (0..digits).rev() {
        text.push(char::from(b'0' + (number / 10_i64.pow(place) % 10) as u8));
    }
}

/// Reads a point in time (XEP-0082 §3.2). `None` for anything else, and for times before 1970.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    let (clock, offset_s) = zone(time)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let real = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !real || fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    let seconds = u64::try_from(seconds).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// The clock and its offset from UTC in seconds.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (hours, minutes) = time[at + 1..].split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = hours * 3600 + minutes * 60;
    Some((&time[..at], if time[at..].starts_with('-') { -offset } else { offset }))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let plain =
        text.len() == digits && digits > 0 && digits <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (the proleptic Gregorian calendar, by eras of 400 years).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_there_and_back() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2002-09-10T23:41:07Z", 1_031_701_267),
            ("2024-02-29T12:00:00Z", 1_709_208_000),
            ("2026-01-01T00:00:00Z", 1_767_225_600),
        ] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(format(at), text);
            assert_eq!(parse(text), Some(at));
        }
        assert_eq!(parse("1969-07-20T21:56:15-05:00"), None);
        assert_eq!(
            parse("2002-09-10T23:41:07.5+01:00").map(format).as_deref(),
            Some("2002-09-10T22:41:07.500Z")
        );
        assert_eq!(format(UNIX_EPOCH + Duration::from_millis(7)), "1970-01-01T00:00:00.007Z");
        assert_eq!(format(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), "10000-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2002-09-10",
            "2002-13-10T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2002-09-10T24:00:00Z",
            "2002-09-10T00:00:00",
            "2002-09-10T00:00:00.Z",
            "2002-9-10T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
