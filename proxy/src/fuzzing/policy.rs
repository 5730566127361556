//! A client's octets on their way to an app, through everything that is ours and everything that is hyper's: parsed,
//! checked, written down to wait and parsed once more, sent, and read by an app that is hard to please.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use holdfast_config::Limits;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::service_fn;

use super::app::{Body, Told};
use super::by_hand::{self, Octets};
use super::forwarded::{FRONT, STRANGER, peer, trusted};
use crate::body::Upload;
use crate::connection;
use crate::exchange::Exchange;
use crate::forward;
use crate::policy::{self, Facts, Refused};
use crate::testing::app_settings;
use crate::upstream;
use crate::way;

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused(Refused),
    /// The client's body broke off, and so did what the app got, if anything.
    BrokeOff,
    Passed(Told),
}

/// What a client sends, however it is cut into packets, reaches the app as requests that are beyond doubt, or not at all.
pub fn policy(octets: &[u8]) {
    let whole = outcomes(octets, usize::MAX, STRANGER);
    let pieces = outcomes(octets, octets.len() / 7 + 1, STRANGER);
    assert_eq!(whole, pieces, "it depends on how the octets are cut");
    outcomes(octets, usize::MAX, FRONT);
}

fn outcomes(octets: &[u8], piece: usize, from: &'static str) -> Vec<Outcome> {
    // The ids of requests are the same each time.
    fastrand::seed(7);
    let outcomes = RefCell::new(Vec::new());
    let served = hear(octets, piece, 0, async |request| {
        let outcome = pass(request, from).await;
        let goes_on = !matches!(outcome, Outcome::Refused(_));
        outcomes.borrow_mut().push(outcome);
        goes_on
    });
    served.expect("a client that waits for nothing");
    outcomes.into_inner()
}

/// Has hyper read requests, as long as `take` says that they may go on. `ahead` octets have been read once before. None:
/// it waits for ever.
fn hear(
    octets: &[u8],
    piece: usize,
    ahead: usize,
    take: impl AsyncFn(Request<Incoming>) -> bool,
) -> Option<()> {
    let client = Octets::then_end(octets, piece);
    let take = &take;
    let service = service_fn(async |request| {
        let mut answer = Response::new(Empty::<Bytes>::new());
        if !take(request).await {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        Ok::<_, Infallible>(answer)
    });
    let serving = connection::rules(&Limits::default(), ahead).serve_connection(client, service);
    by_hand::run(serving).map(drop)
}

fn exchange(request: Request<Incoming>, from: &str) -> Result<Exchange, Refused> {
    Exchange::new(request, &peer(from), &trusted(), &Limits::default(), false)
}

async fn pass(request: Request<Incoming>, from: &str) -> Outcome {
    let said = request.headers().clone();
    over_http2(&request);
    let mut exchange = match exchange(request, from) {
        Ok(exchange) => exchange,
        Err(refused) => {
            assert!(refused.status.is_client_error() || refused.status.is_server_error());
            return Outcome::Refused(refused);
        }
    };
    way::identify(&mut exchange);
    must_be_the_same_once_more(&exchange, from);
    let target = forward::prepare(&mut exchange, &app_settings(), "http");
    let prepared = exchange.head.clone();
    forward::take_back(&mut exchange, target);
    must_be_the_same_once_more(&exchange, from);
    let (websocket, body) = (exchange.facts.websocket, exchange.take().1);
    let body = Recorded::of(body).await;
    let octets = send(prepared.clone(), body.clone());
    if octets.is_empty() && body.whole().is_none() {
        return Outcome::BrokeOff;
    }
    let told = Told::read(&octets);
    must_be_what_was_asked(&told, &prepared, &body);
    must_leave_out(&told, &said, websocket);
    assert_eq!(told.values("upgrade").len(), usize::from(websocket));
    match from {
        STRANGER => assert_eq!(told.one("x-forwarded-for"), STRANGER),
        _ => assert!(told.one("x-forwarded-for").ends_with(FRONT)),
    }
    match told.body {
        Body::Whole(_) => Outcome::Passed(told),
        Body::Broken => Outcome::BrokeOff,
    }
}

/// A request that waits is written down and parsed once more: nothing about it may change, or it would not be the one
/// that was let in.
fn must_be_the_same_once_more(exchange: &Exchange, from: &str) {
    if !exchange.is_parkable() {
        return;
    }
    let text = exchange.serialize_head();
    let heard = RefCell::new(0);
    let _ = hear(&text, usize::MAX, text.len(), async |request| {
        *heard.borrow_mut() += 1;
        let again = self::exchange(request, from).expect("it has passed once");
        assert_eq!(again.facts, exchange.facts, "{text:?}");
        assert_eq!(again.origin, exchange.origin, "{text:?}");
        assert_eq!(again.head.method, exchange.head.method);
        assert_eq!(again.head.uri, exchange.head.uri);
        assert_eq!(again.head.headers, exchange.head.headers);
        assert_eq!(again.has_body(), exchange.has_body(), "{text:?}");
        let length = |exchange: &Exchange| Some(exchange.body.as_ref()?.size_hint().exact());
        assert_eq!(length(&again), length(exchange), "{text:?}");
        false
    });
    assert_eq!(heard.into_inner(), 1, "once more: {text:?}");
}

/// The same head, had it come over HTTP/2; where fields of a connection are refused before.
fn over_http2(request: &Request<Incoming>) {
    let mut head = Request::new(()).into_parts().0;
    (head.method, head.uri) = (request.method().clone(), request.uri().clone());
    (head.version, head.headers) = (Version::HTTP_2, request.headers().clone());
    let of_http1 = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ];
    of_http1
        .iter()
        .for_each(|name| drop(head.headers.remove(*name)));
    if head.method == Method::GET {
        as_websocket(head.clone());
    }
    let Ok(mut facts) = policy::check(&mut head, false, &Limits::default()) else {
        return;
    };
    // TE is gone; a request that waits is given it back.
    facts.trailers = false;
    let once = |name: HeaderName| head.headers.get_all(name).iter().count() <= 1;
    assert!(once(header::HOST) && once(header::COOKIE));
    assert_eq!(head.uri.authority(), None);
    assert!(!facts.host.is_empty() && !facts.websocket);
    let (uri, fields) = (head.uri.clone(), head.headers.clone());
    assert_eq!(
        policy::check(&mut head, false, &Limits::default()),
        Ok(facts),
        "twice"
    );
    assert_eq!((head.uri, head.headers), (uri, fields), "twice");
}

