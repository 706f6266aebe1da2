//! Users' agents: what they want is done over connections, and what comes from there they are told.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use sxlab_protocol::agent::{Agent, AgentConfig, Answer, Delivery, LinkNo, Output, Request, RequestNo};
use sxlab_protocol::crypto::keys::{AuthPublicKey, X25519Public};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::semantic::{Asked, Told};
use sxlab_protocol::smp::version::{Layout, MAX};
use sxlab_protocol::transport::first_block;
use sxlab_protocol::wire::{CorrId, EntityId};

use super::Simulation;
use super::connections::{Client, ConnectionNo};
use super::content;
use super::heap::Event;
use crate::engine::picker::Picker;
use crate::network::{Place, RouterIdx, UserIdx};
use crate::population::ConversationId;
use crate::seed::Streams;
use crate::selection::{Policy, UserRouters};

const LAYOUT: Layout = Layout::of(MAX);

/// Bytes of an Ed25519 signature and of an authenticator.
const SIGNATURE: u8 = 64;
const AUTHENTICATOR: u8 = 80;

/// A user.
pub(super) struct User {
    place: Place,
    agent: Agent<Picker>,
    links: BTreeMap<LinkNo, ConnectionNo>,
}

/// When a user's agent wants its timeout. Apart from the user, as most timers come to nothing and what they say is all that is
/// read then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    /// When it is to be woken.
    wanted: Option<u64>,
    /// When the heap wakes it next: not later than it wants.
    set: Option<u64>,
}

