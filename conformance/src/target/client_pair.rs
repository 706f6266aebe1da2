//! Our client's core in this process, right or wrong in one way: no sockets, no TLS, and a clock that moves only while
//! somebody waits.
//!
//! Session ids are made up. What a client checks in TLS is checked of the certificates that the suite listens with; the server that it
//! names is that of its own end of TLS, on a connection in memory.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Entropy};
use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType};
use sxlab_protocol::smp::client::{Client, ClientEvent, ClientMutant};
use sxlab_protocol::smp::errand::{
    Errand, ErrandError, Forwarding, Ping, Receive, Resolve, Send, Step, Told,
};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{BLOCK_SIZE, ClientHandshake, SUPPORTED};
use sxlab_protocol::wire::{CLIENT_VERSIONS, CorrId, DEFAULT_PORT, EntityId, RouterAddress};

use super::{
    Action, Dial, Instance, Line, Listen, NoConnection, Operation, Read, Settings, Shown, Target, Tls,
    Unavailable, look,
};

const SECOND: u64 = 1_000_000_000;

/// How long the client waits for the hello and for each answer.
const TIMEOUT: u64 = 30 * SECOND;

/// Longer than the client waits for anything.
const PATIENCE: u64 = 2 * TIMEOUT;

/// How long silence lasts.
const SILENCE: u64 = 5 * SECOND;

/// The target.
#[derive(Clone, Debug, Default)]
pub struct ClientPair {
    /// What is deliberately wrong with the client.
    pub mutant: Option<ClientMutant>,
}

impl Target for ClientPair {
    fn name(&self) -> String {
        match self.mutant {
            None => "client-pair".to_owned(),
            Some(mutant) => format!("client-pair with {}", mutant.name()),
        }
    }

    fn start(&self, _settings: &Settings, seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        Ok(Box::new(Running {
            now: 1_800_000_000 * SECOND,
            // Not the stream that the case draws from.
            rng: ChaCha20Rng::seed_from_u64(seed ^ 0x636c_6965_6e74),
            mutant: self.mutant,
            doors: Vec::new(),
            lines: Vec::new(),
            shown: Vec::new(),
            ended: None,
        }))
    }
}

/// A client and its connections.
struct Running {
    now: u64,
    rng: ChaCha20Rng,
    mutant: Option<ClientMutant>,
    doors: Vec<Door>,
    lines: Vec<Connection>,
    shown: Vec<Vec<u8>>,
    ended: Option<bool>,
}

/// Where the suite waits for connections.
struct Door {
    address: RouterAddress,
    listen: Listen,
    arrived: VecDeque<Result<(Line, Tls), NoConnection>>,
}

struct Connection {
    core: Client,
    errand: Box<dyn Errand>,
    version: Option<u16>,
    /// The request whose answer is waited for.
    waiting: Option<CorrId>,
    /// When waiting ends.
    deadline: Option<u64>,
    /// Events that nobody took yet.
    events: VecDeque<(EntityId, Response)>,
    /// For the suite to read.
    written: VecDeque<u8>,
    /// Written by the suite, not a whole block yet.
    rest: Vec<u8>,
    closed: bool,
}

fn ours(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(format!("the client does not start: {error}"))
}

impl Running {
    fn errand(&mut self, action: &Action) -> Result<(RouterAddress, Box<dyn Errand>), Unavailable> {
        Ok(match action {
            Action::Ping { router } => (router.clone(), Box::new(Ping::default())),
            Action::Resolve { router, name } => {
                let resolve = Resolve::new(Name::parse(name).map_err(ours)?);
                let resolve = match self.mutant {
                    None => resolve,
                    Some(mutant) => resolve.mutated(mutant),
                };
                (router.clone(), Box::new(resolve))
            }
            Action::Receive { router } => {
                let receive = Receive::new(router.clone(), None, &mut self.rng);
                let receive = match self.mutant {
                    None => receive,
                    Some(mutant) => receive.mutated(mutant),
                };
                (router.clone(), Box::new(receive))
            }
            Action::Send { queue, messages, via } => {
                let version = queue.versions.common(&CLIENT_VERSIONS).ok_or_else(|| ours("no version"))?.max;
                let key = AuthSecretKey::generate(KeyType::X25519, &mut self.rng);
                let bodies = messages.iter().map(|text| text.clone().into_bytes());
                let (to, rng) = (queue.as_ref().clone(), &mut self.rng);
                let send = match self.mutant {
                    None => Send::new(to, version, key, bodies, rng),
                    Some(mutant) => Send::mutated(to, version, key, bodies, rng, mutant),
                };
                let send = send.map_err(ours)?;
                match via {
                    None => (queue.router.clone(), Box::new(send)),
                    Some(proxy) => {
                        let forwarding = Forwarding { password: proxy.password.clone() };
                        (proxy.clone(), Box::new(send.via(forwarding)))
                    }
                }
            }
        })
    }

