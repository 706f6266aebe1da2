//! Transmissions to write, with control over each of their fields.

use sxlab_protocol::crypto::authenticator;
use sxlab_protocol::crypto::boxes::nonce_from_corr;
use sxlab_protocol::crypto::keys::{AuthSecretKey, X25519Public};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::transport::Session;
use sxlab_protocol::wire::{CorrId, EntityId, put_short};

use super::{Failure, Service};

/// A transmission to write. What is not said is as an ordinary client does it.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) command: Text,
    pub(super) entity: EntityId,
    pub(super) corr: Option<CorrId>,
    pub(super) authorization: Auth,
    pub(super) service_field: Option<Vec<u8>>,
    pub(super) signed_session: Option<Vec<u8>>,
    pub(super) sent_session: Option<Vec<u8>>,
    pub(super) tail: Vec<u8>,
    /// The service that signs too, and whether the queue's key covers its certificate.
    service: Option<(Service, bool)>,
}

#[derive(Clone, Debug)]
pub(super) enum Text {
    Command(Box<Command>),
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) enum Auth {
    None,
    Key(Box<AuthSecretKey>),
    Bytes(Vec<u8>),
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Request::new(Text::Command(Box::new(command)))
    }
}

impl Request {
    fn new(command: Text) -> Self {
        Self {
            command,
            entity: EntityId::EMPTY,
            corr: None,
            authorization: Auth::None,
            service_field: None,
            signed_session: None,
            sent_session: None,
            tail: Vec::new(),
            service: None,
        }
    }

    /// A command in bytes, whatever they are.
    pub fn bytes(command: impl Into<Vec<u8>>) -> Self {
        Request::new(Text::Bytes(command.into()))
    }

    /// About this entity.
    #[must_use]
    pub fn of(mut self, entity: &EntityId) -> Self {
        self.entity = entity.clone();
        self
    }

    /// Authorized with this key: signed, or with an authenticator.
    #[must_use]
    pub fn by(mut self, key: &AuthSecretKey) -> Self {
        self.authorization = Auth::Key(Box::new(key.clone()));
        self
    }

    /// With these bytes as the authorization.
    #[must_use]
    pub fn authorization(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.authorization = Auth::Bytes(bytes.into());
        self
    }

    /// With this correlation id.
    #[must_use]
    pub fn corr(mut self, corr: &CorrId) -> Self {
        self.corr = Some(corr.clone());
        self
    }

    /// With these bytes where the service signature is: `0` for none, `1` and a short string for one.
    #[must_use]
    pub fn service_field(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.service_field = Some(bytes.into());
        self
    }

    /// Signed by a service too, whose certificate the key's authorization covers.
    #[must_use]
    pub fn in_service(mut self, service: &Service) -> Self {
        self.service = Some((service.clone(), true));
        self
    }

    /// Signed by a service too, while the key authorizes as if it were not.
    #[must_use]
    pub fn beside_service(mut self, service: &Service) -> Self {
        self.service = Some((service.clone(), false));
        self
    }

    /// Authorized for another session than this one.
    #[must_use]
    pub fn signed_session(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.signed_session = Some(id.into());
        self
    }

    /// With another session id where the version sends it.
    #[must_use]
    pub fn sent_session(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.sent_session = Some(id.into());
        self
    }

    /// With bytes after the command that the authorization does not cover.
    #[must_use]
    pub fn tail(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.tail = bytes.into();
        self
    }

    /// The command's tag.
    pub fn name(&self) -> String {
        match &self.command {
            Text::Command(command) => command.tag().to_owned(),
            Text::Bytes(bytes) => {
                let tag = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
                tag.escape_ascii().to_string().chars().take(20).collect()
            }
        }
    }

    /// The item of a batch. `router_key` is the router's session key.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written: a case's defect.
    pub(super) fn item(
        &self,
        session: &Session,
        corr: &CorrId,
        router_key: Option<&X25519Public>,
    ) -> Result<Vec<u8>, Failure> {
        let mut command = Vec::new();
        match &self.command {
            Text::Bytes(bytes) => command.extend_from_slice(bytes),
            Text::Command(known) => known.encode(&session.layout, &mut command).map_err(Failure::error)?,
        }
        let mut body = Vec::new();
        put_short(&mut body, corr.as_bytes()).map_err(Failure::error)?;
        put_short(&mut body, self.entity.as_bytes()).map_err(Failure::error)?;
        body.extend_from_slice(&command);
        let mut text = Vec::new();
        put_short(&mut text, self.signed_session.as_ref().unwrap_or(&session.id)).map_err(Failure::error)?;
        text.extend_from_slice(&body);
        let signed = self.service.as_ref().map(|(service, _)| service.key.sign(&text));
        if let Some((service, true)) = &self.service {
            text.splice(..0, service.fingerprint);
        }
        let authorization = match &self.authorization {
            Auth::None => Vec::new(),
            Auth::Bytes(bytes) => bytes.clone(),
            Auth::Key(key) => match key.as_ref() {
                AuthSecretKey::Ed25519(key) => key.sign(&text).to_vec(),
                AuthSecretKey::Ed448(key) => key.sign(&text).to_vec(),
                AuthSecretKey::X25519(key) => {
                    let router = router_key.ok_or_else(|| {
                        Failure::error(
                            "an authenticator needs the router's session key, which it did not send",
                        )
                    })?;
                    authenticator::make(&key.dh(router), &nonce_from_corr(corr), &text).to_vec()
                }
            },
        };
        let mut item = Vec::new();
        put_short(&mut item, &authorization).map_err(Failure::error)?;
        match (&self.service_field, signed) {
            (Some(bytes), _) => item.extend_from_slice(bytes),
            (None, Some(signature)) => {
                item.push(b'1');
                put_short(&mut item, &signature).map_err(Failure::error)?;
            }
            (None, None) if session.layout.service_signature && !authorization.is_empty() => item.push(b'0'),
            (None, None) => {}
        }
        if session.layout.session_id_on_wire {
            put_short(&mut item, self.sent_session.as_ref().unwrap_or(&session.id))
                .map_err(Failure::error)?;
        }
        item.extend_from_slice(&body);
        item.extend_from_slice(&self.tail);
        Ok(item)
    }
}
