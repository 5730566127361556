//! What a client sends behind a head: octets that were read already, and those that are still to come. An app in HTTP/2
//! says whether it has taken a request up (RFC 9113, 8.7); if not, the octets come back and go elsewhere.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use swap_gate::Room;
use tokio::sync::oneshot;

use super::Taken;

/// So many octets that an app was sent are kept until it answers.
const KEPT_MAX: usize = 64 << 10;
/// So many octets of one request are read while it waits at the door.
const EARLY_MAX: usize = 64 << 10;
/// A body whose stream was refused comes back at once; waiting longer for it would be waiting for ever.
const BACK_MAX: Duration = Duration::from_secs(1);

/// The body of a request as it comes from the client.
pub(crate) struct Upload {
    /// Come before everything else. Boxed, because most have none.
    early: Option<Box<Early>>,
    incoming: Incoming,
    /// Octets from here to the end, if the client has said how many.
    left: Option<u64>,
}

/// What is there already, in this order.
#[derive(Default)]
struct Early {
    frames: VecDeque<Frame<Bytes>>,
    octets: BytesMut,
    /// What came behind the octets and is none itself.
    end: Option<Taken>,
}

impl Early {
    fn next(&mut self) -> Option<Taken> {
        if let Some(frame) = self.frames.pop_front() {
            return Some(Ok(frame));
        }
        if self.octets.is_empty() {
            return self.end.take();
        }
        Some(Ok(Frame::data(self.octets.split().freeze())))
    }

    fn is_over(&self) -> bool {
        self.frames.is_empty() && self.octets.is_empty() && self.end.is_none()
    }
}

impl Upload {
    /// None: there is no body.
    pub(crate) fn of(incoming: Incoming) -> Option<Self> {
        let left = incoming.size_hint().exact();
        (!incoming.is_end_stream()).then_some(Self {
            early: None,
            incoming,
            left,
        })
    }

    /// Reads what comes, as far as `room` goes; never ends. The octets are copied together, because each would else
    /// keep the whole buffer that it came in.
    pub(crate) async fn read_early<C: Copy>(&mut self, room: Room<C>) -> Infallible {
        let early = self.early.get_or_insert_default();
        while early.octets.len() < EARLY_MAX && early.end.is_none() {
            let Some(frame) = self.incoming.frame().await else {
                break;
            };
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => {
                    early.octets.extend_from_slice(&data);
                    if !room.take(data.len()) {
                        break;
                    }
                }
                Ok(Err(trailers)) => early.end = Some(Ok(trailers)),
                Err(error) => early.end = Some(Err(error)),
            }
        }
        std::future::pending().await
    }

    fn gave(&mut self, frame: Taken) -> Taken {
        if let (Some(left), Ok(frame)) = (&mut self.left, &frame) {
            let octets = frame.data_ref().map_or(0, Bytes::len);
            *left = left.saturating_sub(octets as u64);
        }
        frame
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        if let Some(early) = &mut self.early {
            if let Some(frame) = early.next() {
                return Poll::Ready(Some(self.gave(frame)));
            }
            self.early = None;
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        polled.map(|frame| frame.map(|frame| self.gave(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.early.as_ref().is_none_or(|early| early.is_over()) && self.incoming.is_end_stream()
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
            let early = upload.early.get_or_insert_default();
            frames.append(&mut early.frames);
            early.frames = frames;
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
