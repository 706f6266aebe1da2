//! Deliberately wrong clients, for tests of what finds wrong clients: each does one thing differently.
//!
//! A right client takes none of these paths: it has no mutant. Where [`Client`](super::Client) and the errands have one,
//! they hand the step to this module instead of doing it themselves.

mod forward;
mod handshake;

pub(super) use forward::{open_reply, seal_command};
pub(super) use handshake::router_hello;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::ClientError;
use crate::crypto::boxes::{Nonce, seal, seal_padded};
use crate::crypto::keys::{AuthSecretKey, KeyType, SharedSecret, X25519Public};
use crate::crypto::{CryptoError, authenticator};
use crate::smp::command::Command;
use crate::smp::envelope::{CONFIRMATION_SIZE, ClientMessage, Envelope, MESSAGE_SIZE};
use crate::smp::response::Response;
use crate::smp::version::Layout;
use crate::transport::{Agreed, BlockError, Unsigned, authorize, content};
use crate::wire::{CorrId, EntityId, MsgId, WireError, put_short};

macro_rules! mutants {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// What a deliberately wrong client does differently.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ClientMutant {
            $($(#[doc = $text])+ $name,)+
        }

        impl ClientMutant {
            /// All of them.
            pub const ALL: &'static [ClientMutant] = &[$(ClientMutant::$name),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(ClientMutant::$name => stringify!($name),)+ }
            }

            /// What it does, in one sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(ClientMutant::$name => concat!($($text),+).trim_ascii_start(),)+ }
            }
        }
    };
}

