//! Addresses of queues: what a recipient gives to a sender (SN-21, D61, AG-15).

use std::fmt;
use std::str::FromStr;

use super::address::{parse_number, put_port, read_identity, read_port};
use super::{EntityId, Host, Reader, RouterAddress, VersionRange, WireError};
use super::{base64url, base64url_decode, put_bool, put_short, put_u16};
use crate::crypto::keys::X25519Public;

/// The versions of the protocol between sender and recipient that this code speaks (AG-14).
pub const CLIENT_VERSIONS: VersionRange = match VersionRange::new(1, 4) {
    Ok(range) => range,
    Err(_) => VersionRange::only(4),
};

/// From this version an address lists all hosts of its router.
const HOSTS: u16 = 2;
/// From this version an address says whether the sender may secure the queue.
const SENDER_SECURES: u16 = 3;
/// From this version an address has the mode's letter.
const MODE: u16 = 4;

/// What a queue is for (RC-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueMode {
    /// One sender, who may secure the queue itself.
    Messaging,
    /// Many senders, none of whom secures it.
    Contact,
}

impl QueueMode {
    /// The mode's letter.
    pub fn put(self, out: &mut Vec<u8>) {
        out.push(match self {
            QueueMode::Messaging => b'M',
            QueueMode::Contact => b'C',
        });
    }

    /// The mode's letter.
    ///
    /// # Errors
    /// [`WireError::BadTag`] for another.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            b'M' => Ok(QueueMode::Messaging),
            b'C' => Ok(QueueMode::Contact),
            _ => Err(WireError::BadTag),
        }
    }
}

/// A queue's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAddress {
    /// The queue's router; addresses of queues carry no password.
    pub router: RouterAddress,
    /// The id under which senders use the queue.
    pub sender_id: EntityId,
    /// Versions of the protocol between sender and recipient.
    pub versions: VersionRange,
    /// The recipient's key for the first message's envelope.
    pub dh_key: X25519Public,
    /// The mode; absent in addresses of old clients.
    pub mode: Option<QueueMode>,
}

impl QueueAddress {
    fn sender_secures(&self) -> bool {
        self.mode == Some(QueueMode::Messaging)
    }

    /// The binary form with the range of versions.
    ///
    /// # Errors
    /// [`WireError`] if a host list does not fit.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.versions.put(out);
        self.put_address(out)?;
        let (min, max) = (self.versions.min, self.versions.max);
        if min >= MODE {
            self.put_mode(out);
        } else if min >= SENDER_SECURES || (max >= SENDER_SECURES && self.sender_secures()) {
            put_bool(out, self.sender_secures());
        }
        Ok(())
    }

    /// The binary form with the range of versions. A tail is left to the caller.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let versions = VersionRange::read(r)?;
        let router = RouterAddress::read(r)?;
        Self::read_queue(r, versions, router)
    }

    /// The binary form for one agreed version.
    ///
    /// # Errors
    /// [`WireError`] if a host list does not fit.
    pub fn put_for(&self, version: u16, out: &mut Vec<u8>) -> Result<(), WireError> {
        put_u16(out, version);
        if version < HOSTS {
            let host = self.router.hosts.first().ok_or(WireError::BadLength)?;
            host.put(out)?;
            put_port(out, self.router.port)?;
            put_short(out, &self.router.identity)?;
            self.sender_id.put(out);
            return put_short(out, &self.dh_key.spki());
        }
        self.put_address(out)?;
        if version >= MODE {
            self.put_mode(out);
        } else if version >= SENDER_SECURES && self.sender_secures() {
            put_bool(out, true);
        }
        Ok(())
    }

    /// The binary form for one version, which becomes the whole range. A tail is left to the caller.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read_for_one(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let version = r.u16()?;
        let router = if version < HOSTS {
            let (host, port, identity) = (Host::read(r)?, read_port(r)?, read_identity(r)?);
            RouterAddress { hosts: vec![host], port, identity, password: None }
        } else {
            RouterAddress::read(r)?
        };
        Self::read_queue(r, VersionRange::only(version), router)
    }

    fn put_address(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.router.put(out)?;
        self.sender_id.put(out);
        put_short(out, &self.dh_key.spki())
    }

    fn put_mode(&self, out: &mut Vec<u8>) {
        if let Some(mode) = self.mode {
            mode.put(out);
        }
    }

    fn read_queue(
        r: &mut Reader<'_>,
        versions: VersionRange,
        router: RouterAddress,
    ) -> Result<Self, WireError> {
        let sender_id = EntityId::read(r)?;
        let dh_key = X25519Public::from_spki(r.short()?)?;
        let mode = match r.peek() {
            Some(b'M' | b'T') => Some(QueueMode::Messaging),
            Some(b'C' | b'F') => Some(QueueMode::Contact),
            _ => None,
        };
        if mode.is_some() {
            r.u8()?;
        }
        Ok(QueueAddress { router, sender_id, versions, dh_key, mode })
    }
}

