//! How it ends: the exit code, and what is said about it.

use std::process::ExitCode;

use holdfast_control::client::ClientError;
use holdfast_control::wire::{Problem, Receipt};
use swap_core::Outcome;

use crate::output;

/// An exit code of CONTRACT's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Internal = 1,
    Usage = 2,
    NotReachable = 3,
    /// The old release serves.
    Failed = 4,
    /// Another swap, `--if-current`, blocked.
    Refused = 6,
    /// Whether it was done is not known.
    Unknown = 7,
    /// Done, but requests were lost or cut.
    Lost = 8,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        output::error(&error.to_string(), None);
        Self::Internal
    }

    pub(crate) fn usage(error: &str, hint: Option<&str>) -> Self {
        output::error(error, hint);
        Self::Usage
    }

    /// What an ended operation means.
    pub(crate) fn of_receipt(receipt: &Receipt) -> Self {
        match receipt.outcome {
            Outcome::Done | Outcome::AlreadyLive if receipt.lost + receipt.cut > 0 => Self::Lost,
            Outcome::Done | Outcome::AlreadyLive => Self::Done,
            Outcome::Failed | Outcome::Aborted => Self::Failed,
            Outcome::Interrupted => Self::Unknown,
        }
    }

    /// Says what went wrong, and what to do about it.
    pub(crate) fn of_error(error: &ClientError) -> Self {
        let (exit, hint) = match error {
            ClientError::NotReachable { .. } => (
                Self::NotReachable,
                Some("is `holdfast run` up? --control or $HOLDFAST_CONTROL names its socket"),
            ),
            ClientError::Problem(problem) => of_problem(problem),
            ClientError::Lost(_) => (
                Self::Unknown,
                Some("`swapctl status` tells where the app stands"),
            ),
            ClientError::Protocol(_) => (
                Self::Internal,
                Some("do swapctl and holdfast have the same version?"),
            ),
        };
        output::error(&error.to_string(), hint);
        exit
    }
}

fn of_problem(problem: &Problem) -> (Exit, Option<&'static str>) {
    match problem.code.as_str() {
        "busy" => (
            Exit::Refused,
            Some("`swapctl status` shows it, `swapctl abort` ends it"),
        ),
        "blocked" => (
            Exit::Refused,
            Some("`swapctl unblock` when the reason is gone"),
        ),
        "not_current" | "generation" => (
            Exit::Refused,
            Some("somebody else has deployed: look at `swapctl history`"),
        ),
        "pointless" | "forbidden" => (Exit::Refused, None),
        "journal" => (
            Exit::Internal,
            Some("is the state directory's disk full or read-only?"),
        ),
        "stopping" => (Exit::Unknown, None),
        "unknown_release" => (Exit::Usage, Some("name its instances with --instance")),
        _ => (Exit::Usage, None),
    }
}