mutants! {
    /// Takes a router of any identity in TLS.
    AnyTlsIdentity,
    /// Takes a chain of any length in TLS, whoever signed it.
    AnyTlsChain,
    /// Names a server in its TLS hello.
    NamesServer,
    /// Connects to port 443 where the address has no port.
    OtherDefaultPort,
    /// Does not compare the session id in the hello with the connection's.
    SessionIdUnchecked,
    /// Does not compare the identity of the certificates in the hello with the address.
    HelloIdentityUnchecked,
    /// Does not check the signatures of the certificates in the hello.
    HelloChainUnverified,
    /// Does not check who signed the router's session key.
    SessionKeyUnverified,
    /// Refuses a hello with bytes after the known fields.
    HelloTailRefused,
    /// Writes before the router's hello came.
    SpeaksFirst,
    /// Takes a hello that ends inside its certificates for one without any.
    CutHelloTaken,
    /// Takes a range of versions that ends before it begins.
    ReversedVersionsTaken,
    /// Takes a length beyond the block for the whole block.
    PaddingUnchecked,
    /// Takes a session key that is signed without its sequence.
    BareKeyTaken,
    /// Takes a session key of another type.
    AnyKeyType,
    /// Speaks the lowest common version.
    LowestVersion,
    /// Speaks its own greatest version, offered or not.
    OwnGreatestVersion,
    /// Names another identity in its hello than the address.
    HelloOtherIdentity,
    /// Leaves the proxy flag out of its hello.
    HelloWithoutProxyFlag,
    /// Says that it is a proxy.
    HelloClaimsProxy,
    /// Leaves the service field out of its hello.
    HelloWithoutServiceField,
    /// Writes the service field of its hello as a zero byte.
    HelloBinaryService,
    /// Sends its session key as bare bytes.
    HelloBareKey,
    /// Sends its hello without filling the block.
    HelloUnpadded,
    /// Sends its session key and leaves blocks unencrypted.
    BlocksPlain,
    /// Encrypts blocks below version 11.
    BlocksSealedTooEarly,
    /// Takes the chain of the one direction for the other.
    ChainsSwapped,
    /// Encrypts all its blocks with the first key.
    ChainStands,
    /// Ends blocks a byte early.
    ShortBlocks,
    /// Counts one transmission too many.
    CountOneMore,
    /// Writes the lengths of transmissions with the low byte first.
    LengthsReversed,
    /// Leaves a byte after the last transmission of a block.
    BatchTail,
    /// Refuses blocks that something else than # fills, where it sees what fills them.
    FillChecked,
    /// Reads the first transmission of each block only.
    FirstItemOnly,
    /// Leaves the session id out of what it signs.
    SessionIdNotSigned,
    /// Sends the session id where the version does not have it.
    SessionIdSent,
    /// Leaves the session id out where the version has it.
    SessionIdNotSent,
    /// Leaves the service field out after an authorization.
    NoServiceField,
    /// Writes the service field where there is no authorization.
    ServiceFieldAlways,
    /// Makes authenticators with a nonce of zeros.
    AuthenticatorZeroNonce,
    /// Makes authenticators for routers that sent no session key.
    AuthenticatorForNoKey,
    /// Takes transmissions of another session, at the version that has its id inside.
    OtherSessionTaken,
    /// Has correlation ids of four bytes.
    CorrelationShort,
    /// Uses one correlation id for all its commands.
    CorrelationRepeated,
    /// Counts up in its correlation ids.
    CorrelationCounts,
    /// Takes any answer for that to its oldest command.
    AnyCorrelation,
    /// Names an entity in PING.
    PingWithEntity,
    /// Signs PING.
    PingSigned,
    /// Names an entity in NEW.
    NewWithEntity,
    /// Signs NEW with another key than the one inside.
    NewByOtherKey,
    /// Writes NEW as at version 20 at every version.
    NewAsLatest,
    /// Writes NEW as at version 8 at every version.
    NewAsOldest,
    /// Makes its queue without subscribing to it.
    NewUnsubscribed,
    /// Writes keys in commands as bare bytes.
    BareKeys,
    /// Shows the recipient id in the queue's address.
    ShowsRecipientId,
    /// Does not acknowledge messages.
    NoAck,
    /// Acknowledges another id than the message's.
    AckOtherId,
    /// Acknowledges with an empty id.
    AckEmptyId,
    /// Acknowledges to the sender id.
    AckBySenderId,
    /// Signs SKEY with another key than the one inside.
    SkeyByOtherKey,
    /// Does not authorize SEND to a queue that it secured.
    SendUnauthorized,
    /// Signs as a sender instead of making authenticators.
    SenderSigns,
    /// Leaves the flags out of SEND.
    SendWithoutFlags,
    /// Writes the flag of SEND as a zero byte.
    SendBinaryFlag,
    /// Takes an error for success.
    ErrorAsSuccess,
    /// Ends the connection for an error that it does not know.
    UnknownErrorFatal,
    /// Ends the connection for an event that it does not know.
    UnknownEventFatal,
    /// Shows a message that does not decrypt.
    UnreadableShown,
    /// Shows the router's quota marker as a message.
    QuotaAsMessage,
    /// Takes events of queues that it does not have.
    EventsOfAnyQueue,
    /// Does not compare the relay's identity with the address.
    RelayIdentityUnchecked,
    /// Does not check the signatures of the relay's certificates.
    RelayChainUnverified,
    /// Does not check who signed the relay's session key.
    RelayKeyUnverified,
    /// Leaves all hosts but the first out of PRXY.
    FirstHostOnly,
    /// Forwards at its own greatest version, whatever the relay speaks.
    RelayVersionIgnored,
    /// Asks routers below version 20 for names.
    AsksOldRoutersForNames,
    /// Refuses the record of a name that is not written as it would write it.
    UnknownFieldsRefused,
    /// Forwards all its commands under one key.
    ForwardKeyRepeated,
    /// Fills forwarded commands up to a size of its own.
    ForwardOtherSize,
    /// Authorizes forwarded commands for its session with the proxy.
    ForwardForOwnSession,
    /// Puts two transmissions into a forwarded command.
    ForwardTwoInside,
    /// Gives the command inside another correlation id.
    ForwardOtherCorrelation,
    /// Authorizes PFWD itself.
    ForwardSigned,
    /// Sends PFWD without the relay's session.
    ForwardWithoutSession,
    /// Does not reverse the nonce of a forwarded answer.
    NonceNotReversed,
    /// Takes a forwarded answer that does not decrypt for OK.
    ForwardedUnreadableAsOk,
    /// Does not fill the envelopes of its messages.
    EnvelopeUnpadded,
    /// Fills a confirmation up to the size of a message.
    ConfirmationOtherSize,
    /// Encrypts all its envelopes with one nonce.
    EnvelopeNonceRepeated,
    /// Leaves out the byte before the text in an envelope.
    EnvelopeWithoutMark,
    /// Names a version of the envelope that the queue's address does not.
    EnvelopeOtherVersion,
    /// Sends its key with every message.
    EnvelopeKeyAlways,
}

