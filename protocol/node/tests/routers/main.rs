//! Routers and clients on streams in memory with virtual time, and once on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, their helpers too"
)]

mod apns;
mod floods;
mod hostile;
mod hosts;
mod limits;
mod names;
mod network;
mod notifications;
mod party;
mod proxies;
mod queues;
mod restarts;
mod services;
mod sessions;
mod sockets;
