//! What mutants do wrong with a block's transmissions: reading them, letting them through, writing answers.

use super::super::Router;
use super::super::service_sessions::ServiceSession;
use super::super::verify::{Accepted, KnownSecrets, Refusal, Reply};
use super::services::takes_of_service;
use super::{Mutant, Wrong};
use crate::crypto::keys::{KeyType, X25519Secret};
use crate::observe::SessionNo;
use crate::smp::command::Command;
use crate::smp::error::{CommandError, NameError, SmpError};
use crate::smp::response::Response;
use crate::smp::version::Layout;
use crate::transport::{Authorization, BatchError, Received, Session, pack, read_transmission, unpack};
use crate::wire::{CorrId, EntityId, Reader, WireError, put_short};

/// The transmissions of a block's content, as the mutant finds them.
pub(in super::super) fn unpack_wrongly(mutant: Mutant, content: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    let right = unpack(content);
    match mutant {
        Mutant::TakesEmptyBatch if content == [0] => Ok(Vec::new()),
        Mutant::TakesBatchTail | Mutant::TakesCutBatch if right.is_err() => {
            let mut reader = Reader::new(content);
            let count = usize::from(reader.u8()?);
            let items: Vec<_> = std::iter::from_fn(|| reader.large().ok()).take(count).collect();
            let whole = items.len() == count && count > 0;
            if whole || (mutant == Mutant::TakesCutBatch && !items.is_empty()) { Ok(items) } else { right }
        }
        Mutant::MissesLastOfBatch => right.map(|mut items| {
            if items.len() > 1 {
                items.pop();
            }
            items
        }),
        _ => right,
    }
}

impl Wrong {
    /// Packs transmissions as the mutant does.
    pub(in super::super) fn pack(&self, items: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, BatchError> {
        match self.mutant {
            Mutant::AnswersOneByOne => {
                let blocks: Result<Vec<_>, _> =
                    items.iter().map(|item| pack(std::slice::from_ref(item))).collect();
                Ok(blocks?.concat())
            }
            Mutant::LeavesRestToLast => {
                let count =
                    pack(items)?.first().and_then(|block| block.first()).copied().map_or(0, usize::from);
                let (rest, full) = items.split_at_checked(count).unwrap_or((items, &[]));
                if full.is_empty() {
                    return pack(items);
                }
                // As many in the last block as there would be in the first.
                let (full, rest) = items.split_at_checked(items.len() - rest.len()).unwrap_or((items, &[]));
                Ok([pack(full)?, pack(rest)?].concat())
            }
            Mutant::FillsBlocksLess if items.iter().map(|item| item.len() + 2).sum::<usize>() > 16_000 => {
                let (first, rest) = items.split_at_checked(items.len() / 2).unwrap_or((items, &[]));
                Ok([pack(first)?, pack(rest)?].concat())
            }
            _ => pack(items),
        }
    }
}

/// Parses and checks a transmission as the mutant does.
pub(in super::super) fn check_wrongly(
    mutant: Mutant,
    received: Received,
    layout: &Layout,
) -> Result<Accepted, Refusal> {
    let read = received.clone();
    let checked = Accepted::check(received, layout);
    checked.map_err(|refusal| Refusal { error: refused_wrongly(mutant, &read, refusal.error), ..refusal })
}

/// How the mutant answers what does not pass the gates before verification.
fn refused_wrongly(mutant: Mutant, received: &Received, error: SmpError) -> SmpError {
    let SmpError::Command(right) = &error else { return error };
    let unsigned = received.authorization.as_ref().is_some_and(Authorization::is_none);
    match (mutant, right) {
        (Mutant::CallsUnsignedWrong, CommandError::NoAuth) if !received.entity.is_empty() => SmpError::Auth,
        (Mutant::CallsBareSendUnsigned, CommandError::NoEntity) => SmpError::Command(CommandError::NoAuth),
        (Mutant::AuthorizesBeforeParsing, CommandError::Syntax | CommandError::Unknown) if unsigned => {
            SmpError::Command(CommandError::NoAuth)
        }
        (Mutant::CallsSyntaxUnknown, CommandError::Syntax) => SmpError::Command(CommandError::Unknown),
        (Mutant::CallsUnknownSyntax, CommandError::Unknown) => SmpError::Command(CommandError::Syntax),
        (Mutant::CallsMalformedNotFound, CommandError::Syntax) if received.command.starts_with(b"RSLV") => {
            SmpError::Name(NameError::NotFound)
        }
        _ => error,
    }
}

/// What a block's transmissions come to: those refused, and those to be carried out.
pub(in super::super) fn sort_wrongly(
    mutant: Mutant,
    refused: &mut Vec<Refusal>,
    verified: &mut Vec<Accepted>,
) {
    let unreadable = |refusal: &Refusal| refusal.error == SmpError::Block;
    match mutant {
        Mutant::RefusesWholeBatch if refused.iter().any(unreadable) => {
            *refused = vec![Refusal::bare(CorrId::EMPTY, SmpError::Block)];
            verified.clear();
        }
        Mutant::RunsBatchBackwards => verified.reverse(),
        _ => {}
    }
}

impl Router {
    /// Reads a transmission as the mutant does.
    pub(in super::super) fn read_wrongly(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        of: &Session,
        item: &[u8],
    ) -> Result<Received, WireError> {
        let mut read = read_transmission(of, item);
        if mutant == Mutant::TakesMissingServiceByte && read.is_err() {
            let layout = Layout { service_signature: false, ..of.layout };
            read = read_transmission(&Session { id: of.id.clone(), layout }, item);
        }
        let mut received = read?;
        let wrong = self.wrong_mut();
        if let Some(wrong) = wrong {
            wrong.last_corr = received.corr.clone();
            let again = !wrong.corr_ids.insert((session, received.corr.clone()));
            if mutant == Mutant::RefusesRepeatedCorrId && again {
                return Err(WireError::BadTag);
            }
        }
        let command: &[u8] = &received.command;
        match mutant {
            Mutant::WantsCorrIdOf24 if received.corr.as_bytes().len() != 24 => {
                return Err(WireError::BadLength);
            }
            Mutant::IgnoresSessionId => received.right_session = true,
            Mutant::TakesOddAuthorization if received.authorization.is_none() => {
                received.authorization = Some(Authorization::Ed25519([0; 64]));
            }
            Mutant::TakesSignedPing if command == b"PING" => {
                received.authorization = Some(Authorization::None)
            }
            Mutant::TakesPingOfEntity if command == b"PING" => received.entity = EntityId::EMPTY,
            Mutant::TakesNewOfEntity if command.starts_with(b"NEW ") => received.entity = EntityId::EMPTY,
            Mutant::TakesSignedRslv if command.starts_with(b"RSLV ") => {
                received.authorization = Some(Authorization::None);
            }
            Mutant::TakesSignedLget if command == b"LGET" => {
                received.authorization = Some(Authorization::None)
            }
            Mutant::TakesCommandTail if command.starts_with(b"SUB ") => received.command.truncate(3),
            // As if nothing had been asked for.
            Mutant::TakesNoKeys if command == b"RKEY \0" => received.command = b"LDEL".to_vec(),
            Mutant::TakesSenderIdForRecipient => {
                let recipient =
                    self.store.by_sender(&received.entity).map(|(recipient, _)| recipient.clone());
                let of_sender = command.starts_with(b"SEND ") || command.starts_with(b"SKEY ");
                if let Some(recipient) = recipient.filter(|_| !of_sender) {
                    received.entity = recipient;
                }
            }
            Mutant::TakesRecipientIdForSender if command.starts_with(b"SEND ") => {
                if let Some(queue) = self.store.by_recipient(&received.entity) {
                    received.entity = queue.sender.clone();
                }
            }
            Mutant::TakesLgetOfSender if command == b"LGET" => {
                let link = self.store.by_sender(&received.entity).and_then(|(_, queue)| queue.link());
                if let Some(id) = link.and_then(|link| EntityId::new(link.id.as_bytes()).ok()) {
                    received.entity = id;
                }
            }
            _ => {}
        }
        Ok(received)
    }

