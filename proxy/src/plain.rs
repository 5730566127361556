//! A client's socket in the clear. The kernel is told to watch it only when there is something to wait for: who comes with
//! one request has mostly sent it by the time it is let in, and has its answer without that.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// See above.
#[derive(Debug)]
pub(crate) struct Plain(State);

#[derive(Debug)]
enum State {
    /// Nobody has had to wait for it.
    Unwatched {
        stream: std::net::TcpStream,
        /// All that had come by the last look is read.
        drained: bool,
    },
    Watched(TcpStream),
    /// The kernel had no room to watch it.
    Lost,
}

impl Plain {
    /// `socket`: one that does not block.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(State::Unwatched {
            stream: socket.into(),
            drained: false,
        })
    }

    /// The same, to be waited for.
    pub(crate) fn watched(&mut self) -> io::Result<&mut TcpStream> {
        if !matches!(self.0, State::Watched(_)) {
            let this = Self(std::mem::replace(&mut self.0, State::Lost));
            self.0 = State::Watched(this.into_watched()?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(stream),
            State::Unwatched { .. } | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn into_watched(self) -> io::Result<TcpStream> {
        match self.0 {
            State::Unwatched { stream, .. } => TcpStream::from_std(stream),
            State::Watched(stream) => Ok(stream),
            State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// None: it is lost.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            State::Unwatched { stream, .. } => Some(stream.as_fd()),
            State::Watched(stream) => Some(stream.as_fd()),
            State::Lost => None,
        }
    }
}

impl From<TcpStream> for Plain {
    fn from(watched: TcpStream) -> Self {
        Self(State::Watched(watched))
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Unwatched {
            stream,
            drained: drained @ false,
        } = &mut self.0
        {
            let room = buf.initialize_unfilled();
            let asked = room.len();
            match stream.read(room) {
                Err(error) if is_for_later(&error) => {}
                read => {
                    let read = read?;
                    *drained = (1..asked).contains(&read);
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Pin::new(self.watched()?).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let State::Unwatched { stream, .. } = &mut self.0 {
            match stream.write(octets) {
                Err(error) if is_for_later(&error) => {}
                written => return Poll::Ready(written),
            }
        }
        Pin::new(self.watched()?).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let State::Unwatched { stream, .. } = &mut self.0 {
            match stream.write_vectored(slices) {
                Err(error) if is_for_later(&error) => {}
                written => return Poll::Ready(written),
            }
        }
        Pin::new(self.watched()?).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is kept here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The client's end is waited for next.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.watched()?).poll_shutdown(cx)
    }
}

/// Nothing has gone wrong: it cannot be done yet.
fn is_for_later(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::unix::net::UnixStream;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::io::read_some;

    /// Ours, and the client's.
    fn pair() -> (Plain, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Plain::new(ours.into()), theirs)
    }

    fn all_of(stream: Option<UnixStream>) -> Vec<u8> {
        let mut octets = Vec::new();
        stream.unwrap().read_to_end(&mut octets).unwrap();
        octets
    }

    fn is_watched(plain: &Plain) -> bool {
        matches!(plain.0, State::Watched(_))
    }

    #[tokio::test]
    async fn who_has_asked_already_is_answered_without_being_watched() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"asked").unwrap();
        assert_eq!(read_some(&mut ours).await.unwrap(), "asked");
        ours.write_all(b"answered").await.unwrap();
        assert!(!is_watched(&ours));
        let mut answer = [0; 8];
        theirs.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answered");
        drop(ours);
        assert_eq!(theirs.read(&mut answer).unwrap(), 0);
    }

    #[tokio::test]
    async fn who_asks_later_is_waited_for() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"once").unwrap();
        assert_eq!(read_some(&mut ours).await.unwrap(), "once");
        for again in ["more", "and more"] {
            let (read, written) = tokio::join!(read_some(&mut ours), async {
                tokio::task::yield_now().await;
                theirs.write_all(again.as_bytes())
            });
            written.unwrap();
            assert_eq!(read.unwrap(), again);
            assert!(is_watched(&ours));
        }
        drop(theirs);
        assert!(read_some(&mut ours).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_longer_than_the_room_for_it_is_read_whole() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&[7; 5000]).unwrap();
        drop(theirs);
        let mut octets = Vec::new();
        ours.read_to_end(&mut octets).await.unwrap();
        assert_eq!(octets, [7; 5000]);
    }

    #[tokio::test]
    async fn what_does_not_go_out_at_once_goes_out_later() {
        const LENGTH: usize = 4 << 20;
        for vectored in [false, true] {
            let (mut ours, theirs) = pair();
            let (mut theirs, mut reading) = (Some(theirs), None);
            let octets: Vec<u8> = (0..LENGTH).map(|at| at.to_le_bytes()[0]).collect();
            let mut left = &octets[..];
            while !left.is_empty() {
                let (one, other) = left.split_at(left.len() / 2);
                let slices = [io::IoSlice::new(one), io::IoSlice::new(other)];
                let written = poll_fn(|cx| {
                    let ours = Pin::new(&mut ours);
                    let written = match vectored {
                        true => ours.poll_write_vectored(cx, &slices),
                        false => ours.poll_write(cx, left),
                    };
                    if written.is_pending() {
                        let theirs = theirs.take();
                        reading.get_or_insert_with(|| std::thread::spawn(|| all_of(theirs)));
                    }
                    written
                });
                left = &left[written.await.unwrap()..];
            }
            assert!(is_watched(&ours));
            ours.shutdown().await.unwrap();
            assert!(reading.unwrap().join().unwrap() == octets);
        }
    }
}
