//! `sxlab smp receive` and `sxlab smp send`.

use crate::program::{Background, Scratch, router, sxlab, sxlab_with_input};

async fn receiver(args: &[&str]) -> (Background, String) {
    let mut receiver = Background::start(&[&["smp", "receive"], args].concat());
    let queue = receiver.line().await;
    (receiver, queue)
}

#[tokio::test]
async fn messages_arrive_in_order() {
    let (_router, address) = router(&[]).await;
    let (mut receiver, queue) = receiver(&[&address, "--count", "3"]).await;
    assert!(queue.starts_with(&format!("{address}/")));
    let sent = sxlab(&["smp", "send", &queue, "one", "two", "three"]).await;
    assert_eq!(sent.data(), "");
    for expected in ["one", "two", "three"] {
        assert_eq!(receiver.line().await, expected);
    }
    assert_eq!(receiver.code().await, 0);
}

#[tokio::test]
async fn messages_arrive_through_a_proxy() {
    let ((_relay, relay), (_proxy, proxy)) = (router(&["--no-proxy"]).await, router(&[]).await);
    let (mut receiver, queue) = receiver(&[&relay, "--count", "2"]).await;
    sxlab(&["smp", "send", "--via", &proxy, &queue, "by way of", "another router"]).await.data();
    assert_eq!(receiver.line().await, "by way of");
    assert_eq!(receiver.line().await, "another router");
    assert_eq!(receiver.code().await, 0);
}

#[tokio::test]
async fn lines_of_the_input_are_messages() {
    // Room for all of them, however slowly they are taken.
    let (_router, address) = router(&["--quota", "300"]).await;
    let (mut receiver, queue) = receiver(&[&address, "--count", "300"]).await;
    let input: String = (0..300).map(|i| format!("line {i}\n")).collect();
    sxlab_with_input(&["smp", "send", &queue, "-"], &input).await.data();
    for i in 0..300 {
        assert_eq!(receiver.line().await, format!("line {i}"));
    }
    assert_eq!(receiver.code().await, 0);
}

#[tokio::test]
async fn a_queue_is_secured_with_one_key() {
    let scratch = Scratch::new("sender-key");
    let key = scratch.path("key");
    let (_router, address) = router(&[]).await;
    let (mut receiver, queue) = receiver(&[&address, "--count", "2"]).await;
    sxlab(&["smp", "send", "--key", &key, &queue, "first"]).await.data();
    assert_eq!(receiver.line().await, "first");
    let other = sxlab(&["smp", "send", &queue, "of another sender"]).await;
    assert_eq!(other.failure(1), "securing the queue: the router answered ERR AUTH");
    sxlab(&["smp", "send", "--key", &key, &queue, "second"]).await.data();
    assert_eq!(receiver.line().await, "second");
    assert_eq!(receiver.code().await, 0);
}

#[tokio::test]
async fn a_password_is_needed_where_there_is_one() {
    let (_router, address) = router(&["--password", "word"]).await;
    let (with, place) = address.split_once('@').unwrap();
    let without = format!("{}@{place}", with.strip_suffix(":word").unwrap());
    let refused = sxlab(&["smp", "receive", &without]).await;
    assert_eq!(refused.failure(1), "the router answered ERR AUTH");
    let (_receiver, queue) = receiver(&[&address]).await;
    assert!(!queue.contains("word"), "a queue's address has no password");
    let refused = sxlab(&["smp", "send", "--via", &without, &queue, "x"]).await;
    assert!(refused.failure(1).ends_with("ERR PROXY BASIC_AUTH"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_router_may_make_no_queues() {
    let (_router, address) = router(&["--no-new-queues"]).await;
    let refused = sxlab(&["smp", "receive", &address]).await;
    assert_eq!(refused.failure(1), "the router answered ERR AUTH");
}

#[tokio::test]
async fn a_router_may_forward_nothing() {
    let ((_relay, relay), (_proxy, proxy)) = (router(&[]).await, router(&["--no-proxy"]).await);
    let (_receiver, queue) = receiver(&[&relay]).await;
    let refused = sxlab(&["smp", "send", "--via", &proxy, &queue, "x"]).await;
    assert!(refused.failure(1).ends_with("ERR PROXY BASIC_AUTH"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_relay_that_is_gone_cannot_be_reached() {
    let ((relay, relay_address), (_proxy, proxy)) = (router(&[]).await, router(&[]).await);
    let (_receiver, queue) = receiver(&[&relay_address]).await;
    relay.kill().await;
    let ended = sxlab(&["smp", "send", "--via", &proxy, &queue, "x"]).await;
    assert!(ended.failure(3).ends_with("ERR PROXY BROKER NETWORK"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_receiver_says_when_messages_are_missing() {
    let (_router, address) = router(&[]).await;
    let (receiver, _queue) = receiver(&[&address, "--count", "1", "--timeout", "0"]).await;
    assert_eq!(receiver.code().await, 1);
}

#[tokio::test]
async fn a_receiver_whose_router_goes_away_ends() {
    let (router, address) = router(&[]).await;
    let (receiver, _queue) = receiver(&[&address]).await;
    router.kill().await;
    assert_eq!(receiver.code().await, 3);
}

#[tokio::test]
async fn a_message_has_a_limit() {
    let (_router, address) = router(&[]).await;
    let (mut receiver, queue) = receiver(&[&address, "--count", "1"]).await;
    let (largest, larger) = ("x".repeat(15_997), "x".repeat(15_998));
    let refused = sxlab(&["smp", "send", &queue, &larger]).await;
    assert!(refused.failure(2).starts_with("a message does not fit"), "{}", refused.stderr);
    sxlab(&["smp", "send", &queue, &largest]).await.data();
    assert_eq!(receiver.line().await, largest);
}
