//! Who may give a command: as in SMP, a transmission's command has to parse, to have the authorization and entity that it takes
//! (NT-22), and its authorization has to verify. What refuses any of a block is answered before anything else of it.

use super::Router;
use super::commands::Target;
use crate::crypto::keys::{KeyType, X25519Secret};
use crate::ntf::command::Command;
use crate::ntf::response::Response;
use crate::smp::error::SmpError;
use crate::transport::{Authorization, Received};
use crate::wire::{CorrId, EntityId};

/// An answer before it is encoded for its session.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) corr: CorrId,
    pub(super) entity: EntityId,
    pub(super) response: Response,
}

impl Reply {
    pub(super) fn refusal(corr: CorrId, entity: EntityId, error: SmpError) -> Self {
        Self { corr, entity, response: Response::Err(error) }
    }

    fn refused(corr: CorrId, entity: EntityId, error: SmpError) -> Box<Self> {
        Box::new(Self::refusal(corr, entity, error))
    }
}

/// A command that may be carried out.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) corr: CorrId,
    pub(super) entity: EntityId,
    pub(super) command: Command,
    pub(super) target: Target,
}

/// Parses the command and checks that it has the authorization and entity that it takes.
pub(super) fn check(received: &Received) -> Result<(Authorization, Command), Box<Reply>> {
    let (corr, entity) = (&received.corr, &received.entity);
    if !received.right_session {
        return Err(Reply::refused(corr.clone(), EntityId::EMPTY, SmpError::Session));
    }
    let Some(authorization) = received.authorization.clone() else {
        return Err(Reply::refused(corr.clone(), EntityId::EMPTY, SmpError::Block));
    };
    let command = Command::decode(&received.command).and_then(|command| {
        command.check(!authorization.is_none(), !entity.is_empty())?;
        Ok(command)
    });
    match command {
        Ok(command) => Ok((authorization, command)),
        Err(error) => Err(Reply::refused(corr.clone(), entity.clone(), SmpError::Command(error))),
    }
}

impl Router {
    /// The command, if its authorization verifies.
    pub(super) fn verify(
        &self,
        received: Received,
        authorization: &Authorization,
        command: Command,
        own: &X25519Secret,
    ) -> Result<Accepted, Box<Reply>> {
        let Received { corr, entity, text, .. } = received;
        let found = self.resolve(&entity, &command);
        let verifies = match &found {
            Some((_, None)) => true,
            Some((_, Some(key))) => authorization.verifies(key, &text, &corr, own),
            None => {
                // What is not there costs what a wrong key costs, so that nobody finds out by the time that it takes.
                let key = match authorization {
                    Authorization::Ed448(_) => KeyType::Ed448,
                    Authorization::Authenticator(_) => KeyType::X25519,
                    Authorization::None | Authorization::Ed25519(_) => KeyType::Ed25519,
                };
                std::hint::black_box(authorization.verifies(self.dummies.of(key), &text, &corr, own));
                false
            }
        };
        match found {
            Some((target, _)) if verifies => Ok(Accepted { corr, entity, command, target }),
            _ => Err(Reply::refused(corr, entity, SmpError::Auth)),
        }
    }
}
