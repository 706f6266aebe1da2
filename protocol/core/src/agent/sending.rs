//! What a contact is sent: one thing after the other, through the proxy of its queue's router, or without one
//! ([`super::AgentConfig::direct`]).

use std::collections::VecDeque;

use super::links::{Asked, Relay};
use super::{
    Address, Agent, Answer, Choose, Contact, ContactNo, Content, Failure, LinkNo, Noted, Output, Request,
    Rotation, RouterNo, Timer,
};
use crate::retry::Attempts;
use crate::smp::error::{ProxyError, SmpError};

/// The queue that a contact is sent to.
#[derive(Debug)]
pub(super) struct Outbox {
    to: Address,
    /// What waits, the first on its way.
    items: VecDeque<Item>,
    stage: Stage,
    fast: Attempts,
    slow: Attempts,
    /// The proxy that was asked last, or the queue's router itself.
    proxy: Option<RouterNo>,
    /// The queue that takes its place, once nothing is on its way.
    next: Option<Box<Address>>,
}

impl Outbox {
    /// The queue's router.
    pub(super) fn router(&self) -> RouterNo {
        self.to.router
    }
}

/// What is sent: the queue is secured first.
#[derive(Clone, Debug)]
enum Item {
    Secure,
    Content(Content),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is on its way.
    Idle,
    /// The first item is on its way: it waits for a session, or for its answer.
    OnItsWay,
    /// It is sent again at this time; whether because the queue was full.
    Later(u64, bool),
}

impl<C: Choose> Agent<C> {
    /// Begins to send to a queue, by securing it.
    pub(super) fn open_outbox(&mut self, contact: ContactNo, to: Address, now: u64) {
        self.begin_to_send(contact, to, Item::Secure, now);
    }

    /// Sends one thing to a queue that is not secured.
    pub(super) fn send_once(&mut self, contact: ContactNo, to: Address, content: Content, now: u64) {
        self.contacts.insert(contact, Contact { ready: true, ..Contact::default() });
        self.begin_to_send(contact, to, Item::Content(content), now);
    }

    fn begin_to_send(&mut self, contact: ContactNo, to: Address, first: Item, now: u64) {
        let Some(known) = self.contacts.get_mut(&contact) else { return };
        let outbox = Outbox {
            to,
            items: VecDeque::from([first]),
            stage: Stage::Idle,
            fast: Attempts::default(),
            slow: Attempts::default(),
            proxy: None,
            next: None,
        };
        known.outbox = Some(outbox);
        self.pump(contact, now);
    }

    /// Has something sent after everything before it.
    pub(super) fn post(&mut self, contact: ContactNo, content: Content, now: u64) {
        match self.contacts.get_mut(&contact).filter(|known| known.ready) {
            Some(Contact { outbox: Some(outbox), .. }) => outbox.items.push_back(Item::Content(content)),
            _ => self.held.entry(contact).or_default().push(content),
        }
        self.pump(contact, now);
    }

    /// Sends the confirmation, and then what was posted before.
    pub(super) fn confirm(&mut self, contact: ContactNo, content: Content, now: u64) {
        let Some(known) = self.contacts.get_mut(&contact).filter(|known| !known.ready) else { return };
        known.ready = true;
        self.post(contact, content, now);
        for content in self.held.remove(&contact).unwrap_or_default() {
            self.post(contact, content, now);
        }
    }

    fn outbox(&mut self, contact: ContactNo) -> Option<&mut Outbox> {
        self.contacts.get_mut(&contact)?.outbox.as_mut()
    }

    /// Sends to another queue from now on.
    pub(super) fn switch(&mut self, contact: ContactNo, to: Address, now: u64) {
        if let Some(outbox) = self.outbox(contact) {
            outbox.next = Some(Box::new(to));
        }
        self.pump(contact, now);
    }

