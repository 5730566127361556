//! A client's socket as hyper sees it: octets that were read before come first, and what goes through it is noted,
//! so that the connection step knows its deadlines without a timer for each request.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock;
use crate::lobby::{Lobby, Place};
use crate::tls::Secured;

/// So much is copied together and sent with a plain write: `writev` takes the kernel longer than that takes us.
const SMALL: usize = 2048;

/// Writes slices as vectored writes do, small ones in one piece.
pub(crate) fn write_slices<W>(
    io: Pin<&mut W>,
    cx: &mut Context<'_>,
    slices: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>>
where
    W: AsyncWrite,
{
    if let [only] = slices {
        return io.poll_write(cx, only);
    }
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    if total > SMALL {
        return io.poll_write_vectored(cx, slices);
    }
    let mut together = [MaybeUninit::uninit(); SMALL];
    let mut together = ReadBuf::uninit(&mut together);
    for slice in slices {
        together.put_slice(slice);
    }
    io.poll_write(cx, together.filled())
}

/// A plain connection to an app.
pub(crate) struct Direct(pub(crate) TcpStream);

impl AsyncRead for Direct {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Direct {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        write_slices(Pin::new(&mut self.0), cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Shared by the connection step, hyper's connection and a service that watches for the client's leaving.
pub(crate) type Socket = Rc<RefCell<Secured>>;

/// Octets looked for before anything is built that could take them.
const SOME: usize = 2048;

/// Resolves to the next octets that come; none: the other side has ended. While it waits it has no room for them.
pub(crate) async fn read_some<R>(stream: &mut R) -> io::Result<Bytes>
where
    R: AsyncRead + Unpin,
{
    poll_fn(|cx| poll_read_some(stream, cx)).await
}

pub(crate) fn poll_read_some<R>(stream: &mut R, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>
where
    R: AsyncRead + Unpin,
{
    let mut octets = [MaybeUninit::uninit(); SOME];
    let mut octets = ReadBuf::uninit(&mut octets);
    ready!(Pin::new(stream).poll_read(cx, &mut octets))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(octets.filled())))
}

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// No request under way.
    Idle,
    /// Octets of a head have come.
    Head,
    /// A request is being answered.
    Request,
}

/// What the socket's user has done to it lately.
#[derive(Debug)]
pub(crate) struct Activity {
    doing: Cell<Doing>,
    since: Cell<Duration>,
    /// Octets were written and not yet flushed whole.
    unflushed: Cell<bool>,
    /// Since when the other side takes nothing of what is to be written.
    stuck: Cell<Option<Duration>>,
    /// The other side has ended, and all of it is read.
    ended: Cell<bool>,
}

impl Activity {
    pub(crate) fn new(since: Duration) -> Self {
        Self {
            doing: Cell::new(Doing::Idle),
            since: Cell::new(since),
            unflushed: Cell::new(false),
            stuck: Cell::new(None),
            ended: Cell::new(false),
        }
    }

    pub(crate) fn begin(&self, doing: Doing) {
        self.doing.set(doing);
        self.since.set(clock::lately());
    }

    pub(crate) fn doing(&self) -> (Doing, Duration) {
        (self.doing.get(), self.since.get())
    }

    pub(crate) fn stuck(&self) -> Option<Duration> {
        self.stuck.get()
    }

    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        let since = match written {
            Poll::Ready(_) => None,
            Poll::Pending => self.stuck.get().or_else(|| Some(clock::now())),
        };
        self.stuck.set(since);
        written
    }

    /// Whether the client has ended its side.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    pub(crate) fn is_flushed(&self) -> bool {
        !self.unflushed.get()
    }
}

/// The socket with octets in front of it.
pub(crate) struct ClientIo {
    socket: Socket,
    front: Bytes,
    activity: Rc<Activity>,
    /// For the next request.
    place: Place,
}

impl ClientIo {
    pub(crate) fn new(
        socket: Socket,
        front: Bytes,
        activity: Rc<Activity>,
        lobby: Rc<Lobby>,
    ) -> Self {
        Self {
            socket,
            front,
            activity,
            place: Place::new(lobby),
        }
    }

    fn note_read(&self) {
        clock::now();
        if self.activity.doing.get() == Doing::Idle {
            self.activity.begin(Doing::Head);
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.front.has_remaining() {
            let take = self.front.len().min(buf.remaining());
            buf.put_slice(&self.front.split_to(take));
            self.note_read();
            return Poll::Ready(Ok(()));
        }
        let Self {
            socket,
            activity,
            place,
            ..
        } = &mut *self;
        // With TLS the next request may be here already, with nothing more to come from the socket.
        let mut secured = socket.borrow_mut();
        if activity.doing.get() == Doing::Idle && secured.is_plain() {
            ready!(place.poll_turn(&mut secured, cx));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut *secured).poll_read(cx, buf))?;
        drop(secured);
        if buf.filled().len() > before {
            self.note_read();
        } else if buf.remaining() > 0 {
            self.activity.ended.set(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.unflushed.set(true);
        let written = Pin::new(&mut *self.socket.borrow_mut()).poll_write(cx, octets);
        self.activity.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.unflushed.set(true);
        let written = Pin::new(&mut *self.socket.borrow_mut()).poll_write_vectored(cx, slices);
        self.activity.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper comes here only when its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.socket.borrow_mut()).poll_flush(cx);
        // TLS keeps what the socket does not take.
        self.activity.unflushed.set(flushed.is_pending());
        self.activity.wrote(flushed)
    }

    /// How a connection ends is the connection step's business, once it has the socket back.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
