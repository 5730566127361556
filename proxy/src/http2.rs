//! http, in its second version (RFC 9113): one connection, many requests at once, each on the same way as any other.
//!
//! hyper's connection stays whole here: a stream that waits at the door takes little more than its head, and its body
//! stays in a window that it cannot exceed.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock;
use crate::connection::Conn;
use crate::policy;
use crate::way;

/// What a client with prior knowledge says first (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests under way on one connection.
const STREAMS_MAX: u32 = 100;
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
/// A connection without a request is kept for so long.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// Requests of one connection that have not ended.
pub(crate) struct Streams {
    running: Cell<usize>,
    /// When the last one ended.
    since: Cell<Duration>,
}

/// One of them. Its drop says that it has ended.
pub(crate) struct Running(Rc<Streams>);

impl Streams {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            running: Cell::new(0),
            since: Cell::new(clock::now()),
        })
    }

    fn enter(self: &Rc<Self>) -> Running {
        self.running.set(self.running.get() + 1);
        Running(self.clone())
    }

    /// Resolves when there has been none for too long.
    async fn idle(&self) {
        loop {
            let end = self.since.get() + IDLE_MAX;
            if self.running.get() == 0 && end <= clock::now() {
                return;
            }
            let look = end.max(clock::now() + IDLE_MAX / 10);
            tokio::time::sleep_until(clock::instant(look).into()).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Streams { running, since } = &*self.0;
        running.set(running.get() - 1);
        since.set(clock::now());
    }
}

/// Serves a connection until it ends. When the daemon stops, the client is told at once (GOAWAY) and what runs ends.
pub(crate) async fn serve<S>(io: S, conn: &Conn, client: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let streams = Streams::new();
    let service = service_fn(|request| {
        let stream = Rc::new(Conn::of_stream(conn, streams.enter()));
        async { Ok::<_, Infallible>(way::take(stream, request).await) }
    });
    let serving = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .max_header_list_size(policy::HEAD_BYTES_MAX as u32)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = async { tokio::select! {
            () = conn.worker.stop.stopped() => {}
            () = streams.idle() => {}
        } } => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended");
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
