//! Pushes to the stand-in for Apple's routers, and from there to devices.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::apns::{Answer, Apns, ApnsConfig, ApnsError, ApnsNode, DEVICE_ALPN, receive};
use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Connector, ConnectorConfig, provider};
use sxlab_node::world::World;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::apns::request::{Kind, Request};
use sxlab_protocol::apns::{Reason, StandInConfig};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::network::{Network, SECOND, TestWorld, run};

const PHONE: &[u8] = b"phone";
const TOPIC: &str = "chat.simplex.app";
const HOST: &str = "apple";

fn signer(seed: u64) -> Signer {
    Signer::generate("TEAM", "KEY", &mut ChaCha20Rng::seed_from_u64(seed))
}

fn identity() -> RouterIdentity {
    RouterIdentity::mint(HOST, &mut ChaCha20Rng::seed_from_u64(9)).unwrap()
}

fn connector(alpn: &[u8]) -> Connector {
    let expected_identity = identity().identity_hash();
    let alpn = vec![alpn.to_vec()];
    Connector::new(ConnectorConfig { alpn, expected_identity, client_identity: None }).unwrap()
}

/// A stand-in that takes what `signer(1)` signs.
fn stand_in(network: &Network) -> ApnsNode<TestWorld> {
    let (world, listener) = (network.world(HOST), Rc::new(network.listen(HOST)));
    let node = ApnsNode::new(world, &identity(), signer(1).verifier(), StandInConfig::default()).unwrap();
    let serving = node.clone();
    tokio::task::spawn_local(async move { serving.serve(&listener).await });
    node
}

fn apns(network: &Network, seed: u64) -> Rc<Apns<TestWorld>> {
    let config = ApnsConfig::new(HOST, 443, connector(b"h2"));
    Rc::new(Apns::new(network.world("ntf"), config, signer(seed)))
}

/// A device that is online until the task is ended, and what it got.
async fn device(network: &Network) -> (JoinHandle<()>, Rc<RefCell<Vec<(Kind, Vec<u8>)>>>) {
    let world = network.world("phone");
    let stream = world.connect(HOST, 443).await.unwrap();
    let mut tls = connector(DEVICE_ALPN).connect(stream, world.entropy()).await.unwrap().stream;
    tls.write_u16(PHONE.len() as u16).await.unwrap();
    tls.write_all(PHONE).await.unwrap();
    let got = Rc::new(RefCell::new(Vec::new()));
    let gets = Rc::clone(&got);
    let task = tokio::task::spawn_local(async move {
        while let Ok(Some(push)) = receive(&mut tls, 5000).await {
            gets.borrow_mut().push(push);
        }
    });
    world.sleep(SECOND).await;
    (task, got)
}

fn answer(status: u16, reason: &str) -> Answer {
    Answer { status, reason: reason.to_owned() }
}

fn alert() -> Request {
    Request::new(PHONE, Kind::Alert, TOPIC)
}

async fn push(apns: &Apns<TestWorld>, body: &[u8]) -> Answer {
    apns.push(&alert(), body.to_vec(), false).await.unwrap()
}

#[test]
fn a_push_reaches_its_device_as_it_was_sent() {
    run(|network| async move {
        let _node = stand_in(&network);
        let apns = apns(&network, 1);
        let (_online, got) = device(&network).await;
        let largest = vec![7; 4096];
        assert_eq!(push(&apns, &largest).await, answer(200, ""));
        let background = Request::new(PHONE, Kind::Background, TOPIC);
        assert_eq!(apns.push(&background, b"b".to_vec(), false).await.unwrap(), answer(200, ""));
        network.world("test").sleep(SECOND).await;
        assert_eq!(*got.borrow(), [(Kind::Alert, largest), (Kind::Background, b"b".to_vec())]);
        assert_eq!(network.tried().iter().filter(|host| *host == HOST).count(), 2, "one connection each");
    });
}

#[test]
fn pushes_that_do_not_wait_for_each_other_arrive_in_order() {
    run(|network| async move {
        let _node = stand_in(&network);
        let apns = apns(&network, 1);
        let (_online, got) = device(&network).await;
        let pushes: Vec<_> = (0..50u8)
            .map(|body| {
                let apns = Rc::clone(&apns);
                tokio::task::spawn_local(async move { push(&apns, &[body]).await })
            })
            .collect();
        for pushed in pushes {
            assert_eq!(pushed.await.unwrap(), answer(200, ""));
        }
        network.world("test").sleep(SECOND).await;
        let bodies: Vec<u8> = got.borrow().iter().map(|(_, body)| body[0]).collect();
        assert_eq!(bodies, (0..50).collect::<Vec<u8>>());
    });
}

#[test]
fn a_device_that_was_offline_gets_the_last_push() {
    run(|network| async move {
        let node = stand_in(&network);
        let apns = apns(&network, 1);
        let (online, got) = device(&network).await;
        online.abort();
        network.world("test").sleep(SECOND).await;
        for body in 1..=5 {
            assert_eq!(push(&apns, &[body]).await, answer(200, ""));
        }
        assert!(got.borrow().is_empty());
        let (_online, got) = device(&network).await;
        assert_eq!(*got.borrow(), [(Kind::Alert, vec![5])]);
        assert_eq!((node.statistics().replaced, node.statistics().delivered), (4, 1));
    });
}

