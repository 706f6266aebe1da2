//! Certificates as a case wants them: chains of any length and key types, and wrong ones.

use std::sync::Arc;

use rand_core::CryptoRng;
use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::{Ed448Secret, Ed25519Secret, SignatureKey, SignatureSecret};

use super::Failure;

/// A chain with the leaf's key.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificates, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's key.
    pub leaf: SignatureSecret,
}

/// The key types of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysOf {
    /// All Ed25519.
    Ed25519,
    /// All Ed448.
    Ed448,
}

/// Authorities, the one that signs leaves first. A router's identity is the first of them.
#[derive(Clone, Debug)]
pub struct Authorities {
    keys: Vec<SignatureSecret>,
    chain: Vec<Vec<u8>>,
}

impl Authorities {
    /// This many authorities, each certified by the next and the last by itself.
    pub fn new(count: usize, keys: KeysOf, rng: &mut impl CryptoRng) -> Self {
        let keys: Vec<_> = (0..count).map(|_| secret(keys, rng)).collect();
        let chain = keys.iter().enumerate().map(|(place, key)| {
            let issuer = keys.get(place + 1).map_or((place, key), |issuer| (place + 1, issuer));
            Certificate { subject: name(place), issuer: name(issuer.0), authority: true, until: FAR }
                .signed(&key.public(), issuer.1)
        });
        Self { chain: chain.collect(), keys }
    }

    /// A leaf with the chain above it.
    pub fn leaf(&self, keys: KeysOf, rng: &mut impl CryptoRng) -> Certified {
        self.leaf_with(keys, rng, |_| {})
    }

    /// The same with `change` made to the leaf's fields.
    pub fn leaf_with(
        &self,
        keys: KeysOf,
        rng: &mut impl CryptoRng,
        change: impl FnOnce(&mut Certificate),
    ) -> Certified {
        let leaf = secret(keys, rng);
        let issuer = if self.keys.is_empty() { "leaf".to_owned() } else { name(0) };
        let mut fields = Certificate { subject: "leaf".to_owned(), issuer, authority: false, until: FAR };
        change(&mut fields);
        let signer = self.keys.first().unwrap_or(&leaf);
        let mut chain = vec![fields.signed(&leaf.public(), signer)];
        chain.extend(self.chain.iter().cloned());
        Certified { chain, leaf }
    }
}

impl Certified {
    /// The same with a bit of the leaf's signature changed: nobody signed it.
    #[must_use]
    pub fn forged(mut self) -> Self {
        if let Some(last) = self.chain.first_mut().and_then(|leaf| leaf.last_mut()) {
            *last ^= 1;
        }
        self
    }

    /// As what TLS presents.
    ///
    /// # Errors
    /// [`Failure::Error`] where the leaf's key is not one that our TLS signs with.
    pub fn identity(&self) -> Result<Arc<RouterIdentity>, Failure> {
        let SignatureSecret::Ed25519(key) = &self.leaf else {
            return Err(Failure::error("TLS here signs with Ed25519"));
        };
        let identity = RouterIdentity::from_parts(Chain::new(self.chain.clone()), key.clone(), None);
        Ok(Arc::new(identity.map_err(Failure::error)?))
    }
}

fn secret(keys: KeysOf, rng: &mut impl CryptoRng) -> SignatureSecret {
    match keys {
        KeysOf::Ed25519 => Ed25519Secret::generate(rng).into(),
        KeysOf::Ed448 => Ed448Secret::generate(rng).into(),
    }
}

fn name(place: usize) -> String {
    format!("authority {place}")
}

/// As routers have it: the end of the year 4758.
const FAR: &str = "47581231235959Z";

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Whose it is: a common name.
    pub subject: String,
    /// Who signs it: a common name.
    pub issuer: String,
    /// Whether it may sign others.
    pub authority: bool,
    /// The end of its validity, as ASN.1 has it: UTCTime of 13 letters or GeneralizedTime.
    pub until: &'static str,
}

impl Certificate {
    fn signed(&self, key: &SignatureKey, signer: &SignatureSecret) -> Vec<u8> {
        let (oid, spki) = match key {
            SignatureKey::Ed25519(key) => (signer, key.spki()),
            SignatureKey::Ed448(key) => (signer, key.spki()),
        };
        let algorithm = match oid {
            SignatureSecret::Ed25519(_) => sequence(&[&[6, 3, 0x2b, 0x65, 0x70]]),
            SignatureSecret::Ed448(_) => sequence(&[&[6, 3, 0x2b, 0x65, 0x71]]),
        };
        // UTCTime up to 2049, GeneralizedTime after (RFC 5280, section 4.1.2.5).
        let until = element(if self.until.len() == 13 { 0x17 } else { 0x18 }, self.until.as_bytes());
        let validity = sequence(&[&element(0x17, b"700101000000Z"), &until]);
        let extensions = if self.authority {
            // basicConstraints, critical: an authority.
            let constraints = sequence(&[
                &[6, 3, 0x55, 0x1d, 0x13],
                &[1, 1, 0xff],
                &element(4, &sequence(&[&[1, 1, 0xff]])),
            ]);
            element(0xa3, &sequence(&[&constraints]))
        } else {
            Vec::new()
        };
        let content = sequence(&[
            &[0xa0, 3, 2, 1, 2],
            &[2, 1, 1],
            &algorithm,
            &common_name(&self.issuer),
            &validity,
            &common_name(&self.subject),
            &spki,
            &extensions,
        ]);
        let signature = element(3, &[&[0][..], &signer.sign(&content)].concat());
        sequence(&[&content, &algorithm, &signature])
    }
}

fn common_name(name: &str) -> Vec<u8> {
    let attribute = sequence(&[&[6, 3, 0x55, 4, 3], &element(0x0c, name.as_bytes())]);
    sequence(&[&element(0x31, &attribute)])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// A DER element of less than 65,536 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = match content.len() {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header.as_slice(), content].concat()
}

/// A signed session key in the form without the inner sequence: the signature covers the key alone. Deployed clients and
/// routers do not take it.
pub fn bare_signed_key(spki: &[u8], signer: &SignatureSecret) -> Vec<u8> {
    let algorithm = match signer {
        SignatureSecret::Ed25519(_) => sequence(&[&[6, 3, 0x2b, 0x65, 0x70]]),
        SignatureSecret::Ed448(_) => sequence(&[&[6, 3, 0x2b, 0x65, 0x71]]),
    };
    let signature = element(3, &[&[0][..], &signer.sign(spki)].concat());
    sequence(&[spki, &algorithm, &signature])
}
