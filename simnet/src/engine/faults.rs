//! A scenario's faults in the order of their times.

use std::collections::VecDeque;

use crate::network::{Place, RouterIdx};
use crate::scenario::{Fault, Scenario};

/// The scenario's faults as steps in time.
pub(super) struct Faults {
    steps: VecDeque<(u64, FaultStep)>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) enum FaultStep {
    Crash(RouterIdx),
    Start(RouterIdx),
    Partition(Vec<Place>, Vec<Place>),
    Repair(Vec<Place>, Vec<Place>),
}

impl Faults {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut steps = Vec::new();
        for fault in &scenario.faults {
            let (begin, end) = match fault {
                Fault::Restart { router, .. } => (FaultStep::Crash(*router), FaultStep::Start(*router)),
                Fault::Partition { a, b, .. } => {
                    (FaultStep::Partition(a.clone(), b.clone()), FaultStep::Repair(a.clone(), b.clone()))
                }
            };
            steps.push((fault.at_ns(), begin));
            steps.push((fault.end_ns(), end));
        }
        steps.sort_by_key(|(at, _)| *at);
        Self { steps: steps.into() }
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        self.steps.is_empty()
    }

    /// When the next step is due, from the beginning of the sending phase.
    pub(super) fn next(&self) -> Option<u64> {
        self.steps.front().map(|(at, _)| *at)
    }

    /// The next step that is due.
    pub(super) fn due(&mut self, now: u64) -> Option<FaultStep> {
        self.next().filter(|at| *at <= now)?;
        self.steps.pop_front().map(|(_, step)| step)
    }
}
