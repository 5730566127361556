//! Server-sent events: of everything, or of one operation up to its receipt.
//!
//! A task writes them, so a reader who is slow or stuck keeps nobody waiting: he misses events and is told how many.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use swap_core::OperationId;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;

use super::Api;
use super::read::{is_true, parameters};
use crate::driver::{Inbox, Message};
use crate::events::Subscription;
use crate::operations::State;
use crate::problem;
use crate::server::Answer;
use crate::wall::wall_now;
use crate::wire::{Event, Operation, Problem, What};

/// Events that may wait for one reader; then the ring is asked, and then he misses some.
const WAITING_MAX: usize = 64;
/// A comment is sent after so long without an event.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The phase that tells a reader to run the COMMAND.
const COMMAND: &str = "command";
/// Streams of events at once: fewer than connections, so that commands always find a place.
pub(super) const PLACES: usize = 32;

impl Api {
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = self.streams.clone().try_acquire_owned();
        place.map_err(|_| problem::too_many_streams(PLACES))
    }

    pub(super) async fn stream(&self, request: &Request<Incoming>) -> Result<Answer, Problem> {
        let query = parameters(request.uri().query(), &["operation", "past"])?;
        let last = last_event_id(request.headers())?;
        let wants_past = is_true(&query, "past")?;
        let watched = match query.get("operation") {
            Some(id) => {
                let (operation, state) = self.known_operation(id).await?;
                Some(Watched::new(operation, state, Runner::Nobody))
            }
            None => None,
        };
        // Who asks for an operation may be late: its events that are kept are told. So they are to who asks for them.
        let after = last.or((wants_past || watched.is_some()).then_some(0));
        let subscription = match after {
            Some(last) => self.events.subscribe_after(last),
            None => self.events.subscribe(),
        };
        Ok(open(self.place()?, subscription, watched))
    }
}

fn last_event_id(fields: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = fields.get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|id| id.parse().ok());
    let wrong = || problem::usage("Last-Event-ID is not a whole number");
    id.map(Some).ok_or_else(wrong)
}

/// The operation that a stream is about.
pub(super) struct Watched {
    operation: OperationId,
    state: State,
    runner: Runner,
    /// Whether the phase `command` has been told.
    command_told: bool,
}

/// Who runs the operation's COMMAND.
pub(super) enum Runner {
    /// The reader of this stream: if he leaves before the end, the COMMAND has failed.
    Reader(Inbox),
    /// Somebody else: this reader must not be told to.
    Another,
    /// Whoever it is, this reader just looks on.
    Nobody,
}

impl Watched {
    pub(super) fn new(operation: OperationId, state: State, runner: Runner) -> Self {
        Self {
            operation,
            state,
            runner,
            command_told: false,
        }
    }
}

/// An answer that goes on for as long as somebody reads; with `watched`, until its receipt.
pub(super) fn open(
    place: OwnedSemaphorePermit,
    subscription: Subscription,
    watched: Option<Watched>,
) -> Answer {
    let (lines, reader) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let mut teller = Teller { lines, watched };
        if let Err(Gone) = teller.tell_all(subscription).await {
            teller.reader_left().await;
        }
        drop(place);
    });
    let mut answer = Response::new(Lines(reader).boxed_unsync());
    let fields = answer.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The reader has gone.
struct Gone;

/// Whether a stream is at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Reached,
    NotYet,
}

struct Teller {
    lines: mpsc::Sender<Bytes>,
    watched: Option<Watched>,
}

impl Teller {
    async fn tell_all(&mut self, subscription: Subscription) -> Result<(), Gone> {
        let Subscription {
            missed,
            past,
            mut live,
        } = subscription;
        if missed > 0 {
            self.tell(&ours(None, What::Missed { count: missed }))
                .await?;
        }
        for event in past {
            if self.tell(&event).await? == End::Reached {
                return Ok(());
            }
        }
        while self.tell_next(&mut live).await? == End::NotYet {}
        Ok(())
    }

