//! The router under load: this program as a process of its own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::router::{ConnectionLimits, RouterNode};
use sxlab_node::store::Store;
use sxlab_node::tls::{Acceptor, Entropy, SMP_ALPN};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::router::{QueueStore, RouterConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Serves until the standard input ends, which it does with the parent. The first line of the standard output is the
/// port and the identity in hex. The queues are in the store of this path, or in memory. With `tls_only` connections get as far as
/// TLS, and nothing else is kept for them.
pub(crate) async fn serve(tls_only: bool, store: Option<PathBuf>) {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    let identity = RouterIdentity::mint("127.0.0.1", &mut RealWorld.rng()).unwrap();
    let listener = RealWorld::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hash: String = identity.identity_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{port} {hash}");
    std::io::stdout().flush().unwrap();
    if tls_only {
        return accept_only(&identity, &listener).await;
    }
    let config = RouterConfig { queue_quota: 1_000_000, ..RouterConfig::default() };
    let limits = ConnectionLimits { accepted: 100_000, ..ConnectionLimits::default() };
    let node = match store {
        None => RouterNode::with_limits(RealWorld, &identity, config, QueueStore::default(), None, limits)
            .unwrap(),
        Some(path) => {
            let (store, queues) = Store::open(&path, &identity.identity_hash()).unwrap();
            let writer = store.in_background().unwrap();
            RouterNode::with_store(RealWorld, &identity, config, queues, writer, None, limits).unwrap()
        }
    };
    node.serve(&listener).await.unwrap();
}

async fn accept_only(identity: &RouterIdentity, listener: &TcpListener) {
    let acceptor = Acceptor::new(identity, &SMP_ALPN).unwrap();
    loop {
        let (stream, _) = RealWorld.accept(listener).await.unwrap();
        let acceptor = acceptor.clone();
        tokio::task::spawn_local(async move {
            let Ok(mut tls) = acceptor.accept(stream, Entropy::System).await else { return };
            let _ = tls.stream.read(&mut [0]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
    }
}
