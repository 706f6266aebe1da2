//! Turns a scenario file into a checked [`Scenario`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use serde_spanned::Spanned;

use super::client::client;
use super::file::File;
use super::network::Named;
use super::users::users;
use super::{
    Analysis, Churn, Fault, Latency, Overrides, Rotate, RouterLimits, Scenario, Wear, Workload, workload,
};
use crate::input::{Checker, InputError, closest, list};
use crate::network::{OperatorIdx, Place};
use crate::selection::Policy;
use crate::units::{Duration, MILLISECOND, SECOND, format_duration};

/// What Tor adds to a latency unless the file says so: an assumption.
const TOR_NS: u64 = 300 * MILLISECOND;

/// The most operators for which every set of them is evaluated unless the file names the sets.
const ALL_SETS_UP_TO: usize = 4;

impl Checker<'_> {
    pub(super) fn positive(&self, key: &str, value: &Spanned<Duration>) -> Result<u64, InputError> {
        match value.get_ref().0 {
            0 => Err(self.at(value.span(), key, "must be longer than 0")),
            ns => Ok(ns),
        }
    }

    /// A time that the simulator's step divides.
    fn ticks(&self, key: &str, value: &Spanned<Duration>, tick_ns: u64) -> Result<u64, InputError> {
        let ns = value.get_ref().0;
        if ns.is_multiple_of(tick_ns) {
            return Ok(ns);
        }
        let message =
            format!("{} is not a multiple of the tick, {}", format_duration(ns), format_duration(tick_ns));
        Err(self.at(value.span(), key, message))
    }

    fn positive_ticks(&self, key: &str, value: &Spanned<Duration>, tick_ns: u64) -> Result<u64, InputError> {
        self.positive(key, value)?;
        self.ticks(key, value, tick_ns)
    }

    /// One of a few names.
    pub(super) fn unknown_name(
        &self,
        key: &str,
        what: &str,
        name: &Spanned<String>,
        names: &[&str],
    ) -> InputError {
        let hint = closest(name.get_ref(), names.iter().copied())
            .map(|near| format!(", did you mean `{near}`?"))
            .unwrap_or_else(|| format!(", known are {}", list(names)));
        self.at(name.span(), key, format!("unknown {what} `{}`{hint}", name.get_ref()))
    }

    /// A key that must be there.
    pub(super) fn required<'v, T>(
        &self,
        table: Range<usize>,
        key: &str,
        value: Option<&'v T>,
        why: &str,
    ) -> Result<&'v T, InputError> {
        value.ok_or_else(|| self.at(table, key, format!("missing: {why}")))
    }

    /// A key that belongs to another kind of table.
    pub(super) fn absent<T>(
        &self,
        key: &str,
        value: Option<&Spanned<T>>,
        why: &str,
    ) -> Result<(), InputError> {
        match value {
            None => Ok(()),
            Some(value) => Err(self.at(value.span(), key, why)),
        }
    }
}

/// A share in (0, 1] as millionths, its nearest whole number.
pub(crate) fn millionths(checker: &Checker<'_>, key: &str, share: &Spanned<f64>) -> Result<u32, InputError> {
    let value = *share.get_ref();
    let millionths = (value * 1e6).round();
    if value < 0.0 {
        return Err(checker.at(
            share.span(),
            key,
            format!("{value} is negative, a share lies between 0 and 1"),
        ));
    }
    if !(1.0..=1e6).contains(&millionths) {
        return Err(checker.at(share.span(), key, format!("{value} is not a share between 0.000001 and 1")));
    }
    Ok(millionths as u32)
}

/// Checks the whole text.
pub(super) fn check(text: &str, path: &Path, overrides: &Overrides) -> Result<Scenario, InputError> {
    let checker = Checker::new(path, text);
    let file: File = checker.parse()?;
    if file.name.get_ref().trim().is_empty() {
        return Err(checker.at(file.name.span(), "name", "must not be empty"));
    }
    let tick_ns = tick(&checker, &file)?;
    let named = Named::new(&checker, &file)?;
    let (workload, body) = workload::workload(&checker, &file, overrides, &named.ahead_minutes)?;
    let duration_ns = duration(&checker, &file, &workload)?;
    let users = users(&checker, &file, named.regions.len(), &workload)?;
    workload::fits(&checker, &file, &workload, &users, duration_ns)?;
    Ok(Scenario {
        name: file.name.get_ref().clone(),
        description: file.description.clone(),
        seed: overrides.seed.or(file.seed).unwrap_or(1),
        duration_ns,
        tick_ns,
        policies: policies(&checker, &file)?,
        latency: latency(&checker, &file, &named, tick_ns)?,
        groups: super::groups::groups(&checker, &file, &users)?,
        business: super::business::business(&checker, &file, &users)?,
        calls: super::calls::calls(&checker, &file, &users, duration_ns)?,
        rotation: rotation(&checker, &file, duration_ns)?,
        users,
        faults: faults(&checker, &file, &named, tick_ns, duration_ns)?,
        churn: churn(&checker, &file)?,
        client: client(&checker, &file)?,
        router: router(&checker, &file)?,
        analysis: analysis(&checker, &file, &named)?,
        workload,
        body,
        regions: named.regions,
        network: named.network,
    })
}

