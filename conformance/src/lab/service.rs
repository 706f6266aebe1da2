//! Services: sessions with a certificate, and commands that a service signs too.

use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret};
use sxlab_protocol::smp::command::{Command, ServiceQueues};
use sxlab_protocol::transport::ServiceRole;
use sxlab_protocol::wire::{EntityId, Reader, put_large, put_list};

use super::{Answer, Failure, Lab, Request, Who};
use crate::target::Dial;

/// What a service shows of itself in its hello, for a case to change.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The letter of its role.
    pub role: u8,
    /// Its certificates.
    pub chain: Vec<Vec<u8>>,
    /// Its signed session key in DER.
    pub signed_key: Vec<u8>,
}

/// A service in a session.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its id, as the router gave it.
    pub id: EntityId,
    /// SHA-256 of its identity certificate.
    pub fingerprint: [u8; 32],
    /// Its session key.
    pub key: Ed25519Secret,
}

impl Service {
    /// SUBS or NSUBS, authorized as it has to be.
    pub fn request(&self, command: Command) -> Request {
        Request::from(command).of(&self.id).by(&AuthSecretKey::Ed25519(self.key.clone()))
    }
}

impl Lab<'_> {
    /// Certificates for a service.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn certificate(&mut self) -> Result<Arc<RouterIdentity>, Failure> {
        RouterIdentity::mint("service.test", &mut self.rng).map(Arc::new).map_err(Failure::error)
    }

    /// A session of a service.
    ///
    /// # Errors
    /// [`Failure`] where the router does not take it.
    pub fn service(
        &mut self,
        certificate: &Arc<RouterIdentity>,
        role: ServiceRole,
    ) -> Result<(Who, Service), Failure> {
        let (who, key) = self.present(Some(certificate), certificate, role, |_| {})?;
        let reply = self.service_reply(who)?;
        let mut reader = Reader::new(&reply);
        let accepted = reader.byte(b'R').and_then(|()| EntityId::read(&mut reader));
        let id = accepted
            .map_err(|_| Failure::Wrong(format!("the service is answered by {}", reply.escape_ascii())))?;
        Ok((who, Service { id, fingerprint: certificate.identity_hash(), key }))
    }

    /// Connects with these certificates in TLS and shows those in the hello, as `change` leaves it; the session key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn present(
        &mut self,
        in_tls: Option<&Arc<RouterIdentity>>,
        shown: &RouterIdentity,
        role: ServiceRole,
        change: impl FnOnce(&mut Presented),
    ) -> Result<(Who, Ed25519Secret), Failure> {
        let key = Ed25519Secret::generate(&mut self.rng);
        let mut presented = Presented {
            role: role.letter(),
            chain: shown.chain().ders.clone(),
            signed_key: SignedKey::make(key.public(), shown.leaf_key()).as_der().to_vec(),
        };
        change(&mut presented);
        let mut field = vec![b'1', presented.role];
        put_list(&mut field, &presented.chain, |out, der| put_large(out, der)).map_err(Failure::error)?;
        put_large(&mut field, &presented.signed_key).map_err(Failure::error)?;
        let dial = Dial { identity: in_tls.cloned(), ..Dial::default() };
        let who = self.client_with(&dial, |hello| hello.service = field)?;
        Ok((who, key))
    }

    /// The router's answer to a service: the content of its third block.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn service_reply(&mut self, who: Who) -> Result<Vec<u8>, Failure> {
        let content = self.plain_content(who, "the answer to the service")?;
        let text = format!("answer to the service: {}", content.escape_ascii());
        self.record(Some(who), super::Direction::Received, text, &content);
        Ok(content)
    }

    /// SUBS or NSUBS of a service with these numbers, or without at versions that have none.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is no answer.
    pub fn subscribe_all(
        &mut self,
        who: Who,
        service: &Service,
        command: fn(ServiceQueues) -> Command,
        known: ServiceQueues,
    ) -> Result<Answer, Failure> {
        self.ask(who, service.request(command(known)))
    }
}
