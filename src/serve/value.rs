//! The values of settings: each type says what it takes, for flags and files alike.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::Range;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_spanned::Spanned;
use sxlab_node::resolver::{Resolver, ResolverConfig, ResolverError};
use sxlab_protocol::ntf::version::ALPN_VERSIONS;
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::{EntityId, Host, VersionRange, base64url, base64url_decode};
use sxlab_simnet::units::{SECOND, format_duration, parse_duration};

/// A value, and where it stands in the file if it comes from one.
#[derive(Clone, Debug)]
pub(crate) struct Value<T> {
    pub(crate) value: T,
    pub(crate) span: Option<Range<usize>>,
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self { value, span: None }
    }
}

impl<T: FromStr> FromStr for Value<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse::<T>().map(Self::from)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(input)?;
        let span = Some(spanned.span());
        Ok(Self { value: spanned.into_inner(), span })
    }
}

impl<T: Serialize> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(output)
    }
}

/// A type that is one string in a file, read as the flag's text is.
macro_rules! text {
    ($name:ty, $expected:literal $(, $($generics:tt)*)?) => {
        impl<'de, $($($generics)*)?> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                input.deserialize_str(Text($expected, PhantomData))
            }
        }

        impl<$($($generics)*)?> Serialize for $name {
            fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
                output.collect_str(self)
            }
        }
    };
}

struct Text<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// A time in nanoseconds, at least `MIN`; with `NEVER`, `never` is one too, as `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time<const MIN: u64, const NEVER: bool>(pub(crate) u64);

/// A time that may be nothing.
pub(crate) type Delay = Time<0, false>;
/// A time that is not nothing, and ends.
pub(crate) type Interval = Time<1, false>;
/// A time that is not nothing and may be for ever.
pub(crate) type Limit = Time<1, true>;

impl<const MIN: u64, const NEVER: bool> Time<MIN, NEVER> {
    /// For a default, which is always in range.
    pub(crate) const fn of(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }
}

impl<const MIN: u64, const NEVER: bool> FromStr for Time<MIN, NEVER> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if NEVER && text == "never" {
            return Ok(Self(u64::MAX));
        }
        match parse_duration(text).map_err(|error| error.to_string())? {
            time if time < MIN => Err("must be longer than 0".to_owned()),
            time => Ok(Self(time)),
        }
    }
}

impl<const MIN: u64, const NEVER: bool> fmt::Display for Time<MIN, NEVER> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if NEVER && self.0 == u64::MAX { f.write_str("never") } else { f.write_str(&format_duration(self.0)) }
    }
}

text!(Time<MIN, NEVER>, "a time in quotes, such as \"15s\"", const MIN: u64, const NEVER: bool);

/// A number of things, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Count(pub(crate) u32);

impl Count {
    const MAX: u32 = 1_000_000_000;

    fn new(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(count @ 1..=Self::MAX) => Ok(Self(count)),
            _ => Err(format!("{number} is not between 1 and {}", Self::MAX)),
        }
    }

    /// For a default, which is always in range.
    pub(crate) fn of(number: usize) -> Self {
        Self(u32::try_from(number).unwrap_or(Self::MAX).clamp(1, Self::MAX))
    }

    pub(crate) fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number")).and_then(Self::new)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        i64::deserialize(input).and_then(|number| Self::new(number).map_err(D::Error::custom))
    }
}

/// `on` or `off` as a flag, `true` or `false` in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Switch(pub(crate) bool);

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err("say on or off"),
        }
    }
}

/// A range of versions of a protocol that has those from `MIN` to `MAX`, as `6-20`, or one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions<const MIN: u16, const MAX: u16>(pub(crate) VersionRange);

/// Of SMP.
pub(crate) type SmpVersions = Versions<{ SUPPORTED.min }, { SUPPORTED.max }>;
/// Of the notification protocol.
pub(crate) type NtfVersions = Versions<{ ALPN_VERSIONS.min }, { ALPN_VERSIONS.max }>;

impl<const MIN: u16, const MAX: u16> Versions<MIN, MAX> {
    /// For a default, which is always in range.
    pub(crate) const fn of(versions: VersionRange) -> Self {
        Self(versions)
    }
}

