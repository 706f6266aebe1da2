//! Who may give a command.
//!
//! A transmission passes three gates, in this order: its command parses (CMD SYNTAX, CMD UNKNOWN), it has the
//! authorization and entity that its command takes (AU-7 to AU-11), its authorization verifies (AUTH). All of a block's
//! transmissions pass them before the first is carried out, and refusals are answered before anything else of the
//! block (TR-34): first those of [`Accepted::check`], then those of [`Router::verify`].

use std::borrow::Cow;

use super::service_sessions::ServiceSession;
use super::{Mutant, Router};
use crate::crypto::keys::{AuthPublicKey, KeyType, SharedSecret, X25519Public, X25519Secret};
use crate::observe::{Layer, Seen, SessionNo};
use crate::smp::command::Command;
use crate::smp::error::{CommandError, SmpError};
use crate::smp::response::Response;
use crate::smp::version::Layout;
use crate::transport::{Authorization, Received};
use crate::wire::{CorrId, EntityId, LinkId};

/// An answer or event before it is encoded for its session.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) corr: CorrId,
    pub(super) entity: EntityId,
    pub(super) response: Response,
}

/// Why a transmission is not carried out.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) corr: CorrId,
    pub(super) entity: EntityId,
    pub(super) error: SmpError,
}

impl Refusal {
    /// One that names no entity.
    pub(super) fn bare(corr: CorrId, error: SmpError) -> Self {
        Self { corr, entity: EntityId::EMPTY, error }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self { corr: refusal.corr, entity: refusal.entity, response: Response::Err(refusal.error) }
    }
}

/// The short link that an entity names.
pub(super) fn link_id(entity: &EntityId) -> LinkId {
    // Never fails: both are byte strings of up to 255 bytes.
    LinkId::new(entity.as_bytes()).unwrap_or_default()
}

/// A transmission that passed the gates before verification.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) received: Received,
    pub(super) authorization: Authorization,
    pub(super) command: Command,
}

/// Secrets between a session's key and keys whose authenticators verified in it: computing one again would be most of
/// what a message costs its router.
///
/// Only keys that queues have get here, and only once they verified: whoever lacks a queue's key sees the same work
/// whether there is such a queue or not (AU-6).
#[derive(Debug)]
pub(super) struct KnownSecrets {
    secrets: Vec<(X25519Public, SharedSecret)>,
    most: usize,
    /// The place of the next one, once there are as many as may be.
    next: usize,
}

impl Default for KnownSecrets {
    /// Room for 64, or 4 KiB: a client rarely sends to more queues of one router at a time.
    fn default() -> Self {
        Self { secrets: Vec::new(), most: 64, next: 0 }
    }
}

impl KnownSecrets {
    /// Keeps nothing.
    pub(super) fn none() -> Self {
        Self { most: 0, ..Self::default() }
    }

    fn get(&self, key: &X25519Public) -> Option<&SharedSecret> {
        self.secrets.iter().find(|(known, _)| known == key).map(|(_, secret)| secret)
    }

    fn insert(&mut self, key: X25519Public, secret: SharedSecret) {
        if self.secrets.len() < self.most {
            self.secrets.push((key, secret));
        } else if let Some(place) = self.secrets.get_mut(self.next) {
            *place = (key, secret);
            self.next = (self.next + 1) % self.most;
        }
    }
}

/// Who gives a command: what its authorization is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    /// Nobody in particular: no authorization, no entity.
    Anyone,
    /// Somebody with an entity but without a key.
    Bearer,
    /// The queue's sender, with a key once the queue is secured.
    Sender,
    /// Who creates a queue: a key in the command, no entity.
    Creator,
    /// Who owns the entity: a key and the entity.
    Owner,
}

