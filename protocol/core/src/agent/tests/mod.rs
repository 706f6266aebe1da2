//! Agents on a small network of this module's own: routers that do as they should or not, as a test says, 10 ms away.
//!
//! What agents do is compared as lines such as `1 r3 SEND r1 Accept`: agent 1 asks router 3 to forward to a queue on router 1.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod business;
mod calls;
mod groups;
mod offline;
mod rotation;
mod sending;
mod sessions;
mod setting_up;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::smp::error::ProxyError;

pub(super) const MS: u64 = 1_000_000;
const HOP: u64 = 10 * MS;

pub(super) fn router(number: u32) -> RouterNo {
    RouterNo(number)
}

/// Takes the routers of its lists in their order: queues on the first that is not in use, proxies one after the other.
#[derive(Debug)]
pub(super) struct InOrder {
    storage: Vec<u32>,
    proxies: Vec<u32>,
    picked: usize,
}

impl Choose for InOrder {
    fn storage(&mut self, _: ContactNo, used: Option<RouterNo>) -> Option<RouterNo> {
        self.storage.iter().map(|number| RouterNo(*number)).find(|router| Some(*router) != used)
    }

    fn next_storage(&mut self, _: ContactNo, used: &[RouterNo]) -> Option<RouterNo> {
        self.storage.iter().map(|number| RouterNo(*number)).find(|router| !used.contains(router))
    }

    fn proxy(&mut self, _: RouterNo, _: Option<ContactNo>) -> Option<RouterNo> {
        let proxy = self.proxies.get(self.picked % self.proxies.len().max(1)).map(|number| RouterNo(*number));
        self.picked += 1;
        proxy
    }
}

/// Something on its way.
#[derive(Debug)]
enum Step {
    Connected(usize, LinkNo),
    Refused(usize, LinkNo),
    Closed(usize, LinkNo),
    Asked(usize, LinkNo, Vec<(RequestNo, Request)>),
    Answered(usize, LinkNo, RequestNo, Answer),
    Delivered(usize, LinkNo, EntityId, Delivery),
}

#[derive(Debug, Default)]
struct Queue {
    router: u32,
    waiting: VecDeque<(MsgId, Option<Content>)>,
    subscriber: Option<(usize, LinkNo)>,
    /// The first message was delivered and waits for its ACK.
    delivered: bool,
    full: bool,
}

/// What a router does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Does and answers them.
    Right,
    /// Does them, but the answer is lost.
    AnswerLost,
    /// Never gets them.
    Lost,
}

pub(super) struct Net {
    pub(super) agents: Vec<Agent<InOrder>>,
    pub(super) now: u64,
    /// What was asked for.
    pub(super) lines: Vec<String>,
    /// When each was.
    pub(super) times: Vec<u64>,
    /// What agents told their users.
    pub(super) told: Vec<(usize, Output)>,
    /// Sizes of the batches of SUB.
    pub(super) batches: Vec<usize>,
    /// Routers that nobody can connect to.
    pub(super) down: BTreeSet<u32>,
    /// Routers that proxies cannot reach.
    pub(super) unreachable: BTreeSet<u32>,
    /// What becomes of requests whose line contains this.
    pub(super) fates: Vec<(&'static str, Fate)>,
    /// Which agent gets invitations that go outside of the network.
    pub(super) invited: usize,
    /// Messages that queues hold.
    pub(super) quota: usize,
    steps: BTreeMap<(u64, u64), Step>,
    order: u64,
    links: BTreeMap<(usize, LinkNo), u32>,
    /// By number: its recipient id is this number, its sender id the same plus 128.
    queues: BTreeMap<u32, Queue>,
    made: u32,
    secured: BTreeSet<u32>,
    messages: u64,
}

fn recipient(number: u32) -> EntityId {
    EntityId::new(&number.to_be_bytes()).unwrap()
}

fn sender(number: u32) -> EntityId {
    EntityId::new(&(number | 1 << 31).to_be_bytes()).unwrap()
}

fn number(entity: &EntityId) -> u32 {
    u32::from_be_bytes(entity.as_bytes().try_into().unwrap()) & !(1 << 31)
}

pub(super) const CONTACT: ContactNo = ContactNo(0);

impl Net {
    /// Two agents. Agent 0 receives on router 1, agent 1 on router 2; both have routers 3, 4 and 5 as proxies.
    pub(super) fn new(config: &AgentConfig) -> Self {
        let agent = |storage: [u32; 2]| {
            let choose = InOrder { storage: storage.to_vec(), proxies: vec![3, 4, 5], picked: 0 };
            Agent::new(config.clone(), choose)
        };
        Self {
            agents: vec![agent([1, 2]), agent([2, 1])],
            now: 0,
            lines: Vec::new(),
            times: Vec::new(),
            told: Vec::new(),
            batches: Vec::new(),
            down: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            fates: Vec::new(),
            invited: 1,
            quota: 128,
            steps: BTreeMap::new(),
            order: 0,
            links: BTreeMap::new(),
            queues: BTreeMap::new(),
            made: 0,
            secured: BTreeSet::new(),
            messages: 0,
        }
    }

