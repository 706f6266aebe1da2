use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;

use super::{Ask, Errand, ErrandError, Step, Told, accepted};
use crate::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use crate::crypto::{CryptoError, SharedSecret};
use crate::smp::client::ClientMutant;
use crate::smp::command::{Command, NewQueue};
use crate::smp::envelope::{Envelope, MessageBody};
use crate::smp::response::{QueueIds, Response};
use crate::smp::version::{Layout, NewForm};
use crate::wire::{CLIENT_VERSIONS, EntityId, MsgId, QueueAddress, QueueMode, RouterAddress};

/// Makes a queue for one sender, subscribes to it, shows its address and then every message, and acknowledges it. At the
/// end the queue is deleted.
#[derive(Debug)]
pub struct Receive {
    router: RouterAddress,
    auth_key: AuthSecretKey,
    /// Between the router and this client.
    router_dh: X25519Secret,
    /// The secret key to the one in the queue's address.
    dh_key: X25519Secret,
    queue: Option<OwnQueue>,
    /// How many messages it ends after.
    count: Option<u64>,
    received: u64,
    next: Next,
    told: VecDeque<Told>,
    version: u16,
    wrong: Option<ClientMutant>,
}

/// What the recipient learns of its queue.
#[derive(Debug)]
struct OwnQueue {
    id: EntityId,
    sender_id: EntityId,
    router_secret: SharedSecret,
    /// Between the sender and this client, from the confirmation on.
    sender_secret: Option<SharedSecret>,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    New,
    Wait,
    Ack(MsgId),
    Delete,
    Done,
}

impl Receive {
    /// Receives `count` messages, or without end. `router` is the address that messages are to be sent to, with the
    /// password that makes queues; `rng` makes the keys.
    pub fn new(router: RouterAddress, count: Option<u64>, rng: &mut ChaCha20Rng) -> Self {
        Self {
            router,
            auth_key: AuthSecretKey::generate(KeyType::Ed25519, rng),
            router_dh: X25519Secret::generate(rng),
            dh_key: X25519Secret::generate(rng),
            queue: None,
            count,
            received: 0,
            next: Next::New,
            told: VecDeque::new(),
            version: 0,
            wrong: None,
        }
    }

    /// A deliberately wrong one, for tests of what finds wrong clients.
    #[must_use]
    pub fn mutated(self, mutant: ClientMutant) -> Self {
        Self { wrong: Some(mutant), ..self }
    }

    /// How many messages came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Ends: deletes the queue next.
    pub fn finish(&mut self) {
        self.next = Next::Delete;
    }

    fn is(&self, mutant: ClientMutant) -> bool {
        self.wrong == Some(mutant)
    }

    fn created(&mut self, ids: QueueIds) {
        let QueueIds { recipient, sender, dh_key, .. } = ids;
        // Before that version nothing tells the router that the sender may secure the queue.
        let secures = Layout::of(self.version).new > NewForm::Letter;
        self.told.push_back(Told::Address(Box::new(QueueAddress {
            router: self.router.public(),
            sender_id: if self.is(ClientMutant::ShowsRecipientId) {
                recipient.clone()
            } else {
                sender.clone()
            },
            versions: CLIENT_VERSIONS,
            dh_key: self.dh_key.public(),
            mode: secures.then_some(QueueMode::Messaging),
        })));
        let router_secret = self.router_dh.dh(&dh_key);
        let queue = OwnQueue { id: recipient, sender_id: sender, router_secret, sender_secret: None };
        self.queue = Some(queue);
        self.next = Next::Wait;
    }

    /// Takes a message: shows it, and decides what comes next.
    fn message(&mut self, id: MsgId, sealed: &[u8]) {
        let told = self.read(&id, sealed).unwrap_or_else(|error| Some(Told::Unreadable(error)));
        // A message that can't be read counts: it arrived. A confirmation and the router's marker don't.
        self.received += u64::from(matches!(told, Some(Told::Message(_) | Told::Unreadable(_))));
        self.told.extend(told);
        self.next = if self.count.is_some_and(|count| self.received >= count) {
            // DEL drops it: no need to acknowledge the last one.
            Next::Delete
        } else if self.is(ClientMutant::NoAck) {
            Next::Wait
        } else {
            Next::Ack(id)
        };
    }

