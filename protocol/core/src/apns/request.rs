//! Requests to APNs: `POST /3/device/<device token>` over HTTP/2, with header fields of Apple's.

use super::Reason;

/// Bytes of the longest device token: Apple names no length and asks for room.
pub const LONGEST_DEVICE_TOKEN: usize = 100;

/// What comes before a device token in the path.
const PATH: &str = "/3/device/";

/// What comes before a token in the authorization.
const BEARER: &str = "bearer ";

/// Whether a push is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To the user; an extension of the app may change what is shown.
    Alert,
    /// Not to the user; the app is woken if the system sees fit.
    Background,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Background => "background",
        }
    }
}

/// A request but for its body and its authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which device and app: the device token, at most [`LONGEST_DEVICE_TOKEN`] bytes.
    pub device: Vec<u8>,
    /// Whether it is shown.
    pub kind: Kind,
    /// 10: at once; 5: as the device's power allows; 1: the same, and no device is woken for it. `None`: 10.
    pub priority: Option<u8>,
    /// Until when the push is kept for a device that is offline, in seconds since 1970; 0: it is not. `None`: as long as Apple
    /// keeps any.
    pub expiration: Option<u64>,
    /// The app.
    pub topic: String,
}

/// Where a request is and who it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The request.
    pub request: Request,
    /// The token of its authorization: [`super::jwt`].
    pub token: String,
}

impl Request {
    /// As the deployed notification router asks: background pushes with priority 5, alerts without one.
    #[must_use]
    pub fn new(device: &[u8], kind: Kind, topic: &str) -> Self {
        let priority = (kind == Kind::Background).then_some(5);
        Self { device: device.to_vec(), kind, priority, expiration: None, topic: topic.to_owned() }
    }

    /// The path to post to.
    #[must_use]
    pub fn path(&self) -> String {
        self.device.iter().fold(PATH.to_owned(), |path, byte| format!("{path}{byte:02x}"))
    }

