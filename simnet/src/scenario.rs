//! Scenarios: what a run simulates, read from a TOML file and checked. `docs/scenarios.md` describes the file.
//!
//! [`Scenario`] holds plain numbers, every one of them checked and every default filled in; the file's own form
//! is private to this module. Whatever is wrong is an [`InputError`] of one line that names file, line and key.

mod business;
mod calls;
mod check;
mod client;
mod file;
mod groups;
mod network;
#[cfg(test)]
pub(crate) mod tests;
mod trace;
mod users;
mod workload;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use sxlab_protocol::agent::AgentConfig;

pub use self::business::Business;
pub use self::calls::Calls;
pub(crate) use self::check::millionths;
pub use self::client::Client;
pub use self::groups::Groups;
pub use crate::friends::FriendList;
pub use crate::input::InputError;
use crate::network::{Network, OperatorIdx, Place, RouterIdx};
use crate::population::User;
use crate::selection::Policy;
pub use crate::times::TimeUnit;

/// The text of the scenario that runs when none is named: `scenarios/two-operators.toml`.
pub const BUILTIN: &str = include_str!("../../scenarios/two-operators.toml");

/// The shortest body that a workload may ask for, in bytes: room for a run's own mark, by which a received
/// message is known again.
pub const BODY_MIN: u32 = 16;

/// The longest body that a workload may ask for, in bytes. A client message is padded to 16,000 (SN-14); what it
/// holds beside the body takes less than the 200 kept back here.
pub const BODY_MAX: u32 = 15_800;

/// A checked scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence. Not part of [`Scenario::hash`].
    #[serde(skip)]
    pub description: String,
    /// The seed when the command line gives none. Not part of [`Scenario::hash`].
    #[serde(skip)]
    pub seed: u64,
    /// Length of the phase in which users send messages: every send falls into `0..duration_ns` after the
    /// network is set up. Setting up before and delivering the rest after it take their own time.
    pub duration_ns: u64,
    /// The simulator's step; every latency and fault time is a multiple.
    pub tick_ns: u64,
    /// The policies to compare, each run on the same seed, users and messages.
    pub policies: Vec<Policy>,
    /// Names of the regions; each is one host that carries its users' clients.
    pub regions: Vec<String>,
    /// How long a segment travels.
    pub latency: Latency,
    /// Routers and who runs them.
    pub network: Network,
    /// How many users and who their contacts are.
    pub users: Users,
    /// Groups of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// Businesses with customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business: Option<Business>,
    /// Calls between contacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<Calls>,
    /// When queues move to other routers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotate>,
    /// How users come and go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn: Option<Churn>,
    /// Who sends when.
    pub workload: Workload,
    /// Bounds of a message's body, in bytes, both included; lengths are drawn uniformly.
    pub body: (u32, u32),
    /// What breaks, ordered by time.
    pub faults: Vec<Fault>,
    /// What every user's agent does.
    pub client: Client,
    /// Limits of every router.
    pub router: RouterLimits,
    /// What the analysis evaluates.
    pub analysis: Analysis,
}

/// One-way latencies, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Between any two places not named below.
    pub default_ns: u64,
    /// Between two places, in both directions, with the smaller place first; each pair at most once, ordered.
    pub between: Vec<(Place, Place, u64)>,
    /// What Tor adds to that between a region and a router.
    #[serde(skip_serializing_if = "is_zero")]
    pub tor_ns: u64,
    /// How much longer a segment takes at most: so much is drawn uniformly for each, which none overtakes.
    #[serde(skip_serializing_if = "is_zero")]
    pub jitter_ns: u64,
    /// What each connection carries in each direction, in thousands of bits a second. 0: a block takes no time of its own.
    #[serde(skip_serializing_if = "is_zero")]
    pub bandwidth_kbit: u64,
    /// Between two places of which jitter or bandwidth are others, as in `between`: these two.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub worn: Vec<(Place, Place, Wear)>,
}

/// What varies on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wear {
    /// As [`Latency::jitter_ns`].
    pub jitter_ns: u64,
    /// As [`Latency::bandwidth_kbit`].
    pub bandwidth_kbit: u64,
}

/// How users come and go while messages are sent: times of both kinds are drawn from exponential distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Churn {
    /// The mean time online, in nanoseconds.
    pub online_ns: u64,
    /// The mean time offline, in nanoseconds.
    pub offline_ns: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Scenario {
    /// The configuration of a user's agent.
    pub(crate) fn agent_of(&self, user: &User) -> AgentConfig {
        let config = self.client.agent_of(user);
        let call_lapse = self.calls.map_or(config.call_lapse, |calls| calls.lapse_ns);
        AgentConfig { call_lapse, ..config }
    }

    /// The first key that only the event engine knows, if there is one.
    pub fn only_for_events(&self) -> Option<&'static str> {
        let worn = |has: fn(&Wear) -> bool| self.latency.worn.iter().any(|(.., wear)| has(wear));
        let keys = [
            (self.latency.jitter_ns > 0, "latency.jitter"),
            (self.latency.bandwidth_kbit > 0, "latency.bandwidth_kbit"),
            (worn(|wear| wear.jitter_ns > 0), "latency.between.jitter"),
            (worn(|wear| wear.bandwidth_kbit > 0), "latency.between.bandwidth_kbit"),
            (self.churn.is_some(), "churn"),
        ];
        keys.into_iter().find(|(used, _)| *used).map(|(_, key)| key)
    }
}

