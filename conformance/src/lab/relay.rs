//! Private routing: the suite as the client of a proxy under test, and as the relay that the proxy reaches.

use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::chain::BlockChains;
use sxlab_protocol::crypto::keys::{AuthSecretKey, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::CommandError;
use sxlab_protocol::smp::forward::{self, ForwardKeys, Forwarded, Relay};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::version::{ALPN_VERSIONS, Layout};
use sxlab_protocol::transport::{BlockCodec, ClientHello, Received, Session, write_response};
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress};

use super::session::{Arrived, Open};
use super::{Answer, Direction, Failure, Lab, Request, RouterHello, SECOND, Who};
use crate::target::{Listen, NoConnection, Unavailable};

/// Where the suite waits for connections as a relay.
#[derive(Clone, Debug)]
pub struct Door {
    /// What PRXY names.
    pub address: RouterAddress,
    /// The relay's certificates.
    pub identity: Arc<RouterIdentity>,
}

/// A command that arrived where the suite is the router.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The transmission.
    pub received: Received,
    /// Its command.
    pub command: Result<Command, CommandError>,
    /// Which block of the session brought it, the hello not counted, from 1.
    pub block: usize,
    /// How many transmissions the block has.
    pub batch: usize,
    /// When, in nanoseconds since the epoch.
    pub at: u64,
}

/// What a client keeps of a command that a proxy forwards.
#[derive(Clone, Debug)]
pub struct Route {
    /// The correlation id of PFWD.
    pub corr: CorrId,
    keys: ForwardKeys,
}

