//! The log of a run.

use std::collections::VecDeque;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::canonical::{self, put_observation, put_text};
use super::chunk::Chunk;
use super::json::JsonLine;
use super::reading::{Loaded, Order, Reading};
use super::spill::{Spill, SpillTo, Store};
use super::{AdversaryView, LogError, Observation, Sighting, TraceHash, Vantage, VantageId, VantageKind};
use crate::network::{Network, RouterIdx};

/// Observations of a chunk: some 30 megabytes.
const CHUNK_ROWS: usize = 1 << 20;

/// The fewest observations of a chunk, however little memory there is.
const FEWEST_ROWS: usize = 1 << 10;

/// Everything seen in one run, in the order in which it was reported. An observation takes some 32 bytes of memory; those that a
/// [`Spill`] leaves no memory for are in a file.
#[derive(Debug)]
pub struct Log {
    vantages: Vec<Vantage>,
    /// Full chunks that are in memory: the newest ones. If `ordered`, each is later than all of the one before.
    full: VecDeque<Chunk>,
    /// How many full chunks are in the file only: the oldest ones.
    spilled: usize,
    /// Bytes of `full`.
    held: usize,
    spill: Option<(Spill, Store)>,
    /// The chunk that is being filled.
    open: Chunk,
    chunk_rows: usize,
    len: usize,
    /// When the last observation was.
    last_ns: u64,
    /// Whether no observation was earlier than the one before.
    ordered: bool,
    hash: Sha256,
    buffer: Vec<u8>,
    /// Why observations are missing.
    failure: Option<LogError>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            vantages: Vec::new(),
            full: VecDeque::new(),
            spilled: 0,
            held: 0,
            spill: None,
            open: Chunk::default(),
            chunk_rows: CHUNK_ROWS,
            len: 0,
            last_ns: 0,
            ordered: true,
            hash: Sha256::new(),
            buffer: Vec::new(),
            failure: None,
        }
    }
}

impl Log {
    /// An empty log with a vantage point for every router of a network; see [`Log::router`].
    pub fn of_routers(network: &Network) -> Self {
        let mut log = Self::default();
        for (router, known) in network.iter() {
            log.add_vantage(Vantage { name: known.name.clone(), kind: VantageKind::Router(router) });
        }
        log
    }

    /// The same log with chunks of so many observations, at least one.
    #[must_use]
    pub fn with_chunks_of(mut self, observations: usize) -> Self {
        self.chunk_rows = observations.max(1);
        self
    }

    /// The same log with a bound on its memory, before anything is pushed.
    #[must_use]
    pub fn spilling(mut self, spill: Spill) -> Self {
        // Some eight chunks within the bound.
        self.chunk_rows = (spill.memory / 256).clamp(FEWEST_ROWS, CHUNK_ROWS);
        self.spill = Some((spill, Store::default()));
        self
    }

    /// Adds a vantage point.
    pub fn add_vantage(&mut self, vantage: Vantage) -> VantageId {
        let id = VantageId(u32::try_from(self.vantages.len()).unwrap_or(u32::MAX));
        self.buffer.clear();
        self.buffer.push(canonical::VANTAGE);
        put_text(&mut self.buffer, vantage.name.as_bytes());
        self.hash.update(&self.buffer);
        self.vantages.push(vantage);
        id
    }

    /// The vantage points; a [`VantageId`] is a position in them.
    pub fn vantages(&self) -> &[Vantage] {
        &self.vantages
    }

    /// The vantage point of a router.
    pub fn router(&self, router: RouterIdx) -> Option<VantageId> {
        let is = |vantage: &Vantage| vantage.kind == VantageKind::Router(router);
        self.vantages.iter().position(is).and_then(|i| u32::try_from(i).ok()).map(VantageId)
    }

    /// Appends an observation. After one that could not be kept no more are; [`Log::finish`] says so.
    pub fn push(&mut self, at_ns: u64, vantage: VantageId, sight: impl Into<Sighting>) {
        let observation = Observation { at_ns, vantage, sight: sight.into() };
        self.buffer.clear();
        put_observation(&mut self.buffer, &observation);
        self.hash.update(&self.buffer);
        if self.failure.is_none()
            && let Err(failure) = self.keep(&observation)
        {
            self.failure = Some(failure);
        }
    }

    fn keep(&mut self, observation: &Observation) -> Result<(), LogError> {
        // A chunk doesn't end within an instant, so that views can be read chunk by chunk.
        if self.open.len() >= self.chunk_rows && observation.at_ns != self.last_ns {
            let mut chunk = std::mem::take(&mut self.open);
            chunk.seal();
            self.held += chunk.memory();
            self.full.push_back(chunk);
            self.spill()?;
        }
        self.open.push(observation)?;
        self.ordered &= observation.at_ns >= self.last_ns;
        self.last_ns = observation.at_ns;
        self.len += 1;
        Ok(())
    }

