//! What mutants do wrong in the handshake and with the encryption of blocks.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::Router;
use super::{Mutant, Wrong};
use crate::crypto::certificate::SignedKey;
use crate::crypto::chain::BlockChains;
use crate::crypto::hash::sha256;
use crate::crypto::keys::{AuthPublicKey, SignatureSecret};
use crate::observe::SessionNo;
use crate::transport::{
    Agreed, BLOCK_SIZE, BlockCodec, BlockError, ClientGreeted, ClientHello, HandshakeError, RouterHandshake,
    RouterHello,
};
use crate::wire::{VersionRange, WireError, pad, unpad};

impl Router {
    /// Starts a handshake as the mutant does.
    pub(in super::super) fn greet_wrongly(
        &mut self,
        mutant: Mutant,
        tls_session: Vec<u8>,
        alpn: bool,
    ) -> Result<(Vec<u8>, RouterHandshake), HandshakeError> {
        let alpn = alpn || mutant == Mutant::OffersAllWithoutAlpn;
        let mut fixed = ChaCha20Rng::seed_from_u64(0);
        let rng = if mutant == Mutant::SharesSessionKey { &mut fixed } else { &mut self.rng };
        let started =
            RouterHandshake::start(&self.credentials, self.config.versions, tls_session, alpn, rng)?;
        let (block, handshake) = started;
        let mut hello = RouterHello::decode(unpad(&block)?)?;
        let VersionRange { min, max } = hello.versions;
        match mutant {
            Mutant::OffersLaterVersion => hello.versions = VersionRange { min, max: max + 1 },
            Mutant::OffersEarlierVersion => hello.versions = VersionRange { min: min - 1, max },
            Mutant::OffersEmptyRange => hello.versions = VersionRange { min: max + 1, max },
            Mutant::ShowsOtherSessionId => hello.session_id = sha256(&hello.session_id).to_vec(),
            Mutant::ShowsNoSessionId => hello.session_id.clear(),
            Mutant::ShowsNoKey => hello.authentication = None,
            _ => {}
        }
        if let Some((chain, key)) = &mut hello.authentication {
            match mutant {
                Mutant::ShowsChainReversed => chain.ders.reverse(),
                Mutant::ShowsLeafOnly => chain.ders.truncate(1),
                Mutant::ShowsForgedKey => *key = forged(key),
                Mutant::SignsBareKey => *key = bare(key, &self.credentials.leaf),
                _ => {}
            }
        }
        let mut block = pad(&hello.encode()?, BLOCK_SIZE)?;
        if mutant == Mutant::SendsShortHello {
            block.pop();
        }
        Ok((block, handshake))
    }

    /// What the mutant does with a hello that it refuses, other than closing; whether it does.
    pub(in super::super) fn refuses_hello_wrongly(&mut self, session: SessionNo) -> bool {
        match self.mutant() {
            Some(Mutant::KeepsRefusedConnection) => true,
            Some(Mutant::ExplainsRefusedHello) => {
                let block = pad(b"ERR HANDSHAKE", BLOCK_SIZE).unwrap_or_default();
                self.write_block(session, block);
                false
            }
            _ => false,
        }
    }
}

impl Wrong {
    /// Reads the client's hello as the mutant does.
    pub(in super::super) fn client_hello(
        &self,
        handshake: &RouterHandshake,
        block: &[u8],
    ) -> Result<ClientGreeted, HandshakeError> {
        let block = self.hear(block)?;
        let mut greeted = handshake.client_hello(&block)?;
        self.agree(&mut greeted.agreed);
        Ok(greeted)
    }

    fn hear(&self, block: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut content = unpad(block)?.to_vec();
        let short = ClientHello::decode(&content).is_err();
        let version = content.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
        let VersionRange { min, max } = self.versions;
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, byte) in content.iter_mut().skip(at).zip(bytes) {
                *to = *byte;
            }
        };
        match self.mutant {
            Mutant::TakesLaterVersion if version > max => put(0, &max.to_be_bytes()),
            Mutant::TakesEarlierVersion if version < min => put(0, &min.to_be_bytes()),
            Mutant::TakesOtherIdentity => put(3, &self.identity),
            Mutant::TakesHelloWithoutFlag if short => content.extend_from_slice(b"F0"),
            Mutant::TakesHelloWithoutService if short => content.push(b'0'),
            Mutant::RefusesHelloTail if ClientHello::decode(&content)?.encode()?.len() < content.len() => {
                return Err(WireError::Trailing.into());
            }
            Mutant::RefusesHelloWithoutKey if version > 6 && ClientHello::decode(&content)?.key.is_none() => {
                return Err(WireError::BadKey.into());
            }
            _ => {}
        }
        Ok(pad(&content, BLOCK_SIZE)?)
    }

    /// The session that the hellos agree on, as the mutant understands it.
    fn agree(&self, agreed: &mut Agreed) {
        super::layout(self.mutant, &mut agreed.session.layout);
        let Some(secret) = &agreed.secret else { return };
        let (to_client, to_router) = BlockChains::init(&agreed.session.id, secret);
        match self.mutant {
            Mutant::NeverEncrypts => agreed.codec = BlockCodec::plain(),
            Mutant::EncryptsEarly if agreed.version < 11 && !agreed.proxy => {
                agreed.codec = BlockCodec::encrypted(to_client, to_router);
            }
            Mutant::EncryptsForProxies if agreed.proxy => {
                agreed.codec = BlockCodec::encrypted(to_client, to_router);
            }
            Mutant::SwapsChains if agreed.codec.is_encrypted() => {
                agreed.codec = BlockCodec::encrypted(to_router, to_client);
            }
            _ => {}
        }
    }

    /// Opens a block as the mutant does.
    pub(in super::super) fn open(&self, codec: &mut BlockCodec, block: &[u8]) -> Result<Vec<u8>, BlockError> {
        let before = codec.clone();
        let opened = codec.open(block);
        match self.mutant {
            Mutant::KeepsKeyOfGarbage if opened.is_err() => *codec = before,
            Mutant::ChecksPadding if !codec.is_encrypted() => {
                let content = opened?;
                let right = block.iter().skip(2 + content.len()).all(|byte| *byte == b'#');
                return if right { Ok(content) } else { Err(BlockError::Decrypt) };
            }
            _ => {}
        }
        opened
    }

    /// Seals a block as the mutant does.
    pub(in super::super) fn seal(
        &self,
        codec: &mut BlockCodec,
        content: &[u8],
    ) -> Result<Vec<u8>, BlockError> {
        match self.mutant {
            Mutant::ReusesBlockKey => codec.clone().seal(content),
            _ => codec.seal(content),
        }
    }
}

/// The same key with a signature that does not verify.
fn forged(key: &SignedKey) -> SignedKey {
    let mut der = key.as_der().to_vec();
    if let Some(last) = der.last_mut() {
        *last ^= 1;
    }
    SignedKey::parse(&der).unwrap_or_else(|_| key.clone())
}

/// The key with a signature over its own bytes alone, as the document may be read.
fn bare(key: &SignedKey, leaf: &SignatureSecret) -> SignedKey {
    let der = key.as_der();
    let spki = match key.key() {
        AuthPublicKey::X25519(key) => key.spki(),
        _ => return key.clone(),
    };
    let signature = leaf.sign(&spki);
    let Some(kept) = der.len().checked_sub(signature.len()).and_then(|kept| der.get(..kept)) else {
        return key.clone();
    };
    SignedKey::parse(&[kept, &signature].concat()).unwrap_or_else(|_| key.clone())
}
