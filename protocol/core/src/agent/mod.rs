//! A user's agent: contacts over pairs of queues, and the sessions that these need. It behaves as the deployed one does
//! (7.0.0-beta.2), and knows neither bytes nor sockets: whoever drives it connects, encrypts and writes.
//!
//! | module | what it does |
//! |---|---|
//! | `links` | sessions with routers: connecting again, pings, timeouts |
//! | `sending` | a contact's messages, one after the other, through the proxy of their destination |
//! | `receiving` | queues, subscriptions, deliveries, acknowledgements |
//! | `groups` | groups of members who are each other's contacts |
//! | `business` | addresses at which each customer gets a group of its own |
//! | `calls` | how a call is set up, in three messages |
//! | `rotation` | a contact's messages move to another queue |
//!
//! **Contacts.** By the fast duplex flow (AG-6) the inviter makes a queue ([`Agent::invite`], [`Output::Invitation`]); who is invited
//! ([`Agent::join`]) secures it, then makes the reply queue, and sends its address; the inviter secures the reply queue and confirms.
//! Then both can send. Messages are numbered in each direction, come once and in order, and are answered by receipts where
//! [`AgentConfig::receipts`] says so.
//!
//! **Contract.** After each call drain [`Agent::poll`]; call [`Agent::timeout`] when [`Agent::next_timeout`] has come. Times are
//! nanoseconds on any clock that does not go back. A link is the agent's number of a session; the driver answers
//! [`Output::Connect`] with [`Agent::connected`] or [`Agent::link_closed`], and each [`Request`] of [`Output::Ask`] with
//! [`Agent::answered`].

mod business;
mod calls;
mod groups;
mod links;
mod receiving;
mod rotation;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use self::business::Customer;
use self::calls::Current;
pub use self::calls::{CallNo, Calling, Signal};
use self::groups::Group;
pub use self::groups::{Grouped, HISTORY};
use self::links::Link;
use self::rotation::Rotating;
pub use self::rotation::Rotation;
use self::sending::Outbox;
use crate::retry::Attempts;
pub use crate::retry::RetryInterval;
use crate::smp::error::SmpError;
use crate::tables::Few;
use crate::wire::{EntityId, MsgId};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// A router, as the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterNo(pub u32);

/// A contact of one agent, as the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactNo(pub u32);

/// A group, as the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupNo(pub u32);

/// A session of one agent: never used again once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkNo(pub u32);

/// A request of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNo(pub u32);

/// Where a queue takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The queue's router.
    pub router: RouterNo,
    /// Its sender id.
    pub sender: EntityId,
}

/// What goes end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The confirmation of who was invited, with the reply queue's address.
    Join(Address),
    /// The inviter's confirmation.
    Accept,
    /// A message: its number in its direction, from 0, and the length of its text in bytes.
    Message {
        /// Its number.
        number: u32,
        /// Bytes of its text.
        length: u32,
    },
    /// One of the messages that set up a call: numbered as all messages are.
    Call {
        /// Its number.
        number: u32,
        /// The call.
        call: CallNo,
        /// Which of the three.
        what: Signal,
    },
    /// The receipt of the message with this number.
    Receipt(u32),
    /// The queue that was full is empty: send on (QCONT).
    Continue,
    /// To the queue of a business's address: who sends this wants to connect.
    Customer(Box<Customer>),
    /// What members of a group and its host tell each other.
    Group(Box<Grouped>),
    /// The queue that this contact is sent to is another one.
    Rotation(Box<Rotation>),
}

impl Content {
    /// Whether it is sent in a confirmation's envelope, with the sender's key.
    #[must_use]
    pub fn is_confirmation(&self) -> bool {
        matches!(self, Self::Join(_) | Self::Accept | Self::Customer(_))
    }

    /// Whether its SEND is authorized by the sender's key: all but what anybody may send to an address.
    #[must_use]
    pub fn is_authorized(&self) -> bool {
        !matches!(self, Self::Customer(_))
    }

