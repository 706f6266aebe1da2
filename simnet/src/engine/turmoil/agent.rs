//! A user's client: the agent's core, with what it wants done over sessions with TLS.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sxlab_node::client::{Event, Session, SessionError};
use sxlab_node::world::World;
use sxlab_protocol::agent::{
    Address, Agent, AgentConfig, Answer, CallNo, Calling, ContactNo, Content, Delivery, Grouped, LinkNo,
    Noted, Output, Request, RequestNo, RouterNo,
};
use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::command::{Command, MsgFlags};
use sxlab_protocol::smp::forward::Relay;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::{EntityId, MsgId, QueueAddress, QueueMode};
use tokio::sync::mpsc;

use super::super::picker::Picker;
use super::super::setup_spread_ns;
use super::shared::Shared;
use super::vault::Vault;
use super::world::{SimWorld, elapsed};
use crate::business::Connecting;
use crate::groups::{Joining, When};
use crate::network::{Place, RouterIdx, UserIdx};
use crate::population::{Conversation, ConversationId};
use crate::seed::below;
use crate::truth::MessageKey;
use crate::workload::{Call, Rotation, Send};

/// A user's client. Clones are the same client.
#[derive(Clone)]
pub(super) struct Client {
    inner: Rc<Inner>,
}

struct Inner {
    user: UserIdx,
    world: SimWorld,
    shared: Rc<Shared>,
    core: RefCell<Agent<Picker>>,
    vault: RefCell<Vault>,
    links: RefCell<BTreeMap<LinkNo, Line>>,
    /// The user's own queues' addresses, by sender id.
    own: RefCell<BTreeMap<EntityId, QueueAddress>>,
    /// When the core's next timeout is waited for.
    timer: RefCell<Option<u64>>,
}

/// A link that the agent has: its session once it is open, and the ones behind it.
#[derive(Default)]
struct Line {
    session: Option<Session<SimWorld>>,
    relays: BTreeMap<EntityId, Relay>,
}

impl Client {
    pub(super) fn new(shared: Rc<Shared>, user: UserIdx, place: Place) -> Self {
        let name = format!("user/{}", user.0);
        let address = shared.user_address(user);
        let lists = Rc::new(shared.routers_of(user));
        let config = shared.plan.population.user(user).map(|user| shared.scenario.agent_of(user));
        let picker = Picker::new(user, shared.policy, lists, &shared.streams);
        let inner = Inner {
            user,
            world: SimWorld::new(Rc::clone(&shared), place, &name, &address),
            core: RefCell::new(Agent::new(
                AgentConfig { count_pings: false, ..config.unwrap_or_default() },
                picker,
            )),
            vault: RefCell::new(Vault::new(shared.streams.key_stream(&format!("{name}/keys")))),
            links: RefCell::default(),
            own: RefCell::default(),
            timer: RefCell::default(),
            shared,
        };
        Self { inner: Rc::new(inner) }
    }

    /// Sets up the user's conversations and sends the user's messages, as tasks of the current host.
    pub(super) fn start(&self) {
        let mut sends: BTreeMap<_, Vec<Send>> = BTreeMap::new();
        for send in &self.inner.shared.plan.sends {
            sends.entry((send.conversation, send.from_a)).or_default().push(*send);
        }
        let mut to_groups: BTreeMap<(ConversationId, u32), (Send, Vec<ContactNo>)> = BTreeMap::new();
        let population = &self.inner.shared.plan.population;
        sends.retain(|(conversation, from_a), due| {
            let Some(group) = population.group_of(*conversation) else { return true };
            let known = population.conversation(*conversation);
            if known.is_some_and(|known| known.ends(*from_a).0 == self.inner.user) {
                for send in due {
                    let message = to_groups.entry((group.first, send.seq)).or_insert((*send, Vec::new()));
                    message.1.push(ContactNo(send.conversation.0));
                }
            }
            false
        });
        for rotation in &self.inner.shared.plan.rotations {
            let known = population.conversation(rotation.conversation);
            if known.is_some_and(|known| known.ends(!rotation.to_a).1 == self.inner.user) {
                let (client, rotation) = (self.clone(), *rotation);
                self.inner.world.spawn(async move { client.rotate(rotation).await });
            }
        }
        self.start_calls();
        self.start_businesses();
        self.start_groups(to_groups.into_values().collect());
        for conversation in population.contacts() {
            for is_a in [true, false] {
                if conversation.ends(is_a).0 == self.inner.user {
                    let due = sends.remove(&(conversation.id, is_a)).unwrap_or_default();
                    let (client, conversation) = (self.clone(), *conversation);
                    self.inner.world.spawn(async move { client.converse(conversation, is_a, due).await });
                }
            }
        }
    }

