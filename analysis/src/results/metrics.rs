//! Metrics as rows of a table, there and back.

use super::{Column, Metric, ResultsError, Table, Values};
use crate::stats::Verdict;

impl Metric {
    /// A table of metrics, one row each.
    ///
    /// # Errors
    /// None in practice: the columns are made here. [`ResultsError::Table`] by type.
    pub fn table<'a>(metrics: impl IntoIterator<Item = &'a Self>) -> Result<Table, ResultsError> {
        let metrics: Vec<&Self> = metrics.into_iter().collect();
        let number =
            |field: fn(&Self) -> Option<f64>| Values::F64(metrics.iter().map(|m| field(m)).collect());
        let text =
            |field: fn(&Self) -> Option<String>| Values::Text(metrics.iter().map(|m| field(m)).collect());
        let columns = [
            ("name", text(|m| Some(m.name.clone()))),
            ("group", text(|m| Some(m.group.clone()))),
            ("estimate", number(|m| Some(m.estimate))),
            ("low", number(|m| m.low)),
            ("high", number(|m| m.high)),
            ("n", Values::U64(metrics.iter().map(|m| Some(m.n)).collect())),
            ("expected", number(|m| m.expected)),
            ("verdict", text(|m| m.verdict.map(|v| v.name().into()))),
            ("margin", number(|m| m.margin)),
            ("detectable", number(|m| m.detectable)),
            ("effective_n", number(|m| m.effective_n)),
            ("unit", text(|m| m.unit.clone())),
        ];
        let columns = columns.map(|(name, values)| Column { name: name.into(), values });
        Table::new("metrics", columns.into())
    }

    /// The metrics of a table, which may have further columns.
    ///
    /// # Errors
    /// [`ResultsError::Table`] when a column is missing or of another type, or a row has no name, group, estimate or n.
    pub fn of_table(table: &Table) -> Result<Vec<Self>, ResultsError> {
        let wrong = |problem: String| ResultsError::Table { table: table.name().to_owned(), problem };
        let column = |name: &str| {
            let found = table.columns().iter().find(|column| column.name == name);
            found.map(|column| &column.values).ok_or_else(|| wrong(format!("it has no column {name}")))
        };
        let of_type = |name: &str| wrong(format!("column {name} is of another type"));
        let number = |name: &str| match column(name)? {
            Values::F64(values) => Ok(values.clone()),
            _ => Err(of_type(name)),
        };
        let text = |name: &str| match column(name)? {
            Values::Text(values) => Ok(values.clone()),
            _ => Err(of_type(name)),
        };
        let Values::U64(n) = column("n")? else { return Err(of_type("n")) };
        let (names, groups, units, verdicts) =
            (text("name")?, text("group")?, text("unit")?, text("verdict")?);
        let [estimates, low, high] = [number("estimate")?, number("low")?, number("high")?];
        let [expected, margin] = [number("expected")?, number("margin")?];
        let [detectable, effective_n] = [number("detectable")?, number("effective_n")?];
        let empty = || wrong("a row lacks a value".to_owned());
        let verdict = |row: usize| match verdicts.get(row).and_then(Option::as_deref) {
            None => Ok(None),
            Some(name) => [Verdict::Agrees, Verdict::Differs, Verdict::Undecided]
                .into_iter()
                .find(|verdict| verdict.name() == name)
                .map(Some)
                .ok_or_else(|| wrong(format!("{name} is no verdict"))),
        };
        let optional = |values: &[Option<f64>], row: usize| values.get(row).copied().flatten();
        (0..table.rows())
            .map(|row| {
                Ok(Self {
                    name: names.get(row).cloned().flatten().ok_or_else(empty)?,
                    group: groups.get(row).cloned().flatten().ok_or_else(empty)?,
                    estimate: optional(&estimates, row).ok_or_else(empty)?,
                    low: optional(&low, row),
                    high: optional(&high, row),
                    n: n.get(row).copied().flatten().ok_or_else(empty)?,
                    expected: optional(&expected, row),
                    verdict: verdict(row)?,
                    margin: optional(&margin, row),
                    detectable: optional(&detectable, row),
                    effective_n: optional(&effective_n, row),
                    unit: units.get(row).cloned().flatten(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    #[test]
    fn metrics_read_back() {
        let metrics = vec![
            Metric::checked("both_ends_seen", "single/a", &stats::check(48.0, 100.0, 0.5, 0.1), 100),
            Metric { unit: Some("ms".into()), ..Metric::plain("latency", "single", 0.04, None, 7) },
        ];
        let table = Metric::table(&metrics).unwrap();
        assert_eq!(Metric::of_table(&table).unwrap(), metrics);
        let fewer = Table::new("t", table.columns()[1..].to_vec()).unwrap();
        assert_eq!(Metric::of_table(&fewer).unwrap_err().to_string(), "table t: it has no column name");
    }
}
