//! Errors as they travel: text tags after `ERR ` (ER-1 to ER-8).

use std::fmt;

use super::version::{BlockedForm, Layout};
use crate::wire::{Reader, WireError, put_short};

/// Why a router refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmpError {
    /// A block or transmission does not parse.
    #[error("BLOCK")]
    Block,
    /// Another session id than this session's.
    #[error("SESSION")]
    Session,
    /// The command itself is wrong.
    #[error("CMD {0}")]
    Command(CommandError),
    /// The proxy can't forward the command.
    #[error("PROXY {0}")]
    Proxy(ProxyError),
    /// Not authorized, or nothing there: these are not told apart (AU-6).
    #[error("AUTH")]
    Auth,
    /// The router's operator blocked the queue.
    #[error("BLOCKED {0}")]
    Blocked(BlockingInfo),
    /// A service signature is missing, wrong or out of place.
    #[error("SERVICE")]
    Service,
    /// A forwarded command does not decrypt.
    #[error("CRYPTO")]
    Crypto,
    /// The queue is full.
    #[error("QUOTA")]
    Quota,
    /// The router's store failed.
    #[error("STORE {0}")]
    Store(String),
    /// The message expired; no router sends it (ER-7).
    #[error("EXPIRED")]
    Expired,
    /// No message to acknowledge.
    #[error("NO_MSG")]
    NoMsg,
    /// The message is too large.
    #[error("LARGE_MSG")]
    LargeMsg,
    /// The router failed.
    #[error("INTERNAL")]
    Internal,
    /// A name was not resolved.
    #[error("NAME {0}")]
    Name(NameError),
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("UNKNOWN")]
    Unknown,
    /// Its parameters do not parse.
    #[error("SYNTAX")]
    Syntax,
    /// Not allowed here and now.
    #[error("PROHIBITED")]
    Prohibited,
    /// It needs authorization, and perhaps an entity.
    #[error("NO_AUTH")]
    NoAuth,
    /// It must have no authorization, or no entity.
    #[error("HAS_AUTH")]
    HasAuth,
    /// It needs an entity.
    #[error("NO_ENTITY")]
    NoEntity,
}

/// What keeps a proxy from forwarding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The relay answered the forward itself with an error.
    #[error("PROTOCOL {0}")]
    Protocol(Box<SmpError>),
    /// The relay can't be talked to.
    #[error("BROKER {0}")]
    Broker(BrokerError),
    /// The proxy's password is missing or wrong, or it forwards for nobody.
    #[error("BASIC_AUTH")]
    BasicAuth,
    /// No session with this id.
    #[error("NO_SESSION")]
    NoSession,
}

/// Why a router can't be talked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Its response does not parse.
    #[error("RESPONSE {0}")]
    Response(String),
    /// Its response does not fit the command.
    #[error("UNEXPECTED {0}")]
    Unexpected(String),
    /// No connection. The detail is read but never written (D43).
    #[error("NETWORK")]
    Network,
    /// No answer in time.
    #[error("TIMEOUT")]
    Timeout,
    /// Its host is not to be used.
    #[error("HOST")]
    Host,
    /// It does not accept service certificates.
    #[error("NO_SERVICE")]
    NoService,
    /// The transport failed.
    #[error("TRANSPORT {0}")]
    Transport(TransportError),
}

/// What went wrong with a transport session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// A malformed block.
    #[error("BLOCK")]
    Block,
    /// No common version.
    #[error("VERSION")]
    Version,
    /// Content is too large for a block.
    #[error("LARGE_MSG")]
    LargeMsg,
    /// Another session id than expected.
    #[error("SESSION")]
    Session,
    /// The peer sent no session key.
    #[error("NO_AUTH")]
    NoAuth,
    /// The handshake failed.
    #[error("HANDSHAKE {0}")]
    Handshake(HandshakeFailure),
}

/// How a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFailure {
    /// A hello does not parse.
    #[error("PARSE")]
    Parse,
    /// The identity is not the expected one.
    #[error("IDENTITY")]
    Identity,
    /// A certificate or signature does not verify.
    #[error("BAD_AUTH")]
    BadAuth,
    /// A service's certificate is known with another role.
    #[error("BAD_SERVICE")]
    BadService,
}

/// Why a name was not resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// This router resolves no names.
    #[error("NO_RESOLVER")]
    NoResolver,
    /// No such name.
    #[error("NOT_FOUND")]
    NotFound,
    /// The resolver behind the router failed.
    #[error("RESOLVER {0}")]
    Resolver(String),
}

/// Why a queue is blocked (ER-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockingInfo {
    /// The reason.
    pub reason: BlockingReason,
    /// What the client should tell its user.
    pub notice: Option<Notice>,
}

