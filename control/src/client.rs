//! The client half: what swapctl and our own tools say to a daemon.

mod events;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

use crate::wire::Problem;
pub use events::EventStream;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A daemon, by its control socket. Each call has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing was said: there is no daemon, or it may not be asked.
    #[error("no daemon answers on {}: {why}", socket.display())]
    NotReachable {
        /// Where.
        socket: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The daemon says no.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The connection was lost; whether the daemon did what it was asked is not known.
    #[error("the connection to the daemon was lost: {0}")]
    Lost(String),
    /// An answer that makes no sense.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
}

/// The body of a call without fields.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Nothing {}

impl Client {
    /// The daemon behind this socket. Nothing is said yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Where the daemon is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, &Nothing {}).await
    }

    /// Commands something, and waits for the answer however long it takes.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.call(Method::POST, path, body).await
    }

    /// Listens to `GET path`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn listen(&self, path: &str) -> Result<EventStream, ClientError> {
        let (response, connection) = self.send(Method::GET, path, &Nothing {}).await?;
        Ok(EventStream::new(accepted(response).await?, connection))
    }

    /// Commands something that is answered by events.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn post_and_listen(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<EventStream, ClientError> {
        let (response, connection) = self.send(Method::POST, path, body).await?;
        Ok(EventStream::new(accepted(response).await?, connection))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let (response, _connection) = self.send(method, path, body).await?;
        let octets = collect(accepted(response).await?).await?;
        serde_json::from_slice(&octets).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let stream = self.connect().await?;
        let lost = |error: hyper::Error| ClientError::Lost(error.to_string());
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let driving = tokio::spawn(async move { drop(connection.await) });
        let connection = Connection(driving.abort_handle());
        let protocol = |error: &dyn std::fmt::Display| ClientError::Protocol(error.to_string());
        let text = match method {
            Method::GET => Vec::new(),
            _ => serde_json::to_vec(body).map_err(|error| protocol(&error))?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "holdfast")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(|error| protocol(&error))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        Ok((response, connection))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let not_reachable = |why| ClientError::NotReachable {
            socket: self.socket.clone(),
            why,
        };
        match tokio::time::timeout(CONNECT_MAX, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(not_reachable(words(&error))),
            Err(_) => Err(not_reachable(format!("no answer within {CONNECT_MAX:?}"))),
        }
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "the socket is there, but nobody listens".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "not allowed (see control.users and control.mode)".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A connection that is driven; its drop ends it.
#[derive(Debug)]
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a good answer, or the problem.
async fn accepted(response: Response<Incoming>) -> Result<Incoming, ClientError> {
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let status = response.status();
    let octets = collect(response.into_body()).await?;
    match serde_json::from_slice(&octets) {
        Ok(problem) => Err(ClientError::Problem(problem)),
        Err(_) => Err(ClientError::Protocol(format!("status {status}"))),
    }
}

async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    let collected = body
        .collect()
        .await
        .map_err(|error| ClientError::Lost(error.to_string()))?;
    Ok(collected.to_bytes())
}
