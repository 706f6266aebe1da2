//! What varies of a connection: jitter, and the time that its bandwidth makes a block take.

use super::connections::Client;
use crate::scenario;

/// Bytes of a block as a TLS 1.3 record: 5 of the head, 1 of the content type, 16 of the tag.
const RECORD: u64 = 16_384 + 22;

/// One connection's.
#[derive(Debug)]
pub(super) struct Wear {
    jitter: u64,
    /// How long the sender takes for a block.
    block: u64,
    /// Each direction: until when it is busy sending, when the last thing arrives, and the state of its draws.
    busy: [u64; 2],
    last: [u64; 2],
    draws: [u64; 2],
}

impl Wear {
    /// Of a connection by this client, on a link where so much varies. Draws follow from `seed` and the client alone. Nothing if nothing varies.
    pub(super) fn new(of: scenario::Wear, seed: u64, client: Client) -> Option<Box<Self>> {
        if of == scenario::Wear::default() {
            return None;
        }
        let own = match client {
            Client::User(user, link) => u64::from(user.0) << 32 | u64::from(link.0),
            Client::Proxy(router, session) => mixed(u64::from(router.0)) ^ session.0,
        };
        let begin = mixed(seed ^ mixed(own));
        let block = match of.bandwidth_kbit {
            0 => 0,
            // Bits by thousands of bits a second are milliseconds.
            kbit => RECORD * 8 * 1_000_000 / kbit,
        };
        let draws = [begin, mixed(begin)];
        Some(Box::new(Self { jitter: of.jitter_ns, block, busy: [0; 2], last: [0; 2], draws }))
    }

    /// When something arrives that is sent now, travels so long in any case, and may be a block.
    pub(super) fn arrival(&mut self, way: usize, now: u64, travel: u64, block: bool) -> u64 {
        let (Some(busy), Some(last), Some(draws)) =
            (self.busy.get_mut(way), self.last.get_mut(way), self.draws.get_mut(way))
        else {
            return now.saturating_add(travel);
        };
        *busy = now.max(*busy).saturating_add(if block { self.block } else { 0 });
        *draws = draws.wrapping_add(STEP);
        let jitter = (u128::from(mixed(*draws)) * (u128::from(self.jitter) + 1)) >> 64;
        *last = busy.saturating_add(travel).saturating_add(jitter as u64).max(*last);
        *last
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output of SplitMix64 for a state.
fn mixed(state: u64) -> u64 {
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::UserIdx;
    use sxlab_protocol::agent::LinkNo;

    const MS: u64 = 1_000_000;

    fn wear(jitter_ns: u64, bandwidth_kbit: u64, user: u32) -> Option<Box<Wear>> {
        let of = scenario::Wear { jitter_ns, bandwidth_kbit };
        Wear::new(of, 7, Client::User(UserIdx(user), LinkNo(0)))
    }

    #[test]
    fn nothing_varies_unless_it_is_asked_for() {
        assert!(wear(0, 0, 1).is_none());
    }

    /// 16,406 bytes at 1 Mbit/s are 131.248 ms; the second block waits for the first, a close for both.
    #[test]
    fn blocks_wait_for_those_before_them() {
        let mut wear = wear(0, 1000, 1).unwrap();
        assert_eq!(wear.arrival(0, 0, 40 * MS, true), 171_248_000);
        assert_eq!(wear.arrival(0, 0, 40 * MS, true), 302_496_000);
        assert_eq!(wear.arrival(0, 0, 40 * MS, false), 302_496_000);
        assert_eq!(wear.arrival(1, 0, 40 * MS, true), 171_248_000, "the other way is free");
    }

    #[test]
    fn jitter_is_uniform_and_nothing_is_overtaken() {
        let mut one = wear(10 * MS, 0, 1).unwrap();
        let far = |i: u64| i * 1000 * MS;
        let delays: Vec<u64> =
            (0..10_000).map(|i| one.arrival(0, far(i), 40 * MS, true) - far(i) - 40 * MS).collect();
        assert!(delays.iter().all(|delay| *delay <= 10 * MS));
        let mean = delays.iter().sum::<u64>() / 10_000;
        // The mean of 10,000 draws has a standard deviation of 0.029 ms.
        assert!(mean.abs_diff(5 * MS) < MS / 8, "{mean}");
        let mut close = wear(10 * MS, 0, 2).unwrap();
        let arrivals: Vec<u64> = (0..100).map(|i| close.arrival(0, i * MS / 10, 40 * MS, true)).collect();
        assert!(arrivals.is_sorted());
        let mut again = wear(10 * MS, 0, 2).unwrap();
        assert!((0..100).map(|i| again.arrival(0, i * MS / 10, 40 * MS, true)).eq(arrivals));
    }
}
