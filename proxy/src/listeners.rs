//! The addresses at which clients are met, as the configuration that is in force has them. Another configuration opens some,
//! closes some, and changes what clients of others meet; the sockets of those stay as they are.

mod change;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use holdfast_config::{Limits, Listen, Network, Settings};
use socket2::Socket;
use tokio::sync::watch;

use crate::activation::Activated;
use crate::handover::{Heir, Listener};
use crate::listen::{self, Front};
use crate::stop::Stop;
use crate::tls::{Expiry, Means, Tls, TlsError};

/// How long those who have begun to connect may take to be there, once nobody else may begin.
const LAST_CALL: Duration = Duration::from_millis(700);

/// Why clients cannot be met.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Failed(SocketAddr, #[source] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the workers have too much to do to listen anywhere else: try again")]
    Busy,
    #[error(
        "a service manager keeps {0} open, where clients would wait for nobody: take it from its socket unit, and restart"
    )]
    Shared(SocketAddr),
}

/// All of them.
pub(crate) struct Listeners {
    now: Mutex<Vec<(Listen, Arc<Open>)>>,
    /// Those that are gone, as long as somebody may still come.
    closing: Mutex<Vec<Weak<Open>>>,
    workers: usize,
    means: Means,
}

/// One of them. It accepts until it stops.
struct Open {
    listener: Listener,
    front: watch::Sender<Arc<Front>>,
    stop: Stop,
}

/// A socket for a worker, and what its clients meet.
pub(crate) struct Inlet {
    pub(crate) socket: Socket,
    pub(crate) front: watch::Receiver<Arc<Front>>,
    pub(crate) stop: Stop,
}

/// What is the same for the clients of all listeners.
#[derive(PartialEq)]
struct Rules<'a> {
    trusted: &'a [Network],
    limits: Limits,
}

impl<'a> Rules<'a> {
    fn of(settings: &'a Settings) -> Self {
        Self {
            trusted: &settings.server.trusted,
            limits: settings.limits,
        }
    }
}

impl Listeners {
    /// Binds every address for every worker, unless the process before this one has. Nobody is accepted yet.
    pub(crate) fn open(
        settings: &Settings,
        workers: usize,
        means: &Means,
        heir: &mut Option<Heir>,
        activated: &mut Activated,
    ) -> Result<Self, ListenError> {
        let this = Self {
            now: Mutex::default(),
            closing: Mutex::default(),
            workers,
            means: means.clone(),
        };
        let rules = Rules::of(settings);
        for listen in &settings.listen {
            let stop = Stop::default();
            let front = this.front(listen, &rules, &stop, None)?;
            let inherited = heir.as_mut().and_then(|heir| heir.listener(listen.address));
            if let Some(inherited) = &inherited {
                let failed = |error| ListenError::Failed(listen.address, error);
                inherited.prepare().map_err(failed)?;
            }
            let inherited = inherited.or_else(|| activated.listener(listen.address));
            let listener = inherited.map_or_else(|| this.bind(listen.address, &[]), Ok)?;
            let open = Open::new(listener, front, stop);
            this.now().push((listen.clone(), Arc::new(open)));
        }
        match heir.as_ref().and_then(Heir::left_open) {
            Some(left) => Err(ListenError::Shared(left)),
            None => Ok(this),
        }
    }

    /// All sockets, for each worker its own.
    pub(crate) fn share_out(&self) -> io::Result<Vec<Vec<Inlet>>> {
        let mut shares: Vec<_> = (0..self.workers).map(|_| Vec::new()).collect();
        for (_, open) in &*self.now() {
            open.share_out(self.workers, |worker, inlet| {
                shares[worker].push(inlet);
            })?;
        }
        Ok(shares)
    }