impl<const MIN: u16, const MAX: u16> FromStr for Versions<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not a range of versions such as {MIN}-{MAX}");
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse::<u16>().map_err(|_| malformed());
        let range = VersionRange::new(number(min)?, number(max)?).map_err(|_| malformed())?;
        if (MIN..=MAX).contains(&range.min) && (MIN..=MAX).contains(&range.max) {
            Ok(Self(range))
        } else {
            Err(format!("the versions that there are: {MIN}-{MAX}"))
        }
    }
}

impl<const MIN: u16, const MAX: u16> fmt::Display for Versions<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.min, self.0.max)
    }
}

text!(Versions<MIN, MAX>, "a range of versions in quotes, such as \"2-3\"", const MIN: u16, const MAX: u16);

/// Whole minutes, as a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minutes(pub(crate) u16);

impl FromStr for Minutes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = parse_duration(text).map_err(|error| error.to_string())?;
        let minutes = u16::try_from(time / (60 * SECOND)).ok();
        let whole = minutes.filter(|_| time.is_multiple_of(60 * SECOND));
        whole.map(Self).ok_or_else(|| format!("`{text}` is not a number of whole minutes up to 65535m"))
    }
}

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(u64::from(self.0) * 60 * SECOND))
    }
}

text!(Minutes, "a time in quotes, such as \"20m\"");

/// A host and a port to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not a host and a port such as localhost:2197");
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(malformed)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self { host: host.parse().map_err(|_| malformed())?, port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::V6(host) => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

text!(Place, "a host and a port in quotes");

/// The hash of an identity, base64url as in addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) [u8; 32]);

impl FromStr for Identity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hash = base64url_decode(text).ok().and_then(|hash| hash.try_into().ok());
        hash.map(Self).ok_or_else(|| format!("`{text}` is not an identity's hash in base64url"))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

text!(Identity, "an identity's hash in quotes");

/// A word that Apple gives: of letters, digits, dots and dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if word { Ok(Self(text.to_owned())) } else { Err("letters, digits, dots and dashes only") }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text!(Word, "a word in quotes");

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) Host);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "not a host name or IP address")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Name, "a host in quotes");

/// A password that an address can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Password(pub(crate) String);

impl FromStr for Password {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = |c: char| c.is_ascii_graphic() && !"@:/".contains(c);
        if text.is_empty() || !text.chars().all(printable) {
            return Err("an address can hold printable ASCII characters other than space and `@ : /` only");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text!(Password, "a password in quotes");

/// Where names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameService(pub(crate) String);

impl FromStr for NameService {
    type Err = ResolverError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Resolver::new(&ResolverConfig::new(text)).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for NameService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text!(NameService, "an address as \"http://127.0.0.1:8000\"");

/// A token that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) String);

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sendable = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        if sendable {
            Ok(Self(text.to_owned()))
        } else {
            Err("printable ASCII characters without space only")
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text!(Token, "a token in quotes");

/// A loopback address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loopback(pub(crate) SocketAddr);

impl FromStr for Loopback {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self(address)),
            Ok(_) => Err(format!("{text} is not a loopback address")),
            Err(_) => Err(format!("`{text}` is not an address and a port such as 127.0.0.1:9090")),
        }
    }
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Loopback, "an address and a port in quotes");

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(pub(crate) tracing::Level);

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" | "warn" | "info" | "debug" => text.parse().map(Self).map_err(|_| "no level"),
            _ => Err("say error, warn, info or debug"),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_lowercase())
    }
}

text!(Level, "a level in quotes: error, warn, info or debug");

/// A queue by its recipient or sender id, base64url as in addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueId(pub(crate) EntityId);

impl FromStr for QueueId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = base64url_decode(text).ok().filter(|id| !id.is_empty());
        let id = id.and_then(|id| EntityId::new(&id).ok());
        id.map(Self).ok_or_else(|| format!("`{text}` is not a queue id in base64url"))
    }
}

