//! A session's life: who keeps it open, and what happens to what is under way when it ends.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sxlab_node::client::{Session, SessionError};
use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::client::ClientError;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{BrokerError, ProxyError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{HandshakeError, SUPPORTED};
use sxlab_protocol::wire::{EntityId, VersionRange};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::network::{TestWorld, run};
use crate::party::{Party, Queue, TIMEOUT, client, message, mute_router, site};

/// Lets everything happen that does not wait for time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// What a future gives when it is polled at most so often (once at least), and dropped right after that.
async fn polled<T>(times: usize, mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
    let mut left = times;
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Sends as many messages at once, waiting for no answer.
async fn send_many(session: &Session<TestWorld>, queue: &Queue, key: &AuthSecretKey, count: u8) {
    for number in 0..count {
        let (session, entity, key) = (session.clone(), queue.sender.clone(), key.clone());
        tokio::task::spawn_local(async move {
            let _ = session.request(entity, &message(&[number; 16_000]), Some(&key)).await;
        });
    }
    tokio::task::yield_now().await;
}

#[test]
fn a_session_ends_when_nobody_can_use_it_any_more() {
    run(async |network| {
        let router = site(&network, "a.test");
        let Party { session, events, .. } = client(&network, "client", &router).await;
        let clone = session.clone();
        drop(session);
        settle().await;
        assert_eq!(router.node.sessions(), 1);
        drop(clone);
        settle().await;
        assert_eq!(router.node.sessions(), 1, "somebody still takes events");
        drop(events);
        settle().await;
        assert_eq!(router.node.sessions(), 0);
    });
}

#[test]
fn a_session_that_asks_for_nothing_is_a_session_all_the_same() {
    run(async |network| {
        let router = site(&network, "a.test");
        let client = client(&network, "client", &router).await;
        // Longer than a router waits for a hello.
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(!client.session.is_closed());
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
    });
}

#[test]
fn a_session_whose_events_nobody_takes_serves_its_requests() {
    run(async |network| {
        let router = site(&network, "a.test");
        let Party { session, events, .. } = client(&network, "client", &router).await;
        let other = client(&network, "other", &router).await;
        let queue = other.queue().await;
        drop(events);
        session.request(queue.recipient.clone(), &Command::Sub, Some(&queue.key)).await.unwrap();
        let key = other.secure(&queue).await;
        other.send(&queue, &key, b"nobody takes this").await;
        settle().await;
        let pong = session.request(EntityId::EMPTY, &Command::Ping, None).await;
        assert_eq!(pong.unwrap(), Response::Pong);
    });
}

#[test]
fn a_connection_attempt_that_is_dropped_leaves_no_session() {
    run(async |network| {
        let router = site(&network, "a.test");
        for times in 1..100 {
            let connecting = Party::connect(network.world("client"), &router.address);
            let connected = polled(times, Box::pin(connecting)).await;
            let done = connected.map(|party| party.map(drop)).is_some();
            settle().await;
            assert_eq!(router.node.sessions(), 0, "after {times} steps");
            if done {
                assert!(times > 2, "{times}");
                return;
            }
        }
        panic!("never connected");
    });
}

#[test]
fn a_request_that_is_dropped_before_it_is_written_is_not_made() {
    run(async |network| {
        let router = site(&network, "a.test");
        let client = client(&network, "client", &router).await;
        assert!(polled(1, Box::pin(client.queue())).await.is_none());
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
        assert!(router.node.take_store().unwrap().is_empty());
    });
}

#[test]
fn the_answer_to_a_request_that_was_dropped_later_is_an_event() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut client = client(&network, "client", &router).await;
        network.silence("b.test");
        let elsewhere = "smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@b.test".parse().unwrap();
        let dropped =
            tokio::time::timeout(Duration::from_secs(1), client.session.relay(&elsewhere, None)).await;
        assert!(dropped.is_err());
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
        let late = Response::Err(SmpError::Proxy(ProxyError::Broker(BrokerError::Timeout)));
        assert_eq!(client.events.recv().await.unwrap(), (EntityId::EMPTY, late));
    });
}

