//! The suite as the proxy of a client under test, and as the relay behind it at once.

use sxlab_protocol::crypto::boxes::{nonce_from_corr, open, reversed, seal_padded};
use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::keys::{SharedSecret, X25519Public, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::forward::{FORWARD_SIZE, inner_session};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{Received, Session, pack_one, read_transmission, unpack, write_response};
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress, VersionRange, unpad};

use super::certificates::{Certified, KeysOf};
use super::{Asked, Destination, Failure, Guest, Lab, Who, require, require_eq};
use crate::target::Action;

/// A relay that a proxy of the suite shows.
#[derive(Clone, Debug)]
pub struct Behind {
    /// Its address.
    pub address: RouterAddress,
    /// Its certificates.
    pub certified: Certified,
    /// Its session key.
    pub key: X25519Secret,
    /// The session between proxy and relay: its id, and the entity of PFWD.
    pub session: EntityId,
}

/// What PKEY says, for a case to change.
#[derive(Clone, Debug)]
pub struct Pkey {
    /// The session.
    pub session: EntityId,
    /// The versions, the least first.
    pub versions: (u16, u16),
    /// The certificates.
    pub chain: Vec<Vec<u8>>,
    /// The signed session key in DER.
    pub signed_key: Vec<u8>,
}

/// What was inside a PFWD.
#[derive(Clone, Debug)]
pub struct Inner {
    /// The version that PFWD names.
    pub version: u16,
    /// The client's key.
    pub key: X25519Public,
    /// The transmissions.
    pub items: Vec<Received>,
    /// The padded size.
    pub size: usize,
    secret: SharedSecret,
    session: Session,
}

