//! Commands: what clients and proxies ask of a router.

use super::error::CommandError;
use super::name::Name;
use super::version::{Layout, NewForm};
use crate::crypto::keys::{AuthPublicKey, X25519Public};
use crate::observe::Kind;
use crate::wire::{
    EntityId, LinkId, MsgId, QueueMode, Reader, RouterAddress, WireError, put_bool, put_i64, put_large,
    put_list, put_opt, put_short, put_u16,
};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Create a queue.
    New(Box<NewQueue>),
    /// Subscribe to a queue.
    Sub,
    /// Subscribe to all queues of a service.
    Subs(ServiceQueues),
    /// Secure a queue for the sender with this key.
    Key(AuthPublicKey),
    /// Replace the recipient's keys: 1 to 255.
    RKey(Vec<AuthPublicKey>),
    /// Set or change a short link's data.
    LSet {
        /// The link.
        link: LinkId,
        /// Its data.
        data: LinkData,
    },
    /// Delete the short link.
    LDel,
    /// Enable notifications.
    NKey(NotifierKeys),
    /// Disable notifications.
    NDel,
    /// Get one message without subscribing.
    Get,
    /// Acknowledge a message.
    Ack(MsgId),
    /// Suspend a queue.
    Off,
    /// Delete a queue.
    Del,
    /// Ask for a queue's state.
    Que,
    /// Secure a queue as its sender.
    SKey(AuthPublicKey),
    /// Send a message.
    Send {
        /// What the router should do besides delivering it.
        flags: MsgFlags,
        /// The message; as a rule an [`super::envelope::Envelope`].
        body: Vec<u8>,
    },
    /// Keep the connection.
    Ping,
    /// Secure a queue through its link and get the link's data.
    LKey(AuthPublicKey),
    /// Get a link's data.
    LGet,
    /// Subscribe to a queue's notifications.
    NSub,
    /// Subscribe to all notifications of a service.
    NSubs(ServiceQueues),
    /// Ask a proxy for a session with another router.
    Prxy {
        /// The other router.
        router: RouterAddress,
        /// The proxy's password.
        password: Option<String>,
    },
    /// Have a proxy forward a command.
    Pfwd {
        /// The version of the command inside.
        version: u16,
        /// The client's key for this command.
        key: X25519Public,
        /// The encrypted command.
        sealed: Vec<u8>,
    },
    /// A proxy forwards a command.
    Rfwd {
        /// The encrypted forward.
        sealed: Vec<u8>,
    },
    /// Resolve a name.
    Rslv(Name),
}

/// What NEW creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQueue {
    /// Authorizes the recipient's commands, NEW among them.
    pub auth_key: AuthPublicKey,
    /// For the encryption of bodies between router and recipient.
    pub dh_key: X25519Public,
    /// The router's password.
    pub password: Option<String>,
    /// Whether the connection is subscribed at once (`S`) or not (`C`).
    pub subscribe: bool,
    /// What the queue is for.
    pub queue: QueueRequest,
    /// Enable notifications at once.
    pub notifier: Option<NotifierKeys>,
}

impl NewQueue {
    /// A messaging queue, subscribed to at once, with neither password nor link nor notifications.
    #[must_use]
    pub fn messaging(auth_key: AuthPublicKey, dh_key: X25519Public) -> Self {
        let queue = QueueRequest::Messaging(None);
        NewQueue { auth_key, dh_key, password: None, subscribe: true, queue, notifier: None }
    }

    /// The same for a contact queue, which anybody may send to.
    #[must_use]
    pub fn contact(auth_key: AuthPublicKey, dh_key: X25519Public) -> Self {
        NewQueue { queue: QueueRequest::Contact(None), ..Self::messaging(auth_key, dh_key) }
    }
}

/// What a new queue is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueRequest {
    /// Not said: a queue as before modes were introduced.
    None,
    /// Messaging, perhaps with a link.
    Messaging(Option<MessagingLink>),
    /// Contact, perhaps with a link.
    Contact(Option<ContactLink>),
}

impl QueueRequest {
    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Option<QueueMode> {
        match self {
            QueueRequest::None => None,
            QueueRequest::Messaging(_) => Some(QueueMode::Messaging),
            QueueRequest::Contact(_) => Some(QueueMode::Contact),
        }
    }
}

/// The link of a messaging queue; the router chooses its id (RC-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingLink {
    /// The sender id that the client derives from the correlation id (RC-9).
    pub sender: EntityId,
    /// The link's data.
    pub data: LinkData,
}

/// The link of a contact queue; the client chooses its id (RC-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactLink {
    /// The link's id, of any length.
    pub link: LinkId,
    /// The sender id that the client derives from the correlation id (RC-9).
    pub sender: EntityId,
    /// The link's data.
    pub data: LinkData,
}

