//! Futures driven by hand, and connections that are octets in memory: what hyper reads here, it reads at once and the
//! same each time. Part of each crate that needs it, where it is tested or fuzzed.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};

/// Whatever wakes itself so often does not come to rest.
const POLLS_MAX: usize = 1_000_000;

/// Runs a future until it ends, or until nothing can wake it any more: then there is no result.
pub(crate) fn run<F: Future>(future: F) -> Option<F::Output> {
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(result);
        }
        if !woken.0.swap(false, Ordering::AcqRel) {
            return None;
        }
    }
    panic!("it does not come to rest");
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// One end of a connection: what the other end sends is there already, and what is written is kept.
pub(crate) struct Octets {
    unread: Bytes,
    /// So many come at once.
    piece: usize,
    /// Whether the other end closes behind what it sends, or else stays silent.
    closes: bool,
    written: Written,
}

/// What was written so far.
pub(crate) type Written = Rc<RefCell<Vec<u8>>>;

impl Octets {
    /// From one who sends this, in pieces of this length, and closes.
    pub(crate) fn then_end(octets: &[u8], piece: usize) -> Self {
        Self {
            unread: Bytes::copy_from_slice(octets),
            piece: piece.max(1),
            closes: true,
            written: Written::default(),
        }
    }

    /// From one who never says anything.
    #[allow(dead_code, reason = "not every crate has somebody to send to")]
    pub(crate) fn silent() -> Self {
        Self {
            closes: false,
            ..Self::then_end(b"", 1)
        }
    }

    #[allow(dead_code, reason = "not every crate looks at it")]
    pub(crate) fn written(&self) -> Written {
        self.written.clone()
    }
}

impl Read for Octets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() && !self.closes {
            return Poll::Pending;
        }
        let length = self.unread.len().min(self.piece).min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl Write for Octets {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.borrow_mut().extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
