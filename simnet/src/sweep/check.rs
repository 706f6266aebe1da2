//! Turns a plan's file into a checked [`SweepPlan`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_spanned::Spanned;
use toml::{Table, Value};

use super::draw::{Adversary, Holds};
use super::file::{File, Networks, Parameter, Seeds};
use super::{Axis, MOST_POINTS, Setting, SweepPlan, keys, parse, range};
use crate::engine::Engine;
use crate::input::{Checker, InputError, closest, list};
use crate::scenario::{BUILTIN, Overrides, Scenario};

/// Columns that results have beside those of parameters.
const RESERVED: [&str; 20] = [
    "point",
    "network",
    "seed",
    "name",
    "group",
    "estimate",
    "low",
    "high",
    "n",
    "expected",
    "verdict",
    "margin",
    "detectable",
    "effective_n",
    "unit",
    "runs",
    "clusters",
    "scenario_hash",
    "trace_hash",
    "simulated_seconds",
];

/// The networks to draw.
#[derive(Clone, Debug)]
pub(super) struct NetworksOf {
    pub(super) from: u64,
    pub(super) count: u64,
    pub(super) draw_shares: bool,
    /// The line of the plan.
    pub(super) line: usize,
}

/// How well a key of the plan fits the key of an error, which has no names of operators: by the first part and the last.
pub(super) fn likeness(parts: &[String], key: &str) -> u32 {
    let named: Vec<&str> = key.split('.').collect();
    let same = |a: Option<&String>, b: Option<&&str>| matches!((a, b), (Some(a), Some(b)) if a == b);
    2 * u32::from(same(parts.first(), named.first())) + u32::from(same(parts.last(), named.last()))
}

/// Checks the whole text.
pub(super) fn check(text: &str, path: &Path) -> Result<SweepPlan, InputError> {
    let checker = Checker::new(path, text);
    let file: File = checker.parse()?;
    if file.name.get_ref().trim().is_empty() {
        return Err(checker.at(file.name.span(), "name", "must not be empty"));
    }
    let (scenario_file, scenario_text) = scenario(&checker, &file, path)?;
    let engine = engine(&checker, &file)?;
    engine.check(&Scenario::parse(&scenario_text, &scenario_file, &Overrides::default())?, &scenario_file)?;
    let mut base: Table =
        toml::from_str(&scenario_text).map_err(|error| InputError::file(&scenario_file, error.message()))?;
    set(&checker, &file, &mut base, &scenario_file, engine)?;
    let axes = axes(&checker, &file)?;
    let seeds = seeds(&checker, &file, &base)?;
    let networks = file.networks.as_ref().map(|networks| networks_of(&checker, networks)).transpose()?;
    let points = axes
        .iter()
        .map(|(_, axis)| axis.values.len() as u64)
        .chain([seeds.len() as u64, networks.as_ref().map_or(1, |networks| networks.count)])
        .try_fold(1u64, u64::checked_mul);
    if points.is_none_or(|points| points > MOST_POINTS) {
        let message = format!(
            "the plan has more than {MOST_POINTS} points: parameters, networks and seeds are multiplied"
        );
        return Err(checker.at(file.name.span(), "name", message));
    }
    let (parameters, axes) = axes.into_iter().unzip();
    Ok(SweepPlan {
        name: file.name.get_ref().clone(),
        engine,
        parameters,
        file: path.to_owned(),
        scenario_file,
        base,
        axes,
        networks,
        adversary: adversary(&checker, &file)?,
        seeds,
    })
}

/// The scenario's file, found beside the plan or in the current directory, and its text; without one the built-in scenario.
fn scenario(checker: &Checker<'_>, file: &File, path: &Path) -> Result<(PathBuf, String), InputError> {
    let Some(named) = &file.scenario else {
        return Ok((PathBuf::from("scenarios/two-operators.toml"), BUILTIN.to_owned()));
    };
    let beside = path.parent().unwrap_or(Path::new("")).join(named.get_ref());
    let found = if beside.is_file() { beside } else { PathBuf::from(named.get_ref()) };
    let text = std::fs::read_to_string(&found).map_err(|error| {
        let message = format!("the scenario {} cannot be read: {error}", found.display());
        checker.at(named.span(), "scenario", message)
    })?;
    Ok((found, text))
}

