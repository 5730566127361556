//! The workers together: their listeners, their threads, and the plane that commands them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use holdfast_control::Accepting;
use holdfast_control::plane::{Signals, signals};
use socket2::Socket;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::access_log::AccessLog;
use crate::handover::{Heir, Listener};
use crate::listen::{self, Front};
use crate::plane::Plane;
use crate::stop::Stop;
use crate::table::{Published, Table};
use crate::worker::{self, Start};

/// Commands that may wait for a worker.
const MAIL_MAX: usize = 64;

/// Bound listeners, before anybody accepts.
pub(crate) struct Bound {
    /// One for each address that is configured.
    pub(crate) listeners: Vec<Listener>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Failed(SocketAddr, #[source] io::Error),
}

/// Binds every address for every worker, unless the process before this one has.
pub(crate) fn bind(
    addresses: &[SocketAddr],
    workers: usize,
    heir: &mut Option<Heir>,
) -> Result<Bound, BindError> {
    let listeners = addresses.iter().map(|asked| {
        let inherited = heir.as_mut().and_then(|heir| heir.listener(*asked));
        inherited.map_or_else(|| bind_one(*asked, workers), Ok)
    });
    Ok(Bound {
        listeners: listeners.collect::<Result<_, _>>()?,
    })
}

fn bind_one(asked: SocketAddr, workers: usize) -> Result<Listener, BindError> {
    let failed = |error| BindError::Failed(asked, error);
    if listen::is_taken(asked).map_err(failed)? {
        return Err(BindError::InUse(asked));
    }
    let (address, sockets) = listen::bind(asked, workers).map_err(failed)?;
    Ok(Listener {
        asked,
        address,
        sockets: sockets.into_iter().map(Into::into).collect(),
    })
}

/// One worker's sockets, each with what its clients meet.
type Share = Vec<(Socket, Arc<Front>)>;

impl Bound {
    /// Where, with the chosen port for a port 0.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|it| it.address).collect()
    }

    /// No socket is left without a worker, for its queue would be nobody's; and no worker without a socket.
    fn share_out(&self, workers: usize, fronts: &[Arc<Front>]) -> io::Result<Vec<Share>> {
        let mut shares: Vec<Share> = (0..workers).map(|_| Vec::new()).collect();
        for (listener, front) in self.listeners.iter().zip(fronts) {
            let sockets = &listener.sockets;
            for turn in 0..workers.max(sockets.len()) {
                let socket = sockets[turn % sockets.len()].try_clone()?;
                shares[turn % workers].push((socket.into(), front.clone()));
            }
        }
        Ok(shares)
    }
}

/// The data plane, ready: its plane publishes, its workers accept once they are started.
pub(crate) struct Workers {
    pub(crate) plane: Arc<Plane>,
    starts: Vec<Start>,
    up: Vec<oneshot::Receiver<()>>,
    stop: Stop,
    permits: Arc<Semaphore>,
    connections_max: usize,
}

/// Workers that accept.
pub(crate) struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: Stop,
    permits: Arc<Semaphore>,
    connections_max: usize,
}

impl Workers {
    /// The runtime that calls it is where drains and releases are waited for.
    /// `fronts`: for each address, what its clients meet.
    pub(crate) fn new(
        bound: &Bound,
        count: usize,
        fronts: &[Arc<Front>],
        connections_max: usize,
        access_log: &AccessLog,
        accepting: &Accepting,
    ) -> io::Result<(Self, Signals)> {
        let (signaller, signals) = signals();
        let published = Arc::new(Published::new(Table::default()));
        let stop = Stop::default();
        let permits = Arc::new(Semaphore::new(connections_max));
        let (mut mail, mut starts, mut ups) = (Vec::new(), Vec::new(), Vec::new());
        for (index, listeners) in bound.share_out(count, fronts)?.into_iter().enumerate() {
            let (to_worker, from_plane) = mpsc::channel(MAIL_MAX);
            mail.push(to_worker);
            let (up, is_up) = oneshot::channel();
            ups.push(is_up);
            starts.push(Start {
                index,
                listeners,
                published: published.clone(),
                permits: permits.clone(),
                access_log: access_log.clone(),
                signaller: signaller.clone(),
                stop: stop.clone(),
                accepting: accepting.clone(),
                mail: from_plane,
                up,
            });
        }
        let plane = Plane::new(published, mail, signaller, Handle::current());
        let this = Self {
            plane,
            starts,
            up: ups,
            stop,
            permits,
            connections_max,
        };
        Ok((this, signals))
    }

    /// Begins to accept. To be called when the table is published. Returns when each socket has its worker.
    pub(crate) async fn start(self) -> io::Result<Running> {
        let threads = self
            .starts
            .into_iter()
            .map(worker::start)
            .collect::<io::Result<_>>()?;
        for up in self.up {
            let failed = |_| io::Error::other("one of them does not accept: see the log");
            up.await.map_err(failed)?;
        }
        let Self {
            stop,
            permits,
            connections_max,
            ..
        } = self;
        Ok(Running {
            threads,
            stop,
            permits,
            connections_max,
        })
    }
}

impl Running {
    /// Stops accepting; connections end as their requests do. Returns when the last has ended. Who does not wait for that
    /// may end the process: nothing here keeps it.
    pub(crate) async fn stop(self) {
        self.stop.stop();
        let (ended, all) = oneshot::channel();
        let joining = thread::Builder::new().name("stop".to_owned());
        let joining = joining.spawn(move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    tracing::error!("a worker panicked");
                }
            }
            // Nobody waits any more if the time was over.
            let _ = ended.send(());
        });
        match joining {
            Ok(_) => drop(all.await),
            Err(error) => tracing::error!(%error, "running requests are not waited for"),
        }
    }

    /// For the metrics.
    pub(crate) fn connections(&self) -> Connections {
        Connections {
            permits: self.permits.clone(),
            max: self.connections_max,
        }
    }
}

/// Counts client connections.
#[derive(Clone)]
pub(crate) struct Connections {
    permits: Arc<Semaphore>,
    max: usize,
}

impl Connections {
    pub(crate) fn now(&self) -> usize {
        self.max.saturating_sub(self.permits.available_permits())
    }
}
