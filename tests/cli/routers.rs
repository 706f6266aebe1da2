//! `sxlab serve smp` and `sxlab smp ping`.

use crate::program::{Scratch, router, sxlab};

#[tokio::test]
async fn a_ping_gives_version_and_times() {
    let (_router, address) = router(&[]).await;
    assert!(address.contains("@127.0.0.1:"), "loopback unless asked otherwise: {address}");
    let pong = sxlab(&["smp", "ping", &address, "--json"]).await.json();
    assert_eq!(pong["version"], 20);
    assert_eq!(pong["router"], address.as_str());
    assert!(pong["connect_ms"].as_f64().unwrap() > 0.0);
    assert!(pong["round_trip_ms"].as_f64().unwrap() > 0.0);
    let told = sxlab(&["smp", "ping", &address]).await;
    assert_eq!(told.data(), "");
    assert!(told.stderr.contains("SMP version 20"), "{}", told.stderr);
}

#[tokio::test]
async fn a_router_stops_when_asked_to() {
    let (router, _) = router(&["--seconds", "0"]).await;
    assert_eq!(router.code().await, 0);
}

#[tokio::test]
async fn a_router_that_is_gone_cannot_be_reached() {
    let (router, address) = router(&[]).await;
    router.kill().await;
    let ended = sxlab(&["smp", "ping", &address]).await;
    assert!(ended.failure(3).contains(&address));
}

#[tokio::test]
async fn a_router_with_another_identity_is_not_the_target() {
    let ((_one, address), (_other, other)) = (router(&[]).await, router(&[]).await);
    let (_, place) = address.split_once('@').unwrap();
    let (identity, _) = other.split_once('@').unwrap();
    let ended = sxlab(&["smp", "ping", &format!("{identity}@{place}")]).await;
    assert!(ended.failure(3).contains("identity"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_directory_keeps_the_identity() {
    let scratch = Scratch::new("identity");
    let dir = scratch.path("router");
    let identity = |address: &str| address.split('@').next().unwrap().to_owned();
    let (first, address) = router(&["--dir", &dir]).await;
    first.kill().await;
    let (_second, again) = router(&["--dir", &dir]).await;
    let (_third, other) = router(&[]).await;
    assert_eq!(identity(&address), identity(&again));
    assert_ne!(identity(&address), identity(&other));
}

#[tokio::test]
async fn a_directory_without_a_whole_identity_is_refused() {
    let scratch = Scratch::new("broken");
    std::fs::write(scratch.path("router.crt"), "no certificate").unwrap();
    let dir = scratch.path("");
    let ended = sxlab(&["serve", "smp", "--dir", &dir]).await;
    assert!(ended.failure(2).contains("router.key is missing"), "{}", ended.stderr);
}

#[tokio::test]
async fn an_address_needs_a_host_that_others_can_name() {
    let ended = sxlab(&["serve", "smp", "--listen", "0.0.0.0:0"]).await;
    assert!(ended.failure(2).contains("--host"), "{}", ended.stderr);
    let (_router, address) = router(&["--listen", "0.0.0.0:0", "--host", "localhost"]).await;
    assert!(address.contains("@localhost:"));
    sxlab(&["smp", "ping", &address]).await.data();
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused() {
    let (_router, address) = router(&[]).await;
    let (_, place) = address.split_once('@').unwrap();
    let ended = sxlab(&["serve", "smp", "--listen", place]).await;
    assert!(ended.failure(2).contains(place), "{}", ended.stderr);
}
