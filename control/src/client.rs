//! The client half: what swapctl and our own tools say to a daemon.
//!
//! A call is one connection: connect, ask, read, close. Whatever the daemon does, a call ends: connecting and the first
//! answer have limits, and an answer has a longest length. It never tries again by itself: only the caller knows whether
//! that is harmless.

mod connection;
mod error;
mod events;
mod sse;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use swap_core::OperationId;

use crate::wire::{Operation, UpgradeRequest, Upgraded};
use connection::Question;
pub use error::{ClientError, NotReachable};
pub use events::EventStream;

/// How long a look at something may take.
const LOOK_MAX: Duration = Duration::from_secs(10);
/// How long a command may take until its first answer: the daemon may have to resolve names, and to wait for its disk.
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// How long an upgrade may take: a process before the running one may have to end, another one has to get ready and to
/// prove itself.
const UPGRADE_MAX: Duration = Duration::from_secs(120);
/// How long it may take until every app stands still.
const STILL_MAX: Duration = Duration::from_secs(3600);
/// How long one wait for an operation's end goes on before the daemon is asked whether it is still there.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A daemon, by its control socket. Each call has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// The body of a call without fields.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Nothing {}

/// An operation id that nobody has used. Whoever makes it up before the first word to the daemon can ask for the
/// operation again, whatever becomes of the connection.
pub fn new_operation() -> OperationId {
    match ulid::Ulid::new().to_string().parse() {
        Ok(operation) => operation,
        // 26 letters and digits.
        Err(_) => unreachable!("a ULID is an operation id"),
    }
}

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

    /// Looks at something: `/v1/status`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Question::look(path, LOOK_MAX)).await
    }

    /// Commands something that is done when it is answered.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Question::command(path, body, COMMAND_MAX)?).await
    }

    /// Replaces the daemon's program; returns when the new process has proved itself.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn upgrade(&self, ask: &UpgradeRequest) -> Result<Upgraded, ClientError> {
        let max = UPGRADE_MAX + if ask.wait { STILL_MAX } else { Duration::ZERO };
        self.ask(Question::command("/v1/upgrade", ask, max)?).await
    }

    /// Listens to the events of `GET path`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn listen(&self, path: &str) -> Result<EventStream, ClientError> {
        self.stream(Question::look(path, LOOK_MAX)).await
    }

    /// Commands something that takes its time, and listens to its events, of which the receipt is the last.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn post_and_listen(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<EventStream, ClientError> {
        self.stream(Question::command(path, body, COMMAND_MAX)?)
            .await
    }

    /// Where an operation stands: at its end, or after a minute.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn wait(&self, operation: &OperationId) -> Result<Operation, ClientError> {
        let path = format!("/v1/operations/{operation}");
        let waiting = format!("{path}?wait=true");
        match self.ask(Question::look(&waiting, WAIT_MAX)).await {
            Err(ClientError::Late { .. }) => self.get(&path).await,
            answered => answered,
        }
    }

    async fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T, ClientError> {
        let limit = question.limit;
        let asking = async {
            let (response, _connection) = connection::send(&self.socket, question).await?;
            connection::collect(connection::accepted(response).await?).await
        };
        let octets = in_time(limit, asking).await?;
        serde_json::from_slice(&octets).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn stream(&self, question: Question) -> Result<EventStream, ClientError> {
        let limit = question.limit;
        let opening = async {
            let question = question.for_events();
            let (response, connection) = connection::send(&self.socket, question).await?;
            let kind = response.headers().get(CONTENT_TYPE).cloned();
            let body = connection::accepted(response).await?;
            match kind {
                Some(kind) if kind == "text/event-stream" => Ok(EventStream::new(body, connection)),
                kind => Err(ClientError::Protocol(format!(
                    "events were asked for, not {kind:?}"
                ))),
            }
        };
        in_time(limit, opening).await
    }
}

async fn in_time<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(limit, asking).await {
        Ok(answered) => answered,
        Err(_) => Err(ClientError::Late { limit }),
    }
}

impl Question {
    fn look(path: &str, limit: Duration) -> Self {
        Self::new(Method::GET, path, Vec::new(), limit)
    }

    fn command(path: &str, body: &impl Serialize, limit: Duration) -> Result<Self, ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok(Self::new(Method::POST, path, body, limit))
    }
}