    /// What the client's side of TLS says of the certificates that it is shown.
    fn refusal(&self, chain: &Chain, expected: &[u8; 32]) -> Option<String> {
        if self.mutant != Some(ClientMutant::AnyTlsIdentity) && chain.identity().ok()? != *expected {
            return Some("another identity than in the address".to_owned());
        }
        if self.mutant != Some(ClientMutant::AnyTlsChain)
            && let Err(error) = chain.verify(self.now / SECOND)
        {
            return Some(error.to_string());
        }
        None
    }

    fn dial(&mut self, router: &RouterAddress, errand: Box<dyn Errand>) -> Result<(), Unavailable> {
        let port = match (router.port, self.mutant) {
            (None, Some(ClientMutant::OtherDefaultPort)) => 443,
            _ => router.port_or_default(),
        };
        let here = |door: &Door| door.address.hosts == router.hosts && port == DEFAULT_PORT;
        let door = self.doors.iter().position(here);
        let Some(door) = door else {
            self.ended = Some(false);
            return Ok(());
        };
        let Some(listen) = self.doors.get(door).map(|door| door.listen.clone()) else { return Ok(()) };
        let alpn = listen.alpn.iter().find(|name| name.as_slice() == b"smp/1").cloned();
        let refusal = if alpn.is_none() && !listen.alpn.is_empty() {
            Some("no_application_protocol".to_owned())
        } else {
            self.refusal(listen.identity.chain(), &router.identity)
        };
        let arrived = match refusal {
            Some(reason) => {
                self.ended = Some(false);
                Err(NoConnection::Tls(reason))
            }
            None => {
                let mut session_id = vec![0; 32];
                self.rng.fill_bytes(&mut session_id);
                let handshake = ClientHandshake {
                    versions: SUPPORTED,
                    identity: router.identity,
                    session_id: session_id.clone(),
                    send_key: true,
                    proxy: false,
                    unix_seconds: self.now / SECOND,
                };
                let rng = ChaCha20Rng::from_rng(&mut self.rng);
                let core = match self.mutant {
                    None => Client::new(handshake, rng),
                    Some(mutant) => Client::mutated(handshake, rng, mutant),
                };
                let line = Line(self.lines.len());
                self.lines.push(Connection {
                    core,
                    errand,
                    version: None,
                    waiting: None,
                    deadline: Some(self.now + TIMEOUT),
                    events: VecDeque::new(),
                    written: VecDeque::new(),
                    rest: Vec::new(),
                    closed: false,
                });
                Ok((line, Tls { session_id, alpn, chain: Vec::new() }))
            }
        };
        if let Some(door) = self.doors.get_mut(door) {
            door.arrived.push_back(arrived);
        }
        Ok(())
    }

    /// Lets the client do what it can now.
    fn drive(&mut self) {
        for connection in &mut self.lines {
            if connection.closed {
                continue;
            }
            let stepped = connection.step(self.now);
            while let Some(told) = connection.errand.told() {
                self.shown.extend(shown(told));
            }
            while let Some(block) = connection.core.next_block() {
                connection.written.extend(block);
            }
            if let Some(ended) = stepped {
                connection.closed = true;
                self.ended = Some(ended);
            }
        }
    }

    /// Lets time pass until `done` gives something, for `patience` at most.
    fn until<T>(&mut self, patience: u64, mut done: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let end = self.now.saturating_add(patience);
        loop {
            if let Some(found) = done(self) {
                return Some(found);
            }
            let open = self.lines.iter().filter(|connection| !connection.closed);
            let due = open.filter_map(|connection| connection.deadline).min().filter(|due| *due <= end);
            let Some(due) = due else {
                self.now = self.now.max(end);
                return None;
            };
            self.now = self.now.max(due);
            self.drive();
        }
    }
}

/// A line on the standard output of a program that does the same.
fn shown(told: Told) -> Option<Vec<u8>> {
    match told {
        Told::Address(address) => Some(address.to_string().into_bytes()),
        Told::Message(text) => Some(text),
        Told::Contact(address) => Some(address.into_bytes()),
        Told::Pong | Told::Full | Told::Unreadable(_) => None,
    }
}

impl Connection {
    /// Goes on as far as possible; whether the errand is over, and how.
    fn step(&mut self, now: u64) -> Option<bool> {
        self.try_step(now).unwrap_or(Some(false))
    }

    fn try_step(&mut self, now: u64) -> Result<Option<bool>, ErrandError> {
        while let Some(event) = self.core.poll() {
            match event {
                ClientEvent::Ready { version } => {
                    self.version = Some(version);
                    self.deadline = None;
                }
                ClientEvent::Response { corr, response, .. } if self.waiting.as_ref() == Some(&corr) => {
                    self.answered(response.map_err(|_| ErrandError::Unexpected)?, now)?;
                }
                ClientEvent::Forwarded { corr, response } if self.waiting.as_ref() == Some(&corr) => {
                    self.answered(response?, now)?;
                }
                ClientEvent::Response { .. } | ClientEvent::Forwarded { .. } => {}
                ClientEvent::Event { entity, response } => self.events.push_back((entity, response)),
            }
        }
        let Some(version) = self.version else { return Ok(self.overdue(now)) };
        while self.waiting.is_none() {
            match self.errand.next(version)? {
                Step::Done => return Ok(Some(true)),
                Step::Wait => match self.events.pop_front() {
                    Some((entity, event)) => self.errand.event(&entity, event)?,
                    None => return Ok(None),
                },
                Step::Ask(ask) => {
                    let (entity, key) = (ask.entity, ask.key.as_ref());
                    let made = match &ask.relay {
                        None => self.core.request(entity, &ask.command, key),
                        Some(relay) => self.core.forward(relay, entity, &ask.command, key),
                    };
                    self.waiting = Some(made.map_err(|_| ErrandError::Unexpected)?);
                    self.deadline = Some(now + TIMEOUT);
                }
            }
        }
        Ok(self.overdue(now))
    }