/// A WebSocket over HTTP/2 has the fate of the same GET.
fn as_websocket(mut get: Parts) {
    let mut connect = get.clone();
    connect.method = Method::CONNECT;
    let protocol = Protocol::from_static("websocket");
    connect.extensions.insert(protocol);
    let (asked, opened) = (
        policy::check(&mut get, false, &Limits::default()),
        policy::check(&mut connect, false, &Limits::default()),
    );
    let as_asked = opened.clone().map(|facts| Facts {
        websocket: false,
        connect: false,
        ..facts
    });
    assert_eq!(as_asked, asked);
    if let Ok(facts) = opened {
        assert!(facts.websocket && facts.connect);
        assert_eq!((&connect.method, &connect.uri), (&get.method, &get.uri));
        policy::offer_websocket(&mut get.headers);
        assert_eq!(connect.headers, get.headers);
    }
}

fn must_be_what_was_asked(told: &Told, head: &Parts, body: &Recorded) {
    assert_eq!(told.method, head.method.as_str());
    assert!(told.target.len() <= Limits::default().target_size);
    for (name, value) in &head.headers {
        let found = told.values(name.as_str());
        assert!(
            found.contains(&value.as_bytes().trim_ascii()),
            "{name} is lost"
        );
    }
    assert_eq!(told.body, body.whole().map_or(Body::Broken, Body::Whole));
}

/// What the client said for its own hop only.
fn must_leave_out(told: &Told, said: &HeaderMap, websocket: bool) {
    const OURS: [&str; 14] = [
        "host",
        "content-length",
        "cookie",
        "authorization",
        "transfer-encoding",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
        "x-held-ms",
        "connection",
        "upgrade",
        "",
    ];
    let lists = said.get_all(header::CONNECTION).into_iter();
    let named = lists.filter_map(|list| list.to_str().ok());
    let named = named.flat_map(|list| list.split(',').map(|name| name.trim().to_lowercase()));
    for name in named.filter(|name| !OURS.contains(&&name[..])) {
        assert!(told.values(&name).is_empty(), "{name} was for one hop");
    }
    assert!(websocket || told.values("connection").is_empty());
}

/// What hyper writes for the app.
fn send(head: Parts, body: Recorded) -> Vec<u8> {
    let app = Octets::silent();
    let written = app.written();
    by_hand::run(async {
        let handshake = upstream::rules().handshake(app).await;
        let (mut sender, connection) = handshake.expect("nothing is asked of the app");
        let mut request = Request::from_parts(head, body);
        upstream::to_http1(&mut request);
        let sending = sender.try_send_request(request);
        tokio::join!(async { drop(connection.await) }, async {
            drop(sending.await)
        })
    });
    written.take()
}

/// A body that was read whole, as a body.
#[derive(Clone)]
struct Recorded {
    /// The last one of a body that broke off is none.
    frames: VecDeque<Option<Bytes>>,
    trailers: Option<HeaderMap>,
    hint: SizeHint,
}

/// It ended early.
#[derive(Debug, thiserror::Error)]
#[error("it broke off")]
struct BrokeOff;

impl Recorded {
    async fn of(body: Option<Upload>) -> Self {
        let hint = body.as_ref().map(|body| body.size_hint());
        let mut recorded = Self {
            frames: VecDeque::new(),
            trailers: None,
            hint: hint.unwrap_or(SizeHint::with_exact(0)),
        };
        let Some(mut body) = body else {
            return recorded;
        };
        while let Some(frame) = body.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => recorded.frames.push_back(Some(data)),
                Ok(Err(trailers)) => recorded.trailers = trailers.into_trailers().ok(),
                Err(_) => recorded.frames.push_back(None),
            }
        }
        recorded
    }

    fn whole(&self) -> Option<Vec<u8>> {
        let frames: Option<Vec<_>> = self.frames.iter().cloned().collect();
        Some(frames?.concat())
    }
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let data = self.frames.pop_front();
        let frame = data.map(|data| data.map(Frame::data).ok_or(BrokeOff));
        Poll::Ready(frame.or_else(|| self.trailers.take().map(|it| Ok(Frame::trailers(it)))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.trailers.is_none() && self.hint.exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
