//! The workers together: their listeners, their threads, and the plane that commands them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use holdfast_control::plane::{Signals, signals};
use socket2::Socket;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::access_log::AccessLog;
use crate::listen::{self, Front};
use crate::plane::Plane;
use crate::stop::Stop;
use crate::table::{Published, Table};
use crate::worker::{self, Start};

/// Commands that may wait for a worker.
const MAIL_MAX: usize = 64;

/// Bound listeners, before anybody accepts.
pub(crate) struct Bound {
    /// Where, with the chosen port for a port 0.
    pub(crate) addresses: Vec<SocketAddr>,
    /// For each worker, one socket an address.
    sockets: Vec<Vec<Socket>>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Failed(SocketAddr, #[source] io::Error),
}

/// Binds every address for every worker.
pub(crate) fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Bound, BindError> {
    let mut bound = Bound {
        addresses: Vec::new(),
        sockets: (0..workers).map(|_| Vec::new()).collect(),
    };
    for address in addresses {
        let failed = |error| BindError::Failed(*address, error);
        if listen::is_taken(*address).map_err(failed)? {
            return Err(BindError::InUse(*address));
        }
        let (chosen, sockets) = listen::bind(*address, workers).map_err(failed)?;
        bound.addresses.push(chosen);
        bound
            .sockets
            .iter_mut()
            .zip(sockets)
            .for_each(|(worker, socket)| worker.push(socket));
    }
    Ok(bound)
}

/// The data plane, ready: its plane publishes, its workers accept once they are started.
pub(crate) struct Workers {
    pub(crate) plane: Arc<Plane>,
    starts: Vec<Start>,
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
    /// `runtime` is where drains and releases are waited for.
    /// `fronts`: for each address, what its clients meet.
    pub(crate) fn new(
        bound: Bound,
        fronts: &[Arc<Front>],
        connections_max: usize,
        access_log: &AccessLog,
        runtime: Handle,
    ) -> (Self, Signals) {
        let (signaller, signals) = signals();
        let published = Arc::new(Published::new(Table::default()));
        let stop = Stop::default();
        let permits = Arc::new(Semaphore::new(connections_max));
        let (mut mail, mut starts) = (Vec::new(), Vec::new());
        for (index, sockets) in bound.sockets.into_iter().enumerate() {
            let (to_worker, from_plane) = mpsc::channel(MAIL_MAX);
            mail.push(to_worker);
            starts.push(Start {
                index,
                listeners: sockets.into_iter().zip(fronts.iter().cloned()).collect(),
                published: published.clone(),
                permits: permits.clone(),
                access_log: access_log.clone(),
                signaller: signaller.clone(),
                stop: stop.clone(),
                mail: from_plane,
            });
        }
        let plane = Plane::new(published, mail, signaller, runtime);
        (
            Self {
                plane,
                starts,
                stop,
                permits,
                connections_max,
            },
            signals,
        )
    }

    /// Begins to accept. To be called when the table is published.
    pub(crate) fn start(self) -> io::Result<Running> {
        let threads = self
            .starts
            .into_iter()
            .map(worker::start)
            .collect::<io::Result<_>>()?;
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
