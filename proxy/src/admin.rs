//! The admin listener: `/metrics` and `/healthz`. Off unless named. It serves a few small pages and never touches a
//! client's request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use holdfast_control::Accepting;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Scrapers that may be connected at once.
const CONNECTIONS_MAX: usize = 32;
/// How long a head may take.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// A connection takes no more requests after so long: who asks and does not read keeps the others out no longer.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// How long its last answer may take then.
const LAST_MAX: Duration = Duration::from_secs(5);

/// Makes the page of metrics.
pub(crate) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves until the runtime ends; not while another process does.
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, accepting: Accepting) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        accepting.begun().await;
        tokio::select! {
            biased;
            () = accepting.paused() => {}
            () = serve_all(&listener, &metrics, &permits) => return,
        }
    }
}

async fn serve_all(listener: &TcpListener, metrics: &Metrics, permits: &Arc<Semaphore>) {
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let page = page(&request, &metrics);
                async { Ok::<_, Infallible>(page) }
            });
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_MAX);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            if timeout(CONNECTION_MAX, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(LAST_MAX, connection).await;
            }
            drop(permit);
        });
    }
}

fn page(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".into());
    }
    match request.uri().path() {
        "/metrics" => text(StatusCode::OK, metrics()),
        "/healthz" => text(StatusCode::OK, "ok\n".into()),
        _ => text(
            StatusCode::NOT_FOUND,
            "here are /metrics and /healthz\n".into(),
        ),
    }
}

fn text(status: StatusCode, content: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
