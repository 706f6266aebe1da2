//! TLS sessions and router identities from outside, one file per subject.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they skip, their helpers too"
)]

mod certificates;
mod common;
mod files;
mod handshake;
mod openssl;
