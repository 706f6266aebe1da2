//! What cryptography alone costs a router for one message: each part, and their sum.
//!
//! `cargo bench --bench cryptography`. The sum is the least that a router can need for a round trip: it receives SEND and
//! ACK and writes an answer to each and the message, five blocks of 16,384 bytes, each encrypted twice (block
//! encryption and TLS), verifies an authenticator and a signature, and encrypts the message for its recipient.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot run should stop")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::{ContentType, ProtocolVersion};
use sxlab_node::tls::provider;
use sxlab_protocol::crypto::chain::BlockChains;
use sxlab_protocol::crypto::keys::{Ed25519Secret, X25519Secret};
use sxlab_protocol::crypto::{SharedSecret, authenticator};
use sxlab_protocol::smp::command::MsgFlags;
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::transport::{BLOCK_SIZE, BlockCodec};
use sxlab_protocol::wire::MsgId;

/// A message's body as its sender sends it.
const BODY: usize = 16_000;

/// Everything that a router has for one round trip.
struct Parts {
    encrypter: Box<dyn MessageEncrypter>,
    decrypter: Box<dyn MessageDecrypter>,
    /// A record as it arrives; opened with sequence number 0.
    record: Vec<u8>,
    codec: BlockCodec,
    block: Vec<u8>,
    plain: BlockCodec,
    content: Vec<u8>,
    router: X25519Secret,
    sender: X25519Secret,
    text: Vec<u8>,
    authenticator: [u8; 80],
    recipient: Ed25519Secret,
    ack: Vec<u8>,
    signature: [u8; 64],
    secret: SharedSecret,
    sequence: u64,
}

impl Parts {
    fn new() -> Self {
        let suite =
            provider::system().cipher_suites.first().and_then(|suite| suite.tls13()).expect("a suite");
        let mut encrypter = suite.aead_alg.encrypter(AeadKey::from([7; 32]), Iv::from([1; 12]));
        let decrypter = suite.aead_alg.decrypter(AeadKey::from([7; 32]), Iv::from([1; 12]));
        let block = vec![5; BLOCK_SIZE];
        let record = encrypter.encrypt(outgoing(&block), 0).unwrap().payload.as_ref().to_vec();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (router, sender) = (X25519Secret::generate(&mut rng), X25519Secret::generate(&mut rng));
        let (text, ack) = (vec![1; BODY + 90], vec![1; 110]);
        let secret = router.dh(&sender.public());
        let authenticator = authenticator::make(&secret, &[0; 24], &text);
        let recipient = Ed25519Secret::generate(&mut rng);
        let signature = recipient.sign(&ack);
        let (to_client, to_router) = BlockChains::init(&[7; 32], &secret);
        let codec = BlockCodec::encrypted(to_client, to_router);
        let (content, plain) = (vec![1; BODY + 200], BlockCodec::plain());
        Self {
            encrypter,
            decrypter,
            record,
            codec,
            block,
            plain,
            content,
            router,
            sender,
            text,
            authenticator,
            recipient,
            ack,
            signature,
            secret,
            sequence: 1,
        }
    }

    fn tls_seal(&mut self) -> usize {
        self.sequence += 1;
        self.encrypter.encrypt(outgoing(&self.block), self.sequence).unwrap().payload.as_ref().len()
    }

    fn tls_open(&mut self) -> usize {
        let mut record = self.record.clone();
        let message =
            InboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, &mut record);
        self.decrypter.decrypt(message, 0).unwrap().payload.len()
    }

    fn block_seal(&mut self) -> usize {
        self.codec.seal(black_box(&self.content)).unwrap().len()
    }

    /// What does not open costs the tag only: sealing is as much work as opening, and is measured in its place.
    fn block_open(&mut self) -> usize {
        self.block_seal()
    }

    fn agreement(&self) -> SharedSecret {
        self.router.dh(black_box(&self.sender.public()))
    }

    fn authenticator(&self) -> bool {
        authenticator::verify(&self.secret, &[0; 24], black_box(&self.text), &self.authenticator)
    }

    fn signature(&self) -> bool {
        self.recipient.public().verify(black_box(&self.ack), &self.signature)
    }

    fn message(&self) -> usize {
        let body = MessageBody::Message { time: 1, flags: MsgFlags::default(), body: vec![1; BODY] };
        body.seal(&self.secret, &MsgId::from([3; 24])).unwrap().len()
    }
}

fn outgoing(block: &[u8]) -> OutboundPlainMessage<'_> {
    OutboundPlainMessage {
        typ: ContentType::ApplicationData,
        version: ProtocolVersion::TLSv1_3,
        payload: OutboundChunks::Single(block),
    }
}

fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("cryptography");
    let mut parts = Parts::new();
    group.bench_function("TLS record of a block, sealed", |b| b.iter(|| parts.tls_seal()));
    group.bench_function("TLS record of a block, opened", |b| b.iter(|| parts.tls_open()));
    group.bench_function("block encryption, chain step included", |b| b.iter(|| parts.block_seal()));
    group.bench_function("X25519", |b| b.iter(|| parts.agreement()));
    group.bench_function("authenticator of 16 KB, secret known", |b| b.iter(|| parts.authenticator()));
    group.bench_function("Ed25519 signature verified", |b| b.iter(|| parts.signature()));
    group.bench_function("message sealed for its recipient", |b| b.iter(|| parts.message()));
    let plain = |parts: &mut Parts| parts.plain.seal(&parts.content).unwrap().len();
    group
        .bench_function("a block padded and not encrypted, for comparison", |b| b.iter(|| plain(&mut parts)));
    for blocks in [5, 3] {
        let name = format!("a router's for one round trip of {blocks} blocks");
        group.bench_function(name, |b| {
            b.iter(|| {
                // SEND, and ACK where it does not share its block with others.
                for _ in 0..blocks / 2 {
                    black_box((parts.tls_open(), parts.block_open()));
                }
                for _ in 0..blocks - blocks / 2 {
                    black_box((parts.block_seal(), parts.tls_seal()));
                }
                let verified = parts.agreement() != parts.secret || !parts.authenticator();
                assert!(!verified && parts.signature());
                black_box(parts.message())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parts);
criterion_main!(benches);
