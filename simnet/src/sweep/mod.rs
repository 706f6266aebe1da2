//! Plans of sweeps: one scenario under ranges of parameters, re-sampled networks and seeds. `docs/sweeps.md` describes the file.
//!
//! A [`SweepPlan`] expands to a numbered list of points, always the same one: parameters in the order of the file, the first
//! one slowest, then networks, then seeds. What a point is depends on the plan and its number only ([`SweepPlan::resolve`]).

mod check;
mod draw;
mod file;
mod keys;
mod range;
mod shard;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_core::Rng;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

pub use self::shard::{Shard, ShardError};
use crate::engine::Engine;
use crate::input::InputError;
use crate::scenario::{Graph, Overrides, Rate, Scenario};
use crate::seed::Streams;
use crate::units::HOUR;

/// The most points that a plan may have.
pub const MOST_POINTS: u64 = 1_000_000;

/// A checked plan.
#[derive(Clone, Debug)]
pub struct SweepPlan {
    /// Its name.
    pub name: String,
    /// What runs the points.
    pub engine: Engine,
    /// Names of the parameters, in the order of the file.
    pub parameters: Vec<String>,
    file: PathBuf,
    scenario_file: PathBuf,
    /// The scenario, with everything set that is the same for all points.
    base: Table,
    axes: Vec<Axis>,
    networks: Option<check::NetworksOf>,
    adversary: Option<draw::Adversary>,
    seeds: Vec<u64>,
}

/// A parameter's keys and values.
#[derive(Clone, Debug)]
struct Axis {
    keys: Vec<Vec<String>>,
    values: Vec<Setting>,
}

/// A value of a parameter.
#[derive(Clone, Debug)]
struct Setting {
    /// The line of the plan.
    line: usize,
    /// As tables show it.
    shown: String,
    /// What each key is set to.
    set: Vec<Value>,
}

/// A point of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its number, from 1.
    pub number: u64,
    /// The values of the parameters, as tables show them.
    pub parameters: Arc<[String]>,
    /// The seed from which its network is drawn; none where network and everything else are drawn from [`Point::seed`].
    pub network: Option<u64>,
    /// The seed; on a network of its own, the run's is drawn from both.
    pub seed: u64,
}

/// A point with what identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The point.
    pub point: Point,
    /// SHA-256 over the point, its checked scenario and its engine.
    pub hash: [u8; 32],
    /// How much there is to do, in messages and what is as long as one; only good for comparing points.
    pub work: u64,
}

/// A point and what is needed to run it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The point.
    pub point: Point,
    /// The scenario, with the point's parameters and the seed of its run.
    pub scenario: Scenario,
    /// The streams from which users, their contacts and their routers are drawn.
    pub network: Streams,
    /// As [`Listed::hash`].
    pub hash: [u8; 32],
}

