//! Certificate checks at both ends. They differ from the web's: the trust anchor is the last certificate of
//! the chain itself, and who the peer is follows from a hash.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, PeerMisbehaved, SignatureScheme,
};
use sxlab_protocol::crypto::certificate::{CertificateError, Chain};
use sxlab_protocol::crypto::keys::SignatureKey;

use super::error::Refusal;
use super::mutant::TlsMutant;

/// A client's check of the router: a chain of 2 to 4, the second certificate being the expected one, each
/// signed by the next up to the last, which signs itself (TR-4, TR-5, TR-6).
#[derive(Debug)]
pub(super) struct RouterCertificates {
    /// SHA-256 of the DER of the identity certificate.
    pub(super) expected_identity: [u8; 32],
}

impl RouterCertificates {
    fn check(&self, chain: &Chain, now: UnixTime) -> Result<(), Refusal> {
        // Chains of another length first, as the hash of a chain of one is not that of a router.
        if !(2..=4).contains(&chain.ders.len()) {
            return Err(CertificateError::Length(chain.ders.len()).into());
        }
        let (expected, actual) = (self.expected_identity, chain.identity()?);
        if actual != expected {
            return Err(Refusal::Identity { expected, actual });
        }
        Ok(chain.verify(now.as_secs())?)
    }
}

impl ServerCertVerifier for RouterCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(&chain(end_entity, intermediates), now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// A router's check of its clients: a chain is asked for, none is needed (TR-7). One that comes must hold by
/// itself (SV-3); whose it is matters only to the SMP handshake, which compares it with the client's hello (SV-2).
#[derive(Debug)]
pub(super) struct ClientCertificates {
    /// What it does wrong, on purpose.
    pub(super) wrong: Option<TlsMutant>,
}

impl ClientCertVerifier for ClientCertificates {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.wrong == Some(TlsMutant::WantsCertificate)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.wrong != Some(TlsMutant::TakesAnyChain) {
            chain(end_entity, intermediates).verify_service(now.as_secs()).map_err(Refusal::from)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

fn chain(leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Chain {
    let ders = std::iter::once(leaf).chain(above).map(|der| der.to_vec());
    Chain::new(ders.collect())
}

/// What peers may sign the handshake with, the preferred one first (TR-2, D1).
fn schemes() -> Vec<SignatureScheme> {
    vec![SignatureScheme::ED25519, SignatureScheme::ED448]
}

/// The signature of the peer's CertificateVerify message, by the key of its leaf.
fn verify_signature(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = chain(leaf, &[]).leaf_public_key().map_err(Refusal::from)?;
    let scheme = match key {
        SignatureKey::Ed25519(_) => SignatureScheme::ED25519,
        SignatureKey::Ed448(_) => SignatureScheme::ED448,
    };
    if signed.scheme != scheme {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    if key.verify(message, signed.signature()) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(rustls::CertificateError::BadSignature.into())
    }
}

/// For the methods that rustls wants and a TLS 1.3 handshake never calls.
fn not_tls12() -> Error {
    PeerIncompatible::Tls12NotOfferedOrEnabled.into()
}
