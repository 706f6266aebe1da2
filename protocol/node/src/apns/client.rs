use std::cell::RefCell;
use std::future::poll_fn;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Uri};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sxlab_protocol::apns::Reason;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::apns::request::Request;
use tokio::sync::Mutex;

use super::H2;
use crate::tls::{Connector, ConnectorConfig, TlsError};
use crate::world::{World, within};

/// Bytes of an answer's body that are read: Apple's are far shorter.
const ANSWER_LIMIT: usize = 4096;

/// Where and how to push.
#[derive(Clone, Debug)]
pub struct ApnsConfig {
    /// The host, Apple's or the stand-in's.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Checks its certificate, and offers HTTP/2.
    pub connector: Connector,
    /// How long connecting may take, TLS included, in nanoseconds.
    pub connect_timeout: u64,
    /// How long an answer may take, in nanoseconds.
    pub answer_timeout: u64,
}

impl ApnsConfig {
    /// The router at this address, known by `connector`, with the usual patience: 10 seconds for each step.
    #[must_use]
    pub fn new(host: &str, port: u16, connector: Connector) -> Self {
        const PATIENCE: u64 = 10_000_000_000;
        let (connect_timeout, answer_timeout) = (PATIENCE, PATIENCE);
        Self { host: host.to_owned(), port, connector, connect_timeout, answer_timeout }
    }

    /// A stand-in, known by its identity.
    ///
    /// # Errors
    /// [`TlsError`]: none that is known.
    pub fn of_stand_in(host: &str, port: u16, identity: [u8; 32]) -> Result<Self, TlsError> {
        let alpn = vec![H2.to_vec()];
        let known = ConnectorConfig { alpn, expected_identity: identity, client_identity: None };
        Ok(Self::new(host, port, Connector::new(known)?))
    }

    /// Apple's routers, or what has a certificate for this host as they do, signed by one of the authorities in PEM.
    ///
    /// # Errors
    /// [`TlsError`] if there is no authority, or one that is none.
    pub fn of_the_web(host: &str, port: u16, authorities: &[u8]) -> Result<Self, TlsError> {
        let wrong = |what: String| TlsError::Tls(rustls::Error::General(what));
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(authorities).collect();
        let authorities = authorities.map_err(|error| wrong(format!("no PEM: {error}")))?;
        if authorities.is_empty() {
            return Err(wrong("no certificate in PEM".to_owned()));
        }
        Ok(Self::new(host, port, Connector::of_the_web(host, authorities, &[H2])?))
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The reason in the body; empty if there is none.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApnsError {
    /// No connection.
    #[error("connecting to {0} failed: {1}")]
    Connect(String, std::io::Error),
    /// No TLS.
    #[error("connecting to {0} failed: {1}")]
    Tls(String, TlsError),
    /// What is there speaks no HTTP/2.
    #[error("{0} does not speak HTTP/2")]
    Protocol(String),
    /// The connection ended, or something came that is no HTTP/2.
    #[error("the connection ended: {0}")]
    Http(#[from] h2::Error),
    /// It took too long.
    #[error("no answer in time")]
    Late,
    /// The request can't be written as HTTP.
    #[error("a request that is none: {0}")]
    Request(#[from] http::Error),
}

/// Pushes over one connection, which is made when it is needed and kept.
///
/// Requests are begun in the order in which [`Apns::push`] is called, and do not wait for each other's answers.
pub struct Apns<W> {
    world: W,
    config: ApnsConfig,
    signer: RefCell<Signer>,
    /// Fair: who asks first begins first.
    connection: Mutex<Option<SendRequest<Bytes>>>,
}

impl<W: World> Apns<W> {
    /// A client that signs its tokens with this key.
    pub fn new(world: W, config: ApnsConfig, signer: Signer) -> Self {
        Self { world, config, signer: RefCell::new(signer), connection: Mutex::new(None) }
    }

    /// Pushes, over a new connection if `anew`.
    ///
    /// # Errors
    /// [`ApnsError`] if nothing is answered: whether the push was taken is not known then.
    pub async fn push(&self, request: &Request, body: Vec<u8>, anew: bool) -> Result<Answer, ApnsError> {
        let answer = {
            let mut connection = self.connection.lock().await;
            if anew {
                *connection = None;
            }
            let begun = self.begin(&mut connection, request, body).await;
            if begun.is_err() {
                *connection = None;
            }
            begun?
        };
        let read = within(&self.world, self.config.answer_timeout, read(answer)).await;
        match read {
            Some(Ok(answer)) => Ok(answer),
            lost => {
                // The next push finds out whether the connection is good for anything.
                self.connection.lock().await.take();
                Err(lost.map_or(ApnsError::Late, |lost| lost.err().map_or(ApnsError::Late, ApnsError::from)))
            }
        }
    }

    async fn begin(
        &self,
        connection: &mut Option<SendRequest<Bytes>>,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<h2::client::ResponseFuture, ApnsError> {
        let usable = match connection.take() {
            // One that has ended since is replaced.
            Some(open) => {
                within(&self.world, self.config.answer_timeout, open.ready()).await.and_then(Result::ok)
            }
            None => None,
        };
        let mut open = match usable {
            Some(open) => open,
            None => {
                let connect = within(&self.world, self.config.connect_timeout, self.connect());
                connect.await.unwrap_or(Err(ApnsError::Late))?
            }
        };
        let head = self.head(request)?;
        let (answer, mut stream) = open.send_request(head, false)?;
        stream.send_data(body.into(), true)?;
        *connection = Some(open);
        Ok(answer)
    }

    fn head(&self, request: &Request) -> Result<http::Request<()>, http::Error> {
        let authority = format!("{}:{}", self.config.host, self.config.port);
        let uri =
            Uri::builder().scheme("https").authority(authority).path_and_query(request.path()).build()?;
        let mut head = http::Request::builder().method(Method::POST).uri(uri);
        let mut signer = self.signer.borrow_mut();
        for (name, value) in request.fields(signer.token(self.world.now() / 1_000_000_000)) {
            head = head.header(name, value);
        }
        head.body(())
    }

    async fn connect(&self) -> Result<SendRequest<Bytes>, ApnsError> {
        let ApnsConfig { host, port, connector, .. } = &self.config;
        let place = || format!("{host}:{port}");
        let stream = self.world.connect(host, *port).await;
        let stream = stream.map_err(|error| ApnsError::Connect(place(), error))?;
        let tls = connector.connect(stream, self.world.entropy()).await;
        let tls = tls.map_err(|error| ApnsError::Tls(place(), error))?;
        if tls.alpn.as_deref() != Some(H2) {
            return Err(ApnsError::Protocol(place()));
        }
        let (open, connection) = h2::client::handshake(tls.stream).await?;
        self.world.spawn(async move {
            // How it ended is what the requests on it find.
            let _ = connection.await;
        });
        Ok(open.ready().await?)
    }
}

async fn read(answer: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(part) = poll_fn(|context| body.poll_data(context)).await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        if bytes.len() + part.len() > ANSWER_LIMIT {
            break;
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Answer { status: head.status.as_u16(), reason: Reason::in_body(&bytes) })
}
