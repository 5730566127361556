//! upstream: a live connection to an instance of *the leased* release. Each worker has its own pool, most recently
//! used first, keyed by the release's uid: a new release at an old address never meets an old connection.

mod hear_out;
mod kept;
mod link;
mod open;
mod returns;

mod shared;
mod translate;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use holdfast_config::Protocol;
use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::Scheme;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use swap_gate::Class;

use crate::body::RequestBody;
use crate::clock;
use crate::lease::Lease;
use kept::Kept;
use link::Link;
#[cfg(any(test, fuzzing))]
pub(crate) use open::rules;
pub(crate) use open::stream;
use returns::Returns;
use shared::{Share, Shares};
#[cfg(any(test, fuzzing, feature = "benching"))]
pub(crate) use translate::to_http1;

/// How long an idle connection is kept, unless the app says less (`Keep-Alive: timeout`). Apps close at 2 s (gunicorn)
/// to 75 s (nginx); a request that meets such a close may be lost if it is not idempotent.
const IDLE_MAX: Duration = Duration::from_millis(1500);
/// A request that may not be sent twice goes only on a connection that was used so lately, or on a fresh one.
const IDLE_MAX_UNSAFE: Duration = Duration::from_secs(1);
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Idle connections kept for one instance.
const IDLE_PER_INSTANCE_MAX: usize = 1024;

/// To one instance a worker opens so many without waiting for one that is in use.
const SEVERAL: u64 = 8;

/// To close one takes the kernel some 20 µs, and the tasks that do it run one after the other.
const CLOSED_AT_ONCE: usize = 4;

/// One worker's connections.
#[derive(Default)]
pub(crate) struct Pool {
    /// In HTTP/1.1: those that carry no request now.
    idle: RefCell<BTreeMap<Key, Vec<Idle>>>,
    /// In HTTP/1.1: who waits for one of them.
    returns: Returns<Idle>,
    /// In HTTP/2: all of them.
    shares: Shares,
}

/// A release behind one gate, and an instance of it.
type Key = (u64, usize);

struct Idle {
    alone: Alone,
    since: Duration,
    limit: Millis,
}

/// How long a connection may be idle, in little room: each request carries one. At most `IDLE_MAX`.
#[derive(Clone, Copy)]
struct Millis(u16);

impl Millis {
    fn of(time: Duration) -> Self {
        Self(time.min(IDLE_MAX).as_millis() as u16)
    }