/// A queue to be blocked and why: `ID spam`, or `ID content 24h` with a notice for that long, or `ID content always`
/// with one without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: QueueId,
    pub(crate) info: BlockingInfo,
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (id, reason, notice) = match words[..] {
            [id, reason] => (id, reason, None),
            [id, reason, notice] => (id, reason, Some(notice)),
            _ => return Err("say which queue and why: ID spam|content [TIME|always]".to_owned()),
        };
        let reason = match reason {
            "spam" => BlockingReason::Spam,
            "content" => BlockingReason::Content,
            _ => return Err(format!("`{reason}` is no reason: say spam or content")),
        };
        let notice = notice.map(|text| match text {
            "always" => Ok(Notice { ttl: None }),
            text => {
                let seconds = parse_duration(text).map_err(|error| error.to_string())? / SECOND;
                Ok::<_, String>(Notice { ttl: Some(i64::try_from(seconds).unwrap_or(i64::MAX)) })
            }
        });
        Ok(Self { id: id.parse()?, info: BlockingInfo { reason, notice: notice.transpose()? } })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.info.reason {
            BlockingReason::Spam => "spam",
            BlockingReason::Content => "content",
        };
        write!(f, "{} {reason}", base64url(self.id.0.as_bytes()))?;
        match self.info.notice {
            None => Ok(()),
            Some(Notice { ttl: None }) => f.write_str(" always"),
            Some(Notice { ttl: Some(ttl) }) => {
                let seconds = u64::try_from(ttl).unwrap_or_default();
                write!(f, " {}", format_duration(seconds.saturating_mul(SECOND)))
            }
        }
    }
}

text!(Block, "a queue and a reason in quotes, such as \"ID spam\"");

#[cfg(test)]
mod tests {
    use super::*;

    fn round<T: FromStr<Err: fmt::Debug> + fmt::Display>(text: &str) -> String {
        text.parse::<T>().unwrap().to_string()
    }

    #[test]
    fn what_is_printed_reads_back() {
        for time in ["0s", "15s", "1h30m", "21d"] {
            assert_eq!(round::<Delay>(time), time);
        }
        assert_eq!(round::<Limit>("never"), "never");
        for block in ["AAAA spam", "AAAA content", "AAAA content 1d", "AAAA spam always"] {
            assert_eq!(round::<Block>(block), block);
        }
        assert_eq!((round::<SmpVersions>("8-20"), round::<SmpVersions>("9")), ("8-20".into(), "9-9".into()));
        assert_eq!(round::<Level>("debug"), "debug");
        for place in ["localhost:2197", "127.0.0.1:443", "[::1]:443"] {
            assert_eq!(round::<Place>(place), place);
        }
        assert_eq!(round::<Minutes>("20m"), "20m");
        let hash = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
        assert_eq!(round::<Identity>(hash), hash);
    }

    #[test]
    fn what_no_setting_takes_is_refused() {
        assert!("0s".parse::<Limit>().is_err() && "never".parse::<Interval>().is_err());
        for count in ["0", "-1", "1.5", "1000000001", "many"] {
            assert!(count.parse::<Count>().is_err(), "{count}");
        }
        for versions in ["5-20", "6-21", "20-6", "6-", "6-7-8", "6..20"] {
            assert!(versions.parse::<SmpVersions>().is_err(), "{versions}");
        }
        for versions in ["0-3", "1-4", "3-1", "6-20"] {
            assert!(versions.parse::<NtfVersions>().is_err(), "{versions}");
        }
        for place in ["localhost", "localhost:", ":443", "localhost:0", "a b:1", "localhost:66000"] {
            assert!(place.parse::<Place>().is_err(), "{place}");
        }
        assert!("90s".parse::<Minutes>().is_err() && "70000m".parse::<Minutes>().is_err());
        assert!("AAAA".parse::<Identity>().is_err() && "a b".parse::<Word>().is_err());
        for block in ["AAAA", "spam", "AAAA rude", "AAAA spam soon", "AAAA spam 1h 2h", "? spam"] {
            assert!(block.parse::<Block>().is_err(), "{block}");
        }
        assert!("192.0.2.1:80".parse::<Loopback>().is_err() && "localhost:80".parse::<Loopback>().is_err());
        assert!("a b".parse::<Password>().is_err() && "trace".parse::<Level>().is_err());
    }
}
