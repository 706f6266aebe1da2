//! The notification router and its devices, a test for each behaviour, named as the behaviour; most at every version.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, dead_code, reason = "a test crate")]

#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/recorded.rs"]
mod recorded;

mod bounds;
mod durable;
mod network;
mod periodic;
mod place;
mod pushes;
mod random;
mod replay;
mod semantic;
mod services;
mod sessions;
mod subscriptions;
mod tokens;
mod world;

/// The versions of the protocol.
const VERSIONS: std::ops::RangeInclusive<u16> = 1..=3;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