    /// The same with contact 0 set up, and nothing of that in the lines.
    pub(super) fn connected(config: &AgentConfig) -> Self {
        let mut net = Self::new(config);
        net.act(0, |agent, now| agent.invite(CONTACT, now));
        net.run_for(SECOND);
        assert_eq!(net.established(), [0, 1]);
        net.forget();
        net
    }

    pub(super) fn forget(&mut self) {
        self.lines.clear();
        self.times.clear();
        self.told.clear();
        self.batches.clear();
    }

    /// Agents that told that they can send, in order.
    pub(super) fn established(&self) -> Vec<usize> {
        let told = self.told.iter().filter(|(_, told)| matches!(told, Output::Established(_)));
        let mut agents: Vec<usize> = told.map(|(agent, _)| *agent).collect();
        agents.sort_unstable();
        agents
    }

    /// Numbers of the messages that an agent received, as they came.
    pub(super) fn received(&self, by: usize) -> Vec<u32> {
        let told = self.told.iter().filter(|(agent, _)| *agent == by);
        told.filter_map(|(_, told)| match told {
            Output::Received { number, .. } => Some(*number),
            _ => None,
        })
        .collect()
    }

    /// How often this was noted.
    pub(super) fn noted(&self, what: Noted) -> usize {
        self.told.iter().filter(|(_, told)| *told == Output::Noted(what)).count()
    }

    /// What failed.
    pub(super) fn failures(&self) -> Vec<&Failure> {
        let told = self.told.iter();
        told.filter_map(|(_, told)| match told {
            Output::Failed(_, failure) => Some(failure),
            _ => None,
        })
        .collect()
    }

    /// When what was asked for with this in its line, in milliseconds.
    pub(super) fn times_of(&self, what: &str) -> Vec<u64> {
        let lines = self.lines.iter().zip(&self.times);
        lines.filter(|(line, _)| line.contains(what)).map(|(_, at)| at / MS).collect()
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.times_of(what).len()
    }

    pub(super) fn act(&mut self, agent: usize, act: impl FnOnce(&mut Agent<InOrder>, u64)) {
        let now = self.now;
        act(&mut self.agents[agent], now);
        while let Some(output) = self.agents[agent].poll() {
            self.output(agent, output);
        }
    }

    /// Sends a message.
    pub(super) fn send(&mut self, agent: usize, number: u32) {
        self.act(agent, |agent, now| assert_eq!(agent.send(CONTACT, 100, now), number));
    }

    fn line(&mut self, line: String) {
        self.lines.push(line);
        self.times.push(self.now);
    }

    fn put(&mut self, after: u64, step: Step) {
        self.order += 1;
        self.steps.insert((self.now + after, self.order), step);
    }

