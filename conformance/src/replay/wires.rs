//! The connections of a replay: blocks over an instance, each connection with its handshake's keys.

use std::collections::VecDeque;

use sxlab_protocol::crypto::boxes;
use sxlab_protocol::crypto::chain::ChainKey;
use sxlab_protocol::crypto::keys::X25519Public;
use sxlab_protocol::transport::{BLOCK_SIZE, unpack};
use sxlab_protocol::wire::{pad, unpad};

use super::Mismatch;
use super::sending::Side;
use crate::target::{Dial, Instance, Line, NoConnection, Read, Tls};

/// How long is waited at least for what was recorded, in nanoseconds: longer than every interval of the recorded
/// settings, shorter than the limits for peers that say nothing.
const PATIENCE: u64 = 25_000_000_000;

/// Connections with an instance, by number.
pub(crate) struct Wires {
    pub(crate) instance: Box<dyn Instance>,
    lines: Vec<Wire>,
}

struct Wire {
    line: Line,
    blocks: VecDeque<Vec<u8>>,
    closed: bool,
}

impl Wires {
    pub(crate) fn new(instance: Box<dyn Instance>) -> Self {
        Self { instance, lines: Vec::new() }
    }

    pub(crate) fn connect(&mut self, how: &Dial) -> Result<(usize, Tls), NoConnection> {
        let (line, tls) = self.instance.connect(how)?;
        self.lines.push(Wire { line, blocks: VecDeque::new(), closed: false });
        Ok((self.lines.len() - 1, tls))
    }

    pub(crate) fn now(&self) -> u64 {
        self.instance.now()
    }

    pub(crate) fn wait_until(&mut self, time: u64) {
        let now = self.instance.now();
        if time > now {
            self.instance.wait(time - now);
        }
    }

    /// Writes bytes. Where the router closed the connection before, they go nowhere.
    pub(crate) fn write(&mut self, line: usize, bytes: &[u8]) {
        if let Some(wire) = self.lines.get(line) {
            self.instance.write(wire.line, bytes);
        }
    }

    /// Reads until there is a block, the connection is closed, or patience ends.
    fn fill(&mut self, line: usize, patience: u64) -> Option<&mut Wire> {
        let wire = self.lines.get_mut(line)?;
        if wire.blocks.is_empty() && !wire.closed {
            match self.instance.read(wire.line, patience) {
                Read::Block(block) => wire.blocks.push_back(block),
                Read::Closed(_) => wire.closed = true,
                Read::Nothing => {}
            }
        }
        Some(wire)
    }

    fn patience(&self) -> u64 {
        PATIENCE.max(self.instance.patience().min(2 * PATIENCE))
    }

    /// The next block, if there is one now.
    pub(crate) fn take(&mut self, line: usize) -> Option<Vec<u8>> {
        self.fill(line, 0)?.blocks.pop_front()
    }

    /// The next block, waited for.
    pub(crate) fn expect(&mut self, line: usize) -> Option<Vec<u8>> {
        let patience = self.patience();
        self.fill(line, patience)?.blocks.pop_front()
    }

    /// The next block, waited for so many nanoseconds.
    pub(crate) fn within(&mut self, line: usize, patience: u64) -> Option<Vec<u8>> {
        self.fill(line, patience)?.blocks.pop_front()
    }

    /// Whether the router has closed the connection and everything was read.
    pub(crate) fn is_closed(&mut self, line: usize) -> bool {
        self.fill(line, 0).is_some_and(|wire| wire.closed && wire.blocks.is_empty())
    }

    /// The same, waited for.
    pub(crate) fn wait_closed(&mut self, line: usize) -> bool {
        let patience = self.patience();
        self.fill(line, patience).is_some_and(|wire| wire.closed && wire.blocks.is_empty())
    }

    /// Closes our side.
    pub(crate) fn close(&mut self, line: usize) {
        if let Some(wire) = self.lines.get_mut(line) {
            wire.closed = true;
            self.instance.close(wire.line);
        }
    }
}

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) line: usize,
    pub(crate) session_id: Vec<u8>,
    pub(crate) router_key: Option<X25519Public>,
    pub(crate) open: Option<Open>,
    /// The block that steps are compared with, by its recorded number.
    pub(crate) current: Option<(u64, Vec<Vec<u8>>)>,
    /// Blocks that were read while another one was looked for.
    pub(crate) ahead: VecDeque<Vec<Vec<u8>>>,
}

impl Connection {
    /// One that was opened elsewhere.
    pub(crate) fn opened(
        line: usize,
        session_id: Vec<u8>,
        router_key: Option<X25519Public>,
        open: Open,
    ) -> Self {
        Self { line, session_id, router_key, open: Some(open), current: None, ahead: VecDeque::new() }
    }
}

/// A connection after its handshake.
pub(crate) struct Open {
    pub(crate) recorded: Side,
    pub(crate) ours: Side,
    pub(crate) chains: Option<Chains>,
}

/// The keys of encrypted blocks.
pub(crate) struct Chains {
    pub(crate) send: ChainKey,
    pub(crate) receive: ChainKey,
}

impl Open {
    /// The bytes of padded content in a block.
    pub(crate) fn capacity(&self) -> usize {
        if self.chains.is_some() { BLOCK_SIZE - boxes::TAG } else { BLOCK_SIZE }
    }

    pub(crate) fn seal_padded(&mut self, padded: &[u8]) -> Vec<u8> {
        match &mut self.chains {
            None => padded.to_vec(),
            Some(chains) => {
                let (key, nonce) = chains.send.step();
                boxes::seal(&key, &nonce, padded)
            }
        }
    }

    pub(crate) fn seal(&mut self, content: &[u8]) -> Result<Vec<u8>, Mismatch> {
        let padded = pad(content, self.capacity())
            .map_err(|e| Mismatch::said(format!("content that fits no block: {e}")))?;
        Ok(self.seal_padded(&padded))
    }

    /// The transmissions of a block.
    pub(crate) fn read(&mut self, block: &[u8]) -> Result<Vec<Vec<u8>>, Mismatch> {
        let padded = match &mut self.chains {
            None => block.to_vec(),
            Some(chains) => {
                let (key, nonce) = chains.receive.step();
                boxes::open(&key, &nonce, block)
                    .map_err(|e| Mismatch::said(format!("a block that does not decrypt: {e}")))?
            }
        };
        let content = unpad(&padded)?;
        let items =
            unpack(content).map_err(|e| Mismatch::said(format!("a block that does not unpack: {e}")))?;
        Ok(items.into_iter().map(<[u8]>::to_vec).collect())
    }
}
