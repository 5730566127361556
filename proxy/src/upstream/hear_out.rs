//! A connection that hears the app out. An app may answer before it has read the body (413, 401) and close, and the system
//! then resets what we still write. Its answer came before that and lies ready, so an error of writing waits until all is
//! read that there is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct HearOut<S> {
    stream: S,
    writing: Writing,
}

enum Writing {
    Works,
    /// The app has reset it. Whoever writes waits for the end of what it said.
    Waits(Waker),
    /// All is read: nothing has to wait.
    Heard,
}

impl<S> HearOut<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            writing: Writing::Works,
        }
    }

    /// The app has said all that it will.
    fn heard(&mut self) {
        if let Writing::Waits(waker) = std::mem::replace(&mut self.writing, Writing::Heard) {
            waker.wake();
        }
    }

    /// What a write comes to.
    fn written(
        &mut self,
        cx: &Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&written, &self.writing) {
            (Poll::Ready(Err(error)), Writing::Works | Writing::Waits(_)) if is_reset(error) => {
                self.writing = Writing::Waits(cx.waker().clone());
                Poll::Pending
            }
            _ => written,
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

impl<S: AsyncRead + Unpin> AsyncRead for HearOut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let is_end = match &read {
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_end {
            self.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HearOut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    /// A connection on which the app has said `no` and then reset it.
    async fn reset() -> HearOut<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let mut stream = HearOut::new(stream.await.unwrap());
        let (mut app, _) = listener.accept().await.unwrap();
        stream.write_all(b"not read").await.unwrap();
        app.write_all(b"no").await.unwrap();
        // What it has not read makes its close a reset.
        app.readable().await.unwrap();
        drop(app);
        stream
    }

    #[tokio::test]
    async fn what_an_app_said_before_its_reset_is_read_and_then_writing_fails() {
        let stream = reset().await;
        let (mut read, mut write) = tokio::io::split(stream);
        let writing = tokio::spawn(async move {
            loop {
                if let Err(error) = write.write_all(&[b'x'; 1000]).await {
                    return error;
                }
            }
        });
        let mut said = [0; 2];
        timeout(LONG, read.read_exact(&mut said))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&said, b"no");
        // A reset, or an end: as the system tells it.
        let end = timeout(LONG, read.read(&mut said)).await.unwrap();
        assert!(!end.is_ok_and(|read| read > 0));
        let error = timeout(LONG, writing).await.unwrap().unwrap();
        assert!(is_reset(&error), "{error}");
    }

    #[tokio::test]
    async fn a_write_that_fails_waits_for_who_reads() {
        let mut stream = reset().await;
        let writing = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, &[b'x'; 1000]));
        // Until the reset has come, writing works.
        let mut writing = Box::pin(writing);
        let early = timeout(Duration::from_millis(300), async {
            while writing.as_mut().await.is_ok() {}
        });
        assert!(early.await.is_err(), "it failed although nobody had read");
    }
}