    /// Does so once nothing is on its way, beginning with what tests the queue.
    fn switch_if_asked(&mut self, contact: ContactNo) {
        let Some(Contact { outbox: Some(outbox), sent, .. }) = self.contacts.get_mut(&contact) else {
            return;
        };
        if outbox.stage == Stage::OnItsWay {
            return;
        }
        let Some(to) = outbox.next.take() else { return };
        let test = Item::Content(Content::Rotation(Box::new(Rotation::Test(*sent))));
        if let Stage::Later(at, _) = std::mem::replace(&mut outbox.stage, Stage::Idle) {
            self.timers.remove(&(at, Timer::Send(contact)));
        }
        outbox.to = *to;
        outbox.proxy = None;
        (outbox.fast, outbox.slow) = (Attempts::default(), Attempts::default());
        outbox.items.push_front(test);
        self.note(Noted::Switched(contact));
    }

    /// Sends what is first, if nothing is on its way and it need not wait.
    pub(super) fn pump(&mut self, contact: ContactNo, now: u64) {
        self.switch_if_asked(contact);
        let (online, owner, direct) = (self.online, self.owner(contact), self.config.direct);
        let Some(outbox) = self.outbox(contact) else { return };
        let waits = match outbox.stage {
            Stage::Idle => false,
            Stage::OnItsWay => true,
            Stage::Later(at, _) => at > now,
        };
        if waits || outbox.items.is_empty() || !online {
            return;
        }
        outbox.stage = Stage::Idle;
        let destination = outbox.to.router;
        let before = outbox.proxy;
        let proxy = match self.proxies.get(&(destination, owner)) {
            _ if direct => destination,
            Some(proxy) => *proxy,
            None => {
                let Some(proxy) = self.choose.proxy(destination, owner) else {
                    return self.fail(contact, Failure::NoRouter);
                };
                self.proxies.insert((destination, owner), proxy);
                proxy
            }
        };
        if before != Some(proxy) && !direct {
            self.note(Noted::Proxy(contact, proxy));
        }
        let Some(link) = self.link_with((proxy, owner), now) else { return };
        if let Some(outbox) = self.outbox(contact) {
            outbox.proxy = Some(proxy);
            outbox.stage = Stage::OnItsWay;
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.senders.insert(contact, ());
        }
        self.go_on(contact, link, now);
    }

    /// Takes the first item as far as it goes over the proxy's session.
    pub(super) fn go_on(&mut self, contact: ContactNo, link: LinkNo, now: u64) {
        let direct = self.config.direct;
        let Some(outbox) = self.outbox(contact) else { return };
        let (to, first) = (outbox.to.clone(), outbox.items.front().cloned());
        let Some(known) = self.links.get_mut(&link).filter(|known| known.open) else { return };
        let Some(first) = first else { return };
        let relay = match known.relays.get(&to.router) {
            _ if direct => None,
            Some(Relay::Open(relay)) => Some(relay.clone()),
            Some(Relay::Asked) => return,
            None => {
                known.relays.insert(to.router, Relay::Asked);
                let request = (Request::Relay(to.router), Asked::Relay(to.router));
                return self.ask(link, vec![request], now);
            }
        };
        let request = match first {
            Item::Secure => Request::Secure { relay, to },
            Item::Content(content) => Request::Send { contact, relay, to, content },
        };
        self.ask(link, vec![(request, Asked::First(contact))], now);
    }

    /// The contacts whose first item goes over this session to this destination.
    fn senders_to(&self, link: LinkNo, destination: RouterNo) -> Vec<ContactNo> {
        let senders = self.links.get(&link).into_iter().flat_map(|link| link.senders.iter());
        let to = |contact: &ContactNo| {
            let outbox = self.contacts.get(contact).and_then(|known| known.outbox.as_ref());
            outbox.is_some_and(|outbox| outbox.to.router == destination)
        };
        senders.map(|(contact, ())| *contact).filter(to).collect()
    }

    /// The proxy answered PRXY.
    pub(super) fn relay_answered(&mut self, link: LinkNo, destination: RouterNo, answer: Answer, now: u64) {
        let Answer::Relay(relay) = answer else { return self.relay_failed(link, destination, now) };
        if let Some(known) = self.links.get_mut(&link) {
            known.relays.insert(destination, Relay::Open(relay));
        }
        for contact in self.senders_to(link, destination) {
            self.go_on(contact, link, now);
        }
    }

    /// The proxy could not reach the destination: another may.
    pub(super) fn relay_failed(&mut self, link: LinkNo, destination: RouterNo, now: u64) {
        for contact in self.senders_to(link, destination) {
            self.leave(link, contact, destination);
            self.attempt_failed(contact, now);
        }
        if let Some(known) = self.links.get_mut(&link) {
            known.relays.remove(&destination);
        }
    }

