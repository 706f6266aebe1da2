//! The sender's commands, delivery, expiry and quota.

pub(super) mod delivery;
pub(super) mod expiry;
pub(super) mod quota;
pub(super) mod send;