fn party(command: &Command) -> Party {
    match command {
        Command::Ping | Command::Prxy { .. } | Command::Rfwd { .. } | Command::Rslv(_) => Party::Anyone,
        Command::Pfwd { .. } | Command::LGet => Party::Bearer,
        Command::Send { .. } => Party::Sender,
        Command::New(_) => Party::Creator,
        _ => Party::Owner,
    }
}

impl Accepted {
    /// Parses the command and checks that it has the authorization and the entity that it takes.
    pub(super) fn check(received: Received, layout: &Layout) -> Result<Self, Refusal> {
        if !received.right_session {
            return Err(Refusal::bare(received.corr, SmpError::Session));
        }
        let Some(authorization) = received.authorization.clone() else {
            return Err(Refusal::bare(received.corr, SmpError::Block));
        };
        let (signed, entity) = (!authorization.is_none(), !received.entity.is_empty());
        let command = Command::decode(&received.command, layout).and_then(|command| {
            let problem = match party(&command) {
                Party::Anyone => (signed || entity).then_some(CommandError::HasAuth),
                Party::Bearer if !entity => Some(CommandError::NoEntity),
                Party::Bearer => signed.then_some(CommandError::HasAuth),
                Party::Sender => (!entity).then_some(CommandError::NoEntity),
                Party::Creator if !signed => Some(CommandError::NoAuth),
                Party::Creator => entity.then_some(CommandError::HasAuth),
                Party::Owner => (!signed || !entity).then_some(CommandError::NoAuth),
            };
            problem.map_or(Ok(command), Err)
        });
        match command {
            Ok(command) => Ok(Self { received, authorization, command }),
            Err(error) => {
                Err(Refusal { corr: received.corr, entity: received.entity, error: SmpError::Command(error) })
            }
        }
    }

    /// The refusal of this transmission.
    pub(super) fn refused(&self, error: SmpError) -> Refusal {
        Refusal { corr: self.received.corr.clone(), entity: self.received.entity.clone(), error }
    }

    pub(super) fn seen(&self, session: SessionNo, layer: Layer, size: usize) -> Seen {
        Seen {
            session,
            kind: self.command.kind(),
            layer,
            entity: self.received.entity.clone(),
            corr: self.received.corr.clone(),
            size: u32::try_from(size).unwrap_or(u32::MAX),
            passed_to: None,
        }
    }

    pub(super) fn verifies(&self, key: &AuthPublicKey, text: &[u8], own: &X25519Secret) -> bool {
        self.authorization.verifies(key, text, &self.received.corr, own)
    }

