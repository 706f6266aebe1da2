//! Blocks: everything on the wire is exactly so many bytes, padded: [`BLOCK_SIZE`] in SMP (TR-12). From its version 11 on they are
//! encrypted with a key that steps with every block (TR-23, TR-24).

use std::borrow::Cow;

use thiserror::Error;

use super::batch::put_batch;
use crate::crypto::CryptoError;
use crate::crypto::boxes::{TAG, open_padded_in_place, seal_in_place};
use crate::crypto::chain::ChainKey;
use crate::wire::{WireError, pad_what, unpad};

/// Bytes of an SMP block on the wire.
pub const BLOCK_SIZE: usize = 16384;

/// The most bytes of content that any SMP block can carry: an unencrypted one, less its length prefix.
pub const MAX_CONTENT: usize = BLOCK_SIZE - 2;

/// Why a block could not be opened or made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// The block has another size than the session's.
    #[error("a block of {0} bytes")]
    Size(usize),
    /// The block does not decrypt under the key that is its turn.
    #[error("a block that does not decrypt")]
    Decrypt,
    /// The padding's length prefix does not fit.
    #[error("a block's padding: {0}")]
    Padding(#[from] WireError),
}

/// Turns content into blocks and back, for one session and one side.
///
/// With chains, every call steps the chain of its direction, so blocks must be sealed in the order in which they
/// are written. A block that fails to open has stepped its chain too: the peer that sent it did.
#[derive(Clone, Debug)]
pub struct BlockCodec {
    /// Bytes of a block.
    size: usize,
    chains: Option<Chains>,
}

#[derive(Clone, Debug)]
struct Chains {
    send: ChainKey,
    receive: ChainKey,
}

impl BlockCodec {
    /// Blocks without encryption: handshake blocks, proxy sessions, and clients that sent no key.
    pub fn plain() -> Self {
        Self::plain_of(BLOCK_SIZE)
    }

    /// Blocks of another size without encryption: those of other protocols.
    pub fn plain_of(size: usize) -> Self {
        Self { size, chains: None }
    }

    /// Encrypted blocks, with this side's two chains.
    pub fn encrypted(send: ChainKey, receive: ChainKey) -> Self {
        Self { size: BLOCK_SIZE, chains: Some(Chains { send, receive }) }
    }

    /// The most content that a block of this session carries, in bytes.
    pub fn capacity(&self) -> usize {
        let tag = if self.chains.is_some() { TAG } else { 0 };
        self.size.saturating_sub(tag + 2)
    }

    /// Whether blocks are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.chains.is_some()
    }

    /// The block that carries `content`.
    pub fn seal(&mut self, content: &[u8]) -> Result<Vec<u8>, BlockError> {
        self.seal_what(|block| {
            block.extend_from_slice(content);
            Ok(())
        })
    }

    /// The block that carries 1 to 255 transmissions: what [`BlockCodec::seal`] makes of their
    /// [`content`](super::content), with less copying.
    pub fn seal_batch<'a>(
        &mut self,
        items: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, BlockError> {
        self.seal_what(|block| put_batch(block, items).map_err(|_| WireError::TooLong))
    }

    /// The block that carries what `put` appends: written once, and encrypted where it stands.
    fn seal_what(
        &mut self,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<Vec<u8>, BlockError> {
        let mut block = Vec::with_capacity(self.size);
        match &mut self.chains {
            None => pad_what(&mut block, self.size, put)?,
            Some(chains) => {
                block.resize(TAG, 0);
                pad_what(&mut block, self.size.saturating_sub(TAG), put)?;
                let (key, nonce) = chains.send.step();
                seal_in_place(&key, &nonce, &mut block);
            }
        }
        Ok(block)
    }

    /// The content of a received block.
    pub fn open(&mut self, block: &[u8]) -> Result<Vec<u8>, BlockError> {
        self.open_owned(Cow::Borrowed(block))
    }

    /// The same. A block that is given away is decrypted where it stands.
    pub fn open_owned(&mut self, block: Cow<'_, [u8]>) -> Result<Vec<u8>, BlockError> {
        if block.len() != self.size {
            return Err(BlockError::Size(block.len()));
        }
        match &mut self.chains {
            None => Ok(unpad(&block)?.to_vec()),
            Some(chains) => {
                let (key, nonce) = chains.receive.step();
                open_padded_in_place(&key, &nonce, block.into_owned()).map_err(|error| match error {
                    CryptoError::Padding(error) => BlockError::Padding(error),
                    _ => BlockError::Decrypt,
                })
            }
        }
    }
}
