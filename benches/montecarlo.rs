//! Monte Carlo: path pairs drawn per second.
//!
//! `cargo bench --bench montecarlo`; one thread, so the figure is per core.

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sxlab_analysis::montecarlo::Run;
use sxlab_analysis::montecarlo::paths::{Draw, simulate};

/// Share and picks of the specification's example: half of all users after 1733 picks.
const SHARE: f64 = 0.02;
const PICKS: u64 = 1733;
const TRIALS: u64 = 8192;

fn paths(c: &mut Criterion) {
    let mut group = c.benchmark_group("montecarlo");
    group.sample_size(20);
    let run = Run { threads: NonZeroUsize::new(1), ..Run::new(1) };
    let draw = |draw| simulate(SHARE, draw, &[PICKS], TRIALS, &run);
    for (name, kind) in [("both ends", Draw::BothEnds), ("three hops", Draw::ThreeHops)] {
        // The same seed draws the same number of pairs each time.
        let pairs = draw(kind).map_or(0, |counts| counts.pairs);
        group.throughput(Throughput::Elements(pairs));
        group.bench_function(name, |b| b.iter(|| draw(black_box(kind))));
    }
    group.finish();
}

criterion_group!(benches, paths);
criterion_main!(benches);
