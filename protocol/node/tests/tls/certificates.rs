//! Whom each end lets in (TR-4 to TR-7, SV-3).

use std::sync::Arc;

use crate::common::{NOW, client_of, handshake, handshake_with, identity};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::AlertDescription;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Entropy, SMP_ALPN, TlsError};
use sxlab_protocol::crypto::certificate::{CertificateError, Chain};
use sxlab_protocol::crypto::keys::Ed25519Secret;
use tokio::io::AsyncReadExt;

fn key(seed: u8) -> Ed25519Secret {
    Ed25519Secret::from_seed([seed; 32])
}

fn pair(seed: u8) -> KeyPair {
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(key(seed).pkcs8())).unwrap()
}

fn params(level: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("level {level}"));
    if level > 1 {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// A chain of `length` certificates of levels 1 to `length`, each signed by `signer` of its issuer's level.
fn chain_signed_by(length: u8, signer: impl Fn(u8) -> u8) -> RouterIdentity {
    let certificate = |level: u8| {
        let above = params(length.min(level + 1));
        let issuer = pair(signer(length.min(level + 1)));
        let issuer = Issuer::from_params(&above, &issuer);
        params(level).signed_by(&pair(level), &issuer).unwrap().der().to_vec()
    };
    let chain = Chain::new((1..=length).map(certificate).collect());
    RouterIdentity::from_parts(chain, key(1), None).unwrap()
}

fn chain_of(length: u8) -> RouterIdentity {
    chain_signed_by(length, |level| level)
}

async fn refusal(router: &RouterIdentity) -> (TlsError, TlsError) {
    let (client, at_router) = handshake(client_of(router), router).await;
    (client.unwrap_err(), at_router.unwrap_err())
}

#[tokio::test]
async fn a_router_with_another_identity_is_refused_before_any_application_byte() {
    let (router, other) = (identity(7), identity(8));
    let ((client, at_router), written) = handshake_with(client_of(&other), &router, (1, 2)).await;
    match client.unwrap_err() {
        TlsError::IdentityMismatch { expected, actual } => {
            assert_eq!((expected, actual), (other.identity_hash(), router.identity_hash()));
        }
        error => panic!("{error:?}"),
    }
    let alert = at_router.unwrap_err();
    assert!(matches!(alert, TlsError::Alert(AlertDescription::CertificateUnknown)), "{alert:?}");

    // The client's records: its hello, a change of cipher that means nothing, and an encrypted alert of
    // 2 bytes with 1 of type and 16 of tag. No Finished, no data.
    let written = written[0].lock().unwrap();
    let (mut records, mut rest) = (Vec::new(), &written[..]);
    while let [kind, _, _, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push((*kind, length));
        rest = &after[length..];
    }
    assert!(matches!(records[..], [(0x16, _), (0x14, 1), (0x17, 19)]), "{records:?}");
}

#[tokio::test]
async fn the_identity_is_the_second_certificate_of_two_three_or_four() {
    for length in 2..=4 {
        let router = chain_of(length);
        let (client, at_router) = handshake(client_of(&router), &router).await;
        assert_eq!(client.unwrap().peer_chain, router.chain().ders);
        at_router.unwrap();

        // Neither the leaf's hash nor the root's will do.
        for wrong in [&router.chain().ders[0], &router.chain().ders[usize::from(length) - 1]] {
            let expected_identity = Chain::new(vec![wrong.clone()]).identity().unwrap();
            if expected_identity == router.identity_hash() {
                continue;
            }
            let config = ConnectorConfig { expected_identity, ..client_of(&router) };
            let error = handshake(config, &router).await.0.unwrap_err();
            assert!(matches!(error, TlsError::IdentityMismatch { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_routers_chain_of_one_or_five_is_refused() {
    for length in [1, 5] {
        let (client, _) = refusal(&chain_of(length)).await;
        match client {
            TlsError::BadChain(CertificateError::Length(n)) => assert_eq!(n, usize::from(length)),
            error => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_that_its_issuer_did_not_sign_is_refused() {
    // Of three certificates, the key of issuer 2 (over the leaf), then that of issuer 3, is a stranger's.
    for mis_signed in [2, 3] {
        let router = chain_signed_by(3, |level| if level == mis_signed { 9 } else { level });
        let (client, at_router) = refusal(&router).await;
        assert!(matches!(client, TlsError::BadChain(CertificateError::Signature)), "{client:?}");
        assert!(matches!(at_router, TlsError::Alert(AlertDescription::CertificateUnknown)), "{at_router:?}");
    }
}

#[tokio::test]
async fn the_router_must_have_the_leafs_key() {
    // The leaf of one router, sent by another that has only its certificates.
    let (router, thief) = (chain_of(2), chain_of(2));
    let swapped = router.chain().ders[1].clone();
    let mut forged = params(1);
    forged.distinguished_name.push(DnType::CommonName, "forged");
    let issuer = params(2);
    let thief_signer = pair(9);
    let leaf = forged.signed_by(&pair(1), &Issuer::from_params(&issuer, &thief_signer)).unwrap();
    let chain = Chain::new(vec![leaf.der().to_vec(), swapped]);
    let forger = RouterIdentity::from_parts(chain, key(1), None).unwrap();
    assert_eq!(forger.identity_hash(), thief.identity_hash());
    let (client, _) = refusal(&forger).await;
    assert!(matches!(client, TlsError::BadChain(CertificateError::Signature)), "{client:?}");
}

#[tokio::test]
async fn a_chain_is_refused_outside_its_dates() {
    let router = identity(7);
    let connector = Connector::new(client_of(&router)).unwrap();
    let acceptor = Acceptor::new(&router, &SMP_ALPN).unwrap();
    let year_5000 = 95_617_584_000;
    for (now, holds) in [(0, true), (NOW, true), (year_5000, false)] {
        let at = |seed| Entropy::seeded(ChaCha20Rng::seed_from_u64(seed), now);
        let (near, far) = tokio::io::duplex(1 << 16);
        let (client, _) = tokio::join!(connector.connect(near, at(1)), acceptor.accept(far, at(2)));
        match client {
            Ok(_) => assert!(holds, "{now}"),
            Err(TlsError::BadChain(CertificateError::Time)) => assert!(!holds, "{now}"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_may_present_one_to_four_certificates_but_not_five_or_ones_that_do_not_hold() {
    let router = identity(7);
    let mis_signed = chain_signed_by(2, |level| if level == 2 { 9 } else { level });
    let cases = (1..=5).map(|n| (chain_of(n), n <= 4)).chain([(mis_signed, false)]);
    for (client, accepted) in cases {
        let config =
            ConnectorConfig { client_identity: Some(Arc::new(client.clone())), ..client_of(&router) };
        let (at_client, at_router) = handshake(config, &router).await;
        match at_router {
            Ok(session) => {
                assert!(accepted);
                assert_eq!(session.peer_chain, client.chain().ders);
            }
            Err(TlsError::BadChain(_)) => {
                assert!(!accepted);
                // The client's part was done before the router looked: the alert comes with its first read.
                let error = at_client.unwrap().stream.read_u8().await.unwrap_err();
                assert!(matches!(
                    TlsError::from(error),
                    TlsError::Alert(AlertDescription::CertificateUnknown)
                ));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
