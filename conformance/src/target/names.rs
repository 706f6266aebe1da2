//! The resolver of names behind a router under test: a small HTTP service of the suite.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::rc::Rc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::resolver::{Authorization, Resolver, ResolverConfig};
use sxlab_node::tls::Entropy;
use sxlab_node::world::World;
use sxlab_protocol::smp::error::NameError;
use sxlab_protocol::smp::name::{Name, NameRecord};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::Unavailable;

/// The token that routers under test show to their resolver.
pub const TOKEN: &str = "token-of-the-suite";

/// Below which path names are asked for.
pub const PATH: &str = "/names";

/// The most bytes of a request that are read.
const REQUEST: usize = 16_384;

/// What the resolver says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// By name; any other name is not found.
    pub answers: Vec<NameAnswer>,
    /// Whether more than 1,000 connections come at a time, more than a process may have open on many machines.
    pub crowd: bool,
}

/// What the resolver says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAnswer {
    /// The name.
    pub name: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// How long the answer takes, in nanoseconds.
    pub after: u64,
}

impl NameAnswer {
    /// An answer at once.
    pub fn new(name: &str, status: u16, body: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status, body: body.into(), location: None, after: 0 }
    }
}

/// What the resolver was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// The requests up to their empty line, in the order in which they came.
    pub requests: Vec<String>,
    /// The most that waited for their answers at a time.
    pub most: usize,
}

/// The service.
#[derive(Debug, Default)]
pub(super) struct NameDesk {
    names: Names,
    lookups: RefCell<Lookups>,
    open: Cell<usize>,
}

impl NameDesk {
    pub(super) fn new(names: Names) -> Rc<Self> {
        Rc::new(Self { names, ..Self::default() })
    }

    pub(super) fn lookups(&self) -> Lookups {
        self.lookups.borrow().clone()
    }

    /// One more lookup waits.
    pub(super) fn opened(&self) {
        self.open.set(self.open.get() + 1);
        let most = &mut self.lookups.borrow_mut().most;
        *most = self.open.get().max(*most);
    }

    /// One less waits.
    pub(super) fn closed(&self) {
        self.open.set(self.open.get().saturating_sub(1));
    }

