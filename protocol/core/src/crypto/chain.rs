//! Keys of encrypted blocks: one chain per direction, one step per block (TR-23, HARDPARTS 2).

use std::fmt;

use super::SharedSecret;
use super::boxes::Nonce;
use super::hash::hkdf_sha512;

/// The two chains of a session.
#[derive(Debug)]
pub struct BlockChains;

impl BlockChains {
    /// The chains of the blocks from server to client and from client to server, in this order. `secret`
    /// is between the client's key of its hello and the server's session key.
    #[must_use]
    pub fn init(session_id: &[u8], secret: &SharedSecret) -> (ChainKey, ChainKey) {
        let keys: [u8; 64] = hkdf_sha512(session_id, secret.as_bytes(), b"SimpleXSbChainInit");
        let (server_to_client, client_to_server) = split(&keys);
        (ChainKey(server_to_client), ChainKey(client_to_server))
    }
}

/// The state of one direction's chain.
#[derive(Clone, PartialEq, Eq)]
pub struct ChainKey([u8; 32]);

impl ChainKey {
    /// A chain in a known state.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        ChainKey(bytes)
    }

    /// The state.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key and nonce of the next block; the chain moves on. A block that does not open has used up its
    /// step too.
    pub fn step(&mut self) -> (SharedSecret, Nonce) {
        let keys: [u8; 88] = hkdf_sha512(b"", &self.0, b"SimpleXSbChain");
        let (next, rest): ([u8; 32], [u8; 56]) = split(&keys);
        let (key, nonce) = split(&rest);
        self.0 = next;
        (SharedSecret::from_bytes(key), nonce)
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey(…)")
    }
}

/// The first `A` and the next `B` bytes of `N` = `A` + `B`.
fn split<const N: usize, const A: usize, const B: usize>(bytes: &[u8; N]) -> ([u8; A], [u8; B]) {
    const { assert!(N == A + B) };
    let mut bytes = bytes.iter().copied();
    let mut next = || bytes.next().unwrap_or_default();
    (std::array::from_fn(|_| next()), std::array::from_fn(|_| next()))
}