fn tick(checker: &Checker<'_>, file: &File) -> Result<u64, InputError> {
    let Some(tick) = &file.tick else {
        return Ok(10 * MILLISECOND);
    };
    let ns = checker.positive("tick", tick)?;
    if !ns.is_multiple_of(MILLISECOND) || ns > SECOND {
        let message = format!("{} is not a whole number of milliseconds up to 1s", format_duration(ns));
        return Err(checker.at(tick.span(), "tick", message));
    }
    Ok(ns)
}

fn duration(checker: &Checker<'_>, file: &File, workload: &Workload) -> Result<u64, InputError> {
    match (workload, &file.duration) {
        (Workload::Trace(trace), None) => Ok(trace.window_ns.div_ceil(trace.speed)),
        (Workload::Trace(_), Some(duration)) => Err(checker.at(
            duration.span(),
            "duration",
            "a trace lasts workload.window / workload.speed, leave `duration` out",
        )),
        (_, Some(duration)) => checker.positive("duration", duration),
        (_, None) => {
            Err(checker.whole("duration", "missing: say how long users send, such as duration = \"10m\""))
        }
    }
}

fn policies(checker: &Checker<'_>, file: &File) -> Result<Vec<Policy>, InputError> {
    let Some(names) = &file.policies else {
        return Ok(Policy::ALL.to_vec());
    };
    if names.get_ref().is_empty() {
        return Err(checker.at(names.span(), "policies", "name at least one policy"));
    }
    let mut policies = Vec::new();
    for name in names.get_ref() {
        let policy = Policy::named(name.get_ref()).ok_or_else(|| {
            checker.unknown_name("policies", "policy", name, &Policy::ALL.map(Policy::name))
        })?;
        if policies.contains(&policy) {
            return Err(checker.at(name.span(), "policies", format!("`{policy}` is there twice")));
        }
        policies.push(policy);
    }
    Ok(policies)
}

fn latency(checker: &Checker<'_>, file: &File, named: &Named, tick_ns: u64) -> Result<Latency, InputError> {
    let default_ns = match &file.latency.default {
        Some(default) => checker.positive_ticks("latency.default", default, tick_ns)?,
        None => (40 * MILLISECOND).next_multiple_of(tick_ns),
    };
    let tor_ns = match &file.client.tor_latency {
        _ if !super::client::has_tor(file) => 0,
        Some(time) => checker.ticks("client.tor_latency", time, tick_ns)?,
        None => TOR_NS.next_multiple_of(tick_ns),
    };
    let jitter_ns = file.latency.jitter.as_ref().map_or(0, |jitter| jitter.get_ref().0);
    let bandwidth_kbit =
        bandwidth(checker, "latency.bandwidth_kbit", file.latency.bandwidth_kbit.as_ref())?.unwrap_or(0);
    let (mut between, mut worn) = (BTreeMap::new(), BTreeMap::new());
    for entry in &file.latency.between {
        let time = entry.time.as_ref();
        let time =
            time.map(|time| checker.positive_ticks("latency.between.time", time, tick_ns)).transpose()?;
        let jitter = entry.jitter.as_ref().map(|jitter| jitter.get_ref().0);
        let kbit = bandwidth(checker, "latency.between.bandwidth_kbit", entry.bandwidth_kbit.as_ref())?;
        if time.is_none() && jitter.is_none() && kbit.is_none() {
            let message = "says nothing about them, give `time`, `jitter` or `bandwidth_kbit`";
            return Err(checker.at(entry.a.span(), "latency.between", message));
        }
        let a = named.places(checker, "latency.between.a", &entry.a)?;
        let b = named.places(checker, "latency.between.b", &entry.b)?;
        not_only_regions(checker, "latency.between.b", &entry.b, &a, &b)?;
        for &a in &a {
            for &b in b.iter().filter(|&&b| a != b) {
                let pair = (a.min(b), a.max(b));
                between.extend(time.map(|ns| (pair, ns)));
                if jitter.is_some() || kbit.is_some() {
                    let wear = worn.entry(pair).or_insert(Wear { jitter_ns, bandwidth_kbit });
                    wear.jitter_ns = jitter.unwrap_or(wear.jitter_ns);
                    wear.bandwidth_kbit = kbit.unwrap_or(wear.bandwidth_kbit);
                }
            }
        }
    }
    let between = between.into_iter().map(|((a, b), ns)| (a, b, ns)).collect();
    let worn = worn.into_iter().map(|((a, b), wear)| (a, b, wear)).collect();
    Ok(Latency { default_ns, between, tor_ns, jitter_ns, bandwidth_kbit, worn })
}

