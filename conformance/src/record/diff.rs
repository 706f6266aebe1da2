//! Two recordings of a flow compared.

use std::collections::BTreeMap;
use std::fmt;

use super::normal::{Entry, Kind, normal};
use crate::replay::recording::Flow;

/// Where two recordings differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step in the first recording, or in the second where the first has none.
    pub step: usize,
    /// The connection, and what was asked.
    pub what: String,
    /// The field.
    pub field: &'static str,
    /// Its value in the first.
    pub first: String,
    /// In the second.
    pub second: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { step, what, field, first, second } = self;
        write!(f, "step {step} ({what}): {field}: {first} | {second}")
    }
}

type Place = (String, Kind);

fn by_place(entries: Vec<Entry>) -> BTreeMap<Place, Vec<Entry>> {
    let mut all: BTreeMap<Place, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        all.entry((entry.conn.clone(), entry.kind.clone())).or_default().push(entry);
    }
    all
}

fn in_short(entry: &Entry) -> String {
    let values =
        entry.fields.iter().filter(|(name, _)| ["tag", "answer", "hello", "end", "remark"].contains(name));
    values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
}

/// The differences, in order of steps; none if the recordings are equal but for what is random and for orders that
/// are free.
#[must_use]
pub fn diff(first: &Flow, second: &Flow) -> Vec<Difference> {
    let (first, second) = (by_place(normal(first)), by_place(normal(second)));
    let mut found = Vec::new();
    let none = Vec::new();
    let mut places: Vec<_> = first.keys().chain(second.keys()).collect();
    places.sort();
    places.dedup();
    for place in places {
        let a = first.get(place).unwrap_or(&none);
        let b = second.get(place).unwrap_or(&none);
        for at in 0..a.len().max(b.len()) {
            entries(a.get(at), b.get(at), &mut found);
        }
    }
    found.sort_by_key(|difference| difference.step);
    found
}

fn entries(first: Option<&Entry>, second: Option<&Entry>, found: &mut Vec<Difference>) {
    let Some(either) = first.or(second) else { return };
    let what = match &either.kind {
        Kind::Event(entity) => format!("{}, unsolicited for {entity}", either.conn),
        Kind::Inside(_) => format!("{}, inside the answer to `{}`", either.conn, either.asked),
        Kind::Answer(_) => format!("{}, the answer to `{}`", either.conn, either.asked),
        _ => format!("{}, {}", either.conn, either.asked),
    };
    let mut differs = |field, first: String, second: String| {
        found.push(Difference { step: either.step, what: what.clone(), field, first, second });
    };
    let (Some(a), Some(b)) = (first, second) else {
        let show = |entry: Option<&Entry>| entry.map_or("nothing".to_owned(), in_short);
        return differs("what came", show(first), show(second));
    };
    let value = |entry: &Entry, name: &str| {
        entry.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    };
    // Another answer has other fields: they would say nothing.
    if in_short(a) != in_short(b) {
        return differs("what came", in_short(a), in_short(b));
    }
    let mut names: Vec<&'static str> = a.fields.iter().map(|(name, _)| *name).collect();
    names.extend(b.fields.iter().map(|(name, _)| *name).filter(|name| value(a, name).is_none()));
    for name in names {
        let (x, y) = (value(a, name), value(b, name));
        if x != y {
            let show = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            differs(name, show(x), show(y));
        }
    }
}
