use std::collections::VecDeque;

use super::{Ask, Errand, ErrandError, Step, Told, accepted};
use crate::smp::client::ClientMutant;
use crate::smp::command::Command;
use crate::smp::name::{Name, NameRecord};
use crate::smp::response::Response;
use crate::smp::version::NAMES;
use crate::wire::EntityId;

/// Asks what a name stands for (NM-1), from the version on that has names (NM-12), and shows the addresses to contact whoever
/// has it.
#[derive(Clone, Debug)]
pub struct Resolve {
    name: Name,
    answered: bool,
    told: VecDeque<Told>,
    wrong: Option<ClientMutant>,
}

impl Resolve {
    /// Asks for this name.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, answered: false, told: VecDeque::new(), wrong: None }
    }

    /// A deliberately wrong one, for tests of what finds wrong clients.
    #[must_use]
    pub fn mutated(self, mutant: ClientMutant) -> Self {
        Self { wrong: Some(mutant), ..self }
    }
}

impl Errand for Resolve {
    fn next(&mut self, version: u16) -> Result<Step, ErrandError> {
        if self.answered {
            return Ok(Step::Done);
        }
        if version < NAMES && self.wrong != Some(ClientMutant::AsksOldRoutersForNames) {
            return Err(ErrandError::NoNames(version));
        }
        let command = Command::Rslv(self.name.clone());
        Ok(Step::Ask(Box::new(Ask { relay: None, entity: EntityId::EMPTY, command, key: None })))
    }

    fn answer(&mut self, answer: Response, _unix_seconds: u64) -> Result<(), ErrandError> {
        let Response::Rname(json) = accepted(answer)? else { return Err(ErrandError::Unexpected) };
        let record = NameRecord::parse(json.as_bytes()).map_err(|_| ErrandError::Unexpected)?;
        if self.wrong == Some(ClientMutant::UnknownFieldsRefused) && record.to_json() != json {
            return Err(ErrandError::Unexpected);
        }
        self.told.extend(record.simplex_contact.into_iter().map(Told::Contact));
        self.answered = true;
        Ok(())
    }

    fn event(&mut self, _entity: &EntityId, _event: Response) -> Result<(), ErrandError> {
        Ok(())
    }

    fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }
}
