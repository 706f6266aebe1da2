//! Queues of this agent's own: making them, subscribing to them, and what comes from them.

use super::links::Asked;
use super::{
    Address, Agent, Answer, Choose, ContactNo, Content, Delivery, Failure, LinkNo, Noted, Output, Peer,
    Request, RouterNo, Signal,
};
use crate::wire::EntityId;

impl<C: Choose> Agent<C> {
    /// Makes the queue to receive from a contact on, while the connection's other queue is on `used`.
    pub(super) fn make_queue(&mut self, contact: ContactNo, used: Option<RouterNo>, now: u64) {
        let Some(router) = self.choose.storage(contact, used) else {
            return self.fail(contact, Failure::NoRouter);
        };
        self.make_queue_on(contact, router, now);
    }

    /// Makes a queue on this router.
    pub(super) fn make_queue_on(&mut self, contact: ContactNo, router: RouterNo, now: u64) {
        let peer = (router, self.owner(contact));
        match self.link_with(peer, now) {
            Some(link) if self.links.get(&link).is_some_and(|link| link.open) => {
                self.ask(link, vec![self.new_queue(contact)], now);
            }
            _ => self.wanted.entry(peer).or_default().push(contact),
        }
    }

    /// The request for a queue.
    pub(super) fn new_queue(&self, contact: ContactNo) -> (Request, Asked) {
        let address = self.addresses.contains(&contact);
        (if address { Request::NewAddress } else { Request::New }, Asked::New(contact))
    }

    /// The queue is there: the contact is told of it.
    pub(super) fn queue_made(&mut self, (router, owner): Peer, contact: ContactNo, answer: Answer, now: u64) {
        let (recipient, sender) = match answer {
            Answer::Made { recipient, sender } => (recipient, sender),
            Answer::Refused(error) => return self.fail(contact, Failure::Refused(error)),
            _ => return self.fail(contact, Failure::Unexpected),
        };
        self.inboxes.insert((router, recipient.clone()), contact);
        if let Some(link) = self.by_router.get(&(router, owner)).copied() {
            self.keep_alive(link, now);
        }
        let address = Address { router, sender };
        if self.addresses.contains(&contact) {
            return self.output.push_back(Output::AddressMade { contact, address, recipient });
        }
        self.output.push_back(Output::QueueMade {
            contact,
            address: address.clone(),
            recipient: recipient.clone(),
        });
        if self.new_queue_made(contact, &address, &recipient, now) {
            return;
        }
        let Some(known) = self.contacts.get(&contact) else { return };
        if !known.inviter {
            self.confirm(contact, Content::Join(address), now);
        } else if let Some(address) = self.invite_member(contact, address, now) {
            self.output.push_back(Output::Invitation(contact, address));
        }
    }

    /// Subscribes to queues of a router, as many at a time as are asked for together.
    pub(super) fn subscribe(&mut self, link: LinkNo, queues: Vec<EntityId>, now: u64) {
        for batch in queues.chunks(self.config.subscriptions.max(1)) {
            let requests = batch
                .iter()
                .map(|queue| (Request::Subscribe(queue.clone()), Asked::Subscribe(queue.clone())));
            self.ask(link, requests.collect(), now);
        }
        if !queues.is_empty() {
            self.keep_alive(link, now);
        }
    }

    fn keep_alive(&mut self, link: LinkNo, now: u64) {
        if let Some(known) = self.links.get_mut(&link) {
            known.subscribed = true;
        }
        if self.sends_pings {
            self.schedule(link, now.saturating_add(self.config.ping_interval));
        }
    }

    /// A subscription was answered.
    pub(super) fn subscription_answered(&mut self, link: LinkNo, queue: &EntityId, answer: &Answer) {
        let Answer::Refused(error) = answer else { return };
        let peer = self.links.get(&link).map(|link| link.router());
        let contact = peer.and_then(|router| self.inboxes.get(&(router, queue.clone())).copied());
        if let Some(contact) = contact.filter(|contact| !self.is_deleting(*contact, queue)) {
            self.fail(contact, Failure::Refused(error.clone()));
        }
    }

    /// A queue delivered a message by itself.
    pub fn message(&mut self, link: LinkNo, recipient: EntityId, delivery: Delivery, now: u64) {
        if self.heard_of(link, now).is_some() {
            self.delivered(link, recipient, delivery, now);
        }
    }

    /// Takes a message, and acknowledges it.
    pub(super) fn delivered(&mut self, link: LinkNo, recipient: EntityId, delivery: Delivery, now: u64) {
        let Some(router) = self.links.get(&link).map(|link| link.router()) else { return };
        let Some(contact) = self.inboxes.get(&(router, recipient.clone())).copied() else { return };
        let Delivery { id, content } = delivery;
        let acknowledge = Request::Acknowledge(recipient.clone(), id);
        self.ask(link, vec![(acknowledge, Asked::Acknowledge(recipient))], now);
        match content {
            Some(content) => self.take(contact, content, now),
            None => {
                // The queue was full and is empty now.
                self.note(Noted::Quota);
                if !self.addresses.contains(&contact) {
                    self.post(contact, Content::Continue, now);
                }
            }
        }
    }

    pub(super) fn take(&mut self, contact: ContactNo, content: Content, now: u64) {
        let Some(known) = self.contacts.get_mut(&contact) else { return };
        match content {
            Content::Join(reply) => {
                if known.inviter && known.outbox.is_none() {
                    self.open_outbox(contact, reply, now);
                    self.confirm(contact, Content::Accept, now);
                }
            }
            Content::Accept => self.establish(contact, now),
            Content::Message { number, .. } | Content::Call { number, .. } => {
                self.take_numbered(contact, number, content, now);
            }
            Content::Receipt(number) => self.output.push_back(Output::Receipt { contact, number }),
            Content::Continue => self.continue_sending(contact, now),
            Content::Rotation(what) => self.take_rotation(contact, *what, now),
            Content::Group(what) => self.take_grouped(contact, *what, now),
            Content::Customer(who) => self.take_customer(contact, *who, now),
        }
    }

    /// Takes the next message, once.
    fn take_numbered(&mut self, contact: ContactNo, number: u32, content: Content, now: u64) {
        let Some(known) = self.contacts.get_mut(&contact) else { return };
        let (due, group) = (known.due, known.group);
        if number < due {
            return self.note(Noted::Duplicate);
        }
        if self.came_early(contact, number, &content) {
            return;
        }
        // Members' messages are numbered in the group: what the host passed on is missing here.
        if number > due && group.is_none() {
            return self.fail(contact, Failure::Order { came: number, due });
        }
        if let Some(known) = self.contacts.get_mut(&contact) {
            known.due = number + 1;
        }
        self.output.push_back(Output::Received { contact, number });
        if let (Some(group), Content::Message { length, .. }) = (group, &content) {
            self.pass_on(group, contact, (number, *length), now);
        }
        // Of what sets up a call the invitation alone is answered by one.
        let answered = !matches!(content, Content::Call { what: Signal::Offer | Signal::Answer, .. });
        if answered && self.sends_receipts(contact) {
            self.post(contact, Content::Receipt(number), now);
        }
        if let Content::Call { call, what, .. } = content {
            self.take_signal(contact, call, what, now);
        }
        self.emptied(contact, now);
    }
}