/// A mutant, with what it remembers.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) mutant: ClientMutant,
    /// The correlation id or key that it uses again.
    kept_corr: Option<CorrId>,
    kept_key: Option<crate::crypto::keys::X25519Secret>,
    other_key: AuthSecretKey,
    count: u8,
}

type Parts = (CorrId, EntityId, Vec<u8>);

impl Wrong {
    pub(super) fn new(mutant: ClientMutant, rng: &mut ChaCha20Rng) -> Self {
        let other_key = AuthSecretKey::generate(KeyType::Ed25519, rng);
        Self { mutant, kept_corr: None, kept_key: None, other_key, count: 0 }
    }

    /// The correlation id of the next command, instead of `fresh`.
    pub(super) fn corr(&mut self, fresh: CorrId) -> CorrId {
        self.count = self.count.wrapping_add(1);
        match self.mutant {
            ClientMutant::CorrelationShort => {
                CorrId::new(fresh.as_bytes().get(..4).unwrap_or_default()).unwrap_or(CorrId::EMPTY)
            }
            ClientMutant::CorrelationRepeated => self.kept_corr.get_or_insert(fresh).clone(),
            ClientMutant::CorrelationCounts => {
                let mut bytes = [7; 24];
                bytes[23] = self.count;
                CorrId::from(bytes)
            }
            _ => fresh,
        }
    }

    /// The transmission of a command.
    pub(super) fn item(
        &mut self,
        agreed: &Agreed,
        (corr, entity, command): (CorrId, EntityId, &Command),
        key: Option<&AuthSecretKey>,
    ) -> Result<Vec<u8>, ClientError> {
        let layout = &agreed.session.layout;
        let (entity, key) = self.addressed(entity, command, key);
        let bytes = self.command(command, layout)?;
        let unsigned = Unsigned { corr, entity, command: bytes };
        let mut session = agreed.session.clone();
        match self.mutant {
            ClientMutant::SessionIdNotSigned if !layout.session_id_on_wire => session.id.clear(),
            ClientMutant::SessionIdSent => session.layout.session_id_on_wire = true,
            ClientMutant::SessionIdNotSent => session.layout.session_id_on_wire = false,
            ClientMutant::NoServiceField => session.layout.service_signature = false,
            _ => {}
        }
        let no_key = X25519Public::from_bytes([9; 32]);
        let made_up = (self.mutant == ClientMutant::AuthenticatorForNoKey).then_some(&no_key);
        let mut item = authorize(&session, &unsigned, key.as_ref(), agreed.peer_key.as_ref().or(made_up))?;
        if self.mutant == ClientMutant::SessionIdNotSigned && session.id.is_empty() {
            // The empty id had its length byte in the text: sign the rest alone.
            if let Some(AuthSecretKey::Ed25519(key)) = &key {
                let text = text(&[], &unsigned)?;
                overwrite(&mut item, &key.sign(text.get(1..).unwrap_or_default()));
            }
        }
        if let (ClientMutant::AuthenticatorZeroNonce, Some(AuthSecretKey::X25519(key)), Some(router)) =
            (self.mutant, &key, &agreed.peer_key)
        {
            let text = text(&session.id, &unsigned)?;
            overwrite(&mut item, &authenticator::make(&key.dh(router), &[0; 24], &text));
        }
        if self.mutant == ClientMutant::ServiceFieldAlways && layout.service_signature && key.is_none() {
            item.insert(1, b'0');
        }
        Ok(item)
    }

