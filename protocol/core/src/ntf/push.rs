//! What a router has pushed to a device: JSON around a box that only the device opens (NT-26, NT-30, NT-31).
//!
//! ```text
//! {"aps":{…},"notificationData":{"nonce":…,"verification" or "message":base64url(box(pad(content, 3072)))}}
//! ```
//!
//! The content of a verification is the code. That of a message is text: up to six notifications of different queues, the oldest
//! first, with `;` between them; each is the queue, the time in seconds since 1970, the nonce and the metadata of its NMSG, with
//! spaces between (NT-27).

use serde::Deserialize;
use thiserror::Error;

use super::command::{Code, NotifierQueue};
use crate::crypto::boxes::{Nonce, TAG, open_padded, seal_padded};
use crate::crypto::{CryptoError, SharedSecret};
use crate::wire::{WireError, base64url, base64url_decode};

/// What a push's content is padded to, in bytes.
pub const PUSH_SIZE: usize = 3072;

/// Notifications in one push.
pub const MOST_NOTIFICATIONS: usize = 6;

/// What a push says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// Here is the code of your token.
    Verification(Code),
    /// There are messages: 1 to [`MOST_NOTIFICATIONS`] notifications, the oldest first.
    Messages(Vec<Notification>),
    /// Look whether there are messages.
    CheckMessages,
}

/// A notification of a message, as an SMP router gave it to the notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The queue that got the message.
    pub queue: NotifierQueue,
    /// When the notification router learnt of it, in seconds since 1970.
    pub time: u64,
    /// The nonce of the metadata.
    pub nonce: Nonce,
    /// The metadata, encrypted for the queue's recipient:
    /// [`NotificationMeta`](crate::smp::envelope::NotificationMeta).
    pub meta: Vec<u8>,
}

/// Why a push can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// It is not JSON, or not of this form.
    #[error("a push that is not of the expected form: {0}")]
    Form(String),
    /// It does not decrypt.
    #[error("a push that can't be opened: {0}")]
    Box(#[from] CryptoError),
    /// What is inside does not parse.
    #[error("a push with content that does not parse: {0}")]
    Content(#[from] WireError),
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "notificationData")]
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    nonce: Option<String>,
    verification: Option<String>,
    message: Option<String>,
    #[serde(rename = "checkMessages", default)]
    check_messages: bool,
}

/// What Apple's software does with a push that the user is not shown.
const BACKGROUND: &str = r#"{"content-available":1}"#;
/// What it does with one that the application changes before it is shown.
const ALERT: &str = r#"{"mutable-content":1,"alert":"Encrypted message or another app event","category":"NTF_CAT_CHECK_MESSAGE"}"#;

/// Base64url letters of so many bytes.
const fn letters(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

impl Push {
    /// Whether the device's user is not shown it: Apple is then asked for less haste.
    #[must_use]
    pub fn is_background(&self) -> bool {
        !matches!(self, Push::Messages(_))
    }

    /// Bytes of what [`Push::seal`] gives, whatever is inside.
    #[must_use]
    pub fn size(&self) -> usize {
        let boxed = |text: String| text.len() + letters(24) + letters(TAG + PUSH_SIZE);
        match self {
            Push::Verification(_) => boxed(verification("", "")),
            Push::Messages(_) => boxed(message("", "")),
            Push::CheckMessages => check_messages().len(),
        }
    }

    /// The request's body. `secret` is between the router and the device.
    ///
    /// # Errors
    /// [`CryptoError::Padding`] for more content than a push holds.
    pub fn seal(&self, secret: &SharedSecret, nonce: &Nonce) -> Result<String, CryptoError> {
        let sealed = |content: &[u8]| {
            Ok::<_, CryptoError>(base64url(&seal_padded(secret, nonce, content, PUSH_SIZE)?))
        };
        let nonce = base64url(nonce);
        Ok(match self {
            Push::Verification(code) => verification(&nonce, &sealed(code.as_bytes())?),
            Push::Messages(notifications) => message(&nonce, &sealed(text(notifications).as_bytes())?),
            Push::CheckMessages => check_messages(),
        })
    }

    /// Reads a request's body. What is in it besides is ignored.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn open(body: &[u8], secret: &SharedSecret) -> Result<Self, PushError> {
        let Payload { data } =
            serde_json::from_slice(body).map_err(|error| PushError::Form(error.to_string()))?;
        let open = |nonce: Option<String>, sealed: &str| {
            let nonce = nonce.ok_or_else(|| PushError::Form("no nonce".to_owned()))?;
            let nonce = base64url_decode(&nonce)?.try_into().map_err(|_| WireError::BadLength)?;
            Ok::<_, PushError>(open_padded(secret, &nonce, &base64url_decode(sealed)?)?)
        };
        match data {
            Data { nonce, verification: Some(sealed), .. } => {
                Ok(Push::Verification(Code::new(&open(nonce, &sealed)?)?))
            }
            Data { nonce, message: Some(sealed), .. } => {
                Ok(Push::Messages(notifications(&open(nonce, &sealed)?)?))
            }
            Data { check_messages: true, .. } => Ok(Push::CheckMessages),
            _ => Err(PushError::Form("it says nothing that is known".to_owned())),
        }
    }
}

fn verification(nonce: &str, sealed: &str) -> String {
    format!(r#"{{"aps":{BACKGROUND},"notificationData":{{"nonce":"{nonce}","verification":"{sealed}"}}}}"#)
}

fn message(nonce: &str, sealed: &str) -> String {
    format!(r#"{{"aps":{ALERT},"notificationData":{{"message":"{sealed}","nonce":"{nonce}"}}}}"#)
}

fn check_messages() -> String {
    format!(r#"{{"aps":{BACKGROUND},"notificationData":{{"checkMessages":true}}}}"#)
}

/// The text of notifications.
#[must_use]
pub fn text(notifications: &[Notification]) -> String {
    let line = |notification: &Notification| {
        let Notification { queue, time, nonce, meta } = notification;
        format!("{queue} {time} {} {}", base64url(nonce), base64url(meta))
    };
    notifications.iter().map(line).collect::<Vec<_>>().join(";")
}

/// The notifications of a text: at least one.
///
/// # Errors
/// [`WireError::BadText`], [`WireError::BadLength`] for a nonce that is none.
pub fn notifications(text: &[u8]) -> Result<Vec<Notification>, WireError> {
    let text = std::str::from_utf8(text).map_err(|_| WireError::BadText)?;
    text.split(';').map(notification).collect()
}

fn notification(line: &str) -> Result<Notification, WireError> {
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or(WireError::BadText);
    let (queue, time, nonce, meta) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WireError::BadText);
    }
    Ok(Notification {
        queue: queue.parse()?,
        time: time.parse().map_err(|_| WireError::BadText)?,
        nonce: base64url_decode(nonce)?.try_into().map_err(|_| WireError::BadLength)?,
        meta: base64url_decode(meta)?,
    })
}