impl Latency {
    /// The one-way latency between two places, the same in both directions.
    pub fn ns(&self, a: Place, b: Place) -> u64 {
        if let (Place::Tor(region), other) | (other, Place::Tor(region)) = (a, b) {
            return self.ns(Place::Region(region), other).saturating_add(self.tor_ns);
        }
        of_pair(&self.between, a, b).unwrap_or(self.default_ns)
    }

    /// What varies between two places; through Tor as without it.
    pub fn wear(&self, a: Place, b: Place) -> Wear {
        if let (Place::Tor(region), other) | (other, Place::Tor(region)) = (a, b) {
            return self.wear(Place::Region(region), other);
        }
        let everywhere = Wear { jitter_ns: self.jitter_ns, bandwidth_kbit: self.bandwidth_kbit };
        of_pair(&self.worn, a, b).unwrap_or(everywhere)
    }
}

/// What a list says of two places.
fn of_pair<T: Copy>(list: &[(Place, Place, T)], a: Place, b: Place) -> Option<T> {
    let pair = (a.min(b), a.max(b));
    let found = list.binary_search_by_key(&pair, |&(a, b, _)| (a, b)).ok()?;
    list.get(found).map(|&(.., value)| value)
}

/// Users and their contacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Users {
    /// How many; with [`Graph::Trace`] at most so many.
    pub count: u32,
    /// Who is in contact with whom.
    pub graph: Graph,
    /// For each region, its weight among the users: a user lives there with probability weight / sum.
    pub region_weights: Vec<u32>,
}

/// Who is in contact with whom. Each pair of contacts is one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Graph {
    /// Users in a circle, each in contact with the nearest, until there are so many conversations.
    Ring {
        /// How many conversations.
        conversations: u32,
    },
    /// So many pairs drawn uniformly, after everyone has been given one contact.
    Random {
        /// How many conversations.
        conversations: u32,
    },
    /// Each user's number of contacts is drawn; pairs are drawn among the graphs with these numbers.
    Degrees(Degrees),
    /// The pairs of a friendship list.
    File(FriendList),
    /// The pairs that exchange messages in the trace's window.
    Trace,
}

/// How many contacts users have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Degrees {
    /// Numbers of contacts with their shares of the users in millionths; the draw is by share / sum of all.
    Shares(Vec<(u32, u32)>),
    /// A number k of contacts has a probability proportional to k^(−exponent).
    PowerLaw {
        /// The fewest, at least 1.
        min: u32,
        /// The most.
        max: u32,
        /// Thousandths of the exponent.
        exponent: u32,
    },
}

/// Who sends when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Workload {
    /// Every user sends at the same average rate, at exponentially distributed intervals, each message to a
    /// contact drawn uniformly.
    Poisson(Rate),
    /// The same with a rate that follows the hour of the day.
    Diurnal(Diurnal),
    /// Messages come in sessions, in which two contacts answer each other.
    Conversations(Sessions),
    /// Messages as recorded.
    Trace(Trace),
}

impl Workload {
    /// How much is sent; nothing for a trace, which says itself.
    pub fn rate(&self) -> Option<Rate> {
        match self {
            Self::Poisson(rate) => Some(*rate),
            Self::Diurnal(diurnal) => Some(diurnal.rate),
            Self::Conversations(sessions) => Some(sessions.rate),
            Self::Trace(_) => None,
        }
    }
}

/// A day's course of sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diurnal {
    /// How much is sent; of rates, the mean over a day.
    pub rate: Rate,
    /// For each hour of the local day its weight; not all 0.
    pub hours: [u32; 24],
    /// For each region how far its clocks are ahead of UTC, in minutes.
    pub ahead_minutes: Vec<i32>,
    /// The time of day in UTC at which sending begins, in minutes.
    pub begin_minutes: u32,
}

/// Sessions of messages that answer each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// How much is sent.
    pub rate: Rate,
    /// Thousandths of the mean number of messages in a session, which is geometrically distributed.
    pub length_thousandths: u64,
    /// Mean time between two messages of a session, exponentially distributed.
    pub gap_ns: u64,
}

/// When a queue between contacts moves to another router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Rotate {
    /// Each at this time after the beginning of the sending phase, in nanoseconds.
    At(u64),
    /// Each at exponentially distributed intervals with this mean, in nanoseconds.
    Every(u64),
}

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Rate {
    /// So many messages in all: the Poisson process, given its total.
    Total(u64),
    /// Thousandths of a message that each user sends per hour on average.
    ThousandthsPerUserHour(u64),
}

