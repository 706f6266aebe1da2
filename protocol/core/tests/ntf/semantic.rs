//! The router at the semantic layer: the same answers, pushes and sizes as with bytes.

use rand_core::SeedableRng;
use sxlab_protocol::crypto::keys::{AuthSecretKey, SharedSecret};
use sxlab_protocol::ntf::command::{Command, NotifierQueue};
use sxlab_protocol::ntf::device::{Ask, Device, Pushed};
use sxlab_protocol::ntf::push::Push;
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::semantic::{Asked, Told};
use sxlab_protocol::observe::{SessionNo, Sight};
use sxlab_protocol::smp::error::{CommandError, SmpError};
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::world::*;

struct Bare {
    w: World,
    session: SessionNo,
    corr: u8,
}

impl Bare {
    fn new(config: RouterConfig) -> Self {
        let mut w = World::with(config);
        w.router = w.router.without_cryptography();
        let session = w.router.accept_semantic("device.test", w.now).unwrap();
        Self { w, session, corr: 0 }
    }

    fn say(&mut self, entity: &EntityId, command: &Command, authorization: u8) -> Response {
        self.corr += 1;
        let corr = CorrId::from([self.corr; 24]);
        let (entity, command) = (entity.clone(), command.clone());
        let asked = Asked { corr: corr.clone(), entity: entity.clone(), authorization, command };
        self.w.router.commands(self.session, vec![asked], self.w.now);
        let told = self.w.router.next_told(self.session).unwrap();
        let [Told { corr: of, entity: told_of, response }] = told.try_into().unwrap();
        assert_eq!((of, told_of), (corr, entity));
        self.w.drive();
        response
    }

    fn tell(&mut self, device: &mut Device, asked: Option<Ask>) {
        let asked = asked.unwrap();
        let answer = self.say(&asked.entity, &asked.command, 64);
        device.answered(&asked, answer).unwrap();
    }

    fn deliver(&mut self, device: &mut Device) -> Pushed {
        let request = self.w.answer_push(200, "");
        let PushBody::Bare(push) = request.body else { panic!("a sealed push") };
        device.read(push)
    }
}

#[test]
fn a_device_registers_subscribes_and_is_notified() {
    let mut b = Bare::new(config());
    let mut phone = b.w.new_phone("phone");
    let asked = Some(phone.register());
    b.tell(&mut phone, asked);
    assert_eq!(b.w.pushes[0].body.size(), 4233);
    assert_eq!(b.deliver(&mut phone), Pushed::Code);
    let asked = phone.verify();
    b.tell(&mut phone, asked);
    let q = queue(1, 1);
    let key: AuthSecretKey = sxlab_protocol::crypto::keys::Ed25519Secret::from_seed([1; 32]).into();
    phone.watch(q.clone(), key, secret_of(&q));
    let asked = phone.subscribe(&q);
    b.tell(&mut phone, asked);
    let no = b.w.serve();
    b.w.notify(no, &q, 4);
    assert!(matches!(&b.w.pushes[0].body, PushBody::Bare(Push::Messages(list)) if list.len() == 1));
    assert_eq!(b.w.pushes[0].body.size(), 4310);
    assert_eq!(noticed(b.deliver(&mut phone)), [(1, 4)]);
}

#[test]
fn refusals_are_the_same() {
    let mut b = Bare::new(config());
    let none = EntityId::EMPTY;
    assert_eq!(b.say(&none, &Command::Ping, 0), Response::Pong);
    let has_auth = Response::Err(SmpError::Command(CommandError::HasAuth));
    assert_eq!(b.say(&none, &Command::Ping, 64), has_auth);
    assert_eq!(b.say(&[1; 24].into(), &Command::TChk, 64), Response::Err(SmpError::Auth));
    let no_auth = Response::Err(SmpError::Command(CommandError::NoAuth));
    assert_eq!(b.say(&none, &Command::TChk, 64), no_auth);
}

/// The sizes that are observed are those of the transmissions with bytes.
#[test]
fn the_same_is_seen() {
    let config = RouterConfig { observe: true, ..config() };
    let sizes = |sights: Vec<Sight>| {
        let seen = sights.into_iter().filter_map(|sight| match sight {
            Sight::Received(seen) | Sight::Sent(seen) => {
                Some((seen.kind, seen.entity.as_bytes().len(), seen.size))
            }
            _ => None,
        });
        seen.collect::<Vec<_>>()
    };
    let q = queue(1, 1);
    let mut w = World::with(config.clone());
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    w.subscribe(who, &mut phone, &q);
    w.status(who, &mut phone);
    let with_bytes = sizes(w.router.sights());
    let mut b = Bare::new(config);
    let mut phone = b.w.new_phone("phone");
    let asked = Some(phone.register());
    b.tell(&mut phone, asked);
    b.deliver(&mut phone);
    let asked = phone.verify();
    b.tell(&mut phone, asked);
    let key: AuthSecretKey = sxlab_protocol::crypto::keys::Ed25519Secret::from_seed([1; 32]).into();
    phone.watch(q.clone(), key, secret_of(&q));
    let asked = phone.subscribe(&q);
    b.tell(&mut phone, asked);
    let asked = phone.check();
    b.tell(&mut phone, asked);
    assert_eq!(sizes(b.w.router.sights()), with_bytes);
}

