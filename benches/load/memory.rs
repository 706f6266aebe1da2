//! What the router's process holds for idle connections, queues and stored messages.

use std::path::Path;
use std::time::Duration;

use sxlab_node::world::{RealWorld, World};

use crate::Options;
use crate::client::{Connection, corr};
use crate::process::RouterProcess;

pub(crate) async fn measure(options: &Options) {
    let store = options.store.as_deref();
    connections(options.idle, store).await;
    if options.queues >= 1000 && options.messages >= 100 {
        queues(options.queues, options.messages, store).await;
    }
}

/// Lets the router finish what it does for the last connections.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

async fn connections(count: usize, store: Option<&Path>) {
    let tls_only = RouterProcess::tls_only();
    let mut kept = vec![Connection::tls(&tls_only).await];
    settle().await;
    let before = tls_only.resident();
    for _ in 0..count {
        kept.push(Connection::tls(&tls_only).await);
    }
    settle().await;
    let tls = tls_only.resident() - before;
    drop(kept);
    drop(tls_only);

    let router = RouterProcess::start(store);
    let mut rng = RealWorld.rng();
    let mut kept = vec![Connection::open(&router, &mut rng).await];
    settle().await;
    let before = router.resident();
    for _ in 0..count {
        kept.push(Connection::open(&router, &mut rng).await);
    }
    settle().await;
    let all = router.resident() - before;
    let each = |bytes: u64| bytes as f64 / 1024.0 / count as f64;
    println!(
        "{count} idle connections: {:.1} KiB each, of these TLS alone {:.1} KiB: beyond TLS {:.1} KiB",
        each(all),
        each(tls),
        each(all) - each(tls)
    );
}

async fn queues(count: usize, messages: usize, store: Option<&Path>) {
    let router = RouterProcess::start(store);
    let mut rng = RealWorld.rng();
    let (connection, mut incoming) = Connection::open(&router, &mut rng).await;
    let queues = incoming.make(1000, &mut rng).await;
    settle().await;
    let before = router.resident();
    for _ in 0..count / 1000 {
        incoming.make(1000, &mut rng).await;
    }
    settle().await;
    let made = count / 1000 * 1000;
    println!("{made} queues, secured: {} bytes each", (router.resident() - before) / made as u64);

    for body in [16_000, 1000] {
        let mut send = b"SEND F ".to_vec();
        send.resize(send.len() + body, b'x');
        let before = router.resident();
        for (round, queues) in queues.chunks(100).cycle().take(messages / 100).enumerate() {
            for (number, queue) in queues.iter().enumerate() {
                let secret = connection.authenticates(&queue.sender_key);
                let corr = corr(number as u32, 3, (round * 100_000 + body) as u64);
                connection.authenticated(&corr, &queue.sender, &send, &secret);
            }
            incoming.expect(queues.len(), b"OK").await;
        }
        settle().await;
        let stored = messages / 100 * 100;
        println!(
            "{stored} stored messages of {body} bytes: {} bytes each",
            (router.resident() - before) / stored as u64
        );
    }
}