impl User {
    pub(super) fn new(
        user: UserIdx,
        place: Place,
        config: AgentConfig,
        policy: Policy,
        lists: Rc<UserRouters>,
        streams: &Streams,
    ) -> Self {
        let agent = Agent::new(config, Picker::new(user, policy, lists, streams));
        Self { place, agent, links: BTreeMap::new() }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

impl Simulation<'_> {
    fn user(&mut self, user: UserIdx) -> Option<&mut User> {
        self.users.get_mut(user.index())
    }

    /// The network address that routers see. Tor's is nobody's own.
    pub(super) fn user_address(&mut self, user: UserIdx) -> String {
        let Some(known) = self.plan.population.user(user) else { return String::new() };
        let address = known.address(user);
        if !known.tor {
            self.ledger.address_used(&address, user);
        }
        address
    }

    /// Has a user's agent do something, and does what it wants.
    pub(super) fn with_agent(&mut self, user: UserIdx, act: impl FnOnce(&mut Agent<Picker>, u64)) {
        let now = self.now;
        let Some(known) = self.user(user) else { return };
        act(&mut known.agent, now);
        while let Some(output) = self.user(user).and_then(|known| known.agent.poll()) {
            self.output(user, output);
        }
        let wanted = self.user(user).and_then(|known| known.agent.next_timeout());
        if let Some(alarm) = self.alarms.get_mut(user.index()) {
            alarm.wanted = wanted;
        }
        self.set_alarm(user);
    }

    /// Has a user woken when it wants to be, unless it is woken earlier.
    fn set_alarm(&mut self, user: UserIdx) {
        let now = self.now;
        let Some(alarm) = self.alarms.get_mut(user.index()) else { return };
        let Some(due) = alarm.wanted else { return };
        if alarm.set.is_none_or(|set| due < set) {
            alarm.set = Some(due.max(now));
            // Most wait for as long as an answer may take.
            match due.saturating_sub(now) {
                wait if wait == self.scenario.client.request_timeout_ns => {
                    self.heap.push_after(now, wait, Event::UserTimer(user));
                }
                wait => self.heap.push(now + wait, Event::UserTimer(user)),
            }
        }
    }

    pub(super) fn user_timer(&mut self, user: UserIdx) {
        let now = self.now;
        let Some(alarm) = self.alarms.get_mut(user.index()).filter(|alarm| alarm.set == Some(now)) else {
            return;
        };
        alarm.set = None;
        match alarm.wanted {
            Some(wanted) if wanted <= now => self.with_agent(user, |agent, now| agent.timeout(now)),
            _ => self.set_alarm(user),
        }
    }

    fn output(&mut self, user: UserIdx, output: Output) {
        match output {
            Output::Connect { link, router } => {
                let connection = self.connect(Client::User(user, link), RouterIdx(router.0));
                if let Some(known) = self.user(user) {
                    known.links.insert(link, connection);
                }
                self.ledger.counts.sessions += 1;
            }
            Output::Close(link) => {
                if let Some(connection) = self.user(user).and_then(|known| known.links.remove(&link)) {
                    self.close_by_client(connection);
                }
            }
            Output::Ask { link, requests } => self.ask(user, link, requests),
            Output::Invitation(contact, address) => {
                self.heap.push(self.now, Event::Join(ConversationId(contact.0), Box::new(address)));
            }
            Output::Call { call, what, .. } => self.happened_to_call(user, call, what),
            Output::AddressMade { contact, address, .. } => self.address_made(contact, &address),
            Output::Failed(contact, failure) => {
                let text = format!("user {} with conversation {}: {failure}", user.0, contact.0);
                self.failure.get_or_insert(text);
            }
            told => {
                if let Output::Established(contact) = told {
                    self.customer_connected(user, contact);
                }
                self.ledger.told(user, &self.plan.population, told, self.now);
            }
        }
    }

    /// Makes the commands of requests.
    fn ask(&mut self, user: UserIdx, link: LinkNo, requests: Vec<(RequestNo, Request)>) {
        let Some(number) = self.user(user).and_then(|known| known.links.get(&link).copied()) else { return };
        let mut asked = Vec::with_capacity(requests.len());
        for (request, what) in requests {
            let corr = CorrId::from(self.random_id::<24>());
            let command = self.command(&corr, what);
            if let Some(connection) = self.connections.get_mut(number) {
                connection.pending.push_back((corr, request));
            }
            asked.push(command);
        }
        match self.unsent.iter_mut().find(|(connection, _)| *connection == number) {
            Some((_, unsent)) => unsent.append(&mut asked),
            None => self.unsent.push((number, asked)),
        }
    }

    /// Puts what was asked for at the same time into as few blocks as it fits into.
    pub(super) fn write_asked(&mut self) {
        for (number, mut asked) in std::mem::take(&mut self.unsent) {
            while !asked.is_empty() {
                if asked.len() == 1 {
                    // One fits always, and mostly there is one: its size need not be known.
                    self.send_asked(number, std::mem::take(&mut asked));
                    break;
                }
                let count = first_block(asked.iter().map(|asked| asked.size(&LAYOUT)));
                let rest = asked.split_off(count.clamp(1, asked.len()));
                self.send_asked(number, std::mem::replace(&mut asked, rest));
            }
        }
    }

    fn command(&mut self, corr: &CorrId, request: Request) -> Asked {
        let key = self.key;
        let (entity, authorization, command) = match request {
            Request::New => {
                let new = NewQueue::messaging(AuthPublicKey::X25519(key), key);
                (EntityId::EMPTY, SIGNATURE, Command::New(Box::new(new)))
            }
            Request::NewAddress => {
                let new = NewQueue::contact(AuthPublicKey::X25519(key), key);
                (EntityId::EMPTY, SIGNATURE, Command::New(Box::new(new)))
            }
            Request::Subscribe(queue) => (queue, SIGNATURE, Command::Sub),
            Request::Acknowledge(queue, id) => (queue, SIGNATURE, Command::Ack(id)),
            Request::Key(queue) => (queue, SIGNATURE, Command::Key(AuthPublicKey::X25519(key))),
            Request::Delete(queue) => (queue, SIGNATURE, Command::Del),
            Request::Ping => (EntityId::EMPTY, 0, Command::Ping),
            Request::Relay(router) => {
                let address = self.routers.get(router.0 as usize).map(|site| site.address.clone());
                match address {
                    Some(router) => (EntityId::EMPTY, 0, Command::Prxy { router, password: None }),
                    None => (EntityId::EMPTY, 0, Command::Ping),
                }
            }
            Request::Secure { relay, to } => {
                let command = Command::SKey(AuthPublicKey::X25519(key));
                return to_sender(key, corr, relay, to.sender, (AUTHENTICATOR, command));
            }
            Request::Send { relay, to, content, .. } => {
                let body = content::seal(&content);
                let flags = MsgFlags { notification: true };
                let authorization = if content.is_authorized() { AUTHENTICATOR } else { 0 };
                let command = Command::Send { flags, body };
                return to_sender(key, corr, relay, to.sender, (authorization, command));
            }
        };
        Asked { corr: corr.clone(), entity, authorization, command }
    }

    /// The router's hello came.
    pub(super) fn greeted(&mut self, number: ConnectionNo) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let router = connection.router;
        match connection.client {
            Client::User(user, link) => self.with_agent(user, |agent, now| agent.connected(link, now)),
            Client::Proxy(proxy, session) => self.relay_greeted(proxy, session, router),
        }
    }

