//! Commands: what devices ask of a notification router.

use std::fmt;
use std::str::FromStr;

use crate::crypto::keys::{AuthPublicKey, AuthSecretKey, X25519Public};
use crate::observe::Kind;
use crate::smp::command::split_tag;
use crate::smp::error::CommandError;
use crate::wire::{
    EntityId, Reader, RouterAddress, WireError, base64url, base64url_decode, put_short, put_u16,
};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Register a device token.
    TNew(Box<NewToken>),
    /// Give back the code that came in a push.
    TVfy(Code),
    /// Ask for a token's state.
    TChk,
    /// Replace the device token, and keep the subscriptions.
    TRpl(DeviceToken),
    /// Delete a token and its subscriptions.
    TDel,
    /// Have a push sent every so many minutes; 0 for none.
    TCrn(u16),
    /// Subscribe to a queue's notifications.
    SNew(Box<NewSubscription>),
    /// Ask for a subscription's state.
    SChk,
    /// Delete a subscription.
    SDel,
    /// Keep the connection.
    Ping,
}

/// What TNEW registers (NT-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Where pushes go to.
    pub device: DeviceToken,
    /// Authorizes the token's commands and those of its subscriptions, TNEW among them.
    pub auth_key: AuthPublicKey,
    /// For the encryption of pushes between router and device.
    pub dh_key: X25519Public,
}

/// What SNEW subscribes to (NT-17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// The token's id.
    pub token: EntityId,
    /// The queue.
    pub queue: NotifierQueue,
    /// The secret key whose public one the queue's recipient gave to the SMP router with NKEY.
    pub key: AuthSecretKey,
}

/// The code that shows that a device gets the pushes that are sent to its token: 32 bytes of a router, at most 255.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(EntityId);

impl Code {
    /// From any bytes.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above 255 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, WireError> {
        EntityId::new(bytes).map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<[u8; 32]> for Code {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }
}

/// Who pushes (NT-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Apple's, for applications under development.
    ApnsDev,
    /// Apple's.
    ApnsProd,
    /// A stand-in for it; routers refuse it unless they are told otherwise (D82).
    ApnsTest,
    /// Nobody: pushes count as sent, and are not.
    ApnsNull,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ApnsDev, Self::ApnsProd, Self::ApnsTest, Self::ApnsNull];

    /// The two letters on the wire.
    #[must_use]
    pub const fn letters(self) -> &'static [u8; 2] {
        match self {
            Self::ApnsDev => b"AD",
            Self::ApnsProd => b"AP",
            Self::ApnsTest => b"AT",
            Self::ApnsNull => b"AN",
        }
    }

    /// The name in settings and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApnsDev => "apns_dev",
            Self::ApnsProd => "apns_prod",
            Self::ApnsTest => "apns_test",
            Self::ApnsNull => "apns_null",
        }
    }

    /// The provider of two letters.
    ///
    /// # Errors
    /// [`WireError::BadTag`], [`WireError::UnexpectedEnd`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let letters = r.array::<2>()?;
        Self::ALL.into_iter().find(|provider| *provider.letters() == letters).ok_or(WireError::BadTag)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where pushes go to: a provider's name for an application on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceToken {
    /// Whose it is.
    pub provider: Provider,
    /// The name: of Apple, lower-case hexadecimal digits; at most 255 bytes.
    pub name: EntityId,
}

impl DeviceToken {
    /// Two letters and the name with its length.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.provider.letters());
        self.name.put(out);
    }

    /// The same.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { provider: Provider::read(r)?, name: EntityId::read(r)? })
    }
}

/// A queue as its notifier knows it: neither its recipient's nor its senders' id (NT-34).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifierQueue {
    /// The SMP router.
    pub router: RouterAddress,
    /// The notifier's id there.
    pub notifier: EntityId,
}

impl fmt::Display for NotifierQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.router, base64url(self.notifier.as_bytes()))
    }
}

impl FromStr for NotifierQueue {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let (router, notifier) = text.rsplit_once('/').ok_or(WireError::BadText)?;
        Ok(Self { router: router.parse()?, notifier: EntityId::new(&base64url_decode(notifier)?)? })
    }
}

impl NewToken {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(b'T');
        self.device.put(out);
        self.auth_key.put(out);
        self.dh_key.put(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.byte(b'T')?;
        let (device, auth_key) = (DeviceToken::read(r)?, AuthPublicKey::read(r)?);
        Ok(Self { device, auth_key, dh_key: X25519Public::read(r)? })
    }
}

