//! The clients' connections: opened as they are needed, up to a cap. Those of HTTP/2 are few, and shared.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::connection::{Closes, Connection, Open, Raw};
use super::plan::{Plan, Secure};
use super::trust::{Stream, Trust};
use super::wire::{Pace, Wire};
use crate::clock::Moment;
use crate::run::{ConnectionFigures, Loss, Protocol};

/// How long a connect may take: a lost SYN is sent again after 1, 3 and 7 seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A client closes a connection that has been idle for so long. Well below what a server allows.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// The receive buffer of a slow reader, so that what it does not read stays with who sends it.
const SLOW_RECEIVE_BUFFER: u32 = 16 << 10;
/// Shared connections, with TLS and without: so many at least, and as many requests on each as a server allows at least.
const SHARED_MIN: usize = 4;
const SHARES_MAX: usize = 100;

/// The clients' connections.
pub(crate) struct Pool {
    target: SocketAddr,
    secure: Option<(SocketAddr, Trust)>,
    sources: u8,
    cap: usize,
    places: Semaphore,
    /// The one used last is at the back, and is used first.
    idle: RefCell<VecDeque<Connection>>,
    /// Those of HTTP/2.
    shared: RefCell<Vec<Connection>>,
    closes: Closes,
    open: Rc<Cell<usize>>,
    opened: Cell<u64>,
    peak: Cell<usize>,
    cap_waits: Cell<u64>,
}

/// How a connection is to be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) protocol: Protocol,
    pub(crate) pace: Option<Pace>,
    pub(crate) upgrades: bool,
}

impl Pool {
    /// Fails if what the clients are to trust is no certificate.
    pub(crate) fn new(plan: &Plan) -> io::Result<Self> {
        let cap = plan.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        let trust = |it: &Secure| Ok::<_, io::Error>((it.target, Trust::new(it)?));
        Ok(Self {
            target: plan.target,
            secure: plan.secure.as_ref().map(trust).transpose()?,
            sources: plan.sources.clamp(1, 250),
            cap,
            places: Semaphore::new(cap),
            idle: RefCell::default(),
            shared: RefCell::default(),
            closes: Closes::default(),
            open: Rc::default(),
            opened: Cell::default(),
            peak: Cell::default(),
            cap_waits: Cell::default(),
        })
    }

    /// The right to have a connection in use.
    pub(crate) async fn place(&self) -> SemaphorePermit<'_> {
        if let Ok(place) = self.places.try_acquire() {
            return place;
        }
        self.cap_waits.set(self.cap_waits.get() + 1);
        match self.places.acquire().await {
            Ok(place) => place,
            Err(_) => unreachable!("the semaphore is never closed"),
        }
    }

    /// An idle connection, or a share in one, or a new one.
    pub(crate) async fn kept(&self, protocol: Protocol) -> Result<Connection, Loss> {
        let kept = if protocol.http2 {
            self.least_shared(protocol)
        } else {
            self.last_idle(protocol)
        };
        if let Some(connection) = kept {
            return Ok(connection);
        }
        let manner = Manner {
            protocol,
            ..Manner::default()
        };
        let connection = self.open(manner).await?;
        if let Some(share) = connection.share() {
            self.shared.borrow_mut().push(share);
        }
        Ok(connection)
    }

    fn last_idle(&self, protocol: Protocol) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|it| it.protocol() == protocol)?;
        idle.remove(at)
    }

    /// None while there are too few connections, or all have as much as they may.
    fn least_shared(&self, protocol: Protocol) -> Option<Connection> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|it| !it.is_closed());
        let alike = || shared.iter().filter(|it| it.protocol() == protocol);
        let least = alike().min_by_key(|it| it.shares())?;
        let enough = alike().count() >= SHARED_MIN && least.shares() <= SHARES_MAX;
        enough.then(|| least.share()).flatten()
    }

    /// A new connection.
    pub(crate) async fn open(&self, manner: Manner) -> Result<Connection, Loss> {
        if self.open.get() >= self.cap {
            self.idle.borrow_mut().pop_front();
        }
        let open = Open::count(&self.open);
        self.peak.set(self.peak.get().max(self.open.get()));
        self.opened.set(self.opened.get() + 1);
        let abrupt = Arc::<AtomicBool>::default();
        let raw = Raw {
            stream: self.stream(manner, abrupt.clone()).await?,
            protocol: manner.protocol,
            abrupt,
            closes: self.closes.clone(),
            open,
        };
        Connection::new(raw, manner.upgrades).await
    }

    async fn stream(
        &self,
        manner: Manner,
        abrupt: Arc<AtomicBool>,
    ) -> Result<Box<dyn Stream>, Loss> {
        let Manner { pace, protocol, .. } = manner;
        let Some((target, trust)) = self.secure.as_ref().filter(|_| protocol.tls) else {
            let stream = self.connect(self.target, pace).await?;
            return Ok(Box::new(Wire::new(stream, pace, abrupt)));
        };
        let stream = self.connect(*target, pace).await?;
        let wire = Wire::new(stream, pace, abrupt);
        let shaken = trust.shake_hands(wire, protocol.http2).await;
        shaken.map_err(|error| handshake_loss(&error))
    }

    async fn connect(&self, target: SocketAddr, pace: Option<Pace>) -> Result<TcpStream, Loss> {
        let socket = self.socket(pace).map_err(|_| Loss::OutOfSockets)?;
        let connected = timeout(CONNECT_TIMEOUT, socket.connect(target)).await;
        let stream = connected
            .map_err(|_| Loss::Unreachable)?
            .map_err(|error| connect_loss(&error))?;
        // Only latency is at stake.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn socket(&self, pace: Option<Pace>) -> io::Result<TcpSocket> {
        let socket = match self.target {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if pace.is_some() {
            socket.set_recv_buffer_size(SLOW_RECEIVE_BUFFER)?;
        }
        if let Some(source) = self.source() {
            socket.set_reuseaddr(true)?;
            socket.bind(source)?;
        }
        Ok(socket)
    }

    /// The next client's address, if it matters.
    fn source(&self) -> Option<SocketAddr> {
        if self.sources == 1 {
            return None;
        }
        let turn = self.opened.get() % u64::from(self.sources);
        let last = 1 + u8::try_from(turn).ok()?;
        let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        Some(SocketAddr::new(address, 0))
    }

    /// Takes a connection back after an answer that did not announce a close. A share is just given up.
    pub(crate) fn put_back(&self, connection: Connection) {
        if connection.protocol().http2 {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if let Some(connection) = connection.rest() {
            idle.push_back(connection);
        }
        let enough = Moment::now().minus(IDLE_MAX);
        let is_stale = |it: &Connection| it.resting_since().is_none_or(|since| since < enough);
        while idle.front().is_some_and(is_stale) {
            idle.pop_front();
        }
    }

    pub(crate) fn figures(&self) -> ConnectionFigures {
        ConnectionFigures {
            opened: self.opened.get(),
            peak: self.peak.get(),
            cap: self.cap,
            cap_waits: self.cap_waits.get(),
        }
    }

    pub(crate) fn closes(&self) -> Closes {
        self.closes.clone()
    }
}

fn handshake_loss(error: &io::Error) -> Loss {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Loss::Reset,
        io::ErrorKind::InvalidData => Loss::Malformed,
        _ => Loss::Closed,
    }
}

fn connect_loss(error: &io::Error) -> Loss {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Loss::Refused,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Loss::OutOfSockets,
        _ => Loss::Unreachable,
    }
}