fn bandwidth(
    checker: &Checker<'_>,
    key: &str,
    kbit: Option<&Spanned<u64>>,
) -> Result<Option<u64>, InputError> {
    match kbit {
        Some(kbit) if *kbit.get_ref() == 0 => Err(checker.at(kbit.span(), key, "must be at least 1")),
        kbit => Ok(kbit.map(|kbit| *kbit.get_ref())),
    }
}

fn churn(checker: &Checker<'_>, file: &File) -> Result<Option<Churn>, InputError> {
    let Some(churn) = &file.churn else { return Ok(None) };
    let churn = churn.get_ref();
    Ok(Some(Churn {
        online_ns: checker.positive("churn.online", &churn.online)?,
        offline_ns: checker.positive("churn.offline", &churn.offline)?,
    }))
}

/// Users reach one another through routers only, so a pair of regions has no link of its own.
fn not_only_regions(
    checker: &Checker<'_>,
    key: &str,
    name: &Spanned<String>,
    a: &[Place],
    b: &[Place],
) -> Result<(), InputError> {
    let region = |place: &Place| matches!(place, Place::Region(_));
    if a.iter().all(region) && b.iter().all(region) {
        return Err(checker.at(
            name.span(),
            key,
            "nothing passes between two regions, name an operator or a router",
        ));
    }
    Ok(())
}

fn faults(
    checker: &Checker<'_>,
    file: &File,
    named: &Named,
    tick_ns: u64,
    duration_ns: u64,
) -> Result<Vec<Fault>, InputError> {
    let mut faults = Vec::new();
    for spanned in &file.fault {
        let (span, table) = (spanned.span(), spanned.get_ref());
        let at_ns = checker.ticks("fault.at", &table.at, tick_ns)?;
        if at_ns >= duration_ns {
            let message =
                format!("{} is not before the end, {}", format_duration(at_ns), format_duration(duration_ns));
            return Err(checker.at(table.at.span(), "fault.at", message));
        }
        faults.push(match table.kind.get_ref().as_str() {
            "restart" => {
                let why = "belongs to kind = \"partition\"";
                checker.absent("fault.a", table.a.as_ref(), why)?;
                checker.absent("fault.b", table.b.as_ref(), why)?;
                checker.absent("fault.for", table.length.as_ref(), why)?;
                let router = checker.required(
                    span.clone(),
                    "fault.router",
                    table.router.as_ref(),
                    "name the router that restarts",
                )?;
                let downtime = checker.required(
                    span,
                    "fault.downtime",
                    table.downtime.as_ref(),
                    "say how long the router is away",
                )?;
                Fault::Restart {
                    router: named.router(checker, "fault.router", router)?,
                    at_ns,
                    downtime_ns: checker.positive_ticks("fault.downtime", downtime, tick_ns)?,
                }
            }
            "partition" => {
                let why = "belongs to kind = \"restart\"";
                checker.absent("fault.router", table.router.as_ref(), why)?;
                checker.absent("fault.downtime", table.downtime.as_ref(), why)?;
                let why = "name a region, operator or router on each side";
                let a = checker.required(span.clone(), "fault.a", table.a.as_ref(), why)?;
                let b = checker.required(span.clone(), "fault.b", table.b.as_ref(), why)?;
                let length = checker.required(
                    span,
                    "fault.for",
                    table.length.as_ref(),
                    "say how long the partition lasts",
                )?;
                partition(checker, named, a, b, at_ns, checker.positive_ticks("fault.for", length, tick_ns)?)?
            }
            _ => {
                return Err(checker.unknown_name(
                    "fault.kind",
                    "kind",
                    &table.kind,
                    &["restart", "partition"],
                ));
            }
        });
    }
    faults.sort_by_key(Fault::at_ns);
    Ok(faults)
}

