//! What mutants do wrong as a proxy and as a relay.

use super::super::Router;
use super::super::verify::Reply;
use super::Mutant;
use crate::crypto::boxes::{self, nonce_from_corr, reversed};
use crate::crypto::hash::sha256;
use crate::crypto::keys::SharedSecret;
use crate::smp::error::{BrokerError, CommandError, ProxyError, SmpError, TransportError};
use crate::smp::forward::Forwarded;
use crate::smp::response::Response;
use crate::wire::{CorrId, EntityId, Reader, put_short};

/// Changes what a proxy tells its client.
pub(super) fn proxy_wrongly(mutant: Mutant, reply: &mut Reply) {
    let proxy_error = match &reply.response {
        Response::Err(SmpError::Proxy(error)) => Some(error.clone()),
        _ => None,
    };
    match (mutant, &mut reply.response, proxy_error) {
        (Mutant::ShowsFullRange, Response::Pkey { versions, .. }, _) => versions.min = 6,
        (Mutant::ShowsOtherRelaySession, Response::Pkey { session, .. }, _) => {
            *session = EntityId::new(&sha256(session.as_bytes())).unwrap_or_default();
        }
        (Mutant::NamesRelay, Response::Pkey { session, .. }, _) => reply.entity = session.clone(),
        (Mutant::CallsNoSessionWrong, response, Some(ProxyError::NoSession)) => {
            *response = Response::Err(SmpError::Auth);
        }
        (
            Mutant::CallsKeylessRelayVersion,
            response,
            Some(ProxyError::Broker(BrokerError::Transport(TransportError::NoAuth))),
        ) => {
            let version = BrokerError::Transport(TransportError::Version);
            *response = Response::Err(SmpError::Proxy(ProxyError::Broker(version)));
        }
        (Mutant::TakesRelayErrorForOwn, response, Some(ProxyError::Protocol(error))) => {
            *response = Response::Err(*error);
        }
        _ => {}
    }
}

impl Router {
    /// A relay's answer to RFWD as the mutant gives it: `right` is the right one, `inner` what answers the command inside.
    pub(in super::super) fn answer_forward_wrongly(
        &self,
        forwarded: &Forwarded,
        secret: &SharedSecret,
        own_corr: &CorrId,
        right: Response,
    ) -> Response {
        let (Some(mutant), Response::Rres { sealed }) = (self.mutant(), &right) else { return right };
        let (request, answer) = (nonce_from_corr(own_corr), reversed(nonce_from_corr(own_corr)));
        let Ok(plain) = boxes::open(secret, &answer, sealed) else { return right };
        if mutant == Mutant::KeepsOuterNonce {
            return Response::Rres { sealed: boxes::seal(secret, &request, &plain) };
        }
        let mut reader = Reader::new(&plain);
        let Ok(corr) = reader.short().and_then(CorrId::new) else { return right };
        let (request, inner_answer) = (nonce_from_corr(&corr), reversed(nonce_from_corr(&corr)));
        let Ok(content) = boxes::open_padded(&forwarded.secret, &inner_answer, reader.rest()) else {
            return right;
        };
        let inner = match mutant {
            Mutant::KeepsInnerNonce => {
                boxes::seal_padded(&forwarded.secret, &request, &content, crate::smp::forward::FORWARD_SIZE)
            }
            Mutant::PadsNoInnerAnswer => {
                boxes::seal_padded(&forwarded.secret, &inner_answer, &content, content.len() + 2)
            }
            _ => return right,
        };
        let mut plain = Vec::new();
        let written = put_short(&mut plain, corr.as_bytes()).is_ok();
        let Some(inner) = inner.ok().filter(|_| written) else { return right };
        plain.extend_from_slice(&inner);
        Response::Rres { sealed: boxes::seal(secret, &answer, &plain) }
    }
}

/// How the mutant names what is wrong with a forward as a whole.
pub(in super::super) fn refuse_forward_wrongly(mutant: Option<Mutant>, error: SmpError) -> SmpError {
    match (mutant, error) {
        (Some(Mutant::CallsUndecryptedSyntax), SmpError::Crypto) => SmpError::Command(CommandError::Syntax),
        (_, error) => error,
    }
}
