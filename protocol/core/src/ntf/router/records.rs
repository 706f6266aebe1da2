//! Records: the parts of a router's state as a durable store keeps them, each under a key of its own.
//!
//! A key is a kind byte and an id with its length or an address, so that keys in the order of their bytes are: SMP routers, tokens,
//! subscriptions, notifications. A value begins with the version of its layout. As in SMP ([`crate::smp::router::Record`]), a new kind
//! gets the next kind byte, and what was written with an earlier layout must stay readable.

use std::fmt;

use super::store::Kept;
use crate::crypto::keys::{AuthPublicKey, AuthSecretKey, SharedSecret, X25519Public, X25519Secret};
use crate::journal::fields::*;
use crate::ntf::command::{Code, DeviceToken};
use crate::ntf::status::{SubscriptionStatus, TokenStatus};
use crate::wire::{EntityId, Reader, RouterAddress, WireError, put_short, put_u16};

/// The layout of values written by this version.
const VERSION: u8 = 1;

/// One change of what survives a restart.
pub type Change = crate::journal::Change<Record, RecordKey>;

/// A part of a router's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An SMP router by which this one is known as a service.
    Router {
        /// The SMP router.
        router: RouterAddress,
        /// The id that it gave.
        service: EntityId,
    },
    /// A token, without what has records of its own.
    Token {
        /// Its id.
        id: EntityId,
        /// The rest.
        token: TokenRecord,
    },
    /// A subscription.
    Subscription {
        /// Its id.
        id: EntityId,
        /// The rest.
        subscription: SubscriptionRecord,
    },
    /// The last notification of a subscription, if it is among the last of its token.
    Notification {
        /// The subscription's id.
        subscription: EntityId,
        /// The notification.
        kept: Kept,
    },
}

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// The SMP router with this address.
    Router(RouterAddress),
    /// The token with this id.
    Token(EntityId),
    /// The subscription with this id.
    Subscription(EntityId),
    /// The last notification of the subscription with this id.
    Notification(EntityId),
}

/// A token's own record; the fields are those of [`super::Token`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Where pushes go to.
    pub device: DeviceToken,
    /// Authorizes commands.
    pub key: AuthPublicKey,
    /// The device's key for the encryption of pushes.
    pub device_key: X25519Public,
    /// The router's, in 32 secret bytes.
    pub own_key: [u8; 32],
    /// What the two keys give.
    pub secret: SharedSecret,
    /// What the device has to give back.
    pub code: Code,
    /// Its state.
    pub status: TokenStatus,
    /// Minutes between periodic pushes; 0 for none.
    pub period: u16,
    /// When the last of them was taken by the provider, or the period was set, in seconds since 1970.
    pub sent: u64,
    /// Whether any was.
    pub was_sent: bool,
}

/// A subscription's own record; the fields are those of [`super::Subscription`].
///
/// Of the states that are subscribed to again none is told from another: after a restart all of them are pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// Whose it is.
    pub token: EntityId,
    /// The SMP router.
    pub router: RouterAddress,
    /// The notifier's id there.
    pub notifier: EntityId,
    /// Authorizes NSUB.
    pub key: AuthSecretKey,
    /// Its state.
    pub status: SubscriptionStatus,
    /// Whether it belongs to this router as the SMP router's service.
    pub by_service: bool,
}

/// Why a record can't be read or does not fit to the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key is not one of this version's.
    #[error("a record with a key that this version does not know")]
    Key,
    /// The value has another layout.
    #[error("the record of {0} has layout {1}, this version reads {VERSION}")]
    Version(RecordKey, u8),
    /// The value is damaged.
    #[error("the record of {0} is damaged: {1}")]
    Value(RecordKey, WireError),
    /// It belongs to something that is not there.
    #[error("the record of {0} belongs to nothing")]
    Orphan(RecordKey),
    /// What it names is another's.
    #[error("the record of {0} names what is taken")]
    Taken(RecordKey),
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordKey::Router(router) => write!(f, "router {router}"),
            RecordKey::Token(id) => write!(f, "token {id:?}"),
            RecordKey::Subscription(id) => write!(f, "subscription {id:?}"),
            RecordKey::Notification(id) => write!(f, "the notification of subscription {id:?}"),
        }
    }
}

mod kind {
    pub(super) const ROUTER: u8 = 1;
    pub(super) const TOKEN: u8 = 2;
    pub(super) const SUBSCRIPTION: u8 = 3;
    pub(super) const NOTIFICATION: u8 = 4;
}

impl RecordKey {
    /// The key's bytes, by which records are sorted.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, id) = match self {
            RecordKey::Router(router) => {
                let mut out = vec![kind::ROUTER];
                // Never fails: it came in a block.
                let _ = router.put(&mut out);
                return out;
            }
            RecordKey::Token(id) => (kind::TOKEN, id),
            RecordKey::Subscription(id) => (kind::SUBSCRIPTION, id),
            RecordKey::Notification(id) => (kind::NOTIFICATION, id),
        };
        let mut out = vec![kind];
        id.put(&mut out);
        out
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`RecordError::Key`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut r = Reader::new(bytes);
        let key = (|| {
            let key = match r.u8()? {
                kind::ROUTER => RecordKey::Router(RouterAddress::read(&mut r)?),
                kind::TOKEN => RecordKey::Token(EntityId::read(&mut r)?),
                kind::SUBSCRIPTION => RecordKey::Subscription(EntityId::read(&mut r)?),
                kind::NOTIFICATION => RecordKey::Notification(EntityId::read(&mut r)?),
                _ => return Err(WireError::BadTag),
            };
            r.end().map(|()| key)
        })();
        key.map_err(|_| RecordError::Key).and_then(|key| {
            // An address in another writing than ours would be another key.
            if key.encode() == bytes { Ok(key) } else { Err(RecordError::Key) }
        })
    }
}