    /// A block of responses came.
    pub(super) fn told(&mut self, number: ConnectionNo, told: Vec<Told>) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let (user, link) = match connection.client {
            Client::User(user, link) => (user, link),
            Client::Proxy(proxy, session) => return self.relay_told(proxy, session, told),
        };
        for Told { corr, entity, response } in told {
            let pending = self.connections.get_mut(number).and_then(|connection| {
                let place = connection.pending.iter().position(|(asked, _)| *asked == corr)?;
                let pending = connection.pending.remove(place);
                if connection.pending.is_empty() {
                    connection.pending = VecDeque::new();
                }
                pending
            });
            match (pending, response) {
                (Some((_, request)), response) => match answer(response) {
                    Some(answer) => {
                        self.with_agent(user, |agent, now| agent.answered(link, request, answer, now));
                    }
                    None => {
                        self.failure.get_or_insert(format!("user {} got what does not parse", user.0));
                    }
                },
                (None, Response::Msg { id, body }) => {
                    if let Some(content) = content::open(&body) {
                        let delivery = Delivery { id, content };
                        self.with_agent(user, |agent, now| agent.message(link, entity, delivery, now));
                    }
                }
                (None, _) => {}
            }
        }
    }

    /// The router of a client's session is gone, or could not be reached.
    pub(super) fn client_lost(&mut self, number: ConnectionNo) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let greeted = connection.session.is_some();
        match connection.client {
            Client::User(user, link) => {
                if let Some(known) = self.user(user) {
                    known.links.remove(&link);
                }
                self.with_agent(user, |agent, now| agent.link_closed(link, now));
            }
            Client::Proxy(proxy, session) => self.relay_lost(proxy, session, greeted),
        }
    }
}

/// A sender's command for a queue: to its router itself, or in PFWD for the router behind the proxy.
fn to_sender(
    key: X25519Public,
    corr: &CorrId,
    relay: Option<EntityId>,
    entity: EntityId,
    (authorization, command): (u8, Command),
) -> Asked {
    let inner = Asked { corr: corr.clone(), entity, authorization, command };
    let Some(relay) = relay else { return inner };
    let sealed = inner.inside(&LAYOUT).unwrap_or_default();
    let command = Command::Pfwd { version: MAX, key, sealed };
    Asked { corr: corr.clone(), entity: relay, authorization: 0, command }
}

/// What a response answers; nothing if it does not parse.
fn answer(response: Response) -> Option<Answer> {
    Some(match response {
        Response::Ids(ids) => Answer::Made { recipient: ids.recipient, sender: ids.sender },
        Response::Msg { id, body } => Answer::Next(Delivery { id, content: content::open(&body)? }),
        Response::Pkey { session, .. } => Answer::Relay(session),
        Response::Pres { sealed } => return answer(Response::decode(&sealed, &LAYOUT).ok()?),
        Response::Err(error) => Answer::Refused(error),
        _ => Answer::Done,
    })
}
