//! Sessions with routers.

use super::{
    Agent, AgentConfig, Answer, Choose, ContactNo, LinkNo, Noted, Output, Peer, Request, RequestNo, RouterNo,
    SECOND, Timer,
};
use crate::tables::Few;
use crate::wire::EntityId;

/// A session.
#[derive(Debug)]
pub(super) struct Link {
    peer: Peer,
    pub(super) open: bool,
    /// When the router was last heard of, or connecting began.
    heard: u64,
    /// Requests without an answer, and until when it may come.
    asked: Few<RequestNo, (u64, Asked)>,
    /// Requests in a row that got no answer in time.
    unanswered: u32,
    /// Sessions behind this router.
    pub(super) relays: Few<RouterNo, Relay>,
    /// Contacts whose first message is on its way over this session.
    pub(super) senders: Few<ContactNo, ()>,
    /// Whether there are subscriptions: only then it is kept alive.
    pub(super) subscribed: bool,
    /// When its silence is noticed at the earliest.
    monitor: u64,
    /// When it is looked after next.
    timer: Option<u64>,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A queue for this contact.
    New(ContactNo),
    /// A subscription.
    Subscribe(EntityId),
    /// An acknowledgement.
    Acknowledge(EntityId),
    /// Nothing.
    Ping,
    /// A session with this router behind the proxy.
    Relay(RouterNo),
    /// A contact's first message.
    First(ContactNo),
    /// A contact's rotation.
    Rotation(ContactNo),
}

/// A session behind a proxy.
#[derive(Debug)]
pub(super) enum Relay {
    /// It was asked for.
    Asked,
    /// The proxy's name for it.
    Open(EntityId),
}

impl Link {
    /// The router.
    pub(super) fn router(&self) -> RouterNo {
        self.peer.0
    }

    /// Whether it waits for the answer to a PING.
    fn is_pinged(&self) -> bool {
        self.asked.iter().any(|(_, (_, asked))| matches!(asked, Asked::Ping))
    }
}

impl<C: Choose> Agent<C> {
    /// The link with a router: the one that there is, or a new one. `None` while offline.
    pub(super) fn link_with(&mut self, peer: Peer, now: u64) -> Option<LinkNo> {
        if let Some(link) = self.by_router.get(&peer) {
            return Some(*link);
        }
        if !self.online {
            return None;
        }
        let number = LinkNo(self.next_link);
        self.next_link += 1;
        let link = Link {
            peer,
            open: false,
            heard: now,
            asked: Few::default(),
            unanswered: 0,
            relays: Few::default(),
            senders: Few::default(),
            subscribed: false,
            monitor: now,
            timer: None,
        };
        self.links.insert(number, link);
        self.by_router.insert(peer, number);
        self.output.push_back(Output::Connect { link: number, router: peer.0 });
        self.schedule(number, now.saturating_add(self.config.connect_timeout));
        Some(number)
    }

    /// Connects to a router if there are queues on it, or are to be.
    pub(super) fn connect_if_needed(&mut self, peer: Peer, now: u64) {
        if self.wanted.contains_key(&peer) || self.queues_on(peer).next().is_some() {
            self.link_with(peer, now);
        }
    }

    /// The queues on a router.
    pub(super) fn queues_on(&self, (router, owner): Peer) -> impl Iterator<Item = &EntityId> {
        let on_router = self.inboxes.range((router, EntityId::EMPTY)..);
        let on_router = on_router.take_while(move |((at, _), _)| *at == router);
        let own = on_router.filter(move |(_, contact)| owner.is_none_or(|owner| owner == **contact));
        own.map(|((_, recipient), _)| recipient)
    }

