//! A notification router's session with an SMP router: what [`SmpAsk`] asks becomes NSUB and NSUBS of an SMP client, and what comes
//! back becomes [`SmpTold`].
//!
//! Contract: make one when [`SmpAsk::Connect`] was connected; give it the session's blocks, and what else is asked; after each call
//! write what [`Subscriber::next_block`] gives, and tell the router what [`Subscriber::poll`] gives. After an error, and when the
//! connection ends, the router is to be told [`SmpTold::Lost`].

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;

use super::router::{Answer, SmpAsk, SmpQueue, SmpTold};
use crate::smp::client::{Client, ClientError, ClientEvent};
use crate::smp::command::Command;
use crate::smp::error::{BrokerError, ProxyError, SmpError};
use crate::smp::response::Response;
use crate::smp::semantic;
use crate::smp::version::{Layout, MAX};
use crate::transport::{ClientHandshake, ServiceCredentials, first_block};
use crate::wire::{CorrId, EntityId};

/// One session with an SMP router.
#[derive(Debug)]
pub struct Subscriber {
    client: Client,
    asked: BTreeMap<CorrId, Asked>,
    told: VecDeque<SmpTold>,
}

#[derive(Debug)]
enum Asked {
    Queue(EntityId),
    Service,
    Ping,
}

impl Subscriber {
    /// A session that waits for the SMP router's first block; with credentials, as a service. `rng` makes correlation ids and
    /// session keys.
    #[must_use]
    pub fn new(handshake: ClientHandshake, service: Option<ServiceCredentials>, rng: ChaCha20Rng) -> Self {
        let client = match service {
            Some(credentials) => Client::for_service(handshake, credentials, rng),
            None => Client::new(handshake, rng),
        };
        Self { client, asked: BTreeMap::new(), told: VecDeque::new() }
    }

    /// Takes what the router asks. [`SmpAsk::Connect`] and [`SmpAsk::Disconnect`] are for whoever drives the session.
    ///
    /// # Errors
    /// [`ClientError`]; the session is of no use then.
    pub fn ask(&mut self, asked: SmpAsk) -> Result<(), ClientError> {
        match asked {
            SmpAsk::Connect { .. } | SmpAsk::Disconnect => {}
            SmpAsk::Subscribe(queues) => {
                for queue in queues {
                    let notifier = queue.notifier;
                    let corr = self.client.request(notifier.clone(), &Command::NSub, Some(&queue.key))?;
                    self.asked.insert(corr, Asked::Queue(notifier));
                }
            }
            SmpAsk::SubscribeService(queues) => match self.client.service().cloned() {
                Some(service) => {
                    let corr = self.client.request(service, &Command::NSubs(queues), None)?;
                    self.asked.insert(corr, Asked::Service);
                }
                None => {
                    let none = SmpError::Proxy(ProxyError::Broker(BrokerError::NoService));
                    self.told.push_back(SmpTold::ServiceSubscribed(Err(none)));
                }
            },
        }
        Ok(())
    }

    /// Asks whether the session lives. A session on which nothing is answered has ended, whatever TCP says; the deployed
    /// router asks every minute.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ping(&mut self) -> Result<(), ClientError> {
        let corr = self.client.request(EntityId::EMPTY, &Command::Ping, None)?;
        self.asked.insert(corr, Asked::Ping);
        Ok(())
    }

    /// How many requests have no answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.asked.len()
    }

    /// Takes a block.
    ///
    /// # Errors
    /// [`ClientError`]; the session is dead.
    pub fn block(&mut self, block: &[u8]) -> Result<(), ClientError> {
        self.client.block(block)?;
        while let Some(learnt) = self.client.poll() {
            let told = match learnt {
                ClientEvent::Ready { .. } => {
                    Some(SmpTold::Connected { service: self.client.service().cloned() })
                }
                ClientEvent::Response { corr, response, .. } => match self.asked.remove(&corr) {
                    Some(Asked::Queue(notifier)) => {
                        let answer = match response {
                            Ok(response) => answer(response),
                            Err(error) => Answer::Unexpected(error.to_string()),
                        };
                        Some(SmpTold::Subscribed { notifier, answer })
                    }
                    Some(Asked::Service) => Some(SmpTold::ServiceSubscribed(match response {
                        Ok(Response::Soks(queues)) => Ok(queues),
                        Ok(Response::Err(error)) => Err(error),
                        _ => Err(SmpError::Internal),
                    })),
                    Some(Asked::Ping) | None => None,
                },
                ClientEvent::Event { entity, response } => event(entity, response),
                ClientEvent::Forwarded { .. } => None,
            };
            self.told.extend(told);
        }
        Ok(())
    }

    /// The next block to write.
    pub fn next_block(&mut self) -> Option<Vec<u8>> {
        self.client.next_block()
    }

    /// The next thing to tell the router.
    pub fn poll(&mut self) -> Option<SmpTold> {
        self.told.pop_front()
    }
}

/// What is said to NSUB.
fn answer(response: Response) -> Answer {
    match response {
        Response::Sok { service } => Answer::Subscribed(service),
        Response::Ok => Answer::Subscribed(None),
        Response::Err(error) => Answer::Refused(error),
        other => Answer::Unexpected(other.tag().to_owned()),
    }
}

/// What an SMP router tells of itself.
fn event(notifier: EntityId, response: Response) -> Option<SmpTold> {
    match response {
        Response::Nmsg { nonce, meta } => Some(SmpTold::Notified { notifier, nonce, meta }),
        Response::End => Some(SmpTold::End(notifier)),
        Response::Deld => Some(SmpTold::Deld(notifier)),
        _ => None,
    }
}

/// The same at the semantic layer, for an SMP router
/// [`without_cryptography`](crate::smp::router::Router::without_cryptography): it has no services there.
#[derive(Debug, Default)]
pub struct BareSubscriber {
    asked: BTreeMap<CorrId, EntityId>,
    outgoing: VecDeque<semantic::Asked>,
    count: u64,
}

impl BareSubscriber {
    /// Takes what the router asks.
    pub fn ask(&mut self, asked: SmpAsk) {
        let SmpAsk::Subscribe(queues) = asked else { return };
        for SmpQueue { notifier, .. } in queues {
            self.count += 1;
            let mut corr = [0; 24];
            for (byte, own) in corr.iter_mut().zip(self.count.to_be_bytes()) {
                *byte = own;
            }
            let (corr, entity) = (CorrId::from(corr), notifier.clone());
            self.asked.insert(corr.clone(), notifier);
            // Of an Ed25519 signature; of NKEY's key nothing else is known.
            self.outgoing.push_back(semantic::Asked {
                corr,
                entity,
                authorization: 64,
                command: Command::NSub,
            });
        }
    }

    /// The next block of commands.
    pub fn next_asked(&mut self) -> Option<Vec<semantic::Asked>> {
        let layout = Layout::of(MAX);
        let count = first_block(self.outgoing.iter().map(|asked| asked.size(&layout)));
        let block: Vec<_> = self.outgoing.drain(..count).collect();
        (!block.is_empty()).then_some(block)
    }

    /// A block of responses came: what the notification router is to be told.
    pub fn told(&mut self, told: Vec<semantic::Told>) -> Vec<SmpTold> {
        let told = told.into_iter().filter_map(|semantic::Told { corr, entity, response }| {
            match self.asked.remove(&corr) {
                Some(notifier) => Some(SmpTold::Subscribed { notifier, answer: answer(response) }),
                None => event(entity, response),
            }
        });
        told.collect()
    }
}