impl Lab<'_> {
    /// A relay with certificates of its own.
    pub fn behind(&mut self) -> Result<Behind, Failure> {
        let certified = self.certified(1, KeysOf::Ed25519);
        let identity = Chain::new(certified.chain.clone()).identity().map_err(Failure::error)?;
        let hosts = vec!["relay.test".parse().map_err(Failure::error)?];
        let address = RouterAddress { hosts, port: None, identity, password: None };
        let key = X25519Secret::generate(&mut self.rng);
        let session = EntityId::from(*X25519Secret::generate(&mut self.rng).public().as_bytes());
        Ok(Behind { address, certified, key, session })
    }

    /// A client that was asked to send these texts through a proxy, connected to it and asked for a session with the relay:
    /// PRXY as it came.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn proxied_sender(
        &mut self,
        behind: &Behind,
        messages: &[&str],
    ) -> Result<(Guest, Destination, Asked), Failure> {
        let door = self.door()?;
        let mut queue = self.destination(&door);
        queue.address.router = behind.address.clone();
        self.act(&Action::send(&queue.address, messages, Some(&door.address)))?;
        let visit = self.visit(&door, |_| {})?;
        let guest = self.welcome(&door, visit)?;
        let asked = self.command_of(guest.who, "PRXY")?;
        Ok((guest, queue, asked))
    }

    /// Answers PRXY by PKEY as `change` leaves it.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn pkey_to(
        &mut self,
        who: Who,
        asked: &Asked,
        behind: &Behind,
        change: impl FnOnce(&mut Pkey),
    ) -> Result<(), Failure> {
        let mut pkey = Pkey {
            session: behind.session.clone(),
            versions: (8, self.version),
            chain: behind.certified.chain.clone(),
            signed_key: SignedKey::make(behind.key.public(), behind.certified.leaf.clone()).as_der().to_vec(),
        };
        change(&mut pkey);
        let mut bytes = b"PKEY ".to_vec();
        let put = || -> Result<Vec<u8>, sxlab_protocol::wire::WireError> {
            use sxlab_protocol::wire::{put_large, put_list, put_short, put_u16};
            put_short(&mut bytes, pkey.session.as_bytes())?;
            put_u16(&mut bytes, pkey.versions.0);
            put_u16(&mut bytes, pkey.versions.1);
            put_list(&mut bytes, &pkey.chain, |out, der| put_large(out, der))?;
            put_large(&mut bytes, &pkey.signed_key)?;
            Ok(bytes)
        };
        let bytes = put().map_err(Failure::error)?;
        self.answer_bytes(who, asked, &bytes)
    }

    /// Opens a PFWD as the relay does.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for what a relay can't read.
    pub fn pfwd(&self, asked: &Asked, behind: &Behind) -> Result<Inner, Failure> {
        let Ok(Command::Pfwd { version, key, sealed }) = &asked.command else {
            return Err(Failure::Wrong(format!("the client sends {}, expected PFWD", asked.tag())));
        };
        let secret = behind.key.dh(key);
        let padded = open(&secret, &nonce_from_corr(&asked.received.corr), sealed)
            .map_err(|_| Failure::wrong("the box in PFWD does not open with its key and correlation id"))?;
        let session = inner_session(behind.session.as_bytes().to_vec(), *version);
        let wrong = |error| Failure::Wrong(format!("what PFWD carries: {error}"));
        let content = unpad(&padded).map_err(wrong)?;
        let items = unpack(content).map_err(wrong)?.into_iter();
        let items = items.map(|item| read_transmission(&session, item)).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(wrong)?;
        Ok(Inner { version: *version, key: *key, items, size: padded.len(), secret, session })
    }

    /// The next PFWD, opened.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for another command, or what a relay can't read.
    pub fn forwarded(&mut self, who: Who, behind: &Behind) -> Result<(Asked, Inner), Failure> {
        let asked = self.command_of(who, "PFWD")?;
        let inner = self.pfwd(&asked, behind)?;
        Ok((asked, inner))
    }

    /// Answers a PFWD by PRES with this response inside, under the reversed correlation id as nonce, or the id as it is.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn pres_to(
        &mut self,
        who: Who,
        asked: &Asked,
        inner: &Inner,
        response: &Response,
        reverse: bool,
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        response.encode(&inner.session.layout, &mut bytes).map_err(Failure::error)?;
        let first = inner.items.first();
        let corr = first.map_or(CorrId::EMPTY, |item| item.corr.clone());
        let entity = first.map_or(EntityId::EMPTY, |item| item.entity.clone());
        let item = write_response(&inner.session, corr, entity, bytes).map_err(Failure::error)?;
        let nonce = nonce_from_corr(&asked.received.corr);
        let nonce = if reverse { reversed(nonce) } else { nonce };
        let content = pack_one(&item).map_err(Failure::error)?;
        let sealed = seal_padded(&inner.secret, &nonce, &content, FORWARD_SIZE).map_err(Failure::error)?;
        self.answer_to(who, asked, &Response::Pres { sealed })
    }

    /// Serves forwarded commands with OK until the client ends: PFWD as they came, opened.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn serve_forwarded(&mut self, who: Who, behind: &Behind) -> Result<Vec<(Asked, Inner)>, Failure> {
        let mut commands = Vec::new();
        loop {
            let asked = match self.command(who) {
                Ok(asked) => asked,
                Err(_) if self.at(who)?.is_closed() => return Ok(commands),
                Err(failure) => return Err(failure),
            };
            let inner = self.pfwd(&asked, behind)?;
            self.pres_to(who, &asked, &inner, &Response::Ok, true)?;
            commands.push((asked, inner));
        }
    }
}

impl Inner {
    /// The one transmission inside, and its command.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for another number, or bytes that are no command.
    pub fn command(&self) -> Result<(&Received, Command), Failure> {
        require_eq("the number of transmissions in PFWD", self.items.len(), 1)?;
        let received = self.items.first().ok_or_else(|| Failure::error("no transmission"))?;
        let command = Command::decode(&received.command, &self.session.layout).map_err(|error| {
            Failure::Wrong(format!("the forwarded command is one that is answered by {error}"))
        })?;
        Ok((received, command))
    }

    /// Expects that the version is one of the relay's.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn within(&self, versions: VersionRange) -> Result<(), Failure> {
        require(versions.contains(self.version), || {
            let (min, max) = (versions.min, versions.max);
            format!("PFWD names version {}, the relay speaks {min} to {max}", self.version)
        })
    }
}
