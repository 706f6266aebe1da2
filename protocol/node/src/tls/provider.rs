//! The cryptography given to rustls, in two flavours that differ only in where randomness comes from.
//!
//! ring's key exchange takes its own randomness, which `CryptoProvider::secure_random` does not reach: the
//! seeded flavour therefore brings its own X25519. Ed25519 signatures need no randomness.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup, hmac,
    ring,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::time_provider::TimeProvider;
use rustls::{
    CipherSuite, Error, NamedGroup, PeerMisbehaved, SupportedCipherSuite, Tls13CipherSuite,
    pki_types::UnixTime,
};
use x25519_dalek::{PublicKey, StaticSecret};

use super::scope;

/// TLS 1.3 with ChaCha20-Poly1305-SHA256 and X25519, randomness from the operating system.
pub fn system() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: cipher_suites(),
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    }
}

/// The same, with all randomness from the stream of the handshake that is running
/// ([`Entropy::Seeded`](super::Entropy::Seeded)). Outside such a handshake a request for randomness fails.
pub fn seeded() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: cipher_suites(),
        kx_groups: vec![&SeededX25519],
        secure_random: &SeededRandom,
        ..ring::default_provider()
    }
}

/// A stream of its own with a seed from the operating system, for what needs randomness outside TLS.
///
/// # Panics
///
/// If the operating system has no randomness to give: a node cannot go on then.
#[expect(clippy::expect_used, reason = "there is nothing to go on with, and a weaker seed would be worse")]
pub fn system_stream() -> ChaCha20Rng {
    let mut seed = [0; 32];
    system().secure_random.fill(&mut seed).expect("the operating system gives randomness");
    ChaCha20Rng::from_seed(seed)
}

/// The clock that goes with [`seeded`].
pub(super) fn seeded_clock() -> Arc<dyn TimeProvider> {
    Arc::new(SeededClock)
}

fn cipher_suites() -> Vec<SupportedCipherSuite> {
    static RECORDING: LazyLock<Option<Tls13CipherSuite>> = LazyLock::new(|| {
        let suite = ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256.tls13()?;
        let hkdf: &'static RecordingHkdf = Box::leak(Box::new(RecordingHkdf(suite.hkdf_provider)));
        Some(Tls13CipherSuite {
            common: rustls::crypto::CipherSuiteCommon {
                suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: suite.common.confidentiality_limit,
            },
            hkdf_provider: hkdf,
            aead_alg: suite.aead_alg,
            quic: None,
        })
    });
    RECORDING.iter().map(SupportedCipherSuite::from).collect()
}

/// A suite's HKDF that also notes the Finished values: TLS 1.3 uses its HMAC for nothing else when sessions
/// are not resumed (RFC 8446, section 4.4.4), and rustls does not give them out.
struct RecordingHkdf(&'static dyn Hkdf);

impl Hkdf for RecordingHkdf {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.0.extract_from_zero_ikm(salt)
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        self.0.extract_from_secret(salt, secret)
    }

    fn extract_from_kx_shared_secret(
        &self,
        salt: Option<&[u8]>,
        exchange: Box<dyn ActiveKeyExchange>,
        peer_public_key: &[u8],
    ) -> Result<Box<dyn HkdfExpander>, Error> {
        self.0.extract_from_kx_shared_secret(salt, exchange, peer_public_key)
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        self.0.expander_for_okm(okm)
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> hmac::Tag {
        let tag = self.0.hmac_sign(key, message);
        scope::record_finished(tag.as_ref());
        tag
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

/// Randomness from the running handshake's stream.
#[derive(Debug)]
struct SeededRandom;

impl SecureRandom for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        scope::fill(buffer).ok_or(GetRandomFailed)
    }
}

/// The running handshake's date. After the handshake rustls asks once more, to date each ticket that a peer
/// sends; as tickets are thrown away any date will do, but without one the session would fail.
#[derive(Debug)]
struct SeededClock;

impl TimeProvider for SeededClock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = scope::unix_seconds().unwrap_or_default();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// X25519 (RFC 7748) with the secret from the running handshake's stream.
#[derive(Debug)]
struct SeededX25519;

impl SupportedKxGroup for SeededX25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        scope::fill(&mut secret).ok_or(Error::FailedToGetRandomBytes)?;
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret);
        Ok(Box::new(X25519Exchange { secret, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct X25519Exchange {
    secret: StaticSecret,
    public: PublicKey,
}

impl ActiveKeyExchange for X25519Exchange {
    fn complete(self: Box<Self>, peer_public_key: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        let Ok(peer) = <[u8; 32]>::try_from(peer_public_key) else {
            return Err(invalid);
        };
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer));
        // RFC 8446, section 7.4.2: an all-zero result must end the handshake.
        if !shared.was_contributory() {
            return Err(invalid);
        }
        Ok(SharedSecret::from(shared.as_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_flavours_offer_one_suite_and_one_group() {
        for provider in [system(), seeded()] {
            let suites: Vec<_> = provider.cipher_suites.iter().map(|s| s.suite()).collect();
            let groups: Vec<_> = provider.kx_groups.iter().map(|g| g.name()).collect();
            assert_eq!(suites, [CipherSuite::TLS13_CHACHA20_POLY1305_SHA256]);
            assert_eq!(groups, [NamedGroup::X25519]);
        }
    }

    #[test]
    fn the_seeded_flavour_has_no_randomness_of_its_own() {
        assert!(seeded().secure_random.fill(&mut [0; 4]).is_err());
        assert!(SeededX25519.start().is_err());
    }

    #[test]
    fn streams_of_the_system_differ() {
        assert_ne!(system_stream(), system_stream());
    }

    #[test]
    fn own_x25519_agrees_with_rings_and_refuses_what_is_not_a_key() {
        let exchange = || {
            let secret = StaticSecret::from([7; 32]);
            let public = PublicKey::from(&secret);
            Box::new(X25519Exchange { secret, public })
        };
        let theirs = ring::kx_group::X25519.start_and_complete(exchange().pub_key()).unwrap();
        let ours = exchange().complete(&theirs.pub_key).unwrap();
        assert_eq!(ours.secret_bytes(), theirs.secret.secret_bytes());
        assert!(exchange().complete(&theirs.pub_key[1..]).is_err());
        assert!(exchange().complete(&[0; 32]).is_err());
    }
}
