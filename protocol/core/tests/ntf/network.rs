//! A notification router with an SMP router, both ours: what the one asks the other answers.

use sxlab_protocol::crypto::hash::md5;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::command::NotifierQueue;
use sxlab_protocol::ntf::device::{Answered, Device, Pushed};
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::SubscriptionStatus;
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::ServiceRole;
use sxlab_protocol::wire::EntityId;

use crate::place::{PORT, Place};
use crate::world::*;
use crate::{SECOND, certificates};

struct Network {
    w: World,
    place: Place,
}

/// A queue with a notifier.
struct Notifying {
    queue: NotifierQueue,
    key: AuthSecretKey,
    secret: SharedSecret,
    sender: EntityId,
    recipient: EntityId,
    owner: AuthSecretKey,
}

impl Network {
    fn new(config: RouterConfig) -> Self {
        let mut w = World::with(config);
        let place = Place::new(&mut w.rng);
        Self { w, place }
    }

    /// Time passes at both.
    fn pass(&mut self, time: u64) {
        for _ in 0..time.div_ceil(SECOND) {
            self.w.pass(SECOND);
            loop {
                for (no, asked) in self.w.asked.drain(..) {
                    self.place.ask(no, asked);
                }
                let moved = self.place.pass(&mut self.w.router, self.w.now);
                self.w.drive();
                if !moved && self.w.asked.is_empty() {
                    break;
                }
            }
        }
    }

    /// An SMP client's request and its answer.
    fn ask(&mut self, entity: &EntityId, command: &Command, key: Option<&AuthSecretKey>) -> Response {
        let now = self.w.now;
        let client = self.place.client("user", now);
        let corr = client.request(entity.clone(), command, key).unwrap();
        self.place.drive(now);
        let at = self.place.answers.iter().position(|(of, _)| *of == corr).expect("no answer");
        self.place.answers.remove(at).1
    }

    fn queue(&mut self) -> Notifying {
        let rng = &mut self.w.rng;
        let (owner, dh) = (AuthSecretKey::generate(KeyType::Ed25519, rng), X25519Secret::generate(rng));
        let (key, own) = (AuthSecretKey::generate(KeyType::X25519, rng), X25519Secret::generate(rng));
        let new = Command::New(Box::new(NewQueue::messaging(owner.public(), dh.public())));
        let Response::Ids(ids) = self.ask(&EntityId::EMPTY, &new, Some(&owner)) else { panic!("no queue") };
        let keys = NotifierKeys { auth_key: key.public(), dh_key: own.public() };
        let answer = self.ask(&ids.recipient, &Command::NKey(keys), Some(&owner));
        let Response::Nid(nid) = answer else { panic!("no notifier") };
        let mut router = smp_router(1);
        router.port = Some(PORT);
        let queue = NotifierQueue { router, notifier: nid.id };
        let secret = own.dh(&nid.dh_key);
        Notifying { queue, key, secret, sender: ids.sender, recipient: ids.recipient, owner }
    }

    /// A device that has subscribed to so many queues.
    fn phone(&mut self, queues: usize) -> (Device, Vec<Notifying>) {
        let who = self.w.client(3);
        let mut phone = self.w.phone(who, "phone");
        let queues: Vec<_> = (0..queues).map(|_| self.queue()).collect();
        for Notifying { queue, key, secret, .. } in &queues {
            phone.watch(queue.clone(), key.clone(), secret.clone());
            let asked = phone.subscribe(queue);
            assert_eq!(self.w.tell(who, &mut phone, asked), Ok(Answered::Subscribed(queue.clone())));
        }
        self.pass(SECOND);
        (phone, queues)
    }

    fn send(&mut self, queue: &Notifying) {
        let flags = MsgFlags { notification: true };
        let send = Command::Send { flags, body: b"hello".to_vec() };
        assert_eq!(self.ask(&queue.sender, &send, None), Response::Ok);
    }

    fn statuses(&self, queues: &[Notifying]) -> Vec<SubscriptionStatus> {
        let store = self.w.router.store();
        let of = |queue: &NotifierQueue| store.subscribed(&queue.router, &queue.notifier).unwrap();
        queues.iter().map(|queue| store.subscription(of(&queue.queue)).unwrap().status.clone()).collect()
    }

