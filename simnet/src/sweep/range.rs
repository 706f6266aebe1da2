//! The values of a range: from, to and step, as whole numbers, decimals or durations.

use toml::Value;

use crate::units::{format_duration, parse_duration};

/// The most values of one range.
const MOST: u64 = 1_000_000;

/// `from`, `from + step` … up to `to`, which belongs to the range if a step falls on it. Of decimals each value is rounded to the
/// decimals that `from` and `step` are written with, so that 0.1 to 0.3 has 0.3 and not 0.30000000000000004.
pub(super) fn values(from: &Value, to: &Value, step: &Value) -> Result<Vec<Value>, String> {
    match (from, to, step) {
        (Value::Integer(from), Value::Integer(to), Value::Integer(step)) => {
            let (from, to, step) = (i128::from(*from), i128::from(*to), i128::from(*step));
            let wide = steps(from, to, step)?;
            Ok(wide.filter_map(|n| i64::try_from(n).ok()).map(Value::Integer).collect())
        }
        (Value::String(from), Value::String(to), Value::String(step)) => {
            let ns = |text: &str| parse_duration(text).map(i128::from).map_err(|error| error.to_string());
            let durations = steps(ns(from)?, ns(to)?, ns(step)?)?;
            Ok(durations
                .filter_map(|n| u64::try_from(n).ok())
                .map(|ns| Value::String(format_duration(ns)))
                .collect())
        }
        (
            Value::Float(_) | Value::Integer(_),
            Value::Float(_) | Value::Integer(_),
            Value::Float(_) | Value::Integer(_),
        ) => decimals(from, to, step),
        _ => Err("`from`, `to` and `step` are three whole numbers, decimals or durations".to_owned()),
    }
}

fn steps(from: i128, to: i128, step: i128) -> Result<impl Iterator<Item = i128>, String> {
    if step <= 0 {
        return Err("`step` must be more than 0".to_owned());
    }
    if to < from {
        return Err("`to` is less than `from`: the range has no values".to_owned());
    }
    let count = (to - from) / step + 1;
    if count > i128::from(MOST) {
        return Err(format!("more than {MOST} values"));
    }
    Ok((0..count).map(move |i| from + i * step))
}

fn decimals(from: &Value, to: &Value, step: &Value) -> Result<Vec<Value>, String> {
    let places = places(from).max(places(step)).max(places(to));
    if places > 9 {
        return Err("a decimal of a range has at most 9 decimals".to_owned());
    }
    let scale = 10f64.powi(places);
    let whole = |value: &Value| {
        let number = (number(value) * scale).round();
        if number.abs() < 9e15 {
            Ok(number as i128)
        } else {
            Err("a number of the range is too large".to_owned())
        }
    };
    let wide = steps(whole(from)?, whole(to)?, whole(step)?)?;
    Ok(wide.map(|n| Value::Float(n as f64 / scale)).collect())
}

fn number(value: &Value) -> f64 {
    value.as_float().or_else(|| value.as_integer().map(|n| n as f64)).unwrap_or(f64::NAN)
}

/// How many decimals the shortest form of a number has.
fn places(value: &Value) -> i32 {
    let text = value.as_float().map(|x| format!("{x}")).unwrap_or_default();
    text.split_once('.').map_or(0, |(_, places)| i32::try_from(places.len()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(
        from: impl Into<Value>,
        to: impl Into<Value>,
        step: impl Into<Value>,
    ) -> Result<Vec<String>, String> {
        let values = values(&from.into(), &to.into(), &step.into())?;
        Ok(values.iter().map(super::super::keys::shown).collect())
    }

    #[test]
    fn ranges_of_all_kinds() {
        assert_eq!(range(10, 50, 20).unwrap(), ["10", "30", "50"]);
        assert_eq!(range(1, 6, 2).unwrap(), ["1", "3", "5"]);
        assert_eq!(range(0.1, 0.3, 0.1).unwrap(), ["0.1", "0.2", "0.3"]);
        assert_eq!(range(0, 1, 0.5).unwrap(), ["0.0", "0.5", "1.0"]);
        assert_eq!(range("30s", "1m30s", "30s").unwrap(), ["30s", "1m", "1m30s"]);
        assert_eq!(range(7, 7, 1).unwrap(), ["7"]);
    }

    #[test]
    fn ranges_that_are_none() {
        assert!(range(1, 5, 0).unwrap_err().contains("step"));
        assert!(range(5, 1, 1).unwrap_err().contains("less than"));
        assert!(range(0, i64::MAX, 1).unwrap_err().contains("more than"));
        assert!(range("1s", 5, 1).unwrap_err().contains("three whole numbers"));
        assert!(range("1s", "5", "1s").unwrap_err().contains("no unit"));
        assert!(range(f64::NAN, 1.0, 0.1).is_err());
        assert!(range(0.0, f64::INFINITY, 0.1).is_err());
    }
}