    /// Whether a service's signature is where it belongs, and nowhere else, and holds (SV-7).
    fn service_fits(&self, service: Option<&ServiceSession>) -> bool {
        let wanted = service.filter(|_| self.command.is_signed_by_service());
        match (wanted, &self.received.service_signature) {
            (Some(service), Some(signature)) => service.signed(&self.received.text, signature),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether a service authorizes SUBS or NSUBS: with its session key in the place of a queue's, for its own id, and not
    /// a second time (SV-12).
    fn is_by_service(&self, service: &ServiceSession) -> bool {
        let Authorization::Ed25519(signature) = &self.authorization else { return false };
        self.received.entity == service.id
            && self.received.service_signature.is_none()
            && service.signed(&self.received.text, signature)
    }

    /// The same for a key that a queue has, which may have verified before in this session.
    fn verifies_again(
        &self,
        key: &AuthPublicKey,
        text: &[u8],
        own: &X25519Secret,
        known: &mut KnownSecrets,
    ) -> bool {
        let AuthPublicKey::X25519(sender) = key else { return self.verifies(key, text, own) };
        let (secret, is_known) = match known.get(sender) {
            Some(secret) => (secret.clone(), true),
            None => (own.dh(sender), false),
        };
        let verifies = self.authorization.verifies_with(&secret, text, &self.received.corr);
        if verifies && !is_known {
            known.insert(*sender, secret);
        }
        verifies
    }

    /// The type of the key that the authorization was made with, if there is one.
    pub(super) fn key_type(&self) -> Option<KeyType> {
        match self.authorization {
            Authorization::None => None,
            Authorization::Ed25519(_) => Some(KeyType::Ed25519),
            Authorization::Ed448(_) => Some(KeyType::Ed448),
            Authorization::Authenticator(_) => Some(KeyType::X25519),
        }
    }
}

impl Router {
    /// Whether the transmission is authorized by the party that its command is for, and, where its session is a service's,
    /// as it has to be there; the refusal if not. An absent queue is AUTH before anything of a service is looked at, and
    /// what a service may not do is told to who could do it otherwise (SV-6, observed).
    pub(super) fn verify(
        &mut self,
        accepted: &Accepted,
        own: &X25519Secret,
        service: Option<&ServiceSession>,
        known: &mut KnownSecrets,
    ) -> Result<(), SmpError> {
        let entity = &accepted.received.entity;
        let prohibited = service.is_some_and(|service| !service.allows(&accepted.command))
            && !self.is(Mutant::IgnoresRole);
        let allowed = if prohibited { Err(SmpError::Command(CommandError::Prohibited)) } else { Ok(()) };
        let queue_keys = match (&accepted.command, party(&accepted.command)) {
            // Without its link LGET is AUTH, whoever asks.
            (Command::LGet, _) if self.store.by_link(&link_id(entity)).is_none() => return Ok(()),
            (_, Party::Anyone | Party::Bearer) => return allowed,
            (Command::New(new), _) => Some(vec![new.auth_key]),
            (Command::SKey(key), _) => self.store.by_sender(entity).map(|_| vec![*key]),
            (Command::LKey(key), _) => self.store.by_link(&link_id(entity)).map(|_| vec![*key]),
            (Command::Subs(_) | Command::NSubs(_), _) => {
                allowed?;
                let by_service = service.is_some_and(|service| accepted.is_by_service(service));
                return if by_service { Ok(()) } else { Err(SmpError::Service) };
            }
            (Command::NSub, _) => {
                let queue = self.store.by_notifier(entity);
                queue.and_then(|(_, queue)| queue.notifier()).map(|notifier| vec![notifier.key])
            }
            (_, Party::Sender) => {
                self.store.by_sender(entity).map(|(_, queue)| queue.sender_key.into_iter().collect())
            }
            _ => self.store.by_recipient(entity).map(|queue| queue.recipient_keys.clone()),
        };
        if queue_keys.is_some() && !prohibited && !accepted.service_fits(service) {
            return Err(SmpError::Service);
        }
        let Some(key_type) = accepted.key_type() else {
            // Without authorization only SEND gets here; a queue that is not secured takes it (RC-21).
            return if queue_keys.is_some_and(|keys| keys.is_empty()) {
                allowed
            } else {
                Err(SmpError::Auth)
            };
        };
        let signed = service.filter(|_| accepted.received.service_signature.is_some());
        let text = match signed {
            Some(service) => Cow::Owned(service.text(&accepted.received.text)),
            None => Cow::Borrowed(accepted.received.text.as_slice()),
        };
        let keys = queue_keys.unwrap_or_default();
        let mut candidates = keys.iter().filter(|key| key.key_type() == key_type).peekable();
        if candidates.peek().is_none() && !self.is(Mutant::RefusesAbsentFaster) {
            // Absent queues and keys of another type cost what a wrong key costs (AU-6): one verification of the kind
            // that the authorization implies, with a key that nobody has.
            std::hint::black_box(accepted.verifies(self.dummies.of(key_type), &text, own));
        }
        let brings_its_key =
            matches!(accepted.command, Command::New(_) | Command::SKey(_) | Command::LKey(_));
        let verifies = candidates.any(|key| {
            if brings_its_key {
                accepted.verifies(key, &text, own)
            } else {
                accepted.verifies_again(key, &text, own, known)
            }
        });
        if verifies { allowed } else { Err(SmpError::Auth) }
    }
}