    /// Whether the mutant lets a transmission through; `verdict` is whether it should.
    pub(in super::super) fn verify_wrongly(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        accepted: &Accepted,
        own: &X25519Secret,
        service: Option<&ServiceSession>,
        verdict: Result<(), SmpError>,
    ) -> Result<(), SmpError> {
        let entity = &accepted.received.entity;
        let elsewhere =
            mutant == Mutant::TakesOtherSessionsSignature && self.verifies_elsewhere(session, accepted, own);
        let named = self.named(entity).map(|(_, queue)| queue.clone());
        let queue = named.as_ref();
        let key_type = accepted.key_type();
        let sender_key = queue.and_then(|queue| queue.sender_key);
        let refused = verdict == Err(SmpError::Auth);
        let command = &accepted.command;
        let is_send = matches!(command, Command::Send { .. });
        let takes = match mutant {
            Mutant::TakesAnySignature => {
                matches!(key_type, Some(KeyType::Ed25519 | KeyType::Ed448)) && queue.is_some()
            }
            Mutant::TakesAnyAuthenticator => key_type == Some(KeyType::X25519) && queue.is_some(),
            Mutant::IgnoresKeyType => queue.is_some_and(|queue| {
                let mut keys = queue.recipient_keys.iter().chain(&queue.sender_key);
                key_type.is_some() && !keys.any(|key| Some(key.key_type()) == key_type)
            }),
            Mutant::TakesNewByOtherKey => matches!(command, Command::New(_)),
            Mutant::TakesSkeyByOtherKey => matches!(command, Command::SKey(_)) && queue.is_some(),
            Mutant::TakesLkeyByOtherKey => matches!(command, Command::LKey(_)) && queue.is_some(),
            Mutant::TakesUnsignedSend => is_send && key_type.is_none() && sender_key.is_some(),
            Mutant::TakesSignedSendToOpen => {
                is_send && key_type.is_some() && queue.is_some() && sender_key.is_none()
            }
            Mutant::TakesNsubOfRecipient => {
                matches!(command, Command::NSub)
                    && queue.is_some_and(|queue| {
                        queue
                            .recipient_keys
                            .iter()
                            .any(|key| accepted.verifies(key, &accepted.received.text, own))
                    })
            }
            Mutant::KeepsFormerNotifier => {
                let former = self.wrong.as_ref().map(|wrong| wrong.former.as_slice()).unwrap_or_default();
                let mut former = former.iter().filter(|notifier| notifier.id == *entity);
                former.any(|notifier| accepted.verifies(&notifier.key, &accepted.received.text, own))
            }
            Mutant::TakesOtherSessionsSignature => elsewhere,
            _ => false,
        };
        let by_service = takes_of_service(mutant, accepted, own, service, queue, &verdict);
        if (refused && takes) || by_service {
            return Ok(());
        }
        match mutant {
            Mutant::RefusesEd448 if key_type == Some(KeyType::Ed448) => Err(SmpError::Auth),
            Mutant::RefusesAuthenticators if key_type == Some(KeyType::X25519) => Err(SmpError::Auth),
            Mutant::WantsZeroNonce if key_type == Some(KeyType::X25519) => {
                let mut zero = accepted.clone();
                zero.received.corr = CorrId::EMPTY;
                self.verify(&zero, own, service, &mut KnownSecrets::none())
            }
            Mutant::TellsAbsence if refused && queue.is_none() => {
                Err(SmpError::Command(CommandError::NoEntity))
            }
            Mutant::TakesFirstKeyOnly if verdict.is_ok() => {
                let keys = queue.map(|queue| queue.recipient_keys.as_slice()).unwrap_or_default();
                let by = |key| accepted.verifies(key, &accepted.received.text, own);
                let further = keys.len() > 1 && keys.iter().position(by).is_some_and(|at| at > 0);
                if further { Err(SmpError::Auth) } else { verdict }
            }
            Mutant::SaysBlockedToAnyone if refused => match queue.and_then(|queue| queue.blocked()) {
                Some(info) => Err(SmpError::Blocked(info)),
                None => verdict,
            },
            Mutant::MeasuresBeforeVerifying => match command {
                Command::Send { body, .. } if body.len() > self.limit(session) => Err(SmpError::LargeMsg),
                _ => verdict,
            },
            _ => verdict,
        }
    }