    /// The session is open: its handshake is done.
    pub fn connected(&mut self, link: LinkNo, now: u64) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.open = true;
        known.heard = now;
        known.monitor = now.saturating_add(self.config.ping_interval);
        let peer = known.peer;
        let senders: Vec<_> = known.senders.iter().map(|(contact, ())| *contact).collect();
        self.failed.remove(&peer);
        let queues: Vec<_> = self.queues_on(peer).cloned().collect();
        self.subscribe(link, queues, now);
        let wanted = self.wanted.remove(&peer).unwrap_or_default();
        let requests = wanted.into_iter().map(|contact| self.new_queue(contact)).collect();
        self.ask(link, requests, now);
        self.rotations_on(peer, link, now);
        for contact in senders {
            self.go_on(contact, link, now);
        }
    }

    /// The session ended, or could not be made. Its queues are subscribed to again, and what was on its way is sent again:
    /// at once and after a while if it was open, otherwise both after a while.
    pub fn link_closed(&mut self, link: LinkNo, now: u64) {
        self.count_silence(link, now);
        let Some(Link { peer, open, asked, senders, subscribed, timer, .. }) = self.links.remove(&link)
        else {
            return;
        };
        if let Some(at) = timer {
            self.timers.remove(&(at, Timer::Link(link)));
        }
        self.by_router.remove(&peer);
        // With a proxy's session go the choices of all destinations behind it.
        let (router, owner) = peer;
        self.proxies.retain(|(_, of), proxy| (*of, *proxy) != (owner, router));
        for (_, asked) in asked.into_values() {
            if let Asked::New(contact) = asked {
                self.wanted.entry(peer).or_default().push(contact);
            }
        }
        for (contact, ()) in senders.iter() {
            self.attempt_failed(*contact, now);
        }
        if !self.online {
            return;
        }
        if subscribed {
            self.note(Noted::Resubscribed);
        }
        if open {
            self.connect_if_needed(peer, now);
        } else {
            let wait = self.failed.entry(peer).or_default().next(&self.config.reconnect);
            self.timers.insert((now.saturating_add(wait), Timer::Reconnect(peer)), ());
        }
    }

    /// Gives a link up.
    fn give_up(&mut self, link: LinkNo, now: u64) {
        self.output.push_back(Output::Close(link));
        self.link_closed(link, now);
    }

    /// Asks for things together.
    pub(super) fn ask(&mut self, link: LinkNo, requests: Vec<(Request, Asked)>, now: u64) {
        let Some(known) = self.links.get_mut(&link).filter(|_| !requests.is_empty()) else { return };
        let due = now.saturating_add(self.config.request_timeout);
        let mut numbered = Vec::with_capacity(requests.len());
        for (request, asked) in requests {
            let number = RequestNo(self.next_request);
            self.next_request = self.next_request.wrapping_add(1);
            known.asked.insert(number, (due, asked));
            numbered.push((number, request));
        }
        self.output.push_back(Output::Ask { link, requests: numbered });
        self.schedule(link, due);
    }

    /// A request was answered.
    pub fn answered(&mut self, link: LinkNo, request: RequestNo, answer: Answer, now: u64) {
        self.count_silence(link, now);
        let Some(known) = self.links.get_mut(&link) else { return };
        known.heard = now;
        known.unanswered = 0;
        let Some((_, asked)) = known.asked.remove(&request) else { return };
        let peer = known.peer;
        // With nothing on its way and no PINGs there is nothing to look after.
        if known.open
            && !self.sends_pings
            && known.asked.is_empty()
            && let Some(at) = known.timer.take()
        {
            self.timers.remove(&(at, Timer::Link(link)));
        }
        match asked {
            Asked::New(contact) => self.queue_made(peer, contact, answer, now),
            Asked::Subscribe(queue) => self.subscription_answered(link, &queue, &answer),
            Asked::Acknowledge(queue) => {
                if let Answer::Next(delivery) = answer {
                    self.delivered(link, queue, delivery, now);
                }
            }
            Asked::Ping => self.monitored(link, 0, now),
            Asked::Relay(destination) => self.relay_answered(link, destination, answer, now),
            Asked::Rotation(contact) => self.rotation_answered(contact, answer, now),
            Asked::First(contact) => self.first_answered(link, contact, answer, now),
        }
    }

    /// The router said something by itself.
    pub(super) fn heard_of(&mut self, link: LinkNo, now: u64) -> Option<Peer> {
        self.count_silence(link, now);
        let known = self.links.get_mut(&link)?;
        known.heard = now;
        known.unanswered = 0;
        Some(known.peer)
    }

    /// Has a link looked after at this time, unless that happens earlier.
    pub(super) fn schedule(&mut self, link: LinkNo, at: u64) {
        let Some(known) = self.links.get_mut(&link) else { return };
        if known.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        if let Some(timer) = known.timer.replace(at) {
            self.timers.remove(&(timer, Timer::Link(link)));
        }
        self.timers.insert((at, Timer::Link(link)), ());
    }

    /// Gives up on what took too long, and keeps a session with subscriptions alive.
    pub(super) fn look_after(&mut self, link: LinkNo, now: u64) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.timer = None;
        if !known.open {
            return self.give_up(link, now);
        }
        let late: Vec<_> = known.asked.iter().filter(|(_, (due, _))| *due <= now).map(|(n, _)| *n).collect();
        for number in late {
            self.timed_out(link, number, now);
        }
        let (interval, pings) = (self.config.ping_interval, self.sends_pings);
        let Some(known) = self.links.get_mut(&link) else { return };
        let monitored = pings || known.unanswered > 0;
        if monitored && !known.is_pinged() && known.monitor <= now {
            let silent = now.saturating_sub(known.heard);
            if silent.saturating_add(SECOND) < interval {
                known.monitor = known.heard.saturating_add(interval);
            } else if known.subscribed {
                self.note(Noted::Pings(1));
                self.ask(link, vec![(Request::Ping, Asked::Ping)], now);
            } else {
                self.monitored(link, silent, now);
            }
        }
        let Some(known) = self.links.get(&link) else { return };
        let dues = known.asked.iter().map(|(_, (due, _))| *due);
        let monitor = ((pings && known.subscribed) || known.unanswered > 0) && !known.is_pinged();
        if let Some(next) = dues.chain(monitor.then_some(known.monitor)).min() {
            self.schedule(link, next);
        }
    }

    /// What is done each time that silence was noticed, and a ping after it was answered or not: as the deployed client has it, only
    /// then a session can be given up, and the next time is a whole interval later.
    fn monitored(&mut self, link: LinkNo, silent: u64, now: u64) {
        let AgentConfig { ping_interval, ping_count, recover_window, .. } = self.config;
        let Some(known) = self.links.get_mut(&link) else { return };
        if ping_count > 0 && known.unanswered >= ping_count && silent >= recover_window {
            return self.give_up(link, now);
        }
        let monitor = now.saturating_add(ping_interval);
        known.monitor = monitor;
        self.schedule(link, monitor);
    }

    /// Where PINGs are not sent: notes those that would have been since the router was last heard of, as if each had been
    /// answered at once.
    pub(super) fn count_silence(&mut self, link: LinkNo, now: u64) {
        let interval = self.config.ping_interval.max(1);
        if self.sends_pings {
            return;
        }
        let quiet = |known: &&mut Link| known.open && known.subscribed && known.unanswered == 0;
        let Some(known) = self.links.get_mut(&link).filter(quiet) else { return };
        let pings = now.saturating_sub(known.heard) / interval;
        if pings > 0 {
            known.heard += pings * interval;
            self.note(Noted::Pings(u32::try_from(pings).unwrap_or(u32::MAX)));
        }
    }

    /// No answer came in time.
    fn timed_out(&mut self, link: LinkNo, request: RequestNo, now: u64) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.unanswered += 1;
        let Some((_, asked)) = known.asked.remove(&request) else { return };
        match asked {
            Asked::New(contact) => self.ask(link, vec![self.new_queue(contact)], now),
            Asked::Subscribe(queue) => self.subscribe(link, vec![queue], now),
            Asked::Acknowledge(_) => {}
            Asked::Rotation(contact) => self.rotation_timed_out(contact, now),
            Asked::Ping => {
                let silent = now.saturating_sub(known.heard).saturating_sub(self.config.request_timeout);
                self.monitored(link, silent, now);
            }
            Asked::Relay(destination) => self.relay_failed(link, destination, now),
            Asked::First(contact) => {
                if let Some(known) = self.links.get_mut(&link) {
                    known.senders.remove(&contact);
                }
                self.attempt_failed(contact, now);
            }
        }
    }
}
