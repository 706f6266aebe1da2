//! The handshake: the router speaks first, the client answers, both then share a [`Agreed`] session (TR-13 to TR-21).
//!
//! Both hellos are plain padded blocks. The first block after them is the first that may be encrypted.

use rand_core::CryptoRng;
use thiserror::Error;

use super::service::{ServiceCredentials, ServiceHello};
use super::transmission::{ServiceSigner, Session};
use super::{BLOCK_SIZE, BlockCodec};
use crate::crypto::certificate::{CertificateError, Chain, SignedKey};
use crate::crypto::chain::BlockChains;
use crate::crypto::keys::{SharedSecret, SignatureSecret, X25519Public, X25519Secret};
use crate::smp::error::TransportError;
use crate::smp::version::{ALPN_VERSIONS, Layout, NO_ALPN_VERSIONS, UNENCRYPTED_VERSIONS};
use crate::wire::{
    Reader, VersionRange, WireError, pad, put_bool, put_large, put_list, put_opt, put_short, put_u16, unpad,
};

/// Why a handshake failed. A router closes the connection without a word (D54).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// A hello does not parse.
    #[error("a hello that does not parse: {0}")]
    Parse(#[from] WireError),
    /// The two version ranges do not meet, or the client chose a version that was not offered.
    #[error("no common version")]
    Version,
    /// The session id in the router's hello is not that of this TLS connection (TR-14).
    #[error("the router's session id is not this connection's")]
    SessionId,
    /// The identity in a hello is not the expected one (TR-16, TR-19).
    #[error("another router identity than expected")]
    Identity,
    /// The router's chain or its signed session key is not valid (TR-15).
    #[error("the router's certificates: {0}")]
    Certificate(#[from] CertificateError),
    /// The router does not take this client as a service (SV-4).
    #[error("the router refuses the service: {0}")]
    Service(TransportError),
}

/// What a router shows of itself: its certificate chain, leaf first, and the leaf's key.
#[derive(Clone, Debug)]
pub struct RouterCredentials {
    /// The chain.
    pub chain: Chain,
    /// The secret key of the chain's first element.
    pub leaf: SignatureSecret,
}

/// The router's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterHello {
    /// The versions offered.
    pub versions: VersionRange,
    /// The session id as the router sees it.
    pub session_id: Vec<u8>,
    /// The chain and the session key signed by its leaf; absent where the router offers nothing above version 6.
    pub authentication: Option<(Chain, SignedKey)>,
}

impl RouterHello {
    /// The content of its block.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        put_u16(&mut out, self.versions.min);
        put_u16(&mut out, self.versions.max);
        put_short(&mut out, &self.session_id)?;
        if let Some((chain, key)) = &self.authentication {
            put_list(&mut out, &chain.ders, |out, der| put_large(out, der))?;
            put_large(&mut out, key.as_der())?;
        }
        Ok(out)
    }

    /// Reads the content of its block; bytes after the known fields are ignored (TR-20).
    pub fn decode(content: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(content);
        let versions = VersionRange::new(reader.u16()?, reader.u16()?)?;
        let session_id = reader.short()?.to_vec();
        let authentication = if Layout::of(versions.max).handshake_key && !reader.is_empty() {
            let ders = reader.list(|r| r.large().map(<[u8]>::to_vec))?;
            let key = SignedKey::parse(reader.large()?)?;
            Some((Chain { ders }, key))
        } else {
            None
        };
        Ok(Self { versions, session_id, authentication })
    }
}

/// The client's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version chosen.
    pub version: u16,
    /// The router identity that the client expects.
    pub identity: [u8; 32],
    /// The client's session key.
    pub key: Option<X25519Public>,
    /// Whether the client is a proxy, whose blocks are not encrypted (PX-17).
    pub proxy: bool,
    /// What it shows to be a service.
    pub service: Option<Box<ServiceHello>>,
}

