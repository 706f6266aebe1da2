//! A router that stands in for Apple's: it knows devices, hands pushes to those that are online and keeps few for the rest.
//!
//! Apple publishes that of the notifications for a device that is offline only the newest of an app is kept, that pushes in the
//! background are not promised and are slowed down when there are many, and little else: those are the defaults or the knobs here.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::request::{Kind, Request};
use super::{BODY_LIMIT, Reason};
use crate::tables::Table;

/// How the stand-in behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct StandInConfig {
    /// The app that pushes are for.
    pub topic: String,
    /// Bytes that a body has at most.
    pub body_limit: usize,
    /// Devices that are known at most; more tokens are not taken.
    pub devices: usize,
    /// Pushes that are kept for a device that is offline: the newest so many.
    pub kept: usize,
    /// How long a push is kept, in nanoseconds.
    pub retention: u64,
    /// The share of pushes to devices that are online that get lost on the way, from 0 to 1.
    pub lost: f64,
    /// The least time between two pushes in the background that reach a device, in nanoseconds; those between get lost.
    pub background_interval: u64,
    /// What decides which pushes get lost.
    pub seed: u64,
}

impl Default for StandInConfig {
    /// Nothing is lost on the way to a device that is online.
    fn default() -> Self {
        Self {
            topic: "chat.simplex.app".to_owned(),
            body_limit: BODY_LIMIT,
            devices: 1 << 20,
            kept: 1,
            retention: 30 * 24 * 3600 * 1_000_000_000,
            lost: 0.0,
            background_interval: 0,
            seed: 0,
        }
    }
}

/// A push that reaches its device now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<B> {
    /// The device token.
    pub device: Vec<u8>,
    /// Whether it is shown.
    pub kind: Kind,
    /// What it says.
    pub body: B,
}

/// Why a push does not reach its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// The device was offline, and a newer push took its place.
    Replaced,
    /// It was kept for too long.
    Expired,
    /// On the way.
    OnTheWay,
    /// In the background, too soon after another.
    Throttled,
    /// The device is not registered any more.
    Unregistered,
}

/// What became of pushes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests that were taken.
    pub taken: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Pushes that were handed to their devices.
    pub delivered: u64,
    /// Pushes that were replaced while their device was offline,
    pub replaced: u64,
    /// that expired,
    pub expired: u64,
    /// that got lost on the way,
    pub on_the_way: u64,
    /// that were too many,
    pub throttled: u64,
    /// or whose device went.
    pub unregistered: u64,
}

/// The stand-in; bodies are of any kind, as bytes and values take the same ways.
#[derive(Debug)]
pub struct StandIn<B> {
    config: StandInConfig,
    devices: Table<Vec<u8>, Device<B>>,
    deliveries: VecDeque<Delivery<B>>,
    /// Whether requests are answered with an error, as in an outage.
    refuses: Option<Reason>,
    statistics: Statistics,
}

#[derive(Debug)]
struct Device<B> {
    number: u64,
    online: bool,
    /// When it was unregistered, in nanoseconds since 1970.
    gone: Option<u64>,
    /// The oldest first, each with the time after which it is of no use.
    kept: VecDeque<(u64, Kind, B)>,
    /// Pushes so far.
    pushes: u64,
    /// When the last one in the background reached it.
    woken: Option<u64>,
}

const SECOND: u64 = 1_000_000_000;

impl<B> StandIn<B> {
    /// A stand-in without devices.
    #[must_use]
    pub fn new(config: StandInConfig) -> Self {
        let (devices, deliveries) = (Table::default(), VecDeque::new());
        Self { config, devices, deliveries, refuses: None, statistics: Statistics::default() }
    }

    /// What became of pushes so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Has every request refused from now on for this reason, or none.
    pub fn refuse(&mut self, reason: Option<Reason>) {
        self.refuses = reason;
    }

    /// The app of a device registers, which is offline until it connects. `false` if there are too many.
    pub fn register(&mut self, token: &[u8]) -> bool {
        if let Some(device) = self.devices.get_mut(token) {
            device.gone = None;
            return true;
        }
        let number = self.devices.len() as u64;
        if self.devices.len() >= self.config.devices {
            return false;
        }
        let kept = VecDeque::new();
        let device = Device { number, online: false, gone: None, kept, pushes: 0, woken: None };
        self.devices.insert(token.to_vec(), device);
        true
    }

    /// The app is gone from a device. Times are nanoseconds since 1970.
    pub fn unregister(&mut self, token: &[u8], now: u64) {
        if let Some(device) = self.devices.get_mut(token) {
            device.gone.get_or_insert(now);
            for _ in std::mem::take(&mut device.kept) {
                self.statistics.lose(Lost::Unregistered);
            }
        }
    }

