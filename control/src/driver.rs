//! The driver: one task that owns every app's state. Events go in, the machine decides, the journal is written, effects
//! are carried out, in this order and one event at a time.

mod carry;
mod kept;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use swap_core::{Answer, App, AppName, Event, Limits, Moment, OperationId, Step, step};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::events::{Events, wall_now};
use crate::journal::{History, Journal, JournalError, Record};
use crate::operations::{Operations, State};
use crate::plane::{DataPlane, Signal, Signals};
use crate::problem;
use crate::receipt::Baseline;
use crate::swaps::Swaps;
use crate::wire::{Plan, Problem, Receipt, Status, What};
pub(crate) use kept::Kept;

/// Messages that may wait for the driver. Whoever sends one waits for room.
const INBOX_MAX: usize = 256;
/// How often progress is told while an operation runs.
const PROGRESS: Duration = Duration::from_millis(500);
/// How often the rate of requests is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// What the driver is asked.
pub(crate) enum Message {
    /// A command for one app.
    Command {
        app: AppName,
        event: Event,
        verb: &'static str,
        by: String,
        reply: Reply<Commanded>,
    },
    /// What was observed of one app.
    Observed {
        app: AppName,
        event: Event,
    },
    /// How a COMMAND ended, or that its client has left.
    CommandEnded {
        operation: OperationId,
        result: Result<(), String>,
        reply: Reply<()>,
    },
    Status(oneshot::Sender<Status>),
    Plan {
        app: AppName,
        boot: Option<Duration>,
        reply: Reply<Plan>,
    },
    History {
        app: Option<AppName>,
        limit: usize,
        reply: oneshot::Sender<Vec<Receipt>>,
    },
    Operation(OperationId, oneshot::Sender<Option<State>>),
    Apps(oneshot::Sender<Vec<AppName>>),
    /// Other settings for the apps; the data plane has them already.
    Configure(BTreeMap<AppName, holdfast_config::App>, oneshot::Sender<()>),
}

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Problem>>;

/// What a command has led to.
pub(crate) enum Commanded {
    /// An operation: watch it.
    Operation(OperationId, State),
    /// Done, in words.
    Done(String),
}

/// The way to the driver. Cheap to clone.
pub(crate) type Inbox = mpsc::Sender<Message>;

