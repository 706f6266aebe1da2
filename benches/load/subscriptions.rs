//! Subscriptions: a client connects and subscribes to all its queues, in full blocks, as a client does when it starts.

use std::time::Instant;

use sxlab_node::world::{RealWorld, World};

use crate::Options;
use crate::client::{Connection, corr};
use crate::process::{RouterProcess, own_cpu};

pub(crate) async fn measure(options: &Options) {
    let count = options.queues;
    let router = RouterProcess::start(options.store.as_deref());
    let mut rng = RealWorld.rng();
    let (_, mut incoming) = Connection::open(&router, &mut rng).await;
    let (begun, cpu) = (Instant::now(), router.cpu());
    let queues = incoming.make(count, &mut rng).await;
    report("queues created and secured", count, begun, router.cpu() - cpu, None);
    let (connection, mut incoming) = Connection::open(&router, &mut rng).await;
    for (number, queue) in queues.iter().enumerate() {
        connection.signed(&corr(number as u32, 0, 1), &queue.recipient, b"SUB", &queue.recipient_key);
    }
    // The signatures are made: from here on it is the router that works.
    let (begun, cpu, own) = (Instant::now(), router.cpu(), own_cpu());
    incoming.expect(count, b"SOK 0").await;
    report("subscriptions", count, begun, router.cpu() - cpu, Some(own_cpu() - own));
}

fn report(what: &str, count: usize, begun: Instant, router: u64, own: Option<u64>) {
    let each = |nanoseconds: u64| nanoseconds as f64 / 1000.0 / count as f64;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let own = own.map(|own| format!(", generator {:.1} µs", each(own))).unwrap_or_default();
    println!("{count} {what}: {rate:.0}/s; each: router {:.1} µs{own}", each(router));
}