    /// A device has a connection, and gets what was kept for it.
    pub fn connected(&mut self, token: &[u8], now: u64) {
        let Some(device) = self.devices.get_mut(token).filter(|device| device.gone.is_none()) else { return };
        device.online = true;
        for (until, kind, body) in std::mem::take(&mut device.kept) {
            if until < now {
                self.statistics.lose(Lost::Expired);
            } else {
                self.hand_over(token, kind, body, now);
            }
        }
    }

    /// A device has no connection any more.
    pub fn disconnected(&mut self, token: &[u8]) {
        if let Some(device) = self.devices.get_mut(token) {
            device.online = false;
        }
    }

    /// What reaches a device now.
    pub fn poll(&mut self) -> Option<Delivery<B>> {
        self.deliveries.pop_front()
    }

    /// Takes a push of `size` bytes.
    ///
    /// # Errors
    /// Why not, and when the device went, in milliseconds since 1970, if that is why.
    pub fn push(
        &mut self,
        request: &Request,
        body: B,
        size: usize,
        now: u64,
    ) -> Result<(), (Reason, Option<u64>)> {
        let taken = self.take(request, body, size, now);
        match &taken {
            Ok(()) => self.statistics.taken += 1,
            Err(_) => self.statistics.refused += 1,
        }
        taken
    }

    fn take(
        &mut self,
        request: &Request,
        body: B,
        size: usize,
        now: u64,
    ) -> Result<(), (Reason, Option<u64>)> {
        let refuse = |reason| Err((reason, None));
        if let Some(reason) = self.refuses {
            return refuse(reason);
        }
        if size == 0 {
            return refuse(Reason::PayloadEmpty);
        }
        if size > self.config.body_limit {
            return refuse(Reason::PayloadTooLarge);
        }
        if request.topic != self.config.topic {
            return refuse(Reason::TopicDisallowed);
        }
        let Some(device) = self.devices.get_mut(&request.device) else {
            return refuse(Reason::BadDeviceToken);
        };
        if let Some(since) = device.gone {
            return Err((Reason::Unregistered, Some(since / 1_000_000)));
        }
        if device.online {
            self.hand_over(&request.device, request.kind, body, now);
            return Ok(());
        }
        let longest = now.saturating_add(self.config.retention);
        let until = request.expiration.map_or(longest, |until| until.saturating_mul(SECOND).min(longest));
        device.kept.push_back((until, request.kind, body));
        while device.kept.len() > self.config.kept {
            device.kept.pop_front();
            self.statistics.lose(Lost::Replaced);
        }
        Ok(())
    }

    /// Hands a push to a device that is online, unless it gets lost.
    fn hand_over(&mut self, token: &[u8], kind: Kind, body: B, now: u64) {
        let Some(device) = self.devices.get_mut(token) else { return };
        device.pushes += 1;
        // A draw of its own for each push of each device: what is pushed to others changes nothing.
        let draw =
            ChaCha8Rng::seed_from_u64(self.config.seed ^ device.number << 32 ^ device.pushes).next_u64();
        if (draw as f64) < self.config.lost * (u64::MAX as f64) {
            return self.statistics.lose(Lost::OnTheWay);
        }
        if kind == Kind::Background {
            let next = device.woken.map(|woken| woken.saturating_add(self.config.background_interval));
            if next.is_some_and(|next| now < next) {
                return self.statistics.lose(Lost::Throttled);
            }
            device.woken = Some(now);
        }
        self.statistics.delivered += 1;
        self.deliveries.push_back(Delivery { device: token.to_vec(), kind, body });
    }
}

