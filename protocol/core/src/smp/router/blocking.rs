//! What the router's operator does with queues: blocks and unblocks, deletes, looks.
//!
//! A blocked queue answers BLOCKED to whatever is authorized, but for OFF, which replaces the blocking, DEL and NSUB
//! (SN-7). Versions that do not know BLOCKED get AUTH (D38).

use super::links::for_everybody;
use super::verify::{Reply, link_id};
use super::{Queue, Router, Status};
use crate::observe::SessionNo;
use crate::smp::command::Command;
use crate::smp::error::{BlockingInfo, SmpError};
use crate::smp::response::Response;
use crate::wire::{CorrId, EntityId, QueueMode};

/// What an operator may be told of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueReport {
    /// Its status.
    pub status: Status,
    /// Its mode, where its client said one.
    pub mode: Option<QueueMode>,
    /// Whether it takes messages of one sender only.
    pub secured: bool,
    /// Messages that wait, a quota marker included.
    pub messages: usize,
    /// Whether somebody is subscribed to it now.
    pub subscribed: bool,
}

/// Nobody's session: the operator's.
const OPERATOR: SessionNo = SessionNo(0);

impl Queue {
    /// Why it is blocked, if it is.
    pub fn blocked(&self) -> Option<BlockingInfo> {
        match self.status {
            Status::Blocked(info) => Some(info),
            Status::Active | Status::Off => None,
        }
    }
}

impl Router {
    /// Blocks the queue of a recipient or sender id, whatever its status, and tells its subscriber. Returns the status
    /// that it had; `None` if there is no such queue.
    pub fn block_queue(&mut self, id: &EntityId, info: BlockingInfo) -> Option<Status> {
        let recipient = self.recipient_id(id)?;
        let before = self.store.set_status(&recipient, Status::Blocked(info))?;
        if let Some(subscriber) = self.subscriber(&recipient) {
            let response = Response::Err(SmpError::Blocked(info));
            self.send(subscriber, vec![Reply { corr: CorrId::EMPTY, entity: recipient, response }]);
        }
        Some(before)
    }

    /// Ends the blocking of the queue of a recipient or sender id; a queue that is not blocked stays as it is. Returns the
    /// status that it had; `None` if there is no such queue.
    pub fn unblock_queue(&mut self, id: &EntityId) -> Option<Status> {
        let recipient = self.recipient_id(id)?;
        let before = self.store.by_recipient(&recipient)?.status;
        if let Status::Blocked(_) = before {
            self.store.set_status(&recipient, Status::Active);
            if let Some(subscriber) = self.subscriber(&recipient) {
                self.deliver(subscriber, &recipient);
            }
        }
        Some(before)
    }

    /// Deletes the queue of a recipient or sender id with its messages, and tells its subscriber, as DEL by another session
    /// would (RC-38). `false` if there is no such queue.
    pub fn delete_queue(&mut self, id: &EntityId, now: u64) -> bool {
        let Some(recipient) = self.recipient_id(id) else { return false };
        self.delete(OPERATOR, &recipient, now) == Response::Ok
    }

    /// The queue of a recipient or sender id, if there is one.
    pub fn report_queue(&mut self, id: &EntityId) -> Option<QueueReport> {
        let recipient = self.recipient_id(id)?;
        let subscribed = self.subscriber(&recipient).is_some();
        let queue = self.store.by_recipient(&recipient)?;
        let (status, mode, messages) = (queue.status, queue.mode, queue.len());
        Some(QueueReport { status, mode, secured: queue.sender_key.is_some(), messages, subscribed })
    }

    fn recipient_id(&self, id: &EntityId) -> Option<EntityId> {
        match self.store.by_sender(id) {
            Some((recipient, _)) => Some(recipient.clone()),
            None => self.store.by_recipient(id).map(|_| id.clone()),
        }
    }

    /// Why the queue that a verified command is about is blocked, if that refuses the command. SEND looks for itself, after
    /// the length of its body. A link that is not for this command is no link of it, blocked or not.
    pub(super) fn blocked(&self, command: &Command, entity: &EntityId) -> Option<BlockingInfo> {
        let queue = match command {
            Command::Sub
            | Command::Key(_)
            | Command::RKey(_)
            | Command::LSet { .. }
            | Command::LDel
            | Command::NKey(_)
            | Command::NDel
            | Command::Get
            | Command::Ack(_)
            | Command::Que => self.store.by_recipient(entity)?,
            Command::SKey(_) => self.store.by_sender(entity)?.1,
            Command::LKey(_) => {
                let linked = self.store.by_link(&link_id(entity));
                linked.filter(|(_, queue)| queue.mode == Some(QueueMode::Messaging))?.1
            }
            Command::LGet => {
                self.store.by_link(&link_id(entity)).filter(|(_, queue)| for_everybody(queue))?.1
            }
            _ => return None,
        };
        queue.blocked()
    }
}
