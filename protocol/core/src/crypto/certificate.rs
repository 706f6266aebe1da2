//! Certificate chains and signed session keys (TR-4 to TR-6, TR-15, TR-16, HARDPARTS 5).
//!
//! Chains go leaf first. A router's identity is the SHA-256 of the second element; the last element is
//! the trust anchor. Host names play no part.

use der::asn1::BitStringRef;
use der::oid::ObjectIdentifier;
use der::{Decode, Encode, Reader as _, SliceReader};
use x509_cert::TbsCertificate;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::spki::AlgorithmIdentifierRef;

use super::hash::sha256;
use super::keys::{AuthPublicKey, Ed25519Public, KeyError, SignatureKey, SignatureSecret, X25519Public};

/// A chain, a certificate or a signed key that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the DER of what it should be.
    #[error("malformed DER")]
    Malformed,
    /// The chain has fewer or more elements than allowed.
    #[error("a chain of {0} certificates")]
    Length(usize),
    /// A public key that is neither Ed25519 nor Ed448.
    #[error("key type not supported")]
    Key,
    /// A signature does not verify, or its algorithm is not that of the signing key.
    #[error("signature does not verify")]
    Signature,
    /// An element's issuer is not the subject of the next.
    #[error("issuer and subject differ")]
    Issuer,
    /// An element signs another without being a certificate authority.
    #[error("issuer is no certificate authority")]
    NotAuthority,
    /// Not valid at the given time.
    #[error("not valid at this time")]
    Time,
    /// Another chain than the one presented in TLS (SV-2).
    #[error("not the chain presented in TLS")]
    Presented,
}

impl From<der::Error> for CertificateError {
    fn from(_: der::Error) -> Self {
        CertificateError::Malformed
    }
}

impl From<KeyError> for CertificateError {
    fn from(_: KeyError) -> Self {
        CertificateError::Key
    }
}

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

/// `SEQUENCE { what is signed, algorithm, signature }`: certificates and signed keys alike.
struct Signed<'a> {
    /// The raw element that the signature covers, with its header.
    content: &'a [u8],
    algorithm: ObjectIdentifier,
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, CertificateError> {
        let mut outer = SliceReader::new(bytes)?;
        let signed = outer.sequence(|r| {
            let content = r.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierRef::decode(r)?;
            let signature = BitStringRef::decode(r)?;
            Ok::<_, der::Error>((content, algorithm, signature))
        })?;
        outer.finish()?;
        let (content, algorithm, signature) = signed;
        let signature = signature.as_bytes().ok_or(CertificateError::Malformed)?;
        Ok(Signed { content, algorithm: algorithm.oid, signature })
    }

    fn verify(&self, key: &SignatureKey) -> Result<(), CertificateError> {
        let algorithm = match key {
            SignatureKey::Ed25519(_) => ED25519,
            SignatureKey::Ed448(_) => ED448,
        };
        if self.algorithm == algorithm && key.verify(self.content, self.signature) {
            Ok(())
        } else {
            Err(CertificateError::Signature)
        }
    }
}

struct Certificate<'a> {
    signed: Signed<'a>,
    fields: TbsCertificate,
}

impl<'a> Certificate<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, CertificateError> {
        let signed = Signed::parse(bytes)?;
        let fields = TbsCertificate::from_der(signed.content)?;
        Ok(Certificate { signed, fields })
    }

    fn key(&self) -> Result<SignatureKey, CertificateError> {
        Ok(SignatureKey::from_spki(&self.fields.subject_public_key_info().to_der()?)?)
    }

    fn check_time(&self, now: u64) -> Result<(), CertificateError> {
        let validity = self.fields.validity();
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        if (seconds(validity.not_before)..=seconds(validity.not_after)).contains(&now) {
            Ok(())
        } else {
            Err(CertificateError::Time)
        }
    }

    fn check_authority(&self) -> Result<(), CertificateError> {
        match self.fields.get_extension::<BasicConstraints>() {
            Ok(Some((_, constraints))) if constraints.ca => Ok(()),
            _ => Err(CertificateError::NotAuthority),
        }
    }

    /// Checks that `issuer` signed this certificate and may do so.
    fn check_signed_by(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        if self.fields.issuer() != issuer.fields.subject() {
            return Err(CertificateError::Issuer);
        }
        self.signed.verify(&issuer.key()?)
    }
}

/// A chain of certificates in DER, leaf first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Chain {
    /// The certificates.
    pub ders: Vec<Vec<u8>>,
}

impl Chain {
    /// A chain of these certificates, unchecked.
    #[must_use]
    pub fn new(ders: Vec<Vec<u8>>) -> Self {
        Chain { ders }
    }