    /// The number of a message.
    fn number(&self) -> Option<u32> {
        match self {
            Self::Message { number, .. } | Self::Call { number, .. } => Some(*number),
            _ => None,
        }
    }
}

/// Whom sessions are shared by (the client's transport isolation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All contacts of the agent, which stands for one user profile, share a session with a router: the default.
    #[default]
    Profile,
    /// Each contact has sessions of its own.
    Contact,
}

/// Intervals and switches; the defaults are the deployed agent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// How long connecting may take, in nanoseconds.
    pub connect_timeout: u64,
    /// How long an answer may take, in nanoseconds.
    pub request_timeout: u64,
    /// After how long without a word from the router a session with subscriptions is tried with PING, in nanoseconds.
    pub ping_interval: u64,
    /// Whether the PINGs of sessions that nothing happens to are only counted ([`Noted::Pings`]), not sent: see [`Agent::send_pings`].
    pub count_pings: bool,
    /// After so many requests without an answer in a row a session is given up, when a ping is not answered (0: never),
    pub ping_count: u32,
    /// but not before so long after the router's last word, in nanoseconds.
    pub recover_window: u64,
    /// Before connecting and subscribing again.
    pub reconnect: RetryInterval,
    /// Before sending a message again.
    pub fast: RetryInterval,
    /// The same while the contact's queue is full.
    pub slow: RetryInterval,
    /// Subscriptions that are asked for at a time.
    pub subscriptions: usize,
    /// Whether messages are answered by receipts.
    pub receipts: bool,
    /// After how long a call lapses that was not answered, in nanoseconds.
    pub call_lapse: u64,
    /// Whom sessions are shared by.
    pub isolation: Isolation,
    /// Whether it sends without proxies: on sessions of its own with the queues' routers.
    pub direct: bool,
}

impl Default for AgentConfig {
    fn default() -> Self {
        let retry = |initial, increase_after, most| RetryInterval { initial, increase_after, most };
        Self {
            connect_timeout: 45 * SECOND,
            request_timeout: 30 * SECOND,
            ping_interval: 10 * MINUTE,
            count_pings: false,
            ping_count: 3,
            recover_window: 15 * MINUTE,
            reconnect: retry(2 * SECOND, 10 * SECOND, 3 * MINUTE),
            fast: retry(2 * SECOND, 10 * SECOND, 2 * MINUTE),
            slow: retry(5 * MINUTE, MINUTE, 360 * MINUTE),
            subscriptions: 1350,
            receipts: true,
            call_lapse: 3 * MINUTE,
            isolation: Isolation::Profile,
            direct: false,
        }
    }
}

/// How routers are picked.
pub trait Choose {
    /// The router of the queue to receive from a contact on, while the contact's other queue is on `used`. `None`: there are
    /// no routers.
    fn storage(&mut self, contact: ContactNo, used: Option<RouterNo>) -> Option<RouterNo>;

    /// The router of another queue in place of one, while the contact's queues are on `used`, the one to replace first.
    fn next_storage(&mut self, contact: ContactNo, used: &[RouterNo]) -> Option<RouterNo>;

    /// The proxy to a destination, for all contacts or for one. `None`: there are none.
    fn proxy(&mut self, destination: RouterNo, owner: Option<ContactNo>) -> Option<RouterNo>;
}

/// What is asked of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A new queue, subscribed to; the driver makes its keys and keeps them by its recipient id.
    New,
    /// The same for an address: one that anybody may send to.
    NewAddress,
    /// SUB.
    Subscribe(EntityId),
    /// ACK.
    Acknowledge(EntityId, MsgId),
    /// KEY: the sender's, that came in [`Rotation::Key`].
    Key(EntityId),
    /// DEL.
    Delete(EntityId),
    /// PING.
    Ping,
    /// PRXY: a session with this router behind the proxy.
    Relay(RouterNo),
    /// SKEY.
    Secure {
        /// The session behind the proxy that forwards it, as [`Answer::Relay`] named it; none to the queue's router itself.
        relay: Option<EntityId>,
        /// The queue.
        to: Address,
    },
    /// SEND.
    Send {
        /// To whom.
        contact: ContactNo,
        /// As of SKEY.
        relay: Option<EntityId>,
        /// The queue.
        to: Address,
        /// What.
        content: Content,
    },
}

