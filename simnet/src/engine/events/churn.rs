//! Users who come and go while messages are sent. At the end of the sending phase everybody is there, so that all arrives.

use rand_chacha::ChaCha8Rng;

use super::Simulation;
use super::heap::Event;
use crate::network::UserIdx;
use crate::scenario::Churn;
use crate::seed::exponential;

/// When each user comes and goes, if users do.
#[derive(Debug, Default)]
pub(super) struct Churning {
    /// Each user's own stream.
    users: Vec<ChaCha8Rng>,
    /// When the last ones come back.
    end: u64,
}

impl Simulation<'_> {
    /// Sending begins now, with everybody online.
    pub(super) fn begin_churn(&mut self) {
        let Some(churn) = self.scenario.churn else { return };
        self.churn.end = self.now.saturating_add(self.scenario.duration_ns);
        let stream = |user| self.streams.stream(&format!("user/{user}/churn"));
        self.churn.users = (0..self.users.len()).map(stream).collect();
        for user in (0..self.users.len()).map(UserIdx::from) {
            self.leave_later(user, churn);
        }
    }

    fn leave_later(&mut self, user: UserIdx, churn: Churn) {
        if let Some(at) = self.after(user, churn.online_ns).filter(|at| *at < self.churn.end) {
            self.heap.push(at, Event::Leave(user));
        }
    }

    pub(super) fn leave(&mut self, user: UserIdx) {
        let Some(churn) = self.scenario.churn else { return };
        self.ledger.counts.offline += 1;
        self.with_agent(user, |agent, now| agent.go_offline(now));
        if let Some(at) = self.after(user, churn.offline_ns) {
            self.heap.push(at.min(self.churn.end), Event::Return(user));
        }
    }

    pub(super) fn come_back(&mut self, user: UserIdx) {
        let Some(churn) = self.scenario.churn else { return };
        self.with_agent(user, |agent, now| agent.go_online(now));
        self.leave_later(user, churn);
    }

    /// A time from now on, drawn from the user's stream.
    fn after(&mut self, user: UserIdx, mean: u64) -> Option<u64> {
        let rng = self.churn.users.get_mut(user.index())?;
        Some(self.now.saturating_add(exponential(rng, mean)))
    }
}
