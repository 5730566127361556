//! From a command that takes its time to its receipt. The operation's id is ours and was made up before the first word,
//! so whatever becomes of a connection, the daemon can be asked for the end.

use std::time::Duration;

use holdfast_control::client::{Client, ClientError, EventStream};
use holdfast_control::wire::{Operation, Receipt, What};
use serde::Serialize;
use swap_core::OperationId;
use tokio::time::{Instant, sleep};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::hints;
use crate::progress::Progress;
use crate::session::{Ended, Session};
use crate::signals::Signals;
use crate::told;

/// How long a daemon that was lost is looked for: long enough for a restart.
const LOOK_FOR_IT: Duration = Duration::from_secs(5);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// Begins an operation, shows its progress, and writes its receipt.
pub(crate) async fn to_receipt(
    session: &Session,
    operation: &OperationId,
    path: &str,
    body: &impl Serialize,
) -> Result<Receipt, Failure> {
    let mut signals = Signals::catch().map_err(Failure::System)?;
    let mut progress = Progress::new();
    let ended = tokio::select! {
        ended = begin_and_read(&session.client, operation, path, body, &mut progress) => ended,
        signal = signals.next() => Err(Failure::Left { operation: operation.clone(), signal }),
    };
    progress.clear();
    ended
}

/// Shows the progress of an operation that has begun already.
pub(crate) async fn begun(session: &Session, operation: &OperationId) -> Result<Receipt, Failure> {
    let mut signals = Signals::catch().map_err(Failure::System)?;
    let mut progress = Progress::new();
    let following = async {
        let path = format!("/v1/events?operation={operation}");
        if let Ok(mut stream) = session.client.listen(&path).await
            && let Some(receipt) = read(&mut stream, &mut progress).await
        {
            return Ok(receipt);
        }
        progress.clear();
        ask_for_end(&session.client, operation).await
    };
    let ended = tokio::select! {
        ended = following => ended,
        signal = signals.next() => Err(Failure::Left { operation: operation.clone(), signal }),
    };
    progress.clear();
    ended
}

/// Writes the receipt of an operation that we waited for.
pub(crate) fn write(session: &Session, receipt: &Receipt) -> Ended {
    session
        .output
        .result(receipt, &told::receipt::text(receipt))?;
    hints(&told::receipt::hints(receipt));
    Ok(Exit::of(receipt))
}

async fn begin_and_read(
    client: &Client,
    operation: &OperationId,
    path: &str,
    body: &impl Serialize,
    progress: &mut Progress,
) -> Result<Receipt, Failure> {
    match client.post_and_listen(path, body).await {
        Ok(mut stream) => {
            if let Some(receipt) = read(&mut stream, progress).await {
                return Ok(receipt);
            }
        }
        Err(error) if error.leaves_doubt() => {}
        Err(error) => return Err(Failure::Command(error)),
    }
    progress.clear();
    ask_for_end(client, operation).await
}

/// Reads events up to the receipt; none if the stream ends before.
pub(crate) async fn read(stream: &mut EventStream, progress: &mut Progress) -> Option<Receipt> {
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            () = progress.tick() => continue,
        };
        match event.ok().flatten()?.what {
            What::Receipt { receipt } => return Some(receipt),
            what => progress.show(&what),
        }
    }
}

/// The end of an operation, however long it takes, as long as the daemon can be asked.
pub(crate) async fn ask_for_end(
    client: &Client,
    operation: &OperationId,
) -> Result<Receipt, Failure> {
    let mut seen = Instant::now();
    loop {
        match client.wait(operation).await {
            Ok(Operation::Ended { receipt }) => return Ok(receipt),
            Ok(Operation::Running { .. }) => seen = Instant::now(),
            Err(why) if is_final(&why) || seen.elapsed() > LOOK_FOR_IT => {
                let operation = operation.clone();
                return Err(Failure::OutcomeUnknown { operation, why });
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Whether asking again would be answered in the same way. (A daemon that starts or stops answers 503.)
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Problem(problem) => problem.status < 500,
        ClientError::Protocol(_) => true,
        ClientError::NotReachable { .. } | ClientError::Lost(_) | ClientError::Late { .. } => false,
    }
}
