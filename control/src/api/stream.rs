//! Server-sent events: of everything, or of one operation.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use swap_core::OperationId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use super::Api;
use crate::driver::Message;
use crate::events::{Subscription, wall_now};
use crate::operations::State;
use crate::server::Answer;
use crate::wire::{Event, Operation, What};

/// Events that may wait for one reader; then the ring is asked, and then it misses some.
const WAITING_MAX: usize = 64;
/// A comment is sent so often, so that a dead reader is noticed.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Events, for as long as somebody reads.
pub(super) fn of_events(operation: Option<OperationId>, subscription: Subscription) -> Answer {
    let (stream, reader) = open();
    tokio::spawn(async move {
        let _ = forward(&stream, operation.as_ref(), subscription, None).await;
    });
    reader
}

/// The events of an operation, up to its receipt.
pub(super) fn of_operation(
    operation: OperationId,
    state: State,
    subscription: Subscription,
) -> Answer {
    let (stream, reader) = open();
    tokio::spawn(async move {
        let _ = forward(&stream, Some(&operation), subscription, Some(state)).await;
    });
    reader
}

/// The same for a promote with a COMMAND. Its reader runs the command: if it goes before the end, the command has
/// failed.
pub(super) fn of_command(
    api: Api,
    operation: OperationId,
    state: State,
    subscription: Subscription,
) -> Answer {
    let (stream, reader) = open();
    tokio::spawn(async move {
        let ended = forward(&stream, Some(&operation), subscription, Some(state)).await;
        if ended.is_err() {
            let (reply, _) = oneshot::channel();
            let result = Err("swapctl went away before the command had ended".to_owned());
            let _ = api
                .inbox
                .send(Message::CommandEnded {
                    operation,
                    result,
                    reply,
                })
                .await;
        }
    });
    reader
}

/// The reader has gone.
struct Gone;

/// Sends what concerns `operation` until its receipt, or for ever. `Err`: the reader went first.
async fn forward(
    stream: &mpsc::Sender<Bytes>,
    operation: Option<&OperationId>,
    subscription: Subscription,
    state: Option<State>,
) -> Result<(), Gone> {
    let Subscription { past, mut live } = subscription;
    for event in past {
        if send(stream, operation, &event).await? {
            return Ok(());
        }
    }
    // It may have ended before we listened; then no event of it will come.
    if let Some(receipt) = state.and_then(|state| ended(&state)) {
        return send(stream, operation, &receipt).await.map(drop);
    }
    loop {
        let received = tokio::select! {
            () = stream.closed() => return Err(Gone),
            received = tokio::time::timeout(HEARTBEAT, live.recv()) => received,
        };
        match received {
            Err(_) => stream
                .send(Bytes::from_static(b":\n\n"))
                .await
                .map_err(|_| Gone)?,
            Ok(Ok(event)) => {
                if send(stream, operation, &event).await? {
                    return Ok(());
                }
            }
            Ok(Err(RecvError::Lagged(count))) => {
                let missed = what(operation, What::Missed { count });
                send(stream, operation, &missed).await?;
            }
            Ok(Err(RecvError::Closed)) => return Ok(()),
        }
    }
}

/// Sends one event if it concerns `operation`; true if it is its receipt.
async fn send(
    stream: &mpsc::Sender<Bytes>,
    operation: Option<&OperationId>,
    event: &Event,
) -> Result<bool, Gone> {
    if operation.is_some() && event.operation.as_ref() != operation {
        return Ok(false);
    }
    let json = serde_json::to_string(event).unwrap_or_default();
    let text = format!("id: {}\ndata: {json}\n\n", event.id);
    stream.send(text.into()).await.map_err(|_| Gone)?;
    Ok(operation.is_some() && matches!(event.what, What::Receipt { .. }))
}

fn ended(state: &State) -> Option<Arc<Event>> {
    match &*state.borrow() {
        Operation::Ended { receipt } => {
            let operation = receipt.operation.clone();
            let receipt = receipt.clone();
            Some(Arc::new(what(Some(&operation), What::Receipt { receipt })))
        }
        Operation::Running { .. } => None,
    }
}

fn what(operation: Option<&OperationId>, what: What) -> Event {
    Event {
        id: 0,
        at: wall_now(),
        app: None,
        operation: operation.cloned(),
        what,
    }
}

fn open() -> (mpsc::Sender<Bytes>, Answer) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let mut answer = Response::new(Lines(receiver).boxed_unsync());
    let fields = answer.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (sender, answer)
}

/// A body that is written by a task.
struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
