//! Requests and their answers over one connection, for the clients of any protocol.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use sxlab_protocol::wire::CorrId;
use tokio::io::split;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::client::SessionError;
use crate::link::{Link, part, read_block};
use crate::tls::TlsSession;
use crate::world::{World, within};

/// Events that may wait for whoever takes them before the session is not read further.
const EVENTS: usize = 256;

/// How long a router may take for one block that is written to it, in nanoseconds.
const WRITE_TIMEOUT: u64 = 900_000_000_000;

/// The client's end of a session as a state machine.
pub(crate) trait Requester: Sized + 'static {
    /// What answers a request.
    type Response;
    /// What comes of itself.
    type Event;
    /// Bytes of a block.
    const BLOCK_SIZE: usize;

    /// Takes a block. After an error the session is dead.
    fn block(&mut self, block: &[u8]) -> Result<(), SessionError>;
    /// The next block to write.
    fn next_block(&mut self) -> Option<Vec<u8>>;
    /// What was learnt.
    fn poll(&mut self) -> Option<Learnt<Self>>;
    /// Gives a request up.
    fn forget(&mut self, corr: &CorrId);
}

/// What a client learns.
pub(crate) enum Learnt<R: Requester> {
    /// Requests can be made.
    Ready,
    /// The answer to a request.
    Answer(CorrId, Answer<R>),
    /// Something else.
    Event(R::Event),
}

pub(crate) type Answer<R> = Result<<R as Requester>::Response, SessionError>;

/// A session. Clones are the same.
///
/// It ends when it is closed, when the connection ends, or when nobody has any use for it: every clone and the receiver
/// of its events are dropped.
pub(crate) struct Requests<W: World, R: Requester> {
    world: W,
    shared: Rc<Shared<R>>,
    timeout: u64,
    held: Rc<Held<R>>,
}

impl<W: World, R: Requester> Clone for Requests<W, R> {
    fn clone(&self) -> Self {
        Self {
            world: self.world.clone(),
            shared: Rc::clone(&self.shared),
            timeout: self.timeout,
            held: Rc::clone(&self.held),
        }
    }
}

struct Shared<R: Requester> {
    core: RefCell<R>,
    waiting: RefCell<BTreeMap<CorrId, oneshot::Sender<Answer<R>>>>,
    link: Link,
    unheld: Notify,
}

/// Owned by all clones of a session together: says when the last one is dropped.
struct Held<R: Requester>(Rc<Shared<R>>);

impl<R: Requester> Drop for Held<R> {
    fn drop(&mut self) {
        self.0.unheld.notify_one();
    }
}

/// A request that waits for its answer. Dropped before that, also with the future of the request, it is given up.
struct Waiting<'a, R: Requester> {
    shared: &'a Shared<R>,
    corr: CorrId,
}

impl<R: Requester> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        if self.shared.waiting.borrow_mut().remove(&self.corr).is_some() {
            self.shared.core.borrow_mut().forget(&self.corr);
        }
    }
}

impl<W: World, R: Requester> Requests<W, R> {
    /// A session on a connection, once its handshake is done. `timeout` is for the handshake and for each request, in
    /// nanoseconds.
    pub(crate) async fn open(
        world: W,
        tls: TlsSession<W::Stream>,
        core: R,
        timeout: u64,
    ) -> Result<(Self, mpsc::Receiver<R::Event>), SessionError> {
        let shared = Rc::new(Shared {
            core: RefCell::new(core),
            waiting: RefCell::default(),
            link: Link::default(),
            unheld: Notify::new(),
        });
        let (events, received) = mpsc::channel(EVENTS);
        let (ready, is_ready) = oneshot::channel();
        // Made before there is anything to wait for: giving up on this future ends the session.
        let held = Rc::new(Held(Rc::clone(&shared)));
        let session = Self { world: world.clone(), shared: Rc::clone(&shared), timeout, held };
        let task = world.clone();
        world.spawn(async move { run(task, shared, tls, events, ready).await });
        match within(&world, timeout, is_ready).await {
            Some(outcome) => outcome.map_err(|_| SessionError::Closed)??,
            None => return Err(SessionError::Timeout),
        }
        Ok((session, received))
    }

    /// Whether the session has ended or is about to.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.link.is_closing()
    }

    /// Ends the session once the requests made so far are written. They get no answers any more.
    pub(crate) fn close(&self) {
        self.shared.link.close();
    }

    /// The world that it is in.
    pub(crate) fn world(&self) -> &W {
        &self.world
    }

    /// The state machine.
    pub(crate) fn core(&self) -> Ref<'_, R> {
        self.shared.core.borrow()
    }

    /// Makes a request and waits for its answer. Dropping the future gives the request up.
    pub(crate) async fn answer<E: Into<SessionError>>(
        &self,
        request: impl FnOnce(&mut R) -> Result<CorrId, E>,
    ) -> Answer<R> {
        // What is said to have failed must not be sent.
        if self.is_closed() {
            return Err(SessionError::Closed);
        }
        let corr = request(&mut self.shared.core.borrow_mut()).map_err(Into::into)?;
        let (sender, answer) = oneshot::channel();
        self.shared.waiting.borrow_mut().insert(corr.clone(), sender);
        let waiting = Waiting { shared: &self.shared, corr };
        self.shared.link.wake();
        let answer = within(&self.world, self.timeout, answer).await;
        drop(waiting);
        answer.ok_or(SessionError::Timeout)?.map_err(|_| SessionError::Closed)?
    }
}

/// Pumps a session's blocks until it ends, and then fails what still waits.
async fn run<W: World, R: Requester>(
    world: W,
    shared: Rc<Shared<R>>,
    tls: TlsSession<W::Stream>,
    events: mpsc::Sender<R::Event>,
    ready: oneshot::Sender<Result<(), SessionError>>,
) {
    let (mut reader, mut writer) = split(tls.stream);
    let link = &shared.link;
    let reading = async {
        let mut ready = Some(ready);
        while let Ok(Some(block)) = read_block(&mut reader, R::BLOCK_SIZE).await {
            let taken = shared.core.borrow_mut().block(&block);
            if let Err(error) = taken {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Err(error));
                }
                return;
            }
            // The answer to the router's hello is written without anybody asking for it.
            link.wake();
            while let Some(event) = shared.poll() {
                match event {
                    Learnt::Ready => {
                        if let Some(ready) = ready.take() {
                            let _ = ready.send(Ok(()));
                        }
                    }
                    Learnt::Answer(corr, answer) => shared.resolve(&corr, answer),
                    // An error says that nobody takes events: the session is then there for its requests.
                    Learnt::Event(event) => drop(events.send(event).await),
                }
            }
        }
    };
    let next = || shared.core.borrow_mut().next_block().into();
    let writing = link.write(&world, WRITE_TIMEOUT, &mut writer, next);
    let abandoned = async {
        shared.unheld.notified().await;
        events.closed().await;
        link.close();
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = reading => {}
        () = writing => {}
        () = abandoned => {}
        () = link.overdue(&world) => {}
    }
    let parting = link.is_closing();
    link.close();
    shared.waiting.borrow_mut().clear();
    drop(events);
    if parting {
        part(&world, reader, writer).await;
    }
}

impl<R: Requester> Shared<R> {
    fn poll(&self) -> Option<Learnt<R>> {
        self.core.borrow_mut().poll()
    }

    fn resolve(&self, corr: &CorrId, answer: Answer<R>) {
        let waiting = self.waiting.borrow_mut().remove(corr);
        if let Some(sender) = waiting {
            let _ = sender.send(answer);
        }
    }
}
