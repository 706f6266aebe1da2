//! A router as a proxy to another one.

use sxlab_node::client::SessionError;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{BrokerError, ProxyError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use tokio::time::Instant;

use crate::network::run;
use crate::party::{client, message, site, start};

fn is_broker<T: std::fmt::Debug>(outcome: &Result<T, SessionError>, expected: &BrokerError) -> bool {
    match outcome {
        Err(SessionError::Router(SmpError::Proxy(ProxyError::Broker(error)))) => error == expected,
        _ => false,
    }
}

#[test]
fn a_message_through_a_proxy_reaches_the_relays_queue() {
    run(async |network| {
        let (proxy, relay) = (site(&network, "proxy.test"), site(&network, "relay.test"));
        let mut recipient = client(&network, "recipient", &relay).await;
        let sender = client(&network, "sender", &proxy).await;
        let queue = recipient.queue().await;
        let behind = sender.session.relay(&relay.address, None).await.unwrap();
        let key = recipient.secure(&queue).await;
        for body in [&b"short"[..], &[9; 16_000]] {
            let command = message(body);
            let sent = sender.session.forward(&behind, queue.sender.clone(), &command, Some(&key)).await;
            assert_eq!(sent.unwrap(), Response::Ok);
            let (id, received) = recipient.received(&queue).await;
            assert_eq!(received, body);
            recipient.own(&queue, &Command::Ack(id)).await.unwrap();
        }
        let refused = sender.session.forward(&behind, queue.sender.clone(), &message(b"x"), None).await;
        assert!(matches!(refused, Err(SessionError::Router(SmpError::Auth))), "{refused:?}");
    });
}

#[test]
fn clients_of_a_proxy_share_its_session_with_a_relay() {
    run(async |network| {
        let (proxy, relay) = (site(&network, "proxy.test"), site(&network, "relay.test"));
        let (one, two) = (client(&network, "one", &proxy).await, client(&network, "two", &proxy).await);
        let (first, second) =
            tokio::join!(one.session.relay(&relay.address, None), two.session.relay(&relay.address, None));
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(network.tried().iter().filter(|host| *host == "relay.test").count(), 1);
        assert_eq!((proxy.node.sessions(), relay.node.sessions()), (3, 1));
    });
}

#[test]
fn a_relay_that_refuses_connections_is_told_as_the_network() {
    run(async |network| {
        let (proxy, relay) = (site(&network, "proxy.test"), site(&network, "relay.test"));
        network.unlisten("relay.test");
        let sender = client(&network, "sender", &proxy).await;
        let outcome = sender.session.relay(&relay.address, None).await;
        assert!(is_broker(&outcome, &BrokerError::Network), "{outcome:?}");
        assert!(outcome.unwrap_err().is_temporary());
        assert_eq!(proxy.node.sessions(), 1);
    });
}

#[test]
fn a_relay_of_another_identity_is_told_as_the_network() {
    run(async |network| {
        let (proxy, relay) = (site(&network, "proxy.test"), site(&network, "relay.test"));
        let sender = client(&network, "sender", &proxy).await;
        let mut address = relay.address.clone();
        address.identity = [9; 32];
        let outcome = sender.session.relay(&address, None).await;
        assert!(is_broker(&outcome, &BrokerError::Network), "{outcome:?}");
    });
}

#[test]
fn a_relay_that_does_not_answer_is_given_up_in_time() {
    run(async |network| {
        let proxy = site(&network, "proxy.test");
        // Connections there are made but never served.
        let _listener = network.listen("relay.test");
        let sender = client(&network, "sender", &proxy).await;
        let address = "smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@relay.test".parse().unwrap();
        let asked = Instant::now();
        let outcome = sender.session.relay(&address, None).await;
        assert!(is_broker(&outcome, &BrokerError::Timeout), "{outcome:?}");
        assert_eq!(asked.elapsed().as_secs(), 25);
        assert_eq!(proxy.node.sessions(), 1);
    });
}

#[test]
fn a_relay_that_is_restarted_is_reached_again_by_another_session() {
    run(async |network| {
        let (proxy, relay) = (site(&network, "proxy.test"), site(&network, "relay.test"));
        let recipient = client(&network, "recipient", &relay).await;
        let sender = client(&network, "sender", &proxy).await;
        let queue = recipient.queue().await;
        let key = recipient.secure(&queue).await;
        let before = sender.session.relay(&relay.address, None).await.unwrap();

        let store = relay.node.take_store().unwrap();
        let limits = sxlab_node::router::ConnectionLimits::default();
        start(&network, "relay.test", relay.identity, RouterConfig::default(), limits, store);
        // The proxy has seen the end of its session once the network is quiet.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let command = message(b"hello");
        let sent = sender.session.forward(&before, queue.sender.clone(), &command, Some(&key)).await;
        assert!(
            matches!(sent, Err(SessionError::Router(SmpError::Proxy(ProxyError::NoSession)))),
            "{sent:?}"
        );
        let after = sender.session.relay(&relay.address, None).await.unwrap();
        let sent = sender.session.forward(&after, queue.sender.clone(), &command, Some(&key)).await;
        assert_eq!(sent.unwrap(), Response::Ok);
    });
}
