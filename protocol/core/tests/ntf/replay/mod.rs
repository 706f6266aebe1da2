//! Recorded flows of the deployed notification router, replayed on ours: what the clients sent is sent again, to the byte where nothing
//! in it is random, and what came back is compared.
//!
//! What is compared in part, and why, is in `docs/deviations.md`.

mod flow;
mod pushes;
mod sending;
mod smp;

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::handshake::{Agreed, ClientHello, RouterHello};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::TokenStatus;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::transport::{RouterCredentials, read_transmission};
use sxlab_protocol::wire::{EntityId, pad, unpad};

use crate::certificates;
use crate::place::Place;
use crate::recorded;
use crate::world::{config, start_of_time};

const MILLISECOND: u64 = 1_000_000;

/// Two things closer together than this were a race in the recording: either order is right.
const RACE: u64 = 100 * MILLISECOND;

/// A flow that is being replayed.
pub struct Replay {
    flow: Value,
    /// The version to replay it at, which may be another than it was recorded at.
    version: u16,
    now: u64,
    router: Router,
    identity: [u8; 32],
    links: BTreeMap<String, Link>,
    /// Recorded random bytes, and what stands for them here.
    same: Vec<(Vec<u8>, Vec<u8>)>,
    /// The secrets of pushes, recorded and ours.
    secrets: Vec<(SharedSecret, SharedSecret)>,
    /// Pushes that the provider has not answered, and the recorded answer with its time once it was seen.
    pushes: VecDeque<(PushRequest, Option<(u64, PushAnswer)>)>,
    /// How many pushes there were for a device.
    pushed: BTreeMap<Vec<u8>, usize>,
    smp: Place,
    /// Of notifications' metadata, by notifier: between the recipient and the SMP router.
    meta_secrets: BTreeMap<EntityId, SharedSecret>,
    /// The key for pushes of the TNEW that was sent last.
    registering: Option<Vec<u8>>,
    /// What was compared.
    compared: usize,
}

/// A connection of the flow.
struct Link {
    session: SessionNo,
    agreed: Agreed,
    /// Blocks that came, each with the transmissions that are left of it, and how many it had.
    blocks: VecDeque<(VecDeque<Vec<u8>>, usize)>,
    closed: bool,
}

/// Replays a flow, and gives how many steps were compared. `None`, and a line that says so, without the recordings.
fn replay(file: &str, version: Option<u16>) -> Option<usize> {
    let flow = recorded::json(&format!("transcripts/ntf/{file}.json"))?;
    let version = version.unwrap_or(flow["version"].as_u64().unwrap() as u16);
    let mut replay = Replay::new(flow, version);
    let steps: Vec<_> = recorded::steps(&replay.flow).cloned().collect();
    for (at, step) in steps.iter().enumerate() {
        replay.step(&steps, at, step);
    }
    for (name, link) in &replay.links {
        assert!(
            link.blocks.iter().all(|(items, _)| items.is_empty()),
            "{name}: answers that nobody recorded"
        );
    }
    println!("{file} at version {version}: {} steps compared, equal", replay.compared);
    Some(replay.compared)
}