/// What a router answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The new queue.
    Made {
        /// Its recipient id.
        recipient: EntityId,
        /// Its sender id.
        sender: EntityId,
    },
    /// It is done.
    Done,
    /// Done, and here is the queue's next message.
    Next(Delivery),
    /// The session behind the proxy.
    Relay(EntityId),
    /// It is not done.
    Refused(SmpError),
}

/// A message as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: MsgId,
    /// What it is; nothing for the marker that the queue was full.
    pub content: Option<Content>,
}

/// What the agent wants, and what it tells its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to a router.
    Connect {
        /// The link to be.
        link: LinkNo,
        /// Where to.
        router: RouterNo,
    },
    /// Close a link; nothing is expected of it any more.
    Close(LinkNo),
    /// Write requests, in as few blocks as they fit into.
    Ask {
        /// On this link.
        link: LinkNo,
        /// What.
        requests: Vec<(RequestNo, Request)>,
    },
    /// The invitation for a contact: it goes to the other side outside of the network.
    Invitation(ContactNo, Address),
    /// A queue to receive from a contact was made; the first, or another for which rotation began.
    QueueMade {
        /// Whose messages it is for.
        contact: ContactNo,
        /// Where, and its sender id.
        address: Address,
        /// Its recipient id.
        recipient: EntityId,
    },
    /// The queue of an address was made.
    AddressMade {
        /// The number that stands for the address.
        contact: ContactNo,
        /// Where, and its sender id.
        address: Address,
        /// Its recipient id.
        recipient: EntityId,
    },
    /// A contact can be sent to, and has confirmed: on both sides once.
    Established(ContactNo),
    /// A message is on its contact's queue.
    Accepted {
        /// The contact.
        contact: ContactNo,
        /// The message's number.
        number: u32,
        /// The proxy that took it; without one, the queue's router.
        proxy: RouterNo,
    },
    /// A message came, for the first time.
    Received {
        /// The contact.
        contact: ContactNo,
        /// The message's number.
        number: u32,
    },
    /// The contact has received a message.
    Receipt {
        /// The contact.
        contact: ContactNo,
        /// The message's number.
        number: u32,
    },
    /// Something happened to a call.
    Call {
        /// The contact.
        contact: ContactNo,
        /// The call.
        call: CallNo,
        /// What.
        what: Calling,
    },
    /// Something that is counted.
    Noted(Noted),
    /// What a right network does not let happen.
    Failed(ContactNo, Failure),
}

/// Things that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A session with queues ended, and they are subscribed to again.
    Resubscribed,
    /// Sending is tried again.
    Repeated,
    /// A message came again and was recognised.
    Duplicate,
    /// A queue was full.
    Quota,
    /// This contact is sent to on its next queue from now on.
    Switched(ContactNo),
    /// A queue was replaced by another and deleted.
    Rotated,
    /// A group's host passed a message on.
    Forwarded,
    /// So many messages came from before this agent was in the group.
    History(u32),
    /// So many PINGs were sent, or would have been.
    Pings(u32),
    /// A proxy was asked to send to this contact's queue for the first time, or after it had been another one.
    Proxy(ContactNo, RouterNo),
}

/// What ends a contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no router to pick.
    #[error("no router to pick")]
    NoRouter,
    /// A router refuses for good.
    #[error("a router answered {0}")]
    Refused(SmpError),
    /// Another answer than the request's.
    #[error("a router answered what was not asked")]
    Unexpected,
    /// A message came with another number than the next.
    #[error("message #{came} came when #{due} was due")]
    Order {
        /// Its number.
        came: u32,
        /// The next one's.
        due: u32,
    },
}

