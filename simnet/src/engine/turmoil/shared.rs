//! What the parties of one run share: the plan, the network's addresses, and what is written down about the run. None of
//! it is a way for one simulated party to learn from another, but for the invitation that a conversation starts with: that
//! travels outside of the network.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use rand_core::Rng;
use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::agent::CallNo;
use sxlab_protocol::observe::Sight;
use sxlab_protocol::wire::{EntityId, Host, QueueAddress, RouterAddress};
use tokio::sync::{oneshot, watch};

use super::super::{Counts, EPOCH_NS, EngineError, PORT};
use crate::network::{Place, RegionIdx, RouterIdx, UserIdx};
use crate::observe::{LinkSight, Log, Vantage, VantageId, VantageKind};
use crate::population::{Conversation, ConversationId};
use crate::scenario::Scenario;
use crate::seed::Streams;
use crate::selection::{Policy, UserRouters, single_router};
use crate::truth::{
    AddressUse, Delivery, LaterQueue, MessageKey, SentMessage, TrueCall, TrueConversation, TrueQueue, Truth,
};
use crate::workload::{Call, Plan};

pub(super) struct Shared {
    pub(super) scenario: Scenario,
    pub(super) plan: Plan,
    pub(super) policy: Policy,
    pub(super) streams: Streams,
    single: Option<UserRouters>,
    identities: Vec<Rc<RouterIdentity>>,
    addresses: Vec<RouterAddress>,
    invitations: RefCell<Vec<Invitation>>,
    connections: RefCell<BTreeMap<SocketAddr, (String, Place)>>,
    begin_groups: watch::Sender<Option<u64>>,
    begin: watch::Sender<Option<u64>>,
    sides_established: Cell<usize>,
    failure: RefCell<Option<String>>,
    log: RefCell<Log>,
    links: RefCell<BTreeMap<(Place, Place), VantageId>>,
    written: RefCell<Written>,
    counts: Cell<Counts>,
    /// Held by each who is about to take a call.
    ringing: Rc<()>,
}

/// The way of one invitation.
struct Invitation {
    give: Option<oneshot::Sender<QueueAddress>>,
    take: Option<oneshot::Receiver<QueueAddress>>,
}

/// The truth as it is written down.
#[derive(Default)]
struct Written {
    conversations: Vec<(Option<TrueQueue>, Option<TrueQueue>)>,
    later: BTreeMap<(ConversationId, bool), (Vec<TrueQueue>, usize)>,
    sent: BTreeMap<MessageKey, SentMessage>,
    deliveries: Vec<Delivery>,
    addresses: BTreeMap<String, UserIdx>,
    calls: BTreeMap<CallNo, TrueCall>,
}

impl Shared {
    pub(super) fn new(
        log: Log,
        scenario: &Scenario,
        plan: &Plan,
        policy: Policy,
        streams: &Streams,
    ) -> Result<Rc<Self>, EngineError> {
        let mut identities = Vec::new();
        let mut addresses = Vec::new();
        for (_, router) in scenario.network.iter() {
            let mut rng = streams.key_stream(&format!("{}/identity", router.name));
            let identity = RouterIdentity::mint(&router.name, &mut rng)
                .map_err(|error| EngineError::Identity { router: router.name.clone(), error })?;
            let host: Host = router
                .name
                .parse()
                .map_err(|_| EngineError::Network(format!("{} is no host name", router.name)))?;
            addresses.push(RouterAddress {
                hosts: vec![host],
                port: Some(PORT),
                identity: identity.identity_hash(),
                password: None,
            });
            identities.push(Rc::new(identity));
        }
        let single = match policy {
            Policy::Single => {
                single_router(&scenario.network, streams).map(|r| UserRouters::single(&scenario.network, r))
            }
            _ => None,
        };
        let conversations = plan.population.conversations.len();
        let invitations = (0..conversations)
            .map(|_| {
                let (give, take) = oneshot::channel();
                Invitation { give: Some(give), take: Some(take) }
            })
            .collect();
        Ok(Rc::new(Self {
            scenario: scenario.clone(),
            plan: plan.clone(),
            policy,
            streams: *streams,
            single,
            identities,
            addresses,
            invitations: RefCell::new(invitations),
            connections: RefCell::default(),
            begin_groups: watch::Sender::new(None),
            begin: watch::Sender::new(None),
            sides_established: Cell::new(0),
            failure: RefCell::default(),
            log: RefCell::new(log),
            links: RefCell::default(),
            written: RefCell::new(Written {
                conversations: vec![(None, None); conversations],
                ..Written::default()
            }),
            counts: Cell::default(),
            ringing: Rc::new(()),
        }))
    }

