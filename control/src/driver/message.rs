//! What the driver is asked, and by which way.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use swap_core::{AppName, Event, Generation, OperationId, ReleaseId};
use tokio::sync::{mpsc, oneshot};

use crate::operations::State;
use crate::wire::{Plan, Problem, Receipt, Status};

/// The way to the driver. Cheap to clone.
pub(crate) type Inbox = mpsc::Sender<Message>;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Problem>>;

/// What the driver is asked.
pub(crate) enum Message {
    /// Somebody commands something.
    Command(Command, Reply<Commanded>),
    /// What was observed of one app.
    Observed {
        app: AppName,
        event: Event,
    },
    /// A release has passed its probe, so that its failures say something.
    Passed {
        app: AppName,
        release: ReleaseId,
    },
    /// How a COMMAND ended, or that its client has left.
    CommandEnded {
        operation: OperationId,
        result: Result<(), String>,
        /// Who says so; none if it is we.
        by: Option<String>,
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
    /// How canaries of an app go, unless they are told otherwise; none: there is no such app any more.
    Canary(AppName, oneshot::Sender<Option<holdfast_config::Canary>>),
    /// The state directory and its lock, for a process that may take over.
    Lend(Reply<(PathBuf, OwnedFd)>),
    /// To be told when every app stands still.
    Still(oneshot::Sender<()>),
    /// It has not.
    TakeBack(oneshot::Sender<()>),
    /// Other settings for the apps; the data plane has them already.
    Configure(BTreeMap<AppName, holdfast_config::App>, oneshot::Sender<()>),
}

/// A command for one app.
pub(crate) struct Command {
    pub(crate) app: AppName,
    pub(crate) event: Event,
    pub(crate) verb: &'static str,
    /// `uid 0`
    pub(crate) by: String,
    pub(crate) conditions: Conditions,
}

/// On what conditions a command is carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// Its idempotency key: the same again has the first one's answer.
    pub(crate) key: Option<OperationId>,
    /// Only if this is the app's generation.
    pub(crate) generation: Option<Generation>,
}

/// What a command has led to.
pub(crate) enum Commanded {
    /// An operation has begun: watch it.
    Begun(OperationId, State),
    /// It had begun before, or has ended: this is its state.
    Known(OperationId, State),
    /// Done, in words.
    Done(String),
}