/// A contact: who it is is the driver's knowledge.
#[derive(Debug, Default)]
struct Contact {
    /// Whether this side invited.
    inviter: bool,
    outbox: Option<Outbox>,
    /// The number of the next message that is due from the contact.
    due: u32,
    /// The number of the next message to the contact that is not on its queue yet,
    sent: u32,
    /// and of the next that is sent.
    next: u32,
    established: bool,
    /// Whether the confirmation is on its way, so that other things can follow.
    ready: bool,
    /// The group that it serves.
    group: Option<GroupNo>,
}

/// A user's agent.
#[derive(Debug)]
pub struct Agent<C> {
    config: AgentConfig,
    choose: C,
    online: bool,
    /// Whether PINGs are sent, not only counted.
    sends_pings: bool,
    contacts: BTreeMap<ContactNo, Contact>,
    /// Whose queue it is, by router and recipient id.
    inboxes: BTreeMap<(RouterNo, EntityId), ContactNo>,
    /// Who waits for a queue on a router.
    wanted: BTreeMap<Peer, Vec<ContactNo>>,
    links: BTreeMap<LinkNo, Link>,
    /// The link with a router, of all or of one contact.
    by_router: BTreeMap<Peer, LinkNo>,
    /// How often connecting failed since it succeeded.
    failed: BTreeMap<Peer, Attempts>,
    /// The proxy to a destination, as long as its session lives.
    proxies: BTreeMap<Peer, RouterNo>,
    groups: BTreeMap<GroupNo, Box<Group>>,
    /// What stands for this agent's addresses.
    addresses: BTreeSet<ContactNo>,
    /// The call with a contact, one at a time.
    calls: BTreeMap<ContactNo, Current>,
    /// Queues that are being replaced, of this agent,
    rotating: BTreeMap<ContactNo, Box<Rotating>>,
    /// and of contacts, with the new one.
    switching: BTreeMap<ContactNo, Address>,
    /// What contacts are to be sent once they are ready.
    held: BTreeMap<ContactNo, Vec<Content>>,
    /// Numbers of messages to a group that its host passes on to a member, by the contacts with host and member.
    left: Vec<(ContactNo, ContactNo, u32)>,
    /// The number of the next message of a member that the host may pass on.
    forwarded: BTreeMap<ContactNo, u32>,
    next_link: u32,
    next_request: u32,
    /// What is done when: see [`Timer`].
    timers: Few<(u64, Timer), ()>,
    output: VecDeque<Output>,
}

/// A router, and whose sessions with it are meant, if they are each contact's own.
type Peer = (RouterNo, Option<ContactNo>);

/// What waits for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A link is to be looked after: its connecting, its requests, its pings.
    Link(LinkNo),
    /// Connecting to a router is tried again.
    Reconnect(Peer),
    /// A contact's first message is sent again.
    Send(ContactNo),
}

impl<C: Choose> Agent<C> {
    /// An agent without contacts, that is online.
    pub fn new(config: AgentConfig, choose: C) -> Self {
        Self {
            sends_pings: !config.count_pings,
            config,
            choose,
            online: true,
            contacts: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            wanted: BTreeMap::new(),
            links: BTreeMap::new(),
            by_router: BTreeMap::new(),
            failed: BTreeMap::new(),
            proxies: BTreeMap::new(),
            groups: BTreeMap::new(),
            addresses: BTreeSet::new(),
            calls: BTreeMap::new(),
            rotating: BTreeMap::new(),
            switching: BTreeMap::new(),
            held: BTreeMap::new(),
            left: Vec::new(),
            forwarded: BTreeMap::new(),
            next_link: 0,
            next_request: 0,
            timers: Few::default(),
            output: VecDeque::new(),
        }
    }

