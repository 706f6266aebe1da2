//! The event engine: the routers' cores at their semantic layer and the agents' cores, on a time-ordered heap.
//!
//! Nothing is encrypted and idle time costs nothing; blocks, their order and what is observed are those of the protocol. The
//! network between is modelled: a block takes its link's latency, a session five of them until it can be used (TCP, TLS 1.3 and
//! the router's hello), and what passes a partition is lost with its connection.
//!
//! | module | what it does |
//! |---|---|
//! | `heap` | what happens when |
//! | `connections` | connecting, closing, partitions, blocks on their way |
//! | `routers` | routers: crashes, what they see and want |
//! | `users` | users' agents: what they want and are told |
//! | `business` | businesses and their customers |
//! | `calls` | users who call and are called |
//! | `wear` | jitter and bandwidth |
//! | `churn` | users who come and go |
//! | `content` | what messages carry |
//! | `ledger` | what really happened |

mod business;
mod calls;
mod churn;
mod connections;
mod content;
mod heap;
mod ledger;
mod routers;
mod users;
mod wear;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use sxlab_protocol::agent::{Address, ContactNo};
use sxlab_protocol::crypto::keys::{X25519Public, X25519Secret};
use sxlab_protocol::smp::semantic::Asked;

use self::churn::Churning;
use self::connections::{ConnectionNo, Connections};
use self::heap::{Event, Heap};
use self::ledger::Ledger;
use self::routers::Site;
use self::users::{Alarm, User};
use super::faults::{FaultStep, Faults};
use super::{EngineError, GRACE_NS, Outcome, Progress, SETUP_LIMIT_NS, finish, setup_spread_ns};
use crate::business::{Connecting, Opening};
use crate::groups::{Joining, When};
use crate::network::{Place, UserIdx};
use crate::observe::{Log, Writer};
use crate::population::ConversationId;
use crate::scenario::Scenario;
use crate::seed::{Streams, below};
use crate::selection::{Policy, UserRouters, single_router};
use crate::workload::Plan;

/// Runs a plan under a policy.
pub(super) fn run(
    log: Log,
    scenario: &Scenario,
    plan: &Plan,
    policy: Policy,
    streams: &Streams,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    Simulation::new(log, scenario, plan, policy, streams)?.run(progress)
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    streams: &'a Streams,
    now: u64,
    heap: Heap,
    routers: Vec<Site>,
    users: Vec<User>,
    /// Of each user.
    alarms: Vec<Alarm>,
    connections: Connections,
    /// Pairs of places between which nothing passes, the smaller first.
    cut: BTreeSet<(Place, Place)>,
    /// Requests of users that go into blocks once everything that happens now has.
    unsent: Vec<(ConnectionNo, Vec<Asked>)>,
    /// Stands for every key, as none is used here.
    key: X25519Public,
    /// Makes correlation ids.
    ids: ChaCha8Rng,
    /// Who is invited to groups, and when.
    joinings: Vec<Joining>,
    /// Businesses, and who connects to them.
    openings: Vec<Opening>,
    connectings: Vec<Connecting>,
    /// When all contacts were set up.
    contacts_until: u64,
    log: Writer,
    ledger: Ledger,
    /// What jitter is drawn from.
    wear: u64,
    churn: Churning,
    failure: Option<String>,
}

impl<'a> Simulation<'a> {
    fn new(
        log: Log,
        scenario: &'a Scenario,
        plan: &'a Plan,
        policy: Policy,
        streams: &'a Streams,
    ) -> Result<Self, EngineError> {
        let routers = scenario.network.iter().map(|(router, _)| Site::new(scenario, streams, router));
        let routers = routers.collect::<Result<Vec<_>, _>>()?;
        let single = match policy {
            Policy::Single => single_router(&scenario.network, streams),
            _ => None,
        };
        let single = single.map(|router| Rc::new(UserRouters::single(&scenario.network, router)));
        let users = plan.population.users.iter().enumerate().map(|(number, user)| {
            let lists = single.clone().unwrap_or_else(|| Rc::new(user.routers.clone()));
            let config = scenario.agent_of(user);
            User::new(UserIdx::from(number), user.place(), config, policy, lists, streams)
        });
        Ok(Self {
            users: users.collect(),
            alarms: vec![Alarm::default(); plan.population.users.len()],
            scenario,
            plan,
            streams,
            now: 0,
            heap: Heap::default(),
            routers,
            connections: Connections::default(),
            cut: BTreeSet::new(),
            unsent: Vec::new(),
            key: X25519Secret::from_bytes([2; 32]).public(),
            ids: streams.stream("correlation"),
            joinings: plan.population.joinings(streams),
            openings: plan.population.openings(streams),
            connectings: plan.population.connectings(streams),
            contacts_until: 0,
            log: Writer::new(log).map_err(EngineError::Thread)?,
            ledger: Ledger::new(&plan.population),
            wear: streams.stream("jitter").next_u64(),
            churn: Churning::default(),
            failure: None,
        })
    }

    fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, EngineError> {
        let plan = self.plan;
        let spread = setup_spread_ns(plan);
        for conversation in plan.population.contacts() {
            let name = format!("conversation/{}/spread", conversation.id.0);
            let at = below(&mut self.streams.stream(&name), spread);
            self.heap.push(at, Event::Invite(conversation.id));
        }
        self.drive(progress, None, plan.population.contacts().len())?;
        for (number, joining) in (0u32..).zip(&self.joinings) {
            if let When::Before(time) = joining.when {
                self.heap.push(self.now + time, Event::JoinGroup(number));
            }
        }
        self.open_addresses();
        self.drive(progress, None, plan.population.before_sending())?;
        let begun = self.now;
        for (number, joining) in (0u32..).zip(&self.joinings) {
            if let When::After(time) = joining.when {
                self.heap.push(begun + time, Event::JoinGroup(number));
            }
        }
        self.rotate_next(begun, 0);
        self.call_next(begun, 0);
        self.begin_churn();
        let all = plan.population.conversations.len();
        self.drive(progress, Some(begun), all)?;
        if self.ledger.established < all {
            let established = self.ledger.established;
            return Err(EngineError::Setup { established, all, after_ns: self.now });
        }
        for user in 0..self.users.len() {
            self.with_agent(UserIdx::from(user), |agent, now| agent.count_pings(now));
        }
        let (truth, counts) = self.ledger.finish(plan);
        finish(plan, self.log.into_log(), truth, counts, (self.now, begun))
    }

    /// Runs until so many conversations are set up, or, with the time when sending began, until everything has arrived.
    fn drive(
        &mut self,
        progress: &mut dyn FnMut(Progress),
        begun: Option<u64>,
        all: usize,
    ) -> Result<(), EngineError> {
        let from = self.now;
        let mut faults = Faults::new(self.scenario);
        let mut sends = self.plan.sends.iter().peekable();
        let mut steps = 0u64;
        loop {
            let over = match begun {
                None => self.ledger.established == all,
                Some(begun) => {
                    let passed = self.now - begun >= self.scenario.duration_ns;
                    let late = self.now - begun > self.scenario.duration_ns.saturating_add(GRACE_NS);
                    let settled = self.ledger.is_settled() && self.ledger.established == all;
                    (passed && faults.is_over() && sends.peek().is_none() && settled) || late
                }
            };
            if steps.is_multiple_of(1 << 16) || over {
                self.log.check()?;
                progress(Progress {
                    established: (self.ledger.established, all),
                    delivered: (self.ledger.delivered(), self.plan.sends.len()),
                    simulated_ns: self.now,
                });
            }
            if over {
                return Ok(());
            }
            steps += 1;
            self.ledger.counts.events += 1;
            if let Some(failure) = self.failure.take() {
                return Err(EngineError::Client(failure));
            }
            if begun.is_none() && self.now - from > SETUP_LIMIT_NS + setup_spread_ns(self.plan) {
                let established = self.ledger.established;
                return Err(EngineError::Setup { established, all, after_ns: self.now });
            }
            // Of what happens at one time faults come first, then sends, then everything else in its order.
            let at = |time: u64| begun.map(|begun| begun + time);
            let fault = faults.next().and_then(at);
            let send = sends.peek().and_then(|send| at(send.at_ns));
            let event = self.heap.next();
            let end = begun.map(|begun| begun.saturating_add(self.scenario.duration_ns));
            let Some(next) =
                [fault, send, event, end.filter(|end| *end > self.now)].into_iter().flatten().min()
            else {
                return self.stalled(begun, all);
            };
            self.now = next;
            if fault == Some(next) {
                if let Some(step) = faults.due(next - begun.unwrap_or(next)) {
                    self.fault(step);
                }
            } else if send == Some(next) {
                // Those to groups come last of the same time, and a message's to all members go together.
                let mut to_groups: BTreeMap<_, (u32, Vec<ContactNo>)> = BTreeMap::new();
                while let Some(send) = sends.next() {
                    let population = &self.plan.population;
                    let Some(conversation) = population.conversation(send.conversation) else { continue };
                    let (from, _) = conversation.ends(send.from_a);
                    let contact = ContactNo(send.conversation.0);
                    let Some(group) = population.group_of(send.conversation) else {
                        let mut number = send.seq;
                        self.with_agent(from, |agent, now| number = agent.send(contact, send.body_len, now));
                        self.ledger.taken(send.conversation, send.from_a, number, next);
                        self.write_asked();
                        break;
                    };
                    self.ledger.taken(send.conversation, send.from_a, send.seq, next);
                    let host = population.host(send.conversation, from).map(|host| ContactNo(host.0));
                    let message = to_groups.entry((from, group.first, host, send.seq)).or_default();
                    message.0 = send.body_len;
                    message.1.push(contact);
                    if sends.peek().is_none_or(|send| at(send.at_ns) != Some(next)) {
                        break;
                    }
                }
                for ((from, _, host, number), (length, to)) in to_groups {
                    self.with_agent(from, |agent, now| agent.send_to_group(host, &to, number, length, now));
                    self.write_asked();
                }
            } else if event == Some(next)
                && let Some(event) = self.heap.pop()
            {
                self.happen(event);
            }
        }
    }

