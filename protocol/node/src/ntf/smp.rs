//! A notification router's sessions with SMP routers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use sxlab_protocol::ntf::router::{SmpAsk, SmpNo, SmpTold};
use sxlab_protocol::ntf::subscriber::Subscriber;
use sxlab_protocol::smp::client::ClientError;
use sxlab_protocol::transport::{BLOCK_SIZE, ClientHandshake};
use sxlab_protocol::wire::RouterAddress;
use tokio::io::split;

use super::{Ntf, NtfNode};
use crate::client::ServiceIdentity;
use crate::dial::{self, dial};
use crate::link::{Link, part, read_block};
use crate::node::turn;
use crate::tls::TlsSession;
use crate::world::World;

/// Requests of one session that may be without an answer. An SMP router that answers none is one to be left: what was asked and
/// counts as unanswered is asked for again, and the session would hold it each time.
const MOST_PENDING: usize = 16_384;

/// One session with an SMP router, or the attempt at one.
#[derive(Default)]
pub(super) struct Upstream {
    /// Nothing before the connection.
    core: RefCell<Option<Subscriber>>,
    link: Link,
    /// Whether the handshake is done.
    ready: Cell<bool>,
    /// Whether anything came lately.
    heard: Cell<bool>,
}

impl Upstream {
    /// There may be something to do.
    pub(super) fn wake(&self) {
        self.link.wake();
    }

    /// It is to end.
    pub(super) fn close(&self) {
        self.link.close();
    }

    /// Asks something of the SMP router; a session that can't do it ends.
    fn ask(&self, what: impl FnOnce(&mut Subscriber) -> Result<(), ClientError>) {
        if let Some(core) = &mut *self.core.borrow_mut() {
            match what(core) {
                Ok(()) if core.pending() <= MOST_PENDING => self.link.wake(),
                Ok(()) => {
                    tracing::info!("an SMP router that answers nothing is left");
                    self.link.close();
                }
                Err(error) => {
                    tracing::info!(%error, "a session with an SMP router ends");
                    self.link.close();
                }
            }
        }
    }

    fn take(&self, block: &[u8]) -> Result<Vec<SmpTold>, ClientError> {
        let mut told = Vec::new();
        if let Some(core) = &mut *self.core.borrow_mut() {
            core.block(block)?;
            told.extend(std::iter::from_fn(|| core.poll()));
        }
        Ok(told)
    }

    fn next_block(&self) -> Option<Vec<u8>> {
        self.core.borrow_mut().as_mut()?.next_block()
    }
}

impl<W: World> Ntf<W> {
    /// Has something asked of an SMP router.
    pub(super) fn ask_smp(&self, node: &NtfNode<W>, no: SmpNo, asked: SmpAsk) {
        let mut upstream = self.upstream.borrow_mut();
        match asked {
            SmpAsk::Connect { address, as_service } => {
                let own = Rc::new(Upstream::default());
                // The one before it, if there is any, is over: nobody hears of it.
                if let Some(before) = upstream.insert(no, Rc::clone(&own)) {
                    before.close();
                }
                let task = node.clone();
                node.world().spawn(async move { task.run_upstream(no, own, address, as_service).await });
            }
            SmpAsk::Disconnect => {
                if let Some(own) = upstream.remove(&no) {
                    own.close();
                }
            }
            asked @ (SmpAsk::Subscribe(_) | SmpAsk::SubscribeService(_)) => {
                if let Some(own) = upstream.get(&no) {
                    own.ask(|core| core.ask(asked));
                }
            }
        }
    }
}

impl<W: World> NtfNode<W> {
    /// Connects to an SMP router, and has a session with it until it ends.
    async fn run_upstream(&self, no: SmpNo, own: Rc<Upstream>, address: RouterAddress, as_service: bool) {
        let service = self.protocol().service.as_ref().filter(|_| as_service);
        let identity = service.map(|service| Arc::clone(&service.identity));
        let limit = self.limits().dial_timeout;
        let connected = tokio::select! {
            biased;
            () = self.stopped() => return,
            connected = dial(self.world(), &address, &dial::SMP, identity, limit) => connected,
        };
        match connected {
            Ok(tls) if !own.link.is_closing() => {
                tracing::debug!(smp = no.0, router = %address.public(), "an SMP router was reached");
                self.run_session(no, &own, &address, service, tls).await;
            }
            Ok(_) => {}
            Err(_) => {
                tracing::info!("an SMP router could not be reached");
                tracing::debug!(smp = no.0, router = %address.public(), "the SMP router that could not be reached");
                self.lost(no, &own);
            }
        }
    }

