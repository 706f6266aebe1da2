//! TLS between our own two ends: session id, application protocol, determinism, no tickets (TR-2, TR-3, TR-7 to
//! TR-10, TR-14).

use std::sync::Arc;

use crate::common::{Ends, client_of, entropy, handshake, handshake_with, identity};
use rustls::{AlertDescription, CipherSuite, ProtocolVersion};
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Entropy, SMP_ALPN, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;

fn offering(alpn: &[&str]) -> ConnectorConfig {
    ConnectorConfig {
        alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ..client_of(&identity(7))
    }
}

async fn alpn_of(offered: &[&str]) -> Ends {
    handshake(offering(offered), &identity(7)).await
}

#[tokio::test]
async fn both_ends_have_the_same_session_id_of_32_bytes_and_each_session_its_own() {
    let mut ids = Vec::new();
    for seeds in [(1, 2), (3, 4)] {
        let ((client, router), _) = handshake_with(offering(&["smp/1"]), &identity(7), seeds).await;
        let (client, router) = (client.unwrap(), router.unwrap());
        assert_eq!(client.session_id, router.session_id);
        assert_eq!(client.session_id.len(), 32);
        ids.push(client.session_id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn the_session_is_tls_13_with_chacha20_and_carries_bytes_both_ways() {
    let (client, router) = alpn_of(&["smp/1"]).await;
    let (mut client, mut router) = (client.unwrap(), router.unwrap());
    let connection = client.stream.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    assert_eq!(client.peer_chain, identity(7).chain().ders);

    let mut got = [0; 4];
    client.stream.write_all(b"ping").await.unwrap();
    client.stream.flush().await.unwrap();
    router.stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"ping");
    router.stream.write_all(b"pong").await.unwrap();
    router.stream.flush().await.unwrap();
    client.stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"pong");
}

#[tokio::test]
async fn no_session_ticket_is_sent() {
    let (client, router) = alpn_of(&["smp/1"]).await;
    let (mut client, mut router) = (client.unwrap(), router.unwrap());
    // A ticket would come right after the handshake, before these bytes.
    router.stream.write_all(b"x").await.unwrap();
    router.stream.flush().await.unwrap();
    client.stream.read_u8().await.unwrap();
    let TlsStream::Client(stream) = &client.stream else { panic!("a client's stream") };
    assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
}

#[tokio::test]
async fn the_same_seeds_give_the_same_bytes_on_the_wire_and_other_seeds_others() {
    let mut runs = Vec::new();
    for seeds in [(1, 2), (1, 2), (1, 3), (4, 2)] {
        let ((client, router), written) = handshake_with(offering(&["smp/1"]), &identity(7), seeds).await;
        let (mut client, mut router) = (client.unwrap(), router.unwrap());
        client.stream.write_all(&[1; 20_000]).await.unwrap();
        client.stream.flush().await.unwrap();
        router.stream.read_exact(&mut [0; 20_000]).await.unwrap();
        let bytes = written.map(|bytes| bytes.lock().unwrap().clone());
        assert!(bytes[0].len() > 20_000 && bytes[1].len() > 500);
        runs.push(bytes);
    }
    assert_eq!(runs[0], runs[1]);
    // The router's stream changes what the router sends, and what the client answers to it.
    assert_ne!(runs[0][0], runs[2][0]);
    assert_ne!(runs[0][1], runs[2][1]);
    assert_ne!(runs[0][0], runs[3][0]);
    assert_ne!(runs[0][1], runs[3][1]);
}

#[tokio::test]
async fn handshakes_that_run_at_the_same_time_send_what_each_sends_alone() {
    let router = identity(7);
    let one = |seed| handshake_with(offering(&["smp/1"]), &router, (seed, seed + 100));
    let mut alone = Vec::new();
    for seed in 0..3 {
        alone.push(one(seed).await.0.0.unwrap().session_id);
    }
    let (a, b, c) = tokio::join!(one(0), one(1), one(2));
    let together = [a, b, c].map(|((client, _), _)| client.unwrap().session_id);
    assert_eq!(alone, together);
}

#[tokio::test]
async fn the_machines_own_randomness_never_gives_the_same_session_twice() {
    let router = identity(7);
    let connector = Connector::new(offering(&["smp/1"])).unwrap();
    let acceptor = Acceptor::new(&router, &SMP_ALPN).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (client, router) =
            tokio::join!(connector.connect(near, Entropy::System), acceptor.accept(far, Entropy::System),);
        let client = client.unwrap();
        assert_eq!(client.session_id, router.unwrap().session_id);
        ids.push(client.session_id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_seeded_end_and_one_with_the_machines_randomness_understand_each_other() {
    let connector = Connector::new(offering(&["smp/1"])).unwrap();
    let acceptor = Acceptor::new(&identity(7), &SMP_ALPN).unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let (client, router) =
        tokio::join!(connector.connect(near, Entropy::System), acceptor.accept(far, entropy(1)),);
    assert_eq!(client.unwrap().session_id, router.unwrap().session_id);
}

#[tokio::test]
async fn the_handshakes_future_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let connector = Connector::new(offering(&["smp/1"])).unwrap();
    let acceptor = Acceptor::new(&identity(7), &SMP_ALPN).unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    is_send(&connector.connect(near, Entropy::System));
    is_send(&acceptor.accept(far, Entropy::System));
}

#[tokio::test]
async fn the_clients_order_decides_the_application_protocol() {
    for (offered, agreed) in [
        (&["smp/1", "h2", "http/1.1"][..], "smp/1"),
        (&["h2", "smp/1"], "h2"),
        (&["smp/1", "h2"], "smp/1"),
        (&["foo", "http/1.1", "h2", "smp/1"], "http/1.1"),
        (&["http/1.1"], "http/1.1"),
    ] {
        let (client, router) = alpn_of(offered).await;
        let agreed = Some(agreed.as_bytes().to_vec());
        assert_eq!(client.unwrap().alpn, agreed, "{offered:?}");
        assert_eq!(router.unwrap().alpn, agreed, "{offered:?}");
    }
}

#[tokio::test]
async fn a_client_without_application_protocols_is_let_in() {
    let (client, router) = alpn_of(&[]).await;
    assert_eq!(client.unwrap().alpn, None);
    assert_eq!(router.unwrap().alpn, None);
}

#[tokio::test]
async fn a_client_with_only_unknown_application_protocols_gets_an_alert() {
    for offered in [&["foo"][..], &["foo", "smp/2"]] {
        let (client, router) = alpn_of(offered).await;
        let client = client.unwrap_err();
        assert!(matches!(client, TlsError::Alert(AlertDescription::NoApplicationProtocol)), "{client:?}");
        assert!(matches!(router.unwrap_err(), TlsError::NoCommonProtocol));
    }
}

#[tokio::test]
async fn the_router_asks_for_a_certificate_and_takes_a_client_without_one() {
    let (client, router) = alpn_of(&["smp/1"]).await;
    client.unwrap();
    assert!(router.unwrap().peer_chain.is_empty());

    let service = identity(8);
    let config = ConnectorConfig { client_identity: Some(Arc::new(service.clone())), ..offering(&["smp/1"]) };
    // A client sends its chain only when it is asked for one.
    let (client, router) = handshake(config, &identity(7)).await;
    let (client, router) = (client.unwrap(), router.unwrap());
    assert_eq!(router.peer_chain, service.chain().ders);
    assert_eq!(client.session_id, router.session_id);
}

#[tokio::test]
async fn bytes_that_are_no_tls_end_the_handshake_with_an_error_at_either_end() {
    let router = identity(7);
    let connector = Connector::new(client_of(&router)).unwrap();
    let acceptor = Acceptor::new(&router, &SMP_ALPN).unwrap();
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0, 4, 1, 0, 0, 0], b""] {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(junk).await.unwrap();
        drop(far);
        let error = acceptor.accept(near, entropy(1)).await.unwrap_err();
        assert!(matches!(error, TlsError::Tls(_) | TlsError::Io(_)), "{error:?}");

        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(junk).await.unwrap();
        far.shutdown().await.unwrap();
        let error = connector.connect(near, entropy(1)).await.unwrap_err();
        assert!(matches!(error, TlsError::Tls(_) | TlsError::Io(_)), "{error:?}");
    }
}