    /// Nothing is left that could happen.
    fn stalled(&self, begun: Option<u64>, all: usize) -> Result<(), EngineError> {
        match begun {
            None => {
                let established = self.ledger.established;
                Err(EngineError::Setup { established, all, after_ns: self.now })
            }
            Some(_) => Ok(()),
        }
    }

    fn happen(&mut self, event: Event) {
        self.begin(event);
        self.write_asked();
    }

    fn begin(&mut self, event: Event) {
        match event {
            Event::Invite(conversation) => {
                let Some(conversation) = self.plan.population.conversation(conversation) else { return };
                let contact = ContactNo(conversation.id.0);
                self.with_agent(conversation.a, |agent, now| agent.invite(contact, now));
            }
            Event::Join(conversation, address) => self.join(conversation, *address),
            Event::Call(number) => self.call(number),
            Event::TakeCall(number) => self.take_call(number),
            Event::Rotate(number) => {
                let Some(rotation) = self.plan.rotations.get(number as usize) else { return };
                let Some(conversation) = self.plan.population.conversation(rotation.conversation) else {
                    return;
                };
                let (_, user) = conversation.ends(!rotation.to_a);
                let contact = ContactNo(rotation.conversation.0);
                self.rotate_next(self.now - rotation.at_ns, number + 1);
                self.with_agent(user, |agent, now| agent.rotate(contact, now));
            }
            Event::JoinGroup(number) => {
                let Some(joining) = self.joinings.get(number as usize).cloned() else { return };
                self.invite_to_group(joining);
            }
            Event::OpenAddress(number) => self.open_address(number),
            Event::Connect(number, address) => self.connect_to_business(number, *address),
            Event::InviteEmployees(user, contact) => {
                for joining in self.plan.population.employees(contact, user) {
                    self.invite_to_group(joining);
                }
            }
            Event::UserTimer(user) => self.user_timer(user),
            Event::RouterTimer(router) => self.router_timer(router),
            Event::Leave(user) => self.leave(user),
            Event::Return(user) => self.come_back(user),
            Event::Quiet if self.cut.is_empty() => self.send_pings(false),
            Event::Quiet => {}
            Event::Network(connection, what) => self.arrive(connection, what),
        }
    }

    /// Has the next queue move when it is time, where sending began at `begun`.
    fn rotate_next(&mut self, begun: u64, number: u32) {
        if let Some(rotation) = self.plan.rotations.get(number as usize) {
            self.heap.push(begun + rotation.at_ns, Event::Rotate(number));
        }
    }

    fn invite_to_group(&mut self, joining: Joining) {
        let Joining { group, owner, via, contact, pairs, .. } = joining;
        self.with_agent(owner, |agent, now| agent.invite_to_group(group, via, contact, &pairs, now));
    }

    fn join(&mut self, conversation: ConversationId, address: Address) {
        let Some(conversation) = self.plan.population.conversation(conversation) else { return };
        let contact = ContactNo(conversation.id.0);
        self.with_agent(conversation.b, |agent, now| agent.join(contact, address, now));
    }

    fn fault(&mut self, step: FaultStep) {
        match step {
            FaultStep::Crash(router) => self.crash(router),
            FaultStep::Start(router) => self.start(router),
            FaultStep::Partition(a, b) => {
                for pair in pairs(&a, &b) {
                    self.cut.insert(pair);
                }
                self.connections.cut(&self.cut);
                self.send_pings(true);
            }
            FaultStep::Repair(a, b) => {
                for pair in pairs(&a, &b) {
                    self.cut.remove(&pair);
                }
                let client = &self.scenario.client;
                let tries =
                    u64::from(client.ping_count) * (client.ping_interval_ns + client.request_timeout_ns);
                // By then every connection that lost something has been given up.
                let noticed = tries.saturating_add(2 * client.recover_window_ns);
                self.heap.push(self.now.saturating_add(noticed), Event::Quiet);
            }
        }
    }

    /// Has every agent send PINGs, or only count them where the scenario says so.
    fn send_pings(&mut self, sent: bool) {
        for user in 0..self.users.len() {
            self.with_agent(UserIdx::from(user), |agent, now| agent.send_pings(sent, now));
        }
    }

    fn is_cut(&self, a: Place, b: Place) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    /// A correlation id, or another that nobody can guess.
    fn random_id<const N: usize>(&mut self) -> [u8; N] {
        let mut id = [0; N];
        self.ids.fill_bytes(&mut id);
        id
    }
}

/// Every pair of a place of one side and another of the other side, the smaller first.
fn pairs(a: &[Place], b: &[Place]) -> Vec<(Place, Place)> {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (*x.min(y), *x.max(y))));
    pairs.filter(|(x, y)| x != y).collect()
}
