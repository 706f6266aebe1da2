//! Clients that do what they should not, or nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sxlab_node::router::ConnectionLimits;
use sxlab_node::world::World;
use sxlab_protocol::smp::client::ClientEvent;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::transport::BLOCK_SIZE;
use sxlab_protocol::wire::EntityId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::network::{Network, run};
use crate::party::{Raw, Site, client, site, site_with};

/// Lets everything happen that does not wait for time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn still_serves(network: &Network, router: &Site) {
    let other = client(network, "other", router).await;
    assert_eq!(other.ping().await.unwrap(), Response::Pong);
}

/// A router that lets this many blocks wait for a client.
fn narrow(network: &Network, outgoing_blocks: usize) -> Site {
    let config = RouterConfig { outgoing_blocks, ..RouterConfig::default() };
    site_with(network, "a.test", config, ConnectionLimits::default())
}

#[test]
fn whoever_does_not_speak_tls_is_cut_off_at_once() {
    run(async |network| {
        let router = site(&network, "a.test");
        let begun = Instant::now();
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 5000], &[0x16, 3, 1, 0xff, 0xff]] {
            let mut stream = network.world("hostile").connect("a.test", 5223).await.unwrap();
            stream.write_all(garbage).await.unwrap();
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert!(said.len() < 100, "{}", said.len());
        }
        assert_eq!(begun.elapsed().as_secs(), 0);
        still_serves(&network, &router).await;
    });
}

#[test]
fn whoever_says_nothing_is_cut_off_in_time() {
    run(async |network| {
        let router = site(&network, "a.test");
        let begun = Instant::now();
        let mut stream = network.world("hostile").connect("a.test", 5223).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), 60);

        let begun = Instant::now();
        let mut raw = Raw::connect(&network, &router).await;
        let mut said = Vec::new();
        raw.stream.read_to_end(&mut said).await.unwrap();
        assert_eq!((said.len(), begun.elapsed().as_secs()), (BLOCK_SIZE, 120));
        drop(raw);
        settle().await;
        assert_eq!(router.node.sessions(), 0);
    });
}

#[test]
fn a_connection_that_ends_inside_a_block_is_forgotten() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut in_hello = Raw::connect(&network, &router).await;
        in_hello.stream.write_all(&[0; 100]).await.unwrap();
        in_hello.stream.flush().await.unwrap();
        let mut in_session = Raw::ready(&network, &router).await;
        in_session.stream.write_all(&[0; BLOCK_SIZE - 1]).await.unwrap();
        in_session.stream.flush().await.unwrap();
        settle().await;
        assert_eq!(router.node.sessions(), 2);
        drop((in_hello, in_session));
        settle().await;
        assert_eq!(router.node.sessions(), 0);
        still_serves(&network, &router).await;
    });
}

#[test]
fn a_hello_that_is_refused_ends_the_connection_without_a_word() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut raw = Raw::connect(&network, &router).await;
        raw.stream.write_all(&[0xff; BLOCK_SIZE]).await.unwrap();
        raw.stream.flush().await.unwrap();
        let begun = Instant::now();
        let mut said = Vec::new();
        raw.stream.read_to_end(&mut said).await.unwrap();
        assert_eq!((said.len(), begun.elapsed().as_secs()), (BLOCK_SIZE, 0));
    });
}

#[test]
fn who_does_not_read_answers_is_not_read_either() {
    run(async |network| {
        let router = narrow(&network, 4);
        let raw = Raw::ready(&network, &router).await;
        let (mut reader, mut writer) = tokio::io::split(raw.stream);
        let mut core = raw.core;
        let mut asked = Vec::new();
        let mut blocks = Vec::new();
        for _ in 0..100 {
            asked.push(core.request(EntityId::EMPTY, &Command::Ping, None).unwrap());
            blocks.push(core.next_block().unwrap());
        }
        let written = Rc::new(Cell::new(0));
        let count = Rc::clone(&written);
        let writing = tokio::task::spawn_local(async move {
            for block in blocks {
                writer.write_all(&block).await.unwrap();
                writer.flush().await.unwrap();
                count.set(count.get() + 1);
            }
        });
        tokio::time::sleep(Duration::from_secs(600)).await;
        // Four wait at the router; those in TLS and in the pipes, on both sides, are a few more.
        assert!((4..=14).contains(&written.get()), "{}", written.get());
        still_serves(&network, &router).await;

        let mut answered = Vec::new();
        let mut block = vec![0; BLOCK_SIZE];
        while answered.len() < asked.len() {
            reader.read_exact(&mut block).await.unwrap();
            core.block(&block).unwrap();
            while let Some(event) = core.poll() {
                let ClientEvent::Response { corr, response: Ok(Response::Pong), .. } = event else {
                    panic!("{event:?}");
                };
                answered.push(corr);
            }
        }
        assert_eq!(answered, asked);
        writing.await.unwrap();
    });
}

#[test]
fn deliveries_to_a_client_that_does_not_read_wait_in_their_queues() {
    run(async |network| {
        let router = narrow(&network, 3);
        let other = client(&network, "other", &router).await;
        let mut raw = Raw::ready(&network, &router).await;
        let mut queues = Vec::new();
        for _ in 0..30 {
            let queue = other.queue().await;
            raw.core.request(queue.recipient.clone(), &Command::Sub, Some(&queue.key)).unwrap();
            queues.push((other.secure(&queue).await, queue));
        }
        raw.write().await;
        assert_eq!(raw.read().await.len(), 30);
        for (number, (key, queue)) in (0..).zip(&queues) {
            other.send(queue, key, &[number; 16_000]).await;
        }
        settle().await;
        let mut received = Vec::new();
        while received.len() < queues.len() {
            for event in raw.read().await {
                let ClientEvent::Event { entity, response: Response::Msg { id, body } } = event else {
                    panic!("{event:?}");
                };
                let (_, queue) = queues.iter().find(|(_, queue)| queue.recipient == entity).unwrap();
                received.push(queue.open(&id, &body)[0]);
            }
        }
        received.sort_unstable();
        assert_eq!(received, (0..30).collect::<Vec<_>>());
    });
}

#[test]
fn a_connection_whose_peer_does_not_read_can_be_closed_all_the_same() {
    run(async |network| {
        let router = narrow(&network, 4);
        let raw = Raw::ready(&network, &router).await;
        let (_reader, mut writer) = tokio::io::split(raw.stream);
        let mut core = raw.core;
        let writing = tokio::task::spawn_local(async move {
            for _ in 0..100 {
                core.request(EntityId::EMPTY, &Command::Ping, None).unwrap();
                let block = core.next_block().unwrap();
                if writer.write_all(&block).await.is_err() || writer.flush().await.is_err() {
                    return Instant::now();
                }
            }
            panic!("all was taken");
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!writing.is_finished());
        let stopped = Instant::now();
        router.node.take_store().unwrap();
        let ended = writing.await.unwrap() - stopped;
        assert!(ended.as_secs() <= 20, "{ended:?}");
    });
}
