//! What changes at which version: the one table that all encoders and decoders ask (version matrix).

use crate::wire::VersionRange;

const fn range(min: u16, max: u16) -> VersionRange {
    match VersionRange::new(min, max) {
        Ok(range) => range,
        Err(_) => VersionRange::only(max),
    }
}

/// The least version that is still spoken.
pub const MIN: u16 = 6;
/// The greatest version.
pub const MAX: u16 = 20;

/// The version from which on clients ask for names (NM-12).
pub const NAMES: u16 = 20;
/// What a router offers to peers that negotiated ALPN (TR-8).
pub const ALPN_VERSIONS: VersionRange = range(MIN, MAX);
/// What a router offers to peers that did not (TR-9).
pub const NO_ALPN_VERSIONS: VersionRange = range(MIN, MIN);
/// Versions without block encryption: what a proxy speaks with routers that know no proxy flag (D51).
pub const UNENCRYPTED_VERSIONS: VersionRange = range(MIN, 10);
/// Versions at which commands are forwarded: what PKEY's range is intersected with (PX-5).
pub const FORWARD_VERSIONS: VersionRange = range(8, MAX);

/// How NEW ends, after the keys (RC-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NewForm {
    /// `A` and the password, or nothing; then the subscription mode.
    Letter,
    /// Optional password, subscription mode, whether the sender may secure the queue.
    SenderSecures,
    /// Optional password, subscription mode, optional queue data.
    QueueData,
    /// The same and optional notifier credentials.
    Notifier,
}

/// How IDS ends, after the ids and the key (RC-5, D17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdsForm {
    /// Nothing more.
    Short,
    /// Whether the sender may secure the queue.
    SenderSecures,
    /// Optional mode and link id.
    Link,
    /// The same and an optional service id.
    Service,
    /// The same and optional notifier id and key.
    Notifier,
}

/// How a blocked queue is reported (D38).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockedForm {
    /// As AUTH.
    Auth,
    /// With the reason.
    Reason,
    /// With reason and notice.
    Notice,
}

/// What the agreed version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The version.
    pub version: u16,
    /// Transmissions carry the session id, not just their authorization (up to 6; TR-29).
    pub session_id_on_wire: bool,
    /// The router's hello has its certificates and session key, the client's may have a key (from 7).
    pub handshake_key: bool,
    /// The largest body of SEND in bytes (D15).
    pub message_limit: usize,
    /// The form of NEW.
    pub new: NewForm,
    /// The form of IDS.
    pub ids: IdsForm,
    /// A deleted queue's subscriber gets DELD, not END (from 10).
    pub deld: bool,
    /// Blocks are encrypted if the client sent a key and is no proxy (from 11; TR-23).
    pub block_encryption: bool,
    /// The form of BLOCKED.
    pub blocked: BlockedForm,
    /// The client's hello says whether it is a proxy (from 14).
    pub proxy_flag: bool,
    /// The client's hello has a service field (from 16).
    pub service_in_hello: bool,
    /// Non-empty authorization is followed by an optional service signature (from 16; D10).
    pub service_signature: bool,
    /// SUB is answered by SOK, not OK (from 16).
    pub sok: bool,
    /// SUBS, NSUBS, SOKS and ENDS carry the hash of the queue ids (from 19).
    pub service_hash: bool,
    /// There is RSLV (from 20).
    pub names: bool,
}

impl Layout {
    /// The layout of a version.
    #[must_use]
    pub const fn of(version: u16) -> Self {
        Layout {
            version,
            session_id_on_wire: version < 7,
            handshake_key: version >= 7,
            message_limit: match version {
                ..8 => 16088,
                8..11 => 16064,
                11.. => 16048,
            },
            new: match version {
                ..9 => NewForm::Letter,
                9..15 => NewForm::SenderSecures,
                15..17 => NewForm::QueueData,
                17.. => NewForm::Notifier,
            },
            ids: match version {
                ..9 => IdsForm::Short,
                9..15 => IdsForm::SenderSecures,
                15 => IdsForm::Link,
                16 => IdsForm::Service,
                17.. => IdsForm::Notifier,
            },
            deld: version >= 10,
            block_encryption: version >= 11,
            blocked: match version {
                ..12 => BlockedForm::Auth,
                12..18 => BlockedForm::Reason,
                18.. => BlockedForm::Notice,
            },
            proxy_flag: version >= 14,
            service_in_hello: version >= 16,
            service_signature: version >= 16,
            sok: version >= 16,
            service_hash: version >= 19,
            names: version >= 20,
        }
    }
}
