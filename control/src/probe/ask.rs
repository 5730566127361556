//! One probe: a GET that 2xx passes, in the HTTP that the app speaks; or a question in gRPC.

use holdfast_config::Protocol;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use swap_core::{Address, duration};
use tokio::time::timeout;

use super::{Failure, Question, grpc};
use crate::plane::Stream;

/// Who asks.
pub(super) const AGENT: &str = concat!("holdfast-probe/", env!("CARGO_PKG_VERSION"));
/// No answer about health is longer, with its trailers.
const ANSWER_MAX: usize = 4 << 10;

/// Asks once.
pub(super) async fn probe(instance: &Address, question: &Question) -> Result<(), Failure> {
    match timeout(question.timeout, ask(instance, question)).await {
        Err(_) => {
            let limit = duration::text(question.timeout);
            let what = question.in_words();
            Err(format!("{instance}: no answer to {what} within {limit}"))
        }
        Ok(Err(Why::NoAnswer(why))) => Err(format!("{instance}: {why}")),
        Ok(Err(Why::No(answer))) => Err(format!(
            "{instance} answered {answer} to {}",
            question.in_words()
        )),
        Ok(Ok(())) => Ok(()),
    }
}

enum Why {
    NoAnswer(String),
    No(String),
}

impl Question {
    fn in_words(&self) -> String {
        match &self.grpc {
            None => format!("GET {}", self.path),
            Some(service) => format!("a gRPC health check of {service:?}"),
        }
    }

    /// For the field `Host`, or the pseudo-field `:authority`.
    pub(super) fn authority(&self, instance: &Address) -> String {
        match (&self.host, instance) {
            (Some(host), _) => host.clone(),
            (None, Address::Tcp(address)) => address.to_string(),
            (None, Address::Unix(_)) => "localhost".to_owned(),
        }
    }

    pub(super) fn request(&self, authority: &str) -> Result<Request<Full<Bytes>>, http::Error> {
        if let Some(service) = &self.grpc {
            return grpc::request(authority, service);
        }
        let builder = Request::get(&self.path).header(USER_AGENT, AGENT);
        match self.protocol {
            Protocol::Http1 => builder
                .header(HOST, authority)
                .header(CONNECTION, "close")
                .body(Full::default()),
            Protocol::Http2 => builder
                .uri(absolute(authority, &self.path)?)
                .body(Full::default()),
        }
    }
}

/// What HTTP/2 makes its pseudo-fields of.
pub(super) fn absolute(authority: &str, path: &str) -> Result<Uri, http::Error> {
    let builder = Uri::builder().scheme("http").authority(authority);
    builder.path_and_query(path).build()
}

/// A connection to the instance, or why there is none.
pub(super) async fn connect(
    instance: &Address,
    question: &Question,
) -> Result<Box<dyn Stream>, String> {
    let connected = (question.dial.0)(instance).await;
    connected.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    })
}

async fn ask(instance: &Address, question: &Question) -> Result<(), Why> {
    let stream = connect(instance, question).await;
    let stream = stream.map_err(Why::NoAnswer)?;
    if question.connect_only {
        return Ok(());
    }
    let request = question.request(&question.authority(instance));
    let request = request.map_err(|error| Why::NoAnswer(error.to_string()))?;
    let words = |error| {
        Why::NoAnswer(format!(
            "no HTTP answer to {}: {error}",
            question.in_words()
        ))
    };
    let asking = exchange(stream, question.protocol, request, async |answer| {
        judge(answer, question.grpc.is_some()).await
    });
    asking.await.map_err(words)?
}

async fn judge(answer: Response<Incoming>, is_grpc: bool) -> Result<(), Why> {
    let (head, body) = answer.into_parts();
    if is_grpc && head.status == StatusCode::OK {
        let body = http_body_util::Limited::new(body, ANSWER_MAX);
        let body = body.collect().await;
        let body = body.map_err(|error| Why::NoAnswer(format!("a broken answer: {error}")))?;
        return grpc::judge(&head.headers, body).map_err(Why::No);
    }
    if head.status.is_success() && !is_grpc {
        return Ok(());
    }
    Err(Why::No(head.status.as_u16().to_string()))
}

/// Sends the request and looks at the answer. The connection ends with it.
pub(super) async fn exchange<R>(
    stream: Box<dyn Stream>,
    protocol: Protocol,
    request: Request<Full<Bytes>>,
    look: impl AsyncFnOnce(Response<Incoming>) -> R,
) -> Result<R, hyper::Error> {
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = http1::handshake(io).await?;
            let answer = async { Ok(look(sender.send_request(request).await?).await) };
            beside(connection, answer).await
        }
        Protocol::Http2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let answer = async { Ok(look(sender.send_request(request).await?).await) };
            beside(connection, answer).await
        }
    }
}

/// Both in one task: when the answer is there or nobody waits for it any more, the connection is dropped.
async fn beside<R>(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    answer: impl Future<Output = Result<R, hyper::Error>>,
) -> Result<R, hyper::Error> {
    tokio::pin!(connection, answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}