    /// Invites to the groups that are the user's, and sends the user's messages to groups.
    fn start_groups(&self, messages: Vec<(Send, Vec<ContactNo>)>) {
        let shared = &self.inner.shared;
        let mut joinings = shared.plan.population.joinings(&shared.streams);
        joinings.retain(|joining| joining.owner == self.inner.user);
        if !joinings.is_empty() {
            // One after the other, as each names those before it.
            joinings.sort_by_key(|joining| joining.when);
            let client = self.clone();
            self.inner.world.spawn(async move { client.invite_to_groups(joinings).await });
        }
        if !messages.is_empty() {
            let client = self.clone();
            self.inner.world.spawn(async move { client.talk(messages).await });
        }
    }

    async fn rotate(&self, rotation: Rotation) {
        let Some(begun) = self.inner.shared.sending_begun().await else { return };
        self.inner.world.sleep((begun + rotation.at_ns).saturating_sub(elapsed())).await;
        self.act(|agent, now| agent.rotate(ContactNo(rotation.conversation.0), now));
    }

    async fn invite_to_groups(&self, joinings: Vec<Joining>) {
        let shared = &self.inner.shared;
        let Some(groups_begun) = shared.groups_begun().await else { return };
        for Joining { when, group, via, contact, pairs, .. } in joinings {
            let at = match when {
                When::Before(time) => groups_begun + time,
                When::After(time) => {
                    let Some(begun) = shared.sending_begun().await else { return };
                    begun + time
                }
            };
            self.inner.world.sleep(at.saturating_sub(elapsed())).await;
            self.act(|agent, now| agent.invite_to_group(group, via, contact, &pairs, now));
        }
    }

    async fn talk(&self, mut messages: Vec<(Send, Vec<ContactNo>)>) {
        let shared = &self.inner.shared;
        messages.sort_by_key(|(send, _)| send.at_ns);
        let Some(begun) = shared.sending_begun().await else { return };
        for (send, to) in messages {
            let at = begun + send.at_ns;
            self.inner.world.sleep(at.saturating_sub(elapsed())).await;
            for contact in &to {
                shared.message_taken(self.key(*contact, true, send.seq), elapsed());
            }
            let host = shared.plan.population.host(send.conversation, self.inner.user);
            let host = host.map(|host| ContactNo(host.0));
            self.act(|agent, now| agent.send_to_group(host, &to, send.seq, send.body_len, now));
        }
    }

    async fn converse(&self, conversation: Conversation, is_a: bool, sends: Vec<Send>) {
        let shared = &self.inner.shared;
        let contact = ContactNo(conversation.id.0);
        if is_a {
            let name = format!("conversation/{}/spread", conversation.id.0);
            let spread = below(&mut shared.streams.stream(&name), setup_spread_ns(&shared.plan));
            self.inner.world.sleep(spread).await;
            self.act(|agent, now| agent.invite(contact, now));
        } else {
            let Some(invitation) = shared.invitation(conversation.id) else { return };
            let Ok(invitation) = invitation.await else { return };
            let Some(router) = shared.router_of(&invitation.router) else {
                return self.give_up("was invited to an unknown router");
            };
            let address = self.inner.vault.borrow_mut().learn(RouterNo(router.0), invitation);
            self.act(|agent, now| agent.join(contact, address, now));
        }
        let Some(begun) = shared.sending_begun().await else { return };
        for send in sends {
            let at = begun + send.at_ns;
            self.inner.world.sleep(at.saturating_sub(elapsed())).await;
            let number = self.act(|agent, now| agent.send(contact, send.body_len, now));
            shared.message_taken(self.key(contact, true, number), elapsed());
        }
    }

    /// Opens the user's address, if it is a business, and connects to those of others.
    fn start_businesses(&self) {
        let shared = &self.inner.shared;
        let (population, user) = (&shared.plan.population, self.inner.user);
        for opening in population.openings(&shared.streams).into_iter().filter(|opening| opening.user == user)
        {
            let client = self.clone();
            self.inner.world.spawn(async move {
                let Some(begun) = client.inner.shared.groups_begun().await else { return };
                client.inner.world.sleep((begun + opening.after_ns).saturating_sub(elapsed())).await;
                client.act(|agent, now| agent.open_address(opening.address, now));
            });
        }
        for connecting in population.connectings(&shared.streams) {
            if connecting.user == user {
                let client = self.clone();
                self.inner.world.spawn(async move { client.connect_to_business(connecting).await });
            }
        }
    }

