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

/// Observations of a log.
pub(super) struct Reading<'a> {
    log: &'a Log,
    order: Order,
    /// The chunk to be read next.
    next: usize,
    now: Option<(&'a Chunk, IntoIter<Row>)>,
    /// All at once, where chunks don't follow each other in time.
    sorted: Option<IntoIter<Observation>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(log: &'a Log, order: Order) -> Self {
        Self { log, order, next: 0, now: None, sorted: None }
    }

    fn next_by_chunks(&mut self) -> Option<Observation> {
        loop {
            if let Some((chunk, rows)) = &mut self.now
                && let Some(row) = rows.next()
            {
                return Some(chunk.observation(&row, self.log.names()));
            }
            self.now = Some(self.load()?);
        }
    }

    /// The rows that are asked for of the next chunk.
    fn load(&mut self) -> Option<(&'a Chunk, IntoIter<Row>)> {
        let chunk = self.log.chunk(self.next)?;
        self.next += 1;
        let rows: Vec<Row> = match &self.order {
            Order::Log => chunk.rows().collect(),
            Order::View(held) => {
                let seen = |row: &Row| held.binary_search(&row.vantage()).is_ok();
                let mut rows: Vec<Row> = chunk.rows().filter(seen).collect();
                rows.sort_by_key(|row| (row.at_ns, row.vantage()));
                rows
            }
        };
        Some((chunk, rows.into_iter()))
    }
}

impl Iterator for Reading<'_> {
    type Item = Result<Observation, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.order, Order::Log) || self.log.is_ordered() {
            return self.next_by_chunks().map(Ok);
        }
        if self.sorted.is_none() {
            let mut all: Vec<Observation> = std::iter::from_fn(|| self.next_by_chunks()).collect();
            all.sort_by_key(|observation| (observation.at_ns, observation.vantage));
            self.sorted = Some(all.into_iter());
        }
        self.sorted.as_mut()?.next().map(Ok)
    }
}
