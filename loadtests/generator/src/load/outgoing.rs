//! A request's body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Octets in a chunk of a body whose length is not told.
const CHUNK: usize = 1500;

/// A request's body: with its length told, or chunked.
#[derive(Debug)]
pub(crate) struct Outgoing {
    left: Bytes,
    chunked: bool,
}

impl Outgoing {
    pub(crate) fn new(body: Bytes, chunked: bool) -> Self {
        Self {
            left: body,
            chunked,
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
        let most = if self.chunked { CHUNK } else { usize::MAX };
        let len = most.min(self.left.len());
        let data = self.left.split_to(len);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.chunked
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.left.len() as u64)
        }
    }
}