impl NewSubscription {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.push(b'S');
        self.token.put(out);
        self.queue.router.put(out)?;
        self.queue.notifier.put(out);
        put_short(out, &self.key.pkcs8())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.byte(b'S')?;
        let token = EntityId::read(r)?;
        let queue = NotifierQueue { router: RouterAddress::read(r)?, notifier: EntityId::read(r)? };
        Ok(Self { token, queue, key: AuthSecretKey::from_pkcs8(r.short()?)? })
    }
}

impl Command {
    /// Reads a whole command; it is the same at all versions.
    ///
    /// # Errors
    /// [`CommandError::Unknown`] if no command has this tag, [`CommandError::Syntax`] if its parameters do
    /// not parse or something follows them.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        let (tag, mut r) = split_tag(bytes);
        let command = Command::read(tag, &mut r).map_err(|_| CommandError::Syntax)?;
        let command = command.ok_or(CommandError::Unknown)?;
        r.end().map_err(|_| CommandError::Syntax)?;
        Ok(command)
    }

    /// `None` for an unknown tag.
    fn read(tag: &[u8], r: &mut Reader<'_>) -> Result<Option<Self>, WireError> {
        if matches!(tag, b"TNEW" | b"TVFY" | b"TRPL" | b"TCRN" | b"SNEW") {
            r.byte(b' ')?;
        }
        Ok(Some(match tag {
            b"TNEW" => Command::TNew(Box::new(NewToken::read(r)?)),
            b"TVFY" => Command::TVfy(Code(EntityId::read(r)?)),
            b"TCHK" => Command::TChk,
            b"TRPL" => Command::TRpl(DeviceToken::read(r)?),
            b"TDEL" => Command::TDel,
            b"TCRN" => Command::TCrn(r.u16()?),
            b"SNEW" => Command::SNew(Box::new(NewSubscription::read(r)?)),
            b"SCHK" => Command::SChk,
            b"SDEL" => Command::SDel,
            b"PING" => Command::Ping,
            _ => return Ok(None),
        }))
    }

    /// Appends the command.
    ///
    /// # Errors
    /// [`WireError`] if a value does not fit its field.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.extend_from_slice(self.tag().as_bytes());
        if !matches!(self, Command::TChk | Command::TDel | Command::SChk | Command::SDel | Command::Ping) {
            out.push(b' ');
        }
        match self {
            Command::TNew(new) => new.put(out),
            Command::TVfy(code) => code.0.put(out),
            Command::TRpl(device) => device.put(out),
            Command::TCrn(minutes) => put_u16(out, *minutes),
            Command::SNew(new) => new.put(out)?,
            Command::TChk | Command::TDel | Command::SChk | Command::SDel | Command::Ping => {}
        }
        Ok(())
    }

    /// The text before the parameters.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Command::TNew(_) => "TNEW",
            Command::TVfy(_) => "TVFY",
            Command::TChk => "TCHK",
            Command::TRpl(_) => "TRPL",
            Command::TDel => "TDEL",
            Command::TCrn(_) => "TCRN",
            Command::SNew(_) => "SNEW",
            Command::SChk => "SCHK",
            Command::SDel => "SDEL",
            Command::Ping => "PING",
        }
    }

    /// What is wrong with the authorization or entity that it came with, if anything is (NT-22).
    ///
    /// # Errors
    /// [`CommandError::NoAuth`], [`CommandError::HasAuth`].
    pub fn check(&self, signed: bool, entity: bool) -> Result<(), CommandError> {
        match self {
            Command::Ping if signed || entity => Err(CommandError::HasAuth),
            Command::Ping => Ok(()),
            _ if !signed => Err(CommandError::NoAuth),
            Command::TNew(_) | Command::SNew(_) if entity => Err(CommandError::HasAuth),
            Command::TNew(_) | Command::SNew(_) => Ok(()),
            _ if !entity => Err(CommandError::NoAuth),
            _ => Ok(()),
        }
    }

    /// The kind that an observer tells apart.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Command::TNew(_) => Kind::TNew,
            Command::TVfy(_) => Kind::TVfy,
            Command::TChk => Kind::TChk,
            Command::TRpl(_) => Kind::TRpl,
            Command::TDel => Kind::TDel,
            Command::TCrn(_) => Kind::TCrn,
            Command::SNew(_) => Kind::SNew,
            Command::SChk => Kind::SChk,
            Command::SDel => Kind::SDel,
            Command::Ping => Kind::Ping,
        }
    }
}
