//! http: one client's connection, from its first octet to its last. hyper's connection is built only when an octet has
//! come, and taken apart while a request waits at the door: then nothing is kept but the socket, the request's head
//! and the octets already read.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use swap_core::Cause;
use swap_gate::Turn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::account::Account;
use crate::clock;
use crate::door::Ticket;
use crate::exchange::Exchange;
use crate::http2;
use crate::io::{Activity, ClientIo, Doing, Socket};
use crate::linger;
use crate::listen::{Accepted, Front};
use crate::policy;
use crate::tls::Secured;
use crate::tunnel::Tunnel;
use crate::watch;
use crate::way;
use crate::worker::Worker;

/// The first octet, and a whole head from its first octet on, must come within this.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// A connection without a request is kept for so long.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// The same while the daemon stops: clients that are about to write get their answer.
const IDLE_STOPPING_MAX: Duration = Duration::from_secs(5);

/// What the requests of one connection share.
pub(crate) struct Conn {
    pub(crate) worker: Rc<Worker>,
    client: SocketAddr,
    activity: Rc<Activity>,
    socket: RefCell<Weak<RefCell<Secured>>>,
    front: Arc<Front>,
    /// When the app's answer is overdue, and how long it may take.
    due: Cell<Option<Due>>,
    errand: RefCell<Errand>,
    overdue: Cell<bool>,
    upload_broke: Cell<bool>,
    /// One request of many on its connection (HTTP/2).
    stream: Option<http2::Running>,
}

/// What a request asks its connection to do with itself, or the connection hands to its next request.
#[derive(Default)]
enum Errand {
    #[default]
    None,
    Park(Parked),
    Resume(Resumed),
    Tunnel(Tunnel),
    Close,
}

/// When something is overdue, and how long it may take from its last sign of life.
#[derive(Clone, Copy)]
struct Due {
    at: Duration,
    allowed: Duration,
}

/// A request that waits apart from hyper's connection.
pub(crate) struct Parked {
    ticket: Ticket,
    /// As text, to be parsed once more.
    head: BytesMut,
    /// Holds what hyper has read ahead of the body.
    body: Option<Incoming>,
    received: Duration,
    held: Duration,
    sent: u32,
    account: Account,
}

/// The same request when its wait is over.
pub(crate) struct Resumed {
    pub(crate) turn: Turn<Cause>,
    pub(crate) received: Duration,
    pub(crate) held: Duration,
    pub(crate) sent: u32,
    pub(crate) account: Account,
}

impl Parked {
    pub(crate) fn new(ticket: Ticket, exchange: &mut Exchange, account: Account) -> Self {
        let head = exchange.serialize_head();
        let body = exchange.take().1;
        let Exchange {
            received,
            held,
            sent,
            ..
        } = *exchange;
        Self {
            ticket,
            head,
            body,
            received,
            held,
            sent,
            account,
        }
    }
}

impl Conn {
    fn new(worker: Rc<Worker>, front: Arc<Front>, client: SocketAddr) -> Self {
        Self {
            worker,
            front,
            client,
            activity: Rc::new(Activity::new()),
            socket: RefCell::default(),
            due: Cell::new(None),
            overdue: Cell::new(false),
            upload_broke: Cell::new(false),
            stream: None,
            errand: RefCell::default(),
        }
    }

    /// For one request of many on the connection `of`.
    pub(crate) fn of_stream(of: &Self, client: SocketAddr, stream: http2::Running) -> Self {
        Self {
            stream: Some(stream),
            ..Self::new(of.worker.clone(), of.front.clone(), client)
        }
    }

    /// Whether there is one request at a time on this connection, which ends with it where that is asked for (HTTP/1).
    pub(crate) fn is_http1(&self) -> bool {
        self.stream.is_none()
    }

    /// The client's address.
    pub(crate) fn client(&self) -> IpAddr {
        self.client.ip()
    }

    /// What all clients of its listener meet.
    pub(crate) fn front(&self) -> &Front {
        &self.front
    }

    /// A request has come; says when.
    pub(crate) fn request_began(&self) -> Duration {
        self.activity.begin(Doing::Request);
        self.activity.doing().1
    }

    pub(crate) fn answer_ended(&self) {
        self.activity.begin(Doing::Idle);
    }

