//! Monte Carlo: the same questions as the closed forms and the enumeration, answered by drawing the picks.
//!
//! - [`paths`]: abstract paths whose ends belong to the adversary with probability `s`; 64 trials at a time.
//! - [`routers`]: the real choice from a list of routers, for any number of adversaries at once.
//!
//! Trials are cut into chunks. A chunk has its own ChaCha8 stream, named by (seed, purpose, chunk number),
//! and results are sums over chunks, so that the number of threads changes nothing but the time taken.

pub mod paths;
pub mod routers;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

/// How to run: the seed decides the result, the threads only the time.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Names all random streams of the run.
    pub seed: u64,
    /// Worker threads; `None` for as many as the machine offers.
    pub threads: Option<NonZeroUsize>,
    /// Called from worker threads after each chunk with the number of trials that it held.
    pub progress: Option<&'a (dyn Fn(u64) + Sync)>,
}

impl Run<'_> {
    /// A run on all cores, without progress reports.
    pub fn new(seed: u64) -> Self {
        Run { seed, threads: None, progress: None }
    }
}

/// The random stream of one chunk. The key is the seed and the purpose, the ChaCha stream number the chunk.
fn chunk_stream(seed: u64, purpose: [u8; 24], chunk: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    let (front, back) = key.split_at_mut(8);
    front.copy_from_slice(&seed.to_le_bytes());
    back.copy_from_slice(&purpose);
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(chunk);
    rng
}

/// Results of chunks that can be added in any order.
trait Tally: Send {
    fn add(&mut self, other: Self);
}

/// Runs `trials` trials in chunks of `chunk` and adds what `work(stream, trials of this chunk)` returns.
/// `empty` makes a tally of nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "chunks have their own streams and are added up: scheduling cannot change the sum"
)]
fn in_chunks<T: Tally>(
    run: &Run<'_>,
    purpose: [u8; 24],
    trials: u64,
    chunk: u64,
    empty: impl Fn() -> T + Sync,
    work: impl Fn(ChaCha8Rng, u64, &mut T) + Sync,
) -> T {
    let chunks = trials.div_ceil(chunk.max(1));
    let next = AtomicU64::new(0);
    let worker = || {
        let mut tally = empty();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= chunks {
                return tally;
            }
            let size = chunk.min(trials - index * chunk);
            work(chunk_stream(run.seed, purpose, index), size, &mut tally);
            if let Some(progress) = run.progress {
                progress(size);
            }
        }
    };
    let threads = run
        .threads
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
        .min(usize::try_from(chunks).unwrap_or(usize::MAX));
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut total = worker();
        for other in others {
            match other.join() {
                Ok(tally) => total.add(tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        total
    })
}
