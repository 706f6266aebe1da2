//! Private routing: the target as a proxy and as a relay.

pub(super) mod forwarding;
pub(super) mod relay;
