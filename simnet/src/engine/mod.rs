//! Engines: what runs a plan under a policy. All leave the same log, truth and counts.
//!
//! | module | what runs |
//! |---|---|
//! | `turmoil` | real nodes with real TLS on turmoil's network: true to the byte, for small networks and short times |
//! | `events` | the routers' and the agents' cores on a time-ordered heap, without cryptography: for many users and weeks |
//! | `faults` | what breaks when, for both |
//! | `picker` | how a user's agent picks routers, for both |
//!
//! A run has two phases: first all conversations are set up, those of contacts, then those inside of groups; then the plan's messages are sent and the faults happen. It ends
//! when everything has arrived; a message that is missing, comes twice or is not what was sent fails it.

mod events;
mod faults;
mod picker;
mod turmoil;

use std::path::Path;

use sxlab_node::tls::TlsError;
use sxlab_protocol::agent::{Calling, Noted};

use crate::input::InputError;
use crate::observe::{Log, LogError, TraceHash};
use crate::scenario::Scenario;
use crate::seed::Streams;
use crate::selection::Policy;
use crate::truth::{Completeness, Truth};
use crate::workload::Plan;

/// How much simulated time the conversations' set-up may take after the last one has begun.
const SETUP_LIMIT_NS: u64 = 600 * SECOND;

/// How much simulated time may pass after the scenario's duration until every message has arrived.
const GRACE_NS: u64 = 600 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Conversations begin spread over this time at least,
const SETUP_SPREAD_NS: u64 = 5 * SECOND;

/// and over so much for each of many: what a population sets up in one burst would be a thousand times as dense as anything that
/// it sends later, and attacks on times would look at little else.
const SETUP_EACH_NS: u64 = SECOND / 200;

/// How long a plan's conversations take to begin.
fn setup_spread_ns(plan: &Plan) -> u64 {
    let conversations = plan.population.contacts().len() as u64;
    SETUP_SPREAD_NS.max(conversations.saturating_mul(SETUP_EACH_NS))
}

/// Where simulated time begins: 2026-01-01 00:00 UTC, in nanoseconds since the Unix epoch.
const EPOCH_NS: u64 = 1_767_225_600 * SECOND;

/// The port of every simulated router.
const PORT: u16 = 5223;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Real nodes on turmoil's network.
    Turmoil,
    /// Cores on an event heap.
    Events,
}

impl Engine {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Turmoil => "turmoil",
            Self::Events => "events",
        }
    }

    /// Checks that it knows all that the scenario of this file has.
    ///
    /// # Errors
    /// The first key that it does not know.
    pub fn check(self, scenario: &Scenario, file: &Path) -> Result<(), InputError> {
        let unknown = (self == Self::Turmoil).then(|| scenario.only_for_events()).flatten();
        unknown.map_or(Ok(()), |key| Err(InputError::key(file, key, ONLY_EVENTS)))
    }
}

const ONLY_EVENTS: &str = "only the engine \"events\" knows this";

/// How often things happened in a run, all users together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Things that happened one after the other: blocks that arrived, timers, messages taken. Only the event engine counts them.
    pub events: u64,
    /// Sessions that clients opened.
    pub sessions: u64,
    /// How often users went offline.
    pub offline: u64,
    /// Sessions that ended and whose queues were subscribed to again.
    pub resubscribed: u64,
    /// Attempts to send that had to be repeated.
    pub repeated_sends: u64,
    /// Messages that arrived again after a repeated attempt and were recognised.
    pub duplicates: u64,
    /// PINGs that users' agents sent, or would have sent where they are only counted.
    pub pings: u64,
    /// Receipts that came back to who sent.
    pub receipts: u64,
    /// Calls that were begun: invitations sent.
    pub calls: u64,
    /// Those that were taken: offers sent.
    pub calls_offered: u64,
    /// Offers that the caller answered.
    pub calls_answered: u64,
    /// Calls that were set up: answers that came.
    pub calls_set_up: u64,
    /// Calls that came or were taken too late, or in whose place another one came.
    pub calls_lapsed: u64,
    /// Messages that a group's host passed on.
    pub forwarded: u64,
    /// Messages that members of groups got from before they joined.
    pub history: u64,
    /// Queues that were replaced by others.
    pub rotated: u64,
    /// QUOTA answers and quota markers.
    pub quota: u64,
    /// Writes seen on links.
    pub link_writes: u64,
    /// Bytes of these writes, TLS and all.
    pub link_bytes: u64,
}

impl Counts {
    /// Counts what happened to a call.
    fn happened(&mut self, what: Calling) {
        match what {
            Calling::Rings => {}
            Calling::Offered(_) => self.calls_offered += 1,
            Calling::Answered(_) => self.calls_answered += 1,
            Calling::SetUp => self.calls_set_up += 1,
            Calling::Lapsed => self.calls_lapsed += 1,
        }
    }

