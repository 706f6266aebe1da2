//! Random devices, providers, SMP routers and restarts, against a simple model: states move as the model says, what is reported as
//! changed is what is there, and no push says more than six queues.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::ntf::device::Device;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::{InvalidReason, SubscriptionStatus, TokenStatus};

use crate::durable::{all, apply};
use crate::world::*;
use crate::{MINUTE, SECOND};

/// A device as the model knows it.
struct Owner {
    device: Device,
    who: Who,
    token: Option<TokenStatus>,
    /// By notifier, at SMP router 1.
    queues: BTreeMap<u8, SubscriptionStatus>,
}

struct Model {
    w: World,
    owners: Vec<Owner>,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    rng: ChaCha20Rng,
    /// What the SMP router was asked and has not answered, and whether there is a connection.
    asked: Vec<u8>,
    connected: Option<SmpNo>,
}

impl Model {
    fn draw(&mut self, below: u32) -> u32 {
        self.rng.next_u32() % below
    }

    /// What was asked of the SMP router.
    fn take_asked(&mut self) {
        while let Some((no, asked)) = self.w.asked.pop_front() {
            match asked {
                SmpAsk::Connect { .. } => {
                    self.connected = Some(no);
                    self.asked.clear();
                    self.w.smp(no, SmpTold::Connected { service: None });
                }
                SmpAsk::Subscribe(queues) => {
                    self.asked.extend(queues.iter().map(|queue| queue.notifier.as_bytes()[0]));
                }
                SmpAsk::SubscribeService(_) => panic!("no service"),
                SmpAsk::Disconnect => {
                    self.connected = None;
                    self.asked.clear();
                }
            }
        }
    }

    fn of(&mut self, owner: usize) -> (&mut World, &mut Owner) {
        (&mut self.w, &mut self.owners[owner])
    }

    fn owner_of(&mut self, notifier: u8) -> Option<&mut SubscriptionStatus> {
        self.owners.iter_mut().find_map(|owner| owner.queues.get_mut(&notifier))
    }

    fn command(&mut self) {
        let owner = self.draw(3) as usize;
        let notifier = 1 + self.draw(12) as u8;
        let kind = self.draw(9);
        let taken = self.owner_of(notifier).is_some();
        let (w, o) = self.of(owner);
        let subscribes = o.token.is_some_and(TokenStatus::subscribes);
        match kind {
            0 | 1 => {
                let asked = Some(o.device.register());
                w.tell(o.who, &mut o.device, asked).unwrap();
                o.token = match o.token {
                    Some(status) if status.takes_code() => Some(status),
                    _ => Some(TokenStatus::Registered),
                };
            }
            2 | 3 => {
                let Some(asked) = o.device.verify() else { return };
                // A push of before TRPL may have brought an old code since.
                let id = o.device.id().unwrap();
                let code = w.router.store().token(id).map(|token| token.code.clone()).unwrap();
                let right =
                    o.token.is_some_and(TokenStatus::takes_code) && asked.command == Command::TVfy(code);
                let answer = w.tell(o.who, &mut o.device, Some(asked));
                assert_eq!(answer.is_ok(), right);
                if right {
                    o.token = Some(TokenStatus::Active);
                }
            }
            4 => {
                let Some(asked) = o.device.replace(token(&format!("{owner}"))) else { return };
                w.tell(o.who, &mut o.device, Some(asked)).unwrap();
                o.token = Some(TokenStatus::Registered);
            }
            5 | 6 if !taken => {
                if o.token.is_none() {
                    return;
                }
                let q = queue(1, notifier);
                if subscribes {
                    w.subscribe(o.who, &mut o.device, &q);
                    o.queues.insert(notifier, SubscriptionStatus::New);
                }
            }
            7 if o.queues.contains_key(&notifier) && subscribes => {
                let asked = o.device.unsubscribe(&queue(1, notifier));
                w.tell(o.who, &mut o.device, asked).unwrap();
                o.queues.remove(&notifier);
            }
            8 if notifier == 1 => {
                let Some(asked) = o.device.delete() else { return };
                w.tell(o.who, &mut o.device, Some(asked)).unwrap();
                (o.token, o.queues) = (None, BTreeMap::new());
            }
            _ => {}
        }
    }

    fn provider(&mut self) {
        let Some(request) = self.w.pushes.front().cloned() else { return };
        let owner = String::from_utf8(request.device.name.as_bytes().to_vec()).unwrap().parse().unwrap();
        let answers = [(200, ""), (200, ""), (200, ""), (410, "Unregistered"), (503, ""), (429, "")];
        let (status, reason) = answers[self.draw(6) as usize];
        let (w, o) = self.of(owner);
        let opened = o.device.pushed(sealed(&request).as_bytes());
        if let Ok(sxlab_protocol::ntf::device::Pushed::Messages(list)) = &opened {
            assert!((1..=6).contains(&list.len()));
            let queues: std::collections::BTreeSet<_> = list.iter().map(|notice| &notice.queue).collect();
            assert_eq!(queues.len(), list.len());
        }
        let verifies = request.background;
        w.answer_push(status, reason);
        // A push of a token that was deleted since then is nobody's.
        let current = opened.is_ok() || o.token.is_none();
        match (status, o.token) {
            (200, Some(TokenStatus::Active)) | (_, None) => {}
            (200, Some(_)) if verifies && current => o.token = Some(TokenStatus::Confirmed),
            (410, Some(_)) if current => {
                o.token = Some(TokenStatus::Invalid(Some(InvalidReason::Unregistered)));
            }
            _ => {}
        }
    }

