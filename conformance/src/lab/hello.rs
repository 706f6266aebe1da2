//! Handshakes: hellos of the suite with any deviation, those of the target checked.

use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::chain::BlockChains;
use sxlab_protocol::crypto::keys::{X25519Public, X25519Secret};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{BLOCK_SIZE, BlockCodec, Session};
use sxlab_protocol::wire::{
    Reader, VersionRange, WireError, pad, put_bool, put_large, put_list, put_short, put_u16, unpad,
};

use super::session::Open;
use super::trace::hex;
use super::{Direction, Failure, Lab, SECOND, Who, require, require_eq};
use crate::target::{Dial, Read};

/// A client's hello to write: what an ordinary client says, for a case to change.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The version chosen.
    pub version: u16,
    /// The router identity that is expected.
    pub identity: Vec<u8>,
    /// The session key as SubjectPublicKeyInfo, from version 7 on; nothing is written for `None`, and blocks are then not
    /// encrypted.
    pub key: Option<Vec<u8>>,
    /// Whether this is a proxy, whose blocks are not encrypted; written from version 14 on.
    pub proxy: bool,
    /// The bytes of the service field, from version 16 on: `0` for no service.
    pub service: Vec<u8>,
    /// What follows the known fields.
    pub tail: Vec<u8>,
}

impl Hello {
    fn encode(&self) -> Result<Vec<u8>, WireError> {
        let layout = Layout::of(self.version);
        let mut out = Vec::new();
        put_u16(&mut out, self.version);
        put_short(&mut out, &self.identity)?;
        if let (true, Some(key)) = (layout.handshake_key, &self.key) {
            put_short(&mut out, key)?;
        }
        if layout.proxy_flag {
            put_bool(&mut out, self.proxy);
        }
        if layout.service_in_hello {
            out.extend_from_slice(&self.service);
        }
        out.extend_from_slice(&self.tail);
        Ok(out)
    }
}

/// What a router's hello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The versions.
    pub versions: VersionRange,
    /// The session id.
    pub session_id: Vec<u8>,
    /// The certificates and the signed session key.
    pub authentication: Option<(Chain, SignedKey)>,
    /// The content of the block.
    pub content: Vec<u8>,
}

impl Offer {
    fn decode(content: &[u8]) -> Result<Self, Failure> {
        let parsed = || -> Result<_, WireError> {
            let mut r = Reader::new(content);
            let versions = VersionRange::new(r.u16()?, r.u16()?)?;
            let session_id = r.short()?.to_vec();
            let authentication = if Layout::of(versions.max).handshake_key {
                Some((r.list(|r| r.large().map(<[u8]>::to_vec))?, r.large()?.to_vec()))
            } else {
                None
            };
            Ok((versions, session_id, authentication))
        };
        let (versions, session_id, authentication) = parsed()
            .map_err(|error| Failure::Wrong(format!("the router's hello does not parse: {error}")))?;
        let authentication = match authentication {
            Some((ders, key)) => {
                let key = SignedKey::parse(&key)
                    .map_err(|error| Failure::Wrong(format!("the router's signed session key: {error}")))?;
                Some((Chain::new(ders), key))
            }
            None => None,
        };
        Ok(Self { versions, session_id, authentication, content: content.to_vec() })
    }

    /// The router's session key, after all that a client has to check.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    fn check(&self, identity: &[u8; 32], now: u64) -> Result<Option<X25519Public>, Failure> {
        let Some((chain, key)) = &self.authentication else { return Ok(None) };
        let wrong = |what: &str, error: &dyn std::fmt::Display| {
            Failure::Wrong(format!("the {what} in the router's hello: {error}"))
        };
        let found = chain.identity().map_err(|error| wrong("certificates", &error))?;
        require(found == *identity, || {
            format!(
                "the identity in the router's hello is {}, the address has {}",
                hex(&found),
                hex(identity)
            )
        })?;
        chain.verify(now / SECOND).map_err(|error| wrong("certificates", &error))?;
        let leaf = chain.leaf_public_key().map_err(|error| wrong("certificates", &error))?;
        Ok(Some(key.verify(&leaf).map_err(|error| wrong("session key", &error))?))
    }
}

