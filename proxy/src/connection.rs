//! http: one client's connection, from its first octet to its last. hyper's connection is built only when an octet has
//! come, and taken apart while a request waits at the door: then nothing is kept but the socket, the request's head
//! and the octets already read.

mod conn;
mod deadline;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use holdfast_config::Limits;
use http_body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::body::Upload;
use crate::clock;
use crate::http2;
use crate::io::{Socket, poll_read_some, read_some};
use crate::linger;
use crate::listen::{Accepted, Front};
use crate::lobby::Place;
use crate::peer;
use crate::plain::Plain;
use crate::stop::Stop;
use crate::tls::Secured;
use crate::tunnel::Tunnel;
use crate::way;
use crate::worker::Worker;
use conn::Errand;
pub(crate) use conn::{Conn, Kept, Parked, Resumed};
pub(crate) use deadline::IDLE_STOPPING_MAX;
use deadline::{Deadline, Passed};

/// How hyper's part of a connection ended.
enum Ended {
    /// For good: answered and closed, broken, or idle for too long.
    Over,
    /// The head took too long.
    SlowHead,
    /// There has been no request for a while. With octets that were read ahead there is one now.
    Resting(Bytes),
    Parked(Box<Parked>, Bytes),
    Tunnel(Box<Tunnel>, Bytes),
}

/// Serves one client until its connection ends.
pub(crate) async fn run(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted {
        mut stream,
        front,
        client,
        permit,
    } = accepted;
    let Some(peer) = peer::meet(&mut stream, client, &front).await else {
        return;
    };
    let entered = match read_at_once(&mut stream, &front) {
        Some(first) => Ok(Some((Secured::Plain(stream), first))),
        // Boxed: it is over when a request waits, which would have room for it.
        None => Box::pin(enter(stream, &front)).await,
    };
    let (mut stream, first) = match entered {
        Ok(Some(entered)) => entered,
        Ok(None) => return tracing::debug!(%client, "an ACME authority is answered"),
        // The handshake has told the client what it could be told.
        Err(error) => return tracing::debug!(%client, %error, "no handshake"),
    };
    let conn = Rc::new(Conn::new(worker, front, peer.into()));
    let version = match version_at_once(&stream, first) {
        Ok(version) => Ok(version),
        Err(first) => Box::pin(version(&mut stream, first, &conn)).await,
    };
    let Ok((is_http2, mut read)) = version else {
        return linger::close(stream).await;
    };
    // So many octets of it had been let in before.
    let mut known = 0;
    let mut deadline = None;
    if is_http2 {
        let stream = Box::pin(serve_http2(&conn, stream, read, client)).await;
        return linger::close(stream).await;
    }
    loop {
        let (ended, back) = Box::pin(serve(&conn, stream, read, known, &mut deadline)).await;
        stream = back;
        known = 0;
        match ended {
            Ended::Over => break,
            Ended::SlowHead => {
                let _ = stream.write_all(SLOW_HEAD).await;
                break;
            }
            Ended::Tunnel(tunnel, read) => {
                drop(deadline);
                stream = Box::pin(tunnel.run(stream, read)).await;
                break;
            }
            Ended::Resting(ahead) => {
                read = ahead;
                if read.is_empty() {
                    match Box::pin(rest(&conn, &mut stream, &mut deadline)).await {
                        Some(octets) => read = octets,
                        None => break,
                    }
                }
            }
            Ended::Parked(parked, ahead) => {
                deadline = None;
                let Ok(socket) = stream.tcp() else { break };
                // Boxed: it has a timer, for which other connections have no room.
                match Box::pin(wait(parked, &ahead, socket)).await {
                    Some((resumed, octets)) => {
                        conn.errand.replace(Errand::Resume(Box::new(resumed)));
                        read = octets;
                        known = read.len();
                    }
                    None => return drop(permit),
                }
            }
        }
    }
    if !(stream.is_plain() && conn.is_silent() && !linger::has_unread(&stream)) {
        linger::close(stream).await;
    }
}

