//! Responses and events: what a router tells its clients and proxies.

use super::command::{LinkData, ServiceQueues, split_tag};
use super::error::SmpError;
use super::version::{IdsForm, Layout};
use crate::crypto::boxes::Nonce;
use crate::crypto::certificate::{Chain, SignedKey};
use crate::crypto::keys::X25519Public;
use crate::observe::Kind;
use crate::wire::{
    EntityId, LinkId, MsgId, QueueMode, Reader, VersionRange, WireError, put_bool, put_large, put_list,
    put_opt, put_short,
};

/// A response or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// A queue was created.
    Ids(Box<QueueIds>),
    /// A link's data.
    Lnk {
        /// The queue's sender id.
        sender: EntityId,
        /// The link's data.
        data: LinkData,
    },
    /// Subscribed.
    Sok {
        /// The service that the queue belongs to.
        service: Option<EntityId>,
    },
    /// A service subscribed to all its queues; the router's numbers.
    Soks(ServiceQueues),
    /// A message.
    Msg {
        /// Its id, which is the body's nonce.
        id: MsgId,
        /// The encrypted body: [`super::envelope::MessageBody`].
        body: Vec<u8>,
    },
    /// All messages of a service's queues were sent.
    Alls,
    /// Notifications are enabled.
    Nid(NotifierIds),
    /// A notification.
    Nmsg {
        /// The metadata's nonce.
        nonce: Nonce,
        /// The encrypted metadata: [`super::envelope::NotificationMeta`].
        meta: Vec<u8>,
    },
    /// A proxy has a session with another router.
    Pkey {
        /// The entity of commands to forward there.
        session: EntityId,
        /// Versions for the commands inside.
        versions: VersionRange,
        /// The other router's certificates.
        chain: Chain,
        /// Its session key.
        signed_key: SignedKey,
    },
    /// The answer to a forwarded command, from relay to proxy.
    Rres {
        /// The encrypted answer.
        sealed: Vec<u8>,
    },
    /// The answer to a forwarded command, from proxy to client.
    Pres {
        /// The encrypted answer.
        sealed: Vec<u8>,
    },
    /// Another connection subscribed.
    End,
    /// Another connection of the service subscribed.
    Ends(ServiceQueues),
    /// The queue was deleted.
    Deld,
    /// A queue's state, as JSON text (RC-39).
    Info(String),
    /// Done.
    Ok,
    /// Refused.
    Err(SmpError),
    /// The answer to PING.
    Pong,
    /// What a name stands for, as JSON text (NM-7).
    Rname(String),
}

/// A new queue's ids and the router's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueIds {
    /// For the recipient.
    pub recipient: EntityId,
    /// For senders.
    pub sender: EntityId,
    /// For the encryption of bodies between router and recipient.
    pub dh_key: X25519Public,
    /// The queue's mode.
    pub mode: Option<QueueMode>,
    /// The link's id.
    pub link: Option<LinkId>,
    /// The service that the queue belongs to.
    pub service: Option<EntityId>,
    /// For the notifier.
    pub notifier: Option<NotifierIds>,
}

/// A queue's notifier id and the router's key for notification metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifierIds {
    /// The entity of NSUB.
    pub id: EntityId,
    /// The router's key.
    pub dh_key: X25519Public,
}

impl NotifierIds {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.dh_key.put(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(NotifierIds { id: EntityId::read(r)?, dh_key: X25519Public::read(r)? })
    }
}

