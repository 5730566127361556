//! The workers together: their threads, and the plane that commands them.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use holdfast_control::Accepting;
use holdfast_control::plane::{Mishaps, Signals, mishaps, signals};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::access_log::AccessLog;
use crate::listeners::Listeners;
use crate::plane::Plane;
use crate::stop::Stop;
use crate::table::{Published, Table};
use crate::worker::{self, Start};

/// Commands that may wait for a worker.
const MAIL_MAX: usize = 64;

/// The data plane, ready: its plane publishes, its workers accept once they are started.
pub(crate) struct Workers {
    pub(crate) plane: Arc<Plane>,
    listeners: Arc<Listeners>,
    starts: Vec<Start>,
    up: Vec<oneshot::Receiver<()>>,
    stop: Stop,
    permits: Arc<Semaphore>,
    connections_max: usize,
}

/// Workers that accept.
pub(crate) struct Running {
    listeners: Arc<Listeners>,
    threads: Vec<JoinHandle<()>>,
    stop: Stop,
    permits: Arc<Semaphore>,
    connections_max: usize,
}

impl Workers {
    /// The runtime that calls it is where drains and releases are waited for.
    pub(crate) fn new(
        listeners: &Arc<Listeners>,
        connections_max: usize,
        access_log: &AccessLog,
        accepting: &Accepting,
    ) -> io::Result<(Self, Signals, Mishaps)> {
        let (signaller, signals) = signals();
        let (teller, mishaps) = mishaps();
        let published = Arc::new(Published::new(Table::default()));
        let stop = Stop::default();
        let permits = Arc::new(Semaphore::new(connections_max));
        let (mut mail, mut starts, mut ups) = (Vec::new(), Vec::new(), Vec::new());
        for (index, inlets) in listeners.share_out()?.into_iter().enumerate() {
            let (to_worker, from_plane) = mpsc::channel(MAIL_MAX);
            mail.push(to_worker);
            let (up, is_up) = oneshot::channel();
            ups.push(is_up);
            starts.push(Start {
                index,
                inlets,
                published: published.clone(),
                permits: permits.clone(),
                access_log: access_log.clone(),
                signaller: signaller.clone(),
                teller: teller.clone(),
                stop: stop.clone(),
                accepting: accepting.clone(),
                mail: from_plane,
                up,
            });
        }
        let plane = Plane::new(published, mail, signaller, Handle::current());
        let this = Self {
            plane,
            listeners: listeners.clone(),
            starts,
            up: ups,
            stop,
            permits,
            connections_max,
        };
        Ok((this, signals, mishaps))
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
            listeners,
            stop,
            permits,
            connections_max,
            ..
        } = self;
        Ok(Running {
            listeners,
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
        self.listeners.stop();
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
