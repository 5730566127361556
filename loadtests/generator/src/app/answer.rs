//! What the ledger app answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::arguments::Tail;
use super::book::{Book, Entry};
use super::serve::Closing;
use super::tunnel;
use crate::payload::{APP_RELEASE, BODY_CHECKSUM, REQUEST_ID, acknowledgement, payload, spell};

/// In how many pieces a body is spread over time.
const PIECES: u32 = 20;
/// The largest body that is made.
const SIZE_MAX: usize = 64 << 20;
/// The longest that an answer is put off or spread.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// The app, as its connections see it.
pub(super) struct Counter {
    pub(super) book: Rc<Book>,
    pub(super) work: Duration,
    /// So many of its answers are 500.
    pub(super) errors: f64,
    pub(super) tail: Option<Tail>,
    pub(super) up_path: String,
    /// Whether it says at `up_path` that it is ready.
    pub(super) ready: bool,
    pub(super) closing: Closing,
}

impl Counter {
    /// Answers one request. It breaks off, like any app, when its body does.
    ///
    /// # Errors
    ///
    /// When the request's body does not come whole.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, hyper::Error> {
        if request.uri().path() == self.up_path {
            return Ok(self.up());
        }
        let entry = self.book.enter(request.method(), request.headers());
        let id = request.headers().get(REQUEST_ID).cloned();
        // The timer makes a whole millisecond of nothing.
        if !self.work.is_zero() {
            sleep(self.work).await;
        }
        if let Some(Tail { share, longer }) = self.tail
            && fastrand::f64() < share
        {
            sleep(longer).await;
        }
        let mut response = match request.uri().path() {
            "/ws" => tunnel::upgrade(request, entry, self.closing.clone()),
            _ => respond(request, entry).await?,
        };
        if fastrand::f64() < self.errors {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.sign(response.headers_mut(), id);
        Ok(response)
    }

    fn up(&self) -> Response<Answer> {
        let mut response = Response::new(Answer::whole("ready\n".into(), None));
        if !self.ready {
            response = Response::new(Answer::whole("never ready\n".into(), None));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.sign(response.headers_mut(), None);
        response
    }

    fn sign(&self, fields: &mut HeaderMap, id: Option<HeaderValue>) {
        if let Ok(release) = HeaderValue::from_str(self.book.release()) {
            fields.insert(APP_RELEASE, release);
        }
        if let Some(id) = id {
            fields.insert(REQUEST_ID, id);
        }
    }
}

/// What is asked for in the query.
struct Wish {
    size: usize,
    pause: Duration,
}

impl Wish {
    fn of(query: Option<&str>) -> Self {
        let number = |name: &str| {
            let pairs = query.unwrap_or_default().split('&');
            let mut values = pairs.filter_map(|pair| pair.split_once('='));
            let found = values.find(|(known, _)| *known == name);
            found.and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let size = number("size").map_or(128, |size| usize::try_from(size).unwrap_or(SIZE_MAX));
        let pause = Duration::from_millis(number("ms").unwrap_or(0));
        Self {
            size: size.min(SIZE_MAX),
            pause: pause.min(PAUSE_MAX),
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    entry: Entry,
) -> Result<Response<Answer>, hyper::Error> {
    let (head, body) = request.into_parts();
    let wish = Wish::of(head.uri.query());
    let received = Received::all_of(body).await?;
    let body = match head.method {
        Method::POST | Method::PUT | Method::PATCH => received.acknowledge(),
        _ => payload(received.seed(&head.headers), wish.size),
    };
    let checksum = spell(crc32fast::hash(&body));
    let answer = match head.uri.path() {
        "/stream" => Answer::spread(body, wish.pause, entry),
        "/slow" => {
            sleep(wish.pause).await;
            Answer::whole(body, Some(entry))
        }
        _ => Answer::whole(body, Some(entry)),
    };
    let mut response = Response::new(answer);
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Ok(checksum) = HeaderValue::try_from(checksum) {
        fields.insert(BODY_CHECKSUM, checksum);
    }
    Ok(response)
}

/// A request's body, of which only length and checksum are kept.
struct Received {
    len: u64,
    checksum: crc32fast::Hasher,
}

impl Received {
    async fn all_of(mut body: Incoming) -> Result<Self, hyper::Error> {
        let mut received = Self {
            len: 0,
            checksum: crc32fast::Hasher::new(),
        };
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                received.len += data.len() as u64;
                received.checksum.update(data);
            }
        }
        Ok(received)
    }

    fn acknowledge(self) -> Bytes {
        acknowledgement(self.len, self.checksum.finalize()).into()
    }

    /// Different answers for different requests, so that mixing them up shows.
    fn seed(self, fields: &HeaderMap) -> u64 {
        let id = fields
            .get(REQUEST_ID)
            .map_or(&b""[..], HeaderValue::as_bytes);
        u64::from(crc32fast::hash(id)) ^ self.len
    }
}

/// The body of an answer. It tells the ledger when its last piece was handed over.
pub(super) struct Answer {
    left: Bytes,
    spread: Option<Spread>,
    entry: Option<Entry>,
}

/// Pieces with time between them.
struct Spread {
    piece: usize,
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl Answer {
    /// All at once.
    pub(super) fn whole(body: Bytes, entry: Option<Entry>) -> Self {
        let mut answer = Self {
            left: body,
            spread: None,
            entry,
        };
        answer.note_end();
        answer
    }

    /// In pieces, the last one `over` from now.
    fn spread(body: Bytes, over: Duration, entry: Entry) -> Self {
        let pause = over / PIECES;
        Self {
            spread: Some(Spread {
                piece: body.len().div_ceil(PIECES as usize).max(1),
                pause,
                next: Box::pin(sleep(pause)),
            }),
            left: body,
            entry: Some(entry),
        }
    }

    fn note_end(&mut self) {
        if self.left.is_empty()
            && let Some(mut entry) = self.entry.take()
        {
            entry.completed();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        let piece = match &mut this.spread {
            None => this.left.len(),
            Some(spread) => {
                ready!(spread.next.as_mut().poll(cx));
                spread.next.set(sleep(spread.pause));
                spread.piece.min(this.left.len())
            }
        };
        let data = this.left.split_to(piece);
        this.note_end();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.spread {
            None => SizeHint::with_exact(self.left.len() as u64),
            Some(_) => SizeHint::default(),
        }
    }
}
