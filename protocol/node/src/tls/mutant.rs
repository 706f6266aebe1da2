//! Routers whose TLS is wrong in one thing: what a suite that tests routers has to notice.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ServerSessionMemoryCache;

/// An end of handshakes that is right in everything but one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMutant {
    /// Gives out session tickets, and resumes sessions.
    GivesTickets,
    /// Asks no client for a certificate.
    AsksForNoCertificate,
    /// Refuses clients that have no certificate.
    WantsCertificate,
    /// Takes client chains of any length that need not hold.
    TakesAnyChain,
    /// Does not know ChaCha20-Poly1305.
    LacksChaCha,
    /// Does not know X25519.
    LacksX25519,
}

impl TlsMutant {
    /// All of them.
    pub const ALL: [TlsMutant; 6] = [
        TlsMutant::GivesTickets,
        TlsMutant::AsksForNoCertificate,
        TlsMutant::WantsCertificate,
        TlsMutant::TakesAnyChain,
        TlsMutant::LacksChaCha,
        TlsMutant::LacksX25519,
    ];

    /// Its name: lower-case words with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TlsMutant::GivesTickets => "gives-tickets",
            TlsMutant::AsksForNoCertificate => "asks-for-no-certificate",
            TlsMutant::WantsCertificate => "wants-certificate",
            TlsMutant::TakesAnyChain => "takes-any-chain",
            TlsMutant::LacksChaCha => "lacks-cha-cha",
            TlsMutant::LacksX25519 => "lacks-x25519",
        }
    }

    /// What it does wrong.
    #[must_use]
    pub fn does(self) -> &'static str {
        match self {
            TlsMutant::GivesTickets => "Gives out session tickets, and resumes sessions.",
            TlsMutant::AsksForNoCertificate => "Asks no client for a certificate.",
            TlsMutant::WantsCertificate => "Refuses clients that have no certificate.",
            TlsMutant::TakesAnyChain => "Takes client chains of any length that need not hold.",
            TlsMutant::LacksChaCha => "Does not know ChaCha20-Poly1305.",
            TlsMutant::LacksX25519 => "Does not know X25519.",
        }
    }

    /// Its cryptography.
    pub(super) fn provider(self, mut provider: CryptoProvider) -> CryptoProvider {
        match self {
            TlsMutant::LacksChaCha => {
                provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
            }
            TlsMutant::LacksX25519 => provider.kx_groups = vec![ring::kx_group::SECP256R1],
            _ => {}
        }
        provider
    }

    /// Its settings.
    pub(super) fn configure(self, config: &mut ServerConfig) {
        if self == TlsMutant::GivesTickets {
            config.session_storage = ServerSessionMemoryCache::new(16);
            config.send_tls13_tickets = 2;
        }
    }
}

/// As an argument where there is none, too.
pub(super) fn arc_provider(wrong: Option<TlsMutant>, provider: CryptoProvider) -> Arc<CryptoProvider> {
    Arc::new(match wrong {
        None => provider,
        Some(wrong) => wrong.provider(provider),
    })
}
