//! Many connections, and connections that ask for more than their share.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::router::{ConnectionLimits, Observer, RouterNode};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::observe::{SessionNo, Sight};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{QueueStore, RouterConfig};
use sxlab_protocol::transport::BLOCK_SIZE;
use sxlab_protocol::wire::{EntityId, RouterAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsStream;

use crate::network::{SECOND, run};
use crate::party::{Party, Raw, client, site, site_with, start_observed};

/// Blocks of a flood, each with 100 commands.
const FLOOD: usize = 50;

#[test]
fn a_flood_of_full_blocks_delays_others_by_a_block_or_two() {
    run(async |network| {
        network.set_pipe(4 << 20);
        let host = "a.test";
        let identity = RouterIdentity::mint(host, &mut network.world(host).rng()).unwrap();
        let seen: Rc<RefCell<Vec<SessionNo>>> = Rc::default();
        let note = Rc::clone(&seen);
        let observer: Observer = Rc::new(move |_, sight| {
            if let Sight::Received(seen) = sight {
                note.borrow_mut().push(seen.session);
            }
        });
        let (config, limits) = (RouterConfig::default(), ConnectionLimits::default());
        let store = QueueStore::default();
        let router = start_observed(&network, host, identity, config, limits, store, Some(observer));
        let mut flood = Raw::ready(&network, &router).await;
        let mut other = Raw::ready(&network, &router).await;
        let mut blocks = Vec::new();
        for _ in 0..FLOOD {
            for _ in 0..100 {
                flood.core.request(EntityId::EMPTY, &Command::Ping, None).unwrap();
            }
            while let Some(block) = flood.core.next_block() {
                blocks.extend(block);
            }
        }
        other.core.request(EntityId::EMPTY, &Command::Ping, None).unwrap();
        // Both are there before the router looks at either, the flood first.
        tokio::task::unconstrained(async {
            flood.stream.write_all(&blocks).await.unwrap();
            flood.stream.flush().await.unwrap();
            other.write().await;
        })
        .await;
        assert_eq!(other.read().await.len(), 1);
        let before = seen.borrow().iter().position(|session| *session != seen.borrow()[0]).unwrap();
        println!("{before} commands of the flood came before the other's one");
        assert!(before <= 300, "{before} commands of the flood came before the other's one");
    });
}

#[test]
fn whoever_stalls_is_cut_off_at_every_stage() {
    run(async |network| {
        let router = site(&network, "a.test");
        let begun = Instant::now();
        // A record of TLS that is announced and does not come whole.
        let mut in_tls = network.world("hostile").connect("a.test", 5223).await.unwrap();
        in_tls.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
        let mut said = Vec::new();
        in_tls.read_to_end(&mut said).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 60);

        let begun = Instant::now();
        let mut in_hello = Raw::connect(&network, &router).await;
        in_hello.stream.write_all(&[0; BLOCK_SIZE / 2]).await.unwrap();
        in_hello.stream.flush().await.unwrap();
        said.clear();
        in_hello.stream.read_to_end(&mut said).await.unwrap();
        assert_eq!((said.len(), begun.elapsed().as_secs()), (BLOCK_SIZE, 120));
        assert_eq!(router.node.sessions(), 0);
    });
}

#[test]
fn a_session_that_stalls_inside_a_block_ends_with_the_inactive_ones() {
    run(async |network| {
        let config = RouterConfig {
            inactive_ttl: 60 * SECOND,
            inactive_interval: 30 * SECOND,
            ..RouterConfig::default()
        };
        let router = site_with(&network, "a.test", config, ConnectionLimits::default());
        let begun = Instant::now();
        let mut raw = Raw::ready(&network, &router).await;
        raw.stream.write_all(&[0; BLOCK_SIZE / 2]).await.unwrap();
        raw.stream.flush().await.unwrap();
        assert_eq!(raw.stream.read(&mut [0]).await.unwrap(), 0);
        assert!((60..=100).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    });
}

#[test]
fn who_says_that_no_more_comes_is_let_go() {
    run(async |network| {
        let router = site(&network, "a.test");
        // Before TLS, before the hello, and in the session: the client ends its direction and goes on listening.
        let mut plain = network.world("hostile").connect("a.test", 5223).await.unwrap();
        plain.shutdown().await.unwrap();
        let mut in_hello = Raw::connect(&network, &router).await;
        in_hello.stream.shutdown().await.unwrap();
        let mut in_session = Raw::ready(&network, &router).await;
        in_session.stream.shutdown().await.unwrap();
        let begun = Instant::now();
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said).await;
        let _ = in_hello.stream.read_to_end(&mut said).await;
        let _ = in_session.stream.read_to_end(&mut said).await;
        assert_eq!((begun.elapsed().as_secs(), router.node.sessions()), (0, 0));
    });
}

