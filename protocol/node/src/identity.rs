//! A router's long-term identity: a certificate authority of its own, a leaf certificate signed by it, and
//! the keys of both, Ed25519 or Ed448 (TR-2, TR-4).
//!
//! The authority's certificate *is* the identity: addresses hold its SHA-256. The leaf's key does the work (it
//! signs TLS handshakes and session keys) and may be replaced without the router getting another address; the
//! authority's key is needed only for that, and may be kept elsewhere.

mod files;

use std::fmt;
use std::io;
use std::sync::Arc;

use rand_core::CryptoRng;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use sxlab_protocol::crypto::certificate::{CertificateError, Chain};
use sxlab_protocol::crypto::keys::{Ed448Secret, Ed25519Secret, SignatureSecret};
use sxlab_protocol::crypto::mint::mint;

/// Common name of the authority of every identity minted here.
const AUTHORITY_NAME: &str = "sxlab router CA";

/// The signatures of an identity's two keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// 64-byte signatures.
    #[default]
    Ed25519,
    /// 114-byte signatures, some thirty times as slow; many deployed routers have them.
    Ed448,
}

impl Algorithm {
    fn generate(self, rng: &mut impl CryptoRng) -> SignatureSecret {
        match self {
            Self::Ed25519 => Ed25519Secret::generate(rng).into(),
            Self::Ed448 => Ed448Secret::generate(rng).into(),
        }
    }
}

/// Why an identity could not be made, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Certificates that cannot be read or, on loading, do not hold.
    #[error("certificates: {0}")]
    Certificate(#[from] CertificateError),
    /// A key that is not the one in the certificate.
    #[error("the {0} key is not that of its certificate")]
    KeyMismatch(&'static str),
    /// A file that belongs to a saved identity is missing while another one is there.
    #[error("an incomplete identity: {0} is missing")]
    Incomplete(String),
    /// Two forms of an identity are in the directory, and it is not said which is meant.
    #[error("both {0} and {1} are there: move one of them away")]
    Ambiguous(&'static str, &'static str),
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
    leaf_key: SignatureSecret,
    authority_key: Option<SignatureSecret>,
}

impl RouterIdentity {
    /// Makes an identity with Ed25519 keys for a router called `name` (the leaf's common name, a host name by custom;
    /// nobody checks it). All of it follows from `name` and what `rng` gives.
    ///
    /// Both certificates are X.509 v3, valid from 1970 to 4759.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Certificate`]; none is known that would cause it.
    pub fn mint(name: &str, rng: &mut impl CryptoRng) -> Result<Self, IdentityError> {
        Self::mint_with(Algorithm::Ed25519, name, rng)
    }

    /// The same with keys of either kind.
    ///
    /// # Errors
    ///
    /// As [`Self::mint`].
    pub fn mint_with(
        algorithm: Algorithm,
        name: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, IdentityError> {
        let authority_key = algorithm.generate(rng);
        let leaf_key = algorithm.generate(rng);
        let chain = mint((name, &leaf_key), (AUTHORITY_NAME, &authority_key), rng);
        Self::from_parts(chain, leaf_key, Some(authority_key))
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
        leaf_key: impl Into<SignatureSecret>,
        authority_key: Option<SignatureSecret>,
    ) -> Result<Self, IdentityError> {
        let leaf_key = leaf_key.into();
        let hash = chain.identity()?;
        if chain.leaf_public_key()? != leaf_key.public() {
            return Err(IdentityError::KeyMismatch("leaf"));
        }
        if let Some(key) = &authority_key {
            let above = Chain::new(chain.ders.iter().skip(1).cloned().collect());
            if above.leaf_public_key()? != key.public() {
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
        self.leaf_key.clone()
    }

    /// Chain and key as rustls takes them.
    pub(crate) fn certified_key(&self) -> CertifiedKey {
        let chain = self.chain.ders.iter().cloned().map(CertificateDer::from);
        CertifiedKey::new(chain.collect(), Arc::new(LeafKey(self.leaf_key.clone())))
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

/// A leaf's key as rustls wants it. Its own has no Ed448.
#[derive(Clone, Debug)]
struct LeafKey(SignatureSecret);

impl SigningKey for LeafKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0 {
            SignatureSecret::Ed25519(_) => SignatureAlgorithm::ED25519,
            SignatureSecret::Ed448(_) => SignatureAlgorithm::ED448,
        }
    }
}

impl Signer for LeafKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign(message))
    }

    fn scheme(&self) -> SignatureScheme {
        match self.0 {
            SignatureSecret::Ed25519(_) => SignatureScheme::ED25519,
            SignatureSecret::Ed448(_) => SignatureScheme::ED448,
        }
    }
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
        let SignatureSecret::Ed25519(key) = &identity.leaf_key else { panic!("another key") };
        assert!(!shown.contains(&format!("{:?}", key.seed())));
    }

    /// What rcgen made of the same names, keys and numbers when it still minted here: an identity of the same seed is the same.
    #[test]
    fn the_certificates_are_those_of_an_independent_implementation() {
        use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose};
        use rustls::pki_types::PrivatePkcs8KeyDer;

        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let [authority_key, leaf_key] = [(); 2].map(|()| Ed25519Secret::generate(rng));
        let mut params = |name: &str| {
            let mut serial = [0; 20];
            rand_core::Rng::fill_bytes(rng, &mut serial);
            serial[0] = serial[0] & 0x3f | 0x40;
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
            params.not_before = rcgen::date_time_ymd(1970, 1, 1);
            params.not_after = rcgen::date_time_ymd(4759, 1, 1);
            params.use_authority_key_identifier_extension = true;
            params
        };
        let mut authority = params(AUTHORITY_NAME);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut leaf = params("router.test");
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
            KeyUsagePurpose::KeyAgreement,
        ];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let pair =
            |key: &Ed25519Secret| rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.pkcs8())).unwrap();
        let (authority_pair, leaf_pair) = (pair(&authority_key), pair(&leaf_key));
        let issuer = Issuer::from_params(&authority, &authority_pair);
        let chain =
            [leaf.signed_by(&leaf_pair, &issuer).unwrap(), authority.self_signed(&authority_pair).unwrap()];
        let chain = chain.iter().map(|certificate| certificate.der().to_vec()).collect();
        assert_eq!(*minted(1).chain(), Chain::new(chain));
    }

    #[test]
    fn both_kinds_of_keys_make_chains_that_hold() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for (algorithm, length) in [(Algorithm::Ed25519, 64), (Algorithm::Ed448, 114)] {
            let identity = RouterIdentity::mint_with(algorithm, "router.test", rng).unwrap();
            identity.chain().verify(0).unwrap();
            assert_eq!(identity.leaf_key().sign(b"text").len(), length);
            assert_eq!(identity.chain().leaf_public_key(), Ok(identity.leaf_key().public()));
        }
    }
}