/// `[set]` and `policies`, which every point has.
fn set(
    checker: &Checker<'_>,
    file: &File,
    base: &mut Table,
    scenario_file: &Path,
    engine: Engine,
) -> Result<(), InputError> {
    let mut settings = Vec::new();
    for (name, value) in &file.set {
        let first = keys::parts(name).map_err(|error| checker.at(value.span(), "set", error.to_string()))?;
        let (last, before) =
            first.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        for (parts, leaf) in keys::leaves(last, value.get_ref()) {
            let key: Vec<String> = before.iter().cloned().chain(parts).collect();
            keys::set(base, &key, &leaf).map_err(|error| {
                checker.at(value.span(), &format!("set.{}", key.join(".")), error.to_string())
            })?;
            settings.push((key, value.span(), "set."));
        }
    }
    if let Some(policies) = &file.policies {
        let names = policies.get_ref().iter().map(|name| Value::String(name.get_ref().clone())).collect();
        base.insert("policies".to_owned(), Value::Array(names));
        settings.push((vec!["policies".to_owned()], policies.span(), ""));
    }
    parse(base, scenario_file).and_then(|scenario| engine.check(&scenario, scenario_file)).map_err(|error| {
        let key = error.key.as_deref().unwrap_or_default();
        match settings.iter().max_by_key(|(parts, ..)| likeness(parts, key)) {
            Some((parts, span, before)) if error.file == scenario_file => {
                let shown = parts.join(".");
                let message = match shown == key {
                    true => error.message,
                    false => format!("{key}: {}", error.message),
                };
                checker.at(span.clone(), &format!("{before}{shown}"), message)
            }
            _ => error,
        }
    })
}

fn engine(checker: &Checker<'_>, file: &File) -> Result<Engine, InputError> {
    let engines = [Engine::Events, Engine::Turmoil];
    let Some(named) = &file.engine else { return Ok(Engine::Events) };
    engines.into_iter().find(|engine| engine.name() == named.get_ref()).ok_or_else(|| {
        let names = engines.map(Engine::name);
        let hint = closest(named.get_ref(), names)
            .map(|near| format!(", did you mean `{near}`?"))
            .unwrap_or_else(|| format!(", known are {}", list(&names)));
        checker.at(named.span(), "engine", format!("unknown engine `{}`{hint}", named.get_ref()))
    })
}

fn seeds(checker: &Checker<'_>, file: &File, base: &Table) -> Result<Vec<u64>, InputError> {
    let Some(seeds) = &file.seeds else {
        let seed = base.get("seed").and_then(Value::as_integer).and_then(|seed| u64::try_from(seed).ok());
        return Ok(vec![seed.unwrap_or(1)]);
    };
    let wrong = |message: &str| Err(checker.at(seeds.span(), "seeds", message));
    match seeds.get_ref() {
        Seeds::List(seeds) if seeds.is_empty() => wrong("name at least one seed"),
        Seeds::List(seeds) => {
            let mut sorted = seeds.clone();
            sorted.sort_unstable();
            match sorted.windows(2).find(|pair| pair.first() == pair.last()) {
                Some(twice) => {
                    wrong(&format!("{} is there twice", twice.first().copied().unwrap_or_default()))
                }
                None => Ok(seeds.clone()),
            }
        }
        Seeds::Range(range) if range.count == 0 => wrong("`count` must be at least 1"),
        Seeds::Range(range) if range.count > MOST_POINTS => wrong(&format!("more than {MOST_POINTS} seeds")),
        Seeds::Range(range) => match range.from.checked_add(range.count) {
            Some(end) => Ok((range.from..end).collect()),
            None => wrong("beyond the largest seed"),
        },
    }
}

fn networks_of(checker: &Checker<'_>, networks: &Spanned<Networks>) -> Result<NetworksOf, InputError> {
    let table = networks.get_ref();
    let count = *table.count.get_ref();
    let from = table.from.unwrap_or(1);
    if count == 0 {
        return Err(checker.at(table.count.span(), "networks.count", "must be at least 1"));
    }
    if from.checked_add(count).is_none() {
        return Err(checker.at(table.count.span(), "networks.count", "beyond the largest seed"));
    }
    let draw_shares = table.draw_shares.as_ref();
    let span = draw_shares.map_or(networks.span(), Spanned::span);
    let line = checker.at(span, "", "").line.unwrap_or(1);
    Ok(NetworksOf { from, count, draw_shares: draw_shares.is_some_and(|draw| *draw.get_ref()), line })
}

fn adversary(checker: &Checker<'_>, file: &File) -> Result<Option<Adversary>, InputError> {
    let Some(spanned) = &file.adversary else { return Ok(None) };
    let table = spanned.get_ref();
    let line = |span| checker.at(span, "", "").line.unwrap_or(1);
    let positive = |key: &'static str, count: &Spanned<u32>| match *count.get_ref() {
        0 => Err(checker.at(count.span(), key, "must be at least 1")),
        count => Ok(count),
    };
    let (what, key, span) = match (&table.operators, &table.routers, &table.routers_share) {
        (Some(count), None, None) => {
            let key = "adversary.operators";
            (Holds::Operators(positive(key, count)?), key, count.span())
        }
        (None, Some(count), None) => {
            let key = "adversary.routers";
            (Holds::Routers(positive(key, count)?), key, count.span())
        }
        (None, None, Some(share)) => {
            let key = "adversary.routers_share";
            let millionths = crate::scenario::millionths(checker, key, share)?;
            (Holds::Millionths(millionths), key, share.span())
        }
        _ => {
            let message = "say one of `operators`, `routers` and `routers_share`";
            return Err(checker.at(spanned.span(), "adversary", message));
        }
    };
    Ok(Some(Adversary { what, line: line(span), key }))
}

