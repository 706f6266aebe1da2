//! How many connections a router takes, and what it does when it can't take any.

use std::io;

use sxlab_node::router::ConnectionLimits;
use sxlab_node::world::World;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::network::{SECOND, run};
use crate::party::{client, site, site_with};

#[test]
fn connections_beyond_the_limit_wait_until_another_one_ends() {
    run(async |network| {
        let limits = ConnectionLimits { accepted: 2, ..ConnectionLimits::default() };
        let router = site_with(&network, "a.test", RouterConfig::default(), limits);
        let first = client(&network, "first", &router).await;
        let second = client(&network, "second", &router).await;
        let third = async { client(&network, "third", &router).await.ping().await };
        let then = async {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            assert_eq!((router.node.sessions(), router.listener.waiting().await), (2, 1));
            first.session.close();
        };
        let begun = Instant::now();
        let (third, ()) = tokio::join!(third, then);
        assert_eq!(third.unwrap(), Response::Pong);
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert_eq!(second.ping().await.unwrap(), Response::Pong);
    });
}

#[test]
fn connections_that_do_nothing_make_room_in_time() {
    run(async |network| {
        let limits =
            ConnectionLimits { accepted: 50, tls_timeout: 7 * SECOND, ..ConnectionLimits::default() };
        let router = site_with(&network, "a.test", RouterConfig::default(), limits);
        let world = network.world("hostile");
        let mut idle = Vec::new();
        for _ in 0..50 {
            idle.push(world.connect("a.test", 5223).await.unwrap());
        }
        let begun = Instant::now();
        assert_eq!(client(&network, "client", &router).await.ping().await.unwrap(), Response::Pong);
        assert_eq!(begun.elapsed().as_secs(), 7);
        for stream in &mut idle {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_listener_that_fails_for_a_while_is_tried_again() {
    run(async |network| {
        let router = site(&network, "a.test");
        // EMFILE, ENFILE, EPROTO.
        for code in [24, 23, 71] {
            network.fail("a.test", io::Error::from_raw_os_error(code));
        }
        network.fail("a.test", io::ErrorKind::ConnectionAborted.into());
        let begun = Instant::now();
        assert_eq!(client(&network, "client", &router).await.ping().await.unwrap(), Response::Pong);
        // Neither at once nor long after.
        assert!((1..1000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        assert!(!router.served.is_finished());
    });
}

#[test]
fn a_listener_that_is_none_any_more_ends_the_accepting() {
    run(async |network| {
        // EBADF, EINVAL, and an error without a code that says nothing of the kind.
        for error in [
            io::Error::from_raw_os_error(9),
            io::Error::from_raw_os_error(22),
            io::Error::other("no listener"),
        ] {
            let (kind, router) = (error.kind(), site(&network, "a.test"));
            network.fail("a.test", error);
            assert_eq!(router.served.await.unwrap().unwrap_err().kind(), kind);
        }
    });
}

#[test]
fn connections_beyond_those_of_one_address_are_closed_at_once() {
    run(async |network| {
        let limits = ConnectionLimits { per_address: Some(2), ..ConnectionLimits::default() };
        let router = site_with(&network, "a.test", RouterConfig::default(), limits);
        let first = client(&network, "2001:db8::1", &router).await;
        let second = client(&network, "2001:db8::2", &router).await;
        // Whoever has one address of a network of 64 bits has them all.
        let mut third = network.world("2001:db8::3").connect("a.test", 5223).await.unwrap();
        assert_eq!(third.read(&mut [0]).await.unwrap(), 0);
        assert_eq!((router.node.connections(), router.node.refused_connections()), (2, 1));
        // Others are not concerned, nor is whoever comes when one has ended.
        let other = client(&network, "2001:db8:0:1::1", &router).await;
        assert_eq!(other.ping().await.unwrap(), Response::Pong);
        first.session.close();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let again = client(&network, "2001:db8::3", &router).await;
        assert_eq!(again.ping().await.unwrap(), Response::Pong);
        assert_eq!(second.ping().await.unwrap(), Response::Pong);
        assert_eq!(router.node.refused_connections(), 1);
    });
}
