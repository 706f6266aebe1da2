//! Addresses of routers (SN-21, ENC-13, HARDPARTS 14).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

use super::{Reader, WireError, put_list, put_short};

/// The port of an address that names none (TR-1).
pub const DEFAULT_PORT: u16 = 5223;

/// Base64url with `=` padding (ENC-11).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

/// The bytes of base64url text, padded or not.
///
/// # Errors
/// [`WireError::BadText`].
pub fn base64url_decode(text: &str) -> Result<Vec<u8>, WireError> {
    let engine = if text.ends_with('=') { URL_SAFE } else { URL_SAFE_NO_PAD };
    engine.decode(text).map_err(|_| WireError::BadText)
}

/// A host of a router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; brackets around it are read but not written.
    V6(Ipv6Addr),
    /// An onion service: the name with its `.onion`.
    Onion(String),
    /// A domain name.
    Domain(String),
}

impl FromStr for Host {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        if let Ok(address) = text.parse() {
            return Ok(Host::V4(address));
        }
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Host::V6(address));
        }
        let onion = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if text.strip_suffix(".onion").is_some_and(|name| !name.is_empty() && name.chars().all(onion)) {
            return Ok(Host::Onion(text.to_owned()));
        }
        let forbidden = |c: char| !c.is_ascii_graphic() || ":#,;/[]".contains(c);
        if text.is_empty() || text.ends_with(".onion") || text.contains(forbidden) {
            return Err(WireError::BadText);
        }
        Ok(Host::Domain(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => address.fmt(f),
            Host::Onion(name) | Host::Domain(name) => f.write_str(name),
        }
    }
}

impl Host {
    /// The text form, as a string with a one-byte length.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above 255 bytes.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        put_short(out, self.to_string().as_bytes())
    }

    /// The text form, as a string with a one-byte length.
    ///
    /// # Errors
    /// [`WireError::BadText`], [`WireError::UnexpectedEnd`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        std::str::from_utf8(r.short()?).map_err(|_| WireError::BadText)?.parse()
    }
}

/// Where a router is and who it is: `smp://identity[:password]@host[,host…][:port]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterAddress {
    /// At least one host of the same router.
    pub hosts: Vec<Host>,
    /// The port if the address names one.
    pub port: Option<u16>,
    /// SHA-256 of the identity certificate's DER (TR-5).
    pub identity: [u8; 32],
    /// The password for creating queues; printable ASCII without space and `@ : /`.
    pub password: Option<String>,
}

const SCHEME: &str = "smp";

impl RouterAddress {
    /// The port to connect to.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// The same router without the password, as it is given to others.
    #[must_use]
    pub fn public(&self) -> RouterAddress {
        RouterAddress { password: None, ..self.clone() }
    }

    /// The binary form, without the password: hosts, port, identity.
    ///
    /// # Errors
    /// [`WireError::BadLength`] without hosts or with more than 255, [`WireError::TooLong`] for a long host.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        put_list(out, &self.hosts, |out, host| host.put(out))?;
        put_port(out, self.port)?;
        put_short(out, &self.identity)
    }

    /// The binary form; it has no password.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let hosts = r.list(Host::read)?;
        let (port, identity) = (read_port(r)?, read_identity(r)?);
        Ok(RouterAddress { hosts, port, identity, password: None })
    }
}

/// The port's digits as a string; empty for none.
pub(super) fn put_port(out: &mut Vec<u8>, port: Option<u16>) -> Result<(), WireError> {
    put_short(out, port.map(|p| p.to_string()).unwrap_or_default().as_bytes())
}

pub(super) fn read_port(r: &mut Reader<'_>) -> Result<Option<u16>, WireError> {
    match r.short()? {
        b"" => Ok(None),
        digits => parse_number(std::str::from_utf8(digits).map_err(|_| WireError::BadText)?).map(Some),
    }
}

pub(super) fn read_identity(r: &mut Reader<'_>) -> Result<[u8; 32], WireError> {
    r.short()?.try_into().map_err(|_| WireError::BadLength)
}

/// A number in decimal digits; neither sign nor anything else.
pub(super) fn parse_number(text: &str) -> Result<u16, WireError> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_err(|_| WireError::BadText)
    } else {
        Err(WireError::BadText)
    }
}

impl FromStr for RouterAddress {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        RouterAddress::parse_as(SCHEME, text)
    }
}

impl RouterAddress {
    /// Reads an address with another scheme than `smp`: of another protocol's router.
    pub(crate) fn parse_as(scheme: &str, text: &str) -> Result<Self, WireError> {
        let rest = text.strip_prefix(scheme).and_then(|text| text.strip_prefix("://"));
        let (who, place) = rest.and_then(|rest| rest.split_once('@')).ok_or(WireError::BadText)?;
        let (identity, password) = match who.split_once(':') {
            Some((identity, password)) => (identity, Some(password)),
            None => (who, None),
        };
        let printable = |c: char| c.is_ascii_graphic() && !"@:/".contains(c);
        if password.is_some_and(|p| p.is_empty() || !p.chars().all(printable)) {
            return Err(WireError::BadText);
        }
        let identity = base64url_decode(identity)?.try_into().map_err(|_| WireError::BadText)?;
        let (hosts, port) = split_port(place)?;
        Ok(RouterAddress {
            hosts: hosts.split(',').map(Host::from_str).collect::<Result<_, _>>()?,
            port,
            identity,
            password: password.map(str::to_owned),
        })
    }
}

/// Splits `hosts[:port]`. What follows the last host's last colon is a port unless the whole is a bare
/// IPv6 address: `::1` is a host, `[::1]:5223` a host and a port.
fn split_port(place: &str) -> Result<(&str, Option<u16>), WireError> {
    let last = place.rsplit(',').next().unwrap_or(place);
    if last.parse::<Ipv6Addr>().is_ok() || last.ends_with(']') {
        return Ok((place, None));
    }
    match last.rsplit_once(':') {
        Some((_, port)) => {
            let hosts = place.strip_suffix(port).and_then(|t| t.strip_suffix(':'));
            Ok((hosts.unwrap_or(place), Some(parse_number(port)?)))
        }
        None => Ok((place, None)),
    }
}

impl fmt::Display for RouterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_as(SCHEME, f)
    }
}

impl RouterAddress {
    /// Writes it with another scheme than `smp`.
    pub(crate) fn write_as(&self, scheme: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{scheme}://{}", base64url(&self.identity))?;
        if let Some(password) = &self.password {
            write!(f, ":{password}")?;
        }
        for (i, host) in self.hosts.iter().enumerate() {
            f.write_str(if i == 0 { "@" } else { "," })?;
            match host {
                // A port after a bare IPv6 address would be read as its last group.
                Host::V6(address) if self.port.is_some() => write!(f, "[{address}]")?,
                _ => write!(f, "{host}")?,
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