#[test]
fn what_is_asked_before_closing_is_written_and_nothing_after() {
    run(async |network| {
        let router = site(&network, "a.test");
        let recipient = client(&network, "recipient", &router).await;
        let sender = client(&network, "sender", &router).await;
        let queue = recipient.queue().await;
        let key = recipient.secure(&queue).await;
        send_many(&sender.session, &queue, &key, 20).await;
        // The last one is asked for when nothing could be written any more before the session is closed.
        let command = message(b"the last one");
        let last = sender.session.request(queue.sender.clone(), &command, Some(&key));
        let (_, ()) = tokio::join!(biased; last, async { sender.session.close() });
        assert!(sender.session.is_closed());
        let late = sender.session.request(queue.sender.clone(), &message(b"late"), Some(&key)).await;
        assert!(matches!(late, Err(SessionError::Closed)), "{late:?}");
        settle().await;
        assert_eq!(router.node.sessions(), 1);
        assert_eq!(router.node.take_store().unwrap().waiting(), 21);
    });
}

#[test]
fn closing_does_not_overtake_a_request() {
    run(async |network| {
        let router = site(&network, "a.test");
        let client = client(&network, "client", &router).await;
        let queue = client.queue().await;
        let key = client.secure(&queue).await;
        let command = message(b"the only one");
        let only = client.session.request(queue.sender.clone(), &command, Some(&key));
        let (_, ()) = tokio::join!(biased; only, async { client.session.close() });
        settle().await;
        assert_eq!(router.node.take_store().unwrap().waiting(), 1);
    });
}

#[test]
fn a_session_with_a_router_that_does_not_read_can_be_closed_all_the_same() {
    run(async |network| {
        let (address, accepting) = mute_router(&network, "mute.test").await;
        let mut party = Party::connect(network.world("client"), &address).await.unwrap();
        let mut stream = accepting.await.unwrap();
        for _ in 0..10 {
            let session = party.session.clone();
            tokio::task::spawn_local(async move {
                let sent = session.request(EntityId::from([1; 24]), &message(&[0; 16_000]), None).await;
                assert!(matches!(sent, Err(SessionError::Closed)), "{sent:?}");
            });
        }
        settle().await;
        let closed = Instant::now();
        party.session.close();
        assert!(party.events.recv().await.is_none());
        assert_eq!(closed.elapsed().as_secs(), 10);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(stream.write_all(&[0; 16_384]).await.is_err() || stream.flush().await.is_err());
    });
}

#[test]
fn a_version_that_the_router_does_not_speak_is_told() {
    run(async |network| {
        let router = site(&network, "a.test");
        let versions = VersionRange::only(SUPPORTED.max + 1);
        let outcome = Session::connect(network.world("client"), &router.address, versions, TIMEOUT).await;
        let error = outcome.err().unwrap();
        let expected = SessionError::Client(ClientError::Handshake(HandshakeError::Version));
        assert_eq!(error.to_string(), expected.to_string());
        assert!(!error.is_temporary());
        settle().await;
        assert_eq!(router.node.sessions(), 0);
    });
}

#[test]
fn events_that_nobody_takes_yet_are_not_lost_and_hold_up_what_follows() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut first = client(&network, "first", &router).await;
        let second = client(&network, "second", &router).await;
        let mut queues = Vec::new();
        for _ in 0..300 {
            let queue = first.queue().await;
            second.own(&queue, &Command::Sub).await.unwrap();
            queues.push(queue.recipient);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        // 256 of the 300 END fill the channel, and the answer stands behind all of them.
        let ping = first.ping().await;
        assert!(matches!(ping, Err(SessionError::Timeout)), "{ping:?}");
        // What the latest block caused comes first; each SUB had a block of its own.
        for queue in queues.into_iter().rev() {
            assert_eq!(first.events.recv().await.unwrap(), (queue, Response::End));
        }
        assert_eq!(first.events.recv().await.unwrap(), (EntityId::EMPTY, Response::Pong));
        assert_eq!(first.ping().await.unwrap(), Response::Pong);
    });
}
