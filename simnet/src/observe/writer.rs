//! A log that is written beside the engine that pushes to it. Hashing, numbering and spilling what was seen are a sixth of a
//! run's work, and nothing waits for them. What is written, and in which order, is the engine's alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use sxlab_protocol::observe::Sight;

use super::{Log, LogError, VantageId};

/// Observations that go over together: some 100 kilobytes.
const TOGETHER: usize = 512;

/// How many times that may wait.
const WAITING: usize = 64;

type Batch = Vec<(u64, VantageId, Sight)>;

/// A log that is being written by a thread.
#[derive(Debug)]
pub(crate) struct Writer {
    batch: Batch,
    /// Nothing once the log was taken back.
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    full: SyncSender<Batch>,
    empty: Receiver<Batch>,
    failed: Arc<AtomicBool>,
    log: JoinHandle<Log>,
}

impl Writer {
    /// Goes on with a log.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub(crate) fn new(mut log: Log) -> std::io::Result<Self> {
        let (full, batches) = sync_channel::<Batch>(WAITING);
        let (back, empty) = channel();
        let failed = Arc::new(AtomicBool::new(false));
        let says = Arc::clone(&failed);
        let log = Builder::new().name("log".to_owned()).spawn(move || {
            for mut batch in batches {
                for (at_ns, vantage, sight) in batch.drain(..) {
                    log.push(at_ns, vantage, sight);
                }
                if log.has_failed() {
                    says.store(true, Ordering::Relaxed);
                }
                // Who pushes may be done already.
                let _ = back.send(batch);
            }
            log
        })?;
        Ok(Self { batch: Vec::with_capacity(TOGETHER), thread: Some(Thread { full, empty, failed, log }) })
    }

    /// As [`Log::push`].
    pub(crate) fn push(&mut self, at_ns: u64, vantage: VantageId, sight: Sight) {
        self.batch.push((at_ns, vantage, sight));
        if self.batch.len() >= TOGETHER {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Some(thread) = &self.thread else { return };
        let next = thread.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(TOGETHER));
        // The thread is there until it is joined; if it panicked, joining says so.
        let _ = thread.full.send(std::mem::replace(&mut self.batch, next));
    }

    /// As [`Log::check`], for what was written so far.
    pub(crate) fn check(&mut self) -> Result<(), LogError> {
        if self.thread.as_ref().is_some_and(|thread| thread.failed.load(Ordering::Relaxed)) {
            self.take().check()?;
        }
        Ok(())
    }

    /// The log, once everything is written.
    pub(crate) fn into_log(mut self) -> Log {
        self.take()
    }

    fn take(&mut self) -> Log {
        self.hand_over();
        let Some(Thread { full, log, .. }) = self.thread.take() else { return Log::default() };
        drop(full);
        log.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Writer {
    /// A run that failed leaves nothing that still writes: the directory of its files is about to be removed.
    fn drop(&mut self) {
        if let Some(Thread { full, log, .. }) = self.thread.take() {
            drop(full);
            // The run's own failure is what is told.
            let _ = log.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use sxlab_protocol::observe::SessionNo;

    use super::*;

    /// More than one batch, so that there is work on both sides.
    fn push_all(push: &mut dyn FnMut(u64, VantageId, Sight)) {
        for number in 0..2 * TOGETHER as u64 + 1 {
            push(number, VantageId(0), Sight::Closed { session: SessionNo(number) });
        }
    }

    #[test]
    fn a_log_is_the_same_by_a_thread_or_without() {
        let (mut log, mut writer) = (Log::default(), Writer::new(Log::default()).unwrap());
        push_all(&mut |at, vantage, sight| log.push(at, vantage, sight));
        push_all(&mut |at, vantage, sight| writer.push(at, vantage, sight));
        writer.check().unwrap();
        let written = writer.into_log();
        assert_eq!((written.len(), written.trace_hash()), (log.len(), log.trace_hash()));
        assert_eq!(written.len(), 2 * TOGETHER + 1);
    }

    #[test]
    fn nothing_is_written_any_more_once_a_writer_is_dropped() {
        let mut writer = Writer::new(Log::default()).unwrap();
        push_all(&mut |at, vantage, sight| writer.push(at, vantage, sight));
        let held_by_the_thread = Arc::clone(&writer.thread.as_ref().unwrap().failed);
        drop(writer);
        assert_eq!(Arc::strong_count(&held_by_the_thread), 1);
    }
}
