//! Responses: what a notification router answers. It sends nothing of itself.

use super::status::{SubscriptionStatus, TokenStatus};
use super::version::Layout;
use crate::crypto::keys::X25519Public;
use crate::observe::Kind;
use crate::smp;
use crate::smp::command::split_tag;
use crate::smp::error::SmpError;
use crate::wire::{EntityId, WireError};

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// A token is registered.
    IdTkn {
        /// Its id.
        id: EntityId,
        /// For the encryption of pushes between router and device.
        dh_key: X25519Public,
    },
    /// A queue is subscribed to.
    IdSub(EntityId),
    /// Done.
    Ok,
    /// Refused. The errors are SMP's, at all versions as its newest writes them (NT-23).
    Err(SmpError),
    /// A token's state.
    Tkn(TokenStatus),
    /// A subscription's state.
    Sub(SubscriptionStatus),
    /// The answer to PING.
    Pong,
}

impl Response {
    /// Reads a whole response; at no version is anything else read.
    ///
    /// # Errors
    /// [`WireError`] for an unknown tag, parameters that do not parse, or a tail.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let (tag, mut r) = split_tag(bytes);
        let r = &mut r;
        if !matches!(tag, b"OK" | b"PONG") {
            r.byte(b' ')?;
        }
        let response = match tag {
            b"IDTKN" => Response::IdTkn { id: EntityId::read(r)?, dh_key: X25519Public::read(r)? },
            b"IDSUB" => Response::IdSub(EntityId::read(r)?),
            b"OK" => Response::Ok,
            b"ERR" => Response::Err(SmpError::decode(r.rest())?),
            b"TKN" => Response::Tkn(TokenStatus::decode(r.rest())?),
            b"SUB" => Response::Sub(SubscriptionStatus::read(r)?),
            b"PONG" => Response::Pong,
            _ => return Err(WireError::BadTag),
        };
        r.end()?;
        Ok(response)
    }

    /// Appends the response; why a token is invalid is left out where the version does not know it (NT-12).
    ///
    /// # Errors
    /// [`WireError`] if a value does not fit its field.
    pub fn encode(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.extend_from_slice(self.tag().as_bytes());
        if !matches!(self, Response::Ok | Response::Pong) {
            out.push(b' ');
        }
        match self {
            Response::IdTkn { id, dh_key } => {
                id.put(out);
                dh_key.put(out);
            }
            Response::IdSub(id) => id.put(out),
            Response::Err(error) => error.encode(&smp::version::Layout::of(smp::version::MAX), out)?,
            Response::Tkn(status) => {
                let status = match status {
                    TokenStatus::Invalid(_) if !layout.invalid_reason => TokenStatus::Invalid(None),
                    status => *status,
                };
                out.extend_from_slice(status.to_string().as_bytes());
            }
            Response::Sub(status) => out.extend_from_slice(status.to_string().as_bytes()),
            Response::Ok | Response::Pong => {}
        }
        Ok(())
    }

    /// The text before the parameters.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Response::IdTkn { .. } => "IDTKN",
            Response::IdSub(_) => "IDSUB",
            Response::Ok => "OK",
            Response::Err(_) => "ERR",
            Response::Tkn(_) => "TKN",
            Response::Sub(_) => "SUB",
            Response::Pong => "PONG",
        }
    }

    /// The kind that an observer tells apart.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Response::IdTkn { .. } => Kind::IdTkn,
            Response::IdSub(_) => Kind::IdSub,
            Response::Ok => Kind::Ok,
            Response::Err(_) => Kind::Err,
            Response::Tkn(_) => Kind::Tkn,
            Response::Sub(_) => Kind::SubState,
            Response::Pong => Kind::Pong,
        }
    }
}
