//! A load generator for one SMP router over loopback TLS: round trips, subscriptions, and what the router's memory holds.
//!
//! `cargo bench --bench load`; `-- --help` shows the options. The router is a process of its own (this program again, as
//! `--router`) with one thread and its queues in memory, or with a durable store and its thread; the generator is this process, with one thread too. Both report
//! the processor time they used, so that a busy machine does not hide what a round trip costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot run should stop; it measures the machine's time"
)]

mod client;
mod memory;
mod process;
mod rounds;
mod router;
mod subscriptions;

use std::future::Future;
use std::path::PathBuf;

const HELP: &str = "\
cargo bench --bench load -- [OPTIONS]

  --only WHAT            rounds, subscriptions or memory; may be given several times [default: all]
  --connections LIST     connections of the round trips [default: 1,100,1000]
  --window N             messages on their way at a time, one a queue; at least one a connection [default: 64]
  --body LIST            bytes of a message's body as its sender sends it [default: 16000,1000]
  --seconds N            how long each measurement of round trips takes [default: 5]
  --idle N               idle connections whose memory is measured [default: 1000]
  --queues N             queues that are made, subscribed to and measured, in thousands [default: 20000]
  --messages N           messages that are stored and measured, in hundreds [default: 5000]
  --store DIR            the router has its queues in a durable store, a file in this directory that is removed afterwards
                         [default: in memory]";

/// What to measure.
struct Options {
    only: Vec<String>,
    connections: Vec<usize>,
    window: usize,
    body: Vec<usize>,
    seconds: u64,
    idle: usize,
    queues: usize,
    messages: usize,
    store: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self {
            only: Vec::new(),
            connections: vec![1, 100, 1000],
            window: 64,
            body: vec![16_000, 1000],
            seconds: 5,
            idle: 1000,
            queues: 20_000,
            messages: 5000,
            store: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            if arg == "--bench" {
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{arg}: a value is missing\n{HELP}"))?;
            let bad = |error| format!("{arg} {value}: {error}");
            let number = || value.parse().map_err(bad);
            let list = || value.split(',').map(str::parse).collect::<Result<_, _>>().map_err(bad);
            match arg.as_str() {
                "--only" => options.only.push(value),
                "--connections" => options.connections = list()?,
                "--window" => options.window = number()?,
                "--body" => options.body = list()?,
                "--seconds" => options.seconds = number()? as u64,
                "--idle" => options.idle = number()?,
                "--queues" => options.queues = number()?,
                "--messages" => options.messages = number()?,
                "--store" => options.store = Some(PathBuf::from(value)),
                _ => return Err(format!("{arg}: no such option\n{HELP}")),
            }
        }
        Ok(options)
    }

    fn asks_for(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == what)
    }
}

/// Runs a future and what it spawns on this thread.
fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("--router") => return block_on(router::serve(false, args.next().map(PathBuf::from))),
        Some("--tls-only") => return block_on(router::serve(true, None)),
        Some("--help") => return println!("{HELP}"),
        _ => {}
    }
    let options = Options::read().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(2);
    });
    if options.asks_for("rounds") {
        block_on(rounds::measure(&options));
    }
    if options.asks_for("subscriptions") {
        block_on(subscriptions::measure(&options));
    }
    if options.asks_for("memory") {
        block_on(memory::measure(&options));
    }
}