fn axes(checker: &Checker<'_>, file: &File) -> Result<Vec<(String, Axis)>, InputError> {
    let mut axes: Vec<(String, Axis)> = Vec::new();
    for spanned in &file.parameter {
        let (name, axis) = axis(checker, spanned)?;
        let span = spanned.get_ref().name.as_ref().map_or(spanned.span(), Spanned::span);
        if RESERVED.contains(&name.as_str()) || name.starts_with("count_") || name.trim().is_empty() {
            let message = format!("`{name}` is a column of results: give the parameter another name");
            return Err(checker.at(span, "parameter.name", message));
        }
        if axes.iter().any(|(other, _)| *other == name) {
            return Err(checker.at(span, "parameter.name", format!("`{name}` is there twice")));
        }
        let twice = axis.keys.iter().find(|key| axes.iter().any(|(_, other)| other.keys.contains(key)));
        if let Some(key) = twice {
            let message = format!("`{}` belongs to two parameters", key.join("."));
            return Err(checker.at(spanned.span(), "parameter.key", message));
        }
        axes.push((name, axis));
    }
    Ok(axes)
}

fn axis(checker: &Checker<'_>, spanned: &Spanned<Parameter>) -> Result<(String, Axis), InputError> {
    let table = spanned.get_ref();
    let wrong = |key: &str, message: &str| checker.at(spanned.span(), key, message);
    let (several, named): (bool, Vec<&Spanned<String>>) = match (&table.key, &table.keys) {
        (Some(key), None) => (false, vec![key]),
        (None, Some(keys)) if !keys.get_ref().is_empty() => (true, keys.get_ref().iter().collect()),
        _ => return Err(wrong("parameter.key", "say `key`, or `keys` for several that change together")),
    };
    let mut parts = Vec::new();
    for key in &named {
        let read = keys::parts(key.get_ref());
        parts.push(read.map_err(|error| checker.at(key.span(), "parameter.key", error.to_string()))?);
        if parts.last().is_some_and(|parts| matches!(parts.as_slice(), [one] if one == "seed")) {
            return Err(checker.at(key.span(), "parameter.key", "seeds are not a parameter, use `seeds`"));
        }
    }
    let joined = || named.iter().map(|key| key.get_ref().as_str()).collect::<Vec<_>>().join(" ");
    let name = table.name.as_ref().map_or_else(joined, |name| name.get_ref().clone());
    let line = |span| checker.at(span, "", "").line.unwrap_or(1);
    let values = match (&table.values, &table.from, &table.to, &table.step) {
        (Some(values), None, None, None) => {
            let mut rows = Vec::new();
            for value in values.get_ref() {
                let set = match (several, value.get_ref()) {
                    (false, one) => vec![one.clone()],
                    (true, Value::Array(each)) if each.len() == named.len() => each.clone(),
                    (true, _) => {
                        let message =
                            format!("each value is a list of {}, one for each of `keys`", named.len());
                        return Err(checker.at(value.span(), "parameter.values", message));
                    }
                };
                rows.push(Setting { line: line(value.span()), shown: keys::shown(value.get_ref()), set });
            }
            // Of values that change together the first one names the others, if it can.
            let first = |row: &Setting| row.set.first().map(keys::shown).unwrap_or_default();
            let firsts: BTreeSet<String> = rows.iter().map(first).collect();
            if several && firsts.len() == rows.len() {
                rows.iter_mut().for_each(|row| row.shown = first(row));
            }
            rows
        }
        (None, Some(from), Some(to), Some(step)) if !several => {
            let range = range::values(from.get_ref(), to.get_ref(), step.get_ref())
                .map_err(|message| checker.at(from.span(), "parameter.from", message))?;
            range
                .into_iter()
                .map(|value| Setting {
                    line: line(from.span()),
                    shown: keys::shown(&value),
                    set: vec![value],
                })
                .collect()
        }
        _ => {
            let message = match several {
                true => "several `keys` need `values`, a list of lists",
                false => "say either `values`, or all of `from`, `to` and `step`",
            };
            return Err(wrong("parameter.values", message));
        }
    };
    if values.is_empty() {
        return Err(wrong("parameter.values", "needs at least one value"));
    }
    for (place, Setting { line, shown, .. }) in values.iter().enumerate() {
        if values.iter().take(place).any(|other| other.shown == *shown) {
            let error = wrong("parameter.values", &format!("{shown} is there twice"));
            return Err(InputError { line: Some(*line), ..error });
        }
    }
    Ok((name, Axis { keys: parts, values }))
}