    /// Tells the core that a session is over, unless it was to be.
    fn lost(&self, no: SmpNo, own: &Rc<Upstream>) {
        let mut upstream = self.protocol().upstream.borrow_mut();
        if upstream.get(&no).is_some_and(|current| Rc::ptr_eq(current, own)) {
            upstream.remove(&no);
            drop(upstream);
            self.with_core(|core, now| core.smp(no, SmpTold::Lost, now));
        }
    }

    async fn run_session(
        &self,
        no: SmpNo,
        own: &Rc<Upstream>,
        address: &RouterAddress,
        service: Option<&ServiceIdentity>,
        tls: TlsSession<W::Stream>,
    ) {
        let world = self.world();
        let handshake = ClientHandshake {
            versions: self.protocol().limits.versions,
            identity: address.identity,
            session_id: tls.session_id,
            send_key: true,
            proxy: false,
            unix_seconds: world.now() / 1_000_000_000,
        };
        let core = Subscriber::new(handshake, service.map(ServiceIdentity::credentials), world.rng());
        own.core.replace(Some(core));
        let (mut reader, mut writer) = split(tls.stream);
        let reading = async {
            loop {
                self.until_listening(own).await;
                let Ok(Some(block)) = read_block(&mut reader, BLOCK_SIZE).await else { return };
                self.until_listening(own).await;
                own.heard.set(true);
                match own.take(&block) {
                    Ok(told) => {
                        if self.tell(no, own, told).is_none() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::info!(%error, "a session with an SMP router ends");
                        return;
                    }
                }
                turn().await;
            }
        };
        let next = || own.next_block().into();
        tokio::select! {
            biased;
            () = reading => {}
            () = own.link.write(world, self.limits().write_timeout, &mut writer, next) => {}
            () = self.until_silent(own) => tracing::info!("an SMP router is silent"),
            () = own.link.overdue(world) => {}
        }
        own.core.replace(None);
        self.lost(no, own);
        tracing::debug!(smp = no.0, "a session with an SMP router ended");
        if own.link.is_closing() {
            part(world, reader, writer).await;
        }
    }

    /// Until the core may be given what SMP routers say.
    async fn until_listening(&self, own: &Upstream) {
        // A stopped router's sessions end by what they are told next.
        while !self.listens() {
            own.link.woken().await;
        }
    }

    fn listens(&self) -> bool {
        !self.is_behind() && self.core_says(|core| core.wants_notifications()) != Some(false)
    }

    /// Tells the core what came in a block; `None` when the router is stopped.
    fn tell(&self, no: SmpNo, own: &Rc<Upstream>, told: Vec<SmpTold>) -> Option<()> {
        // The answer to the router's hello is written without anybody asking for it.
        own.link.wake();
        for told in told {
            if matches!(told, SmpTold::Connected { .. }) {
                own.ready.set(true);
            }
            // What the core was told may have ended this session.
            if !self.is_current(no, own) {
                return None;
            }
            self.with_core(|core, now| core.smp(no, told, now))?;
        }
        Some(())
    }

    fn is_current(&self, no: SmpNo, own: &Rc<Upstream>) -> bool {
        self.protocol().upstream.borrow().get(&no).is_some_and(|current| Rc::ptr_eq(current, own))
    }

    /// Asks a session's router now and then whether it is there, until it says nothing.
    async fn until_silent(&self, own: &Upstream) {
        let world = self.world();
        world.sleep(self.limits().dial_timeout).await;
        if !own.ready.get() {
            return;
        }
        let limits = &self.protocol().limits;
        let mut silent = 0;
        while silent < limits.pings.max(1) {
            own.heard.set(false);
            own.ask(Subscriber::ping);
            world.sleep(limits.ping_interval).await;
            // Where nothing is read, nothing is heard.
            silent = if own.heard.get() || !self.listens() { 0 } else { silent + 1 };
        }
    }
}
