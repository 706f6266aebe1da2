//! Durations as people write them: `"40ms"`, `"15s"`, `"1h30m"`, `"7d"`. Everywhere else in this crate a time
//! is a whole number of nanoseconds in a `u64`, in a field whose name ends in `_ns`.

use serde::Deserialize;

/// Nanoseconds in a microsecond.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000 * MICROSECOND;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000 * MILLISECOND;
/// Nanoseconds in a minute.
pub const MINUTE: u64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub const HOUR: u64 = 60 * MINUTE;
/// Nanoseconds in a day of 24 hours.
pub const DAY: u64 = 24 * HOUR;

/// The units, largest first; the order in which the parts of one duration must stand.
const UNITS: [(&str, u64); 8] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
    ("us", MICROSECOND),
    ("µs", MICROSECOND),
    ("ns", 1),
];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text has no digits, or something that is neither digits nor a unit.
    #[error(
        "`{0}` is not a duration: write a whole number and a unit, such as \"40ms\", \"15s\" or \"1h30m\""
    )]
    Malformed(String),
    /// A number without a unit.
    #[error("`{0}` has no unit: write \"{0}ms\", \"{0}s\", \"{0}m\", \"{0}h\" or \"{0}d\"")]
    NoUnit(String),
    /// A unit that does not exist.
    #[error("`{unit}` in `{text}` is not a unit of time: use ns, us, ms, s, m, h or d")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// The part that should have been a unit.
        unit: String,
    },
    /// Units out of order or twice, as in `30m1h`.
    #[error("`{0}` must name each unit once, the largest first, as in \"1h30m\"")]
    Order(String),
    /// More than a `u64` of nanoseconds, about 584 years.
    #[error("`{0}` is longer than 584 years")]
    TooLong(String),
}

/// Nanoseconds that a text such as `"40ms"` or `"1h30m"` stands for.
pub fn parse_duration(text: &str) -> Result<u64, UnitError> {
    let malformed = || UnitError::Malformed(text.to_owned());
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).ok_or_else(malformed)?;
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(letters).ok_or_else(malformed)?;
        if number.is_empty() {
            return Err(malformed());
        }
        if unit.is_empty() {
            let whole = next.is_empty() && number == text;
            return Err(if whole { UnitError::NoUnit(text.to_owned()) } else { malformed() });
        }
        let Some(&(_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::UnknownUnit { text: text.to_owned(), unit: unit.to_owned() });
        };
        if factor >= last_unit {
            return Err(UnitError::Order(text.to_owned()));
        }
        last_unit = factor;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(factor))
            .and_then(|ns| ns.checked_add(total))
            .ok_or_else(|| UnitError::TooLong(text.to_owned()))?;
        rest = next;
    }
    if last_unit == u64::MAX { Err(malformed()) } else { Ok(total) }
}

/// The shortest text that [`parse_duration`] reads back as `ns`, such as `1h30m`; `0s` for zero.
pub fn format_duration(ns: u64) -> String {
    let mut rest = ns;
    let mut text = String::new();
    for (unit, factor) in UNITS.iter().filter(|(unit, _)| *unit != "µs") {
        let n = rest / factor;
        if n > 0 {
            text.push_str(&format!("{n}{unit}"));
        }
        rest %= factor;
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration in a scenario file: a string that [`parse_duration`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duration(pub(crate) u64);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Duration;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration in quotes, such as \"40ms\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
                parse_duration(text).map(Duration).map_err(E::custom)
            }
        }
        input.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_as_people_write_them() {
        assert_eq!(parse_duration("40ms"), Ok(40 * MILLISECOND));
        assert_eq!(parse_duration("500us"), Ok(500 * MICROSECOND));
        assert_eq!(parse_duration("500µs"), Ok(500 * MICROSECOND));
        assert_eq!(parse_duration("1h30m"), Ok(90 * MINUTE));
        assert_eq!(parse_duration("7d"), Ok(7 * DAY));
        assert_eq!(parse_duration("0s"), Ok(0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |text: &str| parse_duration(text).unwrap_err().to_string();
        assert_eq!(message("40"), "`40` has no unit: write \"40ms\", \"40s\", \"40m\", \"40h\" or \"40d\"");
        assert_eq!(
            message("3weeks"),
            "`weeks` in `3weeks` is not a unit of time: use ns, us, ms, s, m, h or d"
        );
        assert_eq!(message("30m1h"), "`30m1h` must name each unit once, the largest first, as in \"1h30m\"");
        assert_eq!(message("1h2h"), "`1h2h` must name each unit once, the largest first, as in \"1h30m\"");
        assert_eq!(message("999999999999d"), "`999999999999d` is longer than 584 years");
        for text in ["", "-5s", "1.5s", "ms", "5 s", "1h30"] {
            assert!(
                matches!(parse_duration(text), Err(UnitError::Malformed(_))),
                "{text:?} gave {:?}",
                parse_duration(text)
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ns in any::<u64>()) {
            prop_assert_eq!(parse_duration(&format_duration(ns)), Ok(ns));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse_duration(&text);
        }
    }
}
