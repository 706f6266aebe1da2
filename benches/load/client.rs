//! A client that costs little: commands encoded by hand, shared secrets of authenticators computed once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use rand_chacha::ChaCha20Rng;
use sxlab_node::tls::{Connector, ConnectorConfig, Gather};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::boxes::nonce_from_corr;
use sxlab_protocol::crypto::keys::{Ed25519Secret, X25519Secret};
use sxlab_protocol::crypto::{SharedSecret, authenticator};
use sxlab_protocol::smp::command::{Command, NewQueue};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{Agreed, BLOCK_SIZE, ClientHandshake, SUPPORTED, content, unpack};
use sxlab_protocol::wire::{CorrId, EntityId, Reader, put_short};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsStream;

use crate::process::RouterProcess;

type Stream = TlsStream<Gather<TcpStream>>;

/// Room for transmissions in a block: the deployed budget.
const ROOM: usize = 16_365;

/// A queue as its recipient and its sender know it together.
pub(crate) struct Queue {
    pub(crate) recipient: EntityId,
    pub(crate) sender: EntityId,
    pub(crate) recipient_key: Ed25519Secret,
    pub(crate) sender_key: X25519Secret,
    /// Opens what the router delivers.
    pub(crate) secret: SharedSecret,
}

/// One connection after its handshakes. Clones are the same connection's end for writing.
#[derive(Clone)]
pub(crate) struct Connection(Rc<Inner>);

struct Inner {
    agreed: RefCell<Agreed>,
    /// Transmissions that wait: small ones share blocks, large ones have their own.
    small: RefCell<VecDeque<Vec<u8>>>,
    large: RefCell<VecDeque<Vec<u8>>>,
    waiting: Notify,
    text: RefCell<Vec<u8>>,
}

/// The end for reading.
pub(crate) struct Incoming {
    reader: ReadHalf<Stream>,
    connection: Connection,
    block: Vec<u8>,
}

/// A correlation id: whom it is about, what for, and a number that is used once.
pub(crate) fn corr(queue: u32, kind: u8, number: u64) -> CorrId {
    let mut bytes = [0; 24];
    bytes[..4].copy_from_slice(&queue.to_be_bytes());
    bytes[4] = kind;
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    CorrId::from(bytes)
}

/// The queue and the kind of a correlation id of [`corr`].
pub(crate) fn parts(corr: &[u8]) -> Option<(u32, u8)> {
    Some((u32::from_be_bytes(corr.get(..4)?.try_into().ok()?), *corr.get(4)?))
}

impl Connection {
    /// Connects with TLS, and nothing more.
    pub(crate) async fn tls(router: &RouterProcess) -> (Stream, Vec<u8>) {
        let config = ConnectorConfig {
            alpn: vec![b"smp/1".to_vec()],
            expected_identity: router.identity,
            client_identity: None,
        };
        let stream = RealWorld.connect("127.0.0.1", router.port).await.unwrap();
        let connector = Connector::new(config).unwrap();
        let tls = connector.connect(stream, RealWorld.entropy()).await.unwrap();
        (tls.stream, tls.session_id)
    }

    /// Connects and shakes hands: version 20, encrypted blocks.
    pub(crate) async fn open(router: &RouterProcess, rng: &mut ChaCha20Rng) -> (Self, Incoming) {
        let (mut stream, session_id) = Self::tls(router).await;
        let handshake = ClientHandshake {
            versions: SUPPORTED,
            identity: router.identity,
            session_id,
            send_key: true,
            proxy: false,
            unix_seconds: RealWorld.now() / 1_000_000_000,
        };
        let mut block = vec![0; BLOCK_SIZE];
        stream.read_exact(&mut block).await.unwrap();
        let (hello, agreed, _) = handshake.router_hello(&block, rng).unwrap();
        stream.write_all(&hello).await.unwrap();
        stream.flush().await.unwrap();
        let (reader, writer) = split(stream);
        let connection = Self(Rc::new(Inner {
            agreed: RefCell::new(agreed),
            small: RefCell::default(),
            large: RefCell::default(),
            waiting: Notify::new(),
            text: RefCell::default(),
        }));
        let writing = connection.clone();
        tokio::task::spawn_local(async move { writing.write(writer).await });
        (connection.clone(), Incoming { reader, connection, block })
    }

    /// The secret of authenticators that this key makes on this connection.
    pub(crate) fn authenticates(&self, key: &X25519Secret) -> SharedSecret {
        key.dh(self.0.agreed.borrow().peer_key.as_ref().expect("a router's key"))
    }

    /// Queues a command signed with Ed25519.
    pub(crate) fn signed(&self, corr: &CorrId, entity: &EntityId, command: &[u8], key: &Ed25519Secret) {
        self.push(corr, entity, command, |text| Some(key.sign(text).to_vec()));
    }

    /// Queues a command with a sender's authenticator.
    pub(crate) fn authenticated(
        &self,
        corr: &CorrId,
        entity: &EntityId,
        command: &[u8],
        secret: &SharedSecret,
    ) {
        self.push(corr, entity, command, |text| {
            Some(authenticator::make(secret, &nonce_from_corr(corr), text).to_vec())
        });
    }