/// A window of a recorded trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The file, found and readable when the scenario was checked. Not part of [`Scenario::hash`].
    #[serde(skip)]
    pub file: PathBuf,
    /// The file's name without its folder.
    pub file_name: String,
    /// Where the columns are; none when the file did not say, then the trace's own header line or, without one,
    /// the order timestamp, sender, recipient holds.
    pub columns: Option<Columns>,
    /// How times are written; none when the file did not say, then the first message tells.
    pub time_unit: Option<TimeUnit>,
    /// Where the window begins, after the trace's earliest message.
    pub start_ns: u64,
    /// Length of the window, in the trace's time.
    pub window_ns: u64,
    /// How many times faster than recorded the messages are sent.
    pub speed: u64,
}

/// Where the columns of a trace are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Columns {
    /// What they hold, from the first.
    Positions(Vec<Column>),
    /// What the trace's header calls them.
    Named {
        /// Its name for the time.
        time: String,
        /// Its name for the sender.
        sender: String,
        /// Its name for the recipient.
        recipient: String,
    },
}

/// What a column of a trace holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Column {
    /// When.
    Timestamp,
    /// Who sends.
    Sender,
    /// Who receives.
    Recipient,
    /// Something else.
    Ignored,
}

impl Column {
    /// The column of this name; `-` is one to ignore.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "timestamp" => Some(Self::Timestamp),
            "sender" => Some(Self::Sender),
            "recipient" => Some(Self::Recipient),
            "-" => Some(Self::Ignored),
            _ => None,
        }
    }

    /// What a trace's header probably means by a name in lower case.
    pub(crate) fn in_header(name: &str) -> Option<Self> {
        match name {
            "timestamp" | "time" | "ts" | "t" | "date" | "datetime" | "unixtime" | "unixts" | "epoch" => {
                Some(Self::Timestamp)
            }
            "sender" | "source" | "src" | "from" | "caller" => Some(Self::Sender),
            "recipient" | "receiver" | "target" | "destination" | "dest" | "dst" | "to" | "callee" => {
                Some(Self::Recipient)
            }
            _ => None,
        }
    }
}

/// Something that breaks. Times count from the beginning of the sending phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Fault {
    /// A router stops without warning and starts again with its store as it was.
    Restart {
        /// The router.
        router: RouterIdx,
        /// When it stops.
        at_ns: u64,
        /// How long it is away.
        downtime_ns: u64,
    },
    /// Nothing passes between any place of one side and any place of the other.
    Partition {
        /// One side.
        a: Vec<Place>,
        /// The other side.
        b: Vec<Place>,
        /// When it begins.
        at_ns: u64,
        /// How long it lasts.
        for_ns: u64,
    },
}

impl Fault {
    /// When it begins.
    pub fn at_ns(&self) -> u64 {
        match self {
            Self::Restart { at_ns, .. } | Self::Partition { at_ns, .. } => *at_ns,
        }
    }

    /// When it is over.
    pub fn end_ns(&self) -> u64 {
        match self {
            Self::Restart { at_ns, downtime_ns: length, .. }
            | Self::Partition { at_ns, for_ns: length, .. } => at_ns.saturating_add(*length),
        }
    }
}

/// Limits of every router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RouterLimits {
    /// Messages that a queue holds before it answers QUOTA.
    pub queue_quota: u32,
    /// How long a router gathers END events before it sends them.
    pub end_interval_ns: u64,
}

/// What the analysis evaluates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The margin of equivalence tests against the model, as a difference of probabilities in (0, 1).
    pub margin: f64,
    /// Sets of operators that put together what they see; each set ordered and not empty.
    pub colluding: Vec<Vec<OperatorIdx>>,
    /// Sets of routers that are in one hand, whoever runs them for its users. A scenario file has none; sweeps draw them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

/// Routers in one hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// What the set is called in groups of metrics.
    pub name: String,
    /// Its routers, ordered and not empty.
    pub routers: Vec<RouterIdx>,
}

/// What the command line says in place of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The seed.
    pub seed: Option<u64>,
    /// The trace that a workload of kind "trace" reads, relative to the current directory.
    pub trace: Option<PathBuf>,
}

impl Scenario {
    /// The scenario that runs when none is named.
    pub fn builtin(overrides: &Overrides) -> Result<Self, InputError> {
        Self::parse(BUILTIN, Path::new("scenarios/two-operators.toml"), overrides)
    }

    /// Reads and checks a file.
    pub fn load(file: &Path, overrides: &Overrides) -> Result<Self, InputError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| InputError::file(file, format!("cannot be read: {error}")))?;
        Self::parse(&text, file, overrides)
    }

    /// Checks the text of a scenario. `file` is named in errors, and a trace is looked for beside it.
    pub fn parse(text: &str, file: &Path, overrides: &Overrides) -> Result<Self, InputError> {
        check::check(text, file, overrides)
    }

    /// SHA-256 of the checked scenario: equal for files that say the same in other words. The seed, the
    /// description and a trace's folder are not part of it.
    pub fn hash(&self) -> [u8; 32] {
        // Serialising plain data into memory has no way to fail; if it did, the empty text would be hashed.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(canonical).into()
    }
}
