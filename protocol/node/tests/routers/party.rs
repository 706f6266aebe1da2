//! Routers and clients as the tests use them.

use std::rc::Rc;

use sxlab_node::client::{Event, ServiceIdentity, Session, SessionError};
use sxlab_node::identity::RouterIdentity;
use sxlab_node::resolver::{Resolver, ResolverConfig};
use sxlab_node::router::{ConnectionLimits, Observer, RouterNode};
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Gather, SMP_ALPN};
use sxlab_node::world::World;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::smp::client::{Client, ClientEvent};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{QueueStore, Router, RouterConfig};
use sxlab_protocol::transport::{BLOCK_SIZE, ClientHandshake, RouterCredentials, SUPPORTED};
use sxlab_protocol::wire::{EntityId, MsgId, RouterAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio_rustls::TlsStream;

use crate::network::{Listener, Network, SECOND, TestWorld};

/// How long clients wait for anything.
pub(crate) const TIMEOUT: u64 = 30 * SECOND;

/// A running router.
pub(crate) struct Site {
    pub(crate) node: RouterNode<TestWorld>,
    pub(crate) address: RouterAddress,
    pub(crate) identity: RouterIdentity,
    pub(crate) listener: Rc<Listener>,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
}

/// A running router at `host`.
pub(crate) fn site(network: &Network, host: &str) -> Site {
    site_with(network, host, RouterConfig::default(), ConnectionLimits::default())
}

pub(crate) fn site_with(
    network: &Network,
    host: &str,
    config: RouterConfig,
    limits: ConnectionLimits,
) -> Site {
    let identity = RouterIdentity::mint(host, &mut network.world(host).rng()).unwrap();
    start(network, host, identity, config, limits, QueueStore::default())
}

/// Starts a router with these queues.
pub(crate) fn start(
    network: &Network,
    host: &str,
    identity: RouterIdentity,
    config: RouterConfig,
    limits: ConnectionLimits,
    store: QueueStore,
) -> Site {
    start_observed(network, host, identity, config, limits, store, None)
}

/// The same with somebody who is told what the router sees.
pub(crate) fn start_observed(
    network: &Network,
    host: &str,
    identity: RouterIdentity,
    config: RouterConfig,
    limits: ConnectionLimits,
    store: QueueStore,
    observer: Option<Observer>,
) -> Site {
    let world = network.world(host);
    let node = RouterNode::with_limits(world, &identity, config, store, observer, limits).unwrap();
    serve(network, host, identity, node)
}

/// A running router that resolves names so.
pub(crate) fn resolving_site(network: &Network, host: &str, resolver: &ResolverConfig) -> Site {
    let world = network.world(host);
    let identity = RouterIdentity::mint(host, &mut world.rng()).unwrap();
    let (config, store, limits) =
        (RouterConfig::default(), QueueStore::default(), ConnectionLimits::default());
    let node = RouterNode::with_limits(world, &identity, config, store, None, limits).unwrap();
    node.resolve_names(Resolver::new(resolver).unwrap());
    serve(network, host, identity, node)
}

fn serve(network: &Network, host: &str, identity: RouterIdentity, node: RouterNode<TestWorld>) -> Site {
    let address = RouterAddress {
        hosts: vec![host.parse().unwrap()],
        port: None,
        identity: identity.identity_hash(),
        password: None,
    };
    let listener = Rc::new(network.listen(host));
    let (serving, on) = (node.clone(), Rc::clone(&listener));
    let served = tokio::task::spawn_local(async move { serving.serve(&on).await });
    Site { node, address, identity, listener, served }
}

/// A session and its events.
pub(crate) struct Party<W: World = TestWorld> {
    pub(crate) session: Session<W>,
    pub(crate) events: Receiver<Event>,
    world: W,
}

/// A client of the router.
pub(crate) async fn client(network: &Network, name: &str, site: &Site) -> Party {
    Party::connect(network.world(name), &site.address).await.unwrap()
}

/// A queue as its recipient knows it.
pub(crate) struct Queue {
    pub(crate) recipient: EntityId,
    pub(crate) sender: EntityId,
    pub(crate) key: AuthSecretKey,
    secret: SharedSecret,
}

pub(crate) fn message(body: &[u8]) -> Command {
    Command::Send { flags: MsgFlags::default(), body: body.to_vec() }
}

impl Queue {
    /// What the router's encryption of a message covers.
    pub(crate) fn open(&self, id: &MsgId, sealed: &[u8]) -> Vec<u8> {
        match MessageBody::open(&self.secret, id, sealed).unwrap() {
            MessageBody::Message { body, .. } => body,
            other @ MessageBody::Quota { .. } => panic!("{other:?}"),
        }
    }
}

impl<W: World> Party<W> {
    pub(crate) async fn connect(world: W, address: &RouterAddress) -> Result<Self, SessionError> {
        let (session, events) = Session::connect(world.clone(), address, SUPPORTED, TIMEOUT).await?;
        Ok(Self { session, events, world })
    }

    /// The same as a service.
    pub(crate) async fn connect_as(
        world: W,
        address: &RouterAddress,
        service: &ServiceIdentity,
    ) -> Result<Self, SessionError> {
        let connected = Session::connect_as(world.clone(), address, SUPPORTED, service, TIMEOUT).await?;
        let (session, events) = connected;
        Ok(Self { session, events, world })
    }

    pub(crate) async fn ping(&self) -> Result<Response, SessionError> {
        self.session.request(EntityId::EMPTY, &Command::Ping, None).await
    }

    /// A new queue, subscribed to.
    pub(crate) async fn queue(&self) -> Queue {
        let mut rng = self.world.rng();
        let key = AuthSecretKey::generate(KeyType::Ed25519, &mut rng);
        let dh = X25519Secret::generate(&mut rng);
        let new = Command::New(Box::new(NewQueue::messaging(key.public(), dh.public())));
        match self.session.request(EntityId::EMPTY, &new, Some(&key)).await {
            Ok(Response::Ids(ids)) => {
                let secret = dh.dh(&ids.dh_key);
                Queue { recipient: ids.recipient, sender: ids.sender, key, secret }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Secures a queue for a fresh sender's key.
    pub(crate) async fn secure(&self, queue: &Queue) -> AuthSecretKey {
        let key = AuthSecretKey::generate(KeyType::X25519, &mut self.world.rng());
        let command = Command::SKey(key.public());
        let secured = self.session.request(queue.sender.clone(), &command, Some(&key)).await.unwrap();
        assert_eq!(secured, Response::Ok);
        key
    }

    pub(crate) async fn send(&self, queue: &Queue, key: &AuthSecretKey, body: &[u8]) {
        let sent = self.session.request(queue.sender.clone(), &message(body), Some(key)).await.unwrap();
        assert_eq!(sent, Response::Ok);
    }

    /// A command of the queue's recipient.
    pub(crate) async fn own(&self, queue: &Queue, command: &Command) -> Result<Response, SessionError> {
        self.session.request(queue.recipient.clone(), command, Some(&queue.key)).await
    }

    /// The next event, which is a message of this queue: its id and body.
    pub(crate) async fn received(&mut self, queue: &Queue) -> (MsgId, Vec<u8>) {
        match self.events.recv().await {
            Some((entity, Response::Msg { id, body })) if entity == queue.recipient => {
                let body = queue.open(&id, &body);
                (id, body)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A client on a bare stream, which reads and writes only when the test says so.
pub(crate) struct Raw {
    pub(crate) core: Client,
    pub(crate) stream: TlsStream<Gather<DuplexStream>>,
}

impl Raw {
    /// TLS is up, nothing is read or written yet.
    pub(crate) async fn connect(network: &Network, site: &Site) -> Self {
        let world = network.world("raw");
        let stream = world.connect(&site.address.hosts[0].to_string(), 5223).await.unwrap();
        let identity = site.address.identity;
        let alpn = vec![b"smp/1".to_vec()];
        let config = ConnectorConfig { alpn, expected_identity: identity, client_identity: None };
        let tls = Connector::new(config).unwrap().connect(stream, world.entropy()).await.unwrap();
        let handshake = ClientHandshake {
            versions: SUPPORTED,
            identity,
            session_id: tls.session_id,
            send_key: true,
            proxy: false,
            unix_seconds: world.now() / SECOND,
        };
        Self { core: Client::new(handshake, world.rng()), stream: tls.stream }
    }

    /// The same after the handshake.
    pub(crate) async fn ready(network: &Network, site: &Site) -> Self {
        let mut raw = Self::connect(network, site).await;
        assert!(matches!(raw.read().await.as_slice(), [ClientEvent::Ready { version: 20 }]));
        raw.write().await;
        raw
    }

    /// Reads a block: what it says.
    pub(crate) async fn read(&mut self) -> Vec<ClientEvent> {
        let mut block = vec![0; BLOCK_SIZE];
        self.stream.read_exact(&mut block).await.unwrap();
        self.core.block(&block).unwrap();
        std::iter::from_fn(|| self.core.poll()).collect()
    }

    /// Writes what the core has to write.
    pub(crate) async fn write(&mut self) {
        while let Some(block) = self.core.next_block() {
            self.stream.write_all(&block).await.unwrap();
        }
        self.stream.flush().await.unwrap();
    }
}

/// A router on a bare stream that has said its hello, and reads and writes no more.
pub(crate) async fn mute_router(
    network: &Network,
    host: &str,
) -> (RouterAddress, JoinHandle<TlsStream<Gather<DuplexStream>>>) {
    let world = network.world(host);
    let identity = RouterIdentity::mint(host, &mut world.rng()).unwrap();
    let address = RouterAddress {
        hosts: vec![host.parse().unwrap()],
        port: None,
        identity: identity.identity_hash(),
        password: None,
    };
    let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
    let mut core = Router::new(RouterConfig::default(), credentials, QueueStore::default(), world.rng());
    let acceptor = Acceptor::new(&identity, &SMP_ALPN).unwrap();
    let listener = Rc::new(network.listen(host));
    let accepting = tokio::task::spawn_local(async move {
        let (stream, peer) = world.accept(&listener).await.unwrap();
        let mut tls = acceptor.accept(stream, world.entropy()).await.unwrap();
        let session = core.accept(&peer, tls.session_id, true, world.now());
        tls.stream.write_all(&core.next_block(session).unwrap()).await.unwrap();
        tls.stream.flush().await.unwrap();
        tls.stream
    });
    (address, accepting)
}
