//! What a service adds to the handshake: its certificates in the client's hello, and the router's answer, a third block
//! (SV-1 to SV-5).
//!
//! A service is a client with a certificate of its own, by which the router knows it again. It signs a fresh session key
//! with the certificate's key; with that session key it then signs commands ([`ServiceSigner`]).

use super::transmission::ServiceSigner;
use crate::crypto::certificate::{CertificateError, Chain, SignedKey};
use crate::crypto::keys::{Ed25519Public, Ed25519Secret, SignatureSecret};
use crate::smp::error::TransportError;
use crate::wire::{EntityId, Reader, WireError, put_large, put_list};

use rand_core::CryptoRng;

/// What a service does, which decides the commands that it may give (SV-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceRole {
    /// It receives and sends messages.
    Messaging,
    /// It is told of messages.
    Notifications,
    /// It forwards commands.
    Proxy,
}

impl ServiceRole {
    /// The letter in the hello.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Messaging => b'M',
            Self::Notifications => b'N',
            Self::Proxy => b'P',
        }
    }

    /// The role of a letter.
    #[must_use]
    pub const fn of(letter: u8) -> Option<Self> {
        match letter {
            b'M' => Some(Self::Messaging),
            b'N' => Some(Self::Notifications),
            b'P' => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The version from which on clients of this role present themselves; before it they are plain clients (SV-22).
    #[must_use]
    pub const fn presented_from(self) -> u16 {
        match self {
            Self::Messaging => 19,
            Self::Notifications | Self::Proxy => 16,
        }
    }
}

/// The service field of a client's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHello {
    /// What the service does.
    pub role: ServiceRole,
    /// Its certificates, leaf first: those that it presented in TLS (SV-2).
    pub chain: Chain,
    /// Its session key, signed by the leaf's key.
    pub signed_key: SignedKey,
}

impl ServiceHello {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.push(self.role.letter());
        put_list(out, &self.chain.ders, |out, der| put_large(out, der))?;
        put_large(out, self.signed_key.as_der())
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let role = ServiceRole::of(r.u8()?).ok_or(WireError::BadTag)?;
        let chain = Chain::new(r.list(|r| r.large().map(<[u8]>::to_vec))?);
        let signed_key = SignedKey::parse(r.large()?).map_err(|_| WireError::BadKey)?;
        Ok(Self { role, chain, signed_key })
    }

    /// The session key, if the chain holds at `unix_seconds`, is the one that the client presented in TLS, and its leaf
    /// signed the key.
    ///
    /// # Errors
    /// [`CertificateError`]; the router answers BAD_AUTH.
    pub fn verify(
        &self,
        tls_chain: &[Vec<u8>],
        unix_seconds: u64,
    ) -> Result<Ed25519Public, CertificateError> {
        if self.chain.ders != tls_chain {
            return Err(CertificateError::Presented);
        }
        self.chain.verify_service(unix_seconds)?;
        self.signed_key.verify_service(&self.chain.leaf_public_key()?)
    }
}

/// The router's answer to a service: the third block of the handshake, plain as the first two (SV-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceReply {
    /// The service's id: the same for its certificate for ever.
    Accepted(EntityId),
    /// Why not; the router closes.
    Refused(TransportError),
}

impl ServiceReply {
    /// The content of its block.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Accepted(id) => {
                out.push(b'R');
                id.put(&mut out);
            }
            Self::Refused(error) => {
                out.push(b'E');
                out.extend_from_slice(error.to_string().as_bytes());
            }
        }
        out
    }

    /// Reads the content of its block; bytes after an id are ignored, as in hellos (TR-20).
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(content: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(content);
        match reader.u8()? {
            b'R' => Ok(Self::Accepted(EntityId::read(&mut reader)?)),
            b'E' => Ok(Self::Refused(TransportError::read(&mut reader)?)),
            _ => Err(WireError::BadTag),
        }
    }
}

/// What a client shows to be a service.
#[derive(Clone, Debug)]
pub struct ServiceCredentials {
    /// What it does.
    pub role: ServiceRole,
    /// Its certificates, leaf first, as it presents them in TLS.
    pub chain: Chain,
    /// The secret key of the chain's first element.
    pub leaf: SignatureSecret,
    /// The version from which on it presents itself; below it is a plain client.
    pub from_version: u16,
}

impl ServiceCredentials {
    /// Credentials that are presented from the version on that is usual for the role.
    #[must_use]
    pub fn new(role: ServiceRole, chain: Chain, leaf: SignatureSecret) -> Self {
        Self { role, chain, leaf, from_version: role.presented_from() }
    }

    /// The hello's field with a fresh session key, and what signs with that key.
    ///
    /// # Errors
    /// [`CertificateError::Length`] for an empty chain.
    pub fn hello(&self, rng: &mut impl CryptoRng) -> Result<(ServiceHello, ServiceSigner), CertificateError> {
        let key = Ed25519Secret::generate(rng);
        let signed_key = SignedKey::make(key.public(), self.leaf.clone());
        let hello = ServiceHello { role: self.role, chain: self.chain.clone(), signed_key };
        Ok((hello, ServiceSigner { fingerprint: self.chain.identity()?, key }))
    }
}
