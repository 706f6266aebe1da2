//! A user's client: sessions with routers, subscriptions that come back after a break, and sending through proxies.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rand_chacha::{ChaCha8Rng, ChaCha20Rng};
use sxlab_node::client::{Event, Session, SessionError};
use sxlab_node::world::World;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::smp::error::{ProxyError, SmpError};
use sxlab_protocol::smp::forward::Relay;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::{CLIENT_VERSIONS, EntityId, MsgId, QueueAddress, QueueMode};
use tokio::sync::{Mutex, mpsc};

use super::super::SETUP_SPREAD_NS;
use super::conversation::{Content, Inbox, Outbox, Side};
use super::shared::Shared;
use super::world::{SimWorld, elapsed};
use crate::network::{Place, RouterIdx, UserIdx};
use crate::population::Conversation;
use crate::seed::below;
use crate::selection::{ProxyChoices, UserRouters, pick};
use crate::truth::MessageKey;
use crate::workload::Send;

const SECOND: u64 = 1_000_000_000;

/// How long a client waits for an answer.
const TIMEOUT: u64 = 15 * SECOND;

/// How often an idle session is tried with PING, so that a connection that died silently is noticed.
const PING_INTERVAL: u64 = 30 * SECOND;

/// The first and the longest wait before a failed step is tried again.
const BACKOFF: (u64, u64) = (SECOND, 10 * SECOND);

/// A user's client. Clones are the same client.
#[derive(Clone)]
pub(super) struct Agent {
    inner: Rc<Inner>,
}

struct Inner {
    user: UserIdx,
    world: SimWorld,
    shared: Rc<Shared>,
    routers: UserRouters,
    slots: RefCell<BTreeMap<RouterIdx, Rc<Slot>>>,
    /// By router and recipient id.
    inboxes: RefCell<BTreeMap<(RouterIdx, EntityId), Receiving>>,
    proxies: RefCell<ProxyChoices>,
    /// Picks routers. Its own stream: whatever else happens, the same user picks in the same order.
    picks: RefCell<ChaCha8Rng>,
    /// Makes keys and nonces.
    keys: RefCell<ChaCha20Rng>,
}

/// A side of a conversation, and the queue that it receives on.
type Receiving = (Rc<Side>, Rc<Inbox>);

/// The session with one router, and the relays behind it.
#[derive(Default)]
struct Slot {
    session: Mutex<Option<Session<SimWorld>>>,
    relays: Mutex<BTreeMap<RouterIdx, Relay>>,
}

