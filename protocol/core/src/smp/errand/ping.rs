use super::{Ask, Errand, ErrandError, Step, Told, accepted};
use crate::smp::command::Command;
use crate::smp::response::Response;
use crate::wire::EntityId;

/// Asks for one PONG (SN-22).
#[derive(Clone, Debug, Default)]
pub struct Ping {
    answered: bool,
    told: bool,
}

impl Errand for Ping {
    fn next(&mut self, _version: u16) -> Result<Step, ErrandError> {
        if self.answered {
            return Ok(Step::Done);
        }
        let ask = Ask { relay: None, entity: EntityId::EMPTY, command: Command::Ping, key: None };
        Ok(Step::Ask(Box::new(ask)))
    }

    fn answer(&mut self, answer: Response, _unix_seconds: u64) -> Result<(), ErrandError> {
        match accepted(answer)? {
            Response::Pong => self.answered = true,
            _ => return Err(ErrandError::Unexpected),
        }
        Ok(())
    }

    fn event(&mut self, _entity: &EntityId, _event: Response) -> Result<(), ErrandError> {
        Ok(())
    }

    fn told(&mut self) -> Option<Told> {
        (self.answered && !std::mem::replace(&mut self.told, true)).then_some(Told::Pong)
    }
}