    /// The routers that a user's client picks from.
    pub(super) fn routers_of(&self, user: UserIdx) -> UserRouters {
        let own = self.plan.population.user(user).map(|user| user.routers.clone()).unwrap_or_default();
        self.single.clone().unwrap_or(own)
    }

    pub(super) fn identity(&self, router: RouterIdx) -> Option<Rc<RouterIdentity>> {
        self.identities.get(router.index()).cloned()
    }

    pub(super) fn address(&self, router: RouterIdx) -> Option<RouterAddress> {
        self.addresses.get(router.index()).cloned()
    }

    /// The router that an address names.
    pub(super) fn router_of(&self, address: &RouterAddress) -> Option<RouterIdx> {
        self.addresses.iter().position(|known| known.identity == address.identity).map(RouterIdx::from)
    }

    /// The network address and place of a router's host.
    pub(super) fn router_at(&self, host: &str) -> Option<(String, Place)> {
        let router = self.scenario.network.router_named(host)?;
        Some((host.to_owned(), Place::Router(router)))
    }

    pub(super) fn add_connection(&self, local: SocketAddr, address: &str, place: Place) {
        self.connections.borrow_mut().insert(local, (address.to_owned(), place));
    }

    /// Whose connection comes from this socket: its network address and place.
    pub(super) fn connection(&self, peer: SocketAddr) -> Option<(String, Place)> {
        self.connections.borrow().get(&peer).cloned()
    }

    /// The network address that routers see of a user. Tor's is nobody's own.
    pub(super) fn user_address(&self, user: UserIdx) -> String {
        let Some(known) = self.plan.population.user(user) else { return String::new() };
        let address = known.address(user);
        if !known.tor {
            self.written.borrow_mut().addresses.insert(address.clone(), user);
        }
        address
    }

    pub(super) fn invite(&self, conversation: ConversationId, address: QueueAddress) {
        let give = self.invitations.borrow_mut().get_mut(conversation.index()).and_then(|i| i.give.take());
        if let Some(give) = give {
            let _ = give.send(address);
        }
    }

    pub(super) fn invitation(&self, conversation: ConversationId) -> Option<oneshot::Receiver<QueueAddress>> {
        self.invitations.borrow_mut().get_mut(conversation.index()).and_then(|i| i.take.take())
    }

    pub(super) fn begin_groups(&self, now: u64) {
        self.begin_groups.send_replace(Some(now));
    }

    /// When groups are to be made, once all contacts are set up.
    pub(super) async fn groups_begun(&self) -> Option<u64> {
        let mut begin = self.begin_groups.subscribe();
        begin.wait_for(Option::is_some).await.ok().and_then(|begun| *begun)
    }

    pub(super) fn begin_sending(&self, now: u64) {
        self.begin.send_replace(Some(now));
    }

    /// When the sending phase began, once it did.
    pub(super) async fn sending_begun(&self) -> Option<u64> {
        let mut begin = self.begin.subscribe();
        begin.wait_for(Option::is_some).await.ok().and_then(|begun| *begun)
    }

    pub(super) fn established(&self) -> usize {
        self.sides_established.get() / 2
    }

