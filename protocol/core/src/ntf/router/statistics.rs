//! What the router counts.

use std::collections::BTreeMap;

use super::SmpAsk;
use crate::ntf::push::Push;
use crate::ntf::response::Response;
use crate::observe::Kind;

/// Counts since the router began. Its operator may publish them, so nothing here tells one device or queue from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Blocks read.
    pub blocks_in: u64,
    /// Blocks written.
    pub blocks_out: u64,
    /// Devices that were closed because too many blocks waited.
    pub shed: u64,
    /// Commands by kind, those that are refused included.
    pub commands: BTreeMap<Kind, u64>,
    /// Refusals.
    pub errors: u64,
    /// Tokens registered.
    pub tokens_registered: u64,
    /// TVFY with the right code.
    pub tokens_verified: u64,
    /// Tokens replaced.
    pub tokens_replaced: u64,
    /// Tokens deleted.
    pub tokens_deleted: u64,
    /// Subscriptions made.
    pub subscriptions_made: u64,
    /// Subscriptions deleted.
    pub subscriptions_deleted: u64,
    /// Queues that SMP routers were asked for, each time.
    pub subscribed: u64,
    /// Connections to SMP routers that were asked for.
    pub dialed: u64,
    /// Notifications that came from SMP routers.
    pub notified: u64,
    /// Those of them that no active token has a subscription for.
    pub unwanted: u64,
    /// Pushes with codes that providers were asked for, second attempts included; so for the two below.
    pub verifications: u64,
    /// Pushes with notifications.
    pub messages: u64,
    /// Periodic pushes.
    pub checks: u64,
    /// Pushes that were taken.
    pub pushes_accepted: u64,
    /// Pushes that were not, and are not tried again.
    pub pushes_failed: u64,
    /// Pushes that were not asked for because too many wait for their answer.
    pub pushes_dropped: u64,
}

impl Statistics {
    pub(super) fn command(&mut self, kind: Kind) {
        *self.commands.entry(kind).or_default() += 1;
    }

    pub(super) fn response(&mut self, response: &Response) {
        self.errors += u64::from(matches!(response, Response::Err(_)));
    }

    pub(super) fn asked(&mut self, asked: &SmpAsk) {
        match asked {
            SmpAsk::Connect { .. } => self.dialed += 1,
            SmpAsk::Subscribe(queues) => self.subscribed += queues.len() as u64,
            SmpAsk::SubscribeService(_) | SmpAsk::Disconnect => {}
        }
    }

    pub(super) fn pushed(&mut self, push: &Push) {
        match push {
            Push::Verification(_) => self.verifications += 1,
            Push::Messages(_) => self.messages += 1,
            Push::CheckMessages => self.checks += 1,
        }
    }
}
