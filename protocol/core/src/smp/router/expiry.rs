//! What goes by itself: messages and notifications that waited too long, and clients that say nothing.

use super::sessions::Hold;
use super::{Mutant, Router};

impl Router {
    /// Begins the regular checks, if they have not begun.
    pub(super) fn schedule_checks(&mut self, now: u64) {
        self.expiry_due.get_or_insert(now.saturating_add(self.config.expiry_interval));
        self.inactive_due.get_or_insert(now.saturating_add(self.config.inactive_interval));
    }

    /// Makes the checks that are due.
    pub(super) fn checks(&mut self, now: u64) {
        if self.expiry_due.is_some_and(|due| due <= now) {
            self.expiry_due = Some(now.saturating_add(self.config.expiry_interval));
            self.expire(now);
        }
        if self.inactive_due.is_some_and(|due| due <= now) {
            self.inactive_due = Some(now.saturating_add(self.config.inactive_interval));
            self.close_inactive(now);
        }
    }

    /// Removes what expired from every queue, delivered messages that are not acknowledged among it (SN-15, SN-20).
    fn expire(&mut self, now: u64) {
        self.store.expire_all(self.config.message_ttl, self.config.notification_ttl, now);
    }

    /// Closes the clients without subscriptions that were not heard for too long (TR-38). Clients in their handshake
    /// have a limit of their own.
    fn close_inactive(&mut self, now: u64) {
        let ttl = self.config.inactive_ttl;
        let inactive = self.sessions.iter().filter(|(session, peer)| {
            peer.heard.saturating_add(ttl) < now
                && peer.open().is_some_and(|open| {
                    let subscribed = open.holds.values().any(|hold| matches!(hold, Hold::Subscribed(_)));
                    let service = open.service.as_ref().and_then(|service| self.services.get(&service.id));
                    let subscribed = subscribed && !self.is(Mutant::ClosesIdleSubscribed);
                    !subscribed && open.notifiers.is_empty() && service != Some(session)
                })
        });
        let mut inactive: Vec<_> = inactive.map(|(session, _)| *session).collect();
        inactive.sort_unstable();
        for session in inactive {
            self.close(session);
        }
    }
}
