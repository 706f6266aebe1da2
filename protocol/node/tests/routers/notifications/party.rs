//! A notification router, the stand-in that it pushes by, and phones.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::apns::{Apns, ApnsConfig, ApnsNode, DEVICE_ALPN, receive};
use sxlab_node::client::SessionError;
use sxlab_node::identity::RouterIdentity;
use sxlab_node::node::ConnectionLimits;
use sxlab_node::ntf::{DeviceSession, NtfNode, NtfSetup, Providers, SmpLimits};
use sxlab_node::store::NtfWriter;
use sxlab_node::tls::{Connector, ConnectorConfig};
use sxlab_node::world::World;
use sxlab_protocol::apns::StandInConfig;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::apns::request::Kind;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::ntf::address::NtfAddress;
use sxlab_protocol::ntf::command::{DeviceToken, NotifierQueue, Provider};
use sxlab_protocol::ntf::device::{Answered, Ask, Device, DeviceError, Noticed, Pushed};
use sxlab_protocol::ntf::router::{RouterConfig, Store};
use sxlab_protocol::ntf::status::{SubscriptionStatus, TokenStatus};
use sxlab_protocol::ntf::version::ALPN_VERSIONS;
use sxlab_protocol::smp::command::{Command, MsgFlags, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, RouterAddress, VersionRange};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::network::{Network, SECOND, TestWorld};
use crate::party::{Party, Queue, TIMEOUT};

pub(crate) const APPLE: &str = "apple";
pub(crate) const NTF: &str = "ntf.test";

/// What the app on every phone is called.
const TOPIC: &str = "chat.simplex.app";

