//! What a request without a body has said on its connection in HTTP/1.1: its head, as text. The connection keeps it for
//! another try, as one copy: of the map of its fields, which is gone once it is said, each would have to be copied.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Room for most heads.
const USUAL: usize = 1 << 10;
/// More room is not kept for the next request.
const ROOM_MAX: usize = 4 << 10;

/// Shared by a connection and whoever has a request on it: one thread, but hyper wants a stream that may go to another.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    /// Whether it is to be kept.
    keeps: bool,
    octets: Vec<u8>,
    /// The stream has taken so many. The others it is offered once more.
    taken: usize,
}

impl Kept {
    /// Another request begins, which is to be kept or not.
    pub(super) fn begin(&self, keeps: bool) {
        let mut said = self.said();
        said.keeps = keeps;
        said.taken = 0;
        said.octets.clear();
        said.octets.shrink_to(ROOM_MAX);
    }

    /// The head that was kept.
    pub(super) fn head(&self) -> Option<Parts> {
        let text = Bytes::copy_from_slice(&self.said().octets);
        let mut head = read(text)?;
        // That was said of this connection.
        head.headers.remove(header::CONNECTION);
        Some(head)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn keep<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>) {
        if self.octets.capacity() == 0 {
            self.octets.reserve(USUAL);
        }
        let mut known = self.octets.len() - self.taken;
        for slice in slices {
            let new = slice.get(known..).unwrap_or_default();
            known = known.saturating_sub(slice.len());
            self.octets.extend_from_slice(new);
        }
    }

    fn write<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        write: impl FnOnce() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !self.keeps {
            return write();
        }
        // Before it is written: what the app may have seen is kept.
        self.keep(slices);
        let written = write();
        if let Poll::Ready(Ok(count)) = written {
            self.taken += count;
        }
        written
    }
}

/// A head as hyper has written it, of parts that were valid.
fn read(mut text: Bytes) -> Option<Parts> {
    let line = line(&mut text)?;
    let method = line.iter().position(|octet| *octet == b' ')?;
    let target = line.iter().rposition(|octet| *octet == b' ')?;
    let mut head = Request::new(()).into_parts().0;
    head.method = Method::from_bytes(&line[..method]).ok()?;
    let target = line.get(method + 1..target).map(|it| line.slice_ref(it))?;
    head.uri = PathAndQuery::from_maybe_shared(target).ok()?.into();
    head.headers = fields(text)?;
    Some(head)
}

fn fields(mut text: Bytes) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    loop {
        let line = line(&mut text)?;
        if line.is_empty() {
            return Some(fields);
        }
        let name = line.iter().position(|octet| *octet == b':')?;
        let value = line.get(name + 2..).map(|it| line.slice_ref(it))?;
        let name = HeaderName::from_bytes(&line[..name]).ok()?;
        fields.append(name, HeaderValue::from_maybe_shared(value).ok()?);
    }
}

/// Up to the next CRLF, which is taken off too.
fn line(text: &mut Bytes) -> Option<Bytes> {
    let end = text.windows(2).position(|end| end == b"\r\n")?;
    let line = text.split_to(end);
    let _ = text.split_to(2);
    Some(line)
}

/// A stream on which it is kept.
pub(super) struct Keeping<S> {
    stream: S,
    kept: Kept,
}

impl<S> Keeping<S> {
    pub(super) fn new(stream: S, kept: Kept) -> Self {
        Self { stream, kept }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Keeping<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Keeping<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, kept } = self.get_mut();
        let write = || Pin::new(stream).poll_write(cx, octets);
        kept.said().write(std::iter::once(octets), write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, kept } = self.get_mut();
        let write = || Pin::new(stream).poll_write_vectored(cx, slices);
        let slices = slices.iter().map(|slice| &**slice);
        kept.said().write(slices, write)
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
    use tokio::io::AsyncWriteExt;
    use tokio::io::duplex;

    use super::*;

    const TEXT: &[u8] = b"GET /a?b=%20c HTTP/1.1\r\nhost: shop.test\r\ncookie: a=1\r\nx-empty: \r\ncookie:  b=2\r\n\
        x-own: \xe9: \xff\r\nconnection: close\r\n\r\n";

    #[test]
    fn a_head_that_was_said_is_the_same_afterwards_but_for_what_it_said_of_its_connection() {
        let kept = Kept::default();
        kept.begin(true);
        let taken = |count| move || Poll::Ready(Ok(count));
        // Bit by bit, as a stream may take it.
        for from in 0..TEXT.len() {
            let (one, other) = TEXT[from..].split_at((TEXT.len() - from) / 2);
            let _ = kept.said().write([one, other].into_iter(), taken(1));
            let _ = kept
                .said()
                .write(std::iter::once(&TEXT[from + 1..]), || Poll::Pending);
        }
        let head = kept.head().unwrap();
        assert_eq!(
            (head.method, head.uri.to_string()),
            (Method::GET, "/a?b=%20c".to_owned())
        );
        let fields: Vec<_> = head.headers.iter().collect();
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let expected: [(&str, &[u8]); 5] = [
            ("host", b"shop.test"),
            ("cookie", b"a=1"),
            ("cookie", b" b=2"),
            ("x-empty", b""),
            ("x-own", b"\xe9: \xff"),
        ];
        assert_eq!(fields.collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn only_what_is_to_be_kept_is_and_only_until_the_next_request() {
        let kept = Kept::default();
        let (ours, _theirs) = duplex(1 << 20);
        let mut stream = Keeping::new(ours, kept.clone());
        kept.begin(true);
        stream.write_all(TEXT).await.unwrap();
        assert!(kept.head().is_some());
        kept.begin(false);
        assert!(kept.head().is_none());
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
        assert!(kept.said().octets.is_empty(), "a body");
        kept.begin(true);
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
        assert!(kept.head().is_none(), "no head");
        kept.begin(true);
        assert!(kept.said().octets.capacity() <= ROOM_MAX);
    }

    #[test]
    fn what_is_no_whole_head_is_none() {
        for len in 0..TEXT.len() {
            assert!(
                read(Bytes::copy_from_slice(&TEXT[..len])).is_none(),
                "{len}"
            );
        }
    }
}
