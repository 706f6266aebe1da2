//! What mutants do wrong with services and names.

use super::super::service_sessions::ServiceSession;
use super::super::sessions::Peer;
use super::super::verify::{Accepted, Reply};
use super::super::{Queue, Router};
use super::{Before, Mutant};
use crate::crypto::keys::X25519Secret;
use crate::observe::SessionNo;
use crate::smp::command::Command;
use crate::smp::error::{NameError, SmpError};
use crate::smp::response::Response;

impl Router {
    /// What the mutant does before a command is carried out.
    pub(super) fn before_service(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        accepted: &mut Accepted,
    ) -> Option<Response> {
        let service = self.sessions.get_mut(&session).and_then(Peer::open_mut)?.service.as_deref_mut()?;
        match (mutant, &mut accepted.command) {
            (Mutant::TakesUnsubscribedNewOfService, Command::New(new)) => new.subscribe = true,
            (Mutant::DeliversNothingToServices, Command::Subs(_)) => service.all = true,
            (Mutant::DeliversAgainToServices, Command::Subs(_)) => service.all = false,
            _ => {}
        }
        None
    }

    /// What the mutant does after a command was carried out.
    pub(super) fn after_service(&mut self, mutant: Mutant, before: &Before, answer: &mut Response) {
        let owner = before.queue.as_ref().and_then(|queue| queue.service()).cloned();
        match (mutant, &before.command, &mut *answer) {
            (Mutant::LeavesQueueToService, Command::Sub, Response::Sok { service: None })
                if owner.is_some() =>
            {
                self.store.associate(&before.entity, owner);
            }
            (Mutant::HidesService, _, Response::Ids(ids)) => ids.service = None,
            (Mutant::HidesService, _, Response::Sok { service }) => *service = None,
            _ => {}
        }
    }
}

/// Changes what leaves; `false` if it does not leave.
pub(super) fn serve_wrongly(mutant: Mutant, reply: &mut Reply) -> bool {
    match (mutant, &mut reply.response) {
        (Mutant::CountsOneMore, Response::Soks(queues) | Response::Ends(queues)) => queues.count += 1,
        (Mutant::SaysEmptyHash, Response::Soks(queues) | Response::Ends(queues)) => queues.hash = [0; 16],
        (Mutant::SendsNoAlls, Response::Alls) => return false,
        (Mutant::CallsNoResolverWrong, response @ Response::Err(SmpError::Name(NameError::NoResolver))) => {
            *response = Response::Err(SmpError::Auth);
        }
        (Mutant::CallsFailureNotFound, Response::Err(SmpError::Name(error @ NameError::Resolver(_)))) => {
            *error = NameError::NotFound;
        }
        (Mutant::CallsNotFoundFailure, Response::Err(SmpError::Name(error @ NameError::NotFound))) => {
            *error = NameError::Resolver("HTTP 404".to_owned());
        }
        (Mutant::DropsFailureDetail, Response::Err(SmpError::Name(NameError::Resolver(detail)))) => {
            *detail = "failed".to_owned();
        }
        (Mutant::SaysOtherName, Response::Rname(record)) => {
            *record = record.replacen(r#""name":""#, r#""name":"not."#, 1);
        }
        _ => {}
    }
    true
}

/// Whether the mutant takes what a service signed wrongly, or not at all.
pub(super) fn takes_of_service(
    mutant: Mutant,
    accepted: &Accepted,
    own: &X25519Secret,
    service: Option<&ServiceSession>,
    queue: Option<&Queue>,
    verdict: &Result<(), SmpError>,
) -> bool {
    let signature = accepted.received.service_signature.is_some();
    let by_service = service.is_some() && accepted.command.is_signed_by_service();
    let plainly = |queue: &Queue| {
        queue.recipient_keys.iter().any(|key| accepted.verifies(key, &accepted.received.text, own))
    };
    match mutant {
        Mutant::TakesMissingServiceSignature => {
            *verdict == Err(SmpError::Service) && by_service && !signature
        }
        Mutant::TakesStrayServiceSignature => {
            *verdict == Err(SmpError::Service) && signature && !accepted.command.is_of_service()
        }
        Mutant::TakesBareQueueSignature => {
            *verdict == Err(SmpError::Auth) && by_service && signature && queue.is_some_and(plainly)
        }
        Mutant::TakesSubsOfAnything => *verdict == Err(SmpError::Service) && accepted.command.is_of_service(),
        _ => false,
    }
}
