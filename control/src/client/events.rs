//! Server-sent events, as they come.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::ClientError;
use super::connection::Connection;
use super::sse::Blocks;
use crate::wire::Event;

/// A daemon that is there says something, be it a comment, every 10 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// Events of the daemon. Its drop ends the connection.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    blocks: Blocks,
    _connection: Connection,
}

impl EventStream {
    pub(super) fn new(body: Incoming, connection: Connection) -> Self {
        Self {
            body,
            blocks: Blocks::default(),
            _connection: connection,
        }
    }

    /// The next event; none when the daemon has said everything. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the connection is lost, if the daemon has been silent for 45 s, or if what comes is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(json) = self.blocks.next() {
                let event = serde_json::from_slice(&json);
                return event.map(Some).map_err(|error| protocol(&error));
            }
            match timeout(SILENCE_MAX, self.body.frame()).await {
                Err(_) => return Err(ClientError::Late { limit: SILENCE_MAX }),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(ClientError::Lost(error.to_string())),
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.blocks.push(&data).map_err(|error| protocol(&error))?;
                }
            }
        }
    }
}

fn protocol(error: &dyn std::error::Error) -> ClientError {
    ClientError::Protocol(error.to_string())
}
