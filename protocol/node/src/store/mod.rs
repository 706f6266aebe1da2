//! A router's durable store: its records in one file, changed by transactions.
//!
//! How to run a router on it:
//!
//! ```no_run
//! # use std::path::Path;
//! # use sxlab_node::{identity::RouterIdentity, router::{ConnectionLimits, RouterNode}, store::Store, world::RealWorld};
//! # use sxlab_protocol::smp::router::RouterConfig;
//! # use tokio::net::TcpListener;
//! # async fn run(identity: RouterIdentity, listener: TcpListener) -> Result<(), Box<dyn std::error::Error>> {
//! let (store, queues) = Store::open(Path::new("smp.store"), &identity.identity_hash())?;
//! let (config, limits) = (RouterConfig::default(), ConnectionLimits::default());
//! let writer = store.in_background()?;
//! let node = RouterNode::with_store(RealWorld, &identity, config, queues, writer, None, limits)?;
//! node.serve(&listener).await?; // ends when the router is stopped; with an error if the store fails
//! node.stop(10_000_000_000).await; // from elsewhere, as a rule: what was answered is made durable and written to peers
//! node.close_store().await?; // and the file is closed: in every case, after `stop` or `take_store`
//! # Ok(()) }
//! ```
//!
//! A router whose queues end with the process is [`RouterNode::new`](crate::router::RouterNode::new) with an empty
//! [`QueueStore`], and no store at all. [`StoreError`] is one line that names the file: print it and exit with code 2 if it comes
//! from [`StateStore::open`].
//!
//! Changes of many steps go into one transaction with one sync ([`Writer`]). The file holds a table of records (as the
//! router's [`State`] encodes them) and one of facts: the format, the protocol, and the identity of the router that it belongs to. A record that is deleted is gone from the tables with the commit; the file's free pages may hold its bytes until they
//! are written over. A transaction is committed in one phase: its checksums tell after a crash whether it is complete.

mod state;
mod writer;

use std::fs::OpenOptions;
use std::marker::PhantomData;
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError,
};
use sxlab_protocol::ntf::router as ntf;
use sxlab_protocol::smp::router::{QueueStore, RecordError};

pub use self::state::State;
pub(crate) use self::writer::Watch;
pub use self::writer::{Commits, StateWriter};

/// An SMP router's durable store.
pub type Store = StateStore<QueueStore>;

/// What writes to it.
pub type Writer = StateWriter<QueueStore>;

/// A notification router's durable store.
pub type NtfStore = StateStore<ntf::Store>;

/// What writes to it.
pub type NtfWriter = StateWriter<ntf::Store>;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// The protocol of a store that does not say it.
const SMP: &str = "smp";

/// The format of the file that this version writes and reads.
const FORMAT: u32 = 1;

/// Memory for pages of the file, in bytes. The state is in memory anyway: what is read from the file is read once.
const CACHE: usize = 32 << 20;

