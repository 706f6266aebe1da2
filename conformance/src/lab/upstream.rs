//! The suite in the place of a proxy, and of the client behind it at once, before a relay under test.

use sxlab_protocol::crypto::boxes::{nonce_from_corr, open_padded, reversed, seal_padded};
use sxlab_protocol::crypto::keys::{SharedSecret, X25519Secret};
use sxlab_protocol::smp::forward::{FORWARD_SIZE, inner_session, open_forward_reply, seal_forward};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::version::MAX;
use sxlab_protocol::transport::{Received, pack_one, read_transmission, unpack};
use sxlab_protocol::wire::CorrId;

use super::{Failure, Lab, Request, Who, require_eq};

/// What was forwarded, and how its answer is read.
#[derive(Clone, Debug)]
pub struct Upstream {
    who: Who,
    corr: CorrId,
    client_corr: CorrId,
    secret: SharedSecret,
    /// What is inside is of this version.
    version: u16,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Returned {
    /// The transmission inside.
    pub received: Received,
    /// The response that it is.
    pub response: Response,
    /// How long the sealed answer inside is, in bytes.
    pub sealed: usize,
}

impl Lab<'_> {
    /// The secret of a session's two keys: what RFWD is sealed with.
    ///
    /// # Errors
    /// [`Failure::Error`] for a session without it.
    pub fn secret(&self, who: Who) -> Result<SharedSecret, Failure> {
        let secret = self.at(who)?.opened()?.secret.clone();
        secret.ok_or_else(|| Failure::error("a session without keys forwards nothing"))
    }

    /// RFWD with this request inside, as a client of version 20 makes it; nothing is waited for.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn post_rfwd(&mut self, who: Who, request: &Request) -> Result<Upstream, Failure> {
        self.post_rfwd_at(who, MAX, request)
    }

    /// The same as a client of another version makes it.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn post_rfwd_at(&mut self, who: Who, version: u16, request: &Request) -> Result<Upstream, Failure> {
        let client_corr = self.corr();
        let open = self.at(who)?.opened()?;
        let session = inner_session(open.session.id.clone(), version);
        let corr = request.corr.clone().unwrap_or_else(|| client_corr.clone());
        let item = request.item(&session, &corr, open.peer_key.as_ref())?;
        let content = pack_one(&item).map_err(Failure::error)?;
        self.post_rfwd_under(who, (client_corr, version), &content)
    }

    /// RFWD with this content inside; nothing is waited for.
    ///
    /// # Errors
    /// [`Failure::Error`] for more than fits.
    pub fn post_rfwd_content(&mut self, who: Who, content: &[u8]) -> Result<Upstream, Failure> {
        let client_corr = self.corr();
        self.post_rfwd_under(who, (client_corr, MAX), content)
    }

    fn post_rfwd_under(
        &mut self,
        who: Who,
        (client_corr, version): (CorrId, u16),
        content: &[u8],
    ) -> Result<Upstream, Failure> {
        let router_key = self.at(who)?.opened()?.peer_key;
        let router_key = router_key.ok_or_else(|| Failure::error("the router sent no session key"))?;
        let fresh = X25519Secret::generate(&mut self.rng);
        let secret = fresh.dh(&router_key);
        let sealed = seal_padded(&secret, &nonce_from_corr(&client_corr), content, FORWARD_SIZE)
            .map_err(Failure::error)?;
        let (corr, session) = (self.corr(), self.secret(who)?);
        let command = seal_forward(&session, &corr, &client_corr, version, &fresh.public(), &sealed)
            .map_err(Failure::error)?;
        self.post(who, Request::from(command).corr(&corr))?;
        Ok(Upstream { who, corr, client_corr, secret, version })
    }

    /// RRES that answers a forward, with both layers opened.
    ///
    /// # Errors
    /// [`Failure`] for another answer, or one that does not open.
    pub fn returned(&mut self, upstream: &Upstream) -> Result<Returned, Failure> {
        let Upstream { who, corr, client_corr, secret, version } = upstream;
        let answer = self.answer(*who, corr)?;
        let Ok(Response::Rres { sealed }) = &answer.response else { return Err(answer.unexpected("RRES")) };
        let wrong = |error: &dyn std::fmt::Display| Failure::Wrong(format!("RRES: {error}"));
        let (returned_corr, inner) =
            open_forward_reply(&self.secret(*who)?, corr, sealed).map_err(|error| wrong(&error))?;
        require_eq("the correlation id in RRES", &returned_corr, client_corr)?;
        let nonce = reversed(nonce_from_corr(client_corr));
        let content = open_padded(secret, &nonce, &inner).map_err(|error| wrong(&error))?;
        let items = unpack(&content).map_err(|error| wrong(&error))?;
        let [item] = items.as_slice() else {
            return Err(Failure::Wrong(format!("RRES holds {} transmissions", items.len())));
        };
        let session = inner_session(self.session_id(*who)?, *version);
        let received = read_transmission(&session, item).map_err(|error| wrong(&error))?;
        let response = Response::decode(&received.command, &session.layout).map_err(|error| wrong(&error))?;
        Ok(Returned { received, response, sealed: inner.len() })
    }

    /// The answer to a forward itself, for cases in which it is refused.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is none.
    pub fn refused(&mut self, upstream: &Upstream) -> Result<super::Answer, Failure> {
        self.answer(upstream.who, &upstream.corr)
    }
}
