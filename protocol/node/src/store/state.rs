use std::fmt;

use sxlab_protocol::journal::Change;
use sxlab_protocol::ntf::router as ntf;
use sxlab_protocol::smp::router::{self as smp, Content, Stored};

use super::StoreProblem;

/// What of a router survives a restart: records, each under a key, and the changes of them.
pub trait State: Default + 'static {
    /// Which protocol's router it is, as the file says it.
    const PROTOCOL: &'static str;

    /// A change of one record.
    type Change: fmt::Debug + Send + 'static;

    /// The record's key, and its value if it is not gone.
    fn row(change: &Self::Change) -> (Vec<u8>, Option<Vec<u8>>);

    /// What a change takes in memory beside 512 bytes, at least roughly.
    fn size(change: &Self::Change) -> usize;

    /// Puts a record back. Records come in the order of their keys.
    ///
    /// # Errors
    /// [`StoreProblem`] if it can't be read or does not fit to those before.
    fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreProblem>;

    /// The same, which from now on reports what changes.
    #[must_use]
    fn begin_journal(self) -> Self;
}

impl State for smp::QueueStore {
    const PROTOCOL: &'static str = super::SMP;
    type Change = smp::Change;

    fn row(change: &smp::Change) -> (Vec<u8>, Option<Vec<u8>>) {
        match change {
            Change::Put(record) => (record.key().encode(), Some(record.value())),
            Change::Delete(key) => (key.encode(), None),
        }
    }

    fn size(change: &smp::Change) -> usize {
        let Change::Put(record) = change else { return 0 };
        match &**record {
            smp::Record::Message {
                message: Stored { content: Content::Message { body, .. }, .. }, ..
            } => body.len(),
            smp::Record::Link { link, .. } => link.data.fixed.len() + link.data.user.len(),
            _ => 0,
        }
    }

    fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreProblem> {
        Ok(self.restore(smp::Record::decode(key, value)?)?)
    }

    fn begin_journal(self) -> Self {
        self.journaled()
    }
}

impl State for ntf::Store {
    const PROTOCOL: &'static str = "ntf";
    type Change = ntf::Change;

    fn row(change: &ntf::Change) -> (Vec<u8>, Option<Vec<u8>>) {
        match change {
            Change::Put(record) => (record.key().encode(), Some(record.value())),
            Change::Delete(key) => (key.encode(), None),
        }
    }

    fn size(change: &ntf::Change) -> usize {
        let Change::Put(record) = change else { return 0 };
        match &**record {
            // An address of many names; the rest is short.
            ntf::Record::Router { router, .. } => size_of_val(&*router.hosts),
            ntf::Record::Subscription { subscription, .. } => size_of_val(&*subscription.router.hosts),
            ntf::Record::Notification { kept, .. } => kept.meta.len(),
            ntf::Record::Token { .. } => 0,
        }
    }

    fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreProblem> {
        Ok(self.restore(ntf::Record::decode(key, value)?)?)
    }

    fn begin_journal(self) -> Self {
        self.journaled()
    }
}
