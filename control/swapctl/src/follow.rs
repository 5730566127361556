//! Following an operation to its end: a live line on a terminal, one line an event elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use holdfast_control::client::{Client, ClientError, EventStream};
use holdfast_control::wire::{Operation, Receipt, What};
use swap_core::OperationId;

use crate::output;

/// Shows progress on standard error.
pub(crate) struct Progress {
    live: bool,
    began: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            live: std::io::stderr().is_terminal(),
            began: Instant::now(),
            shown: false,
        }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, what: &What) {
        match what {
            What::Phase {
                phase,
                in_flight,
                held,
                ..
            } => {
                let text = format!("{phase}: {in_flight} running, {held} held");
                if self.live {
                    self.redraw(&text)
                } else {
                    output::note(&text)
                }
            }
            What::Progress {
                phase,
                in_flight,
                held,
                probe,
            } if self.live => {
                let probe = probe
                    .as_ref()
                    .map_or(String::new(), |why| format!(" · {why}"));
                self.redraw(&format!("{phase}: {in_flight} running, {held} held{probe}"));
            }
            _ => {}
        }
    }

    fn redraw(&mut self, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let _ = write!(anstream::stderr(), "\r\x1b[2K{seconds:5.1} s  {text}");
        let _ = anstream::stderr().flush();
        self.shown = true;
    }

    /// The terminal belongs to somebody else from here on.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            output::note("");
        }
    }
}

/// Follows a begun operation until its receipt. If the stream is lost, asks for the end.
pub(crate) async fn to_the_end(
    client: &Client,
    operation: &OperationId,
) -> Result<Receipt, ClientError> {
    let mut progress = Progress::new();
    let listening = client
        .listen(&format!("/v1/events?operation={operation}"))
        .await;
    let followed = match listening {
        Ok(mut stream) => follow(&mut stream, &mut progress).await,
        Err(_) => None,
    };
    progress.end();
    match followed {
        Some(receipt) => Ok(receipt),
        None => wait(client, operation).await,
    }
}

async fn follow(stream: &mut EventStream, progress: &mut Progress) -> Option<Receipt> {
    while let Ok(Some(event)) = stream.next().await {
        if let What::Receipt { receipt } = event.what {
            return Some(receipt);
        }
        progress.show(&event.what);
    }
    None
}

/// The end of an operation, however long it takes.
pub(crate) async fn wait(client: &Client, operation: &OperationId) -> Result<Receipt, ClientError> {
    match client
        .get(&format!("/v1/operations/{operation}?wait=true"))
        .await
    {
        Ok(Operation::Ended { receipt }) => Ok(receipt),
        Ok(Operation::Running { .. }) => Err(ClientError::Lost("the operation goes on".into())),
        // It was begun, so a daemon that is gone now leaves the outcome unknown.
        Err(ClientError::NotReachable { why, .. }) => Err(ClientError::Lost(why)),
        Err(error) => Err(error),
    }
}
