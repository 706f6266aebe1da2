//! Commands of recipients.

pub(super) mod ack;
pub(super) mod create;
pub(super) mod get;
pub(super) mod keys;
pub(super) mod life;
pub(super) mod state;
pub(super) mod subscribe;
