//! Clients and routers on real sockets: one thread, on which all their tasks run.

use std::future::Future;

use crate::exit::{Exit, Failure, Outcome};

/// Runs `work` to its end, together with the tasks that it spawns.
pub(crate) fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Bug, error))?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
