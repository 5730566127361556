//! The driver by itself, for `simulation`: its journal in any directory, commands as events, and a wall clock that is set.
//! Behind the feature `simulation`, in no build that is shipped.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use swap_core::{AppName, Event, OperationId, Saved};
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{Command, Commanded, Conditions, Driver, Inbox, Message};
use crate::events::Events;
pub use crate::journal::simulating::{Directory, DirectoryFile};
use crate::journal::{Journal, JournalError};
use crate::plane::{DataPlane, Signals};
use crate::wire::{Operation, Problem, Receipt, Status};

thread_local! {
    static WALL: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// The wall clock of this thread, if it has been set.
pub(crate) fn wall() -> Option<Timestamp> {
    WALL.get()
}

/// Sets the wall clock of this thread, in milliseconds since 1970.
pub fn set_wall(ms: i64) {
    WALL.set(Timestamp::from_millisecond(ms).ok());
}

/// A driver that has its journal open and has published nothing.
pub struct Simulated {
    driver: Driver,
    messages: mpsc::Receiver<Message>,
    history: BTreeMap<AppName, Saved>,
}

/// One that runs on the runtime that started it. Cheap to clone.
#[derive(Clone)]
pub struct Commander(Inbox);

/// What a command has led to.
#[derive(Debug)]
pub enum Said {
    /// An operation: it runs, or has ended.
    Operation(watch::Receiver<Operation>),
    /// Done, in words.
    Done(String),
}

impl Simulated {
    /// Opens the journal; each record takes `latency`.
    ///
    /// # Errors
    ///
    /// As for the real one.
    pub fn open<D>(
        directory: D,
        latency: impl Fn() -> Duration + Send + 'static,
        plane: Arc<dyn DataPlane>,
    ) -> Result<Self, JournalError>
    where
        D: Directory<File: Send> + Send + 'static,
    {
        let (journal, past) = Journal::simulated(directory, latency)?;
        let history = past.iter();
        let history = history.map(|(name, past)| (name.clone(), past.saved.clone()));
        let history = history.collect();
        let (driver, messages) = Driver::new(plane, journal, past, Events::new());
        Ok(Self {
            driver,
            messages,
            history,
        })
    }

    /// What the journal said.
    pub fn history(&self) -> &BTreeMap<AppName, Saved> {
        &self.history
    }

    /// Publishes the apps and takes commands.
    pub async fn start(
        mut self,
        apps: BTreeMap<AppName, holdfast_config::App>,
        signals: Signals,
    ) -> Commander {
        Box::pin(self.driver.configure(apps)).await;
        let inbox = self.driver.inbox();
        tokio::spawn(self.driver.run(self.messages, signals));
        Commander(inbox)
    }
}

impl Commander {
    /// Commands something; `key` is its idempotency key, where it begins no operation.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub async fn command(
        &self,
        app: &AppName,
        event: Event,
        verb: &'static str,
        key: Option<OperationId>,
    ) -> Result<Said, Problem> {
        let command = Command {
            app: app.clone(),
            event,
            verb,
            by: "uid 0".to_owned(),
            conditions: Conditions {
                key,
                generation: None,
            },
        };
        let said = self.ask(|reply| Message::Command(command, reply)).await?;
        Ok(match said {
            Commanded::Begun(_, state) | Commanded::Known(_, state) => Said::Operation(state),
            Commanded::Done(said) => Said::Done(said),
        })
    }

    /// Says how a COMMAND ended.
    ///
    /// # Errors
    ///
    /// If there is no such operation.
    pub async fn command_ended(
        &self,
        operation: OperationId,
        result: Result<(), String>,
    ) -> Result<(), Problem> {
        self.ask(|reply| Message::CommandEnded {
            operation,
            result,
            by: None,
            reply,
        })
        .await
    }

    /// What `swapctl status` shows.
    pub async fn status(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Status(reply)).await.ok()?;
        answer.await.ok()
    }

    /// The receipts of all apps, the newest first.
    pub async fn receipts(&self) -> Vec<Receipt> {
        let (reply, answer) = oneshot::channel();
        let (app, limit) = (None, usize::MAX);
        let _ = self.0.send(Message::History { app, limit, reply }).await;
        answer.await.unwrap_or_default()
    }

    /// Other settings; the data plane has them already.
    pub async fn configure(&self, apps: BTreeMap<AppName, holdfast_config::App>) {
        let (reply, answer) = oneshot::channel();
        let _ = self.0.send(Message::Configure(apps, reply)).await;
        let _ = answer.await;
    }

    /// Lends the journal to a process that may take over.
    ///
    /// # Errors
    ///
    /// While an app is in the middle of something.
    pub async fn lend(&self) -> Result<(), Problem> {
        self.ask(Message::Lend).await.map(drop)
    }

    /// That process is gone.
    pub async fn take_back(&self) {
        let (reply, answer) = oneshot::channel();
        let _ = self.0.send(Message::TakeBack(reply)).await;
        let _ = answer.await;
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Message,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        if self.0.send(message(reply)).await.is_err() {
            return Err(crate::problem::stopped());
        }
        answer
            .await
            .unwrap_or_else(|_| Err(crate::problem::stopped()))
    }
}
