//! How long an agent, or a router that is another's client, waits before it tries again.

/// Intervals that grow by half, once the first ones have been tried for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryInterval {
    /// The first interval, in nanoseconds.
    pub initial: u64,
    /// For how long it stays, in nanoseconds of waiting.
    pub increase_after: u64,
    /// The longest interval, in nanoseconds.
    pub most: u64,
}

/// How far a series of attempts has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    waited: u64,
    /// 0 before the first.
    interval: u64,
}

impl Attempts {
    /// How long to wait for the next attempt, in nanoseconds.
    pub(crate) fn next(&mut self, by: &RetryInterval) -> u64 {
        if self.interval == 0 {
            self.interval = by.initial;
        } else if self.waited >= by.increase_after {
            self.interval = (self.interval / 2 * 3).min(by.most);
        }
        self.waited = self.waited.saturating_add(self.interval);
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The deployed agent's times to reconnect: 2 s for the first 10 s, then half as much more each time, at most 180 s.
    #[test]
    fn intervals_grow_after_a_while_up_to_the_longest() {
        let by = RetryInterval { initial: 2_000, increase_after: 10_000, most: 180_000 };
        let mut attempts = Attempts::default();
        let first: Vec<u64> = (0..18).map(|_| attempts.next(&by)).collect();
        assert_eq!(first[..8], [2_000, 2_000, 2_000, 2_000, 2_000, 3_000, 4_500, 6_750]);
        assert_eq!(first[16..], [180_000, 180_000]);
    }
}
