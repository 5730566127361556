//! upstream: a live connection to an instance of *the leased* release. Each worker has its own pool, most recently
//! used first, keyed by the release's uid: a new release at an old address never meets an old connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderMap;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use swap_core::Address;
use swap_gate::Class;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::body::RequestBody;
use crate::clock;
use crate::lease::Lease;
use crate::release::LiveRelease;

/// How long an idle connection is kept, unless the app says less (`Keep-Alive: timeout`). Apps close at 2 s (gunicorn)
/// to 75 s (nginx); a request that meets such a close may be lost if it is not idempotent.
const IDLE_MAX: Duration = Duration::from_millis(1500);
/// A request that may not be sent twice goes only on a connection that was used so lately, or on a fresh one.
const IDLE_MAX_UNSAFE: Duration = Duration::from_secs(1);
/// Idle connections kept for one instance.
const IDLE_PER_INSTANCE_MAX: usize = 1024;
/// So much of an answer is read ahead of a client that does not take it; no head of an answer may be longer.
const ANSWER_AHEAD_MAX: usize = 64 << 10;
/// Unacknowledged octets for so long: the instance has vanished.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// One worker's idle connections.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Key, Vec<Idle>>>,
}

/// A release behind one gate, and an instance of it.
type Key = (u64, usize);

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Duration,
    limit: Duration,
}

/// A connection in use.
pub(crate) struct Checkout {
    pub(crate) sender: SendRequest<RequestBody>,
    /// It has not carried a request before.
    pub(crate) fresh: bool,
    /// It carries one request and is closed.
    pub(crate) once: bool,
    pool: Rc<Pool>,
    key: Key,
    limit: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connect failed: {0}")]
    Failed(io::Error),
    #[error("connect took longer than {0:?}")]
    TimedOut(Duration),
    #[error("handshake failed: {0}")]
    Handshake(hyper::Error),
    #[error("the release is being drained")]
    Draining,
}

impl Pool {
    /// A pooled connection, if one is ready and young enough.
    pub(crate) fn checkout(
        self: &Rc<Self>,
        lease: &Lease,
        instance: usize,
        class: Class,
    ) -> Option<Checkout> {
        let key = (lease.release().uid, instance);
        let now = clock::now();
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&key)?;
        let at = connections
            .iter()
            .rposition(|idle| idle.sender.is_ready())?;
        let age = now.saturating_sub(connections[at].since);
        let max = match class {
            Class::Safe => connections[at].limit,
            Class::Unsafe => connections[at].limit.min(IDLE_MAX_UNSAFE),
        };
        if age > max {
            return None; // And so are all that lie deeper; the sweep takes them.
        }
        let Idle { sender, limit, .. } = connections.remove(at);
        Some(Checkout {
            sender,
            fresh: false,
            once: false,
            pool: self.clone(),
            key,
            limit,
        })
    }

    /// A fresh connection.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        lease: &Lease,
        instance: usize,
        limit: Duration,
        worker: usize,
    ) -> Result<Checkout, ConnectError> {
        let release = lease.release().clone();
        let key = (release.uid, instance);
        let address = &lease.instance(instance).address;
        let connecting = open(address, release, worker);
        let sender = match tokio::time::timeout(limit, connecting).await {
            Ok(sender) => sender?,
            Err(_) => return Err(ConnectError::TimedOut(limit)),
        };
        Ok(Checkout {
            sender,
            fresh: true,
            once: false,
            pool: self.clone(),
            key,
            limit: IDLE_MAX,
        })
    }

    /// Closes all idle connections to this release.
    pub(crate) fn retire(&self, uid: u64) {
        self.idle.borrow_mut().retain(|key, _| key.0 != uid);
    }

    /// Closes what has been idle for too long. To be called now and then.
    pub(crate) fn sweep(&self) {
        let now = clock::now();
        let young =
            |idle: &Idle| now.saturating_sub(idle.since) <= idle.limit && !idle.sender.is_closed();
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain(young);
            !connections.is_empty()
        });
    }
}

impl Checkout {
    /// Learns from an answer's head how long the app keeps connections: `Keep-Alive: timeout=5`. Half of that is
    /// safe, whatever the clocks and the network do.
    pub(crate) fn learn(&mut self, fields: &HeaderMap) {
        let said = fields
            .get("keep-alive")
            .and_then(|value| value.to_str().ok());
        let seconds = said.and_then(|text| {
            let timeout = text
                .split(',')
                .find_map(|part| part.trim().strip_prefix("timeout="))?;
            timeout.parse::<u32>().ok()
        });
        if let Some(seconds) = seconds {
            self.limit = IDLE_MAX.min(Duration::from_secs(u64::from(seconds)) / 2);
        }
    }

    /// The answer has ended as it should.
    pub(crate) fn put_back(self, lease: &Lease) {
        if self.once || self.sender.is_closed() || lease.release().gate.is_closed() {
            return;
        }
        let mut idle = self.pool.idle.borrow_mut();
        let connections = idle.entry(self.key).or_default();
        if connections.len() < IDLE_PER_INSTANCE_MAX {
            connections.push(Idle {
                sender: self.sender,
                since: clock::now(),
                limit: self.limit,
            });
        }
    }
}

async fn open(
    address: &Address,
    release: Arc<LiveRelease>,
    worker: usize,
) -> Result<SendRequest<RequestBody>, ConnectError> {
    let link = Link::enter(release, worker).ok_or(ConnectError::Draining)?;
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address)
                .await
                .map_err(ConnectError::Failed)?;
            let socket = SockRef::from(&stream);
            stream.set_nodelay(true).map_err(ConnectError::Failed)?;
            socket
                .set_tcp_user_timeout(Some(USER_TIMEOUT))
                .map_err(ConnectError::Failed)?;
            handshake(stream, link).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)
                .await
                .map_err(ConnectError::Failed)?;
            handshake(stream, link).await
        }
    }
}

async fn handshake<S>(stream: S, link: Link) -> Result<SendRequest<RequestBody>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = rules()
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ConnectError::Handshake)?;
    tokio::task::spawn_local(async move {
        tokio::select! {
            // Its errors reach whoever waits for an answer on it.
            _ = connection.with_upgrades() => {}
            () = link.0.cut.cancelled() => {}
        }
        drop(link);
    });
    Ok(sender)
}

/// How hyper speaks with apps.
pub(crate) fn rules() -> http1::Builder {
    let mut rules = http1::Builder::new();
    rules.max_headers(256).max_buf_size(ANSWER_AHEAD_MAX);
    rules
}

/// Counts one upstream connection, from before the connect to the close.
struct Link(Arc<LiveRelease>, usize);

impl Link {
    fn enter(release: Arc<LiveRelease>, worker: usize) -> Option<Self> {
        release
            .links
            .try_enter(worker, Class::Safe)
            .then(|| Self(release, worker))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.links.leave(self.1, Class::Safe);
    }
}