impl Statistics {
    fn lose(&mut self, lost: Lost) {
        *match lost {
            Lost::Replaced => &mut self.replaced,
            Lost::Expired => &mut self.expired,
            Lost::OnTheWay => &mut self.on_the_way,
            Lost::Throttled => &mut self.throttled,
            Lost::Unregistered => &mut self.unregistered,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &[u8] = b"phone";

    fn alert() -> Request {
        Request::new(PHONE, Kind::Alert, "chat.simplex.app")
    }

    /// A stand-in with one device that is online, and what reached devices since.
    fn with(config: StandInConfig) -> StandIn<u32> {
        let mut stand_in = StandIn::new(config);
        assert!(stand_in.register(PHONE));
        stand_in.connected(PHONE, 0);
        stand_in
    }

    fn reached(stand_in: &mut StandIn<u32>) -> Vec<u32> {
        std::iter::from_fn(|| stand_in.poll()).map(|delivery| delivery.body).collect()
    }

    #[test]
    fn a_device_that_is_online_gets_every_push() {
        let mut stand_in = with(StandInConfig::default());
        for body in 0..3 {
            stand_in.push(&alert(), body, 10, 0).unwrap();
        }
        assert_eq!(reached(&mut stand_in), [0, 1, 2]);
    }

    #[test]
    fn of_what_a_device_misses_the_last_is_kept() {
        let mut stand_in = with(StandInConfig::default());
        stand_in.disconnected(PHONE);
        for body in 0..5 {
            stand_in.push(&alert(), body, 10, 0).unwrap();
        }
        assert_eq!(reached(&mut stand_in), [0; 0]);
        stand_in.connected(PHONE, SECOND);
        assert_eq!(reached(&mut stand_in), [4]);
        stand_in.disconnected(PHONE);
        stand_in.connected(PHONE, 2 * SECOND);
        assert_eq!(reached(&mut stand_in), [0; 0], "once");
        assert_eq!(
            stand_in.statistics(),
            Statistics { taken: 5, delivered: 1, replaced: 4, ..Statistics::default() }
        );
    }

    #[test]
    fn a_push_is_kept_until_it_expires() {
        let mut stand_in = with(StandInConfig { retention: 100 * SECOND, ..StandInConfig::default() });
        for (expiration, later, gets) in [
            (None, 100, vec![1]),
            (None, 101, vec![]),
            (Some(20), 20, vec![1]),
            (Some(0), 1, vec![]),
            (Some(500), 101, vec![]),
        ] {
            stand_in.disconnected(PHONE);
            stand_in.push(&Request { expiration, ..alert() }, 1, 10, 0).unwrap();
            stand_in.connected(PHONE, later * SECOND);
            assert_eq!(reached(&mut stand_in), gets, "{expiration:?} {later}");
        }
    }

    #[test]
    fn pushes_get_lost_on_the_way_as_often_as_is_said() {
        let mut stand_in = with(StandInConfig { lost: 0.17, ..StandInConfig::default() });
        for body in 0..10_000 {
            stand_in.push(&alert(), body, 10, 0).unwrap();
        }
        // Four standard errors of 37.6.
        let lost = stand_in.statistics().on_the_way as f64;
        assert!((lost - 1700.0).abs() < 150.0, "{lost}");
        assert_eq!(reached(&mut stand_in).len() as u64, stand_in.statistics().delivered);
    }

    #[test]
    fn too_many_pushes_in_the_background_do_not_reach_a_device() {
        let config = StandInConfig { background_interval: 1200 * SECOND, ..StandInConfig::default() };
        let mut stand_in = with(config);
        let background = Request::new(PHONE, Kind::Background, "chat.simplex.app");
        for (body, at) in [(0, 0), (1, 600), (2, 1200), (3, 2399)] {
            stand_in.push(&background, body, 10, at * SECOND).unwrap();
        }
        stand_in.push(&alert(), 4, 10, 2399 * SECOND).unwrap();
        assert_eq!(reached(&mut stand_in), [0, 2, 4]);
        assert_eq!(stand_in.statistics().throttled, 2);
    }

    #[test]
    fn what_is_not_taken_has_its_reason() {
        let mut stand_in = with(StandInConfig { devices: 1, ..StandInConfig::default() });
        let reason = |stand_in: &mut StandIn<u32>, request: &Request, size| {
            stand_in
                .push(request, 0, size, 7_000_000)
                .map_err(|(reason, since)| (reason.status(), reason.name(), since))
        };
        assert_eq!(reason(&mut stand_in, &alert(), 4096), Ok(()));
        assert_eq!(reason(&mut stand_in, &alert(), 4097), Err((413, "PayloadTooLarge", None)));
        assert_eq!(reason(&mut stand_in, &alert(), 0), Err((400, "PayloadEmpty", None)));
        let other = Request { topic: "other".to_owned(), ..alert() };
        assert_eq!(reason(&mut stand_in, &other, 9), Err((400, "TopicDisallowed", None)));
        let unknown = Request { device: b"tablet".to_vec(), ..alert() };
        assert_eq!(reason(&mut stand_in, &unknown, 9), Err((400, "BadDeviceToken", None)));
        assert!(!stand_in.register(b"tablet"), "one device is the most");
        stand_in.refuse(Some(Reason::ServiceUnavailable));
        assert_eq!(reason(&mut stand_in, &alert(), 9), Err((503, "ServiceUnavailable", None)));
        stand_in.refuse(None);
        stand_in.unregister(PHONE, 5_000_000);
        assert_eq!(reason(&mut stand_in, &alert(), 9), Err((410, "Unregistered", Some(5))));
        assert!(stand_in.register(PHONE));
        assert_eq!(reason(&mut stand_in, &alert(), 9), Ok(()));
    }
}
