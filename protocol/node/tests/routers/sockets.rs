//! On real sockets of this machine.

use std::io;
use std::time::Duration;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::router::RouterNode;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{QueueStore, RouterConfig};
use sxlab_protocol::wire::RouterAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::party::{Party, message};

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    });
}

async fn router() -> RouterAddress {
    let identity = RouterIdentity::mint("127.0.0.1", &mut RealWorld.rng()).unwrap();
    let listener = RealWorld::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = RouterAddress {
        hosts: vec!["127.0.0.1".parse().unwrap()],
        port: Some(listener.local_addr().unwrap().port()),
        identity: identity.identity_hash(),
        password: None,
    };
    let config = RouterConfig::default();
    let node = RouterNode::new(RealWorld, &identity, config, QueueStore::default(), None).unwrap();
    tokio::task::spawn_local(async move { node.serve(&listener).await });
    address
}

#[test]
fn messages_travel_directly_and_through_a_proxy() {
    run(async {
        let (storage, proxy) = (router().await, router().await);
        let mut recipient = Party::connect(RealWorld, &storage).await.unwrap();
        let sender = Party::connect(RealWorld, &proxy).await.unwrap();
        let queue = recipient.queue().await;
        let key = recipient.secure(&queue).await;
        recipient.send(&queue, &key, b"direct").await;
        let (id, body) = recipient.received(&queue).await;
        assert_eq!(body, b"direct");
        assert_eq!(recipient.own(&queue, &Command::Ack(id)).await.unwrap(), Response::Ok);

        let relay = sender.session.relay(&storage, None).await.unwrap();
        let command = message(&[1; 16_000]);
        let sent = sender.session.forward(&relay, queue.sender.clone(), &command, Some(&key)).await;
        assert_eq!(sent.unwrap(), Response::Ok);
        assert_eq!(recipient.received(&queue).await.1, [1; 16_000]);
    });
}

#[test]
fn what_is_sent_before_closing_arrives() {
    run(async {
        let storage = router().await;
        let mut recipient = Party::connect(RealWorld, &storage).await.unwrap();
        let sender = Party::connect(RealWorld, &storage).await.unwrap();
        let queue = recipient.queue().await;
        let key = recipient.secure(&queue).await;
        // The answers come while the sender closes, and nobody takes them.
        for number in 0..50u8 {
            let (session, entity, key) = (sender.session.clone(), queue.sender.clone(), key.clone());
            tokio::task::spawn_local(async move {
                let _ = session.request(entity, &message(&[number; 16_000]), Some(&key)).await;
            });
        }
        tokio::task::yield_now().await;
        sender.session.close();
        let (mut id, mut body) = recipient.received(&queue).await;
        for number in 0..50 {
            assert_eq!(body, [number; 16_000]);
            match recipient.own(&queue, &Command::Ack(id)).await.unwrap() {
                Response::Msg { id: next, body: sealed } => {
                    body = queue.open(&next, &sealed);
                    id = next;
                }
                Response::Ok if number == 49 => return,
                Response::Ok => (id, body) = recipient.received(&queue).await,
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn whoever_does_not_speak_tls_is_cut_off() {
    run(async {
        let address = router().await;
        let mut stream = TcpStream::connect(("127.0.0.1", address.port.unwrap())).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // An alert, or none, and the end.
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        assert!(said.len() < 100, "{}", said.len());
        let client = Party::connect(RealWorld, &address).await.unwrap();
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
    });
}

#[test]
fn the_name_of_an_onion_service_is_not_looked_up() {
    run(async {
        let refused = RealWorld.connect("abcdefghijklmnop.onion", 5223).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    });
}
