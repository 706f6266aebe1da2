//! Services' hellos, of which the certificates were not recorded with their keys: others take their places.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{ClientHello, ServiceHello, ServiceReply, ServiceRole, read_transmission};
use sxlab_protocol::wire::unpad;

use super::Mismatch;
use super::driving::Replay;
use super::recording::{Direction, Flow, Step};

/// Where a hello's service field is: after version, identity, key and proxy flag.
const FIELD: usize = 81;

/// A connection of a service: what was recorded of it, with certificates of ours.
pub(crate) struct Presented {
    /// What it presents in TLS.
    pub(crate) in_tls: Option<Arc<RouterIdentity>>,
    letter: u8,
    pub(crate) hello: ServiceHello,
    /// Its session key.
    pub(crate) key: Ed25519Secret,
}

fn unmade(error: impl std::fmt::Display) -> Mismatch {
    Mismatch::said(format!("a certificate cannot be made: {error}"))
}

/// The certificates of a service, so many; services differ by `seed`.
fn certificates(seed: u8, length: usize) -> Result<RouterIdentity, Mismatch> {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(seed));
    if length < 2 {
        let key = Ed25519Secret::generate(&mut rng);
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "service");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pair = KeyPair::try_from(key.pkcs8().as_slice()).map_err(unmade)?;
        let certificate = params.self_signed(&pair).map_err(unmade)?;
        return RouterIdentity::from_parts(Chain::new(vec![certificate.der().to_vec()]), key, None)
            .map_err(unmade);
    }
    let identity = RouterIdentity::mint("service", &mut rng).map_err(unmade)?;
    let mut ders = identity.chain().ders.clone();
    while let Some(last) = ders.last().filter(|_| ders.len() < length).cloned() {
        ders.push(last);
    }
    let sxlab_protocol::crypto::keys::SignatureSecret::Ed25519(key) = identity.leaf_key() else {
        return Err("a service with another key".into());
    };
    RouterIdentity::from_parts(Chain::new(ders), key, None).map_err(unmade)
}

/// What the connection presents, if it is a service's. Its hello says what it is in words; a note before it, what is wrong
/// with it.
pub(crate) fn presented(flow: &Flow, conn: &str) -> Result<Option<Presented>, Mismatch> {
    let of_conn = |dir| flow.steps.iter().filter(move |step| step.conn == conn && step.dir == dir);
    let note = of_conn(Direction::Note).next().map(|step| step.text.as_str()).unwrap_or_default();
    let parts = of_conn(Direction::Send).find(|step| step.plain).and_then(|hello| {
        let (_, what) = hello.text.split_once("service role ")?;
        let (role, length) = what.split_once(" chain of ")?;
        Some((*role.as_bytes().first()?, length.parse().ok()?))
    });
    let Some((letter, length)) = parts else { return Ok(None) };
    let Some(AuthSecretKey::Ed25519(key)) = flow.keys.get(&format!("{conn}.serviceSessionKey")) else {
        return Ok(None);
    };
    // The certificates of a flow are the same unless it says so.
    let own = note.contains("fresh") || note.contains("chain of");
    let seed = if own { conn.bytes().fold(7, |sum: u8, byte| sum.wrapping_mul(31) ^ byte) } else { 1 };
    let role = ServiceRole::of(letter).unwrap_or(ServiceRole::Messaging);
    let service = Arc::new(certificates(seed, length)?);
    let in_tls = match note {
        _ if note.starts_with("no TLS") => None,
        _ if note.starts_with("TLS client certificate of another") => Some(Arc::new(certificates(2, 1)?)),
        _ => Some(Arc::clone(&service)),
    };
    let foreign = note.contains("signed by a foreign key");
    let signer = if foreign { Ed25519Secret::from_seed([99; 32]).into() } else { service.leaf_key() };
    let signed_key = SignedKey::make(key.public(), signer);
    let hello = ServiceHello { role, chain: service.chain().clone(), signed_key };
    Ok(Some(Presented { in_tls, letter, hello, key: key.clone() }))
}

impl Presented {
    /// A service that does everything right, with this session key.
    pub(crate) fn made(letter: u8, key: &Ed25519Secret) -> Result<Self, Mismatch> {
        let role = ServiceRole::of(letter).ok_or("no such role")?;
        let service = Arc::new(certificates(1, 1)?);
        let signed_key = SignedKey::make(key.public(), service.leaf_key());
        let hello = ServiceHello { role, chain: service.chain().clone(), signed_key };
        Ok(Self { in_tls: Some(service), letter, hello, key: key.clone() })
    }