#[test]
fn what_is_refused_has_apple_s_status_and_reason() {
    run(|network| async move {
        let node = stand_in(&network);
        let apns = apns(&network, 1);
        assert_eq!(push(&apns, b"x").await, answer(400, "BadDeviceToken"));
        let _online = device(&network).await;
        assert_eq!(push(&apns, &[0; 4097]).await, answer(413, "PayloadTooLarge"));
        assert_eq!(push(&apns, &vec![0; 1 << 20]).await, answer(413, "PayloadTooLarge"));
        assert_eq!(push(&apns, b"").await, answer(400, "PayloadEmpty"));
        let other = Request { topic: "other".to_owned(), ..alert() };
        assert_eq!(apns.push(&other, vec![1], false).await.unwrap(), answer(400, "TopicDisallowed"));
        let stranger = self::apns(&network, 2);
        assert_eq!(push(&stranger, b"x").await, answer(403, "InvalidProviderToken"));
        node.refuse(Some(Reason::ServiceUnavailable));
        assert_eq!(push(&apns, b"x").await, answer(503, "ServiceUnavailable"));
        node.refuse(None);
        node.unregister(PHONE);
        assert_eq!(push(&apns, b"x").await, answer(410, "Unregistered"));
    });
}

#[test]
fn a_token_is_made_anew_before_it_expires() {
    run(|network| async move {
        let _node = stand_in(&network);
        let apns = apns(&network, 1);
        let _online = device(&network).await;
        for _ in 0..8 {
            assert_eq!(push(&apns, b"x").await, answer(200, ""));
            network.world("test").sleep(420 * SECOND).await;
        }
    });
}

#[test]
fn without_a_connection_there_is_no_answer_and_the_next_push_connects_again() {
    run(|network| async move {
        let apns = apns(&network, 1);
        let lost = apns.push(&alert(), vec![1], false).await;
        assert!(matches!(lost, Err(ApnsError::Connect(..))), "{lost:?}");
        network.silence(HOST);
        let lost = apns.push(&alert(), vec![1], false).await;
        assert!(matches!(lost, Err(ApnsError::Late)), "{lost:?}");
    });
    run(|network| async move {
        let _node = stand_in(&network);
        let apns = apns(&network, 1);
        let _online = device(&network).await;
        assert_eq!(push(&apns, b"x").await, answer(200, ""));
        assert_eq!(apns.push(&alert(), b"x".to_vec(), true).await.unwrap(), answer(200, ""));
        assert_eq!(
            network.tried().iter().filter(|host| *host == HOST).count(),
            3,
            "another one when asked for"
        );
    });
}

/// Something that does TLS and then says this.
fn says(network: &Network, words: &'static [u8]) {
    let (world, listener) = (network.world(HOST), Rc::new(network.listen(HOST)));
    let acceptor = sxlab_node::tls::Acceptor::new(&identity(), &[b"h2"]).unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = world.accept(&listener).await.unwrap();
            let mut tls = acceptor.accept(stream, world.entropy()).await.unwrap().stream;
            tls.write_all(words).await.unwrap();
            tls.shutdown().await.unwrap();
        }
    });
}

#[test]
fn what_is_no_http_2_is_an_error() {
    for words in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n", &[0; 64], &[255; 64]] {
        run(|network| async move {
            says(&network, words);
            let lost = apns(&network, 1).push(&alert(), vec![1], false).await;
            assert!(matches!(lost, Err(ApnsError::Http(_))), "{lost:?}");
        });
    }
}

#[test]
fn a_device_that_says_no_token_is_closed() {
    run(|network| async move {
        let _node = stand_in(&network);
        let world = network.world("phone");
        for begin in [&[0, 0][..], &[0, 101, 1, 2], &[0, 9, 1, 2]] {
            let stream = world.connect(HOST, 443).await.unwrap();
            let mut tls = connector(DEVICE_ALPN).connect(stream, world.entropy()).await.unwrap().stream;
            tls.write_all(begin).await.unwrap();
            let ended = receive(&mut tls, 10).await;
            assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
        }
    });
}

#[test]
fn apple_s_own_routers_are_known_as_servers_of_the_web_are() {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ED25519};
    let key = || KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).unwrap();
    let own = key();
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&own, &authority).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider::system()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], own.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let web = |name: &str, known: bool| {
        Connector::of_the_web(name, known.then(|| authority.der().clone()), &[]).unwrap()
    };
    for (name, known, right) in [(HOST, true, true), (HOST, false, false), ("pear", true, false)] {
        let (connector, acceptor) = (web(name, known), acceptor.clone());
        run(|network| async move {
            let (world, listener) = (network.world(HOST), Rc::new(network.listen(HOST)));
            tokio::task::spawn_local(async move {
                let (stream, _) = world.accept(&listener).await.unwrap();
                acceptor.accept(stream).await
            });
            let world = network.world("ntf");
            let stream = world.connect(HOST, 443).await.unwrap();
            let connected = connector.connect(stream, world.entropy()).await;
            assert_eq!(connected.is_ok(), right, "{name} {known}");
        });
    }
    assert!(Connector::of_the_web("no host", [authority.der().clone()], &[b"h2"]).is_err());
}
