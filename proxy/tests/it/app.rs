//! An app to put behind the proxy: remembers every request it saw, and can be told to die.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::client::until;

/// One request that reached the app whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) authority: Option<String>,
    pub(crate) fields: http::HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: http::HeaderMap,
}

/// What an app speaks.
#[derive(Clone, Default)]
pub(crate) struct Speaks {
    pub(crate) http2: bool,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// What an app answers by.
#[derive(Clone)]
struct Says {
    name: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    lets_go: watch::Receiver<()>,
}

/// A running app. Dropping it closes its listener and resets its connections.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    lets_go: watch::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl App {
    /// Answers `name` to everything, with status 500 if it is called `bad`; `/only/NAME` with 404 to others; `/slow/MS` after so many milliseconds; `/big/N` with N MiB; `/up` with 200;
    /// `/wait` when it is told to.
    pub(crate) async fn start(name: &'static str) -> Self {
        Self::start_at(name, "127.0.0.1:0".parse().unwrap()).await
    }

    /// The same at an address that was used before.
    pub(crate) async fn start_at(name: &'static str, address: SocketAddr) -> Self {
        Self::start_speaking(name, address, Speaks::default()).await
    }

    /// The same in another protocol.
    pub(crate) async fn start_speaking(
        name: &'static str,
        address: SocketAddr,
        speaks: Speaks,
    ) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        Self::listening(name, socket.listen(1024).unwrap(), speaks)
    }

    /// The same where somebody listens already.
    pub(crate) fn listening(name: &'static str, listener: TcpListener, speaks: Speaks) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let lets_go = watch::Sender::new(());
        let says = Says {
            name,
            seen: seen.clone(),
            connections: connections.clone(),
            lets_go: lets_go.subscribe(),
        };
        let task = tokio::spawn(serve(listener, speaks, says));
        Self {
            address,
            seen,
            connections,
            lets_go,
            task,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// So many were opened, those of probes too.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Waits until so many requests have come to it, probes not counted.
    pub(crate) async fn asked(&self, count: usize) {
        let what = format!("{count} requests at the app");
        until(&what, async || self.targets().len() == count).await;
    }

    /// Those that are no probes.
    pub(crate) fn targets(&self) -> Vec<String> {
        let seen = self.seen();
        seen.into_iter()
            .map(|seen| seen.target)
            .filter(|target| target != "/up")
            .collect()
    }

    /// Answers each `/wait` that is here.
    pub(crate) fn let_go(&self) {
        self.lets_go.send_replace(());
    }

    /// Ends at once, as `kill -9` would: the listener and every connection are gone.
    pub(crate) async fn kill(self) -> SocketAddr {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        self.address
    }
}

/// An app that gives these answers to heads, one a connection, by the number of the connection. It reads no body, and closes.
pub(crate) async fn scripted(answer: impl Fn(usize) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer(number);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                        continue;
                    }
                    return;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, speaks: Speaks, says: Says) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        says.connections.fetch_add(1, SeqCst);
        connections.spawn(connection(stream, speaks.clone(), says.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, Speaks { http2, tls }: Speaks, says: Says) {
    stream.set_nodelay(true).unwrap();
    match tls {
        None => speak(stream, http2, says).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(stream, http2, says).await;
            }
        }
    }
}

async fn speak<S>(stream: S, http2: bool, says: Says)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, says.clone()));
    let io = TokioIo::new(stream);
    let _ = if http2 {
        let builder = server::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service).await
    } else {
        server::http1::Builder::new()
            .max_headers(200)
            .serve_connection(io, service)
            .await
    };
}

async fn answer(
    request: Request<Incoming>,
    mut says: Says,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::new(Full::default()));
    };
    let target = head.uri.path_and_query().unwrap().to_string();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    let content = format!("{} {}", says.name, body.len());
    says.lets_go.mark_unchanged();
    says.seen.lock().unwrap().push(Seen {
        target: target.clone(),
        authority: head.uri.authority().map(ToString::to_string),
        fields: head.headers,
        body,
        trailers,
    });
    if let Some(ms) = target.strip_prefix("/slow/") {
        tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
    }
    if target == "/wait" {
        // An error: the app is gone.
        let _ = says.lets_go.changed().await;
    }
    if let Some(mebibytes) = target.strip_prefix("/big/") {
        let octets = mebibytes.parse::<usize>().unwrap() << 20;
        return Ok(Response::new(Full::from(vec![b'x'; octets])));
    }
    let mut answer = Response::new(Full::from(content));
    if target
        .strip_prefix("/only/")
        .is_some_and(|name| name != says.name)
    {
        *answer.status_mut() = http::StatusCode::NOT_FOUND;
    }
    if says.name == "bad" && target != "/up" {
        *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(answer)
}