    fn smp_router(&mut self) {
        self.take_asked();
        let Some(no) = self.connected else { return };
        let kind = self.draw(8);
        let notifier = 1 + self.draw(12) as u8;
        match kind {
            0..=2 => {
                for asked in std::mem::take(&mut self.asked) {
                    let refused = self.draw(6) == 0;
                    let answer = if refused {
                        Answer::Refused(sxlab_protocol::smp::error::SmpError::Auth)
                    } else {
                        Answer::Subscribed(None)
                    };
                    self.w.answered(no, &[asked; 24].into(), answer);
                    if let Some(status) = self.owner_of(asked) {
                        *status = if refused { SubscriptionStatus::Auth } else { SubscriptionStatus::Active };
                    }
                }
            }
            3 => {
                self.w.smp(no, SmpTold::Lost);
                for status in self.owners.iter_mut().flat_map(|owner| owner.queues.values_mut()) {
                    if *status == SubscriptionStatus::Active {
                        *status = SubscriptionStatus::Inactive;
                    }
                }
                self.connected = None;
            }
            4 if !self.asked.contains(&notifier) => {
                self.w.smp(no, SmpTold::End([notifier; 24].into()));
                if let Some(status) = self.owner_of(notifier) {
                    *status = SubscriptionStatus::End;
                }
            }
            _ => {
                let active = self.owners.iter().any(|owner| {
                    owner.queues.contains_key(&notifier) && owner.token == Some(TokenStatus::Active)
                });
                let before = self.w.pushes.len();
                self.w.notify(no, &queue(1, notifier), notifier);
                assert_eq!(self.w.pushes.len() - before, usize::from(active));
            }
        }
        self.take_asked();
    }

    fn restart(&mut self) {
        let config = config();
        let w = std::mem::replace(&mut self.w, World::new());
        self.w = w.restarted(config);
        // What the router told of its own is as nothing to a new one.
        self.kept = all(&self.w);
        for owner in &mut self.owners {
            owner.who = self.w.client(3);
            for status in owner.queues.values_mut().filter(|status| status.subscribes()) {
                *status = SubscriptionStatus::Pending;
            }
        }
        self.connected = None;
        self.asked.clear();
        self.take_asked();
    }

    fn check(&mut self) {
        apply(&mut self.kept, self.w.router.changes());
        assert_eq!(self.kept, all(&self.w));
        let queues: usize = self.owners.iter().map(|owner| owner.queues.len()).sum();
        assert_eq!(self.w.router.store().subscriptions(), queues);
        let tokens = self.owners.iter().filter(|owner| owner.token.is_some()).count();
        assert_eq!(self.w.router.store().tokens(), tokens);
        for at in 0..self.owners.len() {
            let (w, o) = self.of(at);
            let Some(expected) = o.token else { continue };
            let id = o.device.id().unwrap().clone();
            assert_eq!(w.router.store().token(&id).unwrap().status, expected, "device {at}");
            for (notifier, expected) in &o.queues {
                let id = w.router.store().subscribed(&smp_router(1), &[*notifier; 24].into()).unwrap();
                let found = &w.router.store().subscription(id).unwrap().status;
                assert_eq!(found, expected, "queue {notifier} of device {at}");
            }
        }
    }
}

#[test]
fn random_runs_are_as_the_model_says() {
    for seed in 0..60 {
        let mut w = World::new();
        let owners = (0..3).map(|at| {
            let (who, device) = (w.client(3), w.new_phone(&format!("{at}")));
            Owner { device, who, token: None, queues: BTreeMap::new() }
        });
        let owners = owners.collect();
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let (kept, asked, connected) = (BTreeMap::new(), Vec::new(), None);
        let mut model = Model { w, owners, kept, rng, asked, connected };
        for _ in 0..120 {
            match model.draw(20) {
                0..=9 => model.command(),
                10..=13 => model.provider(),
                14..=17 => model.smp_router(),
                18 => {
                    let time = u64::from(model.draw(20)) * SECOND;
                    assert!(time < MINUTE);
                    // What was asked is answered in time.
                    model.take_asked();
                    if model.asked.is_empty() {
                        model.w.pass(time);
                    }
                }
                _ => {
                    if model.draw(4) == 0 {
                        model.restart();
                    }
                }
            }
            model.take_asked();
            model.check();
        }
    }
}
