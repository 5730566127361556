//! The API's connections: bounded in number, size and time, and only for who may command. Whatever they do, the data
//! path does not notice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::accepting::Accepting;
use crate::api::{self, Api};
use crate::impatient::Impatient;
use crate::problem::problem;
use crate::socket::Listening;
use crate::users::Users;
use crate::wire::Problem;

/// Clients at once. The rest waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long a head may take, and how long an idle connection is kept.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a client may not read what it is sent.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// Connections at once, of those who may not command: enough to tell them so, and no place of the others.
const STRANGERS_MAX: usize = 8;
/// How long such a connection may take in all.
const STRANGER_MAX: Duration = Duration::from_secs(2);
/// How long accepting pauses when a limit of the system is reached.
const PAUSE: Duration = Duration::from_millis(50);
/// A head longer than this is refused, so a line of a gigabyte ends here.
const HEAD_BYTES_MAX: usize = 16 * 1024;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Counts the connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CONNECTIONS_MAX)))
    }

    /// Returns when nobody is connected.
    pub(crate) async fn empty(&self) {
        // Never closed.
        let _ = self.0.acquire_many(CONNECTIONS_MAX as u32).await;
    }
}

/// Serves until the runtime ends; not while another process does.
pub(crate) async fn serve(
    socket: Arc<Listening>,
    users: Users,
    api: Api,
    Places(places): Places,
    accepting: Accepting,
) {
    let lobby = Arc::new(Semaphore::new(STRANGERS_MAX));
    loop {
        accepting.begun().await;
        let accepted = tokio::select! {
            biased;
            () = accepting.paused() => continue,
            accepted = socket.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the control socket pauses");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // The kernel says who it is; the client cannot.
        let uid = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
        if !users.may_command(uid) {
            if let Ok(place) = lobby.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    let _ = timeout(STRANGER_MAX, turn_away(stream, uid)).await;
                    drop(place);
                });
            }
            continue;
        }
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let api = api.clone();
        tokio::spawn(async move {
            let answer = move |request| api::answer(api.clone(), request, uid);
            connection(stream, uid, answer).await;
            drop(place);
        });
    }
}

async fn turn_away(stream: UnixStream, uid: u32) {
    connection(stream, uid, async |_| forbidden(uid)).await;
}

async fn connection<F>(stream: UnixStream, uid: u32, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Answer>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(Impatient::new(stream, WRITE_MAX));
    let served = rules().serve_connection(io, service).await;
    if let Err(error) = served {
        tracing::debug!(%error, uid, "a control connection ended");
    }
}

/// How hyper reads what clients send.
pub(crate) fn rules() -> http1::Builder {
    let mut rules = http1::Builder::new();
    rules
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    rules
}

fn forbidden(uid: u32) -> Answer {
    let detail = format!("uid {uid} may not command this daemon; see control.users");
    of_problem(&problem(403, "forbidden", "not allowed", detail))
}

pub(crate) fn of_problem(problem: &Problem) -> Answer {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = of_json(status, problem);
    let kind = HeaderValue::from_static("application/problem+json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

pub(crate) fn of_json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    // Our own types have string keys only, so they can be written.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    let mut answer = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