impl SweepPlan {
    /// Reads and checks a plan and its scenario.
    ///
    /// # Errors
    /// One line about what is wrong with the plan, or with the scenario that it names. What single values make wrong is found by
    /// [`SweepPlan::expand`].
    pub fn load(file: &Path) -> Result<Self, InputError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| InputError::file(file, format!("cannot be read: {error}")))?;
        check::check(&text, file)
    }

    /// How many points there are.
    pub fn len(&self) -> u64 {
        self.variants() * self.per_variant()
    }

    /// Never: a checked plan has a point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of the parameters, combined.
    fn combinations(&self) -> u64 {
        self.axes.iter().map(|axis| axis.values.len() as u64).product()
    }

    /// Combinations times networks.
    fn variants(&self) -> u64 {
        self.combinations() * self.networks.as_ref().map_or(1, |networks| networks.count)
    }

    fn per_variant(&self) -> u64 {
        self.seeds.len() as u64
    }

    /// The point of a number; none outside 1 to [`SweepPlan::len`].
    pub fn point(&self, number: u64) -> Option<Point> {
        let before = number.checked_sub(1).filter(|&before| before < self.len())?;
        let variant = before / self.per_variant();
        let seed = *self.seeds.get(usize::try_from(before % self.per_variant()).ok()?)?;
        let networks = self.networks.as_ref();
        let (combination, network) = match networks {
            Some(networks) => (variant / networks.count, Some(networks.from + variant % networks.count)),
            None => (variant, None),
        };
        let parameters =
            self.values(combination).into_iter().map(|(_, setting)| setting.shown.clone()).collect();
        Some(Point { number, parameters, network, seed })
    }

    /// The value of each parameter in a combination; the last parameter changes fastest.
    fn values(&self, combination: u64) -> Vec<(&Axis, &Setting)> {
        let mut rest = combination;
        let mut values = Vec::new();
        for axis in self.axes.iter().rev() {
            let count = axis.values.len().max(1) as u64;
            let place = usize::try_from(rest % count).unwrap_or(usize::MAX);
            values.extend(axis.values.get(place).map(|value| (axis, value)));
            rest /= count;
        }
        values.reverse();
        values
    }

    /// A point with its scenario; none outside 1 to [`SweepPlan::len`].
    ///
    /// # Errors
    /// What the point's values make wrong with the scenario, with the line of the plan.
    pub fn resolve(&self, number: u64) -> Result<Option<Resolved>, InputError> {
        let Some(point) = self.point(number) else { return Ok(None) };
        let scenario = self.scenario(&point)?;
        Ok(Some(self.resolved(point, scenario)))
    }

    fn resolved(&self, point: Point, mut scenario: Scenario) -> Resolved {
        // With the same picks on every network, networks would tell less than they seem to.
        scenario.seed = match point.network {
            Some(network) => Streams::new(network).stream(&format!("sweep/seed/{}", point.seed)).next_u64(),
            None => point.seed,
        };
        let network = Streams::new(point.network.unwrap_or(point.seed));
        let hash = self.hash_of(&point, &scenario);
        Resolved { point, scenario, network, hash }
    }

    /// Every point, in order.
    ///
    /// # Errors
    /// As [`SweepPlan::resolve`], of the first point that can't be.
    pub fn expand(&self) -> Result<Vec<Listed>, InputError> {
        let by_network = self.networks.is_some() || self.adversary.is_none();
        let mut last: Option<(u64, Scenario)> = None;
        let mut points: Vec<Listed> = Vec::new();
        for number in 1..=self.len() {
            let Some(point) = self.point(number) else { break };
            let variant = (number - 1) / self.per_variant();
            // Seeds of a variant have the same scenario, unless the adversary is drawn from them.
            let scenario = match last.take() {
                Some((of, scenario)) if of == variant && by_network => scenario,
                _ => self.scenario(&point)?,
            };
            let resolved = self.resolved(point, scenario);
            points.push(Listed {
                hash: resolved.hash,
                work: work(&resolved.scenario),
                point: resolved.point,
            });
            last = Some((variant, resolved.scenario));
        }
        Ok(points)
    }

    /// SHA-256 over all points: equal for plans that say the same in other words.
    pub fn hash(points: &[Listed]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"sxlab sweep 1");
        for listed in points {
            hash.update(listed.hash);
        }
        hash.finalize().into()
    }

    fn hash_of(&self, point: &Point, scenario: &Scenario) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        put(&point.number.to_be_bytes());
        put(self.engine.name().as_bytes());
        for (name, value) in self.parameters.iter().zip(point.parameters.iter()) {
            put(name.as_bytes());
            put(value.as_bytes());
        }
        put(&[u8::from(point.network.is_some())]);
        put(&point.network.unwrap_or_default().to_be_bytes());
        put(&point.seed.to_be_bytes());
        put(&scenario.hash());
        hash.finalize().into()
    }

    /// The scenario of a point, without its seed.
    fn scenario(&self, point: &Point) -> Result<Scenario, InputError> {
        let combination =
            (point.number - 1) / self.per_variant() / self.networks.as_ref().map_or(1, |n| n.count);
        let values = self.values(combination);
        let mut table = self.base.clone();
        for (axis, setting) in &values {
            for (key, value) in axis.keys.iter().zip(&setting.set) {
                keys::set(&mut table, key, value)
                    .map_err(|error| self.wrong(setting.line, &key.join("."), error.to_string()))?;
            }
        }
        let streams = Streams::new(point.network.unwrap_or(point.seed));
        if let Some(networks) = self.networks.as_ref().filter(|networks| networks.draw_shares) {
            draw::shares(&mut table, &streams)
                .map_err(|message| self.wrong(networks.line, "networks.draw_shares", message))?;
        }
        let mut scenario =
            parse(&table, &self.scenario_file).map_err(|error| self.blamed(point, &values, error))?;
        self.engine
            .check(&scenario, &self.scenario_file)
            .map_err(|error| self.blamed(point, &values, error))?;
        if let Some(adversary) = &self.adversary {
            draw::adversary(adversary, &mut scenario, &streams)
                .map_err(|message| self.wrong(adversary.line, adversary.key, message))?;
        }
        Ok(scenario)
    }

    /// An error of the scenario as one of the plan: at the value of the parameter that the error's key belongs to.
    fn blamed(&self, point: &Point, values: &[(&Axis, &Setting)], error: InputError) -> InputError {
        // Errors about the files that a scenario names are about those.
        if error.key.is_none() && error.file != self.scenario_file {
            return error;
        }
        let key = error.key.as_deref().unwrap_or_default();
        let likeness =
            |axis: &Axis| axis.keys.iter().map(|parts| check::likeness(parts, key)).max().unwrap_or(0);
        let guilty = values.iter().enumerate().max_by_key(|(place, (axis, _))| (likeness(axis), *place));
        let Some((place, (_, setting))) = guilty else { return error };
        let name = self.parameters.get(place).map_or("", String::as_str);
        let message = format!("with {} (point {}): {key}: {}", setting.shown, point.number, error.message);
        self.wrong(setting.line, name, message)
    }

    fn wrong(&self, line: usize, key: &str, message: String) -> InputError {
        InputError { file: self.file.clone(), line: Some(line), key: Some(key.to_owned()), message }
    }
}

/// Checks a scenario that was put together.
fn parse(table: &Table, file: &Path) -> Result<Scenario, InputError> {
    let text = toml::to_string(table).map_err(|error| InputError::file(file, error.to_string()))?;
    Scenario::parse(&text, file, &Overrides::default())
}

/// Messages of all policies, and five for each conversation: setting one up takes some.
fn work(scenario: &Scenario) -> u64 {
    let users = u64::from(scenario.users.count);
    let messages = match scenario.workload.rate() {
        Some(Rate::Total(messages)) => messages,
        Some(Rate::ThousandthsPerUserHour(thousandths)) => {
            let all = u128::from(users) * u128::from(thousandths) * u128::from(scenario.duration_ns);
            u64::try_from(all / u128::from(1000 * HOUR)).unwrap_or(u64::MAX)
        }
        None => 0,
    };
    let conversations = match scenario.users.graph {
        Graph::Ring { conversations } | Graph::Random { conversations } => u64::from(conversations),
        _ => users,
    };
    let one = messages.saturating_add(5 * conversations).max(1);
    one.saturating_mul(scenario.policies.len() as u64)
}