/// A short link's encrypted data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkData {
    /// What never changes.
    pub fixed: Vec<u8>,
    /// What its owner may change.
    pub user: Vec<u8>,
}

/// Keys of a queue's notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifierKeys {
    /// Authorizes NSUB.
    pub auth_key: AuthPublicKey,
    /// For the encryption of notification metadata between router and recipient.
    pub dh_key: X25519Public,
}

/// How many queues a service believes to have, and the XOR of the MD5 of their ids (SV-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceQueues {
    /// The number of queues; −1 for unknown.
    pub count: i64,
    /// The hash; zero for no queues, and where the version has none.
    pub hash: [u8; 16],
}

impl ServiceQueues {
    /// What a command without parameters means.
    pub const UNKNOWN: ServiceQueues = ServiceQueues { count: -1, hash: [0; 16] };

    pub(super) fn put(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        put_i64(out, self.count);
        if layout.service_hash { put_short(out, &self.hash) } else { Ok(()) }
    }

    pub(super) fn read(r: &mut Reader<'_>, layout: &Layout) -> Result<Self, WireError> {
        let count = r.i64()?;
        let hash = if layout.service_hash {
            r.short()?.try_into().map_err(|_| WireError::BadLength)?
        } else {
            [0; 16]
        };
        Ok(ServiceQueues { count, hash })
    }
}

/// What a sender asks the router to do besides delivering a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsgFlags {
    /// Notify the recipient.
    pub notification: bool,
}

impl MsgFlags {
    /// The flag's letter.
    pub fn put(self, out: &mut Vec<u8>) {
        put_bool(out, self.notification);
    }

    /// The flag's letter and any further ones, which are skipped, up to a space (SN-2).
    ///
    /// # Errors
    /// [`WireError::BadTag`] if the first is neither `T` nor `F`, [`WireError::UnexpectedEnd`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let notification = r.bool()?;
        while r.peek().is_some_and(|byte| byte != b' ') {
            r.u8()?;
        }
        Ok(MsgFlags { notification })
    }
}

impl LinkData {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        put_large(out, &self.fixed)?;
        put_large(out, &self.user)
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(LinkData { fixed: r.large()?.to_vec(), user: r.large()?.to_vec() })
    }
}

impl NotifierKeys {
    fn put(&self, out: &mut Vec<u8>) {
        self.auth_key.put(out);
        self.dh_key.put(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(NotifierKeys { auth_key: AuthPublicKey::read(r)?, dh_key: X25519Public::read(r)? })
    }
}

fn put_password(out: &mut Vec<u8>, password: &Option<String>) -> Result<(), WireError> {
    put_opt(out, password.as_ref(), |out, password| put_short(out, password.as_bytes()))
}

fn read_password(r: &mut Reader<'_>) -> Result<String, WireError> {
    let allowed = |byte: &u8| byte.is_ascii_graphic() && !b"@:/".contains(byte);
    let password = r.short()?;
    if !password.iter().all(allowed) {
        return Err(WireError::BadText);
    }
    String::from_utf8(password.to_vec()).map_err(|_| WireError::BadText)
}

impl QueueRequest {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            QueueRequest::None => out.push(b'0'),
            QueueRequest::Messaging(link) => {
                out.extend_from_slice(b"1M");
                put_opt(out, link.as_ref(), |out, link| {
                    link.sender.put(out);
                    link.data.put(out)
                })?;
            }
            QueueRequest::Contact(link) => {
                out.extend_from_slice(b"1C");
                put_opt(out, link.as_ref(), |out, link| {
                    link.link.put(out);
                    link.sender.put(out);
                    link.data.put(out)
                })?;
            }
        }
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let request = r.opt(|r| match QueueMode::read(r)? {
            QueueMode::Messaging => Ok(QueueRequest::Messaging(
                r.opt(|r| Ok(MessagingLink { sender: EntityId::read(r)?, data: LinkData::read(r)? }))?,
            )),
            QueueMode::Contact => Ok(QueueRequest::Contact(r.opt(|r| {
                let (link, sender) = (LinkId::read(r)?, EntityId::read(r)?);
                Ok(ContactLink { link, sender, data: LinkData::read(r)? })
            })?)),
        })?;
        Ok(request.unwrap_or(QueueRequest::None))
    }
}

