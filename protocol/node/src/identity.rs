//! A router's long-term identity: a certificate authority of its own, a leaf certificate signed by it, and
//! the keys of both, all Ed25519 (TR-2, TR-4).
//!
//! The authority's certificate *is* the identity: addresses hold its SHA-256. The leaf's key does the work (it
//! signs TLS handshakes and session keys) and may be replaced without the router getting another address; the
//! authority's key is needed only for that, and may be kept elsewhere.

mod files;

use std::fmt;
use std::io;

use rand_core::CryptoRng;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sxlab_protocol::crypto::certificate::{CertificateError, Chain};
use sxlab_protocol::crypto::keys::{Ed25519Secret, SignatureKey, SignatureSecret};

/// Common name of the authority of every identity minted here.
const AUTHORITY_NAME: &str = "sxlab router CA";

/// Why an identity could not be made, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificates could not be made.
    #[error("making certificates: {0}")]
    Mint(#[from] rcgen::Error),
    /// Certificates that cannot be read or, on loading, do not hold.
    #[error("certificates: {0}")]
    Certificate(#[from] CertificateError),
    /// A key that is not the one in the certificate.
    #[error("the {0} key is not that of its certificate")]
    KeyMismatch(&'static str),
    /// A file that belongs to a saved identity is missing while another one is there.
    #[error("an incomplete identity: {0} is missing")]
    Incomplete(String),
    /// Saving would write over something.
    #[error("{0} exists already")]
    Exists(String),
    /// A file does not hold what its name says.
    #[error("{file}: {reason}")]
    Malformed {
        /// The file's name, without its directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file's name, without its directory.
        file: String,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Certificates and keys of one router. The keys are secret: the debug output leaves them out.
#[derive(Clone)]
pub struct RouterIdentity {
    chain: Chain,
    hash: [u8; 32],
    leaf_key: Ed25519Secret,
    authority_key: Option<Ed25519Secret>,
}

impl RouterIdentity {
    /// Makes an identity for a router called `name` (the leaf's common name, a host name by custom; nobody
    /// checks it). All of it follows from `name` and what `rng` gives.
    ///
    /// Both certificates are X.509 v3, valid from 1970 to 4759.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Mint`]
    pub fn mint(name: &str, rng: &mut impl CryptoRng) -> Result<Self, IdentityError> {
        let authority_key = Ed25519Secret::generate(rng);
        let leaf_key = Ed25519Secret::generate(rng);
        let authority_pair = key_pair(&authority_key)?;

        let mut authority = params(AUTHORITY_NAME, rng);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);

        let mut leaf = params(name, rng);
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
            KeyUsagePurpose::KeyAgreement,
        ];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

        let issuer = Issuer::from_params(&authority, &authority_pair);
        let chain =
            [leaf.signed_by(&key_pair(&leaf_key)?, &issuer)?, authority.self_signed(&authority_pair)?];
        let chain = chain.iter().map(|cert| cert.der().to_vec()).collect();
        Self::from_parts(Chain::new(chain), leaf_key, Some(authority_key))
    }

    /// An identity made elsewhere: a chain, leaf first, the leaf's key, and the key of the second certificate
    /// unless it is kept apart. Whether the chain holds is not checked; peers will.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Certificate`] if the chain is empty or a certificate whose key is given cannot be
    /// read, [`IdentityError::KeyMismatch`] if a key is not the certificate's.
    pub fn from_parts(
        chain: Chain,
        leaf_key: Ed25519Secret,
        authority_key: Option<Ed25519Secret>,
    ) -> Result<Self, IdentityError> {
        let hash = chain.identity()?;
        if chain.leaf_public_key()? != SignatureKey::Ed25519(leaf_key.public()) {
            return Err(IdentityError::KeyMismatch("leaf"));
        }
        if let Some(key) = &authority_key {
            let above = Chain::new(chain.ders.iter().skip(1).cloned().collect());
            if above.leaf_public_key()? != SignatureKey::Ed25519(key.public()) {
                return Err(IdentityError::KeyMismatch("authority"));
            }
        }
        Ok(Self { chain, hash, leaf_key, authority_key })
    }

    /// What addresses hold and clients compare: SHA-256 of the DER of the chain's second certificate (TR-5).
    pub fn identity_hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The certificates as they go over the wire, leaf first.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The leaf's key, which signs the router's session keys (TR-15).
    pub fn leaf_key(&self) -> SignatureSecret {
        SignatureSecret::Ed25519(self.leaf_key.clone())
    }

    /// Chain and key as rustls takes them.
    pub(crate) fn certified_key(&self) -> Result<CertifiedKey, rustls::Error> {
        let chain = self.chain.ders.iter().cloned().map(CertificateDer::from);
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(self.leaf_key.pkcs8()))?;
        Ok(CertifiedKey::new(chain.collect(), key))
    }
}

impl fmt::Debug for RouterIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterIdentity")
            .field("identity_hash", &self.hash)
            .field("certificates", &self.chain.ders.len())
            .finish_non_exhaustive()
    }
}

/// What both certificates have in common: name, serial number of 20 bytes, dates.
fn params(common_name: &str, rng: &mut impl CryptoRng) -> CertificateParams {
    let mut serial = [0; 20];
    rng.fill_bytes(&mut serial);
    // RFC 5280, section 4.1.2.2: positive and at most 20 bytes. A first byte of 0x40 to 0x7f is both.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(4759, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn key_pair(key: &Ed25519Secret) -> Result<KeyPair, IdentityError> {
    Ok(KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.pkcs8()))?)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn minted(seed: u64) -> RouterIdentity {
        RouterIdentity::mint("router.test", &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_identity_and_another_seed_another() {
        assert_eq!(minted(1).chain(), minted(1).chain());
        assert_ne!(minted(1).identity_hash(), minted(2).identity_hash());
    }

    #[test]
    fn the_hash_is_that_of_the_authority() {
        let identity = minted(1);
        let authority = Chain::new(vec![identity.chain().ders[1].clone()]);
        assert_eq!(identity.identity_hash(), authority.identity().unwrap());
    }

    #[test]
    fn the_chain_holds_from_1970_to_4759() {
        const YEAR: u64 = 31_556_952;
        for unix_seconds in [0, 56 * YEAR, 2788 * YEAR] {
            minted(1).chain().verify(unix_seconds).unwrap();
        }
        minted(1).chain().verify(2790 * YEAR).unwrap_err();
    }

    #[test]
    fn keys_must_be_those_of_the_certificates() {
        let (one, two) = (minted(1), minted(2));
        let with = |leaf: &RouterIdentity, authority: &RouterIdentity| {
            RouterIdentity::from_parts(
                one.chain().clone(),
                leaf.leaf_key.clone(),
                authority.authority_key.clone(),
            )
        };
        with(&one, &one).unwrap();
        let leaf = with(&two, &one).unwrap_err();
        assert!(matches!(leaf, IdentityError::KeyMismatch("leaf")));
        let authority = with(&one, &two).unwrap_err();
        assert!(matches!(authority, IdentityError::KeyMismatch("authority")));
    }

    #[test]
    fn the_debug_output_has_no_keys() {
        let identity = minted(1);
        let shown = format!("{identity:?}");
        assert!(shown.starts_with("RouterIdentity { identity_hash: ["));
        assert!(!shown.contains(&format!("{:?}", identity.leaf_key.seed())));
    }
}