    /// The next attempt of this contact picks a proxy anew.
    fn leave(&mut self, link: LinkNo, contact: ContactNo, destination: RouterNo) {
        let owner = self.owner(contact);
        self.proxies.remove(&(destination, owner));
        if let Some(known) = self.links.get_mut(&link) {
            known.senders.remove(&contact);
        }
    }

    /// The first item did not get through: it is sent again after a while.
    pub(super) fn attempt_failed(&mut self, contact: ContactNo, now: u64) {
        let fast = self.config.fast;
        let Some(outbox) = self.outbox(contact) else { return };
        let at = now.saturating_add(outbox.fast.next(&fast));
        outbox.stage = Stage::Later(at, false);
        self.timers.insert((at, Timer::Send(contact)), ());
        self.note(Noted::Repeated);
    }

    /// The first item was answered, by the destination or the proxy.
    pub(super) fn first_answered(&mut self, link: LinkNo, contact: ContactNo, answer: Answer, now: u64) {
        let slow = self.config.slow;
        let Some(outbox) = self.outbox(contact) else { return };
        let destination = outbox.to.router;
        match answer {
            Answer::Done => {
                let (item, proxy) = (outbox.items.pop_front(), outbox.proxy);
                if outbox.items.is_empty() {
                    outbox.items = VecDeque::new();
                }
                outbox.stage = Stage::Idle;
                (outbox.fast, outbox.slow) = (Attempts::default(), Attempts::default());
                if let Some(known) = self.links.get_mut(&link) {
                    known.senders.remove(&contact);
                }
                match (item, proxy) {
                    (Some(Item::Content(content)), Some(proxy)) => {
                        self.accepted(contact, &content, proxy, now)
                    }
                    (Some(Item::Secure), _)
                        if !self.contacts.get(&contact).is_some_and(|known| known.inviter) =>
                    {
                        self.make_queue(contact, Some(destination), now);
                    }
                    _ => {}
                }
                self.pump(contact, now);
            }
            Answer::Refused(SmpError::Quota) => {
                let at = now.saturating_add(outbox.slow.next(&slow));
                outbox.stage = Stage::Later(at, true);
                self.timers.insert((at, Timer::Send(contact)), ());
                if let Some(known) = self.links.get_mut(&link) {
                    known.senders.remove(&contact);
                }
                self.note(Noted::Quota);
                self.pump(contact, now);
            }
            // The relay's session is gone, the proxy is not: it is asked for another at once.
            Answer::Refused(SmpError::Proxy(ProxyError::NoSession)) => {
                self.note(Noted::Repeated);
                if let Some(known) = self.links.get_mut(&link) {
                    known.relays.remove(&destination);
                }
                for contact in self.senders_to(link, destination) {
                    self.go_on(contact, link, now);
                }
            }
            Answer::Refused(SmpError::Proxy(_)) => {
                self.leave(link, contact, destination);
                if let Some(known) = self.links.get_mut(&link) {
                    known.relays.remove(&destination);
                }
                self.attempt_failed(contact, now);
            }
            Answer::Refused(error) => self.fail(contact, Failure::Refused(error)),
            _ => self.fail(contact, Failure::Unexpected),
        }
    }

    /// The queue that was full is empty.
    pub(super) fn continue_sending(&mut self, contact: ContactNo, now: u64) {
        let Some(outbox) = self.outbox(contact) else { return };
        if let Stage::Later(at, true) = outbox.stage {
            outbox.stage = Stage::Idle;
            self.timers.remove(&(at, Timer::Send(contact)));
            self.pump(contact, now);
        }
    }

    fn accepted(&mut self, contact: ContactNo, content: &Content, proxy: RouterNo, now: u64) {
        if let Some(number) = content.number() {
            if let Some(known) = self.contacts.get_mut(&contact) {
                known.sent = number + 1;
            }
            self.output.push_back(Output::Accepted { contact, number, proxy });
            self.left_to_host(contact, number, proxy);
        } else if *content == Content::Accept {
            self.establish(contact, now);
        } else if matches!(content, Content::Customer(_)) {
            self.contacts.remove(&contact);
        }
    }
}
