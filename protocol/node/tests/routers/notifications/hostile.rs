//! What comes from outside and is not what it should be.

use std::rc::Rc;

use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Gather};
use sxlab_node::world::World;
use sxlab_protocol::ntf::client::{Client, ClientEvent};
use sxlab_protocol::ntf::handshake::{BLOCK_SIZE, ClientHandshake};
use sxlab_protocol::ntf::status::TokenStatus;
use sxlab_protocol::ntf::version::ALPN_VERSIONS;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsStream;

use super::party::{APPLE, NTF, Phone, Site, apple, identity, site, token};
use crate::network::{Network, SECOND, run};

/// A device on a bare stream, after the handshake.
struct Raw {
    core: Client,
    stream: TlsStream<Gather<DuplexStream>>,
}

async fn stream(network: &Network, site: &Site, alpn: &[u8]) -> (TlsStream<Gather<DuplexStream>>, Vec<u8>) {
    let world = network.world("raw");
    let stream = world.connect(NTF, 443).await.unwrap();
    let config = ConnectorConfig {
        alpn: vec![alpn.to_vec()],
        expected_identity: site.address.0.identity,
        client_identity: None,
    };
    let tls = Connector::new(config).unwrap().connect(stream, world.entropy()).await.unwrap();
    (tls.stream, tls.session_id)
}

impl Raw {
    async fn ready(network: &Network, site: &Site) -> Self {
        let (stream, session_id) = stream(network, site, b"ntf/1").await;
        let handshake = ClientHandshake {
            versions: ALPN_VERSIONS,
            identity: site.address.0.identity,
            leaf: identity(8, NTF).chain().leaf_public_key().unwrap(),
            session_id,
        };
        let mut raw = Self { core: Client::new(handshake, network.world("raw").rng()), stream };
        assert!(matches!(raw.read().await[..], [ClientEvent::Ready { version: 3 }]));
        let hello = raw.core.next_block().unwrap();
        raw.stream.write_all(&hello).await.unwrap();
        raw.stream.flush().await.unwrap();
        raw
    }

    async fn read(&mut self) -> Vec<ClientEvent> {
        let mut block = vec![0; BLOCK_SIZE];
        self.stream.read_exact(&mut block).await.unwrap();
        self.core.block(&block).unwrap();
        std::iter::from_fn(|| self.core.poll()).collect()
    }

    /// Whether the router has closed.
    async fn is_closed(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0; 600]).await, Ok(1..))
    }
}

/// The router serves on.
async fn is_well(network: &Network, site: &Site) {
    Phone::active(network, site, "well").await;
}

#[test]
fn garbage_in_the_place_of_a_hello_ends_the_session() {
    run(async |network| {
        let (_apple, ntf) = (apple(&network), site(&network));
        for garbage in [vec![0; BLOCK_SIZE], vec![255; BLOCK_SIZE], vec![b'#'; BLOCK_SIZE]] {
            let (mut stream, _) = stream(&network, &ntf, b"ntf/1").await;
            let mut hello = vec![0; BLOCK_SIZE];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(&garbage).await.unwrap();
            stream.flush().await.unwrap();
            assert!(!matches!(stream.read(&mut hello).await, Ok(1..)));
        }
        is_well(&network, &ntf).await;
        network.world("test").sleep(SECOND).await;
        assert_eq!(ntf.node.sessions(), 0, "the phone's session went with it");
    });
}