impl Agent {
    pub(super) fn new(shared: Rc<Shared>, user: UserIdx, place: Place) -> Self {
        let name = format!("user/{}", user.0);
        let address = shared.user_address(user);
        let inner = Inner {
            user,
            world: SimWorld::new(Rc::clone(&shared), place, &name, &address),
            routers: shared.routers_of(user),
            slots: RefCell::default(),
            inboxes: RefCell::default(),
            proxies: RefCell::default(),
            picks: RefCell::new(shared.streams.stream(&format!("{name}/picks"))),
            keys: RefCell::new(shared.streams.key_stream(&format!("{name}/keys"))),
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
        for conversation in &self.inner.shared.plan.population.conversations {
            for is_a in [true, false] {
                if conversation.ends(is_a).0 == self.inner.user {
                    let due = sends.remove(&(conversation.id, is_a)).unwrap_or_default();
                    let (agent, conversation) = (self.clone(), *conversation);
                    self.inner.world.spawn(async move { agent.converse(conversation, is_a, due).await });
                }
            }
        }
    }

    async fn converse(&self, conversation: Conversation, is_a: bool, sends: Vec<Send>) {
        let side = Rc::new(Side {
            conversation,
            is_a,
            outbox: RefCell::default(),
            due: Default::default(),
            confirmed: Default::default(),
        });
        let spread = {
            let name = format!("conversation/{}/spread", conversation.id.0);
            below(&mut self.inner.shared.streams.stream(&name), SETUP_SPREAD_NS)
        };
        self.inner.world.sleep(spread).await;
        if is_a {
            let address = self.make_queue(&side, None).await;
            self.inner.shared.invite(conversation.id, address);
        } else {
            self.join(&side).await;
        }
        let Some(begun) = self.inner.shared.sending_begun().await else { return };
        for send in sends {
            let at = begun + send.at_ns;
            self.inner.world.sleep(at.saturating_sub(elapsed())).await;
            self.send_message(&side, &send).await;
        }
    }

    /// Makes the queue that a side receives on and returns its address. `used` is the connection's other queue's router.
    async fn make_queue(&self, side: &Rc<Side>, used: Option<RouterIdx>) -> QueueAddress {
        let used: Vec<_> = used.into_iter().collect();
        let policy = self.inner.shared.policy;
        loop {
            let router =
                pick(policy, &self.inner.routers.storage, &used, &mut *self.inner.picks.borrow_mut());
            let made = match router {
                Some(router) => self.new_queue(side, router).await.map(|address| (router, address)),
                None => return self.give_up("has no router to make a queue on").await,
            };
            match made {
                Ok((_, address)) => return address,
                Err(error) if error.is_temporary() => self.inner.world.sleep(BACKOFF.0).await,
                Err(error) => return self.give_up(&format!("can't make a queue: {error}")).await,
            }
        }
    }

    /// Ends the run with what went wrong; never returns.
    async fn give_up<T>(&self, what: &str) -> T {
        self.inner.shared.fail(format!("user {} {what}", self.inner.user.0));
        std::future::pending().await
    }

    async fn new_queue(&self, side: &Rc<Side>, router: RouterIdx) -> Result<QueueAddress, SessionError> {
        let (key, dh, end_key) = {
            let mut rng = self.inner.keys.borrow_mut();
            let key = AuthSecretKey::generate(KeyType::Ed25519, &mut *rng);
            (key, X25519Secret::generate(&mut *rng), X25519Secret::generate(&mut *rng))
        };
        let new = NewQueue::messaging(key.public(), dh.public());
        let session = self.session(router).await?;
        let command = Command::New(Box::new(new));
        let Response::Ids(ids) = session.request(EntityId::EMPTY, &command, Some(&key)).await? else {
            return Err(SessionError::Unexpected);
        };
        let (Some(address), conversation) = (self.inner.shared.address(router), &side.conversation) else {
            return Err(SessionError::Unexpected);
        };
        self.inner.shared.queue_made(
            conversation,
            side.is_a,
            router,
            ids.recipient.clone(),
            ids.sender.clone(),
        );
        let address = QueueAddress {
            router: address,
            sender_id: ids.sender,
            versions: CLIENT_VERSIONS,
            dh_key: end_key.public(),
            mode: Some(QueueMode::Messaging),
        };
        let inbox = Inbox {
            recipient: ids.recipient.clone(),
            key,
            router_secret: dh.dh(&ids.dh_key),
            end_key,
            end_secret: RefCell::default(),
        };
        let mut inboxes = self.inner.inboxes.borrow_mut();
        inboxes.insert((router, ids.recipient), (Rc::clone(side), Rc::new(inbox)));
        Ok(address)
    }

    /// The joiner's part of the set-up.
    async fn join(&self, side: &Rc<Side>) {
        let Some(invitation) = self.inner.shared.invitation(side.conversation.id) else { return };
        let Ok(invitation) = invitation.await else { return };
        let used = self.inner.shared.router_of(&invitation.router);
        self.connect_outbox(side, &invitation).await;
        let reply = self.make_queue(side, used).await;
        self.send_content(side, &Content::Join(Box::new(reply))).await;
    }

    /// Secures the queue of an address and keeps it as what the side sends to.
    async fn connect_outbox(&self, side: &Side, address: &QueueAddress) {
        let Some(router) = self.inner.shared.router_of(&address.router) else {
            return self.give_up("was invited to an unknown router").await;
        };
        let outbox = {
            let mut rng = self.inner.keys.borrow_mut();
            // Senders authorize with deniable authenticators (AU-4).
            let key = AuthSecretKey::generate(KeyType::X25519, &mut *rng);
            let end = X25519Secret::generate(&mut *rng);
            Outbox {
                router,
                sender: address.sender_id.clone(),
                key,
                end_secret: end.dh(&address.dh_key),
                end_public: end.public(),
            }
        };
        let command = Command::SKey(outbox.key.public());
        self.send_through_proxy(side, &outbox, &command).await;
        *side.outbox.borrow_mut() = Some(outbox);
    }

    async fn send_content(&self, side: &Side, content: &Content) -> Option<RouterIdx> {
        let outbox = side.outbox.borrow().clone()?;
        let body = content.seal(&outbox, &mut *self.inner.keys.borrow_mut())?;
        let command = Command::Send { flags: MsgFlags { notification: true }, body };
        Some(self.send_through_proxy(side, &outbox, &command).await)
    }

    async fn send_message(&self, side: &Side, send: &Send) {
        let key = MessageKey { conversation: send.conversation, from_a: send.from_a, seq: send.seq };
        self.inner.shared.message_taken(key, elapsed());
        let body = self.inner.shared.body(key, send.body_len);
        match self.send_content(side, &Content::Message(send.seq, body)).await {
            Some(proxy) => self.inner.shared.message_accepted(key, proxy),
            None => self.give_up(&format!("can't send {key}")).await,
        }
    }

    /// Has a command delivered through the proxy of the destination's session, however often it takes. Returns the proxy
    /// that the command was accepted through.
    async fn send_through_proxy(&self, side: &Side, outbox: &Outbox, command: &Command) -> RouterIdx {
        let (conversation, destination) = (side.conversation.id, outbox.router);
        let mut wait = BACKOFF.0;
        loop {
            let Some(proxy) = self.proxy_for(destination) else {
                return self.give_up("has no proxy to send through").await;
            };
            self.inner.shared.proxy_used(conversation, side.is_a, proxy);
            let error = match self.forward(proxy, outbox, command).await {
                Ok(()) => return proxy,
                Err(error) => error,
            };
            self.inner.shared.count(|counts| counts.repeated_sends += 1);
            if !error.is_temporary() {
                return self.give_up(&format!("was refused: {error}")).await;
            }
            match error {
                SessionError::Router(SmpError::Quota) => {
                    self.inner.shared.count(|counts| counts.quota += 1);
                }
                // The relay's session is gone, the proxy is not: ask it for another.
                SessionError::Router(SmpError::Proxy(ProxyError::NoSession)) => {
                    self.forget_relay(proxy, destination).await;
                    continue;
                }
                // The proxy could not reach the relay: another may.
                SessionError::Router(_) => {
                    self.forget_relay(proxy, destination).await;
                    self.inner.proxies.borrow_mut().session_ended(self.inner.user, destination);
                }
                // With the proxy's session end the choices of all destinations behind it.
                _ => self.inner.proxies.borrow_mut().proxy_session_ended(self.inner.user, proxy),
            }
            let jitter = below(&mut *self.inner.picks.borrow_mut(), wait / 4);
            self.inner.world.sleep(wait + jitter).await;
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    fn proxy_for(&self, destination: RouterIdx) -> Option<RouterIdx> {
        self.inner.proxies.borrow_mut().proxy(
            self.inner.shared.policy,
            self.inner.user,
            &self.inner.routers.proxy,
            destination,
            &mut *self.inner.picks.borrow_mut(),
        )
    }

    async fn forward(
        &self,
        proxy: RouterIdx,
        outbox: &Outbox,
        command: &Command,
    ) -> Result<(), SessionError> {
        let session = self.session(proxy).await?;
        let relay = self.relay(proxy, outbox.router, &session).await?;
        let answer = session.forward(&relay, outbox.sender.clone(), command, Some(&outbox.key)).await;
        if matches!(answer, Err(SessionError::Timeout)) {
            session.close();
        }
        match answer? {
            Response::Ok => Ok(()),
            _ => Err(SessionError::Unexpected),
        }
    }

    fn slot(&self, router: RouterIdx) -> Rc<Slot> {
        Rc::clone(self.inner.slots.borrow_mut().entry(router).or_default())
    }

    async fn relay(
        &self,
        proxy: RouterIdx,
        destination: RouterIdx,
        session: &Session<SimWorld>,
    ) -> Result<Relay, SessionError> {
        let slot = self.slot(proxy);
        let mut relays = slot.relays.lock().await;
        if let Some(relay) = relays.get(&destination) {
            return Ok(relay.clone());
        }
        let address = self.inner.shared.address(destination).ok_or(SessionError::Unexpected)?;
        let relay = session.relay(&address, None).await?;
        relays.insert(destination, relay.clone());
        Ok(relay)
    }

    async fn forget_relay(&self, proxy: RouterIdx, destination: RouterIdx) {
        self.slot(proxy).relays.lock().await.remove(&destination);
    }

    /// The session with a router: the open one, or a new one.
    async fn session(&self, router: RouterIdx) -> Result<Session<SimWorld>, SessionError> {
        let slot = self.slot(router);
        let mut current = slot.session.lock().await;
        if let Some(session) = current.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let address = self.inner.shared.address(router).ok_or(SessionError::Unexpected)?;
        let (session, events) =
            Session::connect(self.inner.world.clone(), &address, SUPPORTED, TIMEOUT).await?;
        self.inner.shared.count(|counts| counts.sessions += 1);
        slot.relays.lock().await.clear();
        *current = Some(session.clone());
        let (agent, listening) = (self.clone(), session.clone());
        self.inner.world.spawn(async move { agent.listen(router, &listening, events).await });
        Ok(session)
    }

    /// Takes a session's events until it ends, then subscribes to its queues again.
    async fn listen(
        &self,
        router: RouterIdx,
        session: &Session<SimWorld>,
        mut events: mpsc::Receiver<Event>,
    ) {
        loop {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                () = self.inner.world.sleep(PING_INTERVAL) => {
                    if session.request(EntityId::EMPTY, &Command::Ping, None).await.is_err() {
                        session.close();
                        break;
                    }
                    continue;
                }
            };
            match event {
                Some((entity, Response::Msg { id, body })) => {
                    let (agent, session) = (self.clone(), session.clone());
                    self.inner.world.spawn(async move {
                        agent.receive(router, &session, entity, id, body).await;
                    });
                }
                Some(_) => {}
                None => break,
            }
        }
        self.subscribe_again(router).await;
    }

    async fn subscribe_again(&self, router: RouterIdx) {
        let inboxes: Vec<Rc<Inbox>> = {
            let inboxes = self.inner.inboxes.borrow();
            inboxes
                .iter()
                .filter(|((at, _), _)| *at == router)
                .map(|(_, (_, inbox))| Rc::clone(inbox))
                .collect()
        };
        if inboxes.is_empty() {
            return;
        }
        self.inner.shared.count(|counts| counts.resubscribed += 1);
        let mut wait = BACKOFF.0;
        loop {
            self.inner.world.sleep(wait).await;
            if self.subscribe(router, &inboxes).await.is_ok() {
                return;
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    async fn subscribe(&self, router: RouterIdx, inboxes: &[Rc<Inbox>]) -> Result<(), SessionError> {
        let session = self.session(router).await?;
        for inbox in inboxes {
            session.request(inbox.recipient.clone(), &Command::Sub, Some(&inbox.key)).await?;
        }
        Ok(())
    }

    /// Takes a message and acknowledges it; the answer may be the next one.
    async fn receive(
        &self,
        router: RouterIdx,
        session: &Session<SimWorld>,
        entity: EntityId,
        mut id: MsgId,
        mut body: Vec<u8>,
    ) {
        loop {
            let found = self.inner.inboxes.borrow().get(&(router, entity.clone())).cloned();
            let Some((side, inbox)) = found else { return };
            match MessageBody::open(&inbox.router_secret, &id, &body) {
                Ok(MessageBody::Message { body, .. }) => self.take(&side, &inbox, &body).await,
                Ok(MessageBody::Quota { .. }) => self.inner.shared.count(|counts| counts.quota += 1),
                Err(error) => {
                    return self.give_up(&format!("got a message that does not decrypt: {error}")).await;
                }
            }
            // Without an answer the message comes again with the next subscription, and is recognised then.
            match session.request(entity.clone(), &Command::Ack(id), Some(&inbox.key)).await {
                Ok(Response::Msg { id: next, body: content }) => (id, body) = (next, content),
                Ok(_) | Err(_) => return,
            }
        }
    }

    async fn take(&self, side: &Rc<Side>, inbox: &Inbox, body: &[u8]) {
        let Some(content) = Content::open(inbox, body) else {
            return self.give_up("got an envelope that does not open").await;
        };
        match content {
            Content::Join(address) => {
                if side.is_a && !side.confirmed.replace(true) {
                    // Confirming takes round trips to other routers; the message is acknowledged meanwhile.
                    let (agent, side) = (self.clone(), Rc::clone(side));
                    self.inner.world.spawn(async move {
                        agent.connect_outbox(&side, &address).await;
                        agent.send_content(&side, &Content::Accept).await;
                    });
                }
            }
            Content::Accept => {
                if !side.is_a && !side.confirmed.replace(true) {
                    self.inner.shared.conversation_established();
                }
            }
            Content::Message(number, body) => {
                let key = MessageKey { conversation: side.conversation.id, from_a: !side.is_a, seq: number };
                let due = side.due.get();
                if number < due {
                    self.inner.shared.count(|counts| counts.duplicates += 1);
                } else if number > due {
                    self.give_up::<()>(&format!("got {key} when #{due} was due")).await;
                } else if body != self.inner.shared.body(key, u32::try_from(body.len()).unwrap_or(u32::MAX)) {
                    self.give_up::<()>(&format!("got {key} with another body than was sent")).await;
                } else {
                    side.due.set(due + 1);
                    self.inner.shared.message_received(key, elapsed());
                }
            }
        }
    }
}