    fn duration(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

/// A connection in use.
pub(crate) struct Checkout {
    sender: Sender,
    /// It has not carried a request before.
    pub(crate) fresh: bool,
    /// It carries one request and is closed.
    pub(crate) once: bool,
    pool: Rc<Pool>,
    key: Key,
    limit: Millis,
}

/// The head of the answer, or why there is none.
type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// Waits for it. Boxed: it has room for the whole request, in case that this cannot be sent.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Sent>>>;

enum Sender {
    Alone(Alone),
    Shared(Share),
}

/// A connection that is nobody else's while it is in use.
struct Alone {
    sender: SendRequest<RequestBody>,
    kept: Kept,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connect failed: {0}")]
    Failed(#[from] io::Error),
    #[error("connect took longer than {0:?}")]
    TimedOut(Duration),
    #[error("handshake failed: {0}")]
    Handshake(hyper::Error),
    #[error("{0}")]
    Together(Rc<ConnectError>),
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
        if lease.upstream().protocol == Protocol::Http2 {
            let share = self.shares.share(key)?;
            return Some(self.checked_out(Sender::Shared(share), key, false));
        }
        let now = clock::lately();
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&key)?;
        let at = connections
            .iter()
            .rposition(|idle| idle.alone.sender.is_ready())?;
        let age = now.saturating_sub(connections[at].since);
        let max = match class {
            Class::Safe => connections[at].limit.duration(),
            Class::Unsafe => connections[at].limit.duration().min(IDLE_MAX_UNSAFE),
        };
        if age > max {
            return None; // And so are all that lie deeper; the sweep takes them.
        }
        Some(self.taken(connections.remove(at), key))
    }

    /// One that comes back soon, where several are in use (HTTP/1.1).
    pub(crate) async fn come_back(
        self: &Rc<Self>,
        lease: &Lease,
        instance: usize,
        worker: usize,
    ) -> Option<Checkout> {
        let key = (lease.release().uid, instance);
        let in_use = lease.instance(instance).in_flight(worker).read();
        let is_shared = lease.upstream().protocol == Protocol::Http2;
        if in_use <= SEVERAL || is_shared {
            return None;
        }
        let back = self.returns.wait(key).await?;
        Some(self.taken(back, key))
    }

    /// A fresh connection, or a place on one in HTTP/2.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        lease: &Lease,
        instance: usize,
        limit: Duration,
        worker: usize,
    ) -> Result<Checkout, ConnectError> {
        let opening = self.open(lease, instance, worker);
        match tokio::time::timeout(limit, opening).await {
            Ok(sender) => {
                let key = (lease.release().uid, instance);
                Ok(self.checked_out(sender?, key, true))
            }
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    async fn open(
        &self,
        lease: &Lease,
        instance: usize,
        worker: usize,
    ) -> Result<Sender, ConnectError> {
        let key = (lease.release().uid, instance);
        let address = &lease.instance(instance).address;
        let tls = lease.tls();
        let enter = || {
            let link = Link::enter(lease.release().clone(), worker);
            link.ok_or(ConnectError::Draining)
        };
        Ok(match lease.upstream().protocol {
            Protocol::Http1 => Sender::Alone(open::http1(address, tls, enter()?).await?),
            Protocol::Http2 => {
                let open = async || open::http2(address, tls, enter()?).await;
                Sender::Shared(self.shares.share_or_open(key, open).await?)
            }
        })
    }

    fn taken(self: &Rc<Self>, idle: Idle, key: Key) -> Checkout {
        let Idle { alone, limit, .. } = idle;
        let checkout = self.checked_out(Sender::Alone(alone), key, false);
        Checkout { limit, ..checkout }
    }

    fn checked_out(self: &Rc<Self>, sender: Sender, key: Key, fresh: bool) -> Checkout {
        Checkout {
            sender,
            fresh,
            once: false,
            pool: self.clone(),
            key,
            limit: Millis::of(IDLE_MAX),
        }
    }

    /// Closes all idle connections to this release.
    pub(crate) async fn retire(&self, uid: u64) {
        self.shares.retire(uid);
        self.returns.retire(uid);
        close(self.take_idle(|key, _| key.0 == uid)).await;
    }

    /// Closes what has been idle for too long. To be called now and then.
    pub(crate) async fn sweep(&self) {
        let now = clock::now();
        self.shares.sweep();
        let old = |idle: &Idle| {
            now.saturating_sub(idle.since) > idle.limit.duration() || idle.alone.sender.is_closed()
        };
        close(self.take_idle(|_, idle| old(idle))).await;
    }

    /// Nobody else gets them any more.
    fn take_idle(&self, leaves: impl Fn(&Key, &Idle) -> bool) -> Vec<Idle> {
        let mut taken = Vec::new();
        self.idle.borrow_mut().retain(|key, connections| {
            taken.extend(connections.extract_if(.., |idle| leaves(key, idle)));
            !connections.is_empty()
        });
        taken
    }
}

/// A few at a time, so that no request waits for all of them.
async fn close(mut leaving: Vec<Idle>) {
    while !leaving.is_empty() {
        leaving.truncate(leaving.len().saturating_sub(CLOSED_AT_ONCE));
        tokio::task::yield_now().await;
    }
}

impl Checkout {
    /// Sends the request; the future waits for the head of the answer. `kept`: its head may be asked for again.
    /// `trailers`: its client takes them.
    pub(crate) fn send(
        &mut self,
        mut request: Request<RequestBody>,
        lease: &Lease,
        kept: bool,
        trailers: bool,
    ) -> Sending {
        match &mut self.sender {
            Sender::Alone(Alone { sender, kept: head }) => {
                translate::to_http1(&mut request);
                head.begin(kept);
                Box::pin(sender.try_send_request(request))
            }
            Sender::Shared(share) => {
                let scheme = lease.tls().map_or(Scheme::HTTP, |_| Scheme::HTTPS);
                let instance = &lease.instance(self.key.1).address;
                translate::to_http2(&mut request, scheme, instance, trailers);
                Box::pin(share.sender().try_send_request(request))
            }
        }
    }

    /// The head that it has sent last, if that was to be kept. Not where it is shared.
    pub(crate) fn sent(&self) -> Option<Parts> {
        match &self.sender {
            Sender::Alone(alone) => alone.kept.head(),
            Sender::Shared(_) => None,
        }
    }

    /// Whether it is shared with other requests (HTTP/2).
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Shared(_))
    }

    /// Learns from an answer's head how long the app keeps connections: `Keep-Alive: timeout=5`. Half of that is
    /// safe, whatever the clocks and the network do.
    pub(crate) fn learn(&mut self, fields: &HeaderMap) {
        let said = fields.get(KEEP_ALIVE).and_then(|value| value.to_str().ok());
        let seconds = said.and_then(|text| {
            let timeout = text
                .split(',')
                .find_map(|part| part.trim().strip_prefix("timeout="))?;
            timeout.parse::<u32>().ok()
        });
        if let Some(seconds) = seconds {
            self.limit = Millis::of(Duration::from_secs(u64::from(seconds)) / 2);
        }
    }

    /// The answer has ended as it should.
    pub(crate) fn put_back(self, lease: &Lease) {
        let Sender::Alone(alone) = self.sender else {
            return;
        };
        if self.once || alone.sender.is_closed() {
            return;
        }
        let idle = Idle {
            alone,
            since: clock::lately(),
            limit: self.limit,
        };
        // Whoever waits has a lease of its own: a gate that has been closed meanwhile does not matter to it.
        let Some(idle) = self.pool.returns.give(self.key, idle) else {
            return;
        };
        if lease.release().gate.is_closed() {
            return;
        }
        let mut all = self.pool.idle.borrow_mut();
        let connections = all.entry(self.key).or_default();
        if connections.len() < IDLE_PER_INSTANCE_MAX {
            connections.push(idle);
        }
    }
}
