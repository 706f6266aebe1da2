//! What every decoder owes: any bytes without panic, values that survive the way out and back, and the
//! refusals that the protocol states.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

#[path = "../../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own for the fuzz targets")]
mod owed;

mod addresses;
mod boxes;
mod commands;
mod handshake;
mod names;
mod ntf;
mod records;
mod responses;
mod seeds;
mod values;
mod wire;
