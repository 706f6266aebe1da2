//! Reading a log, chunk by chunk.

use std::vec::IntoIter;

use super::chunk::{Chunk, Row};
use super::{Log, LogError, Observation, Vantage, VantageId};

/// What an adversary holds: some vantage points of one log and their observations, nothing else.
#[derive(Clone, Debug)]
pub struct AdversaryView<'a> {
    vantages: Vec<(VantageId, &'a Vantage)>,
    log: &'a Log,
}

impl<'a> AdversaryView<'a> {
    pub(super) fn new(log: &'a Log, held: &[VantageId]) -> Self {
        let vantages = (0..).map(VantageId).zip(log.vantages());
        Self { vantages: vantages.filter(|(id, _)| held.contains(id)).collect(), log }
    }

    /// The vantage points held, ordered.
    pub fn vantages(&self) -> &[(VantageId, &'a Vantage)] {
        &self.vantages
    }

    /// Their observations, ordered by time, then vantage point, then as the vantage point saw them. An error ends them.
    pub fn observations(&self) -> impl Iterator<Item = Result<Observation, LogError>> + use<'a> {
        let held = self.vantages.iter().map(|(id, _)| *id).collect();
        Reading::new(self.log, Order::View(held))
    }
}

/// Which observations are read, and in which order.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// All, as the log has them.
    Log,
    /// Those of these vantage points, by time, then vantage point, then as the log has them. The vantage points are sorted.
    View(Vec<VantageId>),
}

/// A chunk in memory.
pub(super) enum Loaded<'a> {
    /// The log's own.
    Held(&'a Chunk),
    /// Read from its file.
    Read(Box<Chunk>),
}

impl std::ops::Deref for Loaded<'_> {
    type Target = Chunk;

    fn deref(&self) -> &Chunk {
        match self {
            Self::Held(chunk) => chunk,
            Self::Read(chunk) => chunk,
        }
    }
}

/// Observations of a log.
pub(super) struct Reading<'a> {
    log: &'a Log,
    order: Order,
    /// The chunk to be read next.
    next: usize,
    now: Option<(Loaded<'a>, IntoIter<Row>)>,
    /// All at once, where chunks don't follow each other in time.
    sorted: Option<IntoIter<Observation>>,
    failed: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(log: &'a Log, order: Order) -> Self {
        Self { log, order, next: 0, now: None, sorted: None, failed: false }
    }

    fn next_by_chunks(&mut self) -> Result<Option<Observation>, LogError> {
        loop {
            if let Some((chunk, rows)) = &mut self.now
                && let Some(row) = rows.next()
            {
                return Ok(Some(chunk.observation(&row)));
            }
            // One chunk at a time.
            self.now = None;
            match self.load()? {
                None => return Ok(None),
                now => self.now = now,
            }
        }
    }

    /// The rows that are asked for of the next chunk.
    fn load(&mut self) -> Result<Option<(Loaded<'a>, IntoIter<Row>)>, LogError> {
        let held = match &self.order {
            Order::Log => None,
            Order::View(held) => Some(held.as_slice()),
        };
        let Some(chunk) = self.log.chunk(self.next, held)? else { return Ok(None) };
        self.next += 1;
        let rows: Vec<Row> = match held {
            None => chunk.rows().collect(),
            Some(held) => {
                let seen = |row: &Row| held.binary_search(&row.vantage()).is_ok();
                let mut rows: Vec<Row> = chunk.rows().filter(seen).collect();
                rows.sort_by_key(|row| (row.at_ns, row.vantage()));
                rows
            }
        };
        Ok(Some((chunk, rows.into_iter())))
    }

    fn next_in_order(&mut self) -> Result<Option<Observation>, LogError> {
        if matches!(self.order, Order::Log) || self.log.is_ordered() {
            return self.next_by_chunks();
        }
        if self.sorted.is_none() {
            let mut all = Vec::new();
            while let Some(observation) = self.next_by_chunks()? {
                all.push(observation);
            }
            all.sort_by_key(|observation: &Observation| (observation.at_ns, observation.vantage));
            self.sorted = Some(all.into_iter());
        }
        Ok(self.sorted.as_mut().and_then(Iterator::next))
    }
}

impl Iterator for Reading<'_> {
    type Item = Result<Observation, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_in_order().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}
