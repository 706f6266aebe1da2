//! A notification router with its devices in one process, with a clock that the test moves. Providers and SMP routers are the test.

use std::collections::{BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::client::{Client, ClientEvent};
use sxlab_protocol::ntf::command::*;
use sxlab_protocol::ntf::device::{Answered, Ask, Device, DeviceError};
use sxlab_protocol::ntf::handshake::ClientHandshake;
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::{SubscriptionStatus, TokenStatus};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress, VersionRange};

use crate::SECOND;
use crate::certificates;

/// A device's connection.
pub type Who = usize;

pub struct World {
    pub now: u64,
    pub router: Router,
    pub rng: ChaCha20Rng,
    pub links: Vec<Link>,
    /// What providers were asked for and have not answered.
    pub pushes: VecDeque<PushRequest>,
    /// What was asked of SMP routers.
    pub asked: VecDeque<(SmpNo, SmpAsk)>,
    pub closed: BTreeSet<SessionNo>,
    tls_sessions: u64,
}

pub struct Link {
    pub session: SessionNo,
    pub client: Client,
    pub answers: Vec<(CorrId, EntityId, Response)>,
    /// How many transmissions came in each block.
    pub blocks: Vec<usize>,
    reading: bool,
}

/// The default, with the provider for tests allowed.
pub fn config() -> RouterConfig {
    RouterConfig { test_provider: true, ..RouterConfig::default() }
}

pub fn start_of_time() -> u64 {
    1_800_000_000 * SECOND
}