    /// Reads a request, and notes it: the bytes of its answer, and how long that takes.
    async fn hear(&self, stream: &mut (impl AsyncRead + Unpin)) -> Option<(Vec<u8>, u64)> {
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|four| four == b"\r\n\r\n") && bytes.len() < REQUEST {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let request = String::from_utf8_lossy(&bytes).into_owned();
        let target = request.split(' ').nth(1).unwrap_or_default();
        let name = target.strip_prefix(PATH).and_then(|path| path.strip_prefix("/resolve/"));
        let known = self.names.answers.iter().find(|answer| Some(answer.name.as_str()) == name);
        let absent = NameAnswer::new("", 404, "");
        let NameAnswer { status, body, location, after, .. } = known.unwrap_or(&absent);
        let location = location.iter().map(|to| format!("Location: {to}\r\n")).collect::<String>();
        let head = "Content-Type: application/json\r\nConnection: close";
        let answer = format!(
            "HTTP/1.1 {status} said\r\n{head}\r\n{location}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.lookups.borrow_mut().requests.push(request);
        Some((answer.into_bytes(), *after))
    }

    /// Answers connections to this listener.
    pub(super) async fn serve<W: World>(self: Rc<Self>, world: W, listener: W::Listener) {
        while let Ok((mut stream, _)) = world.accept(&listener).await {
            let (desk, own) = (Rc::clone(&self), world.clone());
            world.spawn(async move {
                if let Some((answer, after)) = desk.hear(&mut stream).await {
                    desk.opened();
                    own.sleep(after).await;
                    desk.closed();
                    // Whoever asked may have given up.
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    }
}

/// Where a router finds the resolver at this place, as `HOST:PORT`.
pub(super) fn base(place: &str) -> String {
    format!("http://{place}{PATH}")
}

/// Asks the resolver at this place.
pub(super) fn resolver(place: &str) -> Result<Resolver, Unavailable> {
    let authorization = Some(Authorization::Bearer(TOKEN.to_owned()));
    let config = ResolverConfig { authorization, ..ResolverConfig::new(&base(place)) };
    Resolver::new(&config).map_err(|error| Unavailable(error.to_string()))
}

/// A router that asks its resolver wrongly in one thing: what a suite has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WrongResolver {
    /// Does not show its token.
    ShowsNoToken,
    /// Leaves out the path of the configured address.
    LeavesOutPath,
    /// Goes where a redirect leads.
    FollowsRedirects,
    /// Keeps what it was told, and does not ask again.
    KeepsAnswers,
    /// Takes answers of any size.
    TakesAnySize,
    /// Waits for an answer as long as it takes.
    WaitsForEver,
}

impl WrongResolver {
    /// All of them.
    pub const ALL: [WrongResolver; 6] = [
        WrongResolver::ShowsNoToken,
        WrongResolver::LeavesOutPath,
        WrongResolver::FollowsRedirects,
        WrongResolver::KeepsAnswers,
        WrongResolver::TakesAnySize,
        WrongResolver::WaitsForEver,
    ];

    /// Its name: lower-case words with hyphens.
    pub fn name(self) -> &'static str {
        match self {
            WrongResolver::ShowsNoToken => "shows-no-token",
            WrongResolver::LeavesOutPath => "leaves-out-path",
            WrongResolver::FollowsRedirects => "follows-redirects",
            WrongResolver::KeepsAnswers => "keeps-answers",
            WrongResolver::TakesAnySize => "takes-any-size",
            WrongResolver::WaitsForEver => "waits-for-ever",
        }
    }

    /// What it does wrong.
    pub fn does(self) -> &'static str {
        match self {
            WrongResolver::ShowsNoToken => "Does not show its token to the resolver.",
            WrongResolver::LeavesOutPath => "Leaves out the path of the resolver's address.",
            WrongResolver::FollowsRedirects => "Goes where a redirect of the resolver leads.",
            WrongResolver::KeepsAnswers => "Keeps what the resolver said, and does not ask again.",
            WrongResolver::TakesAnySize => "Takes answers of any size from the resolver.",
            WrongResolver::WaitsForEver => "Waits for the resolver as long as it takes.",
        }
    }
}

/// Our router's side of lookups, and the resolver, in memory and without time.
pub(super) struct InMemory {
    desk: Rc<NameDesk>,
    resolver: Resolver,
    timeout: u64,
    wrong: Option<WrongResolver>,
    kept: BTreeMap<String, NameRecord>,
}

/// What a lookup comes to, and after how long.
pub(super) type Outcome = (Result<NameRecord, NameError>, u64);

impl InMemory {
    pub(super) fn new(names: Names, wrong: Option<WrongResolver>) -> Result<Self, Unavailable> {
        let mut config = ResolverConfig::new(&base("names.test"));
        config.authorization = Some(Authorization::Bearer(TOKEN.to_owned()));
        match wrong {
            Some(WrongResolver::ShowsNoToken) => config.authorization = None,
            Some(WrongResolver::LeavesOutPath) => config.base = "http://names.test".to_owned(),
            Some(WrongResolver::TakesAnySize) => config.limit = usize::MAX,
            Some(WrongResolver::WaitsForEver) => config.timeout = u64::MAX,
            _ => {}
        }
        let resolver = Resolver::new(&config).map_err(|error| Unavailable(error.to_string()))?;
        Ok(Self {
            desk: NameDesk::new(names),
            resolver,
            timeout: config.timeout,
            wrong,
            kept: BTreeMap::new(),
        })
    }

    pub(super) fn desk(&self) -> &NameDesk {
        &self.desk
    }

    /// Looks a name up.
    pub(super) fn look_up(&mut self, name: &Name) -> Outcome {
        if let Some(kept) = self.kept.get(&name.to_string()) {
            return (Ok(kept.clone()), 0);
        }
        let (mut outcome, after) = self.ask(name);
        match (self.wrong, &outcome) {
            (Some(WrongResolver::FollowsRedirects), Err(NameError::Resolver(detail)))
                if detail == "HTTP 302" =>
            {
                if let Ok(elsewhere) = Name::parse("alice.simplex") {
                    outcome = self.ask(&elsewhere).0;
                }
            }
            (Some(WrongResolver::KeepsAnswers), Ok(record)) => {
                self.kept.insert(name.to_string(), record.clone());
            }
            _ => {}
        }
        (outcome, after)
    }

    fn ask(&self, name: &Name) -> Outcome {
        let failed = |detail: &str| Err(NameError::Resolver(detail.to_owned()));
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
            return (failed("transport failure"), 0);
        };
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let world = Memory(sender);
        let taken = Cell::new(0);
        let served = async {
            while let Some(mut stream) = receiver.recv().await {
                if let Some((answer, after)) = self.desk.hear(&mut stream).await {
                    taken.set(after);
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                }
            }
            pending().await
        };
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = self.resolver.look_up(&world, name) => outcome,
                () = served => failed("transport failure"),
            }
        });
        // Nothing waits in memory: what would take longer than it may is cut off here.
        if taken.get() > self.timeout { (failed("timeout"), self.timeout) } else { (outcome, taken.get()) }
    }
}

/// A world of one resolver in memory, where nothing takes time.
#[derive(Clone)]
struct Memory(mpsc::UnboundedSender<DuplexStream>);

impl World for Memory {
    type Stream = DuplexStream;
    type Listener = ();
    type Peer = ();

    async fn connect(&self, _host: &str, _port: u16) -> io::Result<DuplexStream> {
        let (near, far) = duplex(1 << 20);
        self.0.send(far).map_err(io::Error::other)?;
        Ok(near)
    }

    async fn accept(&self, _listener: &()) -> io::Result<(DuplexStream, ())> {
        pending().await
    }

    fn address(&self, _peer: &()) -> String {
        String::new()
    }

    fn now(&self) -> u64 {
        0
    }

    async fn sleep(&self, _nanoseconds: u64) {
        pending().await
    }

    fn spawn(&self, _task: impl Future<Output = ()> + 'static) {}

    fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(0)
    }

    fn entropy(&self) -> Entropy {
        Entropy::System
    }
}