    /// Writes what belongs into the file and takes from memory what it does not hold.
    fn spill(&mut self) -> Result<(), LogError> {
        let Some((Spill { memory, to }, store)) = &mut self.spill else { return Ok(()) };
        // The chunk that is being filled takes its share, with the tables that filling needs.
        let bound = memory.saturating_sub(*memory / 4);
        let every = matches!(to, SpillTo::File(_));
        for (number, chunk) in (self.spilled..).zip(&self.full) {
            if number >= store.groups && (every || self.held > bound) {
                store.write(to, chunk, &self.vantages)?;
            }
        }
        while self.held > bound && self.spilled < store.groups {
            let Some(chunk) = self.full.pop_front() else { break };
            self.held -= chunk.memory();
            self.spilled += 1;
        }
        Ok(())
    }

    /// Whether everything could be kept so far.
    ///
    /// # Errors
    /// Why an observation could not be kept.
    pub fn check(&mut self) -> Result<(), LogError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Whether an observation could not be kept.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Ends the writing of the log: a file of all observations is complete from now on.
    ///
    /// # Errors
    /// Why an observation could not be kept.
    pub fn finish(&mut self) -> Result<(), LogError> {
        self.check()?;
        self.spill()?;
        let Some((Spill { to, .. }, store)) = &mut self.spill else { return Ok(()) };
        if matches!(to, SpillTo::File(_)) && self.open.len() > 0 {
            store.write(to, &self.open, &self.vantages)?;
        }
        store.finish(to)
    }

    /// How many observations there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that the observations take.
    pub fn memory(&self) -> usize {
        self.held + self.open.memory()
    }

    /// How many of the observations' chunks are in a file only.
    pub fn spilled(&self) -> usize {
        self.spilled
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// A chunk, of which the rows of some vantage points are asked for; nothing after the last one.
    pub(super) fn chunk(
        &self,
        number: usize,
        held: Option<&[VantageId]>,
    ) -> Result<Option<Loaded<'_>>, LogError> {
        let Some(number) = number.checked_sub(self.spilled) else {
            let (_, store) = self.spill.as_ref().ok_or(LogError::Unfinished)?;
            return store.read(number, held).map(|chunk| Some(Loaded::Read(Box::new(chunk))));
        };
        let open = (number == self.full.len()).then_some(&self.open);
        Ok(self.full.get(number).or(open).map(Loaded::Held))
    }

    /// All observations, in the order in which they were reported.
    pub fn observations(&self) -> impl Iterator<Item = Result<Observation, LogError>> + '_ {
        Reading::new(self, Order::Log)
    }

    /// The hash over the vantage points and observations added so far.
    pub fn trace_hash(&self) -> TraceHash {
        TraceHash(self.hash.clone().finalize().into())
    }

    /// What an adversary sees who holds these vantage points: their observations by time. At equal times they
    /// are ordered by vantage point, each in its own order; how the log interleaved them is nobody's knowledge.
    pub fn view(&self, held: &[VantageId]) -> AdversaryView<'_> {
        AdversaryView::new(self, held)
    }

    /// Writes one JSON object a line: time, the vantage point's name, what was seen. Identifiers in hexadecimal.
    ///
    /// # Errors
    /// Those of `out`, and what the log can't be read for.
    pub fn write_jsonl(&self, out: &mut impl Write) -> io::Result<()> {
        for observation in self.observations() {
            let observation = observation.map_err(io::Error::other)?;
            serde_json::to_writer(&mut *out, &self.line(&observation))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The first place in which two logs differ; nothing when they are equal.
    ///
    /// # Errors
    /// [`LogError`] when one of them can't be read.
    pub fn first_difference(&self, other: &Self) -> Result<Option<Difference>, LogError> {
        if self.vantages != other.vantages {
            let names =
                |log: &Self| log.vantages.iter().map(|v| v.name.clone()).collect::<Vec<_>>().join(" ");
            return Ok(Some(Difference { index: 0, left: names(self), right: names(other) }));
        }
        let (mut ours, mut theirs) = (self.observations(), other.observations());
        for index in 0..self.len.max(other.len) {
            let (left, right) = (ours.next().transpose()?, theirs.next().transpose()?);
            if left != right {
                let show = |log: &Self, observation: Option<Observation>| match observation {
                    Some(observation) => serde_json::to_string(&log.line(&observation)).unwrap_or_default(),
                    None => "no such event: this run has ended".to_owned(),
                };
                return Ok(Some(Difference { index, left: show(self, left), right: show(other, right) }));
            }
        }
        Ok(None)
    }

    fn line<'a>(&'a self, observation: &'a Observation) -> JsonLine<'a> {
        let vantage = self.vantages.get(observation.vantage.0 as usize).map_or("?", |v| v.name.as_str());
        JsonLine::new(vantage, observation)
    }
}

/// The first event in which two runs of the same seed differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {index} differs\n  first run:  {left}\n  second run: {right}")]
pub struct Difference {
    /// Which event, from 0.
    pub index: usize,
    /// As the first run has it.
    pub left: String,
    /// As the second run has it.
    pub right: String,
}
