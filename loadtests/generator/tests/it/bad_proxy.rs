//! A little proxy that does one thing wrong.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::time::{Sleep, sleep};

/// What it does wrong, every tenth time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Sends a request twice.
    Twice,
    /// Ends the connection instead of answering.
    NoAnswer,
    /// Breaks off in the middle of an answer.
    HalfAnAnswer,
    /// Changes an octet of the answer.
    ChangedAnswer,
    /// Changes an octet of the request.
    ChangedRequest,
    /// Gives the answer that somebody else got before.
    AnothersAnswer,
    /// Answers itself and does not say so.
    Unsigned,
    /// Answers itself and says so.
    Signed,
    /// Sends it on and then claims that the hold was full.
    RefusesWhatItSent,
    /// Answers from memory, in the app's name.
    Forged,
    /// Never answers.
    Silent,
    /// Closes a connection that has been idle for 20 ms.
    ClosesIdle,
    /// Holds all requests at first, and then sends them on in order: that is no fault.
    Holds,
    /// The same, last come first served.
    HoldsBackwards,
}

/// How long it holds.
const HOLD: Duration = Duration::from_millis(400);

pub(crate) struct BadProxy {
    fault: Fault,
    app: SocketAddr,
    count: AtomicU64,
    last: Mutex<Option<Response<Bytes>>>,
    /// Those who wait, while there is a hold.
    held: Mutex<Option<Vec<oneshot::Sender<()>>>>,
    /// The first of them has come.
    came: Notify,
}

pub(crate) type Answer = Response<BoxBody<Bytes, Broken>>;

#[derive(Debug, thiserror::Error)]
#[error("on purpose")]
pub(crate) struct Broken;

impl Fault {
    fn holds(self) -> bool {
        matches!(self, Self::Holds | Self::HoldsBackwards)
    }
}

