//! Group commit: what changed while one transaction was written goes into the next.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::watch;

use super::{State, StateStore, StoreError};

/// Bytes of changes that may wait for their transaction before nothing more is read from peers.
const MOST_PENDING: usize = 64 << 20;

/// What a change takes beside its content, in bytes, rounded up.
const CHANGE_SIZE: usize = 512;

/// What a store has committed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Transactions.
    pub count: u64,
    /// Changes of records, which are durable since.
    pub changes: u64,
    /// What the transactions took, syncs included, in nanoseconds; not measured in simulations.
    pub nanoseconds: u64,
}

/// How far the store is.
#[derive(Clone, Debug, Default)]
struct Progress {
    commits: Commits,
    /// Why there will be no more.
    failed: Option<Arc<StoreError>>,
    /// Whether the file is closed.
    closed: bool,
}

/// Writes a router's changes to its store, in order.
#[derive(Debug)]
pub struct StateWriter<S: State> {
    /// Changes that were given to it.
    submitted: u64,
    pending: Arc<AtomicUsize>,
    progress: watch::Receiver<Progress>,
    place: Place<S>,
}

#[derive(Debug)]
enum Place<S: State> {
    /// The caller's thread: each step is a transaction.
    Here { store: Option<StateStore<S>>, progress: watch::Sender<Progress> },
    /// A thread.
    Thread { changes: Option<Sender<Vec<S::Change>>>, thread: Option<JoinHandle<()>> },
}

/// What a change takes in memory, in bytes, at least roughly.
fn size<S: State>(change: &S::Change) -> usize {
    CHANGE_SIZE + S::size(change)
}

impl<S: State> StateStore<S> {
    /// Writes in the caller's thread, a transaction for each step of the router: for simulations, where nothing may depend on how
    /// threads are scheduled.
    pub fn in_step(self) -> StateWriter<S> {
        let (sender, progress) = watch::channel(Progress::default());
        let place = Place::Here { store: Some(self), progress: sender };
        StateWriter { submitted: 0, pending: Arc::default(), progress, place }
    }

    /// Writes in a thread of its own. The router goes on meanwhile; what changes while a transaction is written goes into the next
    /// one.
    ///
    /// # Errors
    /// The system's, if it has no thread left.
    pub fn in_background(self) -> io::Result<StateWriter<S>> {
        let (sender, progress) = watch::channel(Progress::default());
        let (changes, received) = channel();
        let pending = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&pending);
        // A sync takes milliseconds, in which the router serves its peers. Its answers wait for the sync either way: when it
        // ends decides when they leave, not what they are.
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_all(self, &received, &counter, &sender))?;
        let place = Place::Thread { changes: Some(changes), thread: Some(thread) };
        Ok(StateWriter { submitted: 0, pending, progress, place })
    }
}

/// The thread: until nothing more can come, or the store fails.
fn write_all<S: State>(
    mut store: StateStore<S>,
    received: &Receiver<Vec<S::Change>>,
    pending: &AtomicUsize,
    progress: &watch::Sender<Progress>,
) {
    while let Ok(first) = received.recv() {
        let mut steps = vec![first];
        steps.extend(received.try_iter());
        let begun = now();
        let committed = store.commit(steps.iter().flatten());
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (count, bytes) = steps
            .iter()
            .flatten()
            .fold((0, 0), |(count, bytes), change| (count + 1, bytes + size::<S>(change)));
        pending.fetch_sub(bytes, Ordering::Relaxed);
        if note(progress, Commits { count: 1, changes: count, nanoseconds: took }, committed) {
            break;
        }
    }
    drop(store);
    progress.send_modify(|progress| progress.closed = true);
}

#[expect(clippy::disallowed_methods, reason = "for how long the disk takes, which decides nothing")]
fn now() -> Instant {
    Instant::now()
}

/// Notes the outcome of a transaction, which was this much; whether it failed.
fn note(progress: &watch::Sender<Progress>, this: Commits, committed: Result<(), StoreError>) -> bool {
    let failed = committed.err().map(Arc::new);
    let stop = failed.is_some();
    progress.send_modify(|progress| match failed {
        Some(error) => progress.failed = Some(error),
        None => {
            let all = &mut progress.commits;
            all.count += this.count;
            all.changes += this.changes;
            all.nanoseconds = all.nanoseconds.saturating_add(this.nanoseconds);
        }
    });
    stop
}

impl<S: State> StateWriter<S> {
    /// Takes what changed in one step of the router.
    pub(crate) fn submit(&mut self, changes: Vec<S::Change>) {
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        if count == 0 || self.failure().is_some() {
            return;
        }
        self.submitted += count;
        match &mut self.place {
            Place::Here { store, progress } => {
                if let Some(store) = store {
                    let this = Commits { count: 1, changes: count, nanoseconds: 0 };
                    note(progress, this, store.commit(&changes));
                }
            }
            Place::Thread { changes: Some(sender), .. } => {
                self.pending.fetch_add(changes.iter().map(size::<S>).sum(), Ordering::Relaxed);
                // It fails where the thread has ended: then the failure says why, and nothing is released any more.
                let _ = sender.send(changes);
            }
            Place::Thread { changes: None, .. } => {}
        }
    }

    /// How many changes are durable.
    pub(crate) fn durable(&self) -> u64 {
        self.commits().changes
    }

    /// What was committed so far.
    pub fn commits(&self) -> Commits {
        self.progress.borrow().commits
    }

    /// Whether so much waits to be written that nothing more should be read.
    pub(crate) fn is_behind(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > MOST_PENDING
    }

    /// Why nothing more becomes durable, if that is so.
    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        self.progress.borrow().failed.clone()
    }

    /// Tells when there is something new.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.progress.clone())
    }

    /// Closes the store after what was submitted is durable.
    ///
    /// # Errors
    /// The failure of the store, if it failed.
    pub(crate) async fn finish(mut self) -> Result<(), Arc<StoreError>> {
        self.hang_up();
        if let Place::Thread { .. } = self.place {
            // It fails if the thread is gone without a word, which it never is.
            let _ = self.progress.wait_for(|progress| progress.closed).await;
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Says that nothing more will come.
    fn hang_up(&mut self) {
        match &mut self.place {
            Place::Here { store, .. } => drop(store.take()),
            Place::Thread { changes, .. } => drop(changes.take()),
        }
    }
}

/// Tells when [`StateWriter::durable`] or [`StateWriter::failure`] changed.
pub(crate) struct Watch(watch::Receiver<Progress>);

impl Watch {
    /// Until the next change; `false` if there will be none.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl<S: State> Drop for StateWriter<S> {
    /// Closes the store after what was submitted is durable.
    fn drop(&mut self) {
        self.hang_up();
        if let Place::Thread { thread, .. } = &mut self.place
            && let Some(thread) = thread.take()
        {
            let _ = thread.join();
        }
    }
}
