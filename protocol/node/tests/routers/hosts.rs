//! Which host of an address a client ends up with.

use sxlab_node::client::SessionError;
use sxlab_node::tls::TlsError;
use sxlab_protocol::wire::RouterAddress;
use tokio::time::Instant;

use crate::network::{Network, run};
use crate::party::{Party, Site, site};

fn address(router: &Site, hosts: &[&str]) -> RouterAddress {
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    RouterAddress { hosts, ..router.address.clone() }
}

async fn connect(network: &Network, address: &RouterAddress) -> Result<(), SessionError> {
    let party = Party::connect(network.world("client"), address).await?;
    party.ping().await.map(|_| ())
}

#[test]
fn hosts_are_tried_in_the_order_of_the_address_until_one_accepts() {
    run(async |network| {
        let router = site(&network, "a.test");
        let hosts = address(&router, &["gone.test", "gonetoo.test", "a.test", "never.test"]);
        connect(&network, &hosts).await.unwrap();
        assert_eq!(network.tried(), ["gone.test", "gonetoo.test", "a.test"]);
    });
}

#[test]
fn a_host_that_swallows_connections_does_not_hide_the_next() {
    run(async |network| {
        let router = site(&network, "a.test");
        network.silence("silent.test");
        let asked = Instant::now();
        connect(&network, &address(&router, &["silent.test", "a.test"])).await.unwrap();
        assert_eq!(asked.elapsed().as_secs(), 15);

        let outcome = connect(&network, &address(&router, &["silent.test", "silent.test"])).await;
        assert!(matches!(outcome, Err(SessionError::Timeout)), "{outcome:?}");
        assert_eq!(asked.elapsed().as_secs(), 45);
    });
}

#[test]
fn without_a_host_that_accepts_the_last_error_is_told() {
    run(async |network| {
        let router = site(&network, "a.test");
        let outcome = connect(&network, &address(&router, &["gone.test", "gonetoo.test"])).await;
        let Err(SessionError::Tls(TlsError::Io(error))) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(outcome.unwrap_err().is_temporary());
        assert!(connect(&network, &address(&router, &[])).await.is_err());
    });
}

#[test]
fn a_host_with_another_identity_is_an_error_and_not_passed_over() {
    run(async |network| {
        let (router, other) = (site(&network, "a.test"), site(&network, "other.test"));
        let outcome = connect(&network, &address(&router, &["other.test", "a.test"])).await;
        let Err(SessionError::Tls(TlsError::IdentityMismatch { expected, actual })) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((expected, actual), (router.address.identity, other.address.identity));
        assert_eq!(network.tried(), ["other.test"]);
        assert_eq!(router.node.sessions() + other.node.sessions(), 0);
    });
}

#[test]
fn a_host_that_accepts_and_says_nothing_is_given_up_in_time() {
    run(async |network| {
        let router = site(&network, "a.test");
        let _listener = network.listen("mute.test");
        let asked = Instant::now();
        let outcome = connect(&network, &address(&router, &["mute.test", "a.test"])).await;
        assert!(matches!(outcome, Err(SessionError::Timeout)), "{outcome:?}");
        assert_eq!(asked.elapsed().as_secs(), 30);
    });
}