    /// The header fields, with the token that authorizes the request.
    #[must_use]
    pub fn fields(&self, token: &str) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("apns-topic", self.topic.clone()),
            ("apns-push-type", self.kind.name().to_owned()),
            ("authorization", format!("{BEARER}{token}")),
        ];
        fields.extend(self.priority.map(|priority| ("apns-priority", priority.to_string())));
        fields.extend(self.expiration.map(|expiration| ("apns-expiration", expiration.to_string())));
        fields
    }

    /// Reads a request by its method, path and header fields.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read<'a>(
        method: &str,
        path: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Head, Reason> {
        if method != "POST" {
            return Err(Reason::MethodNotAllowed);
        }
        let device = path.strip_prefix(PATH).ok_or(Reason::BadPath)?;
        if device.is_empty() {
            return Err(Reason::MissingDeviceToken);
        }
        let (mut topic, mut kind, mut token, mut priority, mut expiration) = (None, None, None, None, None);
        for (name, value) in fields {
            let place = match name {
                "apns-topic" => &mut topic,
                "apns-push-type" => &mut kind,
                "authorization" => &mut token,
                "apns-priority" => &mut priority,
                "apns-expiration" => &mut expiration,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Reason::DuplicateHeaders);
            }
        }
        let text = |value: &[u8]| std::str::from_utf8(value).map(str::to_owned).ok();
        let token = token.ok_or(Reason::MissingProviderToken)?;
        let token = text(token).and_then(|token| token.strip_prefix(BEARER).map(str::to_owned));
        let token = token.ok_or(Reason::InvalidProviderToken)?;
        let topic = text(topic.ok_or(Reason::MissingTopic)?).ok_or(Reason::BadTopic)?;
        let kind = match kind {
            None | Some(b"alert") => Kind::Alert,
            Some(b"background") => Kind::Background,
            Some(_) => return Err(Reason::InvalidPushType),
        };
        let priority = match priority {
            None => None,
            Some(b"1") => Some(1),
            Some(b"5") => Some(5),
            // What is not shown is never pressing.
            Some(b"10") if kind == Kind::Alert => Some(10),
            Some(_) => return Err(Reason::BadPriority),
        };
        let number = |value: &[u8]| text(value).and_then(|text| text.parse::<u64>().ok());
        let expiration =
            expiration.map(|value| number(value).ok_or(Reason::BadExpirationDate)).transpose()?;
        let device = bytes_of_hex(device).ok_or(Reason::BadDeviceToken)?;
        Ok(Head { request: Self { device, kind, priority, expiration, topic }, token })
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    (rest.is_empty() && pairs.len() <= LONGEST_DEVICE_TOKEN)
        .then(|| pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(method: &str, path: &str, fields: &[(&str, &str)]) -> Result<Head, Reason> {
        Request::read(method, path, fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    const RIGHT: [(&str, &str); 2] = [("authorization", "bearer t"), ("apns-topic", "app")];

    #[test]
    fn what_the_deployed_router_sends() {
        let background = Request::new(&[0xdd, 0xa6], Kind::Background, "chat.simplex.app");
        assert_eq!(background.path(), "/3/device/dda6");
        let field = |name, value: &str| (name, value.to_owned());
        let all = [
            field("apns-topic", "chat.simplex.app"),
            field("apns-push-type", "background"),
            field("authorization", "bearer token"),
            field("apns-priority", "5"),
        ];
        assert_eq!(background.fields("token"), all);
        let alert = Request { kind: Kind::Alert, priority: None, ..background };
        assert_eq!(alert.fields("token")[1..], [field("apns-push-type", "alert"), all[2].clone()]);
    }

    #[test]
    fn each_thing_that_is_wrong_has_its_reason() {
        let device = "/3/device/0a";
        let with = |field: (&'static str, &'static str)| [RIGHT[0], RIGHT[1], field];
        let reason =
            |method: &str, path: &str, fields: &[(&str, &str)]| read(method, path, fields).unwrap_err();
        assert_eq!(reason("GET", device, &RIGHT), Reason::MethodNotAllowed);
        assert_eq!(reason("POST", "/2/device/0a", &RIGHT), Reason::BadPath);
        assert_eq!(reason("POST", "/3/device/", &RIGHT), Reason::MissingDeviceToken);
        for wrong in ["0", "0g", &"00".repeat(101), "é"] {
            assert_eq!(
                reason("POST", &format!("/3/device/{wrong}"), &RIGHT),
                Reason::BadDeviceToken,
                "{wrong}"
            );
        }
        assert_eq!(reason("POST", device, &RIGHT[1..]), Reason::MissingProviderToken);
        assert_eq!(reason("POST", device, &RIGHT[..1]), Reason::MissingTopic);
        assert_eq!(reason("POST", device, &with(RIGHT[1])), Reason::DuplicateHeaders);
        assert_eq!(reason("POST", device, &[("authorization", "t"), RIGHT[1]]), Reason::InvalidProviderToken);
        assert_eq!(reason("POST", device, &with(("apns-push-type", "loud"))), Reason::InvalidPushType);
        assert_eq!(reason("POST", device, &with(("apns-priority", "7"))), Reason::BadPriority);
        let background = [RIGHT[0], RIGHT[1], ("apns-push-type", "background"), ("apns-priority", "10")];
        assert_eq!(reason("POST", device, &background), Reason::BadPriority);
        assert_eq!(reason("POST", device, &with(("apns-expiration", "-1"))), Reason::BadExpirationDate);
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(
            device in proptest::collection::vec(any::<u8>(), 1..=LONGEST_DEVICE_TOKEN),
            background in any::<bool>(),
            priority in proptest::option::of(prop_oneof![Just(1u8), Just(5)]),
            expiration in proptest::option::of(any::<u64>()),
            topic in "[a-z.]{0,40}",
            token in "[ -~]{0,40}",
        ) {
            let kind = if background { Kind::Background } else { Kind::Alert };
            let request = Request { device, kind, priority, expiration, topic };
            let fields = request.fields(&token);
            let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
            let head = Request::read("POST", &request.path(), fields);
            prop_assert_eq!(head, Ok(Head { request, token }));
        }

        #[test]
        fn anything_is_read_or_refused(
            method in "POST|.{0,8}",
            path in "/3/device/.{0,20}|.{0,20}",
            fields in proptest::collection::vec(
                ("apns-topic|apns-push-type|authorization|apns-priority|apns-expiration|.{0,5}",
                    proptest::collection::vec(any::<u8>(), 0..20)), 0..8),
        ) {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            let _ = Request::read(&method, &path, fields);
        }
    }
}
