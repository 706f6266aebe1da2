//! Times in recorded traces: numbers since any beginning, or dates.

use serde::Serialize;

use crate::units::{DAY, HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND};

/// How a trace writes its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum TimeUnit {
    /// Seconds since any beginning.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// A date of ISO 8601 from 1970 on, such as `2013-11-24T18:00:05Z`; UTC if it does not say otherwise.
    Date,
}

impl TimeUnit {
    /// The names of all.
    pub(crate) const NAMES: [&str; 5] = ["s", "ms", "us", "ns", "date"];

    /// The unit of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let units = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds, Self::Date];
        Self::NAMES.iter().zip(units).find(|(known, _)| **known == name).map(|(_, unit)| unit)
    }

    /// What a time is probably written in: a date if it looks like one; a number by its size, as seconds since
    /// 1970 reach 10¹¹ in the year 5138, and milliseconds did in 1973.
    pub(crate) fn of(text: &str) -> Self {
        if text.as_bytes().get(4) == Some(&b'-') {
            return Self::Date;
        }
        match text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()) {
            ..12 => Self::Seconds,
            12..15 => Self::Milliseconds,
            15..18 => Self::Microseconds,
            18.. => Self::Nanoseconds,
        }
    }

    /// Nanoseconds since the beginning.
    pub(crate) fn read(self, text: &str) -> Result<u64, String> {
        let (read, what) = match self {
            Self::Seconds => (number(text, SECOND), "time in seconds"),
            Self::Milliseconds => (number(text, MILLISECOND), "time in milliseconds"),
            Self::Microseconds => (number(text, MICROSECOND), "time in microseconds"),
            Self::Nanoseconds => (number(text, 1), "time in nanoseconds"),
            Self::Date => (date(text), "date from 1970 on such as 2013-11-24T18:00:05Z"),
        };
        read.ok_or_else(|| format!("`{text}` is not a {what}"))
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A whole or decimal number of units; what is less than a nanosecond is dropped.
fn number(text: &str, unit_ns: u64) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(decimals) {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(unit_ns)?.checked_add(fraction(decimals, unit_ns))
}

/// Nanoseconds of the decimals of a unit.
fn fraction(decimals: &str, unit_ns: u64) -> u64 {
    let (mut ns, mut unit_ns) = (0, unit_ns);
    for digit in decimals.bytes() {
        unit_ns /= 10;
        ns += u64::from(digit.wrapping_sub(b'0')) * unit_ns;
    }
    ns
}

/// A date with or without a time of day and an offset from UTC.
fn date(text: &str) -> Option<u64> {
    let (day, time) = match text.split_at_checked(10)? {
        (day, "") => (day, "00:00"),
        (day, rest) => (day, rest.strip_prefix(['T', 't', ' '])?),
    };
    let mut parts = day.split('-');
    let mut part = |length: usize| {
        let text = parts.next().filter(|text| text.len() == length && digits(text))?;
        text.parse::<u64>().ok()
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=month_length(year, month)).contains(&day) {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at_checked(zone)?;
    let local = days.checked_mul(DAY)?.checked_add(time_of_day(time)?)?;
    match offset(zone)? {
        (true, ahead) => local.checked_sub(ahead),
        (false, behind) => local.checked_add(behind),
    }
}

/// Days from the beginning of 1970 to the beginning of a month.
fn days_before(year: u64, month: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    years + (1..month).map(|month| month_length(year, month)).sum::<u64>()
}

fn month_length(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Hours and minutes, with or without seconds and their decimals. A leap second is the next minute's first.
fn time_of_day(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, ':');
    let two = |text: Option<&str>, most: u64| {
        let number = text.filter(|text| text.len() == 2 && digits(text))?.parse::<u64>().ok()?;
        (number <= most).then_some(number)
    };
    let (hour, minute) = (two(parts.next(), 23)?, two(parts.next(), 59)?);
    let seconds = match parts.next() {
        None => 0,
        Some(text) => {
            let (whole, decimals) = text.split_once(['.', ',']).unwrap_or((text, "0"));
            if !digits(decimals) {
                return None;
            }
            two(Some(whole), 60)? * SECOND + fraction(decimals, SECOND)
        }
    };
    Some(hour * HOUR + minute * MINUTE + seconds)
}

/// `Z`, nothing, `+01:00`, `+0100` or `+01`: whether it is ahead of UTC, and how far.
fn offset(text: &str) -> Option<(bool, u64)> {
    let (ahead, rest) = match text.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => return Some((true, 0)),
        Some(("+", rest)) => (true, rest),
        Some(("-", rest)) => (false, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "00" } else { minutes.strip_prefix(':').unwrap_or(minutes) };
    Some((ahead, time_of_day(&format!("{hours}:{minutes}"))?))
}

/// An offset from UTC such as `+01:00`, in minutes.
pub(crate) fn offset_minutes(text: &str) -> Option<i32> {
    if !text.starts_with(['+', '-']) || text.len() != 6 {
        return None;
    }
    let (ahead, ns) = offset(text)?;
    let minutes = i32::try_from(ns / MINUTE).ok()?;
    Some(if ahead { minutes } else { -minutes })
}

/// A time of day such as `08:30`, in minutes after midnight.
pub(crate) fn minutes_of_day(text: &str) -> Option<u32> {
    if text.len() != 5 {
        return None;
    }
    u32::try_from(time_of_day(text)? / MINUTE).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_may_have_decimals() {
        let seconds = |text: &str| TimeUnit::Seconds.read(text);
        assert_eq!(seconds("12"), Ok(12 * SECOND));
        assert_eq!(seconds("12.5"), Ok(12 * SECOND + SECOND / 2));
        assert_eq!(seconds("0.0000000019"), Ok(1));
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.5.2", "99999999999999"] {
            assert_eq!(seconds(text), Err(format!("`{text}` is not a time in seconds")));
        }
        assert_eq!(TimeUnit::Milliseconds.read("1500.25"), Ok(1_500_250_000));
        assert_eq!(TimeUnit::Nanoseconds.read("7.9"), Ok(7));
    }

    /// Expected values from GNU date.
    #[test]
    fn dates_are_utc_or_say_how_far_from_it() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2013-11-24T18:00:05Z", 1_385_316_005),
            ("2013-11-24 18:00:05", 1_385_316_005),
            ("2013-11-24T19:30:05+01:30", 1_385_316_005),
            ("2013-11-24T11:00:05-0700", 1_385_316_005),
            ("2000-02-29T23:59", 951_868_740),
            ("2100-03-01", 4_107_542_400),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(TimeUnit::Date.read(text), Ok(seconds * SECOND), "{text}");
        }
        assert_eq!(TimeUnit::Date.read("1970-01-01T00:00:01.25Z"), Ok(SECOND + SECOND / 4));
        for text in [
            "1969-12-31",
            "2013-13-01",
            "2013-02-29",
            "2100-02-29",
            "2013-1-1",
            "2013-11-24T24:00",
            "2013-11-24T18",
            "2013-11-24T18:00:61",
            "2013-11-24x18:00",
            "2013-11-24T18:00+1",
            "1970-01-01T00:00+01:00",
            "2013-11-24T18:00:05.",
            "2013-11-24T18:00ZZ",
        ] {
            assert!(TimeUnit::Date.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_unit_is_told_by_the_look_of_a_time() {
        for (text, unit) in [
            ("18", TimeUnit::Seconds),
            ("1385316005.25", TimeUnit::Seconds),
            ("1385316005250", TimeUnit::Milliseconds),
            ("1385316005250000", TimeUnit::Microseconds),
            ("1385316005250000000", TimeUnit::Nanoseconds),
            ("2013-11-24", TimeUnit::Date),
            ("x", TimeUnit::Seconds),
        ] {
            assert_eq!(TimeUnit::of(text), unit, "{text}");
        }
    }

    #[test]
    fn zones_and_times_of_day_are_read() {
        let zones = ["+01:00", "-03:30", "+00:00", "1", "+1", "+25:00", "+01:60", "Z"].map(offset_minutes);
        assert_eq!(zones, [Some(60), Some(-210), Some(0), None, None, None, None, None]);
        let times = ["00:00", "08:30", "24:00", "8:30", "08:30:00"].map(minutes_of_day);
        assert_eq!(times, [Some(0), Some(510), None, None, None]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9TZ:+., a-zµ]{0,30}") {
            for unit in TimeUnit::NAMES {
                let _ = TimeUnit::named(unit).unwrap().read(&text);
            }
            let _ = (TimeUnit::of(&text), offset_minutes(&text), minutes_of_day(&text));
        }
    }
}