    fn output(&mut self, agent: usize, output: Output) {
        match output {
            Output::Connect { link, router } => {
                self.line(format!("{agent} r{} connect", router.0));
                if self.fate(&format!("{agent} r{} connect", router.0)) != Fate::Right {
                    return;
                }
                if self.down.contains(&router.0) {
                    return self.put(HOP, Step::Refused(agent, link));
                }
                self.links.insert((agent, link), router.0);
                self.put(2 * HOP, Step::Connected(agent, link));
            }
            Output::Close(link) => {
                if let Some(router) = self.links.remove(&(agent, link)) {
                    self.line(format!("{agent} r{router} close"));
                }
            }
            Output::Ask { link, requests } => {
                let subs =
                    requests.iter().filter(|(_, request)| matches!(request, Request::Subscribe(_))).count();
                self.batches.extend(Some(subs).filter(|subs| *subs > 0));
                self.put(HOP, Step::Asked(agent, link, requests));
            }
            Output::Invitation(contact, address) => {
                self.act(self.invited, |agent, now| agent.join(contact, address, now));
            }
            told => self.told.push((agent, told)),
        }
    }

    fn fate(&self, line: &str) -> Fate {
        self.fates.iter().find(|(what, _)| line.contains(what)).map_or(Fate::Right, |(_, fate)| *fate)
    }

    /// A router stops: its sessions end, and nobody can connect.
    pub(super) fn stop(&mut self, router: u32) {
        self.down.insert(router);
        let gone: Vec<_> =
            self.links.iter().filter(|(_, to)| **to == router).map(|(link, _)| *link).collect();
        for (agent, link) in gone {
            self.links.remove(&(agent, link));
            self.put(HOP, Step::Closed(agent, link));
        }
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, time: u64) {
        let end = self.now + time;
        loop {
            let step = self.steps.keys().next().map(|(at, _)| *at);
            let timeout = self.agents.iter().filter_map(Agent::next_timeout).min();
            let Some(next) = step.into_iter().chain(timeout).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if step == Some(next) {
                let (_, step) = self.steps.pop_first().unwrap();
                self.step(step);
            } else {
                for agent in 0..self.agents.len() {
                    if self.agents[agent].next_timeout().is_some_and(|at| at <= self.now) {
                        self.act(agent, |agent, now| agent.timeout(now));
                    }
                }
            }
        }
        self.now = end;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connected(agent, link) => self.act(agent, |agent, now| agent.connected(link, now)),
            Step::Refused(agent, link) | Step::Closed(agent, link) => {
                self.act(agent, |agent, now| agent.link_closed(link, now));
            }
            Step::Asked(agent, link, requests) => {
                let Some(router) = self.links.get(&(agent, link)).copied() else { return };
                for (number, request) in requests {
                    let line = format!("{agent} r{router} {}", text(&request));
                    let fate = self.fate(&line);
                    self.line(line);
                    if fate == Fate::Lost {
                        continue;
                    }
                    let answer = self.answer((agent, link), router, request);
                    if fate == Fate::Right {
                        self.put(HOP, Step::Answered(agent, link, number, answer));
                    }
                }
            }
            Step::Answered(agent, link, number, answer) => {
                if self.links.contains_key(&(agent, link)) {
                    self.act(agent, |agent, now| agent.answered(link, number, answer, now));
                }
            }
            Step::Delivered(agent, link, queue, delivery) => {
                if self.links.contains_key(&(agent, link)) {
                    self.act(agent, |agent, now| agent.message(link, queue, delivery, now));
                }
            }
        }
    }