    /// The hello whose head was recorded, with our service's field.
    pub(crate) fn hello(&self, head: &[u8], version: u16) -> Result<Vec<u8>, Mismatch> {
        let plain = [head.get(..FIELD).ok_or("a short hello")?, b"0"].concat();
        let plain = ClientHello::decode(&plain).map_err(|e| Mismatch::said(e.to_string()))?;
        let hello = ClientHello { version, service: Some(Box::new(self.hello.clone())), ..plain };
        let mut bytes = hello.encode()?;
        *bytes.get_mut(FIELD + 1).ok_or("a short hello")? = self.letter;
        Ok(bytes)
    }

    /// SHA-256 of its certificate.
    pub(crate) fn fingerprint(&self) -> Result<[u8; 32], Mismatch> {
        self.hello.chain.identity().map_err(unmade)
    }
}

fn tag(step: &Step) -> &str {
    step.text.split(' ').next().unwrap_or_default()
}

impl Replay<'_> {
    /// The third block of a handshake.
    pub(crate) fn service_reply(&mut self, step: &Step) -> Result<(), Mismatch> {
        let line = self.connection(step)?.line;
        let block = self.wires.expect(line).ok_or("no third block came")?;
        let decode = |content: &[u8]| {
            ServiceReply::decode(content).map_err(|e| Mismatch::said(format!("a third block: {e}")))
        };
        let (recorded, _) = step.bytes().ok_or("no bytes")?;
        let (got, expected) = (decode(unpad(&block)?)?, decode(recorded)?);
        match (&got, &expected) {
            (ServiceReply::Accepted(got), ServiceReply::Accepted(expected)) => {
                self.known.names.learn(expected.as_bytes(), got.as_bytes())
            }
            _ if got == expected => Ok(()),
            _ => Err(Mismatch::of("third block", format!("{got:?}"), format!("{expected:?}"))),
        }
    }

    /// The answers to SUBS, the messages that it sets free and ALLS come in any order (SV-13): whether a step is among them.
    pub(crate) fn is_unordered(&self, step: &Step) -> bool {
        let before = self.flow.steps.iter().take_while(|before| !std::ptr::eq(*before, step));
        let sent = before.filter(|s| s.conn == step.conn && s.dir == Direction::Send);
        ["SOKS", "MSG", "ALLS"].contains(&tag(step))
            && sent.last().is_some_and(|last| last.text.starts_with("SUBS"))
    }

    /// Of the blocks that came on a connection, that of an unordered step.
    pub(crate) fn pick(&mut self, step: &Step) -> Result<Vec<Vec<u8>>, Mismatch> {
        let entity = self.flow.id_of(&step.entity).ok_or("an unknown entity")?;
        let entity = self.known.names.ours(&entity);
        loop {
            let connection = self.connection(step)?;
            let session = &connection.open.as_ref().ok_or("there is no session")?.ours.session;
            let fits = |items: &Vec<Vec<u8>>| {
                let Some(Ok(received)) = items.first().map(|item| read_transmission(session, item)) else {
                    return false;
                };
                let response = Response::decode(&received.command, &session.layout);
                received.entity.as_bytes() == entity
                    && response.is_ok_and(|response| response.tag() == tag(step))
            };
            let at = connection.ahead.iter().position(fits);
            if let Some(items) = at.and_then(|at| connection.ahead.remove(at)) {
                return Ok(items);
            }
            let line = connection.line;
            let block = self.wires.expect(line).ok_or("nothing of the kind came")?;
            let connection = self.connection(step)?;
            let items = connection.open.as_mut().ok_or("there is no session")?.read(&block)?;
            connection.ahead.push_back(items);
        }
    }

    /// Which item of a block a step shows. Notifications have no order among notifiers.
    pub(crate) fn place(&self, step: &Step, items: &[Vec<u8>]) -> usize {
        let connection = self.connections.get(&step.conn);
        let Some(open) = connection.and_then(|connection| connection.open.as_ref()) else {
            return step.item;
        };
        if !step.text.starts_with("NMSG ") || items.len() < 2 {
            return step.item;
        }
        let same = |other: &&Step| {
            other.conn == step.conn
                && other.block == step.block
                && other.dir == step.dir
                && other.entity == step.entity
                && other.item < step.item
        };
        let before = self.flow.steps.iter().filter(same).count();
        let entity = self.known.names.ours(&self.flow.id_of(&step.entity).unwrap_or_default());
        let of_entity = items.iter().enumerate().filter(|(_, item)| {
            read_transmission(&open.ours.session, item).is_ok_and(|r| r.entity.as_bytes() == entity)
        });
        of_entity.map(|(at, _)| at).nth(before).unwrap_or(step.item)
    }
}
