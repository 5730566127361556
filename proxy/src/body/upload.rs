//! What a client sends behind a head: octets that were read already, and those that are still to come. An app in HTTP/2
//! says whether it has taken a request up (RFC 9113, 8.7); if not, the octets come back and go elsewhere.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::Taken;

/// So many octets that an app was sent are kept until it answers.
const KEPT_MAX: usize = 64 << 10;
/// A body whose stream was refused comes back at once; waiting longer for it would be waiting for ever.
const BACK_MAX: Duration = Duration::from_secs(1);

/// The body of a request as it comes from the client.
pub(crate) struct Upload {
    /// Come before everything else.
    ahead: VecDeque<Frame<Bytes>>,
    /// None: its end has been seen.
    incoming: Option<Incoming>,
    /// Octets from here to the end, if the client has said how many.
    left: Option<u64>,
}

impl Upload {
    /// None: there is no body.
    pub(crate) fn of(incoming: Incoming) -> Option<Self> {
        let left = incoming.size_hint().exact();
        (!incoming.is_end_stream()).then_some(Self {
            ahead: VecDeque::new(),
            incoming: Some(incoming),
            left,
        })
    }

    fn gave(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            *left = left.saturating_sub(data.len() as u64);
        }
        frame
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(self.gave(frame))));
        }
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(incoming).poll_frame(cx);
        polled.map(|frame| match frame {
            Some(Ok(frame)) => Some(Ok(self.gave(frame))),
            end => end,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// The memory of a body that is under way, for giving it back whole.
pub(super) struct Keeping {
    /// None: it was too much, or it broke.
    taken: Option<VecDeque<Frame<Bytes>>>,
    octets: usize,
    back: oneshot::Sender<Option<Upload>>,
}

/// The body of a request that the app has refused unread.
pub(crate) struct Recovery(oneshot::Receiver<Option<Upload>>);

impl Keeping {
    pub(super) fn new() -> (Self, Recovery) {
        let (back, recovery) = oneshot::channel();
        let keeping = Self {
            taken: Some(VecDeque::new()),
            octets: 0,
            back,
        };
        (keeping, Recovery(recovery))
    }

    /// A frame has left.
    pub(super) fn took(&mut self, frame: &Taken) {
        let copy = match frame {
            Ok(frame) => copy(frame),
            Err(_) => None,
        };
        self.octets += frame
            .as_ref()
            .ok()
            .and_then(|frame| Some(frame.data_ref()?.len()))
            .unwrap_or(0);
        match (&mut self.taken, copy) {
            (Some(taken), Some(copy)) if self.octets <= KEPT_MAX => taken.push_back(copy),
            _ => self.taken = None,
        }
    }

    /// `upload` is the rest, `ahead` came before it.
    pub(super) fn give_back(self, upload: Option<Upload>, ahead: Option<Taken>) {
        let whole = || {
            let (mut frames, mut upload) = (self.taken?, upload?);
            if let Some(ahead) = ahead {
                frames.push_back(ahead.ok()?);
            }
            let octets = frames
                .iter()
                .filter_map(|frame| Some(frame.data_ref()?.len() as u64));
            upload.left = upload.left.map(|left| left + octets.sum::<u64>());
            frames.append(&mut upload.ahead);
            upload.ahead = frames;
            Some(upload)
        };
        // Nobody waits for it if the app has answered.
        let _ = self.back.send(whole());
    }
}

impl Recovery {
    /// None: it cannot be had back.
    pub(crate) async fn body(self) -> Option<Upload> {
        let back = tokio::time::timeout(BACK_MAX, self.0).await;
        back.ok()?.ok()?
    }
}

fn copy(frame: &Frame<Bytes>) -> Option<Frame<Bytes>> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Some(Frame::data(data.clone())),
        (None, Some(trailers)) => Some(Frame::trailers(trailers.clone())),
        (None, None) => None,
    }
}
