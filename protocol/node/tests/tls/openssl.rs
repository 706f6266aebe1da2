//! The session id against OpenSSL's own: Python's `ssl` gives out `SSL_get_finished` and
//! `SSL_get_peer_finished` as the channel binding "tls-unique" (TR-14). Without a Python that has TLS 1.3 and
//! ChaCha20-Poly1305 the tests say `skipped` and pass.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::common::{Directory, client_of, ed448_identity, entropy, identity};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Entropy, SMP_ALPN, TlsSession};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::certificate::Chain;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// Exits with 3 if this Python cannot be a peer.
const COMMON: &str = "
import socket, sys
try:
    import ssl
    names = {c['name'] for c in ssl.create_default_context().get_ciphers()}
    assert ssl.HAS_TLSv1_3 and 'TLS_CHACHA20_POLY1305_SHA256' in names
    assert 'tls-unique' in ssl.CHANNEL_BINDING_TYPES
except Exception:
    sys.exit(3)
socket.setdefaulttimeout(10)

def settings(role):
    context = ssl.SSLContext(role)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(['smp/1'])
    return context

def report(tls):
    print(tls.get_channel_binding('tls-unique').hex(), tls.selected_alpn_protocol(), tls.cipher()[0], flush=True)
    tls.sendall(b'from openssl')
    assert tls.recv(8) == b'from us!'
";