const SLOW_HEAD: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\
    Proxy-Status: holdfast; error=http_request_error; details=\"the head took too long\"\r\n\r\n";

/// What a client in the clear has sent already. Most have: nothing is built to wait for it.
fn read_at_once(stream: &mut Plain, front: &Front) -> Option<Bytes> {
    if front.tls.is_some() {
        return None;
    }
    match poll_read_some(stream, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(first)) => Some(first),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

/// The way into the connection: its first octets, or through a handshake. Accepted sockets may never say anything: nothing
/// is built for them until they do. None: a handshake was all that was wanted.
async fn enter(mut stream: Plain, front: &Front) -> io::Result<Option<(Secured, Bytes)>> {
    let Some(tls) = &front.tls else {
        let first = within(front.limits.head, &front.stop, read_some(&mut stream)).await;
        // Without octets it is closed as any other.
        let first = first.unwrap_or_default();
        return Ok(Some((Secured::Plain(stream), first)));
    };
    let stream = stream.into_watched()?;
    if within(front.limits.head, &front.stop, stream.peek(&mut [0]))
        .await
        .is_none()
    {
        linger::close(Secured::Plain(stream.into())).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    // Boxed: other connections have room for it too.
    let secured = Box::pin(tls.secure(stream, front.limits.handshake)).await?;
    Ok(secured.map(|stream| (stream, Bytes::new())))
}

/// What comes in so much time; while the listener stops, in less.
async fn within<T>(
    limit: Duration,
    stop: &Stop,
    coming: impl Future<Output = io::Result<T>>,
) -> Option<T> {
    let mut coming = pin!(coming);
    // Mostly it is there, and nobody has to look at the time.
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(come) = coming.as_mut().poll(&mut cx) {
        return come.ok();
    }
    tokio::select! {
        biased;
        come = tokio::time::timeout(limit, coming) => come.ok()?.ok(),
        () = stop.idle_grace(IDLE_STOPPING_MAX) => None,
    }
}

/// Whether the client speaks HTTP/2, where its first octets say so, as those of most do; else they are given back.
fn version_at_once(stream: &Secured, first: Bytes) -> Result<(bool, Bytes), Bytes> {
    let is_in_clear = stream.agreed_on_http2().is_none();
    if is_in_clear && !first.is_empty() && !may_be_preface(&first) {
        Ok((false, first))
    } else {
        Err(first)
    }
}

fn may_be_preface(octets: &[u8]) -> bool {
    octets.starts_with(&http2::PREFACE[..1])
}

/// Whether the client speaks HTTP/2, agreed on in the handshake or known to it before; and the octets read to find out.
/// An error: it says nothing.
async fn version(stream: &mut Secured, first: Bytes, conn: &Conn) -> io::Result<(bool, Bytes)> {
    let limit = conn.front().limits.head;
    let agreed = stream.agreed_on_http2();
    let first = match agreed {
        Some(true) => return Ok((true, first)),
        // A handshake is no request yet: as above, nothing is built for one who does not ask.
        Some(false) => {
            let first = within(limit, &conn.front().stop, read_some(stream)).await;
            first.unwrap_or_default()
        }
        None => first,
    };
    if first.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if agreed.is_some() || !may_be_preface(&first) {
        return Ok((false, first));
    }
    let mut read = BytesMut::from(first);
    let reading = async {
        while read.len() < http2::PREFACE.len() && http2::PREFACE.starts_with(&read) {
            match read_some(stream).await? {
                some if some.is_empty() => break,
                some => read.extend_from_slice(&some),
            }
        }
        Ok(read.starts_with(http2::PREFACE))
    };
    let is_http2 = tokio::time::timeout(limit, reading).await?;
    is_http2.map(|is_http2| (is_http2, read.freeze()))
}

/// Drives hyper's connection over the socket, and gives the socket back.
async fn serve_http2(conn: &Rc<Conn>, stream: Secured, read: Bytes, client: SocketAddr) -> Secured {
    let socket: Socket = Rc::new(RefCell::new(stream));
    conn.socket.replace(Rc::downgrade(&socket));
    let io = conn.io(&socket, read);
    http2::serve(io, conn, client).await;
    reclaim(socket)
}

/// Waits apart from hyper for the next request; its first octets. None: there will be no other.
async fn rest(
    conn: &Rc<Conn>,
    stream: &mut Secured,
    deadline: &mut Option<Deadline>,
) -> Option<Bytes> {
    match rest_running(conn, stream, deadline).await {
        Rested::Come(octets) => Some(octets).filter(|it| !it.is_empty()),
        // What has come in the last moment is answered.
        Rested::Idle => linger::has_unread(stream).then(Bytes::new),
        Rested::Stopping => rest_stopping(conn, stream).await,
    }
}

/// How a rest ended.
enum Rested {
    Come(Bytes),
    /// It took too long.
    Idle,
    /// The listener stops.
    Stopping,
}

async fn rest_running(
    conn: &Rc<Conn>,
    stream: &mut Secured,
    deadline: &mut Option<Deadline>,
) -> Rested {
    let deadline = deadline.get_or_insert_with(|| Deadline::new(conn));
    let mut place = Place::new(conn.worker.lobby.clone());
    poll_fn(|cx| {
        if place.poll_turn(stream, cx).is_ready() {
            if let Poll::Ready(come) = poll_read_some(stream, cx) {
                return Poll::Ready(Rested::Come(come.unwrap_or_default()));
            }
        } else if place.waits() {
            return Poll::Pending;
        }
        if conn.front().stop.is_stopping() {
            return Poll::Ready(Rested::Stopping);
        }
        deadline.poll_resting(conn, cx).map(|()| Rested::Idle)
    })
    .await
}

async fn rest_stopping(conn: &Conn, stream: &mut Secured) -> Option<Bytes> {
    let idle = conn.front().limits.idle;
    let rested = clock::now().saturating_sub(conn.activity.doing().1);
    let coming = read_some(stream);
    let octets = within(idle.saturating_sub(rested), &conn.front().stop, coming).await;
    match octets {
        Some(octets) if octets.is_empty() => None,
        // What has come in the last moment is answered.
        None => linger::has_unread(stream).then(Bytes::new),
        octets => octets,
    }
}

/// Waits apart from hyper for the app. None: the client has left. Else what the next connection reads first.
async fn wait(parked: Box<Parked>, read: &Bytes, stream: &TcpStream) -> Option<(Resumed, Bytes)> {
    let Parked {
        waiting,
        head,
        body,
        mut kept,
    } = *parked;
    let front = join(head, body, read);
    let since = clock::now();
    let turn = waiting.parked(stream).await?;
    let waited = clock::now().saturating_sub(since);
    kept.account.held(waited);
    kept.held += waited;
    Some((Resumed { turn, kept }, front))
}

/// All octets of a request that have come.
fn join(mut head: BytesMut, mut body: Option<Upload>, read: &Bytes) -> Bytes {
    head.extend_from_slice(&take_read_ahead(&mut body));
    head.extend_from_slice(read);
    head.freeze()
}

/// Drives hyper's connection over the socket, and gives the socket back.
async fn serve(
    conn: &Rc<Conn>,
    stream: Secured,
    read: Bytes,
    known: usize,
    deadline: &mut Option<Deadline>,
) -> (Ended, Secured) {
    let _built = conn.worker.memory.build();
    let socket: Socket = Rc::new(RefCell::new(stream));
    conn.socket.replace(Rc::downgrade(&socket));
    let rules = rules(&conn.front().limits, known);
    let io = conn.io(&socket, read);
    let service = service_fn(|request| way::take(conn.clone(), request));
    let mut hyper = rules.serve_connection(TokioIo::new(io), service);
    let deadline = deadline.get_or_insert_with(|| Deadline::new(conn));
    deadline.wake(conn);
    let outcome = poll_fn(|cx| {
        loop {
            if Pin::new(&mut hyper).poll(cx).is_ready() {
                return Poll::Ready(Outcome::Over);
            }
            match &*conn.errand.borrow() {
                Errand::Park(_) => return Poll::Ready(Outcome::Over),
                Errand::Close => return Poll::Ready(Outcome::Over),
                Errand::None if conn.rests_at_once() => return Poll::Ready(Outcome::Resting),
                Errand::None | Errand::Resume(_) | Errand::Tunnel(_) => {}
            }
            match std::task::ready!(deadline.poll(conn, cx)) {
                Passed::Answer => conn.overdue.set(true),
                Passed::Idle | Passed::Write => return Poll::Ready(Outcome::Over),
                Passed::Rest => return Poll::Ready(Outcome::Resting),
                Passed::Head => return Poll::Ready(Outcome::SlowHead),
            }
        }
    })
    .await;
    let errand = conn.errand.take();
    // hyper's part is large: it is moved only for what it has read, and dropped where it is if nobody wants that.
    let ahead = if outcome.goes_on(&errand) {
        // Not hyper's own buffer, which is much larger than what is left in it.
        Bytes::copy_from_slice(&hyper.into_parts().read_buf)
    } else {
        drop(hyper);
        Bytes::new()
    };
    let ended = match (outcome, errand) {
        (Outcome::SlowHead, _) => Ended::SlowHead,
        (Outcome::Resting, _) => Ended::Resting(ahead),
        (Outcome::Over, Errand::Park(parked)) => Ended::Parked(parked, ahead),
        (Outcome::Over, Errand::Tunnel(tunnel)) => Ended::Tunnel(tunnel, ahead),
        (Outcome::Over, Errand::None | Errand::Resume(_) | Errand::Close) => Ended::Over,
    };
    (ended, reclaim(socket))
}

/// How hyper reads what clients send. `ahead` octets have been let in before, and are not counted again: a head that
/// waited is longer than it was.
pub(crate) fn rules(limits: &Limits, ahead: usize) -> http1::Builder {
    let mut rules = http1::Builder::new();
    rules
        .half_close(true)
        .header_read_timeout(None)
        .max_header_size(limits.head_size + ahead)
        .max_buf_size(UPLOAD_AHEAD_MAX.max(limits.head_size) + ahead);
    if ahead > 0 || limits.fields > FIELDS_USUAL {
        // Room for a few that the policy does not count.
        rules.max_headers(limits.fields + 5);
    }
    rules
}

/// So much of an upload is read at once, and ahead of an app that does not take it.
const UPLOAD_AHEAD_MAX: usize = 64 << 10;

/// For so many fields hyper has room without being asked; for a number that it is told, it allocates with each request.
const FIELDS_USUAL: usize = 100;

enum Outcome {
    Over,
    Resting,
    SlowHead,
}

impl Outcome {
    /// Whether the socket is read from afterwards.
    fn goes_on(&self, errand: &Errand) -> bool {
        match (self, errand) {
            (Self::Resting, _) | (Self::Over, Errand::Park(_) | Errand::Tunnel(_)) => true,
            (Self::Over, Errand::None | Errand::Resume(_) | Errand::Close)
            | (Self::SlowHead, _) => false,
        }
    }
}

/// hyper's connection and its service are gone, and nobody else keeps the socket.
fn reclaim(socket: Socket) -> Secured {
    match Rc::try_unwrap(socket) {
        Ok(stream) => stream.into_inner(),
        Err(_) => unreachable!("the socket outlived hyper's connection"),
    }
}

fn take_read_ahead(body: &mut Option<Upload>) -> Bytes {
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