pub(crate) fn identity(seed: u64, host: &str) -> RouterIdentity {
    RouterIdentity::mint(host, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

fn signer() -> Signer {
    Signer::generate("TEAM", "KEY", &mut ChaCha20Rng::seed_from_u64(1))
}

/// A stand-in with room for our bodies.
pub(crate) fn apple(network: &Network) -> ApnsNode<TestWorld> {
    apple_with(network, StandInConfig { body_limit: 4310, ..StandInConfig::default() })
}

pub(crate) fn apple_with(network: &Network, config: StandInConfig) -> ApnsNode<TestWorld> {
    let world = network.world(APPLE);
    let node = ApnsNode::new(world, &identity(9, APPLE), signer().verifier(), config).unwrap();
    let (serving, listener) = (node.clone(), Rc::new(network.listen(APPLE)));
    tokio::task::spawn_local(async move { serving.serve(&listener).await });
    node
}

fn connector(alpn: &[u8]) -> Connector {
    let (alpn, expected_identity) = (vec![alpn.to_vec()], identity(9, APPLE).identity_hash());
    Connector::new(ConnectorConfig { alpn, expected_identity, client_identity: None }).unwrap()
}

/// A running notification router.
pub(crate) struct Site {
    pub(crate) node: NtfNode<TestWorld>,
    pub(crate) address: NtfAddress,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
}

/// The usual parts: the stand-in is the provider for tests.
pub(crate) fn setup(network: &Network) -> NtfSetup<TestWorld> {
    let apns = Apns::new(network.world(NTF), ApnsConfig::new(APPLE, 443, connector(b"h2")), signer());
    NtfSetup {
        config: RouterConfig { test_provider: true, ..RouterConfig::default() },
        limits: ConnectionLimits::default(),
        smp: SmpLimits::default(),
        providers: Providers { topic: TOPIC.to_owned(), test: Some(Rc::new(apns)), ..Providers::none() },
        service: None,
    }
}

/// As a service at SMP routers.
pub(crate) fn serving(network: &Network) -> NtfSetup<TestWorld> {
    NtfSetup { service: Some(Arc::new(identity(7, "ntf service"))), ..setup(network) }
}

pub(crate) fn site(network: &Network) -> Site {
    start(network, setup(network), Store::default(), None)
}

pub(crate) fn start(
    network: &Network,
    setup: NtfSetup<TestWorld>,
    tokens: Store,
    writer: Option<NtfWriter>,
) -> Site {
    let identity = identity(8, NTF);
    let node = NtfNode::with_tokens(network.world(NTF), &identity, setup, tokens, writer, None).unwrap();
    let address = NtfAddress(RouterAddress {
        hosts: vec![NTF.parse().unwrap()],
        port: None,
        identity: identity.identity_hash(),
        password: None,
    });
    let (serving, on) = (node.clone(), Rc::new(network.listen(NTF)));
    let served = tokio::task::spawn_local(async move { serving.serve(&on).await });
    Site { node, address, served }
}

/// The token of a device with this name, as the stand-in knows it.
pub(crate) fn token(name: &str) -> DeviceToken {
    let name = EntityId::new(hex::encode(name).as_bytes()).unwrap();
    DeviceToken { provider: Provider::ApnsTest, name }
}

/// Whether a push is shown, and its body.
pub(crate) type Body = (Kind, Vec<u8>);

/// A device with a session, and a connection to the stand-in.
pub(crate) struct Phone {
    network: Network,
    pub(crate) device: Device,
    session: DeviceSession<TestWorld>,
    got: Rc<RefCell<Vec<Body>>>,
}

impl Phone {
    /// A device that is online and not registered. `name` is the bytes of its token.
    pub(crate) async fn new(network: &Network, site: &Site, name: &str) -> Self {
        Self::with_token(network, site, name, token(name), ALPN_VERSIONS).await
    }

    pub(crate) async fn with_token(
        network: &Network,
        site: &Site,
        name: &str,
        token: DeviceToken,
        versions: VersionRange,
    ) -> Self {
        let phone = Self::offline(network, site, name, token, versions).await;
        phone.go_online(name).await;
        phone
    }

    /// One that has no connection to the stand-in.
    pub(crate) async fn offline(
        network: &Network,
        site: &Site,
        name: &str,
        token: DeviceToken,
        versions: VersionRange,
    ) -> Self {
        let world = network.world(name);
        let device = Device::new(token, KeyType::Ed25519, &mut world.rng());
        let session = DeviceSession::connect(world, &site.address, versions, TIMEOUT).await.unwrap();
        Self { network: network.clone(), device, session, got: Rc::default() }
    }

    /// One that is registered and active.
    pub(crate) async fn active(network: &Network, site: &Site, name: &str) -> Self {
        let mut phone = Self::new(network, site, name).await;
        phone.activate().await;
        phone
    }

    async fn go_online(&self, name: &str) {
        let world = self.network.world(name);
        let stream = world.connect(APPLE, 443).await.unwrap();
        let mut tls = connector(DEVICE_ALPN).connect(stream, world.entropy()).await.unwrap().stream;
        tls.write_u16(name.len() as u16).await.unwrap();
        tls.write_all(name.as_bytes()).await.unwrap();
        let gets = Rc::clone(&self.got);
        tokio::task::spawn_local(async move {
            while let Ok(Some(push)) = receive(&mut tls, 5000).await {
                gets.borrow_mut().push(push);
            }
        });
        world.sleep(SECOND).await;
    }

    /// Registers and gives the code back that is pushed.
    pub(crate) async fn activate(&mut self) {
        let asked = self.device.register();
        assert_eq!(self.ask(Some(asked)).await.unwrap(), Answered::Registered);
        self.pass(2 * SECOND).await;
        assert_eq!(self.pushed(), [Pushed::Code]);
        let asked = self.device.verify();
        assert_eq!(self.ask(asked).await.unwrap(), Answered::Verified);
    }

    pub(crate) async fn pass(&self, time: u64) {
        self.network.world("test").sleep(time).await;
    }

    /// Another session, the one before being over.
    pub(crate) async fn reconnect(&mut self, site: &Site) {
        let world = self.network.world("phone");
        self.session = DeviceSession::connect(world, &site.address, ALPN_VERSIONS, TIMEOUT).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, asked: Option<Ask>) -> Result<Answered, DeviceError> {
        let asked = asked.expect("nothing to ask");
        let answer = self.session.ask(&asked).await.unwrap();
        self.device.answered(&asked, answer)
    }

    pub(crate) async fn try_ask(&self, asked: &Ask) -> Result<(), SessionError> {
        self.session.ask(asked).await.map(|_| ())
    }

    pub(crate) fn version(&self) -> u16 {
        self.session.version()
    }

    pub(crate) async fn status(&mut self) -> TokenStatus {
        let asked = self.device.check();
        match self.ask(asked).await {
            Ok(Answered::Token(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn subscription(&mut self, queue: &NotifierQueue) -> SubscriptionStatus {
        let asked = self.device.check_subscription(queue);
        match self.ask(asked).await {
            Ok(Answered::Subscription(_, status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Bodies that were pushed since the last call.
    pub(crate) fn bodies(&self) -> Vec<Body> {
        self.got.take()
    }

    /// The same, read.
    pub(crate) fn pushed(&mut self) -> Vec<Pushed> {
        let bodies = self.bodies();
        bodies.iter().map(|(_, body)| self.device.pushed(body).unwrap()).collect()
    }

    /// The queues of the notifications in each push since the last call; every one of them can be read.
    pub(crate) fn notices(&mut self) -> Vec<Vec<NotifierQueue>> {
        let queues = |list: Vec<Noticed>| {
            assert!(list.iter().all(|notice| notice.message.is_ok()), "{list:?}");
            list.into_iter().map(|notice| notice.queue).collect()
        };
        let lists = self.pushed().into_iter().map(|pushed| match pushed {
            Pushed::Messages(list) => queues(list),
            other => panic!("{other:?}"),
        });
        lists.collect()
    }

    /// Subscribes to the notifications of a new queue.
    pub(crate) async fn watch(&mut self, client: &Party, router: &RouterAddress) -> Watched {
        let queue = client.queue().await;
        let mut rng = self.network.world("keys").rng();
        let (key, own) =
            (AuthSecretKey::generate(KeyType::X25519, &mut rng), X25519Secret::generate(&mut rng));
        let keys = NotifierKeys { auth_key: key.public(), dh_key: own.public() };
        let Ok(Response::Nid(ids)) = client.own(&queue, &Command::NKey(keys)).await else {
            panic!("no notifier")
        };
        let name = NotifierQueue { router: router.clone(), notifier: ids.id };
        self.device.watch(name.clone(), key, own.dh(&ids.dh_key));
        let asked = self.device.subscribe(&name);
        assert_eq!(self.ask(asked).await.unwrap(), Answered::Subscribed(name.clone()));
        self.pass(SECOND).await;
        Watched { queue, name }
    }
}

/// A queue with a notifier.
pub(crate) struct Watched {
    pub(crate) queue: Queue,
    pub(crate) name: NotifierQueue,
}

impl Watched {
    /// A message to it, and time for its notification.
    pub(crate) async fn message(&self, sender: &Party, phone: &Phone) {
        let send = Command::Send { flags: MsgFlags { notification: true }, body: b"hello".to_vec() };
        let sent = sender.session.request(self.queue.sender.clone(), &send, None).await;
        assert_eq!(sent.unwrap(), Response::Ok);
        phone.pass(3 * SECOND).await;
    }
}