#[test]
fn a_subscriber_that_reads_nothing_is_cut_off_in_time() {
    run(async |network| {
        let router = site(&network, "a.test");
        let sender = client(&network, "sender", &router).await;
        let mut deaf = Raw::ready(&network, &router).await;
        for _ in 0..10 {
            let queue = sender.queue().await;
            deaf.core.request(queue.recipient.clone(), &Command::Sub, Some(&queue.key)).unwrap();
            deaf.write().await;
            deaf.read().await;
            let key = sender.secure(&queue).await;
            sender.send(&queue, &key, b"hello").await;
        }
        assert_eq!(router.node.sessions(), 2);
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert_eq!(router.node.sessions(), 1);
    });
}

#[test]
fn clients_that_read_nothing_are_closed_before_the_router_holds_too_much_for_them() {
    run(async |network| {
        let config = RouterConfig { queued_blocks: 40, ..RouterConfig::default() };
        let router = site_with(&network, "a.test", config, ConnectionLimits::default());
        let other = client(&network, "other", &router).await;
        let mut deaf = Vec::new();
        for _ in 0..5 {
            let mut raw = Raw::ready(&network, &router).await;
            for _ in 0..30 {
                raw.core.request(EntityId::EMPTY, &Command::Ping, None).unwrap();
                raw.write().await;
                settle().await;
            }
            assert_eq!(other.ping().await.unwrap(), Response::Pong);
            let held = router.node.operate(|core, _| core.holdings().blocks).unwrap();
            assert!(held <= 40, "{held} blocks");
            deaf.push(raw);
        }
        let shed = router.node.operate(|core, _| core.statistics().shed).unwrap();
        assert!((1..5).contains(&shed), "{shed} of 5 were closed");
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(router.node.sessions(), 1 + 5 - usize::try_from(shed).unwrap());
        assert_eq!(other.ping().await.unwrap(), Response::Pong);
    });
}

#[test]
fn garbage_in_place_of_records_and_blocks_ends_that_session_only() {
    run(async |network| {
        let router = site(&network, "a.test");
        let other = client(&network, "other", &router).await;
        // Under TLS: a record that does not decrypt.
        let raw = Raw::ready(&network, &router).await;
        let TlsStream::Client(tls) = raw.stream else { panic!("a client") };
        let (mut below, _) = tls.into_inner();
        below.write_all(&[&[0x17, 3, 3, 1, 0][..], &[0xab; 256]].concat()).await.unwrap();
        settle().await;
        assert_eq!(router.node.sessions(), 1);
        // In TLS: blocks that do not decrypt are answered, and the session goes on (TR-32).
        let mut raw = Raw::ready(&network, &router).await;
        for _ in 0..3 {
            raw.stream.write_all(&[0xab; BLOCK_SIZE]).await.unwrap();
        }
        raw.stream.flush().await.unwrap();
        for _ in 0..3 {
            assert!(!raw.read().await.is_empty());
        }
        assert_eq!(other.ping().await.unwrap(), Response::Pong);
        assert_eq!(router.node.sessions(), 2);
    });
}

/// Lets everything happen that does not wait for time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// File descriptors that this process may have open.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(1024)
}

#[test]
fn ten_thousand_connections_that_say_nothing_do_not_keep_others_out() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        // Both ends of each are in this process.
        let count = 10_000.min(descriptors().saturating_sub(200) / 2);
        println!("{count} connections: as many as the limit of open files allows, 10000 at most");
        let identity = RouterIdentity::mint("127.0.0.1", &mut RealWorld.rng()).unwrap();
        let listener = RealWorld::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let at = listener.local_addr().unwrap();
        let address = RouterAddress {
            hosts: vec!["127.0.0.1".parse().unwrap()],
            port: Some(at.port()),
            identity: identity.identity_hash(),
            password: None,
        };
        let limits = ConnectionLimits { accepted: count + 10, ..ConnectionLimits::default() };
        let (config, store) = (RouterConfig::default(), QueueStore::default());
        let node = RouterNode::with_limits(RealWorld, &identity, config, store, None, limits).unwrap();
        let serving = node.clone();
        tokio::task::spawn_local(async move { serving.serve(&listener).await });
        let mut silent = Vec::with_capacity(count);
        for _ in 0..count {
            silent.push(TcpStream::connect(at).await.unwrap());
        }
        let other = Party::connect(RealWorld, &address).await.unwrap();
        assert_eq!(other.ping().await.unwrap(), Response::Pong);
        assert_eq!(node.sessions(), 1);
    });
}
