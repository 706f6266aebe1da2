//! Round trips: a message is sent, delivered and acknowledged, and both commands are answered; then the queue's next one
//! is sent. As many queues as the window says have a message on its way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::wire::{EntityId, MsgId, Reader};
use tokio::sync::Notify;

use crate::Options;
use crate::client::{Connection, Incoming, Queue, corr, parts};
use crate::process::{RouterProcess, own_cpu};

const SEND: u8 = 1;
const ACK: u8 = 2;
const SUB: u8 = 3;

/// Of so many messages one is opened and looked at.
const CHECKED: u64 = 64;

/// What all connections share.
struct Load {
    flows: Vec<Flow>,
    by_recipient: BTreeMap<[u8; 24], usize>,
    send: Vec<u8>,
    body: usize,
    done: Cell<u64>,
    stopped: Cell<bool>,
    latencies: RefCell<Vec<u32>>,
    subscribed: Cell<usize>,
    all_subscribed: Notify,
}

/// One queue and who uses it.
struct Flow {
    queue: Queue,
    sender: Connection,
    recipient: Connection,
    authenticates: SharedSecret,
    number: Cell<u64>,
    /// Answers of the present round that are still to come: of SEND, and of ACK.
    missing: Cell<u8>,
    begun: Cell<Instant>,
}

pub(crate) async fn measure(options: &Options) {
    println!(
        "Round trips (SEND, MSG, ACK and both answers), version 20, Ed25519 recipients, X25519 senders:"
    );
    println!(
        "connections  body bytes  on their way  round trips/s  median, 99 % ms  router µs  generator µs  router busy"
    );
    for &body in &options.body {
        for &connections in &options.connections {
            run(connections, options.window.max(connections), body, options).await;
        }
    }
}

async fn run(connections: usize, window: usize, body: usize, options: &Options) {
    let router = RouterProcess::start(options.store.as_deref());
    let mut rng = RealWorld.rng();
    let mut ends = Vec::new();
    for _ in 0..connections {
        ends.push(Connection::open(&router, &mut rng).await);
    }
    let queues = ends[0].1.make(window, &mut rng).await;
    let flows = queues.into_iter().enumerate().map(|(number, queue)| {
        // With several connections, a queue's sender and its recipient have different ones.
        let (sender, recipient) = (&ends[(number + 1) % connections].0, &ends[number % connections].0);
        Flow {
            authenticates: sender.authenticates(&queue.sender_key),
            sender: sender.clone(),
            recipient: recipient.clone(),
            queue,
            number: Cell::new(0),
            missing: Cell::new(0),
            begun: Cell::new(Instant::now()),
        }
    });
    let flows: Vec<_> = flows.collect();
    let by_recipient = flows.iter().enumerate();
    let by_recipient =
        by_recipient.map(|(number, flow)| (flow.queue.recipient.as_bytes().try_into().unwrap(), number));
    let mut send = b"SEND F ".to_vec();
    send.resize(send.len() + body, b'x');
    let load = Rc::new(Load {
        by_recipient: by_recipient.collect(),
        flows,
        send,
        body,
        done: Cell::new(0),
        stopped: Cell::new(false),
        latencies: RefCell::default(),
        subscribed: Cell::new(0),
        all_subscribed: Notify::new(),
    });
    for (_, incoming) in ends {
        tokio::task::spawn_local(read(Rc::clone(&load), incoming));
    }
    for (number, flow) in load.flows.iter().enumerate() {
        let corr = corr(number as u32, SUB, 0);
        flow.recipient.signed(&corr, &flow.queue.recipient, b"SUB", &flow.queue.recipient_key);
    }
    load.all_subscribed.notified().await;
    for number in 0..load.flows.len() {
        load.begin(number);
    }
    // What comes first, while caches and buffers fill, is not counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (begun, done) = (Instant::now(), load.done.get());
    let (router_cpu, own) = (router.cpu(), own_cpu());
    load.latencies.borrow_mut().clear();
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let (rounds, wall) = (load.done.get() - done, begun.elapsed());
    let each = |before: u64, after: u64| (after - before) as f64 / 1000.0 / rounds as f64;
    let mut latencies = load.latencies.take();
    latencies.sort_unstable();
    let quantile = |q: f64| f64::from(latencies[(latencies.len() as f64 * q) as usize]) / 1000.0;
    println!(
        "{connections:>11}  {body:>10}  {window:>12}  {:>13.0}  {:>6.1}, {:>6.1}  {:>9.0}  {:>12.0}  {:>9.0} %",
        rounds as f64 / wall.as_secs_f64(),
        quantile(0.5),
        quantile(0.99),
        each(router_cpu, router.cpu()),
        each(own, own_cpu()),
        100.0 * (router.cpu() - router_cpu) as f64 / wall.as_nanos() as f64,
    );
    load.stopped.set(true);
}

async fn read(load: Rc<Load>, mut incoming: Incoming) {
    while !load.stopped.get() {
        let taken = incoming.next(|corr, entity, command| load.take(corr, entity, command)).await;
        if taken.is_none() {
            assert!(load.stopped.get(), "the router closed a connection");
        }
    }
}

impl Load {
    fn begin(&self, number: usize) {
        let flow = &self.flows[number];
        flow.number.set(flow.number.get() + 1);
        flow.missing.set(SEND | ACK);
        flow.begun.set(Instant::now());
        let corr = corr(number as u32, SEND, flow.number.get());
        flow.sender.authenticated(&corr, &flow.queue.sender, &self.send, &flow.authenticates);
    }

    fn take(&self, corr: &[u8], entity: &[u8], command: &[u8]) {
        match parts(corr) {
            None => self.delivered(entity, command),
            Some((_, SUB)) => {
                assert!(command.starts_with(b"SOK"), "{command:?}");
                self.subscribed.set(self.subscribed.get() + 1);
                if self.subscribed.get() == self.flows.len() {
                    self.all_subscribed.notify_one();
                }
            }
            Some((number, kind)) => {
                assert_eq!(command, b"OK");
                let flow = &self.flows[number as usize];
                flow.missing.set(flow.missing.get() & !kind);
                if flow.missing.get() == 0 {
                    self.done.set(self.done.get() + 1);
                    let took = u32::try_from(flow.begun.get().elapsed().as_micros()).unwrap();
                    self.latencies.borrow_mut().push(took);
                    if !self.stopped.get() {
                        self.begin(number as usize);
                    }
                }
            }
        }
    }

    fn delivered(&self, entity: &[u8], command: &[u8]) {
        let number = self.by_recipient[entity];
        let flow = &self.flows[number];
        let mut reader = Reader::new(command);
        reader.tag(b"MSG ").unwrap();
        let id = reader.short().unwrap();
        if flow.number.get() % CHECKED == 1 {
            let id = MsgId::new(id).unwrap();
            match MessageBody::open(&flow.queue.secret, &id, reader.rest()).unwrap() {
                MessageBody::Message { body, .. } => assert_eq!(body.len(), self.body),
                MessageBody::Quota { .. } => panic!("a quota marker"),
            }
        }
        let mut ack = b"ACK ".to_vec();
        ack.push(id.len() as u8);
        ack.extend_from_slice(id);
        let corr = corr(number as u32, ACK, flow.number.get());
        let entity: &EntityId = &flow.queue.recipient;
        flow.recipient.signed(&corr, entity, &ack, &flow.queue.recipient_key);
    }
}