    async fn connect_to_business(&self, connecting: Connecting) {
        let shared = &self.inner.shared;
        let Some(address) = shared.invitation(ConversationId(connecting.contact.0)) else { return };
        let Ok(address) = address.await else { return };
        let Some(router) = shared.router_of(&address.router) else {
            return self.give_up("learnt an address on an unknown router");
        };
        let Some(begun) = shared.groups_begun().await else { return };
        self.inner.world.sleep((begun + connecting.after_ns).saturating_sub(elapsed())).await;
        let address = self.inner.vault.borrow_mut().learn(RouterNo(router.0), address);
        let via = (connecting.address, address);
        self.act(|agent, now| agent.contact_business(connecting.group, connecting.contact, via, now));
    }

    /// Begins the user's calls.
    fn start_calls(&self) {
        let shared = &self.inner.shared;
        let population = &shared.plan.population;
        for (number, call) in (0u32..).zip(&shared.plan.calls) {
            let known = population.conversation(call.conversation);
            if known.is_some_and(|known| known.ends(call.from_a).0 == self.inner.user) {
                let (client, call) = (self.clone(), *call);
                self.inner.world.spawn(async move { client.call(CallNo(number), call).await });
            }
        }
    }

    async fn call(&self, number: CallNo, call: Call) {
        let shared = &self.inner.shared;
        let Some(begun) = shared.sending_begun().await else { return };
        self.inner.world.sleep((begun + call.at_ns).saturating_sub(elapsed())).await;
        let contact = ContactNo(call.conversation.0);
        let message = self.act(|agent, now| agent.call(contact, number, now));
        shared.call_begun(number, &call, elapsed());
        shared.message_taken(self.key(contact, true, message), elapsed());
    }

    fn happened_to_call(&self, contact: ContactNo, call: CallNo, what: Calling) {
        let shared = &self.inner.shared;
        shared.count(|counts| counts.happened(what));
        match what {
            Calling::Rings => {
                let planned = shared.plan.calls.get(call.0 as usize);
                let Some(after) = planned.and_then(|planned| planned.taken_after_ns) else { return };
                let ringing = shared.rings();
                let client = self.clone();
                self.inner.world.spawn(async move {
                    client.inner.world.sleep(after).await;
                    client.act(|agent, now| agent.take_call(contact, call, now));
                    drop(ringing);
                });
            }
            Calling::Offered(number) | Calling::Answered(number) => {
                shared.message_taken(self.key(contact, true, number), elapsed());
            }
            Calling::SetUp => shared.call_set_up(call, elapsed()),
            Calling::Lapsed => {}
        }
    }

    /// Which message: one of the user's own, or one from the contact.
    fn key(&self, contact: ContactNo, own: bool, seq: u32) -> MessageKey {
        let id = ConversationId(contact.0);
        let conversation = self.inner.shared.plan.population.conversation(id);
        let is_a = conversation.is_some_and(|conversation| conversation.a == self.inner.user);
        MessageKey { conversation: id, from_a: is_a == own, seq }
    }

    /// Ends the run with what went wrong.
    fn give_up(&self, what: &str) {
        self.inner.shared.fail(format!("user {} {what}", self.inner.user.0));
    }

    /// Has the agent do something, and does what it wants.
    fn act<R>(&self, act: impl FnOnce(&mut Agent<Picker>, u64) -> R) -> R {
        let done = act(&mut self.inner.core.borrow_mut(), elapsed());
        self.serve();
        done
    }

    /// Does what the agent wants, and waits for its next timeout.
    fn serve(&self) {
        loop {
            let output = self.inner.core.borrow_mut().poll();
            let Some(output) = output else { break };
            self.output(output);
        }
        let due = self.inner.core.borrow().next_timeout();
        let Some(due) = due else { return };
        if self.inner.timer.borrow().is_some_and(|timer| timer <= due) {
            return;
        }
        *self.inner.timer.borrow_mut() = Some(due);
        let client = self.clone();
        self.inner.world.spawn(async move {
            client.inner.world.sleep(due.saturating_sub(elapsed())).await;
            // Another may be waited for since.
            if *client.inner.timer.borrow() == Some(due) {
                *client.inner.timer.borrow_mut() = None;
                client.act(|agent, now| agent.timeout(now.max(due)));
            }
        });
    }

