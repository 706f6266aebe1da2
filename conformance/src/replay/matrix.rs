//! Flows at versions that were recorded but not kept in full: what was kept is, for each, where it differs from the
//! newest one.
//!
//! A version is replayed from a flow that was kept in full: one of a version that it is said to equal, else the newest. The
//! answers are expected in the encoding of the version; for the rest, a difference must be among those that are listed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::recording::{Direction, Flow};
use super::{BadRecording, Difference, Outcome, replay_at};
use crate::target::Target;

/// What is said of the versions of all flows.
#[derive(Clone, Debug)]
pub struct Matrix {
    flows: BTreeMap<String, Versions>,
}

#[derive(Clone, Debug)]
struct Versions {
    newest: u16,
    /// What each version differs in, and the version that it equals.
    listed: BTreeMap<u16, (u16, Vec<Listed>)>,
}

/// An answer that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    /// What is answered at a version only.
    Answer { at: u16, conn: String, request: String, answer: String },
    /// Events, by connection and text.
    Event { conn: String },
    /// Subscriptions are answered OK: the encoding of the version.
    Encoding,
    /// More are not listed.
    More,
}

/// A version of a flow to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The flow.
    pub flow: String,
    /// The version.
    pub version: u16,
    /// The version of the flow that was kept in full and is replayed.
    pub from: u16,
    /// Whether answers may differ as listed.
    pub listed: bool,
}

/// What replaying a version showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Equal, in the version's encoding.
    Equal,
    /// Different in what is listed, up to where so many differences ended the replay.
    AsListed(usize),
    /// Different in what may be listed: not all differences of this version are.
    NotListed(Difference),
    /// Different in what is not.
    Different(Difference),
    /// The target can't do it.
    Skipped(String),
}

fn bad(key: String, what: &str) -> BadRecording {
    BadRecording { key, what: what.to_owned() }
}

fn listed(value: &Value) -> Listed {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(at) = value.get("only_at").and_then(Value::as_u64) {
        let at = u16::try_from(at).unwrap_or_default();
        return Listed::Answer { at, conn: text("conn"), request: text("request"), answer: text("answer") };
    }
    if value.get("event_on").is_some() {
        return Listed::Event { conn: text("event_on") };
    }
    if value.get("count").is_some() { Listed::Encoding } else { Listed::More }
}

impl Matrix {
    /// From its JSON form.
    ///
    /// # Errors
    /// [`BadRecording`].
    pub fn read(json: &Value) -> Result<Self, BadRecording> {
        let scenarios = json.get("scenarios").and_then(Value::as_object);
        let scenarios = scenarios.ok_or_else(|| bad("scenarios".to_owned(), "an object was expected"))?;
        let mut flows = BTreeMap::new();
        for (name, scenario) in scenarios {
            let key = format!("scenarios.{name}");
            let newest = scenario.get("reference_version").and_then(Value::as_u64);
            let newest = newest.and_then(|version| u16::try_from(version).ok());
            let newest = newest.ok_or_else(|| bad(key.clone(), "no reference version"))?;
            let versions = scenario.get("versions").and_then(Value::as_object);
            let versions = versions.ok_or_else(|| bad(key.clone(), "no versions"))?;
            let mut all = BTreeMap::new();
            for name in versions.keys() {
                let (mut root, mut value) = (name.as_str(), versions.get(name));
                // A version is as another one, which has its own list.
                for _ in 0..versions.len() {
                    let Some(other) =
                        value.and_then(Value::as_str).and_then(|text| text.strip_prefix("as v"))
                    else {
                        break;
                    };
                    (root, value) = (other, versions.get(other));
                }
                let number = |text: &str| {
                    text.parse().map_err(|_| bad(format!("{key}.versions.{text}"), "no version"))
                };
                let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                all.insert(number(name)?, (number(root)?, list.iter().map(listed).collect()));
            }
            flows.insert(name.clone(), Versions { newest, listed: all });
        }
        Ok(Self { flows })
    }

    /// All recorded versions of all flows, and what each is replayed from. `kept` are the versions kept in full.
    #[must_use]
    pub fn plan(&self, kept: impl Fn(&str) -> Vec<u16>) -> Vec<Planned> {
        let mut plan = Vec::new();
        for (flow, versions) in &self.flows {
            let kept = kept(flow);
            for (version, (root, list)) in &versions.listed {
                let encoding = list.iter().all(|listed| *listed == Listed::Encoding);
                let same = |other: &&u16| versions.listed.get(other).is_some_and(|(r, _)| r == root);
                let from = match kept.iter().rev().find(same) {
                    _ if kept.contains(version) => *version,
                    Some(same) if !encoding => *same,
                    _ => versions.newest,
                };
                let listed = !encoding && versions.listed.get(&from).is_none_or(|(r, _)| r != root);
                plan.push(Planned { flow: flow.clone(), version: *version, from, listed });
            }
        }
        plan
    }

    /// Replays a version from a flow that was kept.
    #[must_use]
    pub fn replay(&self, planned: &Planned, flow: &Flow, target: &dyn Target, seed: u64) -> Seen {
        let differences = match replay_at(flow, planned.version, target, seed) {
            Outcome::Equal => return Seen::Equal,
            Outcome::Skipped(reason) => return Seen::Skipped(reason),
            Outcome::Different(differences) => differences,
        };
        let list = self.flows.get(&planned.flow).and_then(|versions| versions.listed.get(&planned.version));
        let list = list.map(|(_, list)| list.as_slice()).filter(|_| planned.listed).unwrap_or_default();
        let unlisted = differences.iter().find(|difference| !is_listed(difference, flow, planned, list));
        match unlisted {
            None => Seen::AsListed(differences.len()),
            Some(difference) if list.contains(&Listed::More) => Seen::NotListed(difference.clone()),
            Some(difference) => Seen::Different(difference.clone()),
        }
    }
}

/// Whether the recorded answer, or event, of a difference's step is said not to come at the version.
fn is_listed(difference: &Difference, flow: &Flow, planned: &Planned, list: &[Listed]) -> bool {
    let Some(step) = flow.steps.get(difference.step) else { return false };
    let sent = |step: &&super::recording::Step| step.dir == Direction::Send;
    let request =
        flow.steps.iter().filter(sent).find(|sent| sent.conn == step.conn && sent.corr == step.corr);
    let asked = match step.dir {
        Direction::InnerReceive => "(inner)",
        _ => request.map(|request| request.text.as_str()).unwrap_or_default(),
    };
    // The version of a forward is not part of what the list calls it.
    let asked = asked.replace(&format!("v{}:", planned.from), "vN:");
    list.iter().any(|listed| match listed {
        Listed::Answer { at, conn, request, answer } => {
            *at == planned.from && *conn == step.conn && *request == asked && *answer == step.text
        }
        Listed::Event { conn } => step.is_event() && *conn == step.conn,
        Listed::Encoding | Listed::More => false,
    })
}
