//! What a router says of its changes is enough to restart it.

use sxlab_protocol::smp::router::{Change, Record};

use super::*;

impl Drop for World {
    /// Whatever a test did: a router that restarts from the records of what changed has the same queues.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.sites.iter_mut().for_each(|site| check_journal(&mut site.core));
        }
    }
}

fn check_journal(core: &mut Router) {
    let mut kept = BTreeMap::new();
    for change in core.changes() {
        match change {
            Change::Put(record) => {
                kept.insert(record.key().encode(), record.value());
            }
            Change::Delete(key) => assert!(kept.remove(&key.encode()).is_some(), "{key} was not there"),
        }
    }
    let records = core.store().records().map(|record| (record.key().encode(), record.value()));
    assert_eq!(records.collect::<BTreeMap<_, _>>(), kept, "the journal missed a change");
    let mut restored = QueueStore::default();
    for (key, value) in &kept {
        restored.restore(Record::decode(key, value).unwrap()).unwrap();
    }
    assert!(restored.records().eq(core.store().records()));
}
