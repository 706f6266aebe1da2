//! The handshake: shorter than SMP's, because the router's certificates were seen in TLS and nothing will be encrypted (NT-2,
//! NT-4). And what sessions are after it.

use rand_core::CryptoRng;

use super::version::{ALPN_VERSIONS, Layout, NO_ALPN_VERSIONS};
use crate::crypto::certificate::SignedKey;
use crate::crypto::keys::{SignatureKey, X25519Public, X25519Secret};
use crate::transport::{
    BlockCodec, BlockError, HandshakeError, RouterCredentials, Session, batch_budget, first_block_within,
    unpack,
};
use crate::wire::{Reader, VersionRange, WireError, pad, put_large, put_short, put_u16, unpad};

/// Bytes of a block on the wire (NT-1).
pub const BLOCK_SIZE: usize = 512;

/// What a batch may weigh at most, in bytes.
const BUDGET: usize = batch_budget(BLOCK_SIZE);

/// The router's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterHello {
    /// The versions offered.
    pub versions: VersionRange,
    /// The session id as the router sees it: tls-unique.
    pub session_id: Vec<u8>,
    /// The session key, signed by the leaf of the router's certificates; absent where only version 1 is offered.
    pub key: Option<SignedKey>,
}

impl RouterHello {
    /// The content of its block.
    ///
    /// # Errors
    /// [`WireError::TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        self.versions.put(&mut out);
        put_short(&mut out, &self.session_id)?;
        if let Some(key) = &self.key {
            put_large(&mut out, key.as_der())?;
        }
        Ok(out)
    }

    /// Reads the content of its block; bytes after the known fields are ignored.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn decode(content: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(content);
        let versions = VersionRange::read(&mut reader)?;
        let session_id = reader.short()?.to_vec();
        let key = if Layout::of(versions.max).handshake_key {
            Some(SignedKey::parse(reader.large()?)?)
        } else {
            None
        };
        Ok(Self { versions, session_id, key })
    }
}

/// The client's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version chosen.
    pub version: u16,
    /// The router identity that the client expects.
    pub identity: [u8; 32],
}

impl ClientHello {
    /// The content of its block.
    ///
    /// # Errors
    /// Never: both fields have their lengths.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        put_u16(&mut out, self.version);
        put_short(&mut out, &self.identity)?;
        Ok(out)
    }

    /// Reads the content of its block; bytes after the known fields are ignored.
    ///
    /// # Errors
    /// [`HandshakeError::Parse`].
    pub fn decode(content: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(content);
        let version = reader.u16()?;
        let identity = reader.short()?.try_into().map_err(|_| WireError::BadLength)?;
        Ok(Self { version, identity })
    }
}

/// A session that both sides agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// The session id and the layouts of the version.
    pub session: Session<Layout>,
    codec: BlockCodec,
    /// The router's session key, where the client has it: for authenticators.
    pub router_key: Option<X25519Public>,
}

impl Agreed {
    /// A session of this version.
    #[must_use]
    pub fn new(version: u16, session_id: Vec<u8>, router_key: Option<X25519Public>) -> Self {
        let session = Session { id: session_id, layout: Layout::of(version) };
        Self { session, codec: BlockCodec::plain_of(BLOCK_SIZE), router_key }
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.session.layout.version
    }

    /// Whether a transmission of so many bytes travels at all.
    #[must_use]
    pub fn fits(&self, length: usize) -> bool {
        if self.session.layout.batched { 2 + length <= BUDGET } else { length <= self.codec.capacity() }
    }

    /// How many of the transmissions with these lengths the next block takes; see [`first_block_within`].
    pub fn first_block(&self, lengths: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator) -> usize {
        if self.session.layout.batched { first_block_within(BUDGET, lengths) } else { lengths.len().min(1) }
    }

    /// The block that carries these transmissions: at version 1 one, else as many as [`Agreed::first_block`] said.
    ///
    /// # Errors
    /// [`BlockError`] for what does not fit.
    pub fn seal<'a>(
        &mut self,
        mut items: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, BlockError> {
        if self.session.layout.batched {
            self.codec.seal_batch(items)
        } else {
            self.codec.seal(items.next().unwrap_or_default())
        }
    }

