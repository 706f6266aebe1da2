//! Random commands of several clients against a simple model: nothing panics, no accepted message is lost, none comes
//! again after its ACK was answered, and every command is answered once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod common;

use std::collections::VecDeque;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::transport::BLOCK_SIZE;

const CLIENTS: usize = 3;
const QUEUES: usize = 3;
const QUOTA: usize = 3;

/// What a client does with a queue.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Sub,
    Get,
    /// Acknowledges what this client got last from the queue, however long ago.
    Ack,
    AckEmpty,
    Off,
    Del,
    /// Ends the client's connection and opens another.
    Reconnect,
    /// Stops and starts reading.
    Read,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Send),
        4 => Just(Step::Sub),
        2 => Just(Step::Get),
        6 => Just(Step::Ack),
        1 => Just(Step::AckEmpty),
        1 => Just(Step::Reconnect),
        2 => Just(Step::Read),
        1 => Just(Step::Wait),
        1 => prop_oneof![9 => Just(Step::Wait), 1 => Just(Step::Off), 1 => Just(Step::Del)],
    ]
}

/// What the model knows of a queue.
#[derive(Default)]
struct Model {
    /// Accepted and not known to be acknowledged, in order.
    waiting: VecDeque<String>,
    acknowledged: Vec<String>,
    suspended: bool,
    deleted: bool,
}

struct Run {
    w: World,
    version: u16,
    clients: [Who; CLIENTS],
    reading: [bool; CLIENTS],
    queues: Vec<TestQueue>,
    models: Vec<Model>,
    /// What each client got last from each queue.
    got: [[Option<String>; QUEUES]; CLIENTS],
    /// What was removed while the client did not read: it may have been sent to it before.
    late: [Vec<String>; CLIENTS],
    sent: usize,
}

impl Run {
    fn new(version: u16) -> Self {
        let config = RouterConfig { queue_quota: QUOTA, outgoing_blocks: 3, ..RouterConfig::default() };
        let mut w = World::with(config);
        let clients = w.clients(version);
        let queues = (0..QUEUES).map(|_| w.idle_queue(clients[0])).collect();
        let models = (0..QUEUES).map(|_| Model::default()).collect();
        Run {
            w,
            version,
            clients,
            reading: [true; CLIENTS],
            queues,
            models,
            got: Default::default(),
            late: Default::default(),
            sent: 0,
        }
    }

    /// The client reads what is there; each message must be one that waits in its queue.
    fn read(&mut self, client: usize) {
        self.w.set_reading(self.clients[client], true);
        for (_, entity, text) in self.w.transmissions(self.clients[client]) {
            let queue = self.queues.iter().position(|q| q.recipient == entity);
            if let (Some(queue), Some(body)) = (queue, text.strip_prefix("MSG ")) {
                self.note(client, queue, body);
            }
        }
        self.late[client].clear();
    }

    fn note(&mut self, client: usize, queue: usize, body: &str) {
        let model = &self.models[queue];
        let late = self.late[client].iter().any(|m| m == body);
        assert!(late || !model.acknowledged.iter().any(|m| m == body), "{body} again after its ACK");
        let waits = body == "quota marker" || model.waiting.iter().any(|m| m == body);
        assert!(late || waits, "{body} was not accepted");
        self.got[client][queue] = Some(body.to_owned());
    }

    fn removed(&mut self, body: &str) {
        for client in (0..CLIENTS).filter(|client| !self.reading[*client]) {
            self.late[client].push(body.to_owned());
        }
    }

    fn step(&mut self, client: usize, number: usize, step: Step) {
        let (who, q) = (self.clients[client], self.queues[number].clone());
        match step {
            Step::Reconnect => {
                self.w.disconnect(who);
                self.clients[client] = self.w.client(self.version);
                self.reading[client] = true;
                self.got[client] = Default::default();
                self.late[client].clear();
                return;
            }
            Step::Read => {
                self.read(client);
                self.reading[client] = !self.reading[client];
                self.w.set_reading(who, self.reading[client]);
                return;
            }
            Step::Wait => return self.w.wait(15 * SECOND),
            _ => {}
        }
        // To know each answer the client reads while it asks.
        self.read(client);
        match step {
            Step::Send => self.send(who, number, &q),
            Step::Sub => {
                let answer = self.w.subscribe(who, &q);
                assert!([sok(self.version), "ERR CMD PROHIBITED", "ERR AUTH"].contains(&answer.as_str()));
            }
            Step::Get => {
                let answer = self.w.get(who, &q);
                if let Some(body) = answer.strip_prefix("MSG ") {
                    assert!(body == "quota marker" || self.models[number].waiting.front().unwrap() == body);
                    self.note(client, number, body);
                }
            }
            Step::Ack => self.ack(client, number, &q),
            Step::AckEmpty => {
                let answer = self.w.recipient(who, &q, Command::Ack(sxlab_protocol::wire::MsgId::EMPTY));
                if let Some(body) = answer.strip_prefix("MSG ") {
                    self.note(client, number, body);
                }
            }
            Step::Off => {
                self.w.recipient(who, &q, Command::Off);
                self.models[number].suspended = true;
            }
            _ => {
                self.w.recipient(who, &q, Command::Del);
                let model = Model { deleted: true, ..Model::default() };
                for body in std::mem::replace(&mut self.models[number], model).waiting {
                    self.removed(&body);
                }
            }
        }
        self.read(client);
        self.w.set_reading(who, self.reading[client]);
    }