/// What a file of the database begins with. It is written last when a file is made.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// What is wrong with a store: one line that names its file.
#[derive(Debug, thiserror::Error)]
#[error("store {path}: {problem}")]
pub struct StoreError {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub problem: StoreProblem,
}

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreProblem {
    /// Another process has it open, or this one.
    #[error("it is in use by another process")]
    InUse,
    /// It is a file of something else.
    #[error("it is not a store of this program")]
    Foreign,
    /// It was made by another version.
    #[error("it has format {0}, this version reads format {FORMAT}")]
    Format(String),
    /// It belongs to a router with another identity.
    #[error("it belongs to a router with another identity")]
    Identity,
    /// It belongs to a router of another protocol.
    #[error("it is a store of a router of another protocol, {0}")]
    Protocol(String),
    /// It holds a record that can't be read.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The same in a notification router's store.
    #[error("{0}")]
    NtfRecord(#[from] ntf::RecordError),
    /// The file can't be read or written, or is damaged.
    #[error("{0}")]
    Database(#[from] redb::Error),
}

/// A durable store of a router's state. See the module for how to use it.
#[derive(Debug)]
pub struct StateStore<S> {
    path: String,
    database: Database,
    state: PhantomData<fn() -> S>,
}

impl<S: State> StateStore<S> {
    /// Opens the store of the router with this identity hash, or makes it, and restores its state, which is journaled: give both to
    /// [`RouterNode::with_store`](crate::router::RouterNode::with_store).
    ///
    /// # Errors
    /// [`StoreError`]: the file is in use, damaged, of another router, protocol or version. It is left as it is then.
    pub fn open(path: &Path, identity: &[u8; 32]) -> Result<(Self, S), StoreError> {
        let name = path.display().to_string();
        let fail = |error: redb::Error| StoreError { path: name.clone(), problem: error.into() };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            // It holds what decrypts deliveries.
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let file = options.open(path).map_err(|error| fail(redb::Error::Io(error)))?;
        let backend = FileBackend::new(file).map_err(|error| fail(error.into()))?;
        Self::on(&name, backend, identity)
    }

    /// The same on any storage, which errors call `name`.
    ///
    /// # Errors
    /// As [`StateStore::open`].
    pub fn on(
        name: &str,
        backend: impl StorageBackend,
        identity: &[u8; 32],
    ) -> Result<(Self, S), StoreError> {
        match opened(backend, identity) {
            Ok((database, state)) => {
                Ok((Self { path: name.to_owned(), database, state: PhantomData }, state))
            }
            Err(problem) => Err(StoreError { path: name.to_owned(), problem }),
        }
    }

    /// Makes changes durable, all or none.
    ///
    /// # Errors
    /// [`StoreError`]. Whether the changes are durable is not known then, and nothing more may be committed: the store has to be
    /// opened again.
    pub fn commit<'a>(&mut self, changes: impl IntoIterator<Item = &'a S::Change>) -> Result<(), StoreError> {
        self.write(changes)
            .map_err(|error| StoreError { path: self.path.clone(), problem: StoreProblem::Database(error) })
    }

    fn write<'a>(&self, changes: impl IntoIterator<Item = &'a S::Change>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for change in changes {
                match S::row(change) {
                    (key, Some(value)) => drop(records.insert(key.as_slice(), value.as_slice())?),
                    (key, None) => drop(records.remove(key.as_slice())?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn opened<S: State>(
    backend: impl StorageBackend,
    identity: &[u8; 32],
) -> Result<(Database, S), StoreProblem> {
    clear_unfinished(&backend).map_err(redb::Error::Io)?;
    let database = Database::builder().set_cache_size(CACHE).create_with_backend(backend).map_err(opening)?;
    check(&database, S::PROTOCOL, identity)?;
    let state = restored(&database)?;
    Ok((database, state))
}

fn opening(error: DatabaseError) -> StoreProblem {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreProblem::InUse,
        DatabaseError::Storage(redb::StorageError::Io(error))
            if error.kind() == std::io::ErrorKind::InvalidData =>
        {
            StoreProblem::Foreign
        }
        error => StoreProblem::Database(error.into()),
    }
}

/// A crash while a file was made leaves one without its magic number, or with some of its bytes: nothing was stored yet, and it is made
/// again.
fn clear_unfinished(backend: &impl StorageBackend) -> Result<(), std::io::Error> {
    let whole = (Bound::Unbounded, Bound::Unbounded);
    // Where storage has no locks, nobody else has it. Where it is locked, opening it says so.
    if matches!(backend.try_lock_range(whole.0, whole.1), Ok(false)) {
        return Ok(());
    }
    let cleared = (|| {
        let mut begin = MAGIC;
        if backend.len()? >= u64::try_from(MAGIC.len()).unwrap_or(u64::MAX) {
            backend.read(0, &mut begin)?;
        } else if backend.len()? > 0 {
            begin = [0; MAGIC.len()];
        }
        if begin != MAGIC && begin.iter().zip(MAGIC).all(|(byte, magic)| *byte == 0 || *byte == magic) {
            backend.set_len(0)?;
        }
        Ok(())
    })();
    // Only what could be locked has to be unlocked.
    let _ = backend.unlock_range(whole.0, whole.1);
    cleared
}

/// Checks the format, the protocol and the identity; writes them into a store that is new.
fn check(database: &Database, protocol: &str, identity: &[u8; 32]) -> Result<(), StoreProblem> {
    let wrong = |error: redb::Error| StoreProblem::Database(error);
    let reading = database.begin_read().map_err(|error| wrong(error.into()))?;
    let facts = match reading.open_table(FACTS) {
        Ok(facts) => facts,
        Err(TableError::TableDoesNotExist(_)) => {
            let mut tables = reading.list_tables().map_err(|error| wrong(error.into()))?;
            if tables.next().is_some() {
                return Err(StoreProblem::Foreign);
            }
            return found(database, protocol, identity).map_err(wrong);
        }
        Err(_) => return Err(StoreProblem::Foreign),
    };
    let format = facts.get("format").map_err(|error| wrong(error.into()))?;
    match format.as_ref().map(|format| <[u8; 4]>::try_from(format.value())) {
        Some(Ok(bytes)) if u32::from_be_bytes(bytes) == FORMAT => {}
        Some(Ok(bytes)) => return Err(StoreProblem::Format(u32::from_be_bytes(bytes).to_string())),
        Some(Err(_)) | None => return Err(StoreProblem::Foreign),
    }
    let of = facts.get("protocol").map_err(|error| wrong(error.into()))?;
    // The first stores were all of SMP, and say nothing of it.
    let of = of.map_or(Ok(SMP.to_owned()), |of| String::from_utf8(of.value().to_vec()));
    match of {
        Ok(of) if of == protocol => {}
        Ok(of) => return Err(StoreProblem::Protocol(of)),
        Err(_) => return Err(StoreProblem::Foreign),
    }
    let owner = facts.get("identity").map_err(|error| wrong(error.into()))?;
    if owner.is_none_or(|owner| owner.value() != identity) {
        return Err(StoreProblem::Identity);
    }
    Ok(())
}

fn found(database: &Database, protocol: &str, identity: &[u8; 32]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut facts = transaction.open_table(FACTS)?;
        facts.insert("format", FORMAT.to_be_bytes().as_slice())?;
        facts.insert("protocol", protocol.as_bytes())?;
        facts.insert("identity", identity.as_slice())?;
        transaction.open_table(RECORDS)?;
    }
    transaction.commit()?;
    Ok(())
}

fn restored<S: State>(database: &Database) -> Result<S, StoreProblem> {
    let wrong = |error: redb::Error| StoreProblem::Database(error);
    let mut state = S::default();
    let reading = database.begin_read().map_err(|error| wrong(error.into()))?;
    let records = reading.open_table(RECORDS).map_err(|error| wrong(error.into()))?;
    for row in records.iter().map_err(|error| wrong(error.into()))? {
        let (key, value) = row.map_err(|error| wrong(error.into()))?;
        state.restore_row(key.value(), value.value())?;
    }
    Ok(state.begin_journal())
}
