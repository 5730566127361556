//! gRPC: streams both ways, with trailers, through holds and swaps.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::daemon::Daemon;

/// Sends each message back, and then how many there were, in a trailer.
struct Echo {
    incoming: Incoming,
    messages: u32,
    ended: bool,
}

impl Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => {
                // The end may come in an empty frame.
                self.messages += u32::from(frame.data_ref().is_some_and(|data| !data.is_empty()));
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            _ if self.ended => Poll::Ready(None),
            _ => {
                self.ended = true;
                let mut trailers = grpc_ok();
                trailers.insert("x-messages", self.messages.into());
                trailers.insert("content-length", HeaderValue::from_static("7"));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}

fn grpc_ok() -> HeaderMap {
    HeaderMap::from_iter([(
        "grpc-status".parse().unwrap(),
        HeaderValue::from_static("0"),
    )])
}

/// `HealthCheckResponse` in a frame.
fn health(serving: bool) -> Full<Bytes> {
    Full::new(Bytes::from_static(if serving {
        b"\0\0\0\0\x02\x08\x01"
    } else {
        b"\0\0\0\0\x02\x08\x02"
    }))
}

async fn answer(
    request: Request<Incoming>,
    serving: bool,
) -> Result<Response<UnsyncBoxBody<Bytes, hyper::Error>>, Infallible> {
    assert_eq!(request.headers()["te"], "trailers");
    let body = match request.uri().path() {
        "/grpc.health.v1.Health/Check" => health(serving)
            .with_trailers(async { Some(Ok(grpc_ok())) })
            .map_err(|never| match never {})
            .boxed_unsync(),
        _ => Echo {
            incoming: request.into_body(),
            messages: 0,
            ended: false,
        }
        .boxed_unsync(),
    };
    let mut response = Response::new(body);
    let fields = response.headers_mut();
    fields.insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// A server that says of its health whether it serves.
async fn server(serving: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request| answer(request, serving));
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn daemon(server: SocketAddr) -> Daemon {
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n\
        upstream.protocol = \"http2\"\nprobe.grpc = \"\"\ntimeouts.boot = \"1s\"\nprobe.timeout = \"500ms\"\n";
    Daemon::start(&[&format!("--upstream={server}")], config).await
}

async fn promote(daemon: &Daemon, release: &str, at: SocketAddr, more: Value) -> (u16, Value) {
    let mut body = json!({ "release": release, "instance": [at.to_string()] });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    daemon.say("POST", "/v1/apps/default/promote", body).await
}

/// What is sent, message by message.
struct Messages(mpsc::Receiver<Bytes>);

impl Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|data| Some(Ok(Frame::data(data?))))
    }
}

/// A call with a stream each way.
struct Call {
    say: mpsc::Sender<Bytes>,
    release: String,
    heard: Incoming,
}

impl Call {
    async fn begin(daemon: &Daemon) -> Self {
        let stream = TcpStream::connect(daemon.address).await.unwrap();
        let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = shaking.await.unwrap();
        tokio::spawn(connection);
        let (say, said) = mpsc::channel(1);
        let request = Request::post("http://x.test/echo.Echo/Both")
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(Messages(said))
            .unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request));
        let (head, heard) = answer.await.unwrap().unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-type"], "application/grpc");
        let release = head.headers["x-release"].to_str().unwrap().to_owned();
        Self {
            say,
            release,
            heard,
        }
    }

    async fn frame(&mut self) -> Frame<Bytes> {
        let frame = timeout(PATIENCE, self.heard.frame()).await;
        frame.unwrap().unwrap().unwrap()
    }

    /// One message there and back.
    async fn exchange(&mut self, message: &'static str) {
        self.say.send(Bytes::from(message)).await.unwrap();
        assert_eq!(self.frame().await.into_data().unwrap(), message);
    }

    /// Says that nothing follows, and returns the trailers.
    async fn end(mut self) -> HeaderMap {
        drop(std::mem::replace(&mut self.say, mpsc::channel(1).0));
        self.frame().await.into_trailers().unwrap()
    }
}

#[tokio::test]
async fn a_stream_both_ways_stays_on_its_release_through_a_swap_and_ends_with_its_trailers() {
    let (a, b) = (server(true).await, server(true).await);
    let daemon = daemon(a).await;
    let mut call = Call::begin(&daemon).await;
    call.exchange("before").await;
    let (status, _) = promote(&daemon, "b", b, json!({ "detach": true })).await;
    assert!(status < 300, "{status}");
    crate::client::until("the new release is live", async || {
        daemon.status().await["live"]["release"] == "b"
    })
    .await;
    let mut newer = Call::begin(&daemon).await;
    newer.exchange("hello").await;
    call.exchange("after").await;
    assert_eq!((&*call.release, &*newer.release), ("initial", "b"));
    let trailers = call.end().await;
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["x-messages"], "2");
    assert!(
        !trailers.contains_key("content-length"),
        "it framed nothing"
    );
    assert_eq!(newer.end().await["x-messages"], "1");
}

#[tokio::test]
async fn a_call_is_held_and_goes_on_to_the_new_release() {
    let (a, b) = (server(true).await, server(true).await);
    let daemon = daemon(a).await;
    daemon.verb("hold", json!({})).await;
    let call = async {
        let mut call = Call::begin(&daemon).await;
        call.exchange("held").await;
        call
    };
    let swapping = async {
        daemon.held(1).await;
        let (status, said) = promote(&daemon, "b", b, json!({})).await;
        assert_eq!((status, &said["outcome"]), (200, &json!("done")), "{said}");
        daemon.verb("resume", json!({})).await;
    };
    let (call, ()) = tokio::join!(call, swapping);
    assert_eq!(call.release, "b");
    assert_eq!(call.end().await["grpc-status"], "0");
}

#[tokio::test]
async fn a_release_that_is_not_serving_is_not_promoted() {
    let daemon = daemon(server(true).await).await;
    let (_, said) = promote(&daemon, "b", server(false).await, json!({})).await;
    assert_eq!(said["outcome"], "failed", "{said}");
    assert!(said.to_string().contains("NOT_SERVING"), "{said}");
    assert_eq!(Call::begin(&daemon).await.release, "initial");
}
