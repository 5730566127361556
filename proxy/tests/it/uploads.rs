//! Bodies of requests that are held: byte for byte what the client sent, whoever gets them in the end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, timeout};

use crate::app::App;
use crate::client::{Client, PATIENCE};
use crate::daemon::Daemon;

/// Octets of which each place is unlike its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

async fn both() -> (App, App, Daemon) {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let daemon = Daemon::with(&a).await;
    daemon.verb("hold", json!({})).await;
    (a, b, daemon)
}

/// Replaces the app while so many requests are held, and lets them go.
async fn swap(daemon: &Daemon, held: u64, app: &App) {
    daemon.held(held).await;
    daemon.promote("b", app, json!({})).await;
    daemon.verb("resume", json!({})).await;
}

#[tokio::test]
async fn ten_megabytes_arrive_whole_after_a_swap() {
    let (a, b, daemon) = both().await;
    let body = pattern(10_000_000);
    let (sent, mut client) = (body.clone(), daemon.client().await);
    let h1 = tokio::spawn(async move { client.post("/h1", &sent).await.status });
    let (sent, sender) = (body.clone(), crate::http2::connect(&daemon).await);
    let h2 = tokio::spawn(async move {
        let request = crate::http2::request("POST", "/h2", &sent);
        crate::http2::ask(&sender, request).await.unwrap().status
    });
    swap(&daemon, 2, &b).await;
    assert_eq!(h1.await.unwrap(), 200);
    assert_eq!(h2.await.unwrap(), 200);
    assert!(a.targets().is_empty());
    for target in ["/h1", "/h2"] {
        let seen = b.seen().into_iter().find(|seen| seen.target == target);
        assert!(seen.unwrap().body == body, "{target} differs");
    }
}

#[tokio::test]
async fn a_chunked_body_keeps_its_trailers() {
    let (_a, b, daemon) = both().await;
    let mut client = daemon.client().await;
    client
        .say(
            "POST /chunked HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum, Content-Length\r\n\r\n5\r\nfirst\r\n",
        )
        .await;
    daemon.held(1).await;
    client
        .say("6\r\nsecond\r\n0\r\nX-Sum: 11\r\nContent-Length: 3\r\n\r\n")
        .await;
    swap(&daemon, 1, &b).await;
    assert_eq!(client.answer().await.status, 200);
    let seen = b.seen().into_iter().find(|seen| seen.target == "/chunked");
    let seen = seen.unwrap();
    assert_eq!(seen.body, "firstsecond");
    assert_eq!(seen.trailers["x-sum"], "11");
    assert!(!seen.trailers.contains_key("content-length"));
}

/// Sends an octet now and then, from before the hold to after it.
async fn drip(mut client: Client, octets: Vec<u8>) -> u16 {
    let len = octets.len();
    client
        .say(format!(
            "POST /drip HTTP/1.1\r\nHost: x.test\r\nContent-Length: {len}\r\n\r\n"
        ))
        .await;
    let mut now_and_then = interval(Duration::from_millis(20));
    for octet in octets {
        now_and_then.tick().await;
        client.say([octet]).await;
    }
    client.answer().await.status
}

#[tokio::test]
async fn an_octet_at_a_time_arrives_whole() {
    let (_a, b, daemon) = both().await;
    let octets = pattern(60);
    let dripping = tokio::spawn(drip(daemon.client().await, octets.clone()));
    swap(&daemon, 1, &b).await;
    assert_eq!(dripping.await.unwrap(), 200);
    let seen = b.seen().into_iter().find(|seen| seen.target == "/drip");
    assert_eq!(seen.unwrap().body, octets);
}

/// A frame for each octet, a hundred at a time.
struct Small {
    octets: VecDeque<u8>,
    now_and_then: Interval,
}

impl Small {
    fn new(octets: &[u8]) -> Self {
        Self {
            octets: octets.to_vec().into(),
            now_and_then: interval(Duration::from_millis(2)),
        }
    }
}

impl Body for Small {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.octets.len().is_multiple_of(100) {
            std::task::ready!(self.now_and_then.poll_tick(cx));
        }
        let octet = self.octets.pop_front();
        Poll::Ready(octet.map(|octet| Ok(Frame::data(Bytes::from(vec![octet])))))
    }
}

type AnyBody = BoxBody<Bytes, Infallible>;

async fn connect(daemon: &Daemon) -> http2::SendRequest<AnyBody> {
    let stream = TcpStream::connect(daemon.address).await.unwrap();
    let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shaking.await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn small_frames_during_a_hold_cost_no_other_stream_its_connection() {
    let (_a, b, daemon) = both().await;
    let sender = connect(&daemon).await;
    let octets = pattern(6_000);
    let mut asking = JoinSet::new();
    for (target, body) in [
        ("/small", Small::new(&octets).boxed()),
        (
            "/other",
            Full::new(Bytes::from_static(b"one frame")).boxed(),
        ),
    ] {
        let mut sender = sender.clone();
        asking.spawn(async move {
            let uri = format!("http://x.test{target}");
            let request = Request::post(uri).body(body).unwrap();
            let answer = timeout(PATIENCE, sender.send_request(request)).await;
            answer.unwrap().unwrap().status()
        });
    }
    crate::client::until("the octets are held as well", async || {
        let hold = &daemon.status().await["hold"];
        hold["held"] == 2 && hold["held_bytes"].as_u64().unwrap() > 6_000
    })
    .await;
    swap(&daemon, 2, &b).await;
    assert_eq!(asking.join_all().await, [200, 200]);
    let seen = b.seen().into_iter().find(|seen| seen.target == "/small");
    assert_eq!(seen.unwrap().body, octets);
}

#[tokio::test]
async fn what_is_read_during_a_hold_is_bounded_by_its_bytes() {
    let app = App::start("a").await;
    let config =
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.hold]\nmax_bytes = \"40KiB\"\n";
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    daemon.verb("hold", json!({})).await;
    let sender = crate::http2::connect(&daemon).await;
    let body = pattern(200_000);
    let sent = body.clone();
    let asking = tokio::spawn(async move {
        crate::http2::ask(&sender, crate::http2::request("POST", "/", &sent)).await
    });
    daemon.held(1).await;
    crate::client::until("some of it is read", async || {
        let held = daemon.status().await["hold"]["held_bytes"].clone();
        assert!(held.as_u64().unwrap() <= 40 << 10, "{held}");
        held.as_u64().unwrap() > 16 << 10
    })
    .await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(asking.await.unwrap().unwrap().status, 200);
    assert_eq!(app.seen().last().unwrap().body, body);
}
