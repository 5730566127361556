//! The data plane in one thread, for `simulation`: workers without listeners, whose clients are the other ends of socket
//! pairs, on a runtime whose time stands still while anybody has something to do. Behind the feature `simulation` and in
//! unit tests, in no build that is shipped.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use holdfast_config::{App, Limits};
use holdfast_control::Accepting;
use holdfast_control::plane::{DataPlane, Mishaps, Signals, mishaps, signals};
use swap_core::AppName;
use tokio::runtime::Handle;
#[cfg(feature = "simulation")]
use tokio::runtime::{LocalOptions, LocalRuntime};
use tokio::sync::{Semaphore, mpsc};

use crate::access_log::AccessLog;
use crate::connection;
use crate::listen::{Accepted, Front};
use crate::peer::Trusted;
use crate::plain::Plain;
use crate::plane::Plane;
use crate::stop::Stop;
use crate::table::{Published, Settings, Table};
use crate::worker::{House, Worker};
#[cfg(feature = "simulation")]
use crate::{clock, worker};

/// Client connections at once.
const CONNECTIONS_MAX: usize = 10_000;
/// What may wait for a worker to read it.
const MAIL_MAX: usize = 64;

/// A runtime as workers have it, but for its time, which goes on only when nothing else does.
///
/// # Errors
///
/// If the system has no room for one.
#[cfg(feature = "simulation")]
pub fn runtime() -> io::Result<LocalRuntime> {
    // No runtime's time may begin before the clock's origin.
    clock::now();
    let mut runtime = worker::runtime();
    runtime.start_paused(true);
    runtime.build_local(LocalOptions::default())
}

/// The data plane of one process.
pub struct Stage {
    plane: Arc<Plane>,
    workers: Vec<Rc<Worker>>,
    front: Arc<Front>,
    permits: Arc<Semaphore>,
    mishaps: Cell<Option<Mishaps>>,
}

impl Stage {
    /// So many workers, on the runtime that runs now.
    pub fn new(workers: usize) -> (Self, Signals) {
        let (signaller, signals) = signals();
        let (teller, mishaps) = mishaps();
        let published = Arc::new(Published::new(Table::default()));
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (mut mail, mut staff) = (Vec::new(), Vec::new());
        for index in 0..workers {
            let (to_worker, from_plane) = mpsc::channel(MAIL_MAX);
            let worker = Worker::new(
                index,
                &published,
                AccessLog::off(),
                signaller.clone(),
                teller.clone(),
            );
            let house = House::new(worker.clone(), permits.clone(), Accepting::new(true));
            house.keep(from_plane);
            mail.push(to_worker);
            staff.push(worker);
        }
        let front = Front {
            tls: None,
            redirect: false,
            proxy_protocol: false,
            trusted: Trusted::new(&[]),
            challenges: Arc::default(),
            limits: Limits::default(),
            stop: Stop::default(),
        };
        let stage = Self {
            plane: Plane::new(published, mail, signaller, Handle::current()),
            workers: staff,
            front: Arc::new(front),
            permits,
            mishaps: Cell::new(Some(mishaps)),
        };
        (stage, signals)
    }

    /// What goes wrong on releases beside the live ones; to be taken once.
    pub fn mishaps(&self) -> Option<Mishaps> {
        self.mishaps.take()
    }

    /// What the control plane drives.
    pub fn plane(&self) -> Arc<dyn DataPlane> {
        self.plane.clone()
    }

    /// Takes over the apps' settings.
    ///
    /// # Panics
    ///
    /// If they name files that are not there.
    pub fn configure(&self, apps: &BTreeMap<AppName, App>) {
        match Settings::open_all(apps) {
            Ok(settings) => self.plane.configure(&settings),
            Err(error) => panic!("{error}"),
        }
    }

    /// A client with this address connects to a worker. The other end is the client's.
    ///
    /// # Errors
    ///
    /// If the system has no room for one more.
    pub fn connect(&self, worker: usize, client: SocketAddr) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        // What a connection does with its socket is the same for either kind.
        let stream = Plain::new(OwnedFd::from(ours));
        let permit = self.permits.clone().try_acquire_owned();
        let accepted = Accepted {
            stream,
            front: self.front.clone(),
            client,
            permit: permit.map_err(io::Error::other)?,
        };
        let worker = self.workers[worker].clone();
        tokio::task::spawn_local(Box::pin(connection::run(accepted, worker)));
        Ok(theirs)
    }

    /// Clients that are connected.
    pub fn connections(&self) -> usize {
        CONNECTIONS_MAX - self.permits.available_permits()
    }
}