/// A router's hello to write: what an ordinary router says, for a case to change.
#[derive(Clone, Debug)]
pub struct RouterHello {
    /// The versions, the least first.
    pub versions: (u16, u16),
    /// The session id.
    pub session_id: Vec<u8>,
    /// The certificates.
    pub chain: Vec<Vec<u8>>,
    /// The signed session key in DER.
    pub signed_key: Vec<u8>,
    /// Whether certificates and key are written.
    pub authenticated: bool,
    /// What follows the known fields.
    pub tail: Vec<u8>,
}

impl RouterHello {
    pub(super) fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        put_u16(&mut out, self.versions.0);
        put_u16(&mut out, self.versions.1);
        put_short(&mut out, &self.session_id)?;
        if self.authenticated {
            put_list(&mut out, &self.chain, |out, der| put_large(out, der))?;
            put_large(&mut out, &self.signed_key)?;
        }
        out.extend_from_slice(&self.tail);
        Ok(out)
    }
}

impl Lab<'_> {
    /// A session as ordinary clients open it, at the version of this run.
    ///
    /// # Errors
    /// [`Failure`] where it can't be opened as required.
    pub fn client(&mut self) -> Result<Who, Failure> {
        self.client_with(&Dial::default(), |_| {})
    }

    /// Sessions of several ordinary clients.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn clients<const N: usize>(&mut self) -> Result<[Who; N], Failure> {
        let mut clients = [Who(0); N];
        for client in &mut clients {
            *client = self.client()?;
        }
        Ok(clients)
    }

    /// A session of a proxy: an ordinary client that says so, whose blocks are not encrypted. Below version 14 there is
    /// no place to say so, and versions from 11 to 13 would encrypt: the suite skips those.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn proxy_client(&mut self) -> Result<Who, Failure> {
        self.client_with(&Dial::default(), |hello| hello.proxy = true)
    }

    /// A session with a connection made in this way and a hello changed in that way.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn client_with(&mut self, how: &Dial, change: impl FnOnce(&mut Hello)) -> Result<Who, Failure> {
        let who = self.connect(how)?;
        self.router_hello(who)?;
        self.hello(who, change)?;
        Ok(who)
    }

    /// Reads the router's hello and checks it as a client has to.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for one that no client accepts.
    pub fn router_hello(&mut self, who: Who) -> Result<Offer, Failure> {
        let offer = self.any_router_hello(who)?;
        let (side, now) = (self.at(who)?, self.now());
        require(offer.session_id == side.tls.session_id, || {
            let (said, own) = (hex(&offer.session_id), hex(&side.tls.session_id));
            format!("the router's hello has session id {said}, the connection's is {own}")
        })?;
        let identity = self.at(who)?.expected()?;
        let key = offer.check(&identity, now)?;
        self.at_mut(who)?.router_key = key;
        Ok(offer)
    }

    /// Reads the router's hello; only that it parses is checked.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn any_router_hello(&mut self, who: Who) -> Result<Offer, Failure> {
        let content = self.plain_content(who, "the router's hello")?;
        let offer = Offer::decode(&content)?;
        let text = format!(
            "router's hello: versions {}-{}, session id {}, {}",
            offer.versions.min,
            offer.versions.max,
            hex(&offer.session_id),
            match &offer.authentication {
                Some((chain, _)) => format!("{} certificates and a session key", chain.ders.len()),
                None => "no certificates".to_owned(),
            }
        );
        self.record(Some(who), Direction::Received, text, &content);
        Ok(offer)
    }

    /// Reads a block that is not encrypted; its content.
    pub(super) fn plain_content(&mut self, who: Who, what: &str) -> Result<Vec<u8>, Failure> {
        let (line, patience) = (self.at(who)?.line, self.patience());
        match self.instance.read(line, patience) {
            Read::Block(block) => match unpad(&block) {
                Ok(content) => Ok(content.to_vec()),
                Err(error) => {
                    self.record(Some(who), Direction::Received, "a block without padding".to_owned(), &block);
                    Err(Failure::Wrong(format!("the block of {what} is not padded: {error}")))
                }
            },
            Read::Closed(rest) => {
                self.record(Some(who), Direction::Received, "closed".to_owned(), &rest);
                Err(Failure::Wrong(format!("the target closed the connection instead of sending {what}")))
            }
            Read::Nothing => Err(Failure::Wrong(format!("the target does not send {what}"))),
        }
    }

    /// Writes the client's hello, as `change` leaves it, and opens the session with what it says.
    ///
    /// # Errors
    /// [`Failure::Error`] for a hello that can't be written.
    pub fn hello(&mut self, who: Who, change: impl FnOnce(&mut Hello)) -> Result<(), Failure> {
        let own = X25519Secret::generate(&mut self.rng);
        let mut hello = Hello {
            version: self.version,
            identity: self.at(who)?.expected()?.to_vec(),
            key: Some(own.public().spki()),
            proxy: false,
            service: b"0".to_vec(),
            tail: Vec::new(),
        };
        change(&mut hello);
        let content = hello.encode().map_err(Failure::error)?;
        let key = if hello.key.is_some() { "a session key" } else { "no session key" };
        let proxy = if hello.proxy { ", proxy" } else { "" };
        let text = format!("client's hello: version {}, {key}{proxy}", hello.version);
        self.plain_block(who, &content, text)?;
        let layout = Layout::of(hello.version);
        let sent_key = layout.handshake_key && hello.key.is_some();
        let side = self.at_mut(who)?;
        let secret = side.router_key.filter(|_| sent_key).map(|key| own.dh(&key));
        let codec = match &secret {
            Some(secret) if layout.block_encryption && !(hello.proxy && layout.proxy_flag) => {
                let (to_client, to_router) = BlockChains::init(&side.tls.session_id, secret);
                BlockCodec::encrypted(to_router, to_client)
            }
            _ => BlockCodec::plain(),
        };
        let session = Session { id: side.tls.session_id.clone(), layout };
        let peer_key = side.router_key;
        side.open = Some(Open { session, codec, secret, peer_key, own });
        Ok(())
    }

    /// Writes a block that is not encrypted.
    ///
    /// # Errors
    /// [`Failure::Error`] for too much content.
    pub fn plain_block(&mut self, who: Who, content: &[u8], text: String) -> Result<(), Failure> {
        let block = pad(content, BLOCK_SIZE).map_err(Failure::error)?;
        self.record(Some(who), Direction::Sent, text, content);
        let line = self.at(who)?.line;
        self.instance.write(line, &block);
        Ok(())
    }

    /// The session id, as TLS gives it.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn session_id(&self, who: Who) -> Result<Vec<u8>, Failure> {
        Ok(self.at(who)?.tls.session_id.clone())
    }

    /// Whether the session's blocks are encrypted.
    ///
    /// # Errors
    /// [`Failure::Error`] before the hello.
    pub fn is_encrypted(&self, who: Who) -> Result<bool, Failure> {
        Ok(self.at(who)?.opened()?.codec.is_encrypted())
    }

    /// Expects a property of the offer, said as a range of versions.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn offers(&mut self, how: &Dial, versions: (u16, u16)) -> Result<Offer, Failure> {
        let who = self.connect(how)?;
        let offer = self.router_hello(who)?;
        require_eq("the range of versions offered", (offer.versions.min, offer.versions.max), versions)?;
        Ok(offer)
    }
}