impl ClientHello {
    /// The content of its block.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let layout = Layout::of(self.version);
        let mut out = Vec::new();
        put_u16(&mut out, self.version);
        put_short(&mut out, &self.identity)?;
        if let (true, Some(key)) = (layout.handshake_key, &self.key) {
            put_short(&mut out, &key.spki())?;
        }
        if layout.proxy_flag {
            put_bool(&mut out, self.proxy);
        }
        if layout.service_in_hello {
            put_opt(&mut out, self.service.as_ref(), |out, service| service.put(out))?;
        }
        Ok(out)
    }

    /// Reads the content of its block; bytes after the known fields are ignored (TR-20).
    pub fn decode(content: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(content);
        let version = reader.u16()?;
        let layout = Layout::of(version);
        let identity = reader.short()?.try_into().map_err(|_| WireError::BadLength)?;
        // The key may be absent. What is none is left to the fields that follow, where it is an error from version 14
        // on, or to the tail.
        let mut ahead = reader.clone();
        let key = if layout.handshake_key { X25519Public::read(&mut ahead).ok() } else { None };
        if key.is_some() {
            reader = ahead;
        }
        let proxy = layout.proxy_flag && reader.bool()?;
        let service = if layout.service_in_hello { reader.opt(ServiceHello::read)? } else { None };
        Ok(Self { version, identity, key, proxy, service: service.map(Box::new) })
    }
}

/// A session that both sides agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// Version.
    pub version: u16,
    /// The session id and the layouts of the version.
    pub session: Session,
    /// Seals and opens the blocks that follow.
    pub codec: BlockCodec,
    /// X25519 of the two session keys, where both were sent: the secret of forwarded commands.
    pub secret: Option<SharedSecret>,
    /// The other side's session key, where it sent one.
    pub peer_key: Option<X25519Public>,
    /// Whether the client declared itself a proxy.
    pub proxy: bool,
}

pub(crate) fn agree(
    hello: &ClientHello,
    session_id: &[u8],
    secret: Option<SharedSecret>,
    router: bool,
) -> Agreed {
    let layout = Layout::of(hello.version);
    let codec = match &secret {
        Some(secret) if layout.block_encryption && !hello.proxy => {
            let (to_client, to_router) = BlockChains::init(session_id, secret);
            if router {
                BlockCodec::encrypted(to_client, to_router)
            } else {
                BlockCodec::encrypted(to_router, to_client)
            }
        }
        _ => BlockCodec::plain(),
    };
    Agreed {
        version: hello.version,
        session: Session { id: session_id.to_vec(), layout },
        codec,
        secret,
        peer_key: None,
        proxy: hello.proxy,
    }
}

/// The router's side, waiting for the client's hello.
#[derive(Clone, Debug)]
pub struct RouterHandshake {
    hello: RouterHello,
    identity: [u8; 32],
    key: X25519Secret,
}

impl RouterHandshake {
    /// Starts a handshake and returns the router's first block. `alpn` says whether TLS agreed on a protocol: without
    /// it only the lowest version is offered (TR-9).
    ///
    /// # Errors
    /// [`HandshakeError::Version`] without a protocol if `versions` has not the lowest one.
    pub fn start(
        credentials: &RouterCredentials,
        versions: VersionRange,
        session_id: Vec<u8>,
        alpn: bool,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Self), HandshakeError> {
        let versions = if alpn {
            versions
        } else {
            versions.common(&NO_ALPN_VERSIONS).ok_or(HandshakeError::Version)?
        };
        let key = X25519Secret::generate(rng);
        let identity = credentials.chain.identity()?;
        let authentication = Layout::of(versions.max)
            .handshake_key
            .then(|| (credentials.chain.clone(), SignedKey::make(key.public(), credentials.leaf.clone())));
        let hello = RouterHello { versions, session_id, authentication };
        let block = pad(&hello.encode()?, BLOCK_SIZE)?;
        Ok((block, Self { hello, identity, key }))
    }

