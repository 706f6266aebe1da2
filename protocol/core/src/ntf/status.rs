//! States of tokens and subscriptions, as they are told and as a router keeps them.

use std::fmt;

use crate::wire::{Reader, WireError};

/// The state of a device token (NT-9, NT-11, NT-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenStatus {
    /// Kept, but no code was sent. No router of today leaves a token in it.
    New,
    /// A code was sent, or is about to be.
    Registered,
    /// The provider refuses the token, and perhaps says why.
    Invalid(Option<InvalidReason>),
    /// The provider took the code.
    Confirmed,
    /// The device gave the code back.
    Active,
    /// No longer valid. No router of today puts a token into it.
    Expired,
}

/// Why a provider refuses a token (NT-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvalidReason {
    /// It is not one of the provider's.
    Bad,
    /// It is another application's.
    Topic,
    /// It expired.
    Expired,
    /// The application is no longer on the device.
    Unregistered,
}

impl InvalidReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bad, Self::Topic, Self::Expired, Self::Unregistered];

    /// The text after the comma.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Bad => "BAD",
            Self::Topic => "TOPIC",
            Self::Expired => "EXPIRED",
            Self::Unregistered => "UNREGISTERED",
        }
    }
}

impl TokenStatus {
    /// All of them, with each reason.
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Registered,
        Self::Invalid(None),
        Self::Invalid(Some(InvalidReason::Bad)),
        Self::Invalid(Some(InvalidReason::Topic)),
        Self::Invalid(Some(InvalidReason::Expired)),
        Self::Invalid(Some(InvalidReason::Unregistered)),
        Self::Confirmed,
        Self::Active,
        Self::Expired,
    ];

    /// Whether TVFY with the right code makes the token active (NT-11).
    #[must_use]
    pub const fn takes_code(self) -> bool {
        matches!(self, Self::Registered | Self::Confirmed | Self::Active)
    }

    /// Whether subscriptions of the token may be made, checked and deleted (NT-18).
    #[must_use]
    pub const fn subscribes(self) -> bool {
        matches!(self, Self::Active | Self::Invalid(_) | Self::Expired)
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// [`WireError::BadTag`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::ALL.into_iter().find(|status| status.to_string().as_bytes() == bytes).ok_or(WireError::BadTag)
    }
}

impl fmt::Display for TokenStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("NEW"),
            Self::Registered => f.write_str("REGISTERED"),
            Self::Invalid(None) => f.write_str("INVALID"),
            Self::Invalid(Some(reason)) => write!(f, "INVALID,{}", reason.text()),
            Self::Confirmed => f.write_str("CONFIRMED"),
            Self::Active => f.write_str("ACTIVE"),
            Self::Expired => f.write_str("EXPIRED"),
        }
    }
}

/// The state of a subscription to a queue's notifications (NT-19, NT-21).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionStatus {
    /// Made; the SMP router has not answered yet.
    New,
    /// Being subscribed to again, after a restart of the notification router.
    Pending,
    /// Subscribed to at the SMP router.
    Active,
    /// The connection to the SMP router was lost.
    Inactive,
    /// Somebody else subscribed.
    End,
    /// The queue was deleted, or its notifier.
    Deleted,
    /// The SMP router knows no such notifier, or another key.
    Auth,
    /// The SMP router refuses the service's signature.
    Service,
    /// The SMP router refuses for another reason.
    Err(String),
}

impl SubscriptionStatus {
    /// Whether it is subscribed to again after a lost connection or a restart (NT-24).
    #[must_use]
    pub const fn subscribes(&self) -> bool {
        matches!(self, Self::New | Self::Pending | Self::Active | Self::Inactive)
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// [`WireError::BadTag`], [`WireError::BadText`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match r.rest() {
            b"NEW" => Self::New,
            b"PENDING" => Self::Pending,
            b"ACTIVE" => Self::Active,
            b"INACTIVE" => Self::Inactive,
            b"END" => Self::End,
            b"DELETED" => Self::Deleted,
            b"AUTH" => Self::Auth,
            b"SERVICE" => Self::Service,
            other => {
                let text = other.strip_prefix(b"ERR ").ok_or(WireError::BadTag)?;
                Self::Err(std::str::from_utf8(text).map_err(|_| WireError::BadText)?.to_owned())
            }
        })
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("NEW"),
            Self::Pending => f.write_str("PENDING"),
            Self::Active => f.write_str("ACTIVE"),
            Self::Inactive => f.write_str("INACTIVE"),
            Self::End => f.write_str("END"),
            Self::Deleted => f.write_str("DELETED"),
            Self::Auth => f.write_str("AUTH"),
            Self::Service => f.write_str("SERVICE"),
            Self::Err(text) => write!(f, "ERR {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_and_subscriptions_are_made_in_these_states() {
        let with = |what: fn(TokenStatus) -> bool| {
            let all = TokenStatus::ALL.into_iter().filter(|status| what(*status));
            all.map(|status| status.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(with(TokenStatus::takes_code), "REGISTERED CONFIRMED ACTIVE");
        assert_eq!(
            with(TokenStatus::subscribes),
            "INVALID INVALID,BAD INVALID,TOPIC INVALID,EXPIRED INVALID,UNREGISTERED ACTIVE EXPIRED"
        );
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for status in TokenStatus::ALL {
            assert_eq!(TokenStatus::decode(status.to_string().as_bytes()), Ok(status));
        }
        for refused in ["", "INVALID,", "INVALID,OTHER", "ACTIVE ", "active", "NEW,BAD"] {
            assert!(TokenStatus::decode(refused.as_bytes()).is_err(), "{refused}");
        }
        for refused in ["", "ERR", "ACTIVE x", "OTHER"] {
            assert!(SubscriptionStatus::read(&mut Reader::new(refused.as_bytes())).is_err(), "{refused}");
        }
    }
}
