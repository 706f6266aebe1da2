use std::collections::VecDeque;
use std::fmt;

use rand_chacha::ChaCha20Rng;

use super::{Ask, Errand, ErrandError, Step, Told, accepted};
use crate::crypto::boxes::{Nonce, random_nonce};
use crate::crypto::keys::{AuthSecretKey, X25519Secret};
use crate::smp::client::ClientMutant;
use crate::smp::command::{Command, MsgFlags};
use crate::smp::envelope::{ClientMessage, Envelope};
use crate::smp::forward::Relay;
use crate::smp::response::Response;
use crate::smp::version::{Layout, NewForm};
use crate::wire::{EntityId, QueueAddress};

/// How a queue is reached through a proxy.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    /// The proxy's password.
    pub password: Option<String>,
}

/// Secures a queue, confirms, and sends messages one after the other.
#[derive(Debug)]
pub struct Send {
    queue: QueueAddress,
    auth_key: AuthSecretKey,
    forwarding: Option<Forwarding>,
    relay: Option<Relay>,
    /// What is to be sent to the queue, the command that is asked for now first.
    commands: VecDeque<Command>,
    done: usize,
    total: usize,
    wrong: Option<ClientMutant>,
}

impl Send {
    /// Sends `messages`, each of up to 15,997 bytes, to a queue, in the `version` (1 to 4) of the format that sender and
    /// recipient speak. The queue is secured with `auth_key`; `rng` makes all other keys and nonces.
    ///
    /// # Errors
    /// [`ErrandError::Message`] for a message that is too long.
    pub fn new(
        queue: QueueAddress,
        version: u16,
        auth_key: AuthSecretKey,
        messages: impl IntoIterator<Item = Vec<u8>>,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, ErrandError> {
        Self::build(queue, version, auth_key, messages, rng, None)
    }

    /// A deliberately wrong one, for tests of what finds wrong clients.
    ///
    /// # Errors
    /// As [`Send::new`].
    pub fn mutated(
        queue: QueueAddress,
        version: u16,
        auth_key: AuthSecretKey,
        messages: impl IntoIterator<Item = Vec<u8>>,
        rng: &mut ChaCha20Rng,
        mutant: ClientMutant,
    ) -> Result<Self, ErrandError> {
        Self::build(queue, version, auth_key, messages, rng, Some(mutant))
    }

    fn build(
        queue: QueueAddress,
        version: u16,
        auth_key: AuthSecretKey,
        messages: impl IntoIterator<Item = Vec<u8>>,
        rng: &mut ChaCha20Rng,
        wrong: Option<ClientMutant>,
    ) -> Result<Self, ErrandError> {
        let dh_key = X25519Secret::generate(rng);
        let secret = dh_key.dh(&queue.dh_key);
        let sealed = |key, nonce: Nonce, body| {
            let message = ClientMessage { sender_key: None, body };
            let envelope = match wrong {
                None => Envelope::seal(version, key, &secret, nonce, &message)?.encode(),
                Some(mutant) => mutant.envelope((version, key), dh_key.public(), &secret, nonce, &message)?,
            };
            Ok::<_, ErrandError>(Command::Send { flags: MsgFlags::default(), body: envelope })
        };
        let mut commands = VecDeque::from([Command::SKey(auth_key.public())]);
        // The confirmation tells the recipient the key; it says nothing else.
        commands.push_back(sealed(Some(dh_key.public()), random_nonce(rng), Vec::new())?);
        for message in messages {
            commands.push_back(sealed(None, random_nonce(rng), message)?);
        }
        let total = commands.len() - 2;
        Ok(Self { queue, auth_key, forwarding: None, relay: None, commands, done: 0, total, wrong })
    }

    /// Has the session's router forward the commands, as a proxy.
    #[must_use]
    pub fn via(self, forwarding: Forwarding) -> Self {
        Self { forwarding: Some(forwarding), ..self }
    }

    /// How many messages there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// What is being done, for whoever has to say that it failed.
    pub fn doing(&self) -> impl fmt::Display + use<> {
        match (&self.forwarding, &self.relay, self.done) {
            (Some(_), None, _) => "asking the proxy for a session".to_owned(),
            (_, _, 0) => "securing the queue".to_owned(),
            (_, _, 1) => "confirming".to_owned(),
            (_, _, done) => format!("message {} of {}", done - 1, self.total),
        }
    }
}

impl Errand for Send {
    fn next(&mut self, version: u16) -> Result<Step, ErrandError> {
        let Some(command) = self.commands.front() else { return Ok(Step::Done) };
        if self.forwarding.is_some() && self.relay.is_none() {
            let password = self.forwarding.as_ref().and_then(|forwarding| forwarding.password.clone());
            let command = Command::Prxy { router: self.queue.router.clone(), password };
            let ask = Ask { relay: None, entity: EntityId::EMPTY, command, key: None };
            return Ok(Step::Ask(Box::new(ask)));
        }
        let version = self.relay.as_ref().map_or(version, Relay::version);
        if Layout::of(version).new == NewForm::Letter {
            return Err(ErrandError::Version(version));
        }
        Ok(Step::Ask(Box::new(Ask {
            relay: self.relay.clone(),
            entity: self.queue.sender_id.clone(),
            command: command.clone(),
            key: Some(self.auth_key.clone()),
        })))
    }

    fn answer(&mut self, answer: Response, unix_seconds: u64) -> Result<(), ErrandError> {
        let identity = &self.queue.router.identity;
        match (&self.forwarding, &self.relay, accepted(answer)?) {
            (Some(_), None, Response::Pkey { session, versions, chain, signed_key }) => {
                let shown = (&session, versions, &chain, &signed_key);
                self.relay = Some(match self.wrong {
                    None => Relay::verify(&session, versions, &chain, &signed_key, identity, unix_seconds)?,
                    Some(mutant) => mutant.relay(shown, identity, unix_seconds)?,
                });
            }
            (Some(_), None, _) => return Err(ErrandError::Unexpected),
            (_, _, Response::Ok) => {
                self.commands.pop_front();
                self.done += 1;
            }
            _ => return Err(ErrandError::Unexpected),
        }
        Ok(())
    }

    fn event(&mut self, _entity: &EntityId, _event: Response) -> Result<(), ErrandError> {
        Ok(())
    }

    fn told(&mut self) -> Option<Told> {
        None
    }
}