    /// What a message says; nothing to show of an empty confirmation.
    fn read(&mut self, id: &MsgId, sealed: &[u8]) -> Result<Option<Told>, CryptoError> {
        let Some(queue) = &mut self.queue else { return Ok(None) };
        let body = match MessageBody::open(&queue.router_secret, id, sealed) {
            Ok(MessageBody::Message { body, .. }) => body,
            Ok(MessageBody::Quota { .. }) if self.wrong == Some(ClientMutant::QuotaAsMessage) => {
                return Ok(Some(Told::Message(b"QUOTA".to_vec())));
            }
            Ok(MessageBody::Quota { .. }) => return Ok(Some(Told::Full)),
            Err(_) if self.wrong == Some(ClientMutant::UnreadableShown) => {
                return Ok(Some(Told::Message(sealed.iter().take(16).copied().collect())));
            }
            Err(error) => return Err(error),
        };
        let envelope = Envelope::decode(&body)?;
        let offered = envelope.key.map(|key| self.dh_key.dh(&key));
        let secret = offered.as_ref().or(queue.sender_secret.as_ref()).ok_or(CryptoError::Box)?;
        let message = envelope.open(secret)?;
        let confirmation = offered.is_some();
        if confirmation {
            queue.sender_secret = offered;
        }
        Ok((!confirmation || !message.body.is_empty()).then_some(Told::Message(message.body)))
    }

    fn ask(&self, entity: EntityId, command: Command) -> Step {
        let key = Some(self.auth_key.clone());
        Step::Ask(Box::new(Ask { relay: None, entity, command, key }))
    }
}

impl Errand for Receive {
    fn next(&mut self, version: u16) -> Result<Step, ErrandError> {
        self.version = version;
        let id = self.queue.as_ref().map(|queue| queue.id.clone()).unwrap_or(EntityId::EMPTY);
        Ok(match &self.next {
            Next::New => {
                let new = NewQueue {
                    password: self.router.password.clone(),
                    ..NewQueue::messaging(self.auth_key.public(), self.router_dh.public())
                };
                self.ask(EntityId::EMPTY, Command::New(Box::new(new)))
            }
            Next::Wait => Step::Wait,
            Next::Ack(message) => {
                let entity = match &self.queue {
                    Some(queue) if self.is(ClientMutant::AckBySenderId) => queue.sender_id.clone(),
                    _ => id,
                };
                self.ask(entity, Command::Ack(message.clone()))
            }
            Next::Delete => self.ask(id, Command::Del),
            Next::Done => Step::Done,
        })
    }

    fn answer(&mut self, answer: Response, _unix_seconds: u64) -> Result<(), ErrandError> {
        match (std::mem::replace(&mut self.next, Next::Wait), accepted(answer)?) {
            (Next::New, Response::Ids(ids)) => self.created(*ids),
            (Next::Ack(_), Response::Ok) => {}
            // The answer to an acknowledgement may bring the next message (RC-31).
            (Next::Ack(_), Response::Msg { id, body }) => self.message(id, &body),
            (Next::Delete, Response::Ok) => self.next = Next::Done,
            _ => return Err(ErrandError::Unexpected),
        }
        Ok(())
    }

    fn event(&mut self, entity: &EntityId, event: Response) -> Result<(), ErrandError> {
        let any = self.is(ClientMutant::EventsOfAnyQueue);
        if !self.queue.as_ref().is_some_and(|queue| any || queue.id == *entity) {
            return Ok(());
        }
        match event {
            Response::Msg { id, body } => self.message(id, &body),
            Response::End | Response::Deld => return Err(ErrandError::Ended),
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }
}
