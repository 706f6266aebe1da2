//! Commands and responses as values: what a notification router takes and gives where nothing is encrypted, signed or padded. As in
//! SMP ([`crate::smp::semantic`]), the sizes of the transmissions that they stand for are kept exactly.

use super::command::Command;
use super::response::Response;
use super::version::Layout;
use crate::smp::semantic::transmission;
use crate::wire::{CorrId, EntityId};

/// A device's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its correlation id.
    pub corr: CorrId,
    /// Its entity.
    pub entity: EntityId,
    /// How it is authorized, in bytes: 64 for an Ed25519 signature, 80 for an authenticator, 0 for none. Nothing is checked
    /// but that there is one where there has to be.
    pub authorization: u8,
    /// The command.
    pub command: Command,
}

/// A router's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The command's correlation id.
    pub corr: CorrId,
    /// The entity.
    pub entity: EntityId,
    /// The response.
    pub response: Response,
}

impl Asked {
    /// Bytes of the transmission that this stands for.
    #[must_use]
    pub fn size(&self, layout: &Layout) -> usize {
        let mut bytes = Vec::with_capacity(192);
        if self.command.encode(&mut bytes).is_err() {
            return 0;
        }
        transmission(layout, self.authorization, &self.corr, &self.entity, bytes.len())
    }
}

impl Told {
    /// Bytes of the transmission that this stands for.
    #[must_use]
    pub fn size(&self, layout: &Layout) -> usize {
        let mut bytes = Vec::with_capacity(64);
        if self.response.encode(layout, &mut bytes).is_err() {
            return 0;
        }
        transmission(layout, 0, &self.corr, &self.entity, bytes.len())
    }
}