impl BadProxy {
    /// Starts it before this app, and says where it listens.
    pub(crate) async fn start(fault: Fault, app: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Arc::new(Self {
            fault,
            app,
            count: AtomicU64::new(0),
            last: Mutex::default(),
            held: Mutex::new(fault.holds().then(Vec::new)),
            came: Notify::new(),
        });
        tokio::spawn(proxy.clone().release());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(proxy.clone().serve(stream));
            }
        });
        address
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let used = Arc::new(Notify::new());
        let answer = |request| {
            let (proxy, used) = (self.clone(), used.clone());
            async move {
                let answer = proxy.answer(request).await;
                used.notify_one();
                answer
            }
        };
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        let idle = async {
            used.notified().await;
            let idle = Duration::from_millis(20);
            while tokio::time::timeout(idle, used.notified()).await.is_ok() {}
        };
        tokio::select! {
            _ = serving => {}
            () = idle, if self.fault == Fault::ClosesIdle => {}
        }
    }

    /// Ends the hold, a while after the first request.
    async fn release(self: Arc<Self>) {
        self.came.notified().await;
        sleep(HOLD).await;
        let mut held = self.held.lock().await.take().unwrap_or_default();
        if self.fault == Fault::HoldsBackwards {
            held.reverse();
        }
        for request in held {
            let _ = request.send(());
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits for the end of the hold, if there is one, and says so to the app.
    async fn wait(&self, fields: &mut HeaderMap) {
        let began = Instant::now();
        let turn = {
            let mut held = self.held.lock().await;
            let Some(held) = &mut *held else { return };
            let (release, turn) = oneshot::channel();
            held.push(release);
            self.came.notify_one();
            turn
        };
        let _ = turn.await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap();
        fields.insert("x-held-ms", ms.into());
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Broken> {
        let (mut head, body) = request.into_parts();
        self.wait(&mut head.headers).await;
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let wrong = self.count.fetch_add(1, Ordering::Relaxed) % 10 == 9;
        let fault = if wrong { self.fault } else { Fault::None };
        let mut body = body;
        match fault {
            Fault::NoAnswer => return Err(Broken),
            Fault::Silent => return std::future::pending().await,
            Fault::Unsigned => return Ok(own(StatusCode::BAD_GATEWAY, None)),
            Fault::Signed => return Ok(hold_full()),
            Fault::ChangedRequest => body = changed(&body),
            Fault::AnothersAnswer => {
                let last = self.last.lock().await.clone();
                return Ok(whole(last.ok_or(Broken)?));
            }
            Fault::Forged => {
                let last = self.last.lock().await.clone().ok_or(Broken)?;
                return Ok(forged(&head, last));
            }
            Fault::Twice => {
                forward(self.app, &head, body.clone()).await?;
            }
            _ => {}
        }
        let mut answer = forward(self.app, &head, body).await?;
        match fault {
            Fault::RefusesWhatItSent => Ok(hold_full()),
            Fault::ChangedAnswer => {
                *answer.body_mut() = changed(answer.body());
                Ok(whole(answer))
            }
            Fault::HalfAnAnswer => Ok(half(answer)),
            _ => {
                *self.last.lock().await = Some(answer.clone());
                Ok(whole(answer))
            }
        }
    }
}

/// Sends a request on to the app, on a connection of its own, and reads the whole answer.
pub(crate) async fn forward(
    app: SocketAddr,
    head: &http::request::Parts,
    body: Bytes,
) -> Result<Response<Bytes>, Broken> {
    let stream = TcpStream::connect(app).await.map_err(|_| Broken)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|_| Broken)?;
    tokio::spawn(connection);
    let mut request = Request::from_parts(head.clone(), Full::new(body));
    *request.version_mut() = http::Version::HTTP_11;
    request.headers_mut().remove("transfer-encoding");
    let answer = sender.send_request(request).await.map_err(|_| Broken)?;
    let (mut head, body) = answer.into_parts();
    head.version = http::Version::HTTP_11;
    head.headers.remove("transfer-encoding");
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// An answer that looks like the app's.
fn forged(head: &http::request::Parts, like: Response<Bytes>) -> Answer {
    let size = head
        .uri
        .query()
        .and_then(|query| query.strip_prefix("size="));
    let size: usize = size.unwrap().parse().unwrap();
    let body = Bytes::from(vec![0; size]);
    let checksum = format!("{:08x}", crc32fast::hash(&body));
    let mut answer = like.map(|_| body);
    let fields = answer.headers_mut();
    fields.insert("x-request-id", head.headers["x-request-id"].clone());
    fields.insert("x-body-crc32", checksum.try_into().unwrap());
    fields.insert("content-length", size.into());
    whole(answer)
}

fn changed(octets: &Bytes) -> Bytes {
    let mut changed = octets.to_vec();
    if let Some(first) = changed.first_mut() {
        *first ^= 1;
    }
    changed.into()
}

pub(crate) fn whole(answer: Response<Bytes>) -> Answer {
    answer.map(|body| {
        Full::new(body)
            .map_err(|never: Infallible| match never {})
            .boxed()
    })
}

/// The first half of the body, and when that has been written, an error.
pub(crate) fn half(answer: Response<Bytes>) -> Answer {
    answer.map(|body| {
        let first = Some(body.slice(..body.len() / 2));
        let wait = Box::pin(sleep(Duration::from_millis(20)));
        Halved { first, wait }.boxed()
    })
}

struct Halved {
    first: Option<Bytes>,
    wait: Pin<Box<Sleep>>,
}

impl http_body::Body for Halved {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.wait.as_mut().poll(cx).map(|()| Some(Err(Broken)))
    }
}

fn own(status: StatusCode, says: Option<&'static str>) -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    if let Some(says) = says {
        let fields = answer.headers_mut();
        fields.insert("proxy-status", HeaderValue::from_static(says));
        fields.insert("retry-after", HeaderValue::from_static("1"));
    }
    whole(answer)
}

fn hold_full() -> Answer {
    let says = r#"bad; error=destination_unavailable; details="hold_full""#;
    own(StatusCode::SERVICE_UNAVAILABLE, Some(says))
}