    pub(super) fn delivered(&self) -> usize {
        self.written.borrow().deliveries.len()
    }

    /// Whether every planned message was accepted by a router and has arrived, and nobody is about to take a call.
    pub(super) fn is_settled(&self) -> bool {
        let written = self.written.borrow();
        let accepted = written.sent.values().filter(|sent| sent.proxy.is_some()).count();
        let messages = self.counts.get().messages(&self.plan);
        accepted == messages
            && Rc::strong_count(&self.ringing) == 1
            && self.established() == self.plan.population.conversations.len()
            && written.deliveries.len() >= messages
    }

    /// Records what no client should meet; the run ends with it.
    pub(super) fn fail(&self, what: String) {
        self.failure.borrow_mut().get_or_insert(what);
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        add(&mut counts);
        self.counts.set(counts);
    }

    pub(super) fn router_saw(&self, now: u64, router: RouterIdx, sight: Sight) {
        let mut log = self.log.borrow_mut();
        if let Some(vantage) = log.router(router) {
            log.push(now.saturating_sub(EPOCH_NS), vantage, sight);
        }
    }

    pub(super) fn link_saw(
        &self,
        now: u64,
        (from, to): (Place, Place),
        sender: &str,
        receiver: &str,
        bytes: usize,
    ) {
        let ends = (from.min(to), from.max(to));
        let mut log = self.log.borrow_mut();
        let vantage = *self.links.borrow_mut().entry(ends).or_insert_with(|| {
            let name = format!("{}|{}", self.place_name(ends.0), self.place_name(ends.1));
            log.add_vantage(Vantage { name, kind: VantageKind::Link(ends.0, ends.1) })
        });
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        log.push(now, vantage, LinkSight { from: sender.to_owned(), to: receiver.to_owned(), bytes: size });
        self.count(|counts| {
            counts.link_writes += 1;
            counts.link_bytes += u64::from(size);
        });
    }

    fn place_name(&self, place: Place) -> String {
        let region =
            |region: RegionIdx| self.scenario.regions.get(region.index()).map_or("?", String::as_str);
        match place {
            Place::Region(of) => region(of).to_owned(),
            Place::Tor(of) => format!("{}, tor", region(of)),
            Place::Router(router) => {
                self.scenario.network.router(router).map_or("?", |r| r.name.as_str()).to_owned()
            }
        }
    }

    pub(super) fn queue_made(
        &self,
        conversation: &Conversation,
        for_a: bool,
        router: RouterIdx,
        recipient_id: EntityId,
        sender_id: EntityId,
    ) {
        let queue = TrueQueue { router, recipient_id, sender_id, proxies: Vec::new() };
        let Written { conversations, later, .. } = &mut *self.written.borrow_mut();
        if let Some((to_a, to_b)) = conversations.get_mut(conversation.id.index()) {
            let place = if for_a { to_a } else { to_b };
            if place.is_some() {
                later.entry((conversation.id, for_a)).or_default().0.push(queue);
            } else {
                *place = Some(queue);
            }
        }
    }

    pub(super) fn proxy_used(&self, conversation: ConversationId, from_a: bool, proxy: RouterIdx) {
        let mut written = self.written.borrow_mut();
        let Written { conversations, later, .. } = &mut *written;
        let Some((to_a, to_b)) = conversations.get_mut(conversation.index()) else { return };
        let later = later.get_mut(&(conversation, !from_a));
        let later = later.and_then(|(later, used)| later.get_mut(used.checked_sub(1)?));
        if let Some(queue) = later.or(if from_a { to_b.as_mut() } else { to_a.as_mut() })
            && !queue.proxies.contains(&proxy)
        {
            queue.proxies.push(proxy);
        }
    }

    /// A conversation's sender sends to the next queue from now on.
    pub(super) fn queue_switched(&self, conversation: ConversationId, from_a: bool) {
        self.written.borrow_mut().later.entry((conversation, !from_a)).or_default().1 += 1;
    }