#[test]
fn a_block_that_is_none_is_an_error_and_one_that_is_not_whole_ends_the_session() {
    run(async |network| {
        let (_apple, ntf) = (apple(&network), site(&network));
        let mut raw = Raw::ready(&network, &ntf).await;
        for garbage in [[0; BLOCK_SIZE], [255; BLOCK_SIZE], [b'#'; BLOCK_SIZE]] {
            raw.stream.write_all(&garbage).await.unwrap();
            raw.stream.flush().await.unwrap();
            // ERR BLOCK without a correlation id, which is no answer to this client's requests.
            assert_eq!(raw.read().await, []);
        }
        // 513 bytes are a block, and the first byte of another one.
        raw.stream.write_all(&[0; BLOCK_SIZE + 1]).await.unwrap();
        raw.stream.flush().await.unwrap();
        assert_eq!(raw.read().await, []);
        assert_eq!(ntf.node.sessions(), 1);
        raw.stream.shutdown().await.unwrap();
        assert!(raw.is_closed().await);
        is_well(&network, &ntf).await;
    });
}

#[test]
fn a_client_of_another_protocol_gets_no_session() {
    run(async |network| {
        let (_apple, ntf) = (apple(&network), site(&network));
        let world = network.world("raw");
        let stream = world.connect(NTF, 443).await.unwrap();
        let identity = ntf.address.0.identity;
        let config = ConnectorConfig {
            alpn: vec![b"smp/1".to_vec()],
            expected_identity: identity,
            client_identity: None,
        };
        assert!(Connector::new(config).unwrap().connect(stream, world.entropy()).await.is_err());
        is_well(&network, &ntf).await;
        assert_eq!(ntf.node.failed_handshakes(), 1);
    });
}

/// Something in the provider's place that answers every request with this status and body.
fn provider(network: &Network, status: u16, body: &'static [u8]) {
    let (world, listener) = (network.world(APPLE), Rc::new(network.listen(APPLE)));
    let acceptor = Acceptor::new(&identity(9, APPLE), &[b"h2"]).unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = world.accept(&listener).await.unwrap();
            let Ok(tls) = acceptor.accept(stream, world.entropy()).await else { continue };
            tokio::task::spawn_local(async move {
                let mut connection = h2::server::handshake(tls.stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut answer = http::Response::new(());
                    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
                    let mut stream = respond.send_response(answer, false).unwrap();
                    stream.send_data(bytes::Bytes::from_static(body), true).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_provider_s_answer_that_is_not_json_is_a_refusal_without_a_reason() {
    static LONG: [u8; 100_000] = [b'{'; 100_000];
    let bodies = [&b"not json"[..], b"", b"{\"reason\":", b"{\"reason\":7}", b"[]", &[255, 0, 254], &LONG];
    // An answer that may pass is tried once more, whatever it says.
    for (status, tries) in [(400, 1), (403, 1), (410, 2), (503, 2), (999, 1)] {
        for body in bodies {
            run(async |network| {
                provider(&network, status, body);
                let ntf = site(&network);
                let mut phone = Phone::offline(&network, &ntf, "phone", token("phone"), ALPN_VERSIONS).await;
                let asked = phone.device.register();
                phone.ask(Some(asked)).await.unwrap();
                phone.pass(30 * SECOND).await;
                assert_eq!(phone.status().await, TokenStatus::Registered);
                let counts = ntf.node.operate(|core, _| core.statistics().clone()).unwrap();
                assert_eq!((counts.verifications, counts.pushes_failed), (tries, 1), "{status} {body:?}");
            });
        }
    }
}

#[test]
fn what_speaks_no_http_2_in_the_provider_s_place_is_no_answer() {
    run(async |network| {
        let (world, listener) = (network.world(APPLE), Rc::new(network.listen(APPLE)));
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = world.accept(&listener).await.unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            }
        });
        let ntf = site(&network);
        let mut phone = Phone::offline(&network, &ntf, "phone", token("phone"), ALPN_VERSIONS).await;
        let asked = phone.device.register();
        phone.ask(Some(asked)).await.unwrap();
        phone.pass(30 * SECOND).await;
        assert_eq!(phone.status().await, TokenStatus::Registered);
        let counts = ntf.node.operate(|core, _| core.statistics().clone()).unwrap();
        assert_eq!((counts.verifications, counts.pushes_failed), (2, 1));
    });
}