    fn output(&self, output: Output) {
        let shared = &self.inner.shared;
        let conversation =
            |contact: ContactNo| shared.plan.population.conversation(ConversationId(contact.0));
        match output {
            Output::Connect { link, router } => {
                self.inner.links.borrow_mut().insert(link, Line::default());
                let client = self.clone();
                self.inner.world.spawn(async move { client.connect(link, RouterIdx(router.0)).await });
            }
            Output::Close(link) => {
                let line = self.inner.links.borrow_mut().remove(&link);
                if let Some(session) = line.and_then(|line| line.session) {
                    session.close();
                }
            }
            Output::Ask { link, requests } => {
                for (number, request) in requests {
                    let client = self.clone();
                    self.inner.world.spawn(async move { client.ask(link, number, request).await });
                }
            }
            Output::Invitation(contact, address) => {
                let own = self.inner.own.borrow().get(&address.sender).cloned();
                if let Some(own) = own {
                    shared.invite(ConversationId(contact.0), own);
                }
            }
            Output::QueueMade { contact, address, recipient } => {
                let router = RouterIdx(address.router.0);
                let (Some(known), Some(conversation)) = (shared.address(router), conversation(contact))
                else {
                    return;
                };
                let sender = address.sender.clone();
                let mut vault = self.inner.vault.borrow_mut();
                let own = vault.assign(&recipient, contact, known, sender.clone(), QueueMode::Messaging);
                if let Some(own) = own {
                    self.inner.own.borrow_mut().insert(sender.clone(), own);
                }
                let for_a = conversation.a == self.inner.user;
                shared.queue_made(conversation, for_a, router, recipient, sender);
            }
            Output::AddressMade { contact, address, recipient } => {
                let Some(known) = shared.address(RouterIdx(address.router.0)) else { return };
                let mut vault = self.inner.vault.borrow_mut();
                let own = vault.assign(&recipient, contact, known, address.sender, QueueMode::Contact);
                for connecting in shared.plan.population.connectings(&shared.streams) {
                    if let Some(own) = own.clone().filter(|_| connecting.address == contact) {
                        shared.invite(ConversationId(connecting.contact.0), own);
                    }
                }
            }
            Output::Established(contact) => {
                shared.side_established();
                for joining in shared.plan.population.employees(contact, self.inner.user) {
                    let Joining { group, via, contact, pairs, .. } = joining;
                    self.act(|agent, now| agent.invite_to_group(group, via, contact, &pairs, now));
                }
            }
            Output::Accepted { contact, number, proxy } => {
                shared.message_accepted(self.key(contact, true, number), RouterIdx(proxy.0));
            }
            Output::Received { contact, number } => {
                shared.message_received(self.key(contact, false, number), elapsed());
            }
            Output::Receipt { .. } => shared.count(|counts| counts.receipts += 1),
            Output::Call { contact, call, what } => self.happened_to_call(contact, call, what),
            Output::Noted(noted) => self.note(noted),
            Output::Failed(contact, failure) => {
                self.give_up(&format!("with conversation {}: {failure}", contact.0));
            }
        }
    }

    fn note(&self, noted: Noted) {
        let shared = &self.inner.shared;
        match noted {
            Noted::Proxy(contact, proxy) => {
                let from_a = self.key(contact, true, 0).from_a;
                shared.proxy_used(ConversationId(contact.0), from_a, RouterIdx(proxy.0));
            }
            Noted::Switched(contact) => {
                let from_a = self.key(contact, true, 0).from_a;
                shared.queue_switched(ConversationId(contact.0), from_a);
            }
            noted => shared.count(|counts| counts.note(noted)),
        }
    }

    async fn connect(&self, link: LinkNo, router: RouterIdx) {
        let shared = &self.inner.shared;
        let Some(address) = shared.address(router) else { return };
        shared.count(|counts| counts.sessions += 1);
        // The agent's own timeouts come first; these are longer.
        let config = shared.scenario.client.agent();
        let patience = 2 * config.connect_timeout.max(config.request_timeout);
        match Session::connect(self.inner.world.clone(), &address, SUPPORTED, patience).await {
            Ok((session, events)) => {
                let wanted = match self.inner.links.borrow_mut().get_mut(&link) {
                    Some(line) => {
                        line.session = Some(session.clone());
                        true
                    }
                    None => false,
                };
                if !wanted {
                    return session.close();
                }
                self.act(|agent, now| agent.connected(link, now));
                self.listen(link, events).await;
                self.closed(link);
            }
            Err(_) => self.closed(link),
        }
    }

