//! Queues over sessions: the everyday exchange.

use std::rc::Rc;

use sxlab_node::client::{Session, SessionError};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{BrokerError, ProxyError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::EntityId;
use tokio::time::Instant;

use crate::network::{SECOND, run};
use crate::party::{client, message, site};

#[test]
fn a_router_answers_a_ping() {
    run(async |network| {
        let router = site(&network, "a.test");
        let client = client(&network, "client", &router).await;
        assert_eq!(client.session.version(), 20);
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
    });
}

#[test]
fn messages_reach_the_recipient_one_by_one_as_they_are_acknowledged() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut recipient = client(&network, "recipient", &router).await;
        let sender = client(&network, "sender", &router).await;
        let queue = recipient.queue().await;
        let key = sender.secure(&queue).await;
        sender.send(&queue, &key, b"one").await;
        sender.send(&queue, &key, b"two").await;

        let (first, body) = recipient.received(&queue).await;
        assert_eq!(body, b"one");
        let next = recipient.own(&queue, &Command::Ack(first)).await.unwrap();
        let Response::Msg { id, body } = next else { panic!("{next:?}") };
        assert_eq!(queue.open(&id, &body), b"two");
        assert_eq!(recipient.own(&queue, &Command::Ack(id)).await.unwrap(), Response::Ok);
        assert!(recipient.events.try_recv().is_err());
    });
}

#[test]
fn what_the_router_refuses_is_an_error_with_its_reason() {
    run(async |network| {
        let router = site(&network, "a.test");
        let recipient = client(&network, "recipient", &router).await;
        let queue = recipient.queue().await;
        recipient.secure(&queue).await;
        let sent = recipient.session.request(queue.sender.clone(), &message(b"unsigned"), None).await;
        assert!(matches!(sent, Err(SessionError::Router(SmpError::Auth))), "{sent:?}");
    });
}

#[test]
fn a_subscription_from_elsewhere_ends_the_first_one() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut first = client(&network, "first", &router).await;
        let mut second = client(&network, "second", &router).await;
        let queue = first.queue().await;
        let answer = second.own(&queue, &Command::Sub).await.unwrap();
        assert_eq!(answer, Response::Sok { service: None });
        assert_eq!(first.events.recv().await.unwrap(), (queue.recipient.clone(), Response::End));

        let key = first.secure(&queue).await;
        first.send(&queue, &key, b"for the second").await;
        assert_eq!(second.received(&queue).await.1, b"for the second");
        assert!(first.events.try_recv().is_err());
    });
}

#[test]
fn requests_in_parallel_get_each_their_own_answer() {
    run(async |network| {
        let router = site(&network, "a.test");
        let recipient = Rc::new(client(&network, "recipient", &router).await);
        let mut tasks = Vec::new();
        for number in 0..60 {
            let recipient = Rc::clone(&recipient);
            tasks.push(tokio::task::spawn_local(async move {
                match number % 3 {
                    0 => assert_eq!(recipient.ping().await.unwrap(), Response::Pong),
                    1 => {
                        let queue = recipient.queue().await;
                        let deleted = recipient.own(&queue, &Command::Del).await.unwrap();
                        assert_eq!(deleted, Response::Ok);
                    }
                    _ => {
                        let nobody = EntityId::from([7; 24]);
                        let sent = recipient.session.request(nobody, &message(&[1; 16_000]), None).await;
                        assert!(matches!(sent, Err(SessionError::Router(SmpError::Auth))), "{sent:?}");
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_request_without_an_answer_ends_in_time_and_its_late_answer_is_an_event() {
    run(async |network| {
        let router = site(&network, "a.test");
        network.silence("b.test");
        let elsewhere = "smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@b.test".parse().unwrap();
        let world = network.world("client");
        let (session, mut events) =
            Session::connect(world, &router.address, SUPPORTED, 5 * SECOND).await.unwrap();
        let asked = Instant::now();
        let answer = session.relay(&elsewhere, None).await;
        assert!(matches!(answer, Err(SessionError::Timeout)), "{answer:?}");
        assert_eq!(asked.elapsed().as_secs(), 5);
        // The proxy gives up after 25 s.
        let late = Response::Err(SmpError::Proxy(ProxyError::Broker(BrokerError::Timeout)));
        assert_eq!(events.recv().await.unwrap(), (EntityId::EMPTY, late));
        assert_eq!(asked.elapsed().as_secs(), 25);
        session.request(EntityId::EMPTY, &Command::Ping, None).await.unwrap();
    });
}