    fn send(&mut self, who: Who, number: usize, q: &TestQueue) {
        self.sent += 1;
        let body = format!("m{}", self.sent);
        // Its own connection may be the subscriber: the message counts as accepted before the answer is seen.
        self.models[number].waiting.push_back(body.clone());
        let answer = self.w.send(who, q, &body);
        let model = &mut self.models[number];
        match answer.as_str() {
            "OK" => assert!(!model.suspended && !model.deleted),
            "ERR QUOTA" => {
                model.waiting.pop_back();
            }
            "ERR AUTH" => {
                assert!(model.suspended || model.deleted);
                model.waiting.pop_back();
            }
            other => panic!("{other}"),
        }
    }

    fn ack(&mut self, client: usize, number: usize, q: &TestQueue) {
        let Some(body) = self.got[client][number].clone() else { return };
        let answer = self.w.ack(self.clients[client], q);
        if answer.starts_with("ERR") {
            return;
        }
        let model = &mut self.models[number];
        if model.waiting.front() == Some(&body) {
            model.waiting.pop_front();
            model.acknowledged.push(body.clone());
            self.removed(&body);
        }
        if let Some(next) = answer.strip_prefix("MSG ") {
            self.note(client, number, next);
        }
    }

    /// A fresh connection drains every queue: exactly what the model says waits, in order.
    fn finish(mut self) {
        let reader = self.w.client(self.version);
        for (q, model) in self.queues.clone().iter().zip(&self.models) {
            let mut rest = Vec::new();
            if self.w.subscribe(reader, q) == sok(self.version) {
                rest.extend(self.w.events(reader));
                while !rest.is_empty() {
                    match self.w.ack(reader, q).as_str() {
                        "OK" => break,
                        message => rest.push(message.to_owned()),
                    }
                }
            }
            rest.retain(|text| text != "MSG quota marker");
            let waiting: Vec<_> = model.waiting.iter().map(|body| format!("MSG {body}")).collect();
            assert_eq!(rest, waiting);
        }
        self.w.wait(60 * SECOND);
        assert_eq!(self.w.deadline(0), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_message_is_lost_and_none_comes_again_after_its_ack(
        version in 6u16..=20,
        steps in proptest::collection::vec((0..CLIENTS, 0..QUEUES, step()), 1..80),
    ) {
        let mut run = Run::new(version);
        for (client, queue, step) in steps {
            run.step(client, queue, step);
            for client in (0..CLIENTS).filter(|client| run.reading[*client]).collect::<Vec<_>>() {
                run.read(client);
            }
        }
        run.finish();
    }

    #[test]
    fn any_blocks_leave_a_session_that_answers_ping(
        version in 6u16..=20,
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10),
        items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..10),
        commands in proptest::collection::vec(
            ("(NEW|SUB|KEY|SKEY|SEND|ACK|GET|OFF|DEL|PRXY|PFWD|RFWD|LSET|RSLV)",
             proptest::collection::vec(any::<u8>(), 0..200), any::<bool>(), any::<bool>()),
            0..20,
        ),
    ) {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.queue(a);
        let c = w.raw(version, |_| ());
        for content in contents {
            w.write_content(c, &content);
        }
        for item in items {
            w.write_items(c, &[item]);
        }
        for (tag, parameters, entity, signed) in commands {
            let entity = if entity { q.recipient.clone() } else { q.sender.clone() };
            let command = [tag.as_bytes(), b" ", &parameters].concat();
            let item = w.item(c, "c", &entity, &command, signed.then_some(&q.key));
            w.write_items(c, &[item]);
        }
        // Garbage takes one key's turn.
        w.agreed(c).codec.seal(b"").unwrap();
        w.write_block(c, vec![0xff; BLOCK_SIZE]);
        w.events(c);
        let ping = w.item(c, "c", &sxlab_protocol::wire::EntityId::EMPTY, b"PING", None);
        w.write_items(c, &[ping]);
        prop_assert_eq!(w.events(c), ["PONG"]);
    }
}
