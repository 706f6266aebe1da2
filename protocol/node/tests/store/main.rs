//! The durable store: what it refuses, and that nothing promised is lost in a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod crashes;
mod devices;
mod disk;
mod files;
mod party;
