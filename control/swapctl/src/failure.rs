//! Why a verb has no result: what is said, which command helps, and the exit code.

use std::io;
use std::path::PathBuf;

use holdfast_control::client::{ClientError, NotReachable};
use holdfast_control::wire::Problem;
use serde_json::{Value, json};
use swap_core::{AppName, OperationId};

use crate::exit::Exit;
use crate::signals::Signal;

/// Why a verb has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was typed makes no sense together.
    #[error("{what}")]
    Usage { what: String, hint: String },
    /// Looking failed; nothing was to change.
    #[error(transparent)]
    Look(ClientError),
    /// A command failed.
    #[error(transparent)]
    Command(ClientError),
    /// An operation was begun, and then the daemon could not be asked for its end.
    #[error("the end of operation {operation} is not known: {why}")]
    OutcomeUnknown {
        operation: OperationId,
        why: ClientError,
    },
    /// A signal: we go, the operation does not.
    #[error("{signal} received; operation {operation} goes on without swapctl")]
    Left {
        operation: OperationId,
        signal: Signal,
    },
    /// It has not ended, so it has no receipt.
    #[error("operation {operation} of {app} is under way ({phase})")]
    UnderWay {
        operation: OperationId,
        app: AppName,
        phase: String,
    },
    /// Nowhere to look for the daemon.
    #[error("there is no place to look for the control socket")]
    NoSocket,
    /// Standard output takes nothing.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// The system lacks something.
    #[error("{0}")]
    System(io::Error),
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::NoSocket => Exit::Usage,
            Self::Look(error) | Self::Command(error) => match error {
                ClientError::NotReachable { .. } => Exit::NotReachable,
                ClientError::Problem(problem) => of_problem(problem),
                ClientError::Protocol(_) => Exit::Internal,
                ClientError::Lost(_) | ClientError::Late { .. } => match self {
                    Self::Look(_) => Exit::NotReachable,
                    _ => Exit::OutcomeUnknown,
                },
            },
            Self::OutcomeUnknown { .. } | Self::Left { .. } | Self::UnderWay { .. } => {
                Exit::OutcomeUnknown
            }
            Self::Output(_) | Self::System(_) => Exit::Internal,
        }
    }

    /// What to do about it; `app` as it was typed.
    pub(crate) fn hints(&self, app: Option<&AppName>) -> Vec<String> {
        let app = app.map_or(String::new(), |app| format!(" {app}"));
        match self {
            Self::Usage { hint, .. } => vec![hint.clone()],
            Self::NoSocket => {
                vec!["name it with --control PATH or $HOLDFAST_CONTROL".to_owned()]
            }
            // To look again would be no news.
            Self::Look(ClientError::Lost(_) | ClientError::Late { .. }) => {
                vec!["is the daemon stuck? its log tells".to_owned()]
            }
            Self::Look(error) | Self::Command(error) => hints_of(error, &app),
            Self::OutcomeUnknown { operation, .. } => vec![
                format!("swapctl status{app}"),
                format!("swapctl receipt {operation}"),
            ],
            Self::Left { operation, .. } => vec![
                format!("its end: swapctl receipt {operation}"),
                format!("end it: swapctl abort{app}"),
            ],
            Self::UnderWay { app, .. } => vec![
                format!("swapctl status {app}"),
                format!("end it: swapctl abort {app}"),
            ],
            Self::Output(_) | Self::System(_) => Vec::new(),
        }
    }

    /// For scripts.
    pub(crate) fn json(&self, app: Option<&AppName>) -> Value {
        let code = match self {
            Self::Usage { .. } | Self::NoSocket => "usage",
            Self::Look(error) | Self::Command(error) => match error {
                ClientError::NotReachable { .. } => "not_reachable",
                ClientError::Problem(problem) => &problem.code,
                ClientError::Protocol(_) => "protocol",
                ClientError::Lost(_) | ClientError::Late { .. } => "lost",
            },
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::Left { .. } => "signal",
            Self::UnderWay { .. } => "under_way",
            Self::Output(_) | Self::System(_) => "internal",
        };
        json!({ "error": {
            "code": code,
            "detail": self.to_string(),
            "exit": self.exit() as u8,
            "hints": self.hints(app),
        }})
    }
}

fn of_problem(problem: &Problem) -> Exit {
    match (problem.code.as_str(), problem.status) {
        ("stopping", _) => Exit::NotReachable,
        ("upgrade_failed", _) => Exit::OldServes,
        (_, 403 | 409 | 412 | 423) => Exit::Refused,
        (_, 400..500) => Exit::Usage,
        _ => Exit::Internal,
    }
}

fn hints_of(error: &ClientError, app: &str) -> Vec<String> {
    match error {
        ClientError::NotReachable { socket, why } => hints_of_socket(socket, why),
        ClientError::Problem(problem) => hints_of_problem(problem, app),
        ClientError::Lost(_) | ClientError::Late { .. } => vec![format!("swapctl status{app}")],
        ClientError::Protocol(_) => {
            vec!["do swapctl and holdfast have the same version? swapctl version".to_owned()]
        }
    }
}

fn hints_of_socket(socket: &std::path::Path, why: &NotReachable) -> Vec<String> {
    let socket: PathBuf = socket.into();
    let elsewhere = "another socket: --control PATH or $HOLDFAST_CONTROL".to_owned();
    match why {
        NotReachable::Missing | NotReachable::Deserted => vec![
            format!("start it: holdfast run --control {}", socket.display()),
            elsewhere,
        ],
        NotReachable::NotAllowed => vec![
            format!("ls -l {}", socket.display()),
            "be the daemon's user or root, or be named in control.users".to_owned(),
        ],
        NotReachable::NoSocket => vec![elsewhere],
        NotReachable::Busy(_) | NotReachable::Other(_) => Vec::new(),
    }
}

fn hints_of_problem(problem: &Problem, app: &str) -> Vec<String> {
    let hints: &[&str] = match problem.code.as_str() {
        "busy" => &["see it: swapctl status{app}", "end it: swapctl abort{app}"],
        "blocked" => &["when the reason is gone: swapctl unblock{app}"],
        "not_current" | "generation" => &[
            "somebody else has deployed: swapctl history{app}",
            "what is live: swapctl status{app}",
        ],
        "pointless" => &["swapctl status{app}"],
        "unknown_app" => &["swapctl status"],
        "unknown_operation" => &["swapctl history{app}"],
        "unknown_release" => &["say where it runs: --instance ADDR"],
        "does_not_fit" => &["a longer --hold-timeout, or a shorter --boot-timeout"],
        "forbidden" => &["be the daemon's user or root, or be named in control.users"],
        "journal" => &["is the state directory's disk full, or read-only?"],
        _ => &[],
    };
    let named = hints.iter().map(|hint| hint.replace("{app}", app));
    named.collect()
}