    /// Tells what has happened, or waits until something does.
    async fn tell_next(&mut self, live: &mut broadcast::Receiver<Arc<Event>>) -> Result<End, Gone> {
        match live.try_recv() {
            Ok(event) => self.tell(&event).await,
            Err(TryRecvError::Lagged(count)) => {
                self.tell(&ours(None, What::Missed { count })).await
            }
            Err(TryRecvError::Closed) => Ok(End::Reached),
            Err(TryRecvError::Empty) => match self.catch_up() {
                Some(event) => self.tell(&event).await,
                None => self.wait_and_tell(live).await,
            },
        }
    }

    async fn wait_and_tell(
        &mut self,
        live: &mut broadcast::Receiver<Arc<Event>>,
    ) -> Result<End, Gone> {
        let waited = tokio::select! {
            () = self.lines.closed() => return Err(Gone),
            waited = timeout(HEARTBEAT, live.recv()) => waited,
        };
        match waited {
            Ok(Ok(event)) => self.tell(&event).await,
            // Looked at again, and said, by the next turn.
            Ok(Err(broadcast::error::RecvError::Lagged(count))) => {
                self.tell(&ours(None, What::Missed { count })).await
            }
            Ok(Err(broadcast::error::RecvError::Closed)) => Ok(End::Reached),
            Err(_) => {
                self.send(Bytes::from_static(b":\n\n")).await?;
                Ok(End::NotYet)
            }
        }
    }

    /// What its operation's state says and no event did: it was missed, or came before anybody listened.
    fn catch_up(&self) -> Option<Event> {
        let watched = self.watched.as_ref()?;
        match &*watched.state.borrow() {
            Operation::Ended { receipt } => {
                let receipt = receipt.clone();
                Some(ours(Some(watched), What::Receipt { receipt }))
            }
            Operation::Running { phase, .. } => {
                let is_told = watched.command_told || !matches!(watched.runner, Runner::Reader(_));
                let what = What::Phase {
                    phase: COMMAND.to_owned(),
                    in_flight: 0,
                    held: 0,
                    release: None,
                };
                (phase == COMMAND && !is_told).then(|| ours(Some(watched), what))
            }
        }
    }

    /// Tells an event if it concerns this stream.
    async fn tell(&mut self, event: &Event) -> Result<End, Gone> {
        if !self.concerns(event) {
            return Ok(End::NotYet);
        }
        let json = serde_json::to_string(event).unwrap_or_default();
        // One of our own has no number to come back to.
        let text = match event.id {
            0 => format!("data: {json}\n\n"),
            id => format!("id: {id}\ndata: {json}\n\n"),
        };
        self.send(text.into()).await?;
        let is_end = self.watched.is_some() && matches!(event.what, What::Receipt { .. });
        Ok(if is_end { End::Reached } else { End::NotYet })
    }

    fn concerns(&mut self, event: &Event) -> bool {
        let Some(watched) = &mut self.watched else {
            return true;
        };
        if let What::Missed { .. } = event.what {
            return true;
        }
        if event.operation.as_ref() != Some(&watched.operation) {
            return false;
        }
        match (&event.what, &watched.runner) {
            (What::Phase { phase, .. }, Runner::Reader(_)) if phase == COMMAND => {
                // Once: he would run it again.
                !std::mem::replace(&mut watched.command_told, true)
            }
            (What::Phase { phase, .. }, Runner::Another) => phase != COMMAND,
            _ => true,
        }
    }

    async fn send(&self, line: Bytes) -> Result<(), Gone> {
        self.lines.send(line).await.map_err(|_| Gone)
    }

    async fn reader_left(self) {
        let Some(Watched {
            operation,
            runner: Runner::Reader(inbox),
            ..
        }) = self.watched
        else {
            return;
        };
        let (reply, _) = oneshot::channel();
        let ended = Message::CommandEnded {
            operation,
            result: Err("swapctl went away before the command had ended".to_owned()),
            by: None,
            reply,
        };
        // Fails only when the driver is gone, and everything with it.
        let _ = inbox.send(ended).await;
    }
}

/// An event that is for one reader only.
fn ours(watched: Option<&Watched>, what: What) -> Event {
    Event {
        id: 0,
        at: wall_now(),
        app: None,
        operation: watched.map(|watched| watched.operation.clone()),
        what,
    }
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