impl Record {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Router { router, .. } => RecordKey::Router(router.clone()),
            Record::Token { id, .. } => RecordKey::Token(id.clone()),
            Record::Subscription { id, .. } => RecordKey::Subscription(id.clone()),
            Record::Notification { subscription, .. } => RecordKey::Notification(subscription.clone()),
        }
    }

    /// Its value's bytes.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Record::Router { service, .. } => service.put(&mut out),
            Record::Token { token, .. } => token.put(&mut out),
            Record::Subscription { subscription, .. } => subscription.put(&mut out),
            Record::Notification { kept, .. } => {
                put_u64(&mut out, kept.number);
                put_u64(&mut out, kept.time);
                out.extend_from_slice(&kept.nonce);
                out.extend_from_slice(&kept.meta);
            }
        }
        out
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// [`RecordError`]: `Key`, `Version` or `Value`.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, RecordError> {
        let key = RecordKey::decode(key)?;
        let mut r = Reader::new(value);
        match r.u8() {
            Ok(VERSION) => {}
            Ok(version) => return Err(RecordError::Version(key, version)),
            Err(error) => return Err(RecordError::Value(key, error)),
        }
        Self::read(key.clone(), &mut r).map_err(|error| RecordError::Value(key, error))
    }

    fn read(key: RecordKey, r: &mut Reader<'_>) -> Result<Self, WireError> {
        let record = match key {
            RecordKey::Router(router) => Record::Router { router, service: EntityId::read(r)? },
            RecordKey::Token(id) => Record::Token { id, token: TokenRecord::read(r)? },
            RecordKey::Subscription(id) => {
                Record::Subscription { id, subscription: SubscriptionRecord::read(r)? }
            }
            RecordKey::Notification(subscription) => {
                let (number, time, nonce) = (read_u64(r)?, read_u64(r)?, r.array()?);
                let meta = r.rest().into();
                Record::Notification { subscription, kept: Kept { number, time, nonce, meta } }
            }
        };
        r.end().map(|()| record)
    }
}

impl TokenRecord {
    fn put(&self, out: &mut Vec<u8>) {
        self.device.put(out);
        put_key(out, &self.key);
        out.extend_from_slice(self.device_key.as_bytes());
        out.extend_from_slice(&self.own_key);
        out.extend_from_slice(self.secret.as_bytes());
        // Never fails: a code has at most 255 bytes.
        let _ = put_short(out, self.code.as_bytes());
        let status = TokenStatus::ALL.iter().position(|status| *status == self.status);
        out.push(status.and_then(|at| u8::try_from(at).ok()).unwrap_or(0));
        put_u16(out, self.period);
        put_u64(out, self.sent);
        out.push(self.was_sent.into());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            device: DeviceToken::read(r)?,
            key: read_key(r)?,
            device_key: X25519Public::from_bytes(r.array()?),
            own_key: r.array()?,
            secret: read_secret(r)?,
            code: Code::new(r.short()?)?,
            status: *TokenStatus::ALL.get(usize::from(r.u8()?)).ok_or(WireError::BadTag)?,
            period: r.u16()?,
            sent: read_u64(r)?,
            was_sent: read_flag(r)?,
        })
    }

    /// The router's key for the encryption of pushes.
    #[must_use]
    pub fn own_key(&self) -> X25519Secret {
        X25519Secret::from_bytes(self.own_key)
    }
}

fn read_flag(r: &mut Reader<'_>) -> Result<bool, WireError> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::BadTag),
    }
}

impl SubscriptionRecord {
    fn put(&self, out: &mut Vec<u8>) {
        self.token.put(out);
        // Never fails: it came in a block.
        let _ = self.router.put(out);
        self.notifier.put(out);
        let _ = put_short(out, &self.key.pkcs8());
        out.push(self.by_service.into());
        match &self.status {
            status if status.subscribes() => out.push(0),
            SubscriptionStatus::End => out.push(1),
            SubscriptionStatus::Deleted => out.push(2),
            SubscriptionStatus::Auth => out.push(3),
            SubscriptionStatus::Service => out.push(4),
            SubscriptionStatus::Err(text) => {
                out.push(5);
                out.extend_from_slice(text.as_bytes());
            }
            _ => out.push(0),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (token, router, notifier) = (EntityId::read(r)?, RouterAddress::read(r)?, EntityId::read(r)?);
        let key = AuthSecretKey::from_pkcs8(r.short()?)?;
        let by_service = read_flag(r)?;
        let status = match r.u8()? {
            0 => SubscriptionStatus::Pending,
            1 => SubscriptionStatus::End,
            2 => SubscriptionStatus::Deleted,
            3 => SubscriptionStatus::Auth,
            4 => SubscriptionStatus::Service,
            5 => {
                let text = std::str::from_utf8(r.rest()).map_err(|_| WireError::BadText)?;
                SubscriptionStatus::Err(text.to_owned())
            }
            _ => return Err(WireError::BadTag),
        };
        Ok(Self { token, router, notifier, key, status, by_service })
    }
}