impl Replay {
    fn new(flow: Value, version: u16) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        // The recorded router's certificates had Ed448 keys: hellos are as long as ours with one.
        let leaf = Ed448Secret::from_seed([7; 57]);
        let chain = certificates::credentials(1).chain;
        let identity = chain.identity().unwrap();
        let own = ChaCha20Rng::from_rng(&mut rng);
        let credentials = RouterCredentials { chain, leaf: leaf.into() };
        let mut router = Router::new(config(), credentials, Store::default(), own);
        router.start(start_of_time());
        let smp = Place::new(&mut rng);
        Self {
            flow,
            version,
            now: start_of_time(),
            router,
            identity,
            links: BTreeMap::new(),
            same: Vec::new(),
            secrets: Vec::new(),
            pushes: VecDeque::new(),
            pushed: BTreeMap::new(),
            smp,
            meta_secrets: BTreeMap::new(),
            registering: None,
            compared: 0,
        }
    }

    fn step(&mut self, steps: &[Value], at: usize, step: &Value) {
        let (conn, text) = (recorded::text(step, "conn"), recorded::text(step, "text"));
        let what = format!("step {at}, {conn}: {text}");
        let time = start_of_time() + step["at_ms"].as_u64().unwrap() * MILLISECOND;
        self.pass(time, steps, at);
        // Of `subscriptions-push`: clients of the SMP router.
        let is_smp = ["S", "C", "N"].contains(&conn);
        match (conn, recorded::text(step, "dir")) {
            ("APNs", "recv") => self.compare_push(step, &what),
            (_, "note") => self.note(conn, text, &what),
            _ if is_smp => self.smp_step(steps, step, &what),
            (_, "recv") if text.starts_with("server hello") => self.hello(conn, step, &what),
            (_, "send") if text.starts_with("client hello") => self.client_hello(conn, step),
            (_, "send") => self.send(conn, step, &what),
            (_, "recv") => self.receive(conn, step, &what),
            (_, "close") => {
                let closed = self.links[conn].closed;
                assert_eq!(closed, text.contains("by server"), "{what}");
                self.compared += 1;
            }
            other => panic!("{what}: {other:?}"),
        }
        self.drive();
    }

    fn note(&mut self, conn: &str, text: &str, what: &str) {
        if let Some(count) = text.strip_prefix("pushes seen for this token: ") {
            let device = self.pushed.values().max().copied().unwrap_or_default();
            assert_eq!(device, count.parse::<usize>().unwrap(), "{what}");
            self.pushed.clear();
            self.compared += 1;
        } else if text == "further pushes after SDEL: 0" {
            assert!(self.pushes.is_empty(), "{what}");
            self.compared += 1;
        } else if text.starts_with("same id: ") || text.starts_with("same code: ") {
            // What stands for what was compared already.
        } else if text == "connection closed, no answer" {
            assert!(self.links[conn].closed, "{what}");
            self.compared += 1;
        }
    }

    /// What waits happens while time passes; what providers say too.
    fn pass(&mut self, time: u64, steps: &[Value], at: usize) {
        // Subscribing at an SMP router takes longer than what follows at once.
        let busy = time.saturating_sub(self.now) >= RACE;
        self.now = self.now.max(time);
        while self.router.next_timeout().is_some_and(|due| due <= self.now) {
            self.router.timeout(self.now);
            self.drive();
        }
        while busy && self.smp.pass(&mut self.router, self.now) {
            self.drive();
        }
        self.answer_pushes(steps, at);
    }

    fn drive(&mut self) {
        while let Some(event) = self.router.poll() {
            match event {
                RouterEvent::Writable(session) => {
                    while let Some(block) = self.router.next_block(session) {
                        let link = self.links.values_mut().find(|link| link.session == session).unwrap();
                        let content = link.agreed.open(&block).unwrap();
                        let items = link.agreed.unpack(&content).unwrap();
                        let items: VecDeque<_> = items.into_iter().map(<[u8]>::to_vec).collect();
                        let count = items.len();
                        link.blocks.push_back((items, count));
                    }
                }
                RouterEvent::Close(session) => {
                    for link in self.links.values_mut().filter(|link| link.session == session) {
                        link.closed = true;
                    }
                }
                RouterEvent::Push(request) => self.push(*request),
                RouterEvent::Smp(no, asked) => self.smp.ask(no, asked),
            }
        }
    }

    /// The router's hello: what is not random in it is the same.
    fn hello(&mut self, conn: &str, step: &Value, what: &str) {
        let recorded = recorded::bytes(&step["hex"]);
        let known = &self.flow["sessions"][conn];
        let session_id = recorded::bytes(&known["session_id"]);
        let session =
            self.router.accept("recorded", session_id.clone(), !known["alpn_chosen"].is_null(), self.now);
        let block = self.router.next_block(session).unwrap();
        let ours = unpad(&block).unwrap();
        assert_eq!(ours.len(), recorded.len(), "{what}");
        let (ours, theirs) = (RouterHello::decode(ours).unwrap(), RouterHello::decode(&recorded).unwrap());
        assert_eq!((ours.versions, &ours.session_id), (theirs.versions, &theirs.session_id), "{what}");
        let leaf = Ed448Secret::from_seed([7; 57]).public().into();
        let key = ours.key.map(|key| key.verify(&leaf).unwrap());
        let agreed = Agreed::new(self.version, session_id, key);
        let link = Link { session, agreed, blocks: VecDeque::new(), closed: false };
        self.links.insert(conn.to_owned(), link);
        self.compared += 1;
    }

    fn client_hello(&mut self, conn: &str, step: &Value) {
        let recorded = ClientHello::decode(&recorded::bytes(&step["hex"])).unwrap();
        let version = if u64::from(recorded.version) == self.flow["version"].as_u64().unwrap()
            && recorded::text(&self.flow, "scenario") != "handshake"
        {
            self.version
        } else {
            recorded.version
        };
        // The one that expects a router of `xxx…` expects it again; the others expect the right one.
        let identity = if recorded.identity == [b'x'; 32] { recorded.identity } else { self.identity };
        let link = self.links.get_mut(conn).unwrap();
        link.agreed = Agreed::new(version, link.agreed.session.id.clone(), link.agreed.router_key);
        let hello = ClientHello { version, identity }.encode().unwrap();
        self.router.block(link.session, &pad(&hello, 512).unwrap(), self.now);
    }

    /// A transmission came back.
    fn receive(&mut self, conn: &str, step: &Value, what: &str) {
        let link = self.links.get_mut(conn).unwrap();
        let of = step["of"].as_u64().unwrap_or(1) as usize;
        while link.blocks.front().is_some_and(|(items, _)| items.is_empty()) {
            link.blocks.pop_front();
        }
        let (items, count) = link.blocks.front_mut().unwrap_or_else(|| panic!("{what}: nothing came"));
        assert_eq!(*count, of, "{what}: transmissions in its block");
        let ours = items.pop_front().unwrap();
        let session = link.agreed.session.clone();
        let theirs = recorded::bytes(&step["hex"]);
        let parts = |item: &[u8]| {
            let received = read_transmission(&session, item).unwrap();
            assert!(received.right_session, "{what}");
            (received.corr, received.entity, received.command)
        };
        let (our_parts, their_parts) = (parts(&ours), parts(&theirs));
        let both = (Response::decode(&our_parts.2).unwrap(), Response::decode(&their_parts.2).unwrap());
        match &both {
            (Response::IdTkn { id, dh_key }, Response::IdTkn { id: their_id, dh_key: their_key }) => {
                self.stands_for(their_id.as_bytes(), id.as_bytes(), what);
                self.stands_for(&their_key.spki(), &dh_key.spki(), what);
                self.registered(their_key, dh_key);
            }
            (Response::IdSub(id), Response::IdSub(theirs)) => {
                self.stands_for(theirs.as_bytes(), id.as_bytes(), what);
            }
            _ => {}
        }
        let mut expected = self.substituted(&theirs);
        if let Response::Tkn(TokenStatus::Invalid(Some(reason))) = both.1
            && self.version < 3
        {
            // The matrix of versions: below 3 nobody is told why.
            expected.truncate(expected.len() - 1 - reason.text().len());
        }
        assert_eq!(hex::encode(&ours), hex::encode(&expected), "{what}: {both:?}");
        self.compared += 1;
    }

    /// Recorded random bytes stand for ours: always, and for nothing else.
    fn stands_for(&mut self, theirs: &[u8], ours: &[u8], what: &str) {
        assert_eq!(theirs.len(), ours.len(), "{what}");
        let known = self.same.iter().find(|(recorded, own)| recorded == theirs || own == ours);
        match known {
            Some((recorded, own)) => {
                assert_eq!((recorded.as_slice(), own.as_slice()), (theirs, ours), "{what}: another one");
            }
            None => self.same.push((theirs.to_vec(), ours.to_vec())),
        }
    }

    /// Recorded bytes with ours in the place of what is random.
    fn substituted(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (theirs, ours) in &self.same {
            let places: Vec<_> = bytes.windows(theirs.len()).enumerate().collect();
            let places: Vec<_> = places.into_iter().filter(|(_, window)| window == theirs).collect();
            let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
            for at in places {
                bytes[at..at + ours.len()].copy_from_slice(ours);
            }
        }
        bytes
    }
}

/// The blocks that clients were recorded to write are those that ours would.
#[test]
fn recorded_blocks_are_made_again_to_the_byte() {
    let mut blocks = 0;
    for file in flow::FILES {
        let Some(flow) = recorded::json(&format!("transcripts/ntf/{file}.json")) else { return };
        for step in recorded::steps(&flow).filter(|step| step["raw_sha256"].is_string()) {
            let conn = recorded::text(step, "conn");
            let known = &flow["sessions"][conn];
            if !known["alpn_chosen"].as_str().is_none_or(|alpn| ["ntf/1", "h2"].contains(&alpn)) {
                continue;
            }
            let version = match (file, conn) {
                ("handshake-v03", "ok1" | "noalpn") => 1,
                (file, _) if file.ends_with("v01") => 1,
                _ => 3,
            };
            let mut agreed = Agreed::new(version, recorded::bytes(&known["session_id"]), None);
            let item = recorded::bytes(&step["hex"]);
            let block = agreed.seal([item.as_slice()].into_iter()).unwrap();
            assert_eq!(hex::encode(sha256(&block)), recorded::text(step, "raw_sha256"), "{file} {conn}");
            blocks += 1;
        }
    }
    println!("{blocks} blocks of clients made again");
    assert!(blocks > 150);
}