/// A block takes as many answers as with bytes.
#[test]
fn answers_share_blocks() {
    let mut b = Bare::new(config());
    let ping = |number: u8| Asked {
        corr: CorrId::from([number; 24]),
        entity: EntityId::EMPTY,
        authorization: 0,
        command: Command::Ping,
    };
    b.w.router.commands(b.session, (0..20).map(ping).collect(), b.w.now);
    let mut blocks = Vec::new();
    while let Some(told) = b.w.router.next_told(b.session) {
        blocks.push(told.len());
    }
    assert_eq!(blocks, [6, 14]);
}

/// A notification router and an SMP router, both without cryptography.
#[test]
fn queues_of_a_bare_smp_router_are_subscribed_to_in_its_blocks_and_their_messages_pushed() {
    use sxlab_protocol::ntf::subscriber::BareSubscriber;
    use sxlab_protocol::smp;
    use sxlab_protocol::smp::command::{Command as Smp, MsgFlags, NewQueue, NotifierKeys};
    let mut b = Bare::new(config());
    let mut phone = b.w.new_phone("phone");
    let asked = Some(phone.register());
    b.tell(&mut phone, asked);
    b.deliver(&mut phone);
    let asked = phone.verify();
    b.tell(&mut phone, asked);
    let rng = rand_chacha::ChaCha20Rng::from_rng(&mut b.w.rng);
    let credentials = crate::certificates::credentials(2);
    let store = smp::router::QueueStore::default();
    let mut other =
        smp::router::Router::new(Default::default(), credentials, store, rng).without_cryptography();
    let user = other.accept_semantic("user.test", false, b.w.now).unwrap();
    let key: AuthSecretKey = sxlab_protocol::crypto::keys::Ed25519Secret::from_seed([1; 32]).into();
    let dh = sxlab_protocol::crypto::keys::X25519Public::from_bytes([1; 32]);
    let mut corrs = 0u8;
    let mut ask = |other: &mut smp::router::Router, entity: &EntityId, command: Smp| {
        corrs = corrs.wrapping_add(1);
        let (corr, entity) = (CorrId::from([corrs; 24]), entity.clone());
        let asked = smp::semantic::Asked { corr, entity, authorization: 64, command };
        other.commands(user, vec![asked], start_of_time());
        let told = other.next_told(user).unwrap();
        told.into_iter().next().unwrap().response
    };
    let mut senders = Vec::new();
    for _ in 0..200 {
        let new = Smp::New(Box::new(NewQueue::messaging(key.public(), dh)));
        let smp::response::Response::Ids(ids) = ask(&mut other, &EntityId::EMPTY, new) else {
            panic!("no queue")
        };
        let keys = Smp::NKey(NotifierKeys { auth_key: key.public(), dh_key: dh });
        let smp::response::Response::Nid(nid) = ask(&mut other, &ids.recipient, keys) else {
            panic!("no notifier")
        };
        let q = NotifierQueue { router: smp_router(1), notifier: nid.id };
        // What bare SMP routers encrypt with.
        phone.watch(q.clone(), key.clone(), SharedSecret::from_bytes([1; 32]));
        let asked = phone.subscribe(&q);
        b.tell(&mut phone, asked);
        senders.push(ids.sender);
    }
    let (mut link, mut session, mut blocks) = (BareSubscriber::default(), None, Vec::new());
    let mut drive = |b: &mut Bare, other: &mut smp::router::Router, now: u64| loop {
        let mut moved = false;
        while let Some((no, asked)) = b.w.asked.pop_front() {
            moved = true;
            if let SmpAsk::Connect { .. } = asked {
                session = other.accept_semantic("ntf.test", false, now);
                b.w.smp(no, SmpTold::Connected { service: None });
            }
            link.ask(asked);
        }
        let Some(session) = session else { return blocks.clone() };
        while let Some(block) = link.next_asked() {
            blocks.push(block.len());
            other.commands(session, block, now);
        }
        while let Some(block) = other.next_told(session) {
            moved = true;
            for told in link.told(block) {
                b.w.smp(SmpNo(1), told);
            }
        }
        if !moved {
            return blocks.clone();
        }
    };
    let now = start_of_time();
    // 120 bytes each, and 2 for the length: the remainder goes first, as with bytes.
    assert_eq!(drive(&mut b, &mut other, now), [66, 134]);
    let send =
        Smp::Send { flags: MsgFlags { notification: true }, body: smp::semantic::stand_in(16_000, b"hi") };
    ask(&mut other, &senders[7], send);
    other.timeout(now + 2 * crate::SECOND);
    drive(&mut b, &mut other, now);
    let Pushed::Messages(list) = b.deliver(&mut phone) else { panic!("no messages") };
    assert!(list.len() == 1 && list[0].message.is_ok());
}