    fn answered(&mut self, response: Response, now: u64) -> Result<(), ErrandError> {
        (self.waiting, self.deadline) = (None, None);
        self.errand.answer(response, now / SECOND)
    }

    fn overdue(&self, now: u64) -> Option<bool> {
        self.deadline.is_some_and(|deadline| deadline <= now).then_some(false)
    }
}

impl Instance for Running {
    fn address(&self) -> Option<&RouterAddress> {
        None
    }

    fn connect(&mut self, _how: &Dial) -> Result<(Line, Tls), NoConnection> {
        Err(NoConnection::Unavailable("the target is a client"))
    }

    fn server_name(&mut self, _line: Line) -> Result<Option<String>, Unavailable> {
        // The client's own end of TLS, on a connection in memory.
        let door = self.doors.last().ok_or_else(|| ours("nobody listens"))?;
        let (listen, now) = (door.listen.clone(), self.now / SECOND);
        let config = ConnectorConfig {
            alpn: vec![b"smp/1".to_vec()],
            expected_identity: listen.named,
            client_identity: None,
        };
        let connector = match self.mutant {
            Some(ClientMutant::NamesServer) => Connector::naming(config, "router.test"),
            _ => Connector::new(config),
        };
        let names: Vec<&[u8]> = listen.alpn.iter().map(Vec::as_slice).collect();
        let acceptor = Acceptor::new(&listen.identity, &names).map_err(ours)?;
        let entropies = [(); 2].map(|()| Entropy::seeded(ChaCha20Rng::from_rng(&mut self.rng), now));
        look::server_name(&acceptor, &connector.map_err(ours)?, entropies).map_err(ours)
    }

    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable> {
        let host = format!("router{}.test", self.doors.len()).parse().map_err(ours)?;
        let address = RouterAddress { hosts: vec![host], port: None, identity: how.named, password: None };
        self.doors.push(Door { address: address.clone(), listen: how.clone(), arrived: VecDeque::new() });
        Ok(address)
    }

    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection> {
        self.until(patience, |running| {
            running.doors.iter_mut().find(|door| door.address.hosts == at.hosts)?.arrived.pop_front()
        })
        .transpose()
    }

    fn write(&mut self, Line(line): Line, bytes: &[u8]) -> bool {
        let Some(connection) = self.lines.get_mut(line).filter(|connection| !connection.closed) else {
            return false;
        };
        connection.rest.extend_from_slice(bytes);
        while let Some(block) = self
            .lines
            .get_mut(line)
            .filter(|connection| !connection.closed && connection.rest.len() >= BLOCK_SIZE)
            .map(|connection| connection.rest.drain(..BLOCK_SIZE).collect::<Vec<_>>())
        {
            if let Some(connection) = self.lines.get_mut(line)
                && connection.core.block(&block).is_err()
            {
                connection.closed = true;
                self.ended = Some(false);
            }
            self.drive();
        }
        true
    }

    fn read(&mut self, Line(line): Line, patience: u64) -> Read {
        let read = self.until(patience, |running| {
            let connection = running.lines.get_mut(line)?;
            if connection.written.len() >= BLOCK_SIZE {
                return Some(Read::Block(connection.written.drain(..BLOCK_SIZE).collect()));
            }
            connection.closed.then(|| Read::Closed(connection.written.drain(..).collect()))
        });
        read.unwrap_or(Read::Nothing)
    }

    fn close(&mut self, Line(line): Line) {
        if let Some(connection) = self.lines.get_mut(line).filter(|connection| !connection.closed) {
            connection.closed = true;
            self.ended = Some(false);
        }
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn wait(&mut self, time: u64) {
        self.until(time, |_| None::<()>);
    }

    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn silence(&self) -> u64 {
        SILENCE
    }

    fn operate(&mut self, _what: &Operation) -> Result<(), Unavailable> {
        Err(Unavailable("the target is a client".to_owned()))
    }

    fn act(&mut self, action: &Action) -> Result<(), Unavailable> {
        let (router, errand) = self.errand(action)?;
        (self.shown, self.ended) = (Vec::new(), None);
        self.dial(&router, errand)?;
        self.drive();
        Ok(())
    }

    fn shown(&mut self, lines: usize, patience: u64) -> Shown {
        self.until(patience, |running| {
            (running.shown.len() >= lines || running.ended.is_some()).then_some(())
        });
        Shown { lines: self.shown.clone(), ended: self.ended }
    }
}