    /// The next thing to do for whoever drives the agent.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.output.pop_front();
        if output.is_none() {
            // There are many agents, and most want nothing most of the time: no memory is kept for it.
            self.output = VecDeque::new();
        }
        output
    }

    /// When [`Agent::timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<u64> {
        self.timers.first().map(|((at, _), ())| *at)
    }

    /// Does what is due at `now`.
    pub fn timeout(&mut self, now: u64) {
        while let Some(&((at, timer), ())) = self.timers.first()
            && at <= now
        {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Link(link) => self.look_after(link, now),
                Timer::Reconnect(peer) => self.connect_if_needed(peer, now),
                Timer::Send(contact) => self.pump(contact, now),
            }
        }
    }

    /// Begins a contact by inviting: makes the queue.
    pub fn invite(&mut self, contact: ContactNo, now: u64) {
        self.contacts.insert(contact, Contact { inviter: true, ..Contact::default() });
        self.make_queue(contact, None, now);
    }

    /// Begins a contact by an invitation.
    pub fn join(&mut self, contact: ContactNo, invitation: Address, now: u64) {
        self.contacts.insert(contact, Contact::default());
        self.open_outbox(contact, invitation, now);
    }

    /// Sends the next message to an established contact: its number, counted from 0.
    pub fn send(&mut self, contact: ContactNo, length: u32, now: u64) -> u32 {
        self.send_next(contact, |number| Content::Message { number, length }, now)
    }

    fn send_next(&mut self, contact: ContactNo, what: impl FnOnce(u32) -> Content, now: u64) -> u32 {
        let Some(known) = self.contacts.get_mut(&contact) else { return 0 };
        let number = known.next;
        known.next += 1;
        self.post(contact, what(number), now);
        number
    }

    /// The device has lost its network, or the app was ended: every session is gone.
    pub fn go_offline(&mut self, now: u64) {
        self.online = false;
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.output.push_back(Output::Close(link));
            self.link_closed(link, now);
        }
        self.timers.retain(|(_, timer), ()| !matches!(timer, Timer::Reconnect(_)));
        self.failed.clear();
    }

    /// The network is back: queues are subscribed to again, and what waits is sent.
    pub fn go_online(&mut self, now: u64) {
        self.online = true;
        let queues = self.inboxes.iter().map(|((router, _), contact)| (*router, self.owner(*contact)));
        let peers: BTreeSet<Peer> = queues.chain(self.wanted.keys().copied()).collect();
        for peer in peers {
            self.connect_if_needed(peer, now);
        }
        for contact in self.contacts.keys().copied().collect::<Vec<_>>() {
            self.pump(contact, now);
        }
    }

    /// From now on PINGs are sent although they are only to be counted (`sent`), as something may happen to sessions that nobody
    /// would notice without, or are counted again. Those that would have been sent until now are noted.
    pub fn send_pings(&mut self, sent: bool, now: u64) {
        self.count_pings(now);
        self.sends_pings = sent || !self.config.count_pings;
        if self.sends_pings {
            for link in self.links.keys().copied().collect::<Vec<_>>() {
                self.look_after(link, now);
            }
        }
    }

    /// Notes the PINGs that would have been sent until now and were not noted yet.
    pub fn count_pings(&mut self, now: u64) {
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.count_silence(link, now);
        }
    }

    /// Who shares the sessions of this contact.
    fn owner(&self, contact: ContactNo) -> Option<ContactNo> {
        match self.config.isolation {
            Isolation::Profile => None,
            Isolation::Contact => Some(contact),
        }
    }

    fn note(&mut self, noted: Noted) {
        self.output.push_back(Output::Noted(noted));
    }

    fn fail(&mut self, contact: ContactNo, failure: Failure) {
        self.output.push_back(Output::Failed(contact, failure));
    }

    /// Both ends can send now.
    fn establish(&mut self, contact: ContactNo, now: u64) {
        let Some(known) = self.contacts.get_mut(&contact) else { return };
        if !std::mem::replace(&mut known.established, true) {
            let group = known.group;
            self.output.push_back(Output::Established(contact));
            if let Some(group) = group {
                self.member_connected(group, contact, now);
            }
        }
    }
}
