//! Server-sent events, as they come.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{ClientError, Connection};
use crate::wire::Event;

/// The longest event that is taken.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Events of the daemon. Its drop ends the connection.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    read: BytesMut,
    _connection: Connection,
}

impl EventStream {
    pub(super) fn new(body: Incoming, connection: Connection) -> Self {
        Self {
            body,
            read: BytesMut::new(),
            _connection: connection,
        }
    }

    /// The next event; none when the daemon has said everything. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or what comes is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let block = self.read.split_to(end + 2);
                let lines = block.as_ref().split(|octet| *octet == b'\n');
                let data = lines.filter_map(|line| line.strip_prefix(b"data: ")).next();
                if let Some(json) = data {
                    let event = serde_json::from_slice(json);
                    return event
                        .map(Some)
                        .map_err(|e| ClientError::Protocol(e.to_string()));
                }
            }
            if self.read.len() > EVENT_BYTES_MAX {
                return Err(ClientError::Protocol("an event without an end".into()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ClientError::Lost(error.to_string())),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
            }
        }
    }
}