impl World {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: RouterConfig) -> Self {
        Self::continued(config, Store::default().journaled(), start_of_time())
    }

    /// A router that begins with a store.
    pub fn continued(config: RouterConfig, store: Store, now: u64) -> Self {
        Self::drawing(ChaCha20Rng::seed_from_u64(1), config, store, now)
    }

    fn drawing(mut rng: ChaCha20Rng, config: RouterConfig, store: Store, now: u64) -> Self {
        let own = ChaCha20Rng::from_rng(&mut rng);
        let mut router = Router::new(config, certificates::credentials(1), store, own);
        router.start(now);
        let mut world = World {
            now,
            router,
            rng,
            links: Vec::new(),
            pushes: VecDeque::new(),
            asked: VecDeque::new(),
            closed: BTreeSet::new(),
            tls_sessions: 0,
        };
        world.drive();
        world
    }

    /// The same router after a restart: what it had in memory only is gone.
    pub fn restarted(mut self, config: RouterConfig) -> Self {
        let mut store = Store::default();
        for record in self.router.store().records() {
            let (key, value) = (record.key().encode(), record.value());
            store.restore(Record::decode(&key, &value).unwrap()).unwrap();
        }
        // With other random numbers: with the same ones it would make the same ids again.
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        Self::drawing(rng, config, store.journaled(), self.now)
    }

    pub fn tls_session(&mut self) -> Vec<u8> {
        self.tls_sessions += 1;
        sha256(&self.tls_sessions.to_be_bytes()).to_vec()
    }

    pub fn handshake(&self, version: u16, session_id: Vec<u8>) -> ClientHandshake {
        let chain = certificates::credentials(1).chain;
        ClientHandshake {
            versions: VersionRange::only(version),
            identity: chain.identity().unwrap(),
            leaf: chain.leaf_public_key().unwrap(),
            session_id,
        }
    }

    /// A connection at this version.
    pub fn client(&mut self, version: u16) -> Who {
        self.client_with(version, true, |_| {})
    }

    pub fn client_with(
        &mut self,
        version: u16,
        alpn: bool,
        change: impl FnOnce(&mut ClientHandshake),
    ) -> Who {
        let tls = self.tls_session();
        let mut handshake = self.handshake(version, tls.clone());
        change(&mut handshake);
        let session = self.router.accept("device.test", tls, alpn, self.now);
        let client = Client::new(handshake, ChaCha20Rng::from_rng(&mut self.rng));
        let (answers, blocks) = (Vec::new(), Vec::new());
        self.links.push(Link { session, client, answers, blocks, reading: true });
        self.drive();
        self.links.len() - 1
    }

    /// Moves time on, stopping at each timeout.
    pub fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(at) = self.router.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.router.timeout(self.now);
            self.drive();
        }
        self.now = end;
    }

    /// Carries blocks until nothing moves.
    pub fn drive(&mut self) {
        loop {
            let mut moved = false;
            while let Some(event) = self.router.poll() {
                moved = true;
                match event {
                    RouterEvent::Writable(session) => self.write(session),
                    RouterEvent::Close(session) => {
                        self.write(session);
                        self.closed.insert(session);
                        self.router.closed(session);
                    }
                    RouterEvent::Push(request) => self.pushes.push_back(*request),
                    RouterEvent::Smp(no, asked) => self.asked.push_back((no, asked)),
                }
            }
            for link in &mut self.links {
                while self.router.wants_block(link.session)
                    && let Some(block) = link.client.next_block()
                {
                    moved = true;
                    self.router.block(link.session, &block, self.now);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn write(&mut self, session: SessionNo) {
        let Some(link) = self.links.iter_mut().find(|link| link.session == session) else { return };
        while link.reading
            && let Some(block) = self.router.next_block(session)
        {
            assert_eq!(block.len(), 512);
            if link.client.block(&block).is_err() {
                self.closed.insert(session);
                continue;
            }
            let mut count = 0;
            while let Some(event) = link.client.poll() {
                if let ClientEvent::Response { corr, entity, response } = event {
                    link.answers.push((corr, entity, response.unwrap()));
                    count += 1;
                }
            }
            link.blocks.push(count);
        }
    }

    /// Whether a connection takes what the router writes.
    pub fn set_reading(&mut self, who: Who, reading: bool) {
        self.links[who].reading = reading;
        if reading {
            let session = self.links[who].session;
            self.write(session);
            self.drive();
        }
    }

    pub fn is_closed(&self, who: Who) -> bool {
        self.closed.contains(&self.links[who].session)
    }

    pub fn post(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> CorrId {
        self.links[who].client.request(entity.clone(), command, key).unwrap()
    }

    pub fn answer(&mut self, who: Who, corr: &CorrId) -> Option<Response> {
        let answers = &mut self.links[who].answers;
        let at = answers.iter().position(|(of, _, _)| of == corr)?;
        Some(answers.remove(at).2)
    }

    /// A request and its answer.
    pub fn ask(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Response {
        let corr = self.post(who, entity, command, key);
        self.drive();
        self.answer(who, &corr).expect("no answer")
    }

    /// What a device asks, and what it makes of the answer.
    pub fn tell(
        &mut self,
        who: Who,
        device: &mut Device,
        asked: Option<Ask>,
    ) -> Result<Answered, DeviceError> {
        let asked = asked.expect("nothing to ask");
        let answer = self.ask(who, &asked.entity, &asked.command, Some(&asked.key));
        device.answered(&asked, answer)
    }

    /// The provider answers the oldest push with this status and reason. Gives the push.
    pub fn answer_push(&mut self, status: u16, reason: &str) -> PushRequest {
        let request = self.pushes.pop_front().expect("no push");
        let answer = PushAnswer::Answered { status, reason: reason.to_owned() };
        self.router.pushed(request.number, &answer, self.now);
        self.drive();
        request
    }

    /// The provider takes the oldest push; its body.
    pub fn accept_push(&mut self) -> String {
        sealed(&self.answer_push(200, ""))
    }

    /// The device's push arrives, and the provider says that it does.
    pub fn deliver(&mut self, device: &mut Device) -> sxlab_protocol::ntf::device::Pushed {
        let body = self.accept_push();
        device.pushed(body.as_bytes()).unwrap()
    }

    /// A device that is registered and active.
    pub fn phone(&mut self, who: Who, name: &str) -> Device {
        let mut device = self.new_phone(name);
        let asked = Some(device.register());
        self.tell(who, &mut device, asked).unwrap();
        self.deliver(&mut device);
        let asked = device.verify();
        assert_eq!(self.tell(who, &mut device, asked), Ok(Answered::Verified));
        device
    }

    /// A device that is not registered.
    pub fn new_phone(&mut self, name: &str) -> Device {
        Device::new(token(name), KeyType::Ed25519, &mut self.rng)
    }

    /// The token's state as the router tells it.
    pub fn status(&mut self, who: Who, device: &mut Device) -> TokenStatus {
        let asked = device.check();
        match self.tell(who, device, asked) {
            Ok(Answered::Token(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// The subscription's state as the router tells it.
    pub fn subscription(&mut self, who: Who, device: &mut Device, queue: &NotifierQueue) -> String {
        let asked = device.check_subscription(queue);
        match self.tell(who, device, asked) {
            Ok(Answered::Subscription(_, status)) => status.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// A device's subscription to a queue at an SMP router, which is asked for.
    pub fn subscribe(&mut self, who: Who, device: &mut Device, queue: &NotifierQueue) {
        let key = AuthSecretKey::generate(KeyType::Ed25519, &mut self.rng);
        device.watch(queue.clone(), key, secret_of(queue));
        let asked = device.subscribe(queue);
        assert_eq!(self.tell(who, device, asked), Ok(Answered::Subscribed(queue.clone())));
    }

    /// The same, and the SMP router, which is connected, accepts it.
    pub fn subscribed(&mut self, who: Who, device: &mut Device, queue: &NotifierQueue) -> SmpNo {
        self.subscribe(who, device, queue);
        let no = self.serve();
        assert_eq!(self.subscription(who, device, queue), "ACTIVE");
        no
    }

    /// SMP routers accept whatever is asked. The number of the last one.
    pub fn serve(&mut self) -> SmpNo {
        let mut last = None;
        while let Some((no, asked)) = self.asked.pop_front() {
            last = Some(no);
            match asked {
                SmpAsk::Connect { .. } => self.smp(no, SmpTold::Connected { service: None }),
                SmpAsk::Subscribe(queues) => {
                    for queue in queues {
                        self.answered(no, &queue.notifier, Answer::Subscribed(None));
                    }
                }
                SmpAsk::SubscribeService(queues) => self.smp(no, SmpTold::ServiceSubscribed(Ok(queues))),
                SmpAsk::Disconnect => {}
            }
        }
        last.expect("nothing was asked")
    }

    pub fn smp(&mut self, no: SmpNo, told: SmpTold) {
        self.router.smp(no, told, self.now);
        self.drive();
    }

    pub fn answered(&mut self, no: SmpNo, notifier: &EntityId, answer: Answer) {
        self.smp(no, SmpTold::Subscribed { notifier: notifier.clone(), answer });
    }

    /// An SMP router tells of a message.
    pub fn notify(&mut self, no: SmpNo, queue: &NotifierQueue, message: u8) {
        let meta = meta(queue, message);
        let notifier = queue.notifier.clone();
        self.smp(no, SmpTold::Notified { notifier, nonce: [message; 24], meta });
    }

    /// What SMP routers were asked since the last call, in words.
    pub fn asked(&mut self) -> Vec<String> {
        let text = |(no, asked): (SmpNo, SmpAsk)| match asked {
            SmpAsk::Connect { as_service, .. } => {
                format!("{} connect{}", no.0, if as_service { " as service" } else { "" })
            }
            SmpAsk::Subscribe(queues) => format!("{} subscribe {}", no.0, queues.len()),
            SmpAsk::SubscribeService(queues) => format!("{} subscribe service of {}", no.0, queues.count),
            SmpAsk::Disconnect => format!("{} disconnect", no.0),
        };
        self.asked.drain(..).map(text).collect()
    }
}

pub fn token(name: &str) -> DeviceToken {
    DeviceToken { provider: Provider::ApnsTest, name: EntityId::new(name.as_bytes()).unwrap() }
}

pub fn sealed(request: &PushRequest) -> String {
    match &request.body {
        PushBody::Sealed(body) => body.clone(),
        PushBody::Bare(push) => panic!("a bare push: {push:?}"),
    }
}

pub fn refused(error: SmpError) -> Result<Answered, DeviceError> {
    Err(DeviceError::Refused(error))
}

/// A queue of an SMP router.
pub fn queue(router: u8, notifier: u8) -> NotifierQueue {
    NotifierQueue { router: smp_router(router), notifier: [notifier; 24].into() }
}

pub fn smp_router(number: u8) -> RouterAddress {
    RouterAddress {
        hosts: vec![format!("smp{number}.test").parse().unwrap()],
        port: Some(5223),
        identity: [number; 32],
        password: None,
    }
}

/// What the queue's recipient and its SMP router share.
pub fn secret_of(queue: &NotifierQueue) -> SharedSecret {
    SharedSecret::from_bytes(sha256(queue.notifier.as_bytes()))
}

/// The metadata of a message.
pub fn meta(queue: &NotifierQueue, message: u8) -> Vec<u8> {
    let meta = sxlab_protocol::smp::envelope::NotificationMeta { id: [message; 24].into(), time: 7 };
    meta.seal(&secret_of(queue), &[message; 24]).unwrap()
}

/// Which messages of which notifiers a push tells of.
pub fn noticed(pushed: sxlab_protocol::ntf::device::Pushed) -> Vec<(u8, u8)> {
    let sxlab_protocol::ntf::device::Pushed::Messages(list) = pushed else { panic!("{pushed:?}") };
    let first = |bytes: &[u8]| bytes[0];
    let both = |notice: sxlab_protocol::ntf::device::Noticed| {
        (first(notice.queue.notifier.as_bytes()), first(notice.message.unwrap().id.as_bytes()))
    };
    list.into_iter().map(both).collect()
}

pub fn is_invalid(status: TokenStatus) -> bool {
    matches!(status, TokenStatus::Invalid(_))
}

pub fn ends(status: &SubscriptionStatus) -> bool {
    !status.subscribes()
}
