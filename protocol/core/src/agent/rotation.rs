//! Queue rotation: a contact's messages are received on a new queue, on another router, and the old one is deleted.
//!
//! The recipient makes the new queue and sends its address (QADD); the sender answers with its key for it (QKEY), by which the recipient
//! secures it (KEY); then it tells the sender to use it (QUSE), who does so from then on, with QTEST first. With that the old queue
//! has done its work, once what waits in it has come.

use super::links::Asked;
use super::{
    Address, Agent, Answer, Choose, ContactNo, Content, Failure, LinkNo, Noted, Peer, Request, RouterNo,
};
use crate::smp::error::SmpError;
use crate::wire::EntityId;

/// What recipient and sender tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The new queue (QADD).
    Add(Address),
    /// The sender's key for it (QKEY).
    Key(Address),
    /// It is secured: use it (QUSE).
    Use(Address),
    /// The first on the new queue (QTEST): before the message with this number all went to the old one.
    Test(u32),
}

/// A rotation, as its recipient has it.
#[derive(Debug)]
pub(super) struct Rotating {
    old: (RouterNo, EntityId),
    new: Option<(Address, EntityId)>,
    stage: Stage,
    /// The first message's number on the new queue, and those from there that came before all of the old queue's.
    first: u32,
    early: Vec<Content>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The new queue is being made, or the sender's key for it is waited for.
    Adding,
    /// It is being secured.
    Securing,
    /// It is used next.
    Using,
    /// The old one is being emptied,
    Emptying,
    /// and deleted.
    Deleting,
}

impl<C: Choose> Agent<C> {
    /// Begins to receive a contact's messages on another queue. Nothing happens if that is under way, if the contact is not established, or
    /// if it serves a group.
    pub fn rotate(&mut self, contact: ContactNo, now: u64) {
        let Some(known) = self.contacts.get(&contact) else { return };
        if !known.established || known.group.is_some() || self.rotating.contains_key(&contact) {
            return;
        }
        let Some((old, _)) = self.inboxes.iter().find(|(_, of)| **of == contact) else { return };
        let mut used = vec![old.0];
        used.extend(known.outbox.as_ref().map(|outbox| outbox.router()));
        let old = old.clone();
        let Some(router) = self.choose.next_storage(contact, &used) else {
            return self.fail(contact, Failure::NoRouter);
        };
        let rotating = Rotating { old, new: None, stage: Stage::Adding, first: 0, early: Vec::new() };
        self.rotating.insert(contact, Box::new(rotating));
        self.make_queue_on(contact, router, now);
    }

    /// The new queue is there, if the contact waits for one: the sender is told of it.
    pub(super) fn new_queue_made(
        &mut self,
        contact: ContactNo,
        address: &Address,
        recipient: &EntityId,
        now: u64,
    ) -> bool {
        let Some(rotating) = self.rotating.get_mut(&contact).filter(|rotating| rotating.new.is_none()) else {
            return false;
        };
        rotating.new = Some((address.clone(), recipient.clone()));
        self.tell_of(contact, Rotation::Add(address.clone()), now);
        true
    }

    fn tell_of(&mut self, contact: ContactNo, what: Rotation, now: u64) {
        self.post(contact, Content::Rotation(Box::new(what)), now);
    }

    /// Takes what recipient or sender say. What comes again changes nothing.
    pub(super) fn take_rotation(&mut self, contact: ContactNo, what: Rotation, now: u64) {
        match what {
            Rotation::Add(address) => {
                if self.switching.get(&contact) != Some(&address) {
                    self.switching.insert(contact, address.clone());
                    self.tell_of(contact, Rotation::Key(address), now);
                }
            }
            Rotation::Key(address) => {
                let Some(rotating) = self.rotating.get_mut(&contact) else { return };
                if rotating.stage == Stage::Adding
                    && rotating.new.as_ref().is_some_and(|(new, _)| *new == address)
                {
                    rotating.stage = Stage::Securing;
                    self.go_on_rotating(contact, now);
                }
            }
            Rotation::Use(address) => {
                if self.switching.get(&contact) == Some(&address) {
                    self.switching.remove(&contact);
                    self.switch(contact, address, now);
                }
            }
            Rotation::Test(first) => {
                if let Some(rotating) = self.rotating.get_mut(&contact).filter(|r| r.stage == Stage::Using) {
                    rotating.stage = Stage::Emptying;
                    rotating.first = first;
                    self.emptied(contact, now);
                }
            }
        }
    }

    /// Keeps a message of the new queue as long as some of the old one are missing.
    pub(super) fn came_early(&mut self, contact: ContactNo, number: u32, message: &Content) -> bool {
        let rotating = self.rotating.get_mut(&contact).filter(|rotating| rotating.stage == Stage::Emptying);
        let Some(rotating) = rotating.filter(|rotating| number >= rotating.first) else { return false };
        if !rotating.early.contains(message) {
            rotating.early.push(message.clone());
        }
        true
    }