const CLIENT: &str = "
context = settings(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_REQUIRED
context.load_verify_locations(sys.argv[2])
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as plain:
    with context.wrap_socket(plain) as tls:
        report(tls)
";

const SERVER: &str = "
context = settings(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
with socket.create_server(('127.0.0.1', 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    plain, _ = listener.accept()
    with context.wrap_socket(plain, server_side=True) as tls:
        report(tls)
";

/// What stands in a file of OpenSSL's settings before the settings themselves.
const SETTINGS: &str = "
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
";

struct Peer {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// With a file of settings for OpenSSL, or none if empty. `None` if there is no such program.
    fn start(script: &str, arguments: &[&str], settings: &str) -> Option<Self> {
        let mut process = Command::new("python3")
            .arg("-c")
            .arg(format!("{COMMON}{script}"))
            .args(arguments)
            .env("OPENSSL_CONF", settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { process, lines })
    }

    async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.unwrap()
    }

    /// Compares what the peer reports with our session, exchanges a few bytes, and waits for the peer's end.
    async fn agree(mut self, mut session: TlsSession<TcpStream>) {
        let expected = format!("{} smp/1 TLS_CHACHA20_POLY1305_SHA256", hex::encode(&session.session_id));
        assert_eq!(self.line().await.unwrap(), expected);
        assert_eq!(session.session_id.len(), 32);
        assert_eq!(session.alpn.as_deref(), Some(&b"smp/1"[..]));

        let mut got = [0; 12];
        session.stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"from openssl");
        session.stream.write_all(b"from us!").await.unwrap();
        session.stream.flush().await.unwrap();
        assert!(self.process.wait().await.unwrap().success());
    }

    /// For a peer that went away at once: right only if this Python cannot be one.
    async fn unable(mut self) {
        assert_eq!(self.process.wait().await.unwrap().code(), Some(3));
        skipped();
    }
}

fn skipped() {
    println!("skipped: no python3 whose ssl module has TLS 1.3 with ChaCha20-Poly1305");
}

/// A client of OpenSSL at our router. OpenSSL too checks our chain, with the authority as its trust anchor.
async fn our_router(identity: RouterIdentity, groups: &str, kind: HandshakeKind, entropy: Entropy) {
    let files = Directory::new("openssl-client");
    identity.save(&files.0).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let settings = files.file("openssl.cnf");
    std::fs::write(&settings, format!("{SETTINGS}Groups = {groups}\n")).unwrap();
    let Some(mut peer) = Peer::start(CLIENT, &[&port, &files.file("router.crt")], &settings) else {
        return skipped();
    };
    let stream = tokio::select! {
        biased;
        accepted = listener.accept() => accepted.unwrap().0,
        _ = peer.process.wait() => return peer.unable().await,
    };
    let acceptor = Acceptor::new(&identity, &SMP_ALPN).unwrap();
    let session = acceptor.accept(stream, entropy).await.unwrap();
    assert!(session.peer_chain.is_empty());
    assert_eq!(session.stream.get_ref().1.handshake_kind(), Some(kind));
    peer.agree(session).await;
}

/// Our client at a server of OpenSSL with the certificates and the key in `files`.
async fn our_client(files: &Directory, expected_identity: [u8; 32], entropy: Entropy) {
    let arguments = [files.file("router.crt"), files.file("router.key")];
    let Some(mut peer) = Peer::start(SERVER, &[&arguments[0], &arguments[1]], "") else {
        return skipped();
    };
    let Some(port) = peer.line().await else {
        return peer.unable().await;
    };
    let address = ("127.0.0.1", port.parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let config = ConnectorConfig { expected_identity, ..client_of(&identity(7)) };
    let connector = Connector::new(config).unwrap();
    let session = connector.connect(stream, entropy).await.unwrap();
    assert_eq!(Chain::new(session.peer_chain.clone()).identity(), Ok(expected_identity));
    peer.agree(session).await;
}

#[tokio::test]
async fn an_openssl_client_has_the_session_id_of_our_router() {
    for entropy in [Entropy::System, entropy(1)] {
        let checked = our_router(identity(7), "X25519", HandshakeKind::Full, entropy);
        timeout(LIMIT, checked).await.unwrap();
    }
}

/// OpenSSL checks our Ed448 chain and the router's signature of the handshake.
#[tokio::test]
async fn an_openssl_client_takes_our_router_with_ed448_certificates() {
    for entropy in [Entropy::System, entropy(1)] {
        let checked =
            our_router(ed448_identity(7), "X448:X25519", HandshakeKind::FullWithHelloRetryRequest, entropy);
        timeout(LIMIT, checked).await.unwrap();
    }
}

/// OpenSSL reads our Ed448 files, key and all.
#[tokio::test]
async fn an_openssl_server_runs_on_our_ed448_files() {
    let (files, identity) = (Directory::new("openssl-our-ed448"), ed448_identity(7));
    identity.save(&files.0).unwrap();
    let checked = our_client(&files, identity.identity_hash(), Entropy::System);
    timeout(LIMIT, checked).await.unwrap();
}

/// Deployed clients prefer X448, which our router does not have: it asks for another hello.
#[tokio::test]
async fn a_client_that_prefers_x448_is_asked_again_and_has_the_session_id_too() {
    for entropy in [Entropy::System, entropy(1)] {
        let kind = HandshakeKind::FullWithHelloRetryRequest;
        let checked = our_router(identity(7), "X448:X25519", kind, entropy);
        timeout(LIMIT, checked).await.unwrap();
    }
}

/// OpenSSL's server sends tickets after the handshake, also to the seeded client, which has no date then.
#[tokio::test]
async fn an_openssl_server_has_the_session_id_of_our_client() {
    let files = Directory::new("openssl-server");
    identity(7).save(&files.0).unwrap();
    for entropy in [Entropy::System, entropy(1)] {
        let checked = our_client(&files, identity(7).identity_hash(), entropy);
        timeout(LIMIT, checked).await.unwrap();
    }
}

/// Many routers have Ed448 certificates, which only OpenSSL's own program makes here.
#[tokio::test]
async fn our_client_takes_a_router_with_ed448_certificates() {
    let files = Directory::new("openssl-ed448");
    std::fs::create_dir_all(&files.0).unwrap();
    let (ca, ca_key) = (files.file("ca.crt"), files.file("ca.key"));
    let (leaf, leaf_key) = (files.file("leaf.crt"), files.file("router.key"));
    let request = |subject, key, certificate, extra: &[&str]| {
        let arguments = ["req", "-x509", "-newkey", "ed448", "-nodes", "-days", "1", "-subj"];
        let output = std::process::Command::new("openssl")
            .args(arguments)
            .args([subject, "-keyout", key, "-out", certificate])
            .args(extra)
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    let made = request("/CN=authority", &ca_key, &ca, &["-addext", "basicConstraints=critical,CA:TRUE"])
        && request("/CN=leaf", &leaf_key, &leaf, &["-CA", &ca, "-CAkey", &ca_key]);
    if !made {
        println!("skipped: no openssl that makes Ed448 certificates");
        return;
    }
    let pem = [&leaf, &ca].map(|file| std::fs::read(file).unwrap());
    std::fs::write(files.file("router.crt"), pem.concat()).unwrap();
    let authority = CertificateDer::from_pem_slice(&pem[1]).unwrap().to_vec();
    let expected_identity = Chain::new(vec![authority]).identity().unwrap();
    // Our router reads them, too: as files anywhere, and as the files of a deployed router.
    let now = RealWorld.now() / 1_000_000_000;
    let paths = [&leaf, &ca].map(PathBuf::from);
    let own = RouterIdentity::from_files(&paths, Path::new(&leaf_key), now).unwrap();
    assert_eq!(own.identity_hash(), expected_identity);
    let deployed = Directory::new("openssl-deployed");
    std::fs::create_dir_all(&deployed.0).unwrap();
    for (from, to) in [(&leaf, "server.crt"), (&leaf_key, "server.key"), (&ca, "ca.crt"), (&ca_key, "ca.key")]
    {
        std::fs::copy(from, deployed.file(to)).unwrap();
    }
    let loaded = RouterIdentity::load(&deployed.0, now).unwrap().unwrap();
    assert_eq!(loaded.chain(), own.chain());
    timeout(LIMIT, our_router(loaded.clone(), "X25519", HandshakeKind::Full, Entropy::System)).await.unwrap();
    let checked = our_client(&files, expected_identity, Entropy::System);
    timeout(LIMIT, checked).await.unwrap();
}
