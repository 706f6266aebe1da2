//! Wrong handshakes. The clients here are no services.

use rand_chacha::ChaCha20Rng;

use super::ClientMutant;
use crate::crypto::certificate::CertificateError;
use crate::crypto::chain::BlockChains;
use crate::crypto::keys::{AuthPublicKey, X25519Public, X25519Secret};
use crate::smp::version::Layout;
use crate::transport::{
    Agreed, BLOCK_SIZE, BlockCodec, ClientHandshake, ClientHello, HandshakeError, RouterHello, ServiceSigner,
    agree,
};
use crate::wire::{Reader, VersionRange, WireError, pad, unpad};

type Done = (Vec<u8>, Agreed, RouterHello, Option<ServiceSigner>);

/// What [`ClientHandshake::router_hello_as`] does, wrong in one way.
pub(in crate::smp::client) fn router_hello(
    mutant: ClientMutant,
    handshake: ClientHandshake,
    block: &[u8],
    rng: &mut ChaCha20Rng,
) -> Result<Done, HandshakeError> {
    let content = match (mutant, unpad(block)) {
        (ClientMutant::PaddingUnchecked, Err(_)) => block.get(2..).unwrap_or_default(),
        (_, content) => content?,
    };
    let (offer, bare_key) = read(mutant, content)?;
    if mutant == ClientMutant::HelloTailRefused && offer.encode()? != content {
        return Err(WireError::Trailing.into());
    }
    if offer.session_id != handshake.session_id && mutant != ClientMutant::SessionIdUnchecked {
        return Err(HandshakeError::SessionId);
    }
    let version = match (mutant, offer.versions.common(&handshake.versions)) {
        (ClientMutant::OwnGreatestVersion, _) => handshake.versions.max,
        (ClientMutant::LowestVersion, Some(common)) => common.min,
        (_, Some(common)) => common.max,
        (_, None) => return Err(HandshakeError::Version),
    };
    let router_key = bare_key.or(router_key(mutant, &handshake, &offer)?);
    let own = X25519Secret::generate(rng);
    let layout = Layout::of(version);
    let hello = ClientHello {
        version,
        identity: if mutant == ClientMutant::HelloOtherIdentity { [7; 32] } else { handshake.identity },
        key: (layout.handshake_key && router_key.is_some()).then(|| own.public()),
        proxy: mutant == ClientMutant::HelloClaimsProxy,
        service: None,
    };
    let secret = router_key.filter(|_| hello.key.is_some()).map(|key| own.dh(&key));
    let content = hello_content(mutant, &hello, &layout)?;
    let reply = if mutant == ClientMutant::HelloUnpadded {
        pad(&content, content.len() + 2)?
    } else {
        pad(&content, BLOCK_SIZE)?
    };
    let mut agreed = agree(&hello, &handshake.session_id, secret.clone(), false);
    if let Some(secret) = &secret {
        let (to_client, to_router) = BlockChains::init(&handshake.session_id, secret);
        match mutant {
            ClientMutant::BlocksPlain => agreed.codec = BlockCodec::plain(),
            ClientMutant::BlocksSealedTooEarly => agreed.codec = BlockCodec::encrypted(to_router, to_client),
            ClientMutant::ChainsSwapped => agreed.codec = BlockCodec::encrypted(to_client, to_router),
            _ => {}
        }
    }
    Ok((reply, Agreed { peer_key: router_key, ..agreed }, offer, None))
}

/// Reads the router's hello, and the session key where it is signed without its sequence.
fn read(mutant: ClientMutant, content: &[u8]) -> Result<(RouterHello, Option<X25519Public>), HandshakeError> {
    let mut r = Reader::new(content);
    let (min, max) = (r.u16()?, r.u16()?);
    let reversed = mutant == ClientMutant::ReversedVersionsTaken && min > max;
    let versions = if reversed { VersionRange::new(max, min)? } else { VersionRange::new(min, max)? };
    let session_id = r.short()?.to_vec();
    let cut = RouterHello { versions, session_id, authentication: None };
    match (mutant, RouterHello::decode(content)) {
        (ClientMutant::ReversedVersionsTaken, Err(_)) if reversed => Ok((cut, None)),
        (ClientMutant::CutHelloTaken, Err(_)) => Ok((cut, None)),
        (ClientMutant::BareKeyTaken, Err(_)) => {
            r.list(|r| r.large().map(<[u8]>::to_vec))?;
            // After the headers of the outer sequence, one byte of tag and one of length.
            let spki = r.large()?.get(2..2 + X25519Public::SPKI_LEN).unwrap_or_default();
            let key = X25519Public::from_spki(spki).map_err(WireError::from)?;
            Ok((cut, Some(key)))
        }
        (_, hello) => Ok((hello?, None)),
    }
}

/// The router's session key, as far as the mutant checks it.
fn router_key(
    mutant: ClientMutant,
    handshake: &ClientHandshake,
    offer: &RouterHello,
) -> Result<Option<X25519Public>, HandshakeError> {
    let Some((chain, key)) = &offer.authentication else { return Ok(None) };
    if chain.identity()? != handshake.identity && mutant != ClientMutant::HelloIdentityUnchecked {
        return Err(HandshakeError::Identity);
    }
    if mutant != ClientMutant::HelloChainUnverified {
        chain.verify(handshake.unix_seconds)?;
    }
    match (mutant, key.key()) {
        (ClientMutant::SessionKeyUnverified, AuthPublicKey::X25519(key)) => return Ok(Some(*key)),
        (ClientMutant::SessionKeyUnverified, _) => return Err(CertificateError::Key.into()),
        (ClientMutant::AnyKeyType, AuthPublicKey::Ed25519(key)) => {
            return Ok(Some(X25519Public::from_bytes(*key.as_bytes())));
        }
        _ => {}
    }
    Ok(Some(key.verify(&chain.leaf_public_key()?)?))
}

fn hello_content(mutant: ClientMutant, hello: &ClientHello, layout: &Layout) -> Result<Vec<u8>, WireError> {
    let mut content = hello.encode()?;
    let service = usize::from(layout.service_in_hello);
    match mutant {
        ClientMutant::HelloWithoutProxyFlag if layout.proxy_flag => {
            content.remove(content.len() - service - 1);
        }
        ClientMutant::HelloWithoutServiceField if layout.service_in_hello => {
            content.pop();
        }
        ClientMutant::HelloBinaryService if layout.service_in_hello => {
            content.pop();
            content.push(0);
        }
        ClientMutant::HelloBareKey => content = super::bare_keys(&content),
        _ => {}
    }
    Ok(content)
}
