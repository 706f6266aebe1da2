//! The handshakes of a flow: hellos compared, and made again for our router and version.

use std::collections::VecDeque;

use sxlab_protocol::crypto::chain::BlockChains;
use sxlab_protocol::crypto::keys::{AuthPublicKey, X25519Secret};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{BLOCK_SIZE, ClientHello, RouterHello, Session};
use sxlab_protocol::wire::{VersionRange, pad, unpad};

use super::driving::Replay;
use super::recording::{Direction, Step};
use super::sending::{Side, SideService};
use super::sites::named_identity;
use super::wires::{Chains, Connection, Open};
use super::{Mismatch, equal, services};
use crate::target::{Dial, NoConnection};

/// The client's session key where a flow of a version without such keys is replayed at another one.
const OTHER_KEY: [u8; 32] = [0x2a; 32];

impl Replay<'_> {
    /// Application protocols that a connection's client offered.
    fn alpn(&self, conn: &str) -> Vec<Vec<u8>> {
        let note =
            self.flow.steps.iter().find(|step| {
                step.conn == conn && step.dir == Direction::Note && step.text.starts_with("ALPN ")
            });
        if let Some(names) = note.and_then(|step| step.text.strip_prefix("ALPN ")) {
            let names = names.trim_end_matches(" only").trim_end_matches(" (client order)");
            return names.split(", ").map(|name| name.as_bytes().to_vec()).collect();
        }
        match self.flow.sessions.get(conn) {
            Some(session) => session.alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
            None => Dial::default().alpn,
        }
    }

    /// Connects as a connection of the flow did.
    pub(super) fn connect(&mut self, conn: &str) -> Result<Result<(), String>, Mismatch> {
        let to = self.sites.of_connection(self.flow, conn, &mut self.wires)?;
        self.dialed.insert(conn.to_owned(), to.clone());
        let identity = services::presented(self.flow, conn)?.and_then(|presented| presented.in_tls);
        let dial = Dial { alpn: self.alpn(conn), identity, to };
        let (line, tls) = match self.wires.connect(&dial) {
            Ok(connected) => connected,
            Err(NoConnection::Tls(refused)) => return Ok(Err(refused)),
            Err(NoConnection::Unreachable(reason)) => {
                return Err(Mismatch::said(format!("could not connect: {reason}")));
            }
            Err(NoConnection::Unavailable(reason)) => return Err(Mismatch::Skipped(reason.to_owned())),
        };
        if let Some(session) = self.flow.sessions.get(conn) {
            let chosen = tls.alpn.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
            equal("application protocol", &chosen, &session.alpn)?;
            self.known.names.learn(&session.id, &tls.session_id)?;
        }
        let connection = Connection {
            line,
            session_id: tls.session_id,
            router_key: None,
            open: None,
            current: None,
            ahead: VecDeque::new(),
        };
        self.connections.insert(conn.to_owned(), connection);
        Ok(Ok(()))
    }

    pub(super) fn router_hello(&mut self, step: &Step) -> Result<(), Mismatch> {
        let conn = step.conn.as_str();
        self.connect(conn)?.map_err(|refused| Mismatch::said(format!("refused in TLS: {refused}")))?;
        let line = self.connection(step)?.line;
        let block = self.wires.expect(line).ok_or("no hello came")?;
        let hello = RouterHello::decode(unpad(&block)?).map_err(|e| Mismatch::said(e.to_string()))?;
        let certificates = hello.authentication.as_ref().map_or(0, |(chain, _)| chain.ders.len());
        let VersionRange { min, max } = hello.versions;
        let shown = format!(
            "server hello: range {min}..{max}, session id {} bytes, {certificates} certificates",
            hello.session_id.len()
        );
        let router_key = hello.authentication.as_ref().and_then(|(_, key)| match key.key() {
            AuthPublicKey::X25519(key) => Some(*key),
            _ => None,
        });
        let connection = self.connection(step)?;
        connection.router_key = router_key;
        if hello.session_id != connection.session_id {
            return Err("the hello has another session id than TLS".into());
        }
        equal("hello", shown.as_str(), step.text.as_str())
    }

    /// The recorded hello for our router, and at our version if it was one of the flow's.
    fn hello_again(&self, step: &Step, recorded: &[u8]) -> Result<Vec<u8>, Mismatch> {
        let mut hello = self.known.names.ours(recorded);
        let site = self.sites.recorded_identity(self.flow, &step.conn);
        let address = match self.dialed.get(&step.conn).cloned().flatten() {
            Some(address) => Some(address),
            None => self.wires.instance.address().cloned(),
        };
        let address = address.ok_or("the target has no address")?;
        if named_identity(recorded) == Some(site.as_slice())
            && let Some(place) = hello.get_mut(3..3 + site.len())
            && place.len() == address.identity.len()
        {
            place.copy_from_slice(&address.identity);
        }
        let decoded = ClientHello::decode(&hello);
        match decoded {
            Ok(decoded) if self.version != self.flow.version && decoded.version == self.flow.version => {
                let without_keys = !Layout::of(decoded.version).handshake_key;
                let other = without_keys.then(|| X25519Secret::from_bytes(OTHER_KEY).public());
                let key = decoded.key.or(other);
                Ok(ClientHello { version: self.version, key, ..decoded }.encode()?)
            }
            _ => Ok(hello),
        }
    }

    pub(super) fn client_hello(&mut self, step: &Step) -> Result<(), Mismatch> {
        let (recorded, complete) = step.bytes().ok_or("a hello without bytes")?;
        let presented = services::presented(self.flow, &step.conn)?;
        let recorded = match &presented {
            Some(presented) => presented.hello(recorded, self.flow.version)?,
            None if complete => recorded.to_vec(),
            None => return Err("a hello that was not recorded in full".into()),
        };
        let hello = self.hello_again(step, &recorded)?;
        let recorded_service = presented.as_ref().map(|presented| SideService {
            fingerprint: self.flow.service_fingerprint,
            key: presented.key.clone(),
        });
        let our_service = match presented {
            Some(presented) => {
                Some(SideService { fingerprint: Some(presented.fingerprint()?), key: presented.key })
            }
            None => None,
        };
        let session = self.flow.sessions.get(&step.conn).cloned().unwrap_or_default();
        let connection = self.connection(step)?;
        let version = |hello: &[u8]| hello.first_chunk().map_or(0, |version| u16::from_be_bytes(*version));
        let side = |id, hello: &[u8], router_key, secret, service| {
            let session = Session { id, layout: Layout::of(version(hello)) };
            Side { session, router_key, secret, service }
        };
        let own = session.client_key.clone().unwrap_or_else(|| X25519Secret::from_bytes(OTHER_KEY));
        let decoded = ClientHello::decode(&hello).ok();
        let secret = match (&decoded, &connection.router_key) {
            (Some(ClientHello { key: Some(_), .. }), Some(key)) => Some(own.dh(key)),
            _ => None,
        };
        let recorded_secret = match (&session.client_key, &session.router_key) {
            (Some(own), Some(key)) => Some(own.dh(key)),
            _ => None,
        };
        let ours =
            side(connection.session_id.clone(), &hello, connection.router_key, secret.clone(), our_service);
        let encrypted = ours.session.layout.block_encryption && decoded.is_some_and(|hello| !hello.proxy);
        let chains = secret.filter(|_| encrypted).map(|secret| {
            let (receive, send) = BlockChains::init(&connection.session_id, &secret);
            Chains { send, receive }
        });
        let recorded = side(session.id, &recorded, session.router_key, recorded_secret, recorded_service);
        connection.open = Some(Open { recorded, ours, chains });
        let line = connection.line;
        self.wires.write(line, &pad(&hello, BLOCK_SIZE)?);
        Ok(())
    }
}
