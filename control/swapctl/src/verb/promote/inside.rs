//! A promote with a COMMAND: the daemon says when requests wait and nothing runs, we run it, we say how it ended.
//!
//! While our stream of events is open the daemon knows that somebody is there; if we die, it puts everything back. So
//! the stream is read all the time, while the COMMAND runs too. It is run at most once, whatever the daemon says.

use holdfast_control::client::{ClientError, EventStream};
use holdfast_control::wire::{CommandEnd, Event, PromoteRequest, Receipt, Said, What};
use swap_core::{AppName, OperationId};

use super::child::{Child, Recipe, failed};
use crate::failure::Failure;
use crate::follow;
use crate::output::note;
use crate::progress::Progress;
use crate::session::Session;
use crate::signals::{Signal, Signals};
use crate::words::plain;

/// What comes before the COMMAND may run.
enum Turn {
    /// It may run now.
    Ours(Option<AppName>),
    /// The operation has ended before that.
    Over(Box<Receipt>),
    /// The daemon has gone, or takes us for gone: it will not be run.
    Lost,
    /// A signal came first.
    Signalled(Signal),
}

/// What is left of the stream of events.
struct Listening {
    stream: Option<EventStream>,
    receipt: Option<Receipt>,
    progress: Progress,
}

/// Begins the promote, runs the COMMAND when it is its turn, and goes on to the receipt.
pub(super) async fn to_receipt(
    session: &Session,
    operation: &OperationId,
    path: &str,
    request: &PromoteRequest,
    recipe: &Recipe,
) -> Result<Receipt, Failure> {
    let mut signals = Signals::catch().map_err(Failure::System)?;
    let left = |signal| Failure::Left {
        operation: operation.clone(),
        signal,
    };
    let posting = session.client.post_and_listen(path, request);
    tokio::pin!(posting);
    // A signal that comes too early is told as soon as there is an operation to tell it of. A second one cannot wait.
    let (stream, early) = tokio::select! {
        begun = &mut posting => (begun, None),
        early = signals.next() => tokio::select! {
            begun = &mut posting => (begun, Some(early)),
            second = signals.next() => return Err(left(second)),
        },
    };
    let stream = stream.map_err(|why| not_begun(operation, why))?;
    let mut listening = Listening::to(stream);
    let turn = match early {
        Some(signal) => Turn::Signalled(signal),
        None => listening.turn(&mut signals).await,
    };
    let end = match turn {
        Turn::Over(receipt) => return Ok(*receipt),
        Turn::Lost => return follow::ask_for_end(&session.client, operation).await,
        Turn::Signalled(signal) => {
            let name = recipe.name();
            failed(format!(
                "swapctl received {signal} before {name} was started"
            ))
        }
        Turn::Ours(app) => match recipe.start(app.as_ref(), session.output) {
            Ok(child) => listening.meanwhile(child, &mut signals).await,
            Err(end) => end,
        },
    };
    if listening.receipt.is_none() {
        report(session, operation, &end).await;
    }
    let ended = tokio::select! {
        receipt = listening.rest() => match receipt {
            Some(receipt) => Ok(receipt),
            None => follow::ask_for_end(&session.client, operation).await,
        },
        signal = signals.next() => Err(left(signal)),
    };
    listening.progress.clear();
    ended
}

fn not_begun(operation: &OperationId, why: ClientError) -> Failure {
    match why.leaves_doubt() {
        true => Failure::OutcomeUnknown {
            operation: operation.clone(),
            why,
        },
        false => Failure::Command(why),
    }
}

/// Says how it ended. If that does not get through, the daemon has ended the operation, or takes us for gone: what
/// follows on the stream, or the operation itself, tells the end.
async fn report(session: &Session, operation: &OperationId, end: &CommandEnd) {
    if let Some(why) = &end.why {
        note(&plain(why));
    }
    let path = format!("/v1/operations/{operation}/command");
    let answer: Result<Said, _> = session.client.post(&path, end).await;
    if let Err(error) = answer {
        note(&format!(
            "the daemon was not told: {}",
            plain(&error.to_string())
        ));
    }
}

impl Listening {
    fn to(stream: EventStream) -> Self {
        Self {
            stream: Some(stream),
            receipt: None,
            progress: Progress::new(),
        }
    }

    /// Waits for the word to begin.
    async fn turn(&mut self, signals: &mut Signals) -> Turn {
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                signal = signals.next() => {
                    self.progress.clear();
                    return Turn::Signalled(signal);
                }
            };
            let Some(Event { app, what, .. }) = event else {
                self.progress.clear();
                return match self.receipt.take() {
                    Some(receipt) => Turn::Over(Box::new(receipt)),
                    None => Turn::Lost,
                };
            };
            self.progress.show(&what);
            if matches!(&what, What::Phase { phase, .. } if phase == "command") {
                self.progress.clear();
                return Turn::Ours(app);
            }
        }
    }

    /// Reads on while the COMMAND has the terminal. Its end is waited for even if the daemon does not wait any longer:
    /// it may be about to start what is to serve.
    async fn meanwhile(&mut self, child: Child, signals: &mut Signals) -> CommandEnd {
        let running = child.end(signals);
        tokio::pin!(running);
        loop {
            if self.stream.is_none() {
                return running.await;
            }
            let event = tokio::select! {
                end = &mut running => return end,
                event = self.next() => event,
            };
            if event.is_none() {
                self.say_that_it_is_late();
            }
        }
    }

    fn say_that_it_is_late(&self) {
        let why = match &self.receipt {
            Some(receipt) => receipt.why.as_deref().unwrap_or("the operation has ended"),
            None => "the connection to the daemon was lost",
        };
        note(&format!("{}; waiting for the COMMAND to end", plain(why)));
    }

    /// The rest, up to the receipt; none if the stream ends before.
    async fn rest(&mut self) -> Option<Receipt> {
        match &mut self.stream {
            Some(stream) => follow::read(stream, &mut self.progress).await,
            None => self.receipt.take(),
        }
    }

    /// The next event; none when there will be no more. Cancel-safe.
    async fn next(&mut self) -> Option<Event> {
        let stream = self.stream.as_mut()?;
        let event = loop {
            tokio::select! {
                event = stream.next() => break event.ok().flatten(),
                () = self.progress.tick() => {}
            }
        };
        match event {
            Some(Event {
                what: What::Receipt { receipt },
                ..
            }) => {
                self.receipt = Some(receipt);
                self.stream = None;
                None
            }
            None => {
                self.stream = None;
                None
            }
            event => event,
        }
    }
}