    /// The notification router restarts; it was away for so long.
    fn restart(&mut self, config: RouterConfig, away: u64) {
        let mut w = World::new();
        std::mem::swap(&mut w, &mut self.w);
        let now = w.now + away;
        w.now = now;
        self.w = w.restarted(config);
        self.pass(2 * SECOND);
    }
}

/// How many queues each push tells of; every one of them is readable.
fn lists(w: &mut World, phone: &mut Device) -> Vec<usize> {
    let mut lists = Vec::new();
    while !w.pushes.is_empty() {
        let Pushed::Messages(list) = w.deliver(phone) else { panic!("no messages") };
        assert!(list.iter().all(|notice| notice.message.is_ok()));
        lists.push(list.len());
    }
    lists
}

#[test]
fn messages_are_pushed() {
    let mut n = Network::new(config());
    let (mut phone, queues) = n.phone(3);
    assert!(n.statuses(&queues).iter().all(|status| *status == SubscriptionStatus::Active));
    n.send(&queues[0]);
    n.pass(2 * SECOND);
    assert_eq!(lists(&mut n.w, &mut phone), [1]);
    n.send(&queues[1]);
    n.send(&queues[2]);
    n.pass(2 * SECOND);
    assert_eq!(lists(&mut n.w, &mut phone), [2, 3]);
}

#[test]
fn a_deleted_queue_and_one_whose_notifier_is_deleted_are_deleted() {
    let mut n = Network::new(config());
    let (_, queues) = n.phone(3);
    n.ask(&queues[0].recipient, &Command::Del, Some(&queues[0].owner));
    n.ask(&queues[1].recipient, &Command::NDel, Some(&queues[1].owner));
    n.pass(20 * SECOND);
    let expected = [SubscriptionStatus::Deleted, SubscriptionStatus::Deleted, SubscriptionStatus::Active];
    assert_eq!(n.statuses(&queues), expected);
}

/// SN-20: the SMP router keeps notifications for a day while nobody is subscribed.
#[test]
fn what_came_while_the_notification_router_was_away_is_pushed_when_it_is_back() {
    let mut n = Network::new(config());
    let (mut phone, queues) = n.phone(3);
    let now = n.w.now;
    n.place.cut(&mut n.w.router, now);
    queues.iter().for_each(|queue| n.send(queue));
    n.restart(config(), 3600 * SECOND);
    assert!(n.statuses(&queues).iter().all(|status| *status == SubscriptionStatus::Active));
    assert_eq!(lists(&mut n.w, &mut phone), [1, 2, 3]);
}

/// NT-25: queues become the service's as they are subscribed to; then one command subscribes to all, and both sides count the same.
#[test]
fn as_a_service_one_command_subscribes_to_all_queues() {
    let serving = RouterConfig { service: true, ..config() };
    let mut n = Network::new(serving.clone());
    n.place.service = Some(certificates::service(3, ServiceRole::Notifications, 2));
    let (mut phone, queues) = n.phone(3);
    assert!(n.statuses(&queues).iter().all(|status| *status == SubscriptionStatus::Active));
    let asked = n.w.router.statistics().subscribed;
    let now = n.w.now;
    n.place.cut(&mut n.w.router, now);
    n.place.told.clear();
    n.send(&queues[1]);
    n.restart(serving, SECOND);
    let [SmpTold::Connected { service: Some(service) }, SmpTold::ServiceSubscribed(Ok(subscribed)), ..] =
        &n.place.told[..]
    else {
        panic!("{:?}", n.place.told)
    };
    assert_eq!(n.w.router.store().service(SmpNo(1)), Some(service));
    assert_eq!((subscribed.count, asked, n.w.router.statistics().subscribed), (3, 3, 0));
    let hash = queues.iter().fold([0; 16], |mut hash: [u8; 16], queue| {
        let own = md5(queue.queue.notifier.as_bytes());
        hash.iter_mut().zip(own).for_each(|(byte, other)| *byte ^= other);
        hash
    });
    assert_eq!(subscribed.hash, hash);
    assert_eq!(lists(&mut n.w, &mut phone), [1]);
}