impl Lab<'_> {
    /// A relay of the suite with certificates of its own, which nothing has connected to yet.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where nothing can reach the suite.
    pub fn door(&mut self) -> Result<Door, Failure> {
        self.door_with(|_| {})
    }

    /// The same with `change` made to how the suite listens.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where nothing can reach the suite.
    pub fn door_with(&mut self, change: impl FnOnce(&mut Listen)) -> Result<Door, Failure> {
        let identity = RouterIdentity::mint("relay.test", &mut self.rng).map_err(Failure::error)?;
        let named = identity.identity_hash();
        let identity = Arc::new(identity);
        let alpn = vec![b"smp/1".to_vec()];
        let mut listen = Listen { identity: identity.clone(), named, alpn, default_port: false };
        change(&mut listen);
        let identity = listen.identity.clone();
        let address =
            self.instance.listen(&listen).map_err(|Unavailable(reason)| Failure::Skipped(reason))?;
        Ok(Door { address, identity })
    }

    /// The next connection to a door; nothing was read or written on it yet.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn accept(&mut self, door: &Door) -> Result<Who, Failure> {
        let patience = self.patience();
        match self.instance.accept(&door.address, patience) {
            Ok(Some((line, tls))) => Ok(self.side(line, tls, true)),
            Ok(None) => Err(Failure::wrong("the target does not connect to the relay")),
            Err(NoConnection::Tls(reason)) => {
                Err(Failure::Wrong(format!("the target's connection to the relay ends in TLS: {reason}")))
            }
            Err(NoConnection::Unreachable(reason)) => Err(Failure::Unreachable(reason)),
            Err(NoConnection::Unavailable(reason)) => Err(Failure::Skipped(reason.to_owned())),
        }
    }

    /// Expects that nobody connects to a door, or that the connection ends in TLS.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for a connection.
    pub fn nobody_connects(&mut self, door: &Door) -> Result<(), Failure> {
        let silence = self.instance.silence();
        match self.instance.accept(&door.address, silence) {
            Ok(Some(_)) => Err(Failure::wrong("the target connects to the relay, it should not")),
            Ok(None) | Err(NoConnection::Tls(_)) => Ok(()),
            Err(NoConnection::Unreachable(reason)) => Err(Failure::Unreachable(reason)),
            Err(NoConnection::Unavailable(reason)) => Err(Failure::Skipped(reason.to_owned())),
        }
    }

    /// Writes the relay's hello as `change` leaves it.
    ///
    /// # Errors
    /// [`Failure::Error`] for one that can't be written.
    pub fn greet(
        &mut self,
        who: Who,
        door: &Door,
        change: impl FnOnce(&mut RouterHello),
    ) -> Result<X25519Secret, Failure> {
        let own = X25519Secret::generate(&mut self.rng);
        let mut hello = RouterHello {
            versions: (ALPN_VERSIONS.min, ALPN_VERSIONS.max),
            session_id: self.session_id(who)?,
            chain: door.identity.chain().ders.clone(),
            signed_key: SignedKey::make(own.public(), door.identity.leaf_key()).as_der().to_vec(),
            authenticated: true,
            tail: Vec::new(),
        };
        change(&mut hello);
        let content = hello.encode().map_err(Failure::error)?;
        let (min, max) = hello.versions;
        self.plain_block(who, &content, format!("relay's hello: versions {min}-{max}"))?;
        Ok(own)
    }

    /// Reads the hello of the target, which is a client here, and opens the session as it says. `own` is what
    /// [`Lab::greet`] gave.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes or it does not parse.
    pub fn client_hello(&mut self, who: Who, own: X25519Secret) -> Result<ClientHello, Failure> {
        let content = self.plain_content(who, "the client's hello")?;
        let hello = ClientHello::decode(&content)
            .map_err(|error| Failure::Wrong(format!("the hello of the target does not parse: {error}")))?;
        let key = if hello.key.is_some() { "a session key" } else { "no session key" };
        let proxy = if hello.proxy { ", proxy" } else { "" };
        let text = format!("client's hello: version {}, {key}{proxy}", hello.version);
        self.record(Some(who), Direction::Received, text, &content);
        let layout = Layout::of(hello.version);
        let side = self.at_mut(who)?;
        let id = side.tls.session_id.clone();
        let secret = hello.key.as_ref().map(|key| own.dh(key));
        let codec = match &secret {
            Some(secret) if layout.block_encryption && !hello.proxy => {
                let (to_client, to_router) = BlockChains::init(&id, secret);
                BlockCodec::encrypted(to_client, to_router)
            }
            _ => BlockCodec::plain(),
        };
        side.open = Some(Open { session: Session { id, layout }, codec, secret, peer_key: hello.key, own });
        Ok(hello)
    }

    /// The next connection to a door with both hellos, as an ordinary relay does it.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn relay(&mut self, door: &Door) -> Result<Who, Failure> {
        let who = self.accept(door)?;
        let own = self.greet(who, door, |_| {})?;
        self.client_hello(who, own)?;
        Ok(who)
    }

    /// The next command where the suite is the router.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn command(&mut self, who: Who) -> Result<Asked, Failure> {
        let Arrived { received, block, batch, at, .. } =
            self.take_arrived(who, "send a command", |_| true)?;
        let command = Command::decode(&received.command, &self.at(who)?.opened()?.session.layout);
        Ok(Asked { received, command, block, batch, at })
    }

    /// The item that a response is, where the suite is the router.
    ///
    /// # Errors
    /// [`Failure::Error`] for one that can't be written.
    pub fn reply_item(
        &mut self,
        who: Who,
        corr: &CorrId,
        entity: &EntityId,
        response: &Response,
    ) -> Result<Vec<u8>, Failure> {
        let session = self.at(who)?.opened()?.session.clone();
        let mut bytes = Vec::new();
        response.encode(&session.layout, &mut bytes).map_err(Failure::error)?;
        write_response(&session, corr.clone(), entity.clone(), bytes).map_err(Failure::error)
    }

    /// Answers, where the suite is the router.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn reply(
        &mut self,
        who: Who,
        corr: &CorrId,
        entity: &EntityId,
        response: &Response,
    ) -> Result<(), Failure> {
        let item = self.reply_item(who, corr, entity, response)?;
        self.write_items(who, &[item])
    }

    /// PRXY; nothing is waited for.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn post_prxy(
        &mut self,
        who: Who,
        router: &RouterAddress,
        password: Option<&str>,
    ) -> Result<CorrId, Failure> {
        let password = password.map(str::to_owned);
        self.post(who, Command::Prxy { router: router.clone(), password })
    }

    /// What PKEY in `answer` says of the relay at `address`, after the checks of a client.
    ///
    /// # Errors
    /// [`Failure`] for another answer, or certificates that are not the relay's.
    pub fn pkey(&self, answer: &Answer, address: &RouterAddress) -> Result<Relay, Failure> {
        let Ok(Response::Pkey { session, versions, chain, signed_key }) = &answer.response else {
            return Err(answer.unexpected("PKEY"));
        };
        let seconds = self.now() / SECOND;
        Relay::verify(session, *versions, chain, signed_key, &address.identity, seconds)
            .map_err(|error| Failure::Wrong(format!("PKEY: {error}")))
    }

    /// PRXY to a door, the relay's hellos and PKEY: the session of the relay, and what commands are forwarded with.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn proxied(&mut self, client: Who, door: &Door) -> Result<(Who, Relay), Failure> {
        let corr = self.post_prxy(client, &door.address, None)?;
        let relay = self.relay(door)?;
        let answer = self.answer(client, &corr)?;
        Ok((relay, self.pkey(&answer, &door.address)?))
    }

    /// PFWD with this command for the relay, to change before it is asked.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn pfwd_request(
        &mut self,
        relay: &Relay,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<(Request, Route), Failure> {
        let corr = self.corr();
        let session = relay.session_entity().map_err(Failure::error)?;
        let sealed = forward::seal_command(relay, &corr, entity.clone(), command, key, &mut self.rng);
        let (command, keys) = sealed.map_err(Failure::error)?;
        Ok((Request::from(command).of(&session).corr(&corr), Route { corr, keys }))
    }

    /// PFWD with this command for the relay; nothing is waited for.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn post_pfwd(
        &mut self,
        client: Who,
        relay: &Relay,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Route, Failure> {
        let (request, route) = self.pfwd_request(relay, entity, command, key)?;
        self.post(client, request)?;
        Ok(route)
    }

    /// The relay's response inside PRES, which answers PFWD.
    ///
    /// # Errors
    /// [`Failure`] for another answer, or one that does not open.
    pub fn pres(&mut self, client: Who, route: &Route) -> Result<Response, Failure> {
        let answer = self.answer(client, &route.corr)?;
        let Ok(Response::Pres { sealed }) = &answer.response else { return Err(answer.unexpected("PRES")) };
        forward::open_reply(&route.keys, &route.corr, sealed)
            .map_err(|error| Failure::Wrong(format!("PRES: {error}")))
    }

    /// Both layers of an RFWD that the proxy sent.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for another command, or one that does not open.
    pub fn rfwd(&self, relay: Who, asked: &Asked) -> Result<Forwarded, Failure> {
        let Ok(Command::Rfwd { sealed }) = &asked.command else {
            return Err(Failure::Wrong(format!(
                "the proxy sends `{}`, expected RFWD",
                asked.received.command.iter().take(20).copied().collect::<Vec<_>>().escape_ascii()
            )));
        };
        let open = self.at(relay)?.opened()?;
        let (session, secret) = (&open.session, open.secret.as_ref());
        forward::open_forward(session, secret, &open.own, &asked.received.corr, sealed)
            .map_err(|error| Failure::Wrong(format!("RFWD is one that a relay answers by ERR {error}")))
    }

    /// RRES with this response to what was forwarded.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn rres(
        &mut self,
        relay: Who,
        asked: &Asked,
        forwarded: &Forwarded,
        response: &Response,
    ) -> Result<(), Failure> {
        let open = self.at(relay)?.opened()?;
        let secret = open.secret.as_ref().ok_or_else(|| Failure::wrong("the proxy sent no session key"))?;
        let (corr, entity) = match &forwarded.inner {
            Ok(received) => (received.corr.clone(), received.entity.clone()),
            Err(_) => (CorrId::EMPTY, EntityId::EMPTY),
        };
        let own_corr = &asked.received.corr;
        let rres = forward::seal_reply(forwarded, secret, own_corr, corr, entity, response)
            .map_err(Failure::error)?;
        self.reply(relay, own_corr, &EntityId::EMPTY, &rres)
    }
}