    /// The transmissions in a block's content.
    ///
    /// # Errors
    /// [`WireError`] for a batch that is none.
    pub fn unpack<'a>(&self, content: &'a [u8]) -> Result<Vec<&'a [u8]>, WireError> {
        if self.session.layout.batched { unpack(content) } else { Ok(vec![content]) }
    }

    /// The content of a block.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn open(&mut self, block: &[u8]) -> Result<Vec<u8>, BlockError> {
        self.codec.open(block)
    }
}

fn whole(block: &[u8]) -> Result<&[u8], WireError> {
    if block.len() == BLOCK_SIZE { Ok(block) } else { Err(WireError::BadLength) }
}

/// The router's side, waiting for the client's hello.
#[derive(Clone, Debug)]
pub struct RouterHandshake {
    versions: VersionRange,
    session_id: Vec<u8>,
    identity: [u8; 32],
    key: X25519Secret,
}

impl RouterHandshake {
    /// Starts a handshake and returns the router's first block. `alpn` says whether TLS agreed on a protocol: without
    /// it only version 1 is offered.
    ///
    /// # Errors
    /// [`HandshakeError::Version`] without a protocol if `versions` has not version 1.
    pub fn start(
        credentials: &RouterCredentials,
        versions: VersionRange,
        session_id: Vec<u8>,
        alpn: bool,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Self), HandshakeError> {
        let offered = if alpn { ALPN_VERSIONS } else { NO_ALPN_VERSIONS };
        let versions = versions.common(&offered).ok_or(HandshakeError::Version)?;
        let key = X25519Secret::generate(rng);
        let identity = credentials.chain.identity()?;
        let signed = || SignedKey::make(key.public(), credentials.leaf.clone());
        let hello = RouterHello {
            versions,
            session_id: session_id.clone(),
            key: Layout::of(versions.max).handshake_key.then(signed),
        };
        let block = pad(&hello.encode()?, BLOCK_SIZE)?;
        Ok((block, Self { versions, session_id, identity, key }))
    }

    /// Reads the client's hello. Gives the session and the router's own session key.
    ///
    /// # Errors
    /// [`HandshakeError`]; the router closes without a word.
    pub fn client_hello(&self, block: &[u8]) -> Result<(Agreed, X25519Secret), HandshakeError> {
        let hello = ClientHello::decode(unpad(whole(block)?)?)?;
        if hello.identity != self.identity {
            return Err(HandshakeError::Identity);
        }
        if !self.versions.contains(hello.version) {
            return Err(HandshakeError::Version);
        }
        Ok((Agreed::new(hello.version, self.session_id.clone(), None), self.key.clone()))
    }
}

/// The client's side, waiting for the router's hello.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    /// The versions that the client speaks.
    pub versions: VersionRange,
    /// The identity that the router's address names; that the router's certificates in TLS have it was checked there.
    pub identity: [u8; 32],
    /// The key of the leaf certificate that the router presented in TLS: it signs the session key.
    pub leaf: SignatureKey,
    /// The session id of the TLS connection, as this side sees it.
    pub session_id: Vec<u8>,
}

impl ClientHandshake {
    /// Reads the router's hello, and returns the client's block and the session.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn router_hello(self, block: &[u8]) -> Result<(Vec<u8>, Agreed), HandshakeError> {
        let offer = RouterHello::decode(unpad(whole(block)?)?)?;
        if offer.session_id != self.session_id {
            return Err(HandshakeError::SessionId);
        }
        let version = offer.versions.common(&self.versions).ok_or(HandshakeError::Version)?.max;
        let router_key = offer.key.map(|key| key.verify(&self.leaf)).transpose()?;
        let hello = ClientHello { version, identity: self.identity };
        Ok((pad(&hello.encode()?, BLOCK_SIZE)?, Agreed::new(version, self.session_id, router_key)))
    }
}
