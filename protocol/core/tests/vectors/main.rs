//! Against recorded bytes of the deployed implementation: each value is encoded and decoded.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing"
)]

mod addresses;
mod certificates;
mod crypto;
mod ntf;
mod primitives;
mod smp;
mod support;