    fn push(
        &self,
        corr: &CorrId,
        entity: &EntityId,
        command: &[u8],
        authorization: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) {
        let mut text = self.0.text.borrow_mut();
        text.clear();
        put_short(&mut text, &self.0.agreed.borrow().session.id).unwrap();
        let tail = text.len();
        put_short(&mut text, corr.as_bytes()).unwrap();
        put_short(&mut text, entity.as_bytes()).unwrap();
        text.extend_from_slice(command);
        let authorization = authorization(&text).unwrap_or_default();
        let mut item = Vec::with_capacity(text.len() + authorization.len() + 2);
        put_short(&mut item, &authorization).unwrap();
        item.push(b'0');
        item.extend_from_slice(&text[tail..]);
        let wide = item.len() > ROOM / 2;
        if wide { &self.0.large } else { &self.0.small }.borrow_mut().push_back(item);
        self.0.waiting.notify_one();
    }

    /// The next block: small transmissions together first.
    fn next_block(&self) -> Option<Vec<u8>> {
        let mut small = self.0.small.borrow_mut();
        let (mut count, mut size) = (0, 0);
        for item in small.iter() {
            if size + 2 + item.len() > ROOM || count == 255 {
                break;
            }
            (count, size) = (count + 1, size + 2 + item.len());
        }
        let items: Vec<_> = match count {
            0 => self.0.large.borrow_mut().pop_front().into_iter().collect(),
            count => small.drain(..count).collect(),
        };
        if items.is_empty() {
            return None;
        }
        let content = content(items.iter().map(Vec::as_slice)).unwrap();
        Some(self.0.agreed.borrow_mut().codec.seal(&content).unwrap())
    }

    async fn write(self, mut writer: WriteHalf<Stream>) {
        loop {
            while let Some(block) = self.next_block() {
                if writer.write_all(&block).await.is_err() {
                    return;
                }
            }
            if writer.flush().await.is_err() {
                return;
            }
            self.0.waiting.notified().await;
        }
    }
}

impl Incoming {
    /// The next block's transmissions, each given as correlation id, entity and command. `None` at the end.
    pub(crate) async fn next(&mut self, mut each: impl FnMut(&[u8], &[u8], &[u8])) -> Option<()> {
        self.reader.read_exact(&mut self.block).await.ok()?;
        let content = self.connection.0.agreed.borrow_mut().codec.open(&self.block).unwrap();
        for item in unpack(&content).unwrap() {
            let mut reader = Reader::new(item);
            assert!(reader.short().unwrap().is_empty(), "a router signs nothing");
            each(reader.short().unwrap(), reader.short().unwrap(), reader.rest());
        }
        Some(())
    }

    /// Makes queues without subscribing to them, and secures each for its sender.
    pub(crate) async fn make(&mut self, count: usize, rng: &mut ChaCha20Rng) -> Vec<Queue> {
        let connection = self.connection.clone();
        let layout = connection.0.agreed.borrow().session.layout;
        let mut asked = Vec::new();
        for number in 0..count {
            let (key, dh) = (Ed25519Secret::generate(rng), X25519Secret::generate(rng));
            let command = Command::New(Box::new(NewQueue {
                subscribe: false,
                ..NewQueue::messaging(key.public().into(), dh.public())
            }));
            let mut bytes = Vec::new();
            command.encode(&layout, &mut bytes).unwrap();
            connection.signed(&corr(number as u32, 0, 0), &EntityId::EMPTY, &bytes, &key);
            asked.push(Some((key, dh)));
        }
        let mut queues: Vec<Option<Queue>> = (0..count).map(|_| None).collect();
        let mut made = 0;
        while made < count {
            self.next(|corr, _, command| {
                let Ok(Response::Ids(ids)) = Response::decode(command, &layout) else { panic!("no queue") };
                let number = parts(corr).unwrap().0 as usize;
                let (recipient_key, dh) = asked[number].take().unwrap();
                let (secret, sender_key) = (dh.dh(&ids.dh_key), X25519Secret::generate(rng));
                let (recipient, sender) = (ids.recipient, ids.sender);
                queues[number] = Some(Queue { recipient, sender, recipient_key, sender_key, secret });
                made += 1;
            })
            .await
            .expect("the router stays");
        }
        let queues: Vec<_> = queues.into_iter().flatten().collect();
        for (number, queue) in queues.iter().enumerate() {
            let mut bytes = Vec::new();
            Command::SKey(queue.sender_key.public().into()).encode(&layout, &mut bytes).unwrap();
            let secret = connection.authenticates(&queue.sender_key);
            connection.authenticated(&corr(number as u32, 1, 0), &queue.sender, &bytes, &secret);
        }
        self.expect(count, b"OK").await;
        queues
    }

    /// Waits for so many equal answers.
    pub(crate) async fn expect(&mut self, count: usize, answer: &[u8]) {
        let mut come = 0;
        while come < count {
            self.next(|_, _, command| {
                assert_eq!(command, answer);
                come += 1;
            })
            .await
            .expect("the router stays");
        }
    }
}
