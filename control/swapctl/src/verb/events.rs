//! `swapctl events`: one JSON line an event.

use std::time::Duration;

use holdfast_control::client::ClientError;

use super::Asked;
use crate::cli;
use crate::exit::Exit;
use crate::output;

/// Without `--follow`: what is kept comes at once; then silence means the end.
const SILENCE: Duration = Duration::from_millis(200);

pub(crate) async fn run(asked: &Asked, typed: cli::Events) -> Result<Exit, ClientError> {
    let mut stream = asked.client.listen("/v1/events?past=true").await?;
    loop {
        let next = if typed.follow {
            stream.next().await?
        } else {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(next) => next?,
                Err(_) => return Ok(Exit::Done),
            }
        };
        match next {
            Some(event) => output::json(&event),
            None => return Ok(Exit::Done),
        }
    }
}