fn partition(
    checker: &Checker<'_>,
    named: &Named,
    a_name: &Spanned<String>,
    b_name: &Spanned<String>,
    at_ns: u64,
    for_ns: u64,
) -> Result<Fault, InputError> {
    let a = named.places(checker, "fault.a", a_name)?;
    let b = named.places(checker, "fault.b", b_name)?;
    not_only_regions(checker, "fault.b", b_name, &a, &b)?;
    if a.iter().any(|place| b.contains(place)) {
        let message = format!("`{}` and `{}` share a router", a_name.get_ref(), b_name.get_ref());
        return Err(checker.at(b_name.span(), "fault.b", message));
    }
    Ok(Fault::Partition { a, b, at_ns, for_ns })
}

fn rotation(checker: &Checker<'_>, file: &File, duration_ns: u64) -> Result<Option<Rotate>, InputError> {
    let Some(table) = &file.rotation else { return Ok(None) };
    Ok(Some(match (&table.get_ref().at, &table.get_ref().every) {
        (Some(at), None) if at.get_ref().0 < duration_ns => Rotate::At(at.get_ref().0),
        (Some(at), None) => {
            return Err(checker.at(at.span(), "rotation.at", "is not before the end of the duration"));
        }
        (None, Some(every)) => Rotate::Every(checker.positive("rotation.every", every)?),
        _ => return Err(checker.at(table.span(), "rotation", "has one of the keys `at` and `every`")),
    }))
}

fn router(checker: &Checker<'_>, file: &File) -> Result<RouterLimits, InputError> {
    let queue_quota = match &file.router.queue_quota {
        None => 128,
        Some(quota) if *quota.get_ref() > 0 => *quota.get_ref(),
        Some(quota) => return Err(checker.at(quota.span(), "router.queue_quota", "must be at least 1")),
    };
    let end_interval_ns = match &file.router.end_interval {
        None => 15 * SECOND,
        Some(interval) => checker.positive("router.end_interval", interval)?,
    };
    Ok(RouterLimits { queue_quota, end_interval_ns })
}

fn analysis(checker: &Checker<'_>, file: &File, named: &Named) -> Result<Analysis, InputError> {
    let margin = match &file.analysis.margin {
        None => 0.1,
        Some(margin) if *margin.get_ref() > 0.0 && *margin.get_ref() < 1.0 => *margin.get_ref(),
        Some(margin) => {
            let message = format!("{} is not between 0 and 1", margin.get_ref());
            return Err(checker.at(margin.span(), "analysis.margin", message));
        }
    };
    let Some(sets) = &file.analysis.colluding else {
        return Ok(Analysis {
            margin,
            colluding: default_sets(named.network.operators.len()),
            held: Vec::new(),
        });
    };
    let mut colluding = Vec::new();
    for set in sets {
        let mut operators = BTreeSet::new();
        for name in set.get_ref() {
            if !operators.insert(named.operator(checker, "analysis.colluding", name)?) {
                return Err(checker.at(
                    name.span(),
                    "analysis.colluding",
                    format!("`{}` is there twice", name.get_ref()),
                ));
            }
        }
        let operators: Vec<OperatorIdx> = operators.into_iter().collect();
        if operators.is_empty() {
            return Err(checker.at(set.span(), "analysis.colluding", "a set needs at least one operator"));
        }
        if colluding.contains(&operators) {
            return Err(checker.at(set.span(), "analysis.colluding", "this set is there twice"));
        }
        colluding.push(operators);
    }
    Ok(Analysis { margin, colluding, held: Vec::new() })
}

/// Every set of up to four operators; of more, every one and every two.
fn default_sets(operators: usize) -> Vec<Vec<OperatorIdx>> {
    let all = || (0..operators).map(OperatorIdx::from);
    if operators > ALL_SETS_UP_TO {
        let pairs = all().flat_map(|a| all().filter(move |&b| b > a).map(move |b| vec![a, b]));
        return all().map(|a| vec![a]).chain(pairs).collect();
    }
    let mut sets: Vec<Vec<OperatorIdx>> = (1..1u32 << operators)
        .map(|mask| all().filter(|operator| mask >> operator.0 & 1 == 1).collect())
        .collect();
    sets.sort_by_key(|set| (set.len(), set.clone()));
    sets
}