/// Why a queue is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockingReason {
    /// Unwanted messages.
    Spam,
    /// Its content.
    Content,
}

/// A notice that goes with a blocked queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// For how many seconds it stands; without limit if absent.
    pub ttl: Option<i64>,
}

impl fmt::Display for BlockingInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            BlockingReason::Spam => "reason=spam",
            BlockingReason::Content => "reason=content",
        })?;
        match self.notice {
            None => Ok(()),
            Some(Notice { ttl: None }) => f.write_str(",notice={}"),
            Some(Notice { ttl: Some(ttl) }) => write!(f, ",notice={{\"ttl\":{ttl}}}"),
        }
    }
}

/// An error inside an error comes from a proxy, which talks to a relay and not to further proxies: no
/// router nests deeper.
const NESTING: u8 = 2;

impl SmpError {
    /// Appends the text, with what the peer's version does not know replaced (D38).
    ///
    /// # Errors
    /// [`WireError::TooLong`] if a text inside exceeds 255 bytes.
    pub fn encode(&self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), WireError> {
        match (self, layout.blocked) {
            (SmpError::Blocked(_), BlockedForm::Auth) => SmpError::Auth.put(out),
            (SmpError::Blocked(info), BlockedForm::Reason) => {
                SmpError::Blocked(BlockingInfo { notice: None, ..*info }).put(out)
            }
            _ => self.put(out),
        }
    }

    /// Reads the whole text.
    ///
    /// # Errors
    /// [`WireError`] for an unknown tag or anything else: the error of a newer router perhaps (ER-8).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let error = SmpError::read(&mut r, NESTING)?;
        r.end()?;
        Ok(error)
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            // Texts inside these have a length byte, unlike in print.
            SmpError::Proxy(ProxyError::Broker(BrokerError::Response(text))) => {
                out.extend_from_slice(b"PROXY BROKER RESPONSE ");
                put_short(out, text.as_bytes())
            }
            SmpError::Proxy(ProxyError::Broker(BrokerError::Unexpected(text))) => {
                out.extend_from_slice(b"PROXY BROKER UNEXPECTED ");
                put_short(out, text.as_bytes())
            }
            SmpError::Proxy(ProxyError::Protocol(inner)) => {
                out.extend_from_slice(b"PROXY PROTOCOL ");
                inner.put(out)
            }
            _ => {
                out.extend_from_slice(self.to_string().as_bytes());
                Ok(())
            }
        }
    }

    fn read(r: &mut Reader<'_>, nesting: u8) -> Result<Self, WireError> {
        Ok(match word(r) {
            b"BLOCK" => SmpError::Block,
            b"SESSION" => SmpError::Session,
            b"CMD" => SmpError::Command(CommandError::read(r)?),
            b"PROXY" => SmpError::Proxy(ProxyError::read(r, nesting)?),
            b"AUTH" => SmpError::Auth,
            b"BLOCKED" => SmpError::Blocked(BlockingInfo::read(r)?),
            b"SERVICE" => SmpError::Service,
            b"CRYPTO" => SmpError::Crypto,
            b"QUOTA" => SmpError::Quota,
            b"STORE" => SmpError::Store(rest_text(r)?),
            b"EXPIRED" => SmpError::Expired,
            b"NO_MSG" => SmpError::NoMsg,
            b"LARGE_MSG" => SmpError::LargeMsg,
            b"INTERNAL" => SmpError::Internal,
            b"NAME" => SmpError::Name(NameError::read(r)?),
            _ => return Err(WireError::BadTag),
        })
    }
}

/// The bytes up to the next space or the end.
fn word<'a>(r: &mut Reader<'a>) -> &'a [u8] {
    let all = r.remaining();
    let len = all.iter().position(|byte| *byte == b' ').unwrap_or(all.len());
    r.take(len).unwrap_or_default()
}

/// The word after a space.
fn next_word<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], WireError> {
    r.byte(b' ')?;
    Ok(word(r))
}

/// The text after a space, up to the end.
fn rest_text(r: &mut Reader<'_>) -> Result<String, WireError> {
    r.byte(b' ')?;
    text(r.rest())
}

/// The text after a space, with a length byte.
fn short_text(r: &mut Reader<'_>) -> Result<String, WireError> {
    r.byte(b' ')?;
    text(r.short()?)
}

fn text(bytes: &[u8]) -> Result<String, WireError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::BadText)
}

