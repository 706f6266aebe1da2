//! Keys of a scenario file as a plan writes them: `users.count`, `operator.north.share`, `fault.2.at`.

use toml::{Table, Value};

/// Why a key can't be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("`{0}` is not a key such as users.count or operator.\"SimpleX Chat\".routers")]
    Malformed(String),
    #[error("the scenario has no `{0}` of that name or number")]
    NotThere(String),
}

/// The parts of a dotted key, as TOML reads one.
pub(super) fn parts(key: &str) -> Result<Vec<String>, KeyError> {
    let malformed = || KeyError::Malformed(key.to_owned());
    if key.contains(['\n', '\r', '=', '#', '[']) {
        return Err(malformed());
    }
    let mut table: Table = toml::from_str(&format!("{key} = 0")).map_err(|_| malformed())?;
    let mut parts = Vec::new();
    loop {
        let (name, value) = table.into_iter().next().ok_or_else(malformed)?;
        parts.push(name);
        match value {
            Value::Table(inner) => table = inner,
            _ => return Ok(parts),
        }
    }
}

/// Sets the value of a key. Tables that are missing on the way are made. In a list of tables the next part of the key is the
/// `name` of one of them, or its number, counted from 1.
pub(super) fn set(table: &mut Table, parts: &[String], value: &Value) -> Result<(), KeyError> {
    let Some((first, rest)) = parts.split_first() else { return Ok(()) };
    if rest.is_empty() {
        table.insert(first.clone(), value.clone());
        return Ok(());
    }
    let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
    match inner {
        Value::Table(inner) => set(inner, rest, value),
        Value::Array(list) => {
            let Some((which, rest)) = rest.split_first() else { return Ok(()) };
            let named = |item: &Value| item.get("name").and_then(Value::as_str) == Some(which);
            let place = list.iter().position(named).or_else(|| which.parse::<usize>().ok()?.checked_sub(1));
            match place.and_then(|place| list.get_mut(place)) {
                Some(Value::Table(inner)) if !rest.is_empty() => set(inner, rest, value),
                _ => Err(KeyError::NotThere(format!("{first}.{which}"))),
            }
        }
        // What was a plain value becomes a table, as `users.degrees` may be either.
        other => {
            let mut made = Table::new();
            set(&mut made, rest, value)?;
            *other = Value::Table(made);
            Ok(())
        }
    }
}

/// The keys of all plain values in nested tables, with the values.
pub(super) fn leaves(first: &str, value: &Value) -> Vec<(Vec<String>, Value)> {
    match value {
        Value::Table(table) if !table.is_empty() => table
            .iter()
            .flat_map(|(name, value)| leaves(name, value))
            .map(|(mut parts, value)| {
                parts.insert(0, first.to_owned());
                (parts, value)
            })
            .collect(),
        _ => vec![(vec![first.to_owned()], value.clone())],
    }
}

/// A value as reports and tables show it: texts without quotes, everything else as TOML writes it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Table {
        toml::from_str(
            "[users]\ncount = 4\ndegrees = 3\n[[operator]]\nname = \"north\"\nrouters = 2\n\
             [[operator]]\nname = \"SimpleX Chat\"\nrouters = 3\n[[fault]]\nat = \"1s\"\n",
        )
        .unwrap()
    }

    fn after(key: &str, value: i64) -> Result<Table, KeyError> {
        let mut table = scenario();
        set(&mut table, &parts(key)?, &Value::Integer(value))?;
        Ok(table)
    }

    #[test]
    fn a_key_leads_into_tables_and_lists() {
        assert_eq!(after("users.count", 9).unwrap()["users"]["count"].as_integer(), Some(9));
        assert_eq!(
            after("operator.north.routers", 9).unwrap()["operator"][0]["routers"].as_integer(),
            Some(9)
        );
        let quoted = after("operator.\"SimpleX Chat\".routers", 9).unwrap();
        assert_eq!(quoted["operator"][1]["routers"].as_integer(), Some(9));
        assert_eq!(after("fault.1.at", 9).unwrap()["fault"][0]["at"].as_integer(), Some(9));
        assert_eq!(after("client.ping_count", 9).unwrap()["client"]["ping_count"].as_integer(), Some(9));
        assert_eq!(after("users.degrees.max", 9).unwrap()["users"]["degrees"]["max"].as_integer(), Some(9));
    }

    #[test]
    fn keys_that_lead_nowhere() {
        for key in ["operator.south.routers", "fault.2.at", "fault.0.at", "operator.north"] {
            assert!(matches!(after(key, 1), Err(KeyError::NotThere(_))), "{key}");
        }
        for key in ["", ".", "users.", "a b", "users = 1\ncount", "[users]"] {
            assert!(matches!(after(key, 1), Err(KeyError::Malformed(_))), "{key}");
        }
    }

    #[test]
    fn nested_tables_are_so_many_keys() {
        let table: Table =
            toml::from_str("[users]\ncount = 1\n[client]\nretry = \"1s\"\nreceipts = true").unwrap();
        let keys: Vec<String> = table
            .iter()
            .flat_map(|(name, value)| leaves(name, value))
            .map(|(parts, _)| parts.join("."))
            .collect();
        assert_eq!(keys, ["client.receipts", "client.retry", "users.count"]);
    }
}