pub(crate) struct Driver {
    apps: BTreeMap<AppName, Kept>,
    /// Apps that the journal knows and the configuration does not.
    absent: History,
    plane: Arc<dyn DataPlane>,
    journal: Journal,
    events: Events,
    operations: Operations,
    swaps: Swaps,
    inbox: Inbox,
    began: Instant,
    sample_at: Instant,
    progress_at: Instant,
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
        let mut operations = Operations::default();
        for receipt in history.values().flat_map(|past| &past.receipts) {
            operations.end(receipt.clone());
        }
        let driver = Self {
            apps: BTreeMap::new(),
            absent: history,
            plane,
            journal,
            events,
            operations,
            swaps: Swaps::default(),
            inbox,
            began,
            sample_at: began,
            progress_at: began,
        };
        (driver, messages)
    }

    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    pub(crate) fn swaps(&self) -> Swaps {
        self.swaps.clone()
    }

    /// Takes messages and signals until nobody can send any more.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>, mut signals: Signals) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.take(message).await,
                    None => return,
                },
                signal = signals.next() => self.observe_signal(signal).await,
                () = sleep_until(wake) => self.awake().await,
            }
        }
    }

    /// Takes over the apps of a configuration: the journal wins over their first release.
    pub(crate) async fn configure(
        &mut self,
        configs: BTreeMap<AppName, holdfast_config::App>,
    ) -> Result<(), JournalError> {
        let mut old = std::mem::take(&mut self.apps);
        for (name, config) in configs {
            match old.remove(&name) {
                Some(mut kept) => {
                    kept.app.set_limits(limits(&config));
                    kept.config = config;
                    self.apps.insert(name, kept);
                }
                None => self.admit(name, config).await?,
            }
        }
        for (name, kept) in old {
            self.absent.insert(name, kept.into_past());
        }
        Ok(())
    }

    /// An app that was not there before.
    async fn admit(
        &mut self,
        name: AppName,
        config: holdfast_config::App,
    ) -> Result<(), JournalError> {
        let mut past = self.absent.remove(&name).unwrap_or_default();
        if past.saved.live.is_none() && past.saved.generation == swap_core::Generation::default() {
            past.saved.live = config.release.clone();
        }
        let before = past.saved.clone();
        let step = App::restore(past.saved, limits(&config), self.now());
        let since = past.live_since.unwrap_or_else(wall_now);
        let kept = Kept::new(step.app.clone(), config, since, past.receipts);
        self.apps.insert(name.clone(), kept);
        if step.app.saved() != before {
            self.journal(&name, &step.app, None).await?;
        }
        self.finish_step(&name, step, None).await;
        Ok(())
    }

    fn now(&self) -> Moment {
        Moment::after_origin(self.began.elapsed())
    }

    fn next_wake(&self) -> Instant {
        let deadline = self
            .apps
            .values()
            .filter_map(|kept| kept.app.deadline())
            .min();
        let at = |moment: Moment| self.began + (moment - Moment::default());
        let mut wake = self.sample_at;
        if self.apps.values().any(|kept| kept.app.running().is_some()) {
            wake = wake.min(self.progress_at);
        }
        deadline.map_or(wake, |deadline| wake.min(at(deadline)))
    }

    async fn awake(&mut self) {
        let now = self.now();
        let late = self
            .apps
            .iter()
            .filter(|(_, kept)| kept.app.deadline().is_some_and(|at| at <= now));
        let late: Vec<AppName> = late.map(|(name, _)| name.clone()).collect();
        for name in late {
            self.observe(&name, Event::DeadlinePassed).await;
        }
        let now = Instant::now();
        if self.progress_at <= now {
            self.progress_at = now + PROGRESS;
            self.tell_progress();
        }
        if self.sample_at <= now {
            self.sample_at = now + SAMPLE;
            self.sample();
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Command {
                app,
                event,
                verb,
                by,
                reply,
            } => {
                let result = self.command(&app, event, verb, &by).await;
                let _ = reply.send(result);
            }
            Message::Observed { app, event } => self.observe(&app, event).await,
            Message::CommandEnded {
                operation,
                result,
                reply,
            } => {
                let _ = reply.send(self.command_ended(operation, result).await);
            }
            Message::Status(reply) => drop(reply.send(self.status())),
            Message::Plan { app, boot, reply } => drop(reply.send(self.plan(&app, boot))),
            Message::History { app, limit, reply } => {
                let _ = reply.send(self.history(app.as_ref(), limit));
            }
            Message::Operation(id, reply) => drop(reply.send(self.operations.watch(&id))),
            Message::Apps(reply) => drop(reply.send(self.apps.keys().cloned().collect())),
            Message::Configure(configs, reply) => {
                if let Err(error) = self.configure(configs).await {
                    tracing::error!(%error, "new apps were not journalled");
                }
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
            Signal::LiveDown(app, gate) => {
                self.events.tell(Some(&app), None, What::Down);
                self.observe(&app, Event::LiveDown { gate }).await;
            }
        }
    }

    /// A command: refused, or durable when this returns.
    async fn command(
        &mut self,
        name: &AppName,
        event: Event,
        verb: &'static str,
        by: &str,
    ) -> Result<Commanded, Problem> {
        let Some(kept) = self.apps.get(name) else {
            let known: Vec<&str> = self.apps.keys().map(AppName::as_str).collect();
            return Err(problem::unknown_app(name.as_str(), &known));
        };
        let before = self.plane.traffic(name);
        let step = step(&kept.app, event, self.now());
        if let Some(Answer::Refused(refusal)) = &step.answer {
            return Err(problem::refused(refusal));
        }
        if step.app.saved() != kept.app.saved() {
            let written = self.journal(name, &step.app, None).await;
            written.map_err(|error| problem::journal(&error))?;
        }
        let answer = step.answer.clone();
        let baseline = match &answer {
            Some(Answer::Begun(operation)) => {
                self.operations.begin(operation, name);
                Some(Baseline {
                    started: wall_now(),
                    traffic: before,
                })
            }
            _ => None,
        };
        self.finish_step(name, step, baseline).await;
        match answer {
            Some(Answer::Begun(operation) | Answer::Known(operation)) => {
                let unknown = || problem::unknown_operation(operation.as_str());
                let state = self.operations.watch(&operation).ok_or_else(unknown)?;
                Ok(Commanded::Operation(operation, state))
            }
            Some(Answer::Done(said)) => {
                let (verb, by) = (verb.to_owned(), by.to_owned());
                let what = What::Command {
                    verb,
                    by,
                    said: said.clone(),
                };
                self.events.tell(Some(name), None, what);
                Ok(Commanded::Done(said))
            }
            Some(Answer::Refused(refusal)) => Err(problem::refused(&refusal)),
            None => Ok(Commanded::Done("nothing to do".into())),
        }
    }

    async fn command_ended(
        &mut self,
        operation: OperationId,
        result: Result<(), String>,
    ) -> Result<(), Problem> {
        let runs_it = |kept: &Kept| kept.app.running().is_some_and(|r| r.operation == operation);
        let app = self
            .apps
            .iter()
            .find(|(_, kept)| runs_it(kept))
            .map(|(name, _)| name.clone());
        match app {
            Some(app) => {
                self.observe(&app, Event::CommandEnded { operation, result })
                    .await
            }
            None if self.operations.watch(&operation).is_some() => {}
            None => return Err(problem::unknown_operation(operation.as_str())),
        }
        Ok(())
    }

    /// What was observed has happened, whether it can be journalled or not.
    async fn observe(&mut self, name: &AppName, event: Event) {
        self.note_passed(name, &event);
        let Some(kept) = self.apps.get(name) else {
            return; // Gone with a reload.
        };
        let mut next = step(&kept.app, event.clone(), self.now());
        if next.app.saved() != kept.app.saved()
            && let Err(error) = self.journal(name, &next.app, None).await
        {
            tracing::error!(app = %name, %error, "what happened could not be journalled");
            let Some(kept) = self.apps.get(name) else {
                return;
            };
            let why = error.to_string();
            next = step(
                &kept.app,
                Event::JournalFailed {
                    why,
                    event: Box::new(event),
                },
                self.now(),
            );
        }
        self.finish_step(name, next, None).await;
    }

    async fn finish_step(&mut self, name: &AppName, step: Step, baseline: Option<Baseline>) {
        let Step {
            app,
            effects,
            answer: _,
        } = step;
        if let Some(kept) = self.apps.get_mut(name) {
            if kept.app.live() != app.live() {
                kept.live_since = wall_now();
            }
            kept.app = app;
            if baseline.is_some() {
                kept.baseline = baseline;
            }
        }
        for effect in effects {
            self.carry_out(name, effect).await;
        }
    }

    /// Durable when this returns.
    async fn journal(
        &self,
        name: &AppName,
        app: &App,
        receipt: Option<Receipt>,
    ) -> Result<(), JournalError> {
        let kept = self.apps.get(name);
        let unchanged = kept.filter(|kept| kept.app.live() == app.live());
        let live_since = unchanged.map_or_else(wall_now, |kept| kept.live_since.clone());
        let live_since = app.live().map(|_| live_since);
        let record = Record {
            v: crate::journal::FORMAT,
            at: wall_now(),
            app: name.clone(),
            saved: app.saved(),
            live_since,
            receipt,
        };
        self.journal.append(record).await
    }
}

fn limits(config: &holdfast_config::App) -> Limits {
    Limits {
        boot: config.timeouts.boot,
        drain: config.timeouts.drain,
        drain_held: config.timeouts.drain_held,
        max_wait: config.hold.max_wait,
    }
}
