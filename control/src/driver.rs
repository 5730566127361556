//! The driver: one task that owns every app's state. Events go in, the machine decides, the journal is written, effects
//! are carried out, in this order and one event at a time.
//!
//! Nothing here may wait for a client or for the data plane; the journal alone is waited for.

mod apps;
mod carry;
mod command;
mod external;
mod judging;
mod kept;
mod lending;
mod look;
mod message;
mod probing;
mod rollouts;
mod showing;
mod step;
mod wakes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use swap_core::{AppName, Event, Moment};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::events::Events;
use crate::journal::{History, Journal};
use crate::operations::Operations;
use crate::plane::{DataPlane, Signal, Signals};
use crate::swaps::Swaps;
use crate::wire::What;
use kept::Kept;
pub(crate) use message::{Command, Commanded, Conditions, Inbox, Message};
use wakes::Wakes;

/// Messages that may wait for the driver. Whoever sends one waits for room.
const INBOX_MAX: usize = 256;
/// How often progress is told while an operation runs.
const PROGRESS: Duration = Duration::from_millis(500);
/// How often the rate of requests is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

pub(crate) struct Driver {
    apps: BTreeMap<AppName, Kept>,
    wakes: Wakes,
    /// Apps that the journal knows and the configuration does not.
    absent: History,
    plane: Arc<dyn DataPlane>,
    journal: Journal,
    events: Events,
    operations: Operations,
    swaps: Swaps,
    inbox: Inbox,
    /// Who waits until every app stands still.
    still: Vec<oneshot::Sender<()>>,
    began: Instant,
    sample_at: Instant,
    progress_at: Instant,
    judge_at: Instant,
    /// Another process may have the journal.
    is_lent: bool,
}

impl Driver {
    /// A driver with nothing published yet, and the way to it.
    pub(crate) fn new(
        plane: Arc<dyn DataPlane>,
        journal: Journal,
        history: History,
        events: Events,
    ) -> (Self, mpsc::Receiver<Message>) {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let began = Instant::now();
        let driver = Self {
            apps: BTreeMap::new(),
            wakes: Wakes::default(),
            operations: ended_before(&history),
            absent: history,
            plane,
            journal,
            events,
            swaps: Swaps::default(),
            inbox,
            still: Vec::new(),
            began,
            sample_at: began,
            progress_at: began,
            judge_at: began,
            is_lent: false,
        };
        (driver, messages)
    }

    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    pub(crate) fn swaps(&self) -> Swaps {
        self.swaps.clone()
    }

    /// Takes messages and signals for as long as the runtime lives.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>, mut signals: Signals) {
        loop {
            let wake = self.next_wake();
            // In this order: however many ask, what is due is done.
            tokio::select! {
                biased;
                () = sleep_until(wake) => self.awake().await,
                signal = signals.next() => self.observe_signal(signal).await,
                message = messages.recv() => match message {
                    // Boxed: it has room for whatever may be asked.
                    Some(message) => Box::pin(self.take(message)).await,
                    None => return,
                },
            }
            self.tell_still();
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            // An answer that nobody waits for any more is dropped.
            Message::Command(command, reply) => {
                let _ = reply.send(self.command(command).await);
            }
            Message::Observed { app, event } => self.observe(&app, event).await,
            Message::Passed { app, release } => self.passed(&app, release),
            Message::CommandEnded {
                operation,
                result,
                by,
                reply,
            } => {
                let _ = reply.send(self.command_ended(operation, result, by).await);
            }
            Message::Status(reply) => drop(reply.send(self.status())),
            Message::Plan { app, boot, reply } => drop(reply.send(self.plan(&app, boot))),
            Message::History { app, limit, reply } => {
                let _ = reply.send(self.history(app.as_ref(), limit));
            }
            Message::Operation(id, reply) => drop(reply.send(self.operations.watch(&id))),
            Message::Apps(reply) => drop(reply.send(self.apps.keys().cloned().collect())),
            Message::Canary(app, reply) => {
                let kept = self.apps.get(&app);
                let _ = reply.send(kept.map(|kept| kept.config.canary.clone()));
            }
            Message::Lend(reply) => drop(reply.send(self.lend().await)),
            Message::Still(reply) => self.wait_until_still(reply),
            Message::TakeBack(reply) => {
                self.take_back().await;
                let _ = reply.send(());
            }
            Message::Configure(configs, reply) => {
                Box::pin(self.configure(configs)).await;
                let _ = reply.send(());
            }
        }
    }

    async fn observe_signal(&mut self, signal: Signal) {
        match signal {
            Signal::GateEmpty(app, gate) => self.observe(&app, Event::GateEmpty { gate }).await,
            Signal::DoorOpen(app) => {
                // A door may have been shut again since; then it is not open.
                if !self.plane.traffic(&app).hold.active {
                    self.events.tell(Some(&app), None, What::Opened);
                    self.observe(&app, Event::DoorOpen).await;
                }
            }
            Signal::LiveDown(app, gate) => self.observe(&app, Event::LiveDown { gate }).await,
        }
    }

    fn now(&self) -> Moment {
        Moment::after_origin(self.began.elapsed())
    }

    fn next_wake(&self) -> Instant {
        let mut wake = self.sample_at;
        if self.wakes.any_is_busy() {
            wake = wake.min(self.progress_at);
        }
        if self.wakes.any_rollout() && !self.is_lent {
            wake = wake.min(self.judge_at);
        }
        let at = |moment: Moment| self.began + (moment - Moment::default());
        let deadline = self.wakes.next(self.is_lent);
        deadline.map_or(wake, |deadline| wake.min(at(deadline)))
    }

    async fn awake(&mut self) {
        let late = self.wakes.late(self.now(), self.is_lent);
        for name in late {
            self.observe(&name, Event::DeadlinePassed).await;
        }
        let now = Instant::now();
        if self.judge_at <= now && self.wakes.any_rollout() && !self.is_lent {
            self.judge_at = now + judging::LOOK;
            self.judge().await;
        }
        if self.progress_at <= now {
            self.progress_at = now + PROGRESS;
            self.tell_progress();
        }
        if self.sample_at <= now {
            self.sample_at = now + SAMPLE;
            self.sample();
        }
    }
}

/// The operations whose receipts the journal has, the oldest first.
fn ended_before(history: &History) -> Operations {
    let receipts = history.values().flat_map(|past| &past.receipts);
    let mut receipts: Vec<_> = receipts.cloned().collect();
    receipts.sort_by(|one, other| one.started.cmp(&other.started));
    let mut operations = Operations::default();
    receipts
        .into_iter()
        .for_each(|receipt| operations.end(receipt));
    operations
}
