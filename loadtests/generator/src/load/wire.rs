//! A client's socket: as fast as it goes, or a few octets at a time; and it can leave with a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A few octets at a time, with pauses between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// At most 16 KiB.
    pub(crate) octets: usize,
    pub(crate) pause: Duration,
}

/// A client's socket.
pub(crate) struct Wire {
    stream: TcpStream,
    reading: Option<Turnstile>,
    writing: Option<Turnstile>,
    /// Whether to reset the connection instead of closing it.
    abrupt: Arc<AtomicBool>,
}

/// Lets a few octets through at a time.
struct Turnstile {
    pace: Pace,
    /// So many more may pass before the next pause.
    left: usize,
    open: Pin<Box<Sleep>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, pace: Option<Pace>, abrupt: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            reading: pace.map(Turnstile::new),
            writing: pace.map(Turnstile::new),
            abrupt,
        }
    }
}

impl Turnstile {
    fn new(pace: Pace) -> Self {
        let open = Box::pin(sleep(Duration::ZERO));
        let left = 0;
        Self { pace, left, open }
    }

    /// How many octets may pass now.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.left == 0 {
            ready!(self.open.as_mut().poll(cx));
            self.left = self.pace.octets;
        }
        Poll::Ready(self.left)
    }

    fn passed(&mut self, octets: usize) {
        self.left = self.left.saturating_sub(octets);
        if self.left == 0 {
            self.open.set(sleep(self.pace.pause));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.abrupt.load(Ordering::Relaxed) {
            // It closes either way; a socket that is gone already needs no reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(turnstile) = &mut this.reading else {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        };
        let most = ready!(turnstile.poll_open(cx));
        let mut octets = [0; 16 << 10];
        let most = most.min(octets.len()).min(buf.remaining());
        let mut few = ReadBuf::new(&mut octets[..most]);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut few))?;
        turnstile.passed(few.filled().len());
        buf.put_slice(few.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(turnstile) = &mut this.writing else {
            return Pin::new(&mut this.stream).poll_write(cx, buf);
        };
        let most = ready!(turnstile.poll_open(cx)).min(buf.len());
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &buf[..most]))?;
        turnstile.passed(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.writing.is_none() {
            return Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[][..], |buf| &**buf))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