    /// Deletes the old queue if everything of it has come, and takes what has come on the new one.
    pub(super) fn emptied(&mut self, contact: ContactNo, now: u64) {
        let due = self.contacts.get(&contact).map_or(0, |known| known.due);
        let rotating = self.rotating.get_mut(&contact).filter(|rotating| rotating.stage == Stage::Emptying);
        let Some(rotating) = rotating.filter(|rotating| due >= rotating.first) else { return };
        rotating.stage = Stage::Deleting;
        let early = std::mem::take(&mut rotating.early);
        self.go_on_rotating(contact, now);
        for message in early {
            self.take(contact, message, now);
        }
    }

    /// The router that a rotation needs next, and what of it.
    fn wants(&self, contact: ContactNo) -> Option<(Peer, Request, Asked)> {
        let rotating = self.rotating.get(&contact)?;
        let owner = self.owner(contact);
        match rotating.stage {
            Stage::Securing => {
                let (address, recipient) = rotating.new.as_ref()?;
                Some(((address.router, owner), Request::Key(recipient.clone()), Asked::Rotation(contact)))
            }
            Stage::Deleting => {
                let (router, recipient) = rotating.old.clone();
                Some(((router, owner), Request::Delete(recipient), Asked::Rotation(contact)))
            }
            _ => None,
        }
    }

    fn go_on_rotating(&mut self, contact: ContactNo, now: u64) {
        let Some((peer, request, asked)) = self.wants(contact) else { return };
        // A session that is not open yet asks for it then.
        if let Some(link) = self.link_with(peer, now)
            && self.links.get(&link).is_some_and(|link| link.open)
        {
            self.ask(link, vec![(request, asked)], now);
        }
    }

    /// What rotations want of a router, now that there is a session with it.
    pub(super) fn rotations_on(&mut self, peer: Peer, link: LinkNo, now: u64) {
        let wanted = self.rotating.keys().filter_map(|contact| self.wants(*contact));
        let wanted = wanted.filter(|(of, ..)| *of == peer).map(|(_, request, asked)| (request, asked));
        let wanted: Vec<_> = wanted.collect();
        self.ask(link, wanted, now);
    }

    /// No answer came in time.
    pub(super) fn rotation_timed_out(&mut self, contact: ContactNo, now: u64) {
        self.go_on_rotating(contact, now);
    }

    /// KEY or DEL was answered.
    pub(super) fn rotation_answered(&mut self, contact: ContactNo, answer: Answer, now: u64) {
        let Some(rotating) = self.rotating.get_mut(&contact) else { return };
        match (rotating.stage, answer) {
            (Stage::Securing, Answer::Done) => {
                rotating.stage = Stage::Using;
                if let Some((address, _)) = rotating.new.clone() {
                    self.tell_of(contact, Rotation::Use(address), now);
                }
            }
            // It may have been deleted already, and the answer lost.
            (Stage::Deleting, Answer::Done | Answer::Refused(SmpError::Auth)) => {
                let old = rotating.old.clone();
                self.rotating.remove(&contact);
                self.inboxes.remove(&old);
                self.note(Noted::Rotated);
            }
            (Stage::Securing | Stage::Deleting, Answer::Refused(error)) => {
                self.fail(contact, Failure::Refused(error));
            }
            _ => {}
        }
    }

    /// Whether a queue is being deleted: then it may be gone.
    pub(super) fn is_deleting(&self, contact: ContactNo, queue: &EntityId) -> bool {
        let rotating = self.rotating.get(&contact);
        rotating.is_some_and(|rotating| rotating.stage == Stage::Deleting && rotating.old.1 == *queue)
    }
}

impl Rotation {
    /// Its parts: a tag, a number, and an address; for engines, which write messages in a form of their own.
    #[must_use]
    pub fn parts(&self) -> (u8, u32, Option<&Address>) {
        match self {
            Self::Add(address) => (0, 0, Some(address)),
            Self::Key(address) => (1, 0, Some(address)),
            Self::Use(address) => (2, 0, Some(address)),
            Self::Test(number) => (3, *number, None),
        }
    }

    /// What has these parts.
    #[must_use]
    pub fn of_parts(tag: u8, number: u32, address: Option<Address>) -> Option<Self> {
        Some(match tag {
            0 => Self::Add(address?),
            1 => Self::Key(address?),
            2 => Self::Use(address?),
            3 => Self::Test(number),
            _ => return None,
        })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has_address(tag: u8) -> bool {
        tag < 3
    }
}