    /// The largest body that a session may send.
    pub(super) fn limit(&self, session: SessionNo) -> usize {
        self.open(session).map_or(0, |open| open.agreed.session.layout.message_limit)
    }

    /// Whether the authorization would hold in some other session.
    fn verifies_elsewhere(&mut self, session: SessionNo, accepted: &Accepted, own: &X25519Secret) -> bool {
        let open = self.open(session).map(|open| open.agreed.session.id.clone()).unwrap_or_default();
        let others: Vec<_> = self
            .sessions
            .values()
            .filter_map(|peer| peer.open())
            .map(|open| open.agreed.session.id.clone())
            .filter(|id| *id != open)
            .collect();
        let tail = accepted.received.text.get(1 + open.len()..).unwrap_or_default().to_vec();
        others.iter().any(|id| {
            let mut elsewhere = accepted.clone();
            let mut text = Vec::new();
            let written = put_short(&mut text, id).is_ok();
            text.extend_from_slice(&tail);
            elsewhere.received.text = text;
            written && self.verify(&elsewhere, own, None, &mut KnownSecrets::none()).is_ok()
        })
    }

    /// What leaves for a session.
    pub(in super::super) fn send_wrongly(&mut self, mutant: Mutant, replies: Vec<Reply>) -> Vec<Reply> {
        let last = self.wrong.as_ref().map(|wrong| wrong.last_corr.clone()).unwrap_or_default();
        let mut sent = Vec::with_capacity(replies.len());
        for mut reply in replies {
            let event = reply.corr.is_empty();
            match mutant {
                Mutant::DropsCorrId => reply.corr = CorrId::EMPTY,
                Mutant::DropsEntity if !event => reply.entity = EntityId::EMPTY,
                Mutant::DeliversUnderCorrId if event && matches!(reply.response, Response::Msg { .. }) => {
                    reply.corr = last.clone();
                }
                Mutant::BlocksSilently
                    if event && matches!(reply.response, Response::Err(SmpError::Blocked(_))) =>
                {
                    continue;
                }
                Mutant::DropsCorrIdOfForwarded
                    if matches!(
                        reply.response,
                        Response::Pres { .. } | Response::Err(SmpError::Proxy(_))
                    ) =>
                {
                    reply.corr = CorrId::EMPTY;
                }
                _ => {}
            }
            super::forwarding::proxy_wrongly(mutant, &mut reply);
            if !super::services::serve_wrongly(mutant, &mut reply) {
                continue;
            }
            self.deliver_wrongly(mutant, &mut reply);
            sent.push(reply);
        }
        sent
    }
}