impl fmt::Display for QueueAddress {
    /// `smp://…/sender-id#/?v=min-max&dh=key` and then the mode, and for clients of version 1 the router's
    /// further hosts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (self.versions.min, self.versions.max);
        let mut router = self.router.public();
        let further =
            if min < HOSTS { router.hosts.split_off(router.hosts.len().min(1)) } else { Vec::new() };
        write!(f, "{router}/{}#/?v={min}", base64url(self.sender_id.as_bytes()))?;
        if max != min {
            write!(f, "-{max}")?;
        }
        write!(f, "&dh={}", percent_encode(&base64url(&self.dh_key.spki())))?;
        f.write_str(match self.mode {
            Some(QueueMode::Messaging) => "&q=m",
            Some(QueueMode::Contact) => "&q=c",
            None => "",
        })?;
        if self.sender_secures() && min < MODE {
            f.write_str("&k=s")?;
        }
        for (i, host) in further.iter().enumerate() {
            f.write_str(if i == 0 { "&srv=" } else { "%2C" })?;
            f.write_str(&percent_encode(&host.to_string()))?;
        }
        Ok(())
    }
}

impl FromStr for QueueAddress {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let (place, fragment) = text.split_once('#').ok_or(WireError::BadText)?;
        let place = place.strip_suffix('/').unwrap_or(place);
        let (router, id) = place.rsplit_once('/').ok_or(WireError::BadText)?;
        let mut router: RouterAddress = router.parse()?;
        let sender_id = EntityId::new(&base64url_decode(id)?)?;
        // Without an id the slash before it could not be told from the one that may follow it.
        if router.password.is_some() || sender_id.is_empty() {
            return Err(WireError::BadText);
        }
        let Some((before, query)) = fragment.split_once('?') else {
            // The oldest form has just the key.
            let (versions, dh_key) = (VersionRange::only(1), parse_key(fragment)?);
            return Ok(QueueAddress { router, sender_id, versions, dh_key, mode: None });
        };
        let query = parse_query(query)?;
        let value = |key: &str| query.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
        let versions = parse_versions(value("v").ok_or(WireError::BadText)?)?;
        let dh_key = match before.strip_suffix('/').unwrap_or(before) {
            "" => parse_key(value("dh").ok_or(WireError::BadText)?)?,
            key => parse_key(key)?,
        };
        if let Some(hosts) = value("srv") {
            for host in hosts.split(',') {
                router.hosts.push(host.parse()?);
            }
        }
        let mode = match (value("q"), value("k")) {
            (Some("m"), _) => Some(QueueMode::Messaging),
            (Some("c"), _) => Some(QueueMode::Contact),
            (_, Some("s")) => Some(QueueMode::Messaging),
            _ => None,
        };
        Ok(QueueAddress { router, sender_id, versions, dh_key, mode })
    }
}

fn parse_key(text: &str) -> Result<X25519Public, WireError> {
    Ok(X25519Public::from_spki(&base64url_decode(text)?)?)
}

fn parse_versions(text: &str) -> Result<VersionRange, WireError> {
    match text.split_once('-') {
        Some((min, max)) => VersionRange::new(parse_number(min)?, parse_number(max)?),
        None => Ok(VersionRange::only(parse_number(text)?)),
    }
}

/// `key=value` pairs with their values percent-decoded.
fn parse_query(text: &str) -> Result<Vec<(&str, String)>, WireError> {
    text.split('&')
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            percent_decode(value).map(|value| (key, value))
        })
        .collect()
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Result<String, WireError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut r = Reader::new(text.as_bytes());
    while !r.is_empty() {
        decoded.push(match r.u8()? {
            b'%' => {
                let digits = r.take(2)?;
                let digits = std::str::from_utf8(digits).map_err(|_| WireError::BadText)?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(WireError::BadText);
                }
                u8::from_str_radix(digits, 16).map_err(|_| WireError::BadText)?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| WireError::BadText)
}