    fn closed(&self, link: LinkNo) {
        if self.inner.links.borrow_mut().remove(&link).is_some() {
            self.act(|agent, now| agent.link_closed(link, now));
        }
    }

    /// Takes a session's events until it ends.
    async fn listen(&self, link: LinkNo, mut events: mpsc::Receiver<Event>) {
        while let Some((entity, response)) = events.recv().await {
            if let Response::Msg { id, body } = response
                && let Some(delivery) = self.delivery(&entity, id, &body)
            {
                self.act(|agent, now| agent.message(link, entity, delivery, now));
            }
        }
    }

    /// A message as the agent takes it: decrypted, and compared with what was sent.
    fn delivery(&self, recipient: &EntityId, id: MsgId, body: &[u8]) -> Option<Delivery> {
        let shared = &self.inner.shared;
        let router = |address: &_| shared.router_of(address).map(|router| RouterNo(router.0));
        let opened = self.inner.vault.borrow_mut().open(recipient, &id, body, router);
        let Some(opened) = opened else {
            self.give_up("got a message that does not open");
            return None;
        };
        let Some(opened) = opened else { return Some(Delivery { id, content: None }) };
        if let (Some(contact), Content::Message { number, length }) = (opened.contact, &opened.content) {
            let key = self.key(contact, false, *number);
            if opened.text != shared.body(key, *length) {
                self.give_up(&format!("got {key} with another body than was sent"));
            }
        }
        if let Content::Group(what) = &opened.content
            && let Grouped::Forward(contact, number, length) = **what
        {
            let key = self.key(contact, false, number);
            if opened.text != shared.body(key, length) {
                self.give_up(&format!("was passed {key} with another body than was sent"));
            }
        }
        Some(Delivery { id, content: Some(opened.content) })
    }

    /// Makes a request, and tells the agent what it is answered.
    async fn ask(&self, link: LinkNo, number: RequestNo, request: Request) {
        let session = self.inner.links.borrow().get(&link).and_then(|line| line.session.clone());
        let Some(session) = session else { return };
        let answer = match self.answer(link, &session, request).await {
            Ok(answer) => answer,
            Err(SessionError::Router(error)) => Answer::Refused(error),
            // The session's end, or its silence, is the agent's to notice.
            Err(SessionError::Closed | SessionError::Timeout | SessionError::Tls(_)) => return,
            Err(error) => return self.give_up(&format!("asked in vain: {error}")),
        };
        self.act(|agent, now| agent.answered(link, number, answer, now));
    }

