//! The dates of HTTP.

use image_core::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time of a date as `Sun, 06 Nov 1994 08:49:37 GMT`; `None` for any other text. The two older forms, which no server
/// has written for decades, are not read.
///
/// # Spec
/// RFC 9110, § 5.6.7 Date/Time Formats, IMF-fixdate.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let words: Vec<&str> = text.split(' ').collect();
    let [weekday, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let clock: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = clock.as_slice() else { return None };
    let day = number(day, 2, 1..=31)?;
    let month = MONTHS.iter().position(|name| name == month)?;
    let year = number(year, 4, 0..=9999)?;
    let (hour, minute, second) = (number(hour, 2, 0..=23)?, number(minute, 2, 0..=59)?, number(second, 2, 0..=60)?);
    if weekday.len() != 4 || !weekday.ends_with(',') {
        return None;
    }
    let days = days_since_1970(year, i64::try_from(month).ok()? + 1, day);
    Some(Timestamp::from_seconds(((days * 24 + hour) * 60 + minute) * 60 + second))
}

fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let is_plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && range.contains(number))
}

/// The days from 1970-01-01 to a day of the Gregorian calendar: years begin in March, so that a leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_times() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Fri, 31 Dec 1999 23:59:60 GMT", Some(946_684_800)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov +994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(|time| time.seconds()), seconds, "{text:?}");
        }
    }
}
