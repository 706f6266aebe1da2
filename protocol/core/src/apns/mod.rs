//! Apple's push notification service, APNs, as notification routers use it: what is asked of it and what it answers, and a router
//! that stands in for Apple's.
//!
//! The interface is Apple's, as its documentation for providers of notifications describes it; how the stand-in stores and loses
//! what a device misses is a model with every knob in [`StandInConfig`].
//!
//! | part | what it does |
//! |---|---|
//! | [`jwt`] | the signed token by which Apple knows whose notifications these are |
//! | [`request`] | requests: the headers to send, and what is wrong with those that came |
//! | [`StandIn`] | the stand-in: devices that are online or not, and what they get |

pub mod jwt;
pub mod request;
mod stand_in;

pub use stand_in::{Delivery, Lost, StandIn, StandInConfig, Statistics};

/// Bytes of a request's body, the payload, that Apple takes at most for anything but calls.
pub const BODY_LIMIT: usize = 4096;

/// Why a push was not taken: the reason in the answer's JSON, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are Apple's own")]
pub enum Reason {
    BadCollapseId,
    BadDeviceToken,
    BadExpirationDate,
    BadMessageId,
    BadPriority,
    BadTopic,
    DeviceTokenNotForTopic,
    DuplicateHeaders,
    IdleTimeout,
    InvalidPushType,
    MissingDeviceToken,
    MissingTopic,
    PayloadEmpty,
    TopicDisallowed,
    BadCertificate,
    BadCertificateEnvironment,
    ExpiredProviderToken,
    Forbidden,
    InvalidProviderToken,
    MissingProviderToken,
    BadPath,
    MethodNotAllowed,
    ExpiredToken,
    Unregistered,
    PayloadTooLarge,
    TooManyProviderTokenUpdates,
    TooManyRequests,
    InternalServerError,
    ServiceUnavailable,
    Shutdown,
}

impl Reason {
    /// Every reason with its HTTP status and name.
    pub const ALL: [(Self, u16, &'static str); 30] = [
        (Self::BadCollapseId, 400, "BadCollapseId"),
        (Self::BadDeviceToken, 400, "BadDeviceToken"),
        (Self::BadExpirationDate, 400, "BadExpirationDate"),
        (Self::BadMessageId, 400, "BadMessageId"),
        (Self::BadPriority, 400, "BadPriority"),
        (Self::BadTopic, 400, "BadTopic"),
        (Self::DeviceTokenNotForTopic, 400, "DeviceTokenNotForTopic"),
        (Self::DuplicateHeaders, 400, "DuplicateHeaders"),
        (Self::IdleTimeout, 400, "IdleTimeout"),
        (Self::InvalidPushType, 400, "InvalidPushType"),
        (Self::MissingDeviceToken, 400, "MissingDeviceToken"),
        (Self::MissingTopic, 400, "MissingTopic"),
        (Self::PayloadEmpty, 400, "PayloadEmpty"),
        (Self::TopicDisallowed, 400, "TopicDisallowed"),
        (Self::BadCertificate, 403, "BadCertificate"),
        (Self::BadCertificateEnvironment, 403, "BadCertificateEnvironment"),
        (Self::ExpiredProviderToken, 403, "ExpiredProviderToken"),
        (Self::Forbidden, 403, "Forbidden"),
        (Self::InvalidProviderToken, 403, "InvalidProviderToken"),
        (Self::MissingProviderToken, 403, "MissingProviderToken"),
        (Self::BadPath, 404, "BadPath"),
        (Self::MethodNotAllowed, 405, "MethodNotAllowed"),
        (Self::ExpiredToken, 410, "ExpiredToken"),
        (Self::Unregistered, 410, "Unregistered"),
        (Self::PayloadTooLarge, 413, "PayloadTooLarge"),
        (Self::TooManyProviderTokenUpdates, 429, "TooManyProviderTokenUpdates"),
        (Self::TooManyRequests, 429, "TooManyRequests"),
        (Self::InternalServerError, 500, "InternalServerError"),
        (Self::ServiceUnavailable, 503, "ServiceUnavailable"),
        (Self::Shutdown, 503, "Shutdown"),
    ];

    /// The reason of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, _, known)| *known == name).map(|(reason, ..)| *reason)
    }

    fn entry(self) -> (u16, &'static str) {
        let entry = Self::ALL.iter().find(|(reason, ..)| *reason == self);
        entry.map_or((500, ""), |(_, status, name)| (*status, name))
    }

    /// The answer's HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.entry().0
    }

    /// As it stands in the answer.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// The answer's body. `since`: when a device was found to be gone, in milliseconds since 1970, where the reason is that.
    #[must_use]
    pub fn body(self, since: Option<u64>) -> String {
        let name = self.name();
        match since {
            Some(since) => format!(r#"{{"reason":"{name}","timestamp":{since}}}"#),
            None => format!(r#"{{"reason":"{name}"}}"#),
        }
    }

    /// What the body of an answer says; empty if it is not JSON, or says nothing of a reason.
    #[must_use]
    pub fn in_body(body: &[u8]) -> String {
        #[derive(serde::Deserialize)]
        struct Refused {
            reason: String,
        }
        serde_json::from_slice::<Refused>(body).map(|refused| refused.reason).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_entry_and_its_body_says_it() {
        for (number, (reason, status, name)) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(number, reason as usize);
            assert_eq!((reason.status(), reason.name()), (status, name));
            assert_eq!(Reason::of_name(name), Some(reason));
            assert_eq!(Reason::in_body(reason.body(None).as_bytes()), name);
            assert_eq!(Reason::in_body(reason.body(Some(1)).as_bytes()), name);
        }
        assert_eq!(Reason::ALL.len(), Reason::Shutdown as usize + 1);
    }

    #[test]
    fn an_answer_that_is_not_json_has_no_reason() {
        for body in ["", "<html>", "[]", r#"{"reason":7}"#, r#"{"why":"BadTopic"}"#, "\u{0}"] {
            assert_eq!(Reason::in_body(body.as_bytes()), "", "{body}");
        }
    }
}