    /// How many messages belong to a plan, with those that answered its calls.
    fn messages(&self, plan: &Plan) -> usize {
        let answers = usize::try_from(self.calls_offered + self.calls_answered).unwrap_or(usize::MAX);
        (plan.sends.len() + plan.calls.len()).saturating_add(answers)
    }

    /// Counts what an agent noted.
    fn note(&mut self, noted: Noted) {
        match noted {
            Noted::Resubscribed => self.resubscribed += 1,
            Noted::Repeated => self.repeated_sends += 1,
            Noted::Duplicate => self.duplicates += 1,
            Noted::Quota => self.quota += 1,
            Noted::Forwarded => self.forwarded += 1,
            Noted::History(count) => self.history += u64::from(count),
            Noted::Pings(pings) => self.pings += u64::from(pings),
            Noted::Rotated => self.rotated += 1,
            Noted::Proxy(..) | Noted::Switched(_) => {}
        }
    }
}

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A router can't be made.
    #[error("router {router}: {error}")]
    Router {
        /// Its name.
        router: String,
        /// Why.
        error: TlsError,
    },
    /// A router's identity can't be made.
    #[error("router {router}: {error}")]
    Identity {
        /// Its name.
        router: String,
        /// Why.
        error: sxlab_node::identity::IdentityError,
    },
    /// The simulated network failed.
    #[error("the simulated network: {0}")]
    Network(String),
    /// The scenario has what only the event engine knows.
    #[error("{0}: {ONLY_EVENTS}")]
    OnlyEvents(&'static str),
    /// Not every conversation could be set up.
    #[error("{established} of {all} conversations were set up after {} simulated seconds", .after_ns / SECOND)]
    Setup {
        /// Conversations set up.
        established: usize,
        /// All conversations.
        all: usize,
        /// When it was given up.
        after_ns: u64,
    },
    /// A client met what should not happen.
    #[error("{0}")]
    Client(String),
    /// The log has no thread to be written by.
    #[error("no thread for the observation log: {0}")]
    Thread(std::io::Error),
    /// The log could not keep everything that was seen.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Not every message arrived exactly once.
    #[error("{0}")]
    Incomplete(Completeness),
}

/// What a run leaves.
#[derive(Debug)]
pub struct Outcome {
    /// What every vantage point saw.
    pub log: Log,
    /// What really happened.
    pub truth: Truth,
    /// How often things happened.
    pub counts: Counts,
    /// Simulated time from the beginning to the last delivery, in nanoseconds.
    pub simulated_ns: u64,
    /// When the sending phase began, in nanoseconds from the beginning.
    pub sending_from_ns: u64,
}

impl Outcome {
    /// The hash over everything seen and everything true.
    pub fn trace_hash(&self) -> TraceHash {
        TraceHash::of_parts([("log", self.log.trace_hash()), ("truth", self.truth.trace_hash())])
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Conversations set up, of how many.
    pub established: (usize, usize),
    /// Messages delivered, of how many.
    pub delivered: (usize, usize),
    /// Simulated time, in nanoseconds.
    pub simulated_ns: u64,
}

/// Runs a plan under a policy. Everything in the outcome is a function of the arguments. `progress` is called now and then.
///
/// # Errors
/// Any [`EngineError`]; nothing is left of a failed run.
pub fn run(
    engine: Engine,
    scenario: &Scenario,
    plan: &Plan,
    policy: Policy,
    streams: &Streams,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    run_into(Log::of_routers(&scenario.network), engine, scenario, plan, policy, streams, progress)
}

/// The same into a log that is empty but for the vantage points of [`Log::of_routers`].
///
/// # Errors
/// As [`run`].
pub fn run_into(
    log: Log,
    engine: Engine,
    scenario: &Scenario,
    plan: &Plan,
    policy: Policy,
    streams: &Streams,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    match engine {
        Engine::Turmoil if let Some(key) = scenario.only_for_events() => Err(EngineError::OnlyEvents(key)),
        Engine::Turmoil => turmoil::run(log, scenario, plan, policy, streams, progress),
        Engine::Events => events::run(log, scenario, plan, policy, streams, progress),
    }
}

/// The outcome of a run that ended at `now`, if everything arrived.
fn finish(
    plan: &Plan,
    mut log: Log,
    truth: Truth,
    counts: Counts,
    (now, sending_from_ns): (u64, u64),
) -> Result<Outcome, EngineError> {
    log.finish()?;
    let completeness = truth.completeness();
    if !completeness.is_complete() || truth.sent.len() != counts.messages(plan) {
        return Err(EngineError::Incomplete(completeness));
    }
    let last = truth.deliveries.iter().map(|delivery| delivery.received_at_ns).max().unwrap_or(now);
    Ok(Outcome { log, truth, counts, simulated_ns: last.max(sending_from_ns), sending_from_ns })
}
