//! The suite for notification routers: our router in this process, with the suite as its devices, its push provider and the
//! SMP routers.
//!
//! | module | what it holds |
//! |---|---|
//! | `pair` | the target: our router's core, connections, and a clock that moves only while somebody waits |
//! | `lab` | what a case works with: sessions, blocks, answers, and the trace |
//! | `mutant` | routers that are wrong in one thing each |
//! | `sides` | the device, the push provider and the SMP routers, in one call each |
//!
//! Connections are streams of bytes without TLS, so certificates and the application protocol are what each side was given.
//! What the provider and SMP routers are asked comes out of the core as events, and a case answers as it likes.

mod lab;
mod mutant;
mod pair;
mod sides;

pub use lab::{Answer, NtfLab, Who};
pub use mutant::NtfMutant;
pub use pair::NtfPair;
pub use sides::{active, messages, queue, token};
pub(crate) use sides::{body, open};
