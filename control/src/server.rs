//! The API's connections: bounded in number, size and time, and only for who may command. Whatever they do, the data
//! path does not notice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use crate::api::{self, Api};
use crate::problem::problem;
use crate::socket::ControlSocket;
use crate::users::Users;
use crate::wire::Problem;

/// Clients at once. The rest waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long a head may take, and how long an idle connection is kept.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long accepting pauses when a limit of the system is reached.
const PAUSE: Duration = Duration::from_millis(50);
/// hyper's smallest buffer: a line of a gigabyte ends here.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Serves until the runtime ends.
pub(crate) async fn serve(socket: ControlSocket, users: Users, api: Api) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let users = Arc::new(users);
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                let (users, api) = (users.clone(), api.clone());
                tokio::spawn(async move {
                    connection(stream, &users, api).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket pauses");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, users: &Users, api: Api) {
    // The kernel says who it is; the client cannot.
    let uid = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
    let allowed = users.may_command(uid);
    let service = service_fn(move |request| {
        let api = api.clone();
        async move {
            let answer = if allowed {
                api::answer(api, request, uid).await
            } else {
                forbidden(uid)
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    if let Err(error) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, uid, "a control connection ended");
    }
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