    async fn answer(
        &self,
        link: LinkNo,
        session: &Session<SimWorld>,
        request: Request,
    ) -> Result<Answer, SessionError> {
        let vault = &self.inner.vault;
        match request {
            Request::New | Request::NewAddress => {
                let (new, keys) = vault.borrow_mut().new_queue(request == Request::NewAddress);
                let key = keys.key();
                let command = Command::New(Box::new(new));
                match session.request(EntityId::EMPTY, &command, Some(&key)).await? {
                    Response::Ids(ids) => {
                        vault.borrow_mut().queue_made(&ids, keys);
                        Ok(Answer::Made { recipient: ids.recipient, sender: ids.sender })
                    }
                    _ => Err(SessionError::Unexpected),
                }
            }
            Request::Subscribe(queue) => {
                let key = vault.borrow().recipient_key(&queue);
                session.request(queue, &Command::Sub, key.as_ref()).await?;
                Ok(Answer::Done)
            }
            Request::Acknowledge(queue, id) => {
                let key = vault.borrow().recipient_key(&queue);
                match session.request(queue.clone(), &Command::Ack(id), key.as_ref()).await? {
                    Response::Msg { id, body } => {
                        let delivery = self.delivery(&queue, id, &body);
                        delivery.map(Answer::Next).ok_or(SessionError::Unexpected)
                    }
                    _ => Ok(Answer::Done),
                }
            }
            Request::Key(queue) => {
                let key = vault.borrow().recipient_key(&queue);
                let senders = vault.borrow().key_of_sender(&queue).ok_or(SessionError::Unexpected)?;
                session.request(queue, &Command::Key(senders), key.as_ref()).await?;
                Ok(Answer::Done)
            }
            Request::Delete(queue) => {
                let key = vault.borrow().recipient_key(&queue);
                session.request(queue, &Command::Del, key.as_ref()).await?;
                Ok(Answer::Done)
            }
            Request::Ping => {
                session.request(EntityId::EMPTY, &Command::Ping, None).await?;
                Ok(Answer::Done)
            }
            Request::Relay(router) => {
                let address =
                    self.inner.shared.address(RouterIdx(router.0)).ok_or(SessionError::Unexpected)?;
                let relay = session.relay(&address, None).await?;
                let name = relay.session_entity().map_err(|_| SessionError::Unexpected)?;
                if let Some(line) = self.inner.links.borrow_mut().get_mut(&link) {
                    line.relays.insert(name.clone(), relay);
                }
                Ok(Answer::Relay(name))
            }
            Request::Secure { relay, to } => {
                let key = vault.borrow_mut().sender_key(&to).ok_or(SessionError::Unexpected)?;
                let command = Command::SKey(key.public());
                self.to_sender(link, session, relay, to.sender, &command, Some(&key)).await
            }
            Request::Send { contact, relay, to, content } => {
                let (reply, text) = self.enclosed(contact, &content);
                let body = vault.borrow_mut().seal(&to, &content, reply.as_ref(), &text);
                let key = vault.borrow_mut().sender_key(&to);
                let (Some(body), Some(key)) = (body, key) else { return Err(SessionError::Unexpected) };
                let key = content.is_authorized().then_some(&key);
                let command = Command::Send { flags: MsgFlags { notification: true }, body };
                self.to_sender(link, session, relay, to.sender, &command, key).await
            }
        }
    }

    /// A sender's command for a queue: forwarded, or to its router itself.
    async fn to_sender(
        &self,
        link: LinkNo,
        session: &Session<SimWorld>,
        relay: Option<EntityId>,
        queue: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Answer, SessionError> {
        match relay {
            Some(relay) => {
                let relay = self.relay(link, &relay)?;
                session.forward(&relay, queue, command, key).await?;
            }
            None => {
                session.request(queue, command, key).await?;
            }
        }
        Ok(Answer::Done)
    }

    /// What goes with a content: the address of the reply queue, or the message's text.
    fn enclosed(&self, contact: ContactNo, content: &Content) -> (Option<QueueAddress>, Vec<u8>) {
        match content {
            Content::Join(reply) => (self.known(reply), Vec::new()),
            Content::Customer(who) => (self.known(&who.address), Vec::new()),
            Content::Message { number, length } => {
                (None, self.inner.shared.body(self.key(contact, true, *number), *length))
            }
            Content::Rotation(what) => (what.parts().2.and_then(|address| self.known(address)), Vec::new()),
            Content::Group(what) => {
                let address = what.parts().2.and_then(|address| self.known(address));
                let text = match **what {
                    Grouped::Forward(pair, number, length) => self.passed_on(contact, pair, number, length),
                    _ => Vec::new(),
                };
                (address, text)
            }
            _ => (None, Vec::new()),
        }
    }

    /// An address of the user's own, or one that the user was told.
    fn known(&self, address: &Address) -> Option<QueueAddress> {
        let own = self.inner.own.borrow().get(&address.sender).cloned();
        own.or_else(|| self.inner.vault.borrow().learnt(address))
    }

    /// The text of a message that a group's host passes on: what its sender would have sent to that member itself.
    fn passed_on(&self, to: ContactNo, pair: ContactNo, seq: u32, length: u32) -> Vec<u8> {
        let population = &self.inner.shared.plan.population;
        let known = |contact: ContactNo| population.conversation(ConversationId(contact.0));
        let (Some(to), Some(pair)) = (known(to), known(pair)) else { return Vec::new() };
        let receiver = if to.a == self.inner.user { to.b } else { to.a };
        self.inner.shared.body(MessageKey { conversation: pair.id, from_a: pair.a != receiver, seq }, length)
    }

    fn relay(&self, link: LinkNo, name: &EntityId) -> Result<Relay, SessionError> {
        let links = self.inner.links.borrow();
        links.get(&link).and_then(|line| line.relays.get(name)).cloned().ok_or(SessionError::Closed)
    }
}
