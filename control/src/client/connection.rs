//! One connection, one question. The limits of time are the caller's, except for connecting.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::{ClientError, NotReachable};
use crate::wire::Problem;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A full backlog refuses at once; it is tried again so often.
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);
/// The longest answer that is read: a history of thousands of receipts has its place.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    path: String,
    body: Vec<u8>,
    accept: HeaderValue,
    /// How long the answer may take.
    pub(super) limit: Duration,
}

impl Question {
    pub(super) fn new(method: Method, path: &str, body: Vec<u8>, limit: Duration) -> Self {
        Self {
            method,
            path: path.to_owned(),
            body,
            accept: HeaderValue::from_static("application/json"),
            limit,
        }
    }

    /// To be answered by events.
    pub(super) fn for_events(self) -> Self {
        let accept = HeaderValue::from_static("text/event-stream");
        Self { accept, ..self }
    }

    fn request(self) -> Result<Request<Full<Bytes>>, ClientError> {
        let json = HeaderValue::from_static("application/json");
        Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, HeaderValue::from_static("holdfast"))
            .header(ACCEPT, self.accept)
            .header(CONTENT_TYPE, json)
            .body(Full::new(self.body.into()))
            .map_err(|error| ClientError::Protocol(error.to_string()))
    }
}

/// A connection that is driven; its drop ends it.
#[derive(Debug)]
pub(super) struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks, and returns when the head of the answer is there.
pub(super) async fn send(
    socket: &Path,
    question: Question,
) -> Result<(Response<Incoming>, Connection), ClientError> {
    let request = question.request()?;
    let stream = connect(socket).await?;
    let (mut sender, driving) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let driving = tokio::spawn(async move { drop(driving.await) });
    let connection = Connection(driving.abort_handle());
    let response = sender.send_request(request).await.map_err(lost)?;
    Ok((response, connection))
}

async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    let not_reachable = |why| ClientError::NotReachable {
        socket: socket.to_owned(),
        why,
    };
    let until = Instant::now() + CONNECT_MAX;
    loop {
        let why = match timeout_at(until, UnixStream::connect(socket)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(BACKLOG_PAUSE).await;
                continue;
            }
            Ok(Err(error)) => NotReachable::of(error, socket),
            Err(_) => NotReachable::Busy(CONNECT_MAX),
        };
        return Err(not_reachable(why));
    }
}

/// The body of a good answer, or the problem.
pub(super) async fn accepted(response: Response<Incoming>) -> Result<Incoming, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let octets = collect(response.into_body()).await?;
    match serde_json::from_slice::<Problem>(&octets) {
        Ok(problem) => Err(ClientError::Problem(problem)),
        Err(_) => Err(ClientError::Protocol(format!(
            "status {status} without a problem object"
        ))),
    }
}

/// A whole body.
pub(super) async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ClientError::Protocol(format!(
            "longer than {ANSWER_BYTES_MAX} bytes"
        ))),
        Err(error) => Err(ClientError::Lost(error.to_string())),
    }
}

fn lost(error: hyper::Error) -> ClientError {
    ClientError::Lost(error.to_string())
}
