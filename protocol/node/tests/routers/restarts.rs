//! A router that stops, and one that goes on with its queues.

use sxlab_node::client::SessionError;
use sxlab_node::router::ConnectionLimits;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use sxlab_node::world::World;

use crate::network::run;
use crate::party::{client, site, start};

#[test]
fn an_unacknowledged_message_survives_a_restart() {
    run(async |network| {
        let router = site(&network, "a.test");
        let mut recipient = client(&network, "recipient", &router).await;
        let queue = recipient.queue().await;
        let key = recipient.secure(&queue).await;
        recipient.send(&queue, &key, b"again").await;
        assert_eq!(recipient.received(&queue).await.1, b"again");

        let store = router.node.take_store().unwrap();
        assert_eq!((store.len(), store.waiting()), (1, 1));
        assert!(recipient.events.recv().await.is_none());
        assert!(recipient.session.is_closed());
        assert!(matches!(recipient.ping().await, Err(SessionError::Closed)));

        let limits = ConnectionLimits::default();
        let router = start(&network, "a.test", router.identity, RouterConfig::default(), limits, store);
        let mut recipient = client(&network, "recipient", &router).await;
        assert_eq!(recipient.own(&queue, &Command::Sub).await.unwrap(), Response::Sok { service: None });
        let (id, body) = recipient.received(&queue).await;
        assert_eq!(body, b"again");
        assert_eq!(recipient.own(&queue, &Command::Ack(id)).await.unwrap(), Response::Ok);
        assert_eq!(router.node.take_store().unwrap().waiting(), 0);
    });
}

#[test]
fn a_stopped_router_ends_what_it_is_doing() {
    run(async |network| {
        let router = site(&network, "a.test");
        // A session with a request that waits, a connection in the middle of TLS, and a dial to a relay.
        let client = client(&network, "client", &router).await;
        network.silence("b.test");
        let elsewhere = "smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@b.test".parse().unwrap();
        let session = client.session.clone();
        let waiting = tokio::task::spawn_local(async move { session.relay(&elsewhere, None).await });
        let mut silent = network.world("silent").connect("a.test", 5223).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(network.tried(), ["a.test", "a.test", "b.test"]);
        assert_eq!(router.node.sessions(), 2);

        let stopped = Instant::now();
        assert!(router.node.take_store().is_some());
        assert!(router.node.take_store().is_none());
        router.served.await.unwrap().unwrap();
        assert!(matches!(waiting.await.unwrap(), Err(SessionError::Closed)));
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(stopped.elapsed().as_millis(), 0);
        assert_eq!(router.node.sessions(), 0);
    });
}

#[test]
fn sessions_outlive_the_accepting() {
    run(async |network| {
        let router = site(&network, "a.test");
        let client = client(&network, "client", &router).await;
        router.served.abort();
        assert!(router.served.await.unwrap_err().is_cancelled());
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
    });
}
