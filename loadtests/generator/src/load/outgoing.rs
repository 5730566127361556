//! A request's body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Octets in a chunk of a body whose length is not told; and of one that is large.
const CHUNK: usize = 1500;
const LARGE_CHUNK: usize = 32 << 10;
const LARGE: usize = 1 << 20;

/// A request's body: with its length told, or chunked.
#[derive(Debug)]
pub(crate) struct Outgoing {
    left: Bytes,
    /// Octets in a chunk, if there are chunks.
    chunk: Option<usize>,
}

impl Outgoing {
    pub(crate) fn new(body: Bytes, chunked: bool) -> Self {
        let chunk = if body.len() < LARGE {
            CHUNK
        } else {
            LARGE_CHUNK
        };
        Self {
            left: body,
            chunk: chunked.then_some(chunk),
        }
    }

    pub(crate) fn none() -> Self {
        Self::new(Bytes::new(), false)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let most = self.chunk.unwrap_or(usize::MAX);
        let len = most.min(self.left.len());
        let data = self.left.split_to(len);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.chunk.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.chunk {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.left.len() as u64),
        }
    }
}
