//! The processes that run points, so many at a time. One that crashes takes no other with it, and gives all its memory back.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sxlab_simnet::sweep::Listed;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::Failed;
use super::progress::Progress;
use crate::exit::{Exit, Failure, Outcome};
use crate::run::hex;

/// What there is to do.
pub(super) struct Work<'a> {
    pub(super) program: &'a Path,
    pub(super) plan: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) points: &'a [&'a Listed],
    pub(super) plan_hash: &'a str,
    /// Points of the whole plan.
    pub(super) all: u64,
    pub(super) jobs: usize,
}

/// A process that has ended.
struct Ended {
    point: u64,
    work: u64,
    took: Duration,
    result: Result<(), String>,
}

/// Runs all points. Those without a result are added to `failed`; a signal to stop ends the processes and is an error.
pub(super) async fn run(work: &Work<'_>, failed: &mut Vec<Failed>) -> Outcome {
    let stop = |kind| signal(kind).map_err(|error| Failure::new(Exit::Bug, error));
    let (mut interrupt, mut terminate) = (stop(SignalKind::interrupt())?, stop(SignalKind::terminate())?);
    let weights = work.points.iter().map(|listed| listed.work);
    let mut progress = Progress::new(weights, work.jobs);
    let mut waiting: VecDeque<&Listed> = work.points.iter().copied().collect();
    let mut running = JoinSet::new();
    loop {
        while running.len() < work.jobs
            && let Some(listed) = waiting.pop_front()
        {
            running.spawn_local(point(work.command(listed), listed.point.number, listed.work));
        }
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            _ = interrupt.recv() => return Err(progress.stopped()),
            _ = terminate.recv() => return Err(progress.stopped()),
        };
        let Some(ended) = ended else { break };
        let ended = ended.map_err(|error| Failure::new(Exit::Bug, error))?;
        progress.ended(ended.point, ended.work, ended.took, ended.result.as_ref().err().map(String::as_str));
        if let Err(reason) = ended.result {
            failed.push(Failed { point: ended.point, reason });
        }
    }
    progress.finish();
    Ok(())
}

impl Work<'_> {
    fn command(&self, listed: &Listed) -> Command {
        let mut command = Command::new(self.program);
        command.arg("sweep").arg(self.plan).arg("--out").arg(self.directory).arg("--child");
        command.args([listed.point.number.to_string(), hex(&listed.hash)]);
        command.args([self.plan_hash.to_owned(), self.all.to_string()]);
        // The pipe of the standard input ends with this process, and then the other one ends too.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a point took tells how long the others will; no result depends on it"
)]
async fn point(mut command: Command, point: u64, work: u64) -> Ended {
    let begun = Instant::now();
    let result = match command.spawn() {
        Err(error) => Err(format!("its process could not be started: {error}")),
        Ok(mut child) => {
            // Held until the process has ended: waiting for it would close it.
            let pipe = child.stdin.take();
            let output = child.wait_with_output().await;
            drop(pipe);
            match output {
                Ok(output) if output.status.success() => Ok(()),
                Ok(output) => Err(reason(output.status, &output.stderr)),
                Err(error) => Err(error.to_string()),
            }
        }
    };
    Ended { point, work, took: begun.elapsed(), result }
}

/// Why a point has no result: what its process said last, or how it ended.
fn reason(status: ExitStatus, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rev().find_map(|line| line.strip_prefix("sxlab: "));
    line.map_or_else(|| format!("its process ended with {status}"), str::to_owned)
}
