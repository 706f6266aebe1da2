//! Blocks: 16,384 bytes sealed and opened again, plain and encrypted.
//!
//! `cargo bench --bench blocks`; throughput counts one block per round trip.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::chain::BlockChains;
use sxlab_protocol::transport::{BLOCK_SIZE, BlockCodec, pack, unpack};

/// The ends of a session: the sender's codec and the receiver's.
fn ends(encrypted: bool) -> (BlockCodec, BlockCodec) {
    if !encrypted {
        return (BlockCodec::plain(), BlockCodec::plain());
    }
    let (to_client, to_router) = BlockChains::init(&[7; 32], &SharedSecret::from_bytes([9; 32]));
    (BlockCodec::encrypted(to_client.clone(), to_router.clone()), BlockCodec::encrypted(to_router, to_client))
}

fn blocks(c: &mut Criterion) {
    let mut group = c.benchmark_group("blocks");
    group.throughput(Throughput::Bytes(BLOCK_SIZE as u64));
    let content = vec![1; 16_000];
    for (name, encrypted) in [("plain", false), ("encrypted", true)] {
        let (mut sender, mut receiver) = ends(encrypted);
        group.bench_function(format!("{name}: seal and open"), |b| {
            b.iter(|| {
                let block = sender.seal(black_box(&content)).unwrap_or_default();
                receiver.open(&block).map(|content| content.len())
            });
        });
    }
    group.finish();
}

fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("batches");
    // 135 subscriptions, as a client of many queues sends them: 119 bytes each.
    let items = vec![vec![1; 119]; 135];
    group.throughput(Throughput::Elements(135));
    group.bench_function("pack and unpack 135 transmissions", |b| {
        b.iter_batched(
            || items.clone(),
            |items| {
                let contents = pack(&items).unwrap_or_default();
                contents
                    .iter()
                    .filter_map(|content| unpack(content).ok())
                    .map(|items| items.len())
                    .sum::<usize>()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, blocks, batches);
criterion_main!(benches);
