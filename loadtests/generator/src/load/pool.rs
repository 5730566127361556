//! The clients' connections: opened as they are needed, up to a cap.

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

use super::connection::{Closes, Connection, Open};
use super::plan::Plan;
use super::wire::{Pace, Wire};
use crate::clock::Moment;
use crate::run::{ConnectionFigures, Loss};

/// How long a connect may take: a lost SYN is sent again after 1, 3 and 7 seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A client closes a connection that has been idle for so long. Well below what a server allows.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// The receive buffer of a slow reader, so that what it does not read stays with who sends it.
const SLOW_RECEIVE_BUFFER: u32 = 16 << 10;

/// The clients' connections.
pub(crate) struct Pool {
    target: SocketAddr,
    sources: u8,
    cap: usize,
    places: Semaphore,
    /// The one used last is at the back, and is used first.
    idle: RefCell<VecDeque<Connection>>,
    closes: Closes,
    open: Rc<Cell<usize>>,
    opened: Cell<u64>,
    peak: Cell<usize>,
    cap_waits: Cell<u64>,
}

/// How a connection is to be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) pace: Option<Pace>,
    pub(crate) upgrades: bool,
}

impl Pool {
    pub(crate) fn new(plan: &Plan) -> Self {
        let cap = plan.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            target: plan.target,
            sources: plan.sources.clamp(1, 250),
            cap,
            places: Semaphore::new(cap),
            idle: RefCell::default(),
            closes: Closes::default(),
            open: Rc::default(),
            opened: Cell::default(),
            peak: Cell::default(),
            cap_waits: Cell::default(),
        }
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

    /// An idle connection, or a new one.
    pub(crate) async fn kept(&self) -> Result<Connection, Loss> {
        let idle = self.idle.borrow_mut().pop_back();
        match idle {
            Some(connection) => Ok(connection),
            None => self.open(Manner::default()).await,
        }
    }

    /// A new connection.
    pub(crate) async fn open(&self, manner: Manner) -> Result<Connection, Loss> {
        if self.open.get() >= self.cap {
            self.idle.borrow_mut().pop_front();
        }
        let open = Open::count(&self.open);
        self.peak.set(self.peak.get().max(self.open.get()));
        self.opened.set(self.opened.get() + 1);
        let stream = self.connect(manner.pace).await?;
        let abrupt = Arc::<AtomicBool>::default();
        let wire = Wire::new(stream, manner.pace, abrupt.clone());
        Connection::new(wire, abrupt, self.closes.clone(), open, manner.upgrades).await
    }

    async fn connect(&self, pace: Option<Pace>) -> Result<TcpStream, Loss> {
        let socket = self.socket(pace).map_err(|_| Loss::OutOfSockets)?;
        let connected = timeout(CONNECT_TIMEOUT, socket.connect(self.target)).await;
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

    /// Takes a connection back after an answer that did not announce a close.
    pub(crate) fn put_back(&self, connection: Connection) {
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

fn connect_loss(error: &io::Error) -> Loss {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Loss::Refused,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Loss::OutOfSockets,
        _ => Loss::Unreachable,
    }
}
