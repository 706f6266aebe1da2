//! Stores in files: what is restored, and what is refused with one clear line.

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use redb::{Database, TableDefinition};
use sxlab_node::identity::RouterIdentity;
use sxlab_node::router::{ConnectionLimits, RouterNode};
use sxlab_node::store::{Store, StoreProblem};
use sxlab_node::world::RealWorld;
use sxlab_protocol::crypto::keys::{AuthPublicKey, SharedSecret, X25519Public};
use sxlab_protocol::smp::command::MsgFlags;
use sxlab_protocol::smp::router::{Content, Queue, RouterConfig, Stored};
use sxlab_protocol::wire::{EntityId, MsgId};

use crate::party::IDENTITY;

/// A file that does not exist yet; removed when dropped.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sxlab-store-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        File(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn queue(sender: u8) -> Queue {
    let key = AuthPublicKey::from(X25519Public::from_bytes([1; 32]));
    Queue::new(key, SharedSecret::from_bytes([2; 32]), EntityId::from([sender; 24]), None)
}

fn message(text: &str) -> Stored {
    let content = Content::Message { flags: MsgFlags::default(), body: text.as_bytes().to_vec() };
    Stored { id: MsgId::from([3; 24]), time: 5, content }
}

fn refusal(path: &Path, identity: &[u8; 32]) -> String {
    let error = Store::open(path, identity).map(|_| ()).unwrap_err().to_string();
    let prefix = format!("store {}: ", path.display());
    assert!(!error.contains('\n'));
    error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error}")).to_owned()
}

/// RC-40: what is deleted or acknowledged is in no record any more.
#[test]
fn what_was_committed_is_restored_and_what_was_removed_is_not() {
    let file = File::new("restored");
    let (mut store, mut queues) = Store::open(file.path(), &IDENTITY).unwrap();
    let (kept, deleted) = (EntityId::from([10; 24]), EntityId::from([11; 24]));
    assert!(queues.insert(kept.clone(), queue(20)));
    assert!(queues.insert(deleted.clone(), queue(21)));
    queues.offer(&deleted, message("of the deleted queue"), 9).unwrap();
    queues.offer(&kept, message("acknowledged"), 9).unwrap();
    queues.offer(&kept, message("waits"), 9).unwrap();
    store.commit(&queues.changes()).unwrap();
    queues.remove(&kept, &MsgId::from([3; 24]));
    assert!(queues.delete(&deleted));
    store.commit(&queues.changes()).unwrap();
    drop(store);

    let (store, restored) = Store::open(file.path(), &IDENTITY).unwrap();
    assert!(restored.records().eq(queues.records()));
    assert_eq!(restored.by_recipient(&kept).unwrap().first(), Some(&message("waits")));
    assert!(restored.by_recipient(&deleted).is_none());
    drop(store);
    let records: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
    let database = Database::open(file.path()).unwrap();
    let reading = redb::ReadableDatabase::begin_read(&database).unwrap();
    let table = reading.open_table(records).unwrap();
    assert_eq!(redb::ReadableTableMetadata::len(&table).unwrap(), 2, "the queue and its message");
}

#[test]
fn a_store_in_use_of_another_router_or_of_something_else_is_refused() {
    let file = File::new("refused");
    let (store, _) = Store::open(file.path(), &IDENTITY).unwrap();
    assert_eq!(refusal(file.path(), &IDENTITY), "it is in use by another process");
    drop(store);
    assert_eq!(refusal(file.path(), &[8; 32]), "it belongs to a router with another identity");
    let facts: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
    let database = Database::open(file.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(facts).unwrap().insert("format", [0, 0, 0, 9].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(refusal(file.path(), &IDENTITY), "it has format 9, this version reads format 1");

    let text = File::new("text");
    std::fs::write(text.path(), "[router]\nquota = 128\n").unwrap();
    assert_eq!(refusal(text.path(), &IDENTITY), "it is not a store of this program");
    assert_eq!(std::fs::read(text.path()).unwrap(), b"[router]\nquota = 128\n", "and is left as it was");
    let nowhere = text.path().join("store");
    assert!(matches!(Store::open(&nowhere, &IDENTITY).unwrap_err().problem, StoreProblem::Database(_)));
}

#[test]
fn a_record_that_cannot_be_read_is_told() {
    let file = File::new("damaged");
    drop(Store::open(file.path(), &IDENTITY).unwrap());
    let records: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
    let database = Database::open(file.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    let key = [&[2, 24][..], &[9; 24]].concat();
    transaction.open_table(records).unwrap().insert(key.as_slice(), [77].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let expected = "the record of queue EntityId(09090909…) has layout 77, this version reads 1";
    assert_eq!(refusal(file.path(), &IDENTITY), expected);
}

/// The file is free again when the router was stopped.
#[tokio::test(flavor = "current_thread")]
async fn a_router_that_is_stopped_closes_its_store() {
    let file = File::new("closed");
    let identity = RouterIdentity::mint("router.test", &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let hash = identity.identity_hash();
    let (store, queues) = Store::open(file.path(), &hash).unwrap();
    let writer = store.in_background().unwrap();
    let (config, limits) = (RouterConfig::default(), ConnectionLimits::default());
    let node = RouterNode::with_store(RealWorld, &identity, config, queues, writer, None, limits).unwrap();
    assert_eq!(refusal(file.path(), &hash), "it is in use by another process");
    node.stop(1_000_000_000).await.unwrap();
    node.close_store().await.unwrap();
    assert!(Store::open(file.path(), &hash).unwrap().1.is_empty());
}
