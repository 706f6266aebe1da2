//! The router at the semantic layer: the same answers, pushes and sizes as with bytes.

use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::ntf::command::Command;
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
