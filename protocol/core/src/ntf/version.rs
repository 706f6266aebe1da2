//! What changes at which version: the one table that encoders and decoders ask.

use crate::transport::Framing;
use crate::wire::VersionRange;

/// The least version.
pub const MIN: u16 = 1;
/// The greatest version.
pub const MAX: u16 = 3;

/// What a router offers to peers that negotiated ALPN (NT-1).
pub const ALPN_VERSIONS: VersionRange = match VersionRange::new(MIN, MAX) {
    Ok(range) => range,
    Err(_) => VersionRange::only(MAX),
};
/// What a router offers to peers that did not (NT-1).
pub const NO_ALPN_VERSIONS: VersionRange = VersionRange::only(MIN);

/// What the agreed version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The version.
    pub version: u16,
    /// The router's hello has its session key (a range that goes up to 2 or more; NT-2).
    pub handshake_key: bool,
    /// A block carries several transmissions, with their count and lengths; before, it is one (from 2; NT-3).
    pub batched: bool,
    /// Transmissions carry the session id, not just their authorization (up to 1; NT-3).
    pub session_id_on_wire: bool,
    /// An invalid token's status says why (from 3; NT-12).
    pub invalid_reason: bool,
}

impl Layout {
    /// The layout of a version.
    #[must_use]
    pub const fn of(version: u16) -> Self {
        Layout {
            version,
            handshake_key: version >= 2,
            batched: version >= 2,
            session_id_on_wire: version < 2,
            invalid_reason: version >= 3,
        }
    }
}

impl Framing for Layout {
    fn session_id_on_wire(&self) -> bool {
        self.session_id_on_wire
    }

    /// No version has any (NT-4).
    fn service_signature(&self) -> bool {
        false
    }
}
