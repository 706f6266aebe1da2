//! Linking by time, and against the definition written out.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sxlab_simnet::observe::VantageId;

use super::*;
use crate::sightings::{Delivered, Forward, PassedOn, QueueNo};

#[test]
fn the_poisson_tail_is_right_where_it_is_easy_to_check() {
    assert!((poisson_tail(0, 3.0) - 1.0).abs() < 1e-12);
    assert!((poisson_tail(1, 0.5) - (1.0 - (-0.5f64).exp())).abs() < 1e-12);
    // P(X ≥ 10 | 1) = 1.1142547833872067e-7
    assert!((poisson_tail(10, 1.0) / 1.114_254_783_387_206_7e-7 - 1.0).abs() < 1e-9);
    assert!(poisson_tail(5, 100.0) > 0.999_999);
    assert_eq!(poisson_tail(3, 0.0), 0.0);
}

/// Sendings and deliveries at these times, in milliseconds, by time.
fn sightings(mut sendings: Vec<(u64, &str)>, mut deliveries: Vec<(u64, &str)>) -> Sightings {
    sendings.sort();
    deliveries.sort();
    let mut seen = Sightings::default();
    let to = seen.add_address("relay").unwrap();
    for (at_ms, from) in sendings {
        let from = seen.add_address(from).unwrap();
        let at_ns = at_ms * 1_000_000;
        seen.passed_on.push(PassedOn { at_ns, proxy: VantageId(0), from, to, forward: Forward(0) });
    }
    for (at_ms, to) in deliveries {
        let to = seen.add_address(to).unwrap();
        let at_ns = at_ms * 1_000_000;
        seen.delivered.push(Delivered { at_ns, router: VantageId(0), queue: QueueNo(0), to });
    }
    seen
}

#[test]
fn times_link_those_who_keep_following_each_other_and_nobody_else() {
    let (mut sendings, mut deliveries) = (Vec::new(), Vec::new());
    for i in 0..20 {
        // Alice writes to Bob every 10 s; Carol sends and Dave receives in between.
        sendings.extend([(i * 10_000, "alice"), (i * 10_000 + 3_000 + 40 * i, "carol")]);
        deliveries.extend([(i * 10_000 + 100, "bob"), (i * 10_000 + 7_000 - 60 * i, "dave")]);
    }
    let seen = sightings(sendings, deliveries);
    let timing = Timing { window_ns: 500_000_000, span_ns: 200_000_000_000 };
    let address = |name| seen.address(name).unwrap();
    assert_eq!(by_time(&seen, timing), [Link { from: address("alice"), to: address("bob") }]);
}

/// The definition: every sending against every delivery.
fn by_time_by_definition(seen: &Sightings, timing: Timing) -> Vec<Link> {
    let (mut sendings, mut deliveries): (BTreeMap<Address, Vec<u64>>, BTreeMap<Address, Vec<u64>>) =
        Default::default();
    seen.passed_on.iter().for_each(|p| sendings.entry(p.from).or_default().push(p.at_ns));
    seen.delivered.iter().for_each(|d| deliveries.entry(d.to).or_default().push(d.at_ns));
    let pairs = (sendings.len() * deliveries.len()) as f64;
    let share = timing.window_ns as f64 / timing.span_ns as f64;
    let mut links = Vec::new();
    for (from, sent) in &sendings {
        for (to, delivered) in &deliveries {
            let (mut within, mut outside) = (0u64, 0u64);
            for d in delivered {
                for s in sent {
                    let delay = i128::from(*d) - i128::from(*s);
                    let (window, margin) =
                        (i128::from(timing.window_ns), i128::from(timing.window_ns * NEIGHBOURS));
                    if (0..=window).contains(&delay) {
                        within += 1;
                    } else if (-margin..=margin + window).contains(&delay) {
                        outside += 1;
                    }
                }
            }
            let at_any_time = sent.len() as f64 * delivered.len() as f64 * share;
            let by_chance = at_any_time.max((outside as f64 + 0.5) / (2 * NEIGHBOURS) as f64);
            if from != to && within >= 2 && poisson_tail(within, by_chance) * pairs < FALSE_LINKS {
                links.push(Link { from: *from, to: *to });
            }
        }
    }
    links.sort_unstable();
    links
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Some write to each other, some only at the same times, over a span in which that may or may not be chance.
    #[test]
    fn counting_by_windows_is_the_definition(
        chance in prop::collection::vec((0u64..40_000, 0usize..5, any::<bool>()), 0..80),
        writing in prop::collection::vec((0u64..40_000, 0usize..5, 0usize..5, 0u64..160), 0..60),
        span_s in prop::sample::select(vec![1u64, 40, 4_000, 400_000]),
    ) {
        let (mut sendings, mut deliveries) = (Vec::new(), Vec::new());
        for (at, who, sends) in chance {
            if sends { sendings.push((at, NAMES[who])) } else { deliveries.push((at, NAMES[who])) }
        }
        for (at, from, to, delay) in writing {
            sendings.push((at, NAMES[from]));
            deliveries.push((at + delay, NAMES[to]));
        }
        let seen = sightings(sendings, deliveries);
        let timing = Timing { window_ns: 100_000_000, span_ns: span_s * 1_000_000_000 };
        prop_assert_eq!(by_time(&seen, timing), by_time_by_definition(&seen, timing));
    }
}

/// What the property above compares are not two empty lists.
#[test]
fn the_definition_links_too() {
    let both = |step: u64| {
        let sendings = (0..400).map(|i| (i * step, "a")).collect();
        let deliveries = (0..400).map(|i| (i * step + 60, "b")).collect();
        let seen = sightings(sendings, deliveries);
        let timing = Timing { window_ns: 100_000_000, span_ns: 4_000_000_000_000 };
        (by_time(&seen, timing).len(), by_time_by_definition(&seen, timing).len())
    };
    // Seldom: written to each other. All the time: so are the neighbouring windows full.
    assert_eq!((both(5_000), both(20)), ((1, 1), (0, 0)));
}
