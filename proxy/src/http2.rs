//! http, in its second version (RFC 9113): one connection, many requests at once, each on the same way as any other.
//!
//! hyper's connection stays whole here: a stream that waits at the door takes its head and what is read early of its
//! body, within the bytes of the hold; the rest stays in a window that it cannot exceed.

mod turns;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::clock;
use crate::connection::Conn;
use crate::keepalive;
use crate::memory::Built;
use crate::tunnel::{FAREWELL_MAX, Tunnel};
use crate::way;
use turns::Turns;

/// What a client with prior knowledge says first (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Octets of a body that a client may send ahead of the app.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Streams that a client has reset and that are not dealt with yet: more is rapid reset (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;
/// Streams that we have reset because of what the client did: more is made-you-reset (CVE-2025-8671).
const LOCAL_RESETS_MAX: usize = 128;
/// A client from which nothing comes is asked after so long, and has so long to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_MAX: Duration = Duration::from_secs(20);
/// A connection is looked at so often within the shorter of its limits, and after so long: whoever vanishes while held is
/// noticed within 15 s.
const LOOKS: u32 = 6;
const LOOK_MAX: Duration = Duration::from_secs(4);

/// Requests of one connection that have not ended.
pub(crate) struct Streams {
    running: Cell<usize>,
    /// Of these, those that are held.
    held: Cell<usize>,
    /// When the last one ended.
    since: Cell<Duration>,
    all: RefCell<Vec<Weak<Conn>>>,
    /// When the next look is whether an answer is overdue. One timer for all: each is over before it is late, almost always.
    look: Cell<Option<Duration>>,
    sooner: Notify,
}

/// One of them. Its drop says that it has ended.
pub(crate) struct Running {
    streams: Rc<Streams>,
    _built: Built,
    /// Its octets both ways, once it is answered as a tunnel (CONNECT).
    upgrade: Cell<Option<OnUpgrade>>,
}

/// One that is held.
pub(crate) struct Held(Rc<Streams>);

/// Why a connection is given up.
enum Over {
    /// There has been no request for too long.
    Idle,
    /// A client takes nothing of an answer. One stream cannot be ended while it is not asked for more, so all are.
    Untaken,
}

impl Streams {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            running: Cell::new(0),
            held: Cell::new(0),
            since: Cell::new(clock::now()),
            all: RefCell::default(),
            look: Cell::new(None),
            sooner: Notify::new(),
        })
    }

    fn begin<B>(self: &Rc<Self>, conn: &Conn, request: &mut Request<B>) -> Rc<Conn> {
        self.running.set(self.running.get() + 1);
        let may_tunnel = request.method() == Method::CONNECT;
        let running = Running {
            streams: self.clone(),
            _built: conn.worker.memory.build(),
            upgrade: Cell::new(may_tunnel.then(|| hyper::upgrade::on(request))),
        };
        let stream = Rc::new(Conn::of_stream(conn, running));
        let mut all = self.all.borrow_mut();
        if all.len() == all.capacity() {
            all.retain(|stream| stream.strong_count() > 0);
        }
        all.push(Rc::downgrade(&stream));
        stream
    }

    /// Does `what`, and tells each stream whose answer is overdue meanwhile.
    async fn in_time<T>(&self, what: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = what => done,
            never = self.keep_time() => match never {},
        }
    }

    async fn keep_time(&self) -> Infallible {
        loop {
            let Some(at) = self.look.get() else {
                self.sooner.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = self.sooner.notified() => {}
                () = tokio::time::sleep_until(clock::instant(at)) => self.look(clock::now()),
            }
        }
    }

    fn look(&self, now: Duration) {
        let streams = self.all.borrow();
        let next = streams
            .iter()
            .filter_map(|stream| stream.upgrade()?.look(now));
        self.look.set(next.min());
    }

    /// Resolves when the connection is to be given up.
    async fn over(&self, conn: &Conn) -> Over {
        let limits = &conn.front().limits;
        let pause = LOOK_MAX.min(limits.idle.min(limits.write) / LOOKS);
        let mut asks_often = false;
        // Many begin at the same moment. They do not go on in step.
        let mut next = pause.mul_f64(fastrand::f64());
        loop {
            tokio::time::sleep(std::mem::replace(&mut next, pause)).await;
            self.ask(conn, &mut asks_often);
            let now = clock::now();
            if self.running.get() == 0 && self.since.get() + limits.idle <= now {
                return Over::Idle;
            }
            let streams = self.all.borrow();
            let untaken = streams
                .iter()
                .filter_map(|stream| stream.upgrade()?.untaken());
            if untaken
                .min()
                .is_some_and(|since| since + limits.write <= now)
            {
                return Over::Untaken;
            }
        }
    }

    /// While a stream is held, the client is asked often whether it is there.
    fn ask(&self, conn: &Conn, often: &mut bool) {
        let holds = self.held.get() > 0;
        if std::mem::replace(often, holds) == holds {
            return;
        }
        conn.with_socket(|socket| match socket.descriptor() {
            Some(client) if holds => keepalive::often(&client),
            Some(client) => keepalive::now_and_then(&client),
            None => {}
        });
    }
}

impl Running {
    /// Something of this stream is overdue then.
    pub(crate) fn expect(&self, at: Duration) {
        let Streams { look, sooner, .. } = &*self.streams;
        if look.get().is_none_or(|look| at < look) {
            look.set(Some(at));
            sooner.notify_one();
        }
    }

    /// Its request is held, until that is dropped.
    pub(crate) fn held(&self) -> Held {
        let held = &self.streams.held;
        held.set(held.get() + 1);
        Held(self.streams.clone())
    }

    /// Copies octets as soon as the answer has opened the stream for them. `conn` is this stream's.
    pub(crate) fn begin_tunnel(&self, tunnel: Tunnel, conn: Rc<Conn>) {
        let Some(upgrade) = self.upgrade.take() else {
            return;
        };
        tokio::task::spawn_local(async move {
            if let Ok(upgraded) = upgrade.await {
                let mut client = tunnel.run(TokioIo::new(upgraded), Bytes::new()).await;
                // END_STREAM, where it has not been said.
                let _ = tokio::time::timeout(FAREWELL_MAX, client.shutdown()).await;
            }
            drop(conn);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Streams { running, since, .. } = &*self.streams;
        running.set(running.get() - 1);
        since.set(clock::lately());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = &self.0.held;
        held.set(held.get() - 1);
    }
}

/// Serves a connection until it ends. When the daemon stops, the client is told at once (GOAWAY) and what runs ends.
pub(crate) async fn serve<S>(io: S, conn: &Conn, client: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let streams = Streams::new();
    let service = service_fn(|mut request| {
        let stream = streams.begin(conn, &mut request);
        way::take(stream, request)
    });
    let limits = conn.front().limits;
    let serving = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX)
        .serve_connection(TokioIo::new(Turns::new(io)), service);
    tokio::pin!(serving);
    let over = async {
        tokio::select! {
            biased;
            () = conn.front().stop.stopped() => Over::Idle,
            over = streams.over(conn) => over,
        }
    };
    let served = async {
        tokio::select! {
            biased;
            ended = serving.as_mut() => Some(ended),
            over = over => match over {
                Over::Untaken => None,
                Over::Idle => {
                    serving.as_mut().graceful_shutdown();
                    Some(serving.await)
                }
            },
        }
    };
    match streams.in_time(served).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%client, %error, "connection ended"),
        None => tracing::debug!(%client, "an answer is not taken"),
    }
}

/// Spawns on the worker's own thread.
#[derive(Clone, Copy)]
struct Local;

impl<F> Executor<F> for Local
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