impl CommandError {
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match next_word(r)? {
            b"UNKNOWN" => CommandError::Unknown,
            b"SYNTAX" => CommandError::Syntax,
            b"PROHIBITED" => CommandError::Prohibited,
            b"NO_AUTH" => CommandError::NoAuth,
            b"HAS_AUTH" => CommandError::HasAuth,
            // Routers of old say NO_QUEUE (D46).
            b"NO_ENTITY" | b"NO_QUEUE" => CommandError::NoEntity,
            _ => return Err(WireError::BadTag),
        })
    }
}

impl ProxyError {
    fn read(r: &mut Reader<'_>, nesting: u8) -> Result<Self, WireError> {
        Ok(match next_word(r)? {
            b"PROTOCOL" => {
                r.byte(b' ')?;
                let nesting = nesting.checked_sub(1).ok_or(WireError::TooLong)?;
                ProxyError::Protocol(Box::new(SmpError::read(r, nesting)?))
            }
            b"BROKER" => ProxyError::Broker(BrokerError::read(r)?),
            b"BASIC_AUTH" => ProxyError::BasicAuth,
            b"NO_SESSION" => ProxyError::NoSession,
            _ => return Err(WireError::BadTag),
        })
    }
}

impl BrokerError {
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match next_word(r)? {
            b"RESPONSE" => BrokerError::Response(short_text(r)?),
            b"UNEXPECTED" => BrokerError::Unexpected(short_text(r)?),
            b"NETWORK" => {
                if !r.is_empty() {
                    match next_word(r)? {
                        b"UNKNOWNCA" | b"FAILED" | b"TIMEOUT" => {}
                        b"CONNECT" | b"TLS" | b"SUBSCRIBE" => drop(short_text(r)?),
                        _ => return Err(WireError::BadTag),
                    }
                }
                BrokerError::Network
            }
            b"TIMEOUT" => BrokerError::Timeout,
            b"HOST" => BrokerError::Host,
            b"NO_SERVICE" => BrokerError::NoService,
            b"TRANSPORT" => {
                r.byte(b' ')?;
                BrokerError::Transport(TransportError::read(r)?)
            }
            _ => return Err(WireError::BadTag),
        })
    }
}

impl TransportError {
    /// Reads the text, as it also follows `E` in the answer to a service's hello (SV-4).
    ///
    /// # Errors
    /// [`WireError::BadTag`] for an unknown tag.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match word(r) {
            b"BLOCK" => TransportError::Block,
            b"VERSION" => TransportError::Version,
            b"LARGE_MSG" => TransportError::LargeMsg,
            b"SESSION" => TransportError::Session,
            b"NO_AUTH" => TransportError::NoAuth,
            b"HANDSHAKE" => TransportError::Handshake(match next_word(r)? {
                b"PARSE" => HandshakeFailure::Parse,
                b"IDENTITY" => HandshakeFailure::Identity,
                b"BAD_AUTH" => HandshakeFailure::BadAuth,
                b"BAD_SERVICE" => HandshakeFailure::BadService,
                _ => return Err(WireError::BadTag),
            }),
            _ => return Err(WireError::BadTag),
        })
    }
}

impl NameError {
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match next_word(r)? {
            b"NO_RESOLVER" => NameError::NoResolver,
            b"NOT_FOUND" => NameError::NotFound,
            b"RESOLVER" => NameError::Resolver(rest_text(r)?),
            _ => return Err(WireError::BadTag),
        })
    }
}

impl BlockingInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.tag(b" reason=")?;
        let rest = r.rest();
        let (reason, rest) = if let Some(rest) = rest.strip_prefix(b"spam") {
            (BlockingReason::Spam, rest)
        } else if let Some(rest) = rest.strip_prefix(b"content") {
            (BlockingReason::Content, rest)
        } else {
            return Err(WireError::BadTag);
        };
        let notice = match rest {
            b"" => None,
            _ => Some(Notice::parse(rest.strip_prefix(b",notice=").ok_or(WireError::BadTag)?)?),
        };
        Ok(BlockingInfo { reason, notice })
    }
}

impl Notice {
    /// `{}` or `{"ttl":seconds}`, with spaces between the parts allowed.
    fn parse(json: &[u8]) -> Result<Self, WireError> {
        let json = std::str::from_utf8(json).map_err(|_| WireError::BadText)?.trim();
        let object = json.strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or(WireError::BadText)?;
        if object.trim().is_empty() {
            return Ok(Notice { ttl: None });
        }
        let (key, value) = object.split_once(':').ok_or(WireError::BadText)?;
        match (key.trim(), value.trim()) {
            ("\"ttl\"", "null") => Ok(Notice { ttl: None }),
            ("\"ttl\"", ttl) => Ok(Notice { ttl: Some(ttl.parse().map_err(|_| WireError::BadText)?) }),
            _ => Err(WireError::BadText),
        }
    }
}