    /// Reads the client's hello. A service waits for an answer to what it shows.
    pub fn client_hello(&self, block: &[u8]) -> Result<ClientGreeted, HandshakeError> {
        let hello = ClientHello::decode(unpad(block)?)?;
        if !self.hello.versions.contains(hello.version) {
            return Err(HandshakeError::Version);
        }
        if hello.identity != self.identity {
            return Err(HandshakeError::Identity);
        }
        let secret = hello.key.as_ref().map(|key| self.key.dh(key));
        let agreed = agree(&hello, &self.hello.session_id, secret, true);
        let agreed = Agreed { peer_key: hello.key, ..agreed };
        Ok(ClientGreeted { agreed, key: self.key.clone(), service: hello.service })
    }
}

/// What a router has after the client's hello.
#[derive(Clone, Debug)]
pub struct ClientGreeted {
    /// The session.
    pub agreed: Agreed,
    /// The router's own session key.
    pub key: X25519Secret,
    /// What the client shows to be a service, unverified.
    pub service: Option<Box<ServiceHello>>,
}

/// The client's side, waiting for the router's hello.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    /// The versions that the client speaks.
    pub versions: VersionRange,
    /// The identity that the router's address names.
    pub identity: [u8; 32],
    /// The session id of the TLS connection, as this side sees it.
    pub session_id: Vec<u8>,
    /// Whether to send a session key; without one, blocks are not encrypted (TR-25).
    pub send_key: bool,
    /// Whether this client is a proxy. Where the version has no place to say so in the hello, it then asks for at most
    /// version 10, which has no block encryption (D51).
    pub proxy: bool,
    /// Seconds since the epoch, for the certificates' validity.
    pub unix_seconds: u64,
}

impl ClientHandshake {
    /// Reads the router's hello and returns the client's block, the session, and the router's hello.
    pub fn router_hello(
        self,
        block: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Agreed, RouterHello), HandshakeError> {
        let (reply, agreed, hello, _) = self.router_hello_as(block, None, rng)?;
        Ok((reply, agreed, hello))
    }

    /// The same for a service. If the version is one at which it presents itself, there is something to sign with, and the
    /// router's next block is its [`ServiceReply`](super::ServiceReply).
    pub fn router_hello_as(
        self,
        block: &[u8],
        service: Option<&ServiceCredentials>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Agreed, RouterHello, Option<ServiceSigner>), HandshakeError> {
        let offer = RouterHello::decode(unpad(block)?)?;
        if offer.session_id != self.session_id {
            return Err(HandshakeError::SessionId);
        }
        let mut common = offer.versions.common(&self.versions).ok_or(HandshakeError::Version)?;
        if self.proxy && !Layout::of(common.max).proxy_flag {
            common = common.common(&UNENCRYPTED_VERSIONS).ok_or(HandshakeError::Version)?;
        }
        let router_key = match &offer.authentication {
            Some((chain, key)) => {
                if chain.identity()? != self.identity {
                    return Err(HandshakeError::Identity);
                }
                chain.verify(self.unix_seconds)?;
                Some(key.verify(&chain.leaf_public_key()?)?)
            }
            None => None,
        };
        let own = X25519Secret::generate(rng);
        let layout = Layout::of(common.max);
        let service = service.filter(|s| layout.service_in_hello && common.max >= s.from_version);
        let (service, signer) = service.map(|service| service.hello(rng)).transpose()?.unzip();
        let hello = ClientHello {
            version: common.max,
            identity: self.identity,
            key: (self.send_key && layout.handshake_key && router_key.is_some()).then(|| own.public()),
            proxy: self.proxy,
            service: service.map(Box::new),
        };
        let secret = match (&hello.key, &router_key) {
            (Some(_), Some(key)) => Some(own.dh(key)),
            _ => None,
        };
        let reply = pad(&hello.encode()?, BLOCK_SIZE)?;
        let agreed = agree(&hello, &self.session_id, secret, false);
        Ok((reply, Agreed { peer_key: router_key, ..agreed }, offer, signer))
    }
}

/// The versions of this implementation.
pub const SUPPORTED: VersionRange = ALPN_VERSIONS;