    /// Whether it can be taken apart: it is all this request's, and everything written so far has left hyper's buffer.
    pub(crate) fn can_park(&self) -> bool {
        self.is_http1() && self.activity.is_flushed()
    }

    /// The head of the app's answer must come within `allowed`, counted from the last octet of the upload.
    pub(crate) fn await_answer(&self, allowed: Duration) {
        self.due.set(Some(Due {
            at: clock::now() + allowed,
            allowed,
        }));
        self.overdue.set(false);
    }

    pub(crate) fn stop_waiting(&self) {
        self.due.set(None);
    }

    pub(crate) fn upload_moved(&self) {
        if let Some(Due { allowed, .. }) = self.due.get() {
            self.due.set(Some(Due {
                at: clock::now() + allowed,
                allowed,
            }));
        }
    }

    /// The client's body has ended in the middle, or is not framed as HTTP asks.
    pub(crate) fn upload_broke(&self) {
        self.upload_broke.set(true);
    }

    /// Whether it has. Nothing comes after that on this connection.
    pub(crate) fn is_upload_broken(&self) -> bool {
        self.upload_broke.get()
    }

    /// Resolves when the answer is overdue. For HTTP/1 the connection step keeps the time and polls us then.
    pub(crate) async fn overdue(&self) {
        while let (Some(Due { at, .. }), false) = (self.due.get(), self.is_http1()) {
            if at <= clock::now() {
                return;
            }
            tokio::time::sleep_until(clock::instant(at).into()).await;
        }
        poll_fn(|_| {
            if self.overdue.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Asks the connection step to take hyper's connection apart and wait.
    pub(crate) fn park(&self, parked: Parked) {
        self.errand.replace(Errand::Park(parked));
    }

    /// Asks the connection step to copy octets once the answer at hand is written.
    pub(crate) fn begin_tunnel(&self, tunnel: Tunnel) {
        self.errand.replace(Errand::Tunnel(tunnel));
    }

    /// Tells the connection step that nobody waits for the answer any more.
    pub(crate) fn client_left(&self) {
        self.errand.replace(Errand::Close);
    }

    /// What this request was before it waited, if it did.
    pub(crate) fn take_resumed(&self) -> Option<Resumed> {
        match self.errand.take() {
            Errand::Resume(resumed) => Some(resumed),
            Errand::None | Errand::Park(_) | Errand::Tunnel(_) | Errand::Close => None,
        }
    }

    /// Lets `look` have the client's socket, if it is with hyper now.
    pub(crate) fn with_socket<R>(&self, look: impl FnOnce(&TcpStream) -> R) -> Option<R> {
        let socket = self.socket.borrow().upgrade()?;
        let stream = socket.borrow();
        Some(look(stream.tcp()))
    }
}

/// How hyper's part of a connection ended.
enum Ended {
    /// For good: answered and closed, broken, or idle for too long.
    Over,
    /// The head took too long.
    SlowHead,
    Parked(Parked, Bytes),
    Tunnel(Tunnel, Bytes),
}

/// Serves one client until its connection ends.
pub(crate) async fn run(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted {
        stream,
        front,
        client,
        permit,
    } = accepted;
    let Some(octet) = first_octet(&stream, &worker).await else {
        return linger::close(Secured::Plain(stream)).await;
    };
    let mut stream = match front.secure(stream).await {
        Ok(stream) => stream,
        // The handshake has told the client what it could be told.
        Err(error) => return tracing::debug!(%client, %error, "no handshake"),
    };
    let conn = Rc::new(Conn::new(worker, front, client));
    let (is_http2, mut read) = match version(&mut stream, octet).await {
        Ok(version) => version,
        Err(_) => return linger::close(stream).await,
    };
    if is_http2 {
        let stream = Box::pin(serve_http2(&conn, stream, read, client)).await;
        return linger::close(stream).await;
    }
    loop {
        let (ended, back) = Box::pin(serve(&conn, stream, read)).await;
        stream = back;
        match ended {
            Ended::Over => break,
            Ended::SlowHead => {
                let _ = stream.write_all(SLOW_HEAD).await;
                break;
            }
            Ended::Tunnel(tunnel, read) => {
                Box::pin(tunnel.run(stream, read)).await;
                return drop(permit);
            }
            Ended::Parked(parked, ahead) => match wait(parked, &ahead, stream.tcp()).await {
                Some((resumed, octets)) => {
                    conn.errand.replace(Errand::Resume(resumed));
                    read = octets;
                }
                None => return drop(permit),
            },
        }
    }
    linger::close(stream).await;
}

const SLOW_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\
    Proxy-Status: holdfast; error=http_request_error; details=\"the head took longer than 10 s\"\r\n\r\n";

/// Accepted sockets may never say anything: nothing is built for them until they do.
async fn first_octet(stream: &TcpStream, worker: &Worker) -> Option<u8> {
    let mut octet = [0];
    let octets = tokio::select! {
        seen = tokio::time::timeout(HEAD_MAX, stream.peek(&mut octet)) => seen.ok()?.ok()?,
        () = worker.stop.idle_grace(IDLE_STOPPING_MAX) => 0,
    };
    (octets > 0).then_some(octet[0])
}

/// Whether the client speaks HTTP/2, agreed on in the handshake or known to it before; and the octets read to find out.
/// `first` is the first octet, if the connection is plain.
async fn version(stream: &mut Secured, first: u8) -> std::io::Result<(bool, Bytes)> {
    if let Some(agreed) = stream.agreed_on_http2() {
        return Ok((agreed, Bytes::new()));
    }
    if first != http2::PREFACE[0] {
        return Ok((false, Bytes::new()));
    }
    let mut read = BytesMut::with_capacity(http2::PREFACE.len());
    let reading = async {
        let mut octets = [0; http2::PREFACE.len()];
        while read.len() < octets.len() && http2::PREFACE.starts_with(&read) {
            let most = octets.len() - read.len();
            match stream.read(&mut octets[..most]).await? {
                0 => break,
                len => read.extend_from_slice(&octets[..len]),
            }
        }
        Ok(http2::PREFACE == read)
    };
    let is_http2 = tokio::time::timeout(HEAD_MAX, reading).await?;
    is_http2.map(|is_http2| (is_http2, read.freeze()))
}

/// Drives hyper's connection over the socket, and gives the socket back.
async fn serve_http2(conn: &Rc<Conn>, stream: Secured, read: Bytes, client: SocketAddr) -> Secured {
    let socket: Socket = Rc::new(RefCell::new(stream));
    let io = ClientIo::new(socket.clone(), read, conn.activity.clone());
    http2::serve(io, conn, client).await;
    reclaim(socket)
}

/// Waits apart from hyper. None: the client has left. Else what the next connection reads first.
async fn wait(parked: Parked, read: &Bytes, stream: &TcpStream) -> Option<(Resumed, Bytes)> {
    let Parked {
        ticket,
        mut head,
        mut body,
        received,
        held,
        sent,
        mut account,
    } = parked;
    head.extend_from_slice(&take_read_ahead(&mut body));
    head.extend_from_slice(read);
    let front = head.freeze();
    let since = clock::now();
    let turn = watch::parked(ticket, stream).await?;
    let waited = clock::now().saturating_sub(since);
    account.held(waited);
    Some((
        Resumed {
            turn,
            received,
            held: held + waited,
            sent,
            account,
        },
        front,
    ))
}

/// Drives hyper's connection over the socket, and gives the socket back.
async fn serve(conn: &Rc<Conn>, stream: Secured, read: Bytes) -> (Ended, Secured) {
    let socket: Socket = Rc::new(RefCell::new(stream));
    conn.socket.replace(Rc::downgrade(&socket));
    let io = ClientIo::new(socket.clone(), read, conn.activity.clone());
    let service = service_fn(|request| {
        let answering = way::take(conn.clone(), request);
        async { Ok::<_, Infallible>(answering.await) }
    });
    let mut hyper = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(policy::FIELDS_MAX + 1)
        .max_buf_size(policy::HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut deadline = Deadline::new(conn);
    let outcome = poll_fn(|cx| {
        loop {
            if Pin::new(&mut hyper).poll(cx).is_ready() {
                return Poll::Ready(Outcome::Over);
            }
            match &*conn.errand.borrow() {
                Errand::Park(_) => return Poll::Ready(Outcome::Over),
                Errand::Close => return Poll::Ready(Outcome::Over),
                Errand::None | Errand::Resume(_) | Errand::Tunnel(_) => {}
            }
            match std::task::ready!(deadline.poll(conn, cx)) {
                Passed::Answer => conn.overdue.set(true),
                Passed::Idle => return Poll::Ready(Outcome::Over),
                Passed::Head => return Poll::Ready(Outcome::SlowHead),
            }
        }
    })
    .await;
    let parts = hyper.into_parts();
    drop((parts.io, parts.service));
    let ended = match (outcome, conn.errand.take()) {
        (Outcome::SlowHead, _) => Ended::SlowHead,
        (Outcome::Over, Errand::Park(parked)) => Ended::Parked(parked, parts.read_buf),
        (Outcome::Over, Errand::Tunnel(tunnel)) => Ended::Tunnel(tunnel, parts.read_buf),
        (Outcome::Over, Errand::None | Errand::Resume(_) | Errand::Close) => Ended::Over,
    };
    (ended, reclaim(socket))
}

enum Outcome {
    Over,
    SlowHead,
}

/// hyper's connection and its service are gone, and nobody else keeps the socket.
fn reclaim(socket: Socket) -> Secured {
    match Rc::try_unwrap(socket) {
        Ok(stream) => stream.into_inner(),
        Err(_) => unreachable!("the socket outlived hyper's connection"),
    }
}

fn take_read_ahead(body: &mut Option<Incoming>) -> Bytes {
    let mut octets = BytesMut::new();
    let mut cx = Context::from_waker(Waker::noop());
    if let Some(body) = body {
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut cx) {
            if let Ok(data) = frame.into_data() {
                octets.extend_from_slice(&data);
            }
        }
    }
    octets.freeze()
}

/// Which deadline has passed.
enum Passed {
    Answer,
    Head,
    Idle,
}

/// One timer for a connection. It looks every 10 s, which is how long a head may take: a head that began after the
/// last look cannot be late before the next. So no request ever touches the timer, unless its app's limit is shorter.
struct Deadline {
    timer: Pin<Box<Sleep>>,
    stopping: Pin<Box<dyn Future<Output = ()>>>,
    armed: bool,
    /// The first look after the daemon was told to stop has been.
    hurried: bool,
}

impl Deadline {
    fn new(conn: &Rc<Conn>) -> Self {
        let timer = Box::pin(tokio::time::sleep(HEAD_MAX));
        let stop = conn.worker.stop.clone();
        let stopping = Box::pin(async move { stop.stopped().await });
        Self {
            timer,
            stopping,
            armed: false,
            hurried: false,
        }
    }

    fn poll(&mut self, conn: &Conn, cx: &mut Context<'_>) -> Poll<Passed> {
        if !self.armed {
            self.armed = true;
            let _ = self.stopping.as_mut().poll(cx);
        }
        if conn.worker.stop.is_stopping() && !std::mem::replace(&mut self.hurried, true) {
            self.timer.as_mut().reset(Instant::now());
        }
        if let Some(Due { at, .. }) = conn.due.get() {
            let at = Instant::from_std(clock::instant(at));
            if at < self.timer.deadline() {
                self.timer.as_mut().reset(at);
            }
        }
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let now = clock::now();
            match look(conn, now) {
                Ok(passed) => {
                    self.rearm(now + HEAD_MAX);
                    return Poll::Ready(passed);
                }
                Err(next) => self.rearm(next),
            }
        }
    }

    fn rearm(&mut self, at: Duration) {
        self.timer
            .as_mut()
            .reset(Instant::from_std(clock::instant(at)));
    }
}

/// What is late, or when to look again.
fn look(conn: &Conn, now: Duration) -> Result<Passed, Duration> {
    let (doing, since) = conn.activity.doing();
    let next = now + HEAD_MAX;
    let (passed, at) = match doing {
        Doing::Head => (Passed::Head, since + HEAD_MAX),
        Doing::Idle => (
            Passed::Idle,
            since + conn.worker.stop.shorten(IDLE_MAX, IDLE_STOPPING_MAX),
        ),
        Doing::Request => match conn.due.get() {
            Some(Due { at, .. }) if !conn.overdue.get() => (Passed::Answer, at),
            _ => return Err(next),
        },
    };
    let unread = || conn.with_socket(linger::has_unread).unwrap_or(false);
    match passed {
        _ if now < at => Err(at.min(next)),
        Passed::Idle if unread() => Err(next),
        passed => Ok(passed),
    }
}
