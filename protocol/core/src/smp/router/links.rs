//! Short links: data of a queue that whoever knows the link may get.
//!
//! A contact queue's link is for everybody (LGET), a messaging queue's for the one who secures the queue with it (LKEY).
//! A queue of a client that said no mode is like a contact queue until it is secured (LK-3).

use super::verify::link_id;
use super::{Queue, Router};
use crate::crypto::keys::AuthPublicKey;
use crate::smp::command::LinkData;
use crate::smp::error::SmpError;
use crate::smp::response::Response;
use crate::wire::{EntityId, LinkId, QueueMode};

impl Router {
    /// LSET (RC-23, RC-24).
    pub(super) fn set_link(&mut self, entity: &EntityId, link: LinkId, data: LinkData) -> Response {
        let open = self.store.by_recipient(entity).is_some_and(|queue| {
            // Nobody would follow the link of a secured queue, unless it is for everybody.
            queue.sender_key.is_none() || queue.mode == Some(QueueMode::Contact)
        });
        if open && self.store.set_link(entity, link, data) {
            Response::Ok
        } else {
            Response::Err(SmpError::Auth)
        }
    }

    /// LDEL (RC-25): also without a link.
    pub(super) fn delete_link(&mut self, entity: &EntityId) -> Response {
        if self.store.by_recipient(entity).is_none() {
            return Response::Err(SmpError::Auth);
        }
        self.store.delete_link(entity);
        Response::Ok
    }

    /// LKEY (LK-1, LK-2).
    pub(super) fn secure_by_link(&mut self, entity: &EntityId, key: AuthPublicKey) -> Response {
        match self.store.by_link(&link_id(entity)) {
            Some((recipient, queue)) if queue.mode == Some(QueueMode::Messaging) => {
                let (recipient, data) = (recipient.clone(), link_data(queue));
                if self.store.secure(&recipient, key) { data } else { Response::Err(SmpError::Auth) }
            }
            _ => Response::Err(SmpError::Auth),
        }
    }

    /// LGET (LK-3).
    pub(super) fn get_link(&mut self, entity: &EntityId) -> Response {
        match self.store.by_link(&link_id(entity)) {
            Some((_, queue)) if for_everybody(queue) => link_data(queue),
            _ => Response::Err(SmpError::Auth),
        }
    }
}

/// Whether the queue's link is for everybody, or for whoever secures the queue.
pub(super) fn for_everybody(queue: &Queue) -> bool {
    match queue.mode {
        Some(mode) => mode == QueueMode::Contact,
        None => queue.sender_key.is_none(),
    }
}

fn link_data(queue: &Queue) -> Response {
    match queue.link() {
        Some(link) => Response::Lnk { sender: queue.sender.clone(), data: link.data.clone() },
        None => Response::Err(SmpError::Auth),
    }
}