    /// The SHA-256 of the second element: what router addresses name (D2). A service's chain may be one
    /// self-signed certificate, whose own hash it then is (SV-3).
    ///
    /// # Errors
    /// [`CertificateError::Length`] for an empty chain.
    pub fn identity(&self) -> Result<[u8; 32], CertificateError> {
        let identity = self.ders.get(1).or_else(|| self.ders.first());
        identity.map(|der| sha256(der)).ok_or(CertificateError::Length(0))
    }

    /// The key of the first element, which signs session keys.
    ///
    /// # Errors
    /// [`CertificateError`] if there is none of a supported type.
    pub fn leaf_public_key(&self) -> Result<SignatureKey, CertificateError> {
        Certificate::parse(self.ders.first().ok_or(CertificateError::Length(0))?)?.key()
    }

    /// Checks a router's chain: 2 to 4 elements, each signed by the next, the last by itself, all that sign
    /// others are authorities, all valid at `now` (seconds since 1970).
    ///
    /// # Errors
    /// The first [`CertificateError`] found, from the leaf on.
    pub fn verify(&self, now: u64) -> Result<(), CertificateError> {
        match self.ders.len() {
            2..=4 => self.verify_links(now),
            length => Err(CertificateError::Length(length)),
        }
    }

    /// Checks a service's chain: as [`Chain::verify`], or one self-signed certificate (SV-3).
    ///
    /// # Errors
    /// The first [`CertificateError`] found, from the leaf on.
    pub fn verify_service(&self, now: u64) -> Result<(), CertificateError> {
        match self.ders.len() {
            1..=4 => self.verify_links(now),
            length => Err(CertificateError::Length(length)),
        }
    }

    fn verify_links(&self, now: u64) -> Result<(), CertificateError> {
        let mut elements = self.ders.iter().map(|der| Certificate::parse(der));
        let mut current = elements.next().ok_or(CertificateError::Length(0))??;
        for issuer in elements {
            let issuer = issuer?;
            current.check_time(now)?;
            current.check_signed_by(&issuer)?;
            issuer.check_authority()?;
            current = issuer;
        }
        current.check_time(now)?;
        current.check_signed_by(&current)
    }
}

/// A session key signed by a certificate's key: `SEQUENCE { SEQUENCE { SPKI }, algorithm, signature }`,
/// where the signature covers the inner sequence (observed: 122 bytes with Ed25519, 173 with Ed448).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedKey {
    der: Vec<u8>,
    key: AuthPublicKey,
}

impl SignedKey {
    /// Parses without verifying.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`]; [`CertificateError::Key`] if the key inside is of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        let signed = Signed::parse(bytes)?;
        let mut outer = SliceReader::new(signed.content)?;
        let spki = outer.sequence(|r| r.tlv_bytes())?;
        outer.finish()?;
        Ok(SignedKey { der: bytes.to_vec(), key: AuthPublicKey::from_spki(spki)? })
    }

    /// Signs a key.
    #[must_use]
    pub fn make(key: impl Into<AuthPublicKey>, signer: impl Into<SignatureSecret>) -> Self {
        let (key, signer) = (key.into(), signer.into());
        let content = element(0x30, &key.spki());
        let algorithm = element(0x30, &element(0x06, oid_of(&signer).as_bytes()));
        // A bit string begins with the number of unused bits.
        let signature = element(0x03, &[&[0][..], &signer.sign(&content)].concat());
        SignedKey { der: element(0x30, &[content, algorithm, signature].concat()), key }
    }

    /// The DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The key inside, whatever its type, unverified.
    #[must_use]
    pub fn key(&self) -> &AuthPublicKey {
        &self.key
    }

    /// A router's or proxy's session key, after checking the signature with the key of the chain's leaf
    /// (TR-15).
    ///
    /// # Errors
    /// [`CertificateError::Signature`]; [`CertificateError::Key`] if it is of another type.
    pub fn verify(&self, leaf: &SignatureKey) -> Result<X25519Public, CertificateError> {
        Signed::parse(&self.der)?.verify(leaf)?;
        match self.key {
            AuthPublicKey::X25519(key) => Ok(key),
            _ => Err(CertificateError::Key),
        }
    }

    /// A service's session key, after checking the signature with the key of its chain's leaf (SV-1).
    ///
    /// # Errors
    /// [`CertificateError::Signature`]; [`CertificateError::Key`] if it is of another type.
    pub fn verify_service(&self, leaf: &SignatureKey) -> Result<Ed25519Public, CertificateError> {
        Signed::parse(&self.der)?.verify(leaf)?;
        match self.key {
            AuthPublicKey::Ed25519(key) => Ok(key),
            _ => Err(CertificateError::Key),
        }
    }
}

/// The algorithm of a key's signatures.
pub(super) fn oid_of(signer: &SignatureSecret) -> ObjectIdentifier {
    match signer {
        SignatureSecret::Ed25519(_) => ED25519,
        SignatureSecret::Ed448(_) => ED448,
    }
}

/// A DER element; for content below 65,536 bytes.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    let header = match content.len() {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&header, content].concat()
}