    /// What a router does.
    fn answer(&mut self, from: (usize, LinkNo), router: u32, request: Request) -> Answer {
        match request {
            Request::New | Request::NewAddress => {
                self.made += 1;
                let number = self.made;
                if request == Request::NewAddress {
                    self.secured.insert(number);
                }
                self.queues.insert(number, Queue { router, subscriber: Some(from), ..Queue::default() });
                Answer::Made { recipient: recipient(number), sender: sender(number) }
            }
            Request::Subscribe(queue) => {
                let Some(known) = self.queues.get_mut(&number(&queue)).filter(|queue| queue.router == router)
                else {
                    return Answer::Refused(SmpError::Auth);
                };
                known.subscriber = Some(from);
                known.delivered = false;
                // The message that waits comes by itself (RC-13).
                if let Some(delivery) = self.deliver(number(&queue)) {
                    self.put(HOP, Step::Delivered(from.0, from.1, queue, delivery));
                }
                Answer::Done
            }
            Request::Acknowledge(queue, id) => {
                let Some(known) = self.queues.get_mut(&number(&queue)) else {
                    return Answer::Refused(SmpError::Auth);
                };
                if known.delivered && known.waiting.front().is_some_and(|(first, _)| *first == id) {
                    known.waiting.pop_front();
                    known.delivered = false;
                }
                if known.waiting.is_empty() && std::mem::take(&mut known.full) {
                    self.messages += 1;
                    let id = MsgId::new(&self.messages.to_be_bytes()).unwrap();
                    self.queues.get_mut(&number(&queue)).unwrap().waiting.push_back((id, None));
                }
                self.deliver(number(&queue)).map_or(Answer::Done, Answer::Next)
            }
            Request::Ping => Answer::Done,
            Request::Key(queue) => {
                self.secured.insert(number(&queue));
                Answer::Done
            }
            Request::Delete(queue) => {
                self.queues.remove(&number(&queue)).map_or(Answer::Refused(SmpError::Auth), |_| Answer::Done)
            }
            Request::Relay(to) if self.unreachable.contains(&to.0) => {
                Answer::Refused(SmpError::Proxy(ProxyError::NoSession))
            }
            Request::Relay(to) => Answer::Relay(recipient(to.0)),
            Request::Secure { to, .. } => {
                self.secured.insert(number(&to.sender));
                Answer::Done
            }
            Request::Send { to, content, .. } => {
                let queue = number(&to.sender);
                if !self.secured.contains(&queue) {
                    return Answer::Refused(SmpError::Auth);
                }
                self.messages += 1;
                let id = MsgId::new(&self.messages.to_be_bytes()).unwrap();
                let Some(known) = self.queues.get_mut(&queue) else {
                    return Answer::Refused(SmpError::Auth);
                };
                if known.full || known.waiting.len() >= self.quota {
                    known.full = true;
                    return Answer::Refused(SmpError::Quota);
                }
                known.waiting.push_back((id, Some(content)));
                if let Some((agent, link)) = known.subscriber
                    && let Some(delivery) = self.deliver(queue)
                {
                    self.put(HOP, Step::Delivered(agent, link, recipient(queue), delivery));
                }
                Answer::Done
            }
        }
    }

    /// The queue's first message, unless it is delivered already.
    fn deliver(&mut self, queue: u32) -> Option<Delivery> {
        let queue = self.queues.get_mut(&queue)?;
        if queue.delivered || !queue.subscriber.is_some_and(|link| self.links.contains_key(&link)) {
            return None;
        }
        let (id, content) = queue.waiting.front()?.clone();
        queue.delivered = true;
        Some(Delivery { id, content })
    }
}

fn text(request: &Request) -> String {
    match request {
        Request::New => "NEW".to_owned(),
        Request::NewAddress => "NEW address".to_owned(),
        Request::Subscribe(_) => "SUB".to_owned(),
        Request::Acknowledge(..) => "ACK".to_owned(),
        Request::Ping => "PING".to_owned(),
        Request::Key(_) => "KEY".to_owned(),
        Request::Delete(_) => "DEL".to_owned(),
        Request::Relay(to) => format!("PRXY r{}", to.0),
        Request::Secure { to, .. } => format!("SKEY r{}", to.router.0),
        Request::Send { to, content, .. } => {
            let content = match content {
                Content::Join(_) => "Join".to_owned(),
                Content::Message { number, .. } => format!("Message {number}"),
                Content::Rotation(what) => match **what {
                    Rotation::Add(_) => "Add".to_owned(),
                    Rotation::Key(_) => "Key".to_owned(),
                    Rotation::Use(_) => "Use".to_owned(),
                    Rotation::Test(number) => format!("Test {number}"),
                },
                Content::Customer(_) => "Customer".to_owned(),
                content => format!("{content:?}"),
            };
            format!("SEND r{} {content}", to.router.0)
        }
    }
}
