//! A request's body on its way up.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::Taken;
use super::pace::Pace;
use super::upload::{Keeping, Recovery, Upload};
use crate::clock;
use crate::connection::Conn;
use crate::lease::Lease;
use crate::policy;

/// A frame with fewer octets is sent with those behind it, up to so many.
const SMALL: usize = 512;
const GATHERED_MAX: usize = 8 << 10;

/// A request's body on its way to the upstream. Most requests have none, and each is moved a dozen times on its way
/// through hyper: so what there is to know of one is boxed.
pub(crate) struct RequestBody(Option<Box<Uploading>>);

struct Uploading {
    upload: Option<Upload>,
    /// Taken while small frames were gathered, and not one of them.
    ahead: Option<Taken>,
    pace: Pace,
    /// Gone when the last frame has been taken.
    lease: Option<Lease>,
    /// Told of each frame: while a body flows, the app need not answer yet.
    conn: Rc<Conn>,
    /// Where it goes back to if the app has not taken it up.
    keeping: Option<Keeping>,
}

impl RequestBody {
    pub(crate) fn new(upload: Option<Upload>, lease: &Lease, conn: &Rc<Conn>) -> Self {
        let uploading = |upload| {
            Box::new(Uploading {
                upload: Some(upload),
                ahead: None,
                pace: Pace::new(&conn.front().limits),
                lease: Some(lease.clone()),
                conn: conn.clone(),
                keeping: None,
            })
        };
        Self(upload.map(uploading))
    }

    /// The same, with a way to get it back.
    pub(crate) fn recoverable(mut self) -> (Self, Option<Recovery>) {
        let recovery = self.0.as_mut().map(|uploading| {
            let (keeping, recovery) = Keeping::new();
            uploading.keeping = Some(keeping);
            recovery
        });
        (self, recovery)
    }

    /// What was put in, if nothing has been taken.
    pub(crate) fn into_unsent(self) -> Option<Upload> {
        self.0?.upload.take()
    }
}

impl Uploading {
    /// The next frame, a small one together with those that are there already: else each octet of a client could cost the
    /// app a chunk and us a system call.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(ahead));
        }
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(None);
        };
        let first = match ready!(Pin::new(upload).poll_frame(cx)) {
            Some(Ok(first)) => first,
            end => return Poll::Ready(end),
        };
        Poll::Ready(Some(Ok(match first.into_data() {
            Ok(data) if data.len() < SMALL => Frame::data(self.gather(data, cx)),
            Ok(data) => Frame::data(data),
            Err(trailers) => sound(trailers),
        })))
    }

    fn gather(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut gathered = BytesMut::new();
        while let Some(upload) = self.upload.as_mut().filter(|it| !it.is_end_stream())
            && gathered.len() < GATHERED_MAX
            && let Poll::Ready(Some(next)) = Pin::new(upload).poll_frame(cx)
        {
            match next.map(Frame::into_data) {
                Ok(Ok(data)) if gathered.is_empty() => {
                    gathered.extend_from_slice(&first);
                    gathered.extend_from_slice(&data);
                }
                Ok(Ok(data)) => gathered.extend_from_slice(&data),
                Ok(Err(trailers)) => self.ahead = Some(Ok(sound(trailers))),
                Err(error) => self.ahead = Some(Err(error)),
            }
            if self.ahead.is_some() {
                break;
            }
        }
        if gathered.is_empty() {
            first
        } else {
            gathered.freeze()
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        let Poll::Ready(frame) = self.next(cx) else {
            let until = self.pace.waits(clock::now());
            self.conn.upload_waits(until);
            return Poll::Pending;
        };
        let ended = frame.is_none() || self.is_end_stream();
        let octets = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.pace.moved(octets.map_or(0, Bytes::len), clock::now());
        self.conn.upload_moved();
        if matches!(frame, Some(Err(_))) {
            self.conn.upload_broke();
        }
        if let (Some(keeping), Some(frame)) = (&mut self.keeping, &frame) {
            keeping.took(frame);
        }
        if ended {
            self.conn.uploads(false);
            self.lease = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.upload.as_ref().is_none_or(Body::is_end_stream)
    }
}

fn sound(mut trailers: Frame<Bytes>) -> Frame<Bytes> {
    trailers.trailers_mut().map(policy::strip_trailers);
    trailers
}

impl Drop for Uploading {
    fn drop(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.give_back(self.upload.take(), self.ahead.take());
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(uploading) => uploading.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let upload = self.0.as_ref().and_then(|it| it.upload.as_ref());
        upload.map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
