//! Wrong ways to have commands forwarded.

use rand_chacha::ChaCha20Rng;

use super::{ClientMutant, Wrong, random_corr};
use crate::crypto::boxes::{self, nonce_from_corr};
use crate::crypto::certificate::{CertificateError, Chain, SignedKey};
use crate::crypto::keys::{AuthPublicKey, AuthSecretKey, X25519Secret};
use crate::smp::command::Command;
use crate::smp::forward::{self, FORWARD_SIZE, ForwardError, ForwardKeys, Relay, inner_session};
use crate::smp::response::Response;
use crate::smp::version::FORWARD_VERSIONS;
use crate::transport::{Agreed, Session, TransmissionError, content, read_transmission, unpack};
use crate::wire::{CorrId, EntityId, VersionRange, WireError};

impl ClientMutant {
    /// What [`Relay::verify`] does with what PKEY shows, wrong in one way.
    pub(in crate::smp) fn relay(
        self,
        (session, versions, chain, signed_key): (&EntityId, VersionRange, &Chain, &SignedKey),
        identity: &[u8; 32],
        unix_seconds: u64,
    ) -> Result<Relay, ForwardError> {
        if self != Self::RelayIdentityUnchecked && chain.identity()? != *identity {
            return Err(ForwardError::Identity);
        }
        if self != Self::RelayChainUnverified {
            chain.verify(unix_seconds)?;
        }
        let key = match (self, signed_key.key()) {
            (Self::RelayKeyUnverified, AuthPublicKey::X25519(key)) => *key,
            (Self::RelayKeyUnverified, _) => return Err(CertificateError::Key.into()),
            _ => signed_key.verify(&chain.leaf_public_key()?)?,
        };
        let common = versions.common(&FORWARD_VERSIONS);
        let version = match self {
            Self::RelayVersionIgnored => FORWARD_VERSIONS.max,
            _ => common.ok_or(ForwardError::Version)?.max,
        };
        Ok(Relay { session: inner_session(session.as_bytes().to_vec(), version), version, key })
    }
}

/// What [`forward::seal_command`] does, wrong in one way.
pub(in crate::smp::client) fn seal_command(
    wrong: &mut Wrong,
    agreed: &Agreed,
    relay: &Relay,
    corr: &CorrId,
    (entity, command): (EntityId, &Command),
    key: Option<&AuthSecretKey>,
    rng: &mut ChaCha20Rng,
) -> Result<(Command, ForwardKeys), TransmissionError> {
    let session = match wrong.mutant {
        ClientMutant::ForwardForOwnSession => {
            Session { id: agreed.session.id.clone(), layout: relay.session.layout }
        }
        _ => relay.session.clone(),
    };
    let inner_corr = match wrong.mutant {
        ClientMutant::ForwardOtherCorrelation => random_corr(rng),
        _ => corr.clone(),
    };
    let inner = Agreed { session, peer_key: Some(relay.key), ..agreed.clone() };
    let item = wrong.item(&inner, (inner_corr, entity, command), key).map_err(|_| WireError::TooLong)?;
    let items: &[&[u8]] = match wrong.mutant {
        // A SEND fills the block: what is short goes in twice.
        ClientMutant::ForwardTwoInside if item.len() < 1000 => &[&item, &item],
        _ => &[&item],
    };
    let content = content(items.iter().copied()).map_err(|_| WireError::TooLong)?;
    let fresh = X25519Secret::generate(rng);
    let fresh = match wrong.mutant {
        ClientMutant::ForwardKeyRepeated => wrong.kept_key.get_or_insert(fresh).clone(),
        _ => fresh,
    };
    let size = match wrong.mutant {
        ClientMutant::ForwardOtherSize => FORWARD_SIZE - 2,
        _ => FORWARD_SIZE,
    };
    let secret = fresh.dh(&relay.key);
    let sealed = boxes::seal_padded(&secret, &nonce_from_corr(corr), &content, size)
        .map_err(|_| WireError::TooLong)?;
    let command = Command::Pfwd { version: relay.version, key: fresh.public(), sealed };
    Ok((command, ForwardKeys { session: relay.session.clone(), secret }))
}

/// What [`forward::open_reply`] does, wrong in one way.
pub(in crate::smp::client) fn open_reply(
    wrong: &Wrong,
    keys: &ForwardKeys,
    corr: &CorrId,
    sealed: &[u8],
) -> Result<Response, ForwardError> {
    match wrong.mutant {
        ClientMutant::NonceNotReversed => {
            let content = boxes::open_padded(&keys.secret, &nonce_from_corr(corr), sealed)
                .map_err(|_| ForwardError::Decrypt)?;
            let items = unpack(&content)?;
            let item = items.first().ok_or(WireError::UnexpectedEnd)?;
            let received = read_transmission(&keys.session, item)?;
            Ok(Response::decode(&received.command, &keys.session.layout)?)
        }
        ClientMutant::ForwardedUnreadableAsOk => {
            Ok(forward::open_reply(keys, corr, sealed).unwrap_or(Response::Ok))
        }
        ClientMutant::ErrorAsSuccess => match forward::open_reply(keys, corr, sealed)? {
            Response::Err(_) => Ok(Response::Ok),
            response => Ok(response),
        },
        _ => forward::open_reply(keys, corr, sealed),
    }
}