    /// Where, with the chosen port for a port 0.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let now = self.now();
        now.iter().map(|(_, open)| open.listener.address).collect()
    }

    /// When each certificate ends.
    pub(crate) fn expiries(&self) -> Vec<Expiry> {
        let now = self.now();
        let tls = now.iter().filter_map(|(_, open)| open.tls());
        tls.flat_map(|tls| tls.expiries()).collect()
    }

    /// The same sockets, for another process.
    pub(crate) fn lend(&self) -> io::Result<Vec<Listener>> {
        let now = self.now();
        now.iter().map(|(_, open)| open.listener.lend()).collect()
    }

    /// From now on the kernel takes no new clients for us. Returns when those who had begun to connect are there. Not for
    /// sockets that another process has too.
    pub(crate) async fn last_call(&self) {
        self.now()
            .iter()
            .for_each(|(_, open)| open.listener.turn_away());
        tokio::time::sleep(LAST_CALL).await;
    }

    /// Accepts nobody any more; connections end as their requests do.
    pub(crate) fn stop(&self) {
        let all = std::mem::take(&mut *self.now());
        all.into_iter().for_each(|(_, open)| open.stop.stop());
    }

    fn closing(&self) -> MutexGuard<'_, Vec<Weak<Open>>> {
        let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        closing.retain(|open| open.strong_count() > 0);
        closing
    }

    fn now(&self) -> MutexGuard<'_, Vec<(Listen, Arc<Open>)>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clients meet there. `tls`: what is in use, if that is still what is asked for.
    fn front(
        &self,
        listen: &Listen,
        rules: &Rules<'_>,
        stop: &Stop,
        tls: Option<Arc<Tls>>,
    ) -> Result<Arc<Front>, TlsError> {
        let tls = match (tls, &listen.tls) {
            (None, Some(asked)) => {
                let name = listen.address.to_string();
                Some(Arc::new(Tls::open(asked, name, &self.means)?))
            }
            (tls, _) => tls,
        };
        Ok(Arc::new(Front::new(
            listen,
            tls,
            rules.trusted,
            rules.limits,
            &self.means.challenges,
            stop.clone(),
        )))
    }

    /// `besides`: what has just been bound too.
    fn bind(
        &self,
        asked: SocketAddr,
        besides: &[(Listen, Arc<Open>)],
    ) -> Result<Listener, ListenError> {
        let failed = |error| ListenError::Failed(asked, error);
        let closing: Vec<_> = self.closing().iter().filter_map(Weak::upgrade).collect();
        let now = self.now().clone();
        let ours = now.iter().chain(besides).map(|(_, open)| open);
        // One of our own shares its port with the new one (SO_REUSEPORT): whoever else has it cannot be told.
        let is_ours = ours
            .chain(&closing)
            .any(|open| overlap(open.listener.address, asked));
        if !is_ours && listen::is_taken(asked).map_err(failed)? {
            return Err(ListenError::InUse(asked));
        }
        let (address, sockets) = listen::bind(asked, self.workers).map_err(failed)?;
        Ok(Listener {
            asked,
            address,
            sockets: sockets.into_iter().map(Into::into).collect(),
            shared: false,
        })
    }
}

/// Whether somebody who listens on one is in the way of the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (any || one.ip() == other.ip())
}

impl Open {
    fn new(listener: Listener, front: Arc<Front>, stop: Stop) -> Self {
        Self {
            listener,
            front: watch::Sender::new(front),
            stop,
        }
    }

    fn tls(&self) -> Option<Arc<Tls>> {
        self.front.borrow().tls.clone()
    }

    /// No socket is left without a worker, for its queue would be nobody's; and no worker without a socket.
    fn share_out(&self, workers: usize, mut give: impl FnMut(usize, Inlet)) -> io::Result<()> {
        let sockets = &self.listener.sockets;
        for turn in 0..workers.max(sockets.len()) {
            let inlet = Inlet {
                socket: sockets[turn % sockets.len()].try_clone()?.into(),
                front: self.front.subscribe(),
                stop: self.stop.clone(),
            };
            give(turn % workers, inlet);
        }
        Ok(())
    }

    /// Serves those who had begun to connect, and no others. Connections end as their requests do.
    async fn close(self: Arc<Self>) {
        self.listener.turn_away();
        tokio::time::sleep(LAST_CALL).await;
        self.stop.stop();
    }
}

impl Listener {
    /// Who bound it was perhaps an older program, which told it other options.
    fn prepare(&self) -> io::Result<()> {
        self.sockets.iter().try_for_each(listen::prepare)
    }

    fn lend(&self) -> io::Result<Self> {
        let sockets = self.sockets.iter().map(|socket| socket.try_clone());
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
            ..*self
        })
    }

    /// Nobody else comes. Not where a service manager keeps the queue for the next process.
    fn turn_away(&self) {
        if self.shared {
            return;
        }
        for socket in &self.sockets {
            if let Err(error) = listen::turn_away(socket) {
                tracing::warn!(address = %self.address, %error, "who connects now may be reset");
            }
        }
    }
}
