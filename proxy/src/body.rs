//! Bodies on their way through: the lease rides in both, until the last frame, an error, or the drop.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::account::Account;
use crate::clock;
use crate::connection::Conn;
use crate::counters::Loss;
use crate::lease::Lease;
use crate::upstream::Checkout;

/// Within this the next octet of a request's body must come.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A body may be waited for so long in all, and so much longer for each octet that has come: 240 octets a second.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_PER_OCTET: Duration = Duration::from_nanos(1_000_000_000 / 240);

/// A frame with fewer octets is sent with those behind it, up to so many.
const SMALL: usize = 512;
const GATHERED_MAX: usize = 8 << 10;

/// A frame, or why there is none.
type Taken = Result<Frame<Bytes>, hyper::Error>;

/// A request's body on its way to the upstream.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    /// Taken while small frames were gathered, and not one of them.
    ahead: Option<Taken>,
    pace: Pace,
    /// Gone when the last frame has been taken.
    lease: Option<Lease>,
    /// Told of each frame: while a body flows, the app need not answer yet.
    conn: Rc<Conn>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Option<Incoming>, lease: &Lease, conn: &Rc<Conn>) -> Self {
        let lease = incoming.is_some().then(|| lease.clone());
        Self {
            incoming,
            ahead: None,
            pace: Pace::default(),
            lease,
            conn: conn.clone(),
        }
    }

    /// The next frame, a small one together with those that are there already: else each octet of a client could cost the
    /// app a chunk and us a system call.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(ahead));
        }
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let first = match ready!(Pin::new(incoming).poll_frame(cx)) {
            Some(Ok(first)) => first,
            end => return Poll::Ready(end),
        };
        Poll::Ready(Some(Ok(match first.into_data() {
            Ok(data) if data.len() < SMALL => Frame::data(self.gather(data, cx)),
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        })))
    }

    fn gather(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut gathered = BytesMut::new();
        while let Some(incoming) = self.incoming.as_mut().filter(|it| !it.is_end_stream())
            && gathered.len() < GATHERED_MAX
            && let Poll::Ready(Some(next)) = Pin::new(incoming).poll_frame(cx)
        {
            match next.map(Frame::into_data) {
                Ok(Ok(data)) if gathered.is_empty() => {
                    gathered.extend_from_slice(&first);
                    gathered.extend_from_slice(&data);
                }
                Ok(Ok(data)) => gathered.extend_from_slice(&data),
                Ok(Err(trailers)) => self.ahead = Some(Ok(trailers)),
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

    /// What was put in, if nothing has been taken.
    pub(crate) fn into_unsent(self) -> Option<Incoming> {
        self.incoming
    }
}

/// How long a client has been waited for. Time in which the app reads nothing does not count.
#[derive(Default)]
struct Pace {
    octets: u32,
    waited: Duration,
    since: Option<Duration>,
}

impl Pace {
    /// Nothing is there now. Says by when something must be.
    fn waits(&mut self, now: Duration) -> Duration {
        let since = *self.since.get_or_insert(now);
        let allowed = PATIENCE + PATIENCE_PER_OCTET.saturating_mul(self.octets);
        since + allowed.saturating_sub(self.waited).min(PAUSE_MAX)
    }

    fn moved(&mut self, octets: usize, now: Duration) {
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        self.octets = self.octets.saturating_add(octets);
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_sub(since);
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
        if ended {
            self.lease = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// An answer's body on its way to the client.
pub(crate) struct AnswerBody {
    content: Content,
    /// Elsewhere when the answer begins a tunnel.
    account: Option<Account>,
    /// Tells the connection that the answer has ended.
    _done: Done,
}

enum Content {
    /// Ours, whole.
    Own(Option<Bytes>),
    /// The app's. Boxed parts would cost an allocation a request; the size is paid once per connection.
    App {
        incoming: Incoming,
        flight: Option<Flight>,
    },
}

/// What ends with the app's answer.
pub(crate) struct Flight {
    pub(crate) lease: Lease,
    pub(crate) checkout: Checkout,
}

/// Its drop puts the connection back to idle.
pub(crate) struct Done(pub(crate) Rc<Conn>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.answer_ended();
    }
}

impl AnswerBody {
    pub(crate) fn own(content: Bytes, account: Account, conn: Rc<Conn>) -> Self {
        let content = Content::Own((!content.is_empty()).then_some(content));
        Self {
            content,
            account: Some(account),
            _done: Done(conn),
        }
    }

    /// Whether we answer, not the app.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.content, Content::Own(_)) && self.account.is_some()
    }

    /// The empty body of an answer that begins a tunnel.
    pub(crate) fn of_tunnel(conn: Rc<Conn>) -> Self {
        Self {
            content: Content::Own(None),
            account: None,
            _done: Done(conn),
        }
    }

    pub(crate) fn of_app(
        incoming: Incoming,
        flight: Flight,
        account: Account,
        conn: Rc<Conn>,
    ) -> Self {
        let mut flight = Some(flight);
        if incoming.is_end_stream() {
            end(&mut flight);
        }
        let content = Content::App { incoming, flight };
        Self {
            content,
            account: Some(account),
            _done: Done(conn),
        }
    }
}

/// The answer has ended as it should: its connection may serve again, its lease is over.
fn end(flight: &mut Option<Flight>) {
    if let Some(Flight { lease, checkout }) = flight.take() {
        checkout.put_back(&lease);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let (incoming, flight) = match &mut this.content {
            Content::Own(content) => {
                return Poll::Ready(content.take().map(|c| Ok(Frame::data(c))));
            }
            Content::App { incoming, flight } => (incoming, flight),
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(account) = &mut this.account {
                    account.sent(frame.data_ref().map_or(0, Bytes::len));
                }
                if incoming.is_end_stream() {
                    end(flight);
                }
            }
            Some(Err(_)) => {
                let flight = flight.take();
                let cut = flight.as_ref().is_some_and(|flight| flight.lease.is_cut());
                if let Some(account) = this.account.as_ref().filter(|_| !cut) {
                    account.lost(Loss::AnswerCutShort);
                }
            }
            None => end(flight),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(content) => content.is_none(),
            Content::App { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |c| c.len() as u64))
            }
            Content::App { incoming, .. } => incoming.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_client_that_sends_nothing_has_20_s() {
        let mut pace = Pace::default();
        assert_eq!(pace.waits(s(100)), s(120));
        assert_eq!(pace.waits(s(110)), s(120), "however often it is asked");
    }

    #[test]
    fn one_that_has_sent_much_may_pause_for_30_s() {
        let mut pace = Pace::default();
        pace.moved(1 << 20, s(100));
        assert_eq!(pace.waits(s(100)), s(130));
    }

    #[test]
    fn one_that_sends_an_octet_a_second_is_given_up() {
        let mut pace = Pace::default();
        let mut now = s(0);
        while pace.waits(now) > now {
            now += s(1);
            pace.moved(1, now);
            assert!(now < s(60), "it goes on for ever");
        }
        assert!(now >= s(20), "{now:?}");
    }

    #[test]
    fn time_in_which_the_app_reads_nothing_does_not_count() {
        let mut pace = Pace::default();
        pace.moved(240, s(0));
        pace.moved(240, s(1_000));
        assert!(pace.waits(s(2_000)) > s(2_021));
    }
}
