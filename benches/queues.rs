//! Memory of a router's queues and messages, with the durable store in use: `cargo bench --bench queues [-- QUEUES]`.
//!
//! Queues are made as NEW makes them, secured as KEY does, and committed in groups; then messages are stored; then another process
//! opens the store. Resident memory is what the kernel says.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench reports to whoever runs it, and stops where it can't"
)]

use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sxlab_node::store::Store;
use sxlab_protocol::crypto::keys::{AuthPublicKey, Ed25519Public, SharedSecret, X25519Public};
use sxlab_protocol::smp::command::MsgFlags;
use sxlab_protocol::smp::router::{Content, Queue, QueueStore, Stored};
use sxlab_protocol::wire::{EntityId, MsgId, QueueMode};

const IDENTITY: [u8; 32] = [0; 32];
const RESTORE: &str = "--restore";
const GROUP: usize = 10_000;
const MESSAGES: usize = 1_000;
const BODY: usize = 16_000;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}

fn report(what: &str, count: usize, before: usize) {
    let now = resident();
    let each = now.saturating_sub(before) / count.max(1);
    println!("{what}: {each} bytes each; {} MiB resident in all", now >> 20);
}

fn random<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn fill(store: &mut Store, queues: &mut QueueStore, count: usize, rng: &mut ChaCha20Rng) {
    for number in 0..count {
        let recipient = EntityId::from(random::<24>(rng));
        let key = AuthPublicKey::from(Ed25519Public::from_bytes(random(rng)));
        let secret = SharedSecret::from_bytes(random(rng));
        let sender = EntityId::from(random::<24>(rng));
        queues.insert(recipient.clone(), Queue::new(key, secret, sender, Some(QueueMode::Messaging)));
        queues.secure(&recipient, X25519Public::from_bytes(random(rng)).into());
        if number % GROUP == GROUP - 1 {
            store.commit(&queues.changes()).expect("commit");
        }
    }
    store.commit(&queues.changes()).expect("commit");
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == RESTORE) {
        return restore(Path::new(&arguments.next().expect("a path")));
    }
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let path = std::env::temp_dir().join(format!("sxlab-bench-{}.store", std::process::id()));
    let (mut store, mut queues) = Store::open(&path, &IDENTITY).expect("open");
    let begin = resident();
    fill(&mut store, &mut queues, count, &mut rng);
    report(&format!("{count} queues, made"), count, begin);

    let recipients: Vec<_> = queues.queues().take(MESSAGES).map(|(recipient, _)| recipient.clone()).collect();
    let before = resident();
    for group in recipients.chunks(100) {
        for recipient in group {
            let content = Content::Message { flags: MsgFlags::default(), body: vec![7; BODY] };
            let message = Stored { id: MsgId::from(random::<24>(&mut rng)), time: 1, content };
            queues.offer(recipient, message, 128);
        }
        store.commit(&queues.changes()).expect("commit");
    }
    report(&format!("{} messages of {BODY} bytes", recipients.len()), recipients.len(), before);
    let file = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!("the file: {} MiB", file >> 20);
    drop((store, queues, recipients));

    let this = std::env::current_exe().expect("this program");
    std::process::Command::new(this).arg(RESTORE).arg(&path).status().expect("another process");
    let _ = std::fs::remove_file(&path);
}

fn restore(path: &Path) {
    let before = resident();
    let (_store, queues) = Store::open(path, &IDENTITY).expect("open again");
    report(
        &format!("{} queues, restored with {} messages", queues.len(), queues.waiting()),
        queues.len(),
        before,
    );
}
