//! Notification routers.

pub(super) mod pushes;
pub(super) mod sessions;
pub(super) mod subscriptions;
pub(super) mod tokens;