impl QueueIds {
    fn put(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.recipient.put(out);
        self.sender.put(out);
        self.dh_key.put(out);
        if layout.ids == IdsForm::SenderSecures {
            put_bool(out, self.mode == Some(QueueMode::Messaging));
        }
        if layout.ids >= IdsForm::Link {
            put_opt(out, self.mode, |out, mode| {
                mode.put(out);
                Ok(())
            })?;
            put_opt(out, self.link.as_ref(), |out, link| {
                link.put(out);
                Ok(())
            })?;
        }
        if layout.ids >= IdsForm::Service {
            put_service(out, &self.service)?;
        }
        if layout.ids >= IdsForm::Notifier {
            put_opt(out, self.notifier.as_ref(), |out, ids| {
                ids.put(out);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read(r: &mut Reader<'_>, layout: &Layout) -> Result<Self, WireError> {
        let (recipient, sender) = (EntityId::read(r)?, EntityId::read(r)?);
        let dh_key = X25519Public::read(r)?;
        let (mut mode, mut link, mut service, mut notifier) = (None, None, None, None);
        if layout.ids == IdsForm::SenderSecures {
            mode = Some(if r.bool()? { QueueMode::Messaging } else { QueueMode::Contact });
        }
        if layout.ids >= IdsForm::Link {
            mode = r.opt(QueueMode::read)?;
            link = r.opt(LinkId::read)?;
        }
        if layout.ids >= IdsForm::Service {
            service = r.opt(EntityId::read)?;
        }
        if layout.ids >= IdsForm::Notifier {
            notifier = r.opt(NotifierIds::read)?;
        }
        Ok(QueueIds { recipient, sender, dh_key, mode, link, service, notifier })
    }
}

fn put_service(out: &mut Vec<u8>, service: &Option<EntityId>) -> Result<(), WireError> {
    put_opt(out, service.as_ref(), |out, id| {
        id.put(out);
        Ok(())
    })
}

impl Response {
    /// Reads a whole response.
    ///
    /// # Errors
    /// [`WireError`] for an unknown tag, parameters that do not parse, or a tail.
    pub fn decode(bytes: &[u8], layout: &Layout) -> Result<Self, WireError> {
        let (tag, mut r) = split_tag(bytes);
        let r = &mut r;
        let bare = matches!(tag, b"ALLS" | b"END" | b"DELD" | b"OK" | b"PONG");
        if !bare {
            r.byte(b' ')?;
        }
        let response = match tag {
            b"IDS" => Response::Ids(Box::new(QueueIds::read(r, layout)?)),
            b"LNK" => Response::Lnk { sender: EntityId::read(r)?, data: LinkData::read(r)? },
            b"SOK" => Response::Sok { service: r.opt(EntityId::read)? },
            b"SOKS" => Response::Soks(ServiceQueues::read(r, layout)?),
            b"MSG" => Response::Msg { id: MsgId::read(r)?, body: r.rest().to_vec() },
            b"ALLS" => Response::Alls,
            b"NID" => Response::Nid(NotifierIds::read(r)?),
            b"NMSG" => Response::Nmsg { nonce: r.array()?, meta: r.short()?.to_vec() },
            b"PKEY" => {
                let (session, versions) = (EntityId::read(r)?, VersionRange::read(r)?);
                let chain = Chain::new(r.list(|r| Ok(r.large()?.to_vec()))?);
                let signed_key = SignedKey::parse(r.large()?).map_err(|_| WireError::BadKey)?;
                Response::Pkey { session, versions, chain, signed_key }
            }
            b"RRES" => Response::Rres { sealed: r.rest().to_vec() },
            b"PRES" => Response::Pres { sealed: r.rest().to_vec() },
            b"END" => Response::End,
            b"ENDS" => Response::Ends(ServiceQueues::read(r, layout)?),
            b"DELD" => Response::Deld,
            b"INFO" => Response::Info(json(r)?),
            b"OK" => Response::Ok,
            b"ERR" => Response::Err(SmpError::decode(r.rest())?),
            b"PONG" => Response::Pong,
            b"RNAME" => Response::Rname(json(r)?),
            _ => return Err(WireError::BadTag),
        };
        r.end()?;
        Ok(response)
    }

    /// Appends the response, with what the peer's version does not know replaced: OK for SOK, END for DELD,
    /// AUTH or less for BLOCKED.
    ///
    /// # Errors
    /// [`WireError`] if a value does not fit its field.
    pub fn encode(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            Response::Sok { .. } if !layout.sok => return Response::Ok.encode(layout, out),
            Response::Deld if !layout.deld => return Response::End.encode(layout, out),
            _ => {}
        }
        out.extend_from_slice(self.tag().as_bytes());
        match self {
            Response::Alls | Response::End | Response::Deld | Response::Ok | Response::Pong => {
                return Ok(());
            }
            _ => out.push(b' '),
        }
        match self {
            Response::Ids(ids) => ids.put(layout, out)?,
            Response::Lnk { sender, data } => {
                sender.put(out);
                data.put(out)?;
            }
            Response::Sok { service } => put_service(out, service)?,
            Response::Soks(queues) | Response::Ends(queues) => queues.put(layout, out)?,
            Response::Msg { id, body } => {
                id.put(out);
                out.extend_from_slice(body);
            }
            Response::Nid(ids) => ids.put(out),
            Response::Nmsg { nonce, meta } => {
                out.extend_from_slice(nonce);
                put_short(out, meta)?;
            }
            Response::Pkey { session, versions, chain, signed_key } => {
                session.put(out);
                versions.put(out);
                put_list(out, &chain.ders, |out, der| put_large(out, der))?;
                put_large(out, signed_key.as_der())?;
            }
            Response::Rres { sealed } | Response::Pres { sealed } => out.extend_from_slice(sealed),
            Response::Info(json) | Response::Rname(json) => out.extend_from_slice(json.as_bytes()),
            Response::Err(error) => error.encode(layout, out)?,
            Response::Alls | Response::End | Response::Deld | Response::Ok | Response::Pong => {}
        }
        Ok(())
    }

    /// The text before the parameters.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Response::Ids(_) => "IDS",
            Response::Lnk { .. } => "LNK",
            Response::Sok { .. } => "SOK",
            Response::Soks(_) => "SOKS",
            Response::Msg { .. } => "MSG",
            Response::Alls => "ALLS",
            Response::Nid(_) => "NID",
            Response::Nmsg { .. } => "NMSG",
            Response::Pkey { .. } => "PKEY",
            Response::Rres { .. } => "RRES",
            Response::Pres { .. } => "PRES",
            Response::End => "END",
            Response::Ends(_) => "ENDS",
            Response::Deld => "DELD",
            Response::Info(_) => "INFO",
            Response::Ok => "OK",
            Response::Err(_) => "ERR",
            Response::Pong => "PONG",
            Response::Rname(_) => "RNAME",
        }
    }

    /// The kind that an observer tells apart.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Response::Ids(_) => Kind::Ids,
            Response::Lnk { .. } => Kind::Lnk,
            Response::Info(_) => Kind::Info,
            Response::Nid(_) => Kind::Nid,
            Response::Nmsg { .. } => Kind::Nmsg,
            Response::Sok { .. } => Kind::Sok,
            Response::Msg { .. } => Kind::Msg,
            Response::Ok => Kind::Ok,
            Response::End => Kind::End,
            Response::Deld => Kind::Deld,
            Response::Pong => Kind::Pong,
            Response::Pkey { .. } => Kind::Pkey,
            Response::Pres { .. } => Kind::Pres,
            Response::Rres { .. } => Kind::Rres,
            Response::Err(_) => Kind::Err,
            _ => Kind::OtherResponse,
        }
    }
}

fn json(r: &mut Reader<'_>) -> Result<String, WireError> {
    String::from_utf8(r.rest().to_vec()).map_err(|_| WireError::BadText)
}