    /// One of a conversation's sides can send.
    pub(super) fn side_established(&self) {
        self.sides_established.set(self.sides_established.get() + 1);
    }

    pub(super) fn message_taken(&self, key: MessageKey, at_ns: u64) {
        let sent = SentMessage { key, at_ns, proxy: None };
        if self.written.borrow_mut().sent.insert(key, sent).is_some() {
            self.fail(format!("{key} was planned twice"));
        }
    }

    pub(super) fn message_accepted(&self, key: MessageKey, proxy: RouterIdx) {
        if let Some(sent) = self.written.borrow_mut().sent.get_mut(&key) {
            sent.proxy = Some(proxy);
        }
    }

    pub(super) fn message_received(&self, key: MessageKey, at_ns: u64) {
        let mut written = self.written.borrow_mut();
        let sent_at_ns = written.sent.get(&key).map(|sent| sent.at_ns);
        if sent_at_ns.is_none() && self.plan.population.group_of(key.conversation).is_some() {
            // Sent to a group before its new member was invited, and passed on to that one too.
            drop(written);
            return self.count(|counts| counts.history += 1);
        }
        let sent_at_ns = sent_at_ns.unwrap_or(at_ns);
        written.deliveries.push(Delivery { key, sent_at_ns, received_at_ns: at_ns });
    }

    pub(super) fn call_begun(&self, number: CallNo, call: &Call, begun_at_ns: u64) {
        let Call { conversation, from_a, .. } = *call;
        let call = TrueCall { begun_at_ns, conversation, from_a, set_up_at_ns: None };
        self.written.borrow_mut().calls.insert(number, call);
        self.count(|counts| counts.calls += 1);
    }

    pub(super) fn call_set_up(&self, number: CallNo, at_ns: u64) {
        if let Some(call) = self.written.borrow_mut().calls.get_mut(&number) {
            call.set_up_at_ns = Some(at_ns);
        }
    }

    /// Somebody is about to take a call, as long as this is held.
    pub(super) fn rings(&self) -> Rc<()> {
        Rc::clone(&self.ringing)
    }

    /// What a body must be: known to both ends of a conversation, and to nobody between.
    pub(super) fn body(&self, key: MessageKey, length: u32) -> Vec<u8> {
        let mut body = vec![0; length as usize];
        let name = format!("body/{}/{}/{}", key.conversation.0, key.from_a, key.seq);
        self.streams.stream(&name).fill_bytes(&mut body);
        body
    }

    /// The run's log, truth and counts. The log is left empty.
    pub(super) fn take_results(&self) -> (Log, Truth, Counts) {
        let written = std::mem::take(&mut *self.written.borrow_mut());
        let none = || TrueQueue {
            router: RouterIdx(u32::MAX),
            recipient_id: EntityId::EMPTY,
            sender_id: EntityId::EMPTY,
            proxies: Vec::new(),
        };
        let conversations = self
            .plan
            .population
            .conversations
            .iter()
            .zip(written.conversations)
            .map(|(conversation, (to_a, to_b))| TrueConversation {
                id: conversation.id,
                a: conversation.a,
                b: conversation.b,
                to_a: to_a.unwrap_or_else(none),
                to_b: to_b.unwrap_or_else(none),
            })
            .collect();
        let later = written.later.into_iter().flat_map(|((conversation, to_a), (queues, _))| {
            queues.into_iter().map(move |queue| LaterQueue { conversation, to_a, queue })
        });
        let truth = Truth {
            conversations,
            later_queues: later.collect(),
            addresses: written
                .addresses
                .into_iter()
                .map(|(address, user)| AddressUse { at_ns: 0, address, user })
                .collect(),
            sent: written.sent.into_values().collect(),
            deliveries: written.deliveries,
            calls: written.calls.into_values().collect(),
        };
        (self.log.take(), truth, self.counts.get())
    }
}
