//! `swapctl events`: what happened, and what happens, one JSON line an event.

use std::time::Duration;

use clap::Args;
use holdfast_control::client::{ClientError, EventStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Reader};
use crate::session::{Ended, Session};

/// What is kept comes at once; so much silence is its end.
const SILENCE: Duration = Duration::from_millis(200);
/// A busy daemon may never be silent.
const KEPT_MAX: Duration = Duration::from_secs(3);

/// What happened, one JSON line for each event
#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Go on as they happen
    #[arg(long)]
    follow: bool,
}

impl Events {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let listening = session.client.listen("/v1/events?past=true").await;
        let mut stream = listening.map_err(Failure::Look)?;
        if self.follow {
            write(&mut stream, session.output).await?;
            return Ok(Exit::Done);
        }
        let until = Instant::now() + KEPT_MAX;
        while let Ok(Ok(event)) = timeout_at(until, timeout(SILENCE, stream.next())).await {
            let Some(event) = event.map_err(Failure::Look)? else {
                break;
            };
            session.output.line(&event)?;
        }
        Ok(Exit::Done)
    }
}

/// Until the reader has enough, or the daemon goes.
async fn write(stream: &mut EventStream, output: Output) -> Result<(), Failure> {
    while let Some(event) = stream.next().await.map_err(Failure::Look)? {
        if output.line(&event)? == Reader::Gone {
            return Ok(());
        }
    }
    let why = "the daemon has ended the stream of events".to_owned();
    Err(Failure::Look(ClientError::Lost(why)))
}