impl NewQueue {
    fn put(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.auth_key.put(out);
        self.dh_key.put(out);
        if layout.new == NewForm::Letter {
            if let Some(password) = &self.password {
                out.push(b'A');
                put_short(out, password.as_bytes())?;
            }
        } else {
            put_password(out, &self.password)?;
        }
        out.push(if self.subscribe { b'S' } else { b'C' });
        match layout.new {
            NewForm::Letter => {}
            NewForm::SenderSecures => {
                put_bool(out, self.queue.mode() == Some(QueueMode::Messaging));
            }
            NewForm::QueueData | NewForm::Notifier => self.queue.put(out)?,
        }
        if layout.new == NewForm::Notifier {
            put_opt(out, self.notifier.as_ref(), |out, keys| {
                keys.put(out);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read(r: &mut Reader<'_>, layout: &Layout) -> Result<Self, WireError> {
        let (auth_key, dh_key) = (AuthPublicKey::read(r)?, X25519Public::read(r)?);
        let password = if layout.new != NewForm::Letter {
            r.opt(read_password)?
        } else if r.peek() == Some(b'A') {
            r.byte(b'A')?;
            Some(read_password(r)?)
        } else {
            None
        };
        let subscribe = match r.u8()? {
            b'S' => true,
            b'C' => false,
            _ => return Err(WireError::BadTag),
        };
        let queue = match layout.new {
            NewForm::Letter => QueueRequest::None,
            NewForm::SenderSecures if r.bool()? => QueueRequest::Messaging(None),
            NewForm::SenderSecures => QueueRequest::Contact(None),
            NewForm::QueueData | NewForm::Notifier => QueueRequest::read(r)?,
        };
        let notifier = if layout.new == NewForm::Notifier { r.opt(NotifierKeys::read)? } else { None };
        Ok(NewQueue { auth_key, dh_key, password, subscribe, queue, notifier })
    }
}

/// Splits the tag from what follows it, which begins with a space if there is anything.
pub(crate) fn split_tag(bytes: &[u8]) -> (&[u8], Reader<'_>) {
    let len = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (tag, parameters) = bytes.split_at_checked(len).unwrap_or((bytes, b""));
    (tag, Reader::new(parameters))
}

impl Command {
    /// Reads a whole command. Any command is known at any version (D67).
    ///
    /// # Errors
    /// [`CommandError::Unknown`] if no command has this tag, [`CommandError::Syntax`] if its parameters do
    /// not parse or something follows them (AU-14).
    pub fn decode(bytes: &[u8], layout: &Layout) -> Result<Self, CommandError> {
        let (tag, mut r) = split_tag(bytes);
        let command = Command::read(tag, &mut r, layout).map_err(|_| CommandError::Syntax)?;
        let command = command.ok_or(CommandError::Unknown)?;
        r.end().map_err(|_| CommandError::Syntax)?;
        Ok(command)
    }

    /// `None` for an unknown tag.
    fn read(tag: &[u8], r: &mut Reader<'_>, layout: &Layout) -> Result<Option<Self>, WireError> {
        let subscribed = |r: &mut Reader<'_>| {
            if !layout.service_hash {
                return Ok(ServiceQueues::UNKNOWN);
            }
            r.byte(b' ')?;
            ServiceQueues::read(r, layout)
        };
        let with_parameters = matches!(
            tag,
            b"NEW"
                | b"KEY"
                | b"RKEY"
                | b"LSET"
                | b"NKEY"
                | b"ACK"
                | b"SKEY"
                | b"SEND"
                | b"LKEY"
                | b"PRXY"
                | b"PFWD"
                | b"RFWD"
                | b"RSLV"
        );
        if with_parameters {
            r.byte(b' ')?;
        }
        Ok(Some(match tag {
            b"NEW" => Command::New(Box::new(NewQueue::read(r, layout)?)),
            b"SUB" => Command::Sub,
            b"SUBS" => Command::Subs(subscribed(r)?),
            b"KEY" => Command::Key(AuthPublicKey::read(r)?),
            b"RKEY" => Command::RKey(r.list(AuthPublicKey::read)?),
            b"LSET" => Command::LSet { link: LinkId::read(r)?, data: LinkData::read(r)? },
            b"LDEL" => Command::LDel,
            b"NKEY" => Command::NKey(NotifierKeys::read(r)?),
            b"NDEL" => Command::NDel,
            b"GET" => Command::Get,
            b"ACK" => Command::Ack(MsgId::read(r)?),
            b"OFF" => Command::Off,
            b"DEL" => Command::Del,
            b"QUE" => Command::Que,
            b"SKEY" => Command::SKey(AuthPublicKey::read(r)?),
            b"SEND" => {
                let flags = MsgFlags::read(r)?;
                r.byte(b' ')?;
                Command::Send { flags, body: r.rest().to_vec() }
            }
            b"PING" => Command::Ping,
            b"LKEY" => Command::LKey(AuthPublicKey::read(r)?),
            b"LGET" => Command::LGet,
            b"NSUB" => Command::NSub,
            b"NSUBS" => Command::NSubs(subscribed(r)?),
            b"PRXY" => {
                let router = RouterAddress::read(r)?;
                Command::Prxy { router, password: r.opt(read_password)? }
            }
            b"PFWD" => {
                let (version, key) = (r.u16()?, X25519Public::read(r)?);
                Command::Pfwd { version, key, sealed: r.rest().to_vec() }
            }
            b"RFWD" => Command::Rfwd { sealed: r.rest().to_vec() },
            b"RSLV" => Command::Rslv(Name::read(r)?),
            _ => return Ok(None),
        }))
    }

    /// Appends the command.
    ///
    /// # Errors
    /// [`WireError`] if a value does not fit its field.
    pub fn encode(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.extend_from_slice(self.tag().as_bytes());
        if !self.is_bare(layout) {
            out.push(b' ');
        }
        match self {
            Command::New(new) => new.put(layout, out)?,
            Command::Subs(queues) | Command::NSubs(queues) if layout.service_hash => {
                queues.put(layout, out)?;
            }
            Command::Key(key) | Command::SKey(key) | Command::LKey(key) => key.put(out),
            Command::RKey(keys) => put_list(out, keys, |out, key| {
                key.put(out);
                Ok(())
            })?,
            Command::LSet { link, data } => {
                link.put(out);
                data.put(out)?;
            }
            Command::NKey(keys) => keys.put(out),
            Command::Ack(id) => id.put(out),
            Command::Send { flags, body } => {
                flags.put(out);
                out.push(b' ');
                out.extend_from_slice(body);
            }
            Command::Prxy { router, password } => {
                router.put(out)?;
                put_password(out, password)?;
            }
            Command::Pfwd { version, key, sealed } => {
                put_u16(out, *version);
                key.put(out);
                out.extend_from_slice(sealed);
            }
            Command::Rfwd { sealed } => out.extend_from_slice(sealed),
            Command::Rslv(name) => out.extend_from_slice(name.as_str().as_bytes()),
            _ => {}
        }
        Ok(())
    }

    /// The text before the parameters.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Command::New(_) => "NEW",
            Command::Sub => "SUB",
            Command::Subs(_) => "SUBS",
            Command::Key(_) => "KEY",
            Command::RKey(_) => "RKEY",
            Command::LSet { .. } => "LSET",
            Command::LDel => "LDEL",
            Command::NKey(_) => "NKEY",
            Command::NDel => "NDEL",
            Command::Get => "GET",
            Command::Ack(_) => "ACK",
            Command::Off => "OFF",
            Command::Del => "DEL",
            Command::Que => "QUE",
            Command::SKey(_) => "SKEY",
            Command::Send { .. } => "SEND",
            Command::Ping => "PING",
            Command::LKey(_) => "LKEY",
            Command::LGet => "LGET",
            Command::NSub => "NSUB",
            Command::NSubs(_) => "NSUBS",
            Command::Prxy { .. } => "PRXY",
            Command::Pfwd { .. } => "PFWD",
            Command::Rfwd { .. } => "RFWD",
            Command::Rslv(_) => "RSLV",
        }
    }

    /// Whether a service signs it beside whoever authorizes it (SV-7).
    #[must_use]
    pub fn is_signed_by_service(&self) -> bool {
        matches!(self, Command::New(_) | Command::Sub | Command::NSub)
    }

    /// Whether a service authorizes it, and nobody else (SV-12, SV-18).
    #[must_use]
    pub fn is_of_service(&self) -> bool {
        matches!(self, Command::Subs(_) | Command::NSubs(_))
    }

    /// Whether nothing follows the tag.
    fn is_bare(&self, layout: &Layout) -> bool {
        match self {
            Command::Sub | Command::LDel | Command::NDel | Command::Get | Command::Off => true,
            Command::Del | Command::Que | Command::Ping | Command::LGet | Command::NSub => true,
            Command::Subs(_) | Command::NSubs(_) => !layout.service_hash,
            _ => false,
        }
    }

    /// The kind that an observer tells apart.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Command::New(_) => Kind::New,
            Command::Sub => Kind::Sub,
            Command::Key(_) => Kind::Key,
            Command::RKey(_) => Kind::RKey,
            Command::SKey(_) => Kind::SKey,
            Command::Send { .. } => Kind::Send,
            Command::Ack(_) => Kind::Ack,
            Command::Get => Kind::Get,
            Command::Off => Kind::Off,
            Command::Del => Kind::Del,
            Command::Que => Kind::Que,
            Command::LSet { .. } => Kind::LSet,
            Command::LDel => Kind::LDel,
            Command::LKey(_) => Kind::LKey,
            Command::LGet => Kind::LGet,
            Command::NKey(_) => Kind::NKey,
            Command::NDel => Kind::NDel,
            Command::NSub => Kind::NSub,
            Command::Ping => Kind::Ping,
            Command::Prxy { .. } => Kind::Prxy,
            Command::Pfwd { .. } => Kind::Pfwd,
            Command::Rfwd { .. } => Kind::Rfwd,
            _ => Kind::OtherCommand,
        }
    }
}