    /// Whom a command is for and which key authorizes it.
    fn addressed(
        &self,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> (EntityId, Option<AuthSecretKey>) {
        let some_entity = || EntityId::from([7; 24]);
        let other = || Some(self.other_key.clone());
        let right = key.cloned();
        match (self.mutant, command) {
            (ClientMutant::PingWithEntity, Command::Ping) => (some_entity(), right),
            (ClientMutant::PingSigned, Command::Ping) => (entity, other()),
            (ClientMutant::NewWithEntity, Command::New(_)) => (some_entity(), right),
            (ClientMutant::NewByOtherKey, Command::New(_)) => (entity, other()),
            (ClientMutant::SkeyByOtherKey, Command::SKey(_)) => (entity, other()),
            (ClientMutant::SenderSigns, Command::SKey(_) | Command::Send { .. }) => (entity, other()),
            (ClientMutant::SendUnauthorized, Command::Send { .. }) => (entity, None),
            (ClientMutant::ForwardSigned, Command::Pfwd { .. }) => (entity, other()),
            (ClientMutant::ForwardWithoutSession, Command::Pfwd { .. }) => (EntityId::EMPTY, right),
            _ => (entity, right),
        }
    }

    fn command(&self, command: &Command, layout: &Layout) -> Result<Vec<u8>, WireError> {
        let mut bytes = Vec::new();
        match (self.mutant, command) {
            (ClientMutant::NewAsLatest, Command::New(_)) => {
                command.encode(&Layout::of(crate::smp::version::MAX), &mut bytes)?;
            }
            (ClientMutant::NewAsOldest, Command::New(_)) => command.encode(&Layout::of(8), &mut bytes)?,
            (ClientMutant::NewUnsubscribed, Command::New(queue)) => {
                let queue = crate::smp::command::NewQueue { subscribe: false, ..queue.as_ref().clone() };
                Command::New(Box::new(queue)).encode(layout, &mut bytes)?;
            }
            (ClientMutant::AckOtherId, Command::Ack(_)) => {
                Command::Ack(MsgId::from([7; 24])).encode(layout, &mut bytes)?;
            }
            (ClientMutant::AckEmptyId, Command::Ack(_)) => {
                Command::Ack(MsgId::EMPTY).encode(layout, &mut bytes)?;
            }
            (ClientMutant::BareKeys, Command::New(_) | Command::SKey(_)) => {
                command.encode(layout, &mut bytes)?;
                bytes = bare_keys(&bytes);
            }
            (ClientMutant::FirstHostOnly, Command::Prxy { router, password }) => {
                let (mut router, password) = (router.clone(), password.clone());
                router.hosts.truncate(1);
                Command::Prxy { router, password }.encode(layout, &mut bytes)?;
            }
            (ClientMutant::SendWithoutFlags, Command::Send { body, .. }) => {
                bytes = [b"SEND ", body.as_slice()].concat();
            }
            (ClientMutant::SendBinaryFlag, Command::Send { body, .. }) => {
                bytes = [b"SEND \0 ", body.as_slice()].concat();
            }
            _ => command.encode(layout, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// The next block.
    pub(super) fn block(&self, agreed: &mut Agreed, items: &[&[u8]]) -> Result<Vec<u8>, BlockError> {
        // What does not fit was refused when the request was made.
        let mut content = content(items.iter().copied()).unwrap_or_default();
        match (self.mutant, content.as_mut_slice()) {
            (ClientMutant::CountOneMore, [count, ..]) => *count = count.wrapping_add(1),
            (ClientMutant::LengthsReversed, [_, high, low, ..]) => std::mem::swap(high, low),
            _ => {}
        }
        if self.mutant == ClientMutant::BatchTail {
            content.push(0);
        }
        let codec = match self.mutant {
            ClientMutant::ChainStands => &mut agreed.codec.clone(),
            _ => &mut agreed.codec,
        };
        let mut block = codec.seal(&content)?;
        if self.mutant == ClientMutant::ShortBlocks {
            block.pop();
        }
        Ok(block)
    }

    /// Whether it does not take a block that right clients take.
    pub(super) fn refuses(&self, block: &[u8], agreed: &Agreed) -> bool {
        self.mutant == ClientMutant::FillChecked
            && !agreed.codec.is_encrypted()
            && block.last().is_some_and(|byte| *byte != b'#')
    }

    /// Which command a transmission answers, and with what; `oldest` is the command that waits longest.
    pub(super) fn received(
        &self,
        received: Parts,
        layout: &Layout,
        response: Result<Response, WireError>,
        pending: &[&CorrId],
    ) -> Result<(CorrId, Result<Response, WireError>), ClientError> {
        let (corr, _, command) = received;
        let response = match (self.mutant, response) {
            (ClientMutant::UnknownErrorFatal, Err(error)) if command.starts_with(b"ERR ") => {
                return Err(error.into());
            }
            (ClientMutant::UnknownEventFatal, Err(error)) if corr.is_empty() => return Err(error.into()),
            (ClientMutant::OtherSessionTaken, Err(_)) => Response::decode(&command, layout),
            (ClientMutant::ErrorAsSuccess, Ok(Response::Err(_))) => Ok(Response::Ok),
            (_, response) => response,
        };
        let corr = match (self.mutant, pending) {
            (ClientMutant::AnyCorrelation, [oldest, ..]) if !corr.is_empty() => (*oldest).clone(),
            _ => corr,
        };
        Ok((corr, response))
    }
}

impl ClientMutant {
    /// The envelope around a message. `own` is the sender's key, which goes into confirmations.
    pub(in crate::smp) fn envelope(
        self,
        (version, key): (u16, Option<X25519Public>),
        own: X25519Public,
        secret: &SharedSecret,
        nonce: Nonce,
        message: &ClientMessage,
    ) -> Result<Vec<u8>, CryptoError> {
        let mut text = message.encode();
        let nonce = if self == Self::EnvelopeNonceRepeated { [7; 24] } else { nonce };
        let size = if key.is_some() { CONFIRMATION_SIZE } else { MESSAGE_SIZE };
        if self == Self::EnvelopeWithoutMark {
            text.remove(0);
        }
        let sealed = match self {
            Self::EnvelopeUnpadded => seal(secret, &nonce, &text),
            Self::ConfirmationOtherSize => seal_padded(secret, &nonce, &text, size.max(MESSAGE_SIZE))?,
            _ => seal_padded(secret, &nonce, &text, size)?,
        };
        let key = if self == Self::EnvelopeKeyAlways { Some(own) } else { key };
        let version = if self == Self::EnvelopeOtherVersion { 5 } else { version };
        Ok(Envelope { version, key, nonce, sealed }.encode())
    }
}

/// The text that is authorized at versions from 7 on.
fn text(session_id: &[u8], unsigned: &Unsigned) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    put_short(&mut out, session_id)?;
    put_short(&mut out, unsigned.corr.as_bytes())?;
    put_short(&mut out, unsigned.entity.as_bytes())?;
    out.extend_from_slice(&unsigned.command);
    Ok(out)
}

/// Replaces an authorization by another one of the same length.
fn overwrite(item: &mut [u8], authorization: &[u8]) {
    for (to, byte) in item.iter_mut().skip(1).zip(authorization) {
        *to = *byte;
    }
}

/// The bytes of a command, its keys of 32 bytes without what says that they are keys.
fn bare_keys(command: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), command);
    while let Some((first, after)) = rest.split_first() {
        match rest {
            [0x2c, 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, _, 0x03, 0x21, 0x00, key @ ..] => {
                out.push(0x20);
                rest = key;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// A random correlation id.
fn random_corr(rng: &mut ChaCha20Rng) -> CorrId {
    let mut bytes = [0; 24];
    rng.fill_bytes(&mut bytes);
    CorrId::from(bytes)
}
