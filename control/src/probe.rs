//! Probes: is an instance ready? A fresh connection each time, one GET, 2xx passes.

use std::time::Duration;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use swap_core::{Address, Release};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How often something is probed that somebody waits for.
const WAITING_INTERVAL: Duration = Duration::from_millis(100);
/// A live instance is marked down after so many failures in a row.
const FAILURES_TO_DOWN: u32 = 3;

/// What a probe asks for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) timeout: Duration,
    /// In a row.
    pub(crate) passes: u32,
    /// An accepted connect is enough.
    pub(crate) connect_only: bool,
}

/// Why a probe failed, in words that name the instance.
pub(crate) type Failure = String;

/// Probes every instance until each has passed as often as asked. Each failure is told; a told one may be dropped if
/// nobody takes it, because the next follows.
pub(crate) async fn round(release: Release, question: Question, failures: mpsc::Sender<Failure>) {
    let mut instances = JoinSet::new();
    for instance in release.instances {
        instances.spawn(until_ready(instance, question.clone(), failures.clone()));
    }
    while instances.join_next().await.is_some() {}
}

async fn until_ready(instance: Address, question: Question, failures: mpsc::Sender<Failure>) {
    let mut passes = 0;
    while passes < question.passes {
        let next = Instant::now() + WAITING_INTERVAL;
        match probe(&instance, &question).await {
            Ok(()) => passes += 1,
            Err(why) => {
                passes = 0;
                let _ = failures.try_send(why);
            }
        }
        if passes < question.passes {
            sleep_until(next).await;
        }
    }
}

/// Looks at a live instance for ever; says when it goes down and when it comes back.
pub(crate) async fn watch(
    instance: Address,
    question: Question,
    interval: Duration,
    told: impl Fn(&Address, bool) + Send,
) {
    let mut passed_once = false;
    let mut failures = 0;
    loop {
        let next = Instant::now() + interval;
        match probe(&instance, &question).await {
            Ok(()) => {
                passed_once = true;
                failures = 0;
                told(&instance, true);
            }
            Err(_) if passed_once => {
                failures += 1;
                if failures == FAILURES_TO_DOWN {
                    told(&instance, false);
                }
            }
            // It has no such path, perhaps; then its answers say nothing.
            Err(_) => {}
        }
        sleep_until(next).await;
    }
}

/// Asks once.
pub(crate) async fn probe(instance: &Address, question: &Question) -> Result<(), Failure> {
    let path = &question.path;
    match timeout(question.timeout, ask(instance, question)).await {
        Err(_) => Err(format!(
            "{instance}: no answer to GET {path} within {:?}",
            question.timeout
        )),
        Ok(Err(why)) => Err(format!("{instance}: {why}")),
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(status)) => Err(format!(
            "{instance} answered {} to GET {path}",
            status.as_u16()
        )),
    }
}

async fn ask(instance: &Address, question: &Question) -> Result<StatusCode, String> {
    let words = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    };
    match instance {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(words)?;
            exchange(stream, &address.to_string(), question).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(words)?;
            exchange(stream, "localhost", question).await
        }
    }
}

async fn exchange<S>(stream: S, host: &str, question: &Question) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if question.connect_only {
        return Ok(StatusCode::OK);
    }
    let words = |error: hyper::Error| format!("no HTTP answer to GET {}: {error}", question.path);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(words)?;
    let request = Request::get(&question.path)
        .header(HOST, question.host.as_deref().unwrap_or(host))
        .header(
            USER_AGENT,
            concat!("holdfast-probe/", env!("CARGO_PKG_VERSION")),
        )
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async move {
        sender
            .send_request(request)
            .await
            .map(|answer| answer.status())
    };
    tokio::pin!(connection, answer);
    // One task for both: when the answer is dropped, so is the connection.
    loop {
        tokio::select! {
            biased;
            status = &mut answer => return status.map_err(words),
            ended = &mut connection => {
                ended.map_err(words)?;
                return answer.await.map_err(words);
            }
        }
    }
}
