//! The ledger app's life: bind, boot, listen, serve, last orders.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use super::answer::Counter;
use super::arguments::{NeverReady, Settings};
use super::book::Book;

/// Connections that wait to be accepted. More than any load has at once.
const BACKLOG: i32 = 8192;
/// After a failed accept (no descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Tells tasks that the app is closing.
#[derive(Clone)]
pub(super) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Returns when the app closes. Cancel-safe.
    pub(super) async fn begun(&mut self) {
        // An error means that the app is gone already.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}

/// Serves until SIGTERM.
pub(super) fn run(settings: Settings) -> io::Result<()> {
    crate::limits::raise_descriptors();
    if settings.until_stdin_ends {
        std::thread::spawn(end_with_stdin);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, live(settings))
}

fn end_with_stdin() {
    let mut octet = [0];
    while io::stdin().read(&mut octet).is_ok_and(|len| len > 0) {}
    std::process::exit(0);
}

async fn live(settings: Settings) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let socket = bound(settings.port)?;
    let address = local_address(&socket)?;
    say("bound", address.port())?;
    tokio::select! {
        () = sleep(settings.boot_delay) => {}
        _ = terminate.recv() => return Ok(()),
    }
    if settings.never_ready == Some(NeverReady::Refuse) {
        terminate.recv().await;
        return Ok(());
    }
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    say("listening", address.port())?;
    serve(listener, settings, terminate).await
}

/// A port that refuses connections, and is ours.
fn bound(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::other("an address that is none of IP"))
}

fn say(what: &str, port: u16) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what} {port}")?;
    out.flush()
}

async fn serve(listener: TcpListener, settings: Settings, mut terminate: Signal) -> io::Result<()> {
    let (close, closing) = watch::channel(false);
    let counter = Rc::new(Counter {
        book: Rc::new(Book::open(&settings.ledger, settings.release)?),
        work: settings.work,
        errors: settings.errors,
        tail: settings.tail,
        up_path: settings.up_path,
        ready: settings.never_ready.is_none(),
        closing: Closing(closing),
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = terminate.recv() => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        match settings.never_ready {
            Some(NeverReady::Hang) => connections.spawn_local(hang(stream)),
            Some(NeverReady::Drip) => connections.spawn_local(drip(stream)),
            Some(NeverReady::Error | NeverReady::Refuse) | None => {
                connections.spawn_local(connection(stream, counter.clone()))
            }
        };
    }
    drop(listener);
    // Nobody listens any more if every connection is gone; that is fine.
    let _ = close.send(true);
    if matches!(
        settings.never_ready,
        Some(NeverReady::Hang | NeverReady::Drip)
    ) {
        return Ok(());
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection. After SIGTERM it finishes the request that runs, if one does, and closes.
async fn connection(stream: TcpStream, counter: Rc<Counter>) {
    let mut closing = counter.closing.clone();
    let answer = |request| {
        let counter = counter.clone();
        async move { counter.answer(request).await }
    };
    let serving = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    tokio::pin!(serving);
    // How a connection ends is told by its requests' ledger lines.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = closing.begun() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn hang(mut stream: TcpStream) {
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

async fn drip(mut stream: TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Padding: ".iter();
    for octet in head.chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*octet]).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}
