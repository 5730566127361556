//! The exit codes, and what of an operation's end each stands for. Scripts depend on them.

use std::process::ExitCode;

use holdfast_control::wire::Receipt;
use swap_core::Outcome;

/// How swapctl ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Internal = 1,
    Usage = 2,
    NotReachable = 3,
    /// The gate failed, or somebody said `abort`: the old release serves.
    OldServes = 4,
    /// The judge said no: the old release serves, and promotes are blocked.
    RolledBack = 5,
    /// Another swap, `--if-current`, blocked.
    Refused = 6,
    /// Nobody can say whether it was done.
    OutcomeUnknown = 7,
    /// Done, but requests were lost or cut.
    DoneWithLoss = 8,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    /// What an ended operation means.
    pub(crate) fn of(receipt: &Receipt) -> Self {
        match receipt.outcome {
            Outcome::Done | Outcome::AlreadyLive if receipt.lost > 0 || receipt.cut > 0 => {
                Self::DoneWithLoss
            }
            Outcome::Done | Outcome::AlreadyLive => Self::Done,
            Outcome::Failed | Outcome::Aborted => Self::OldServes,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Interrupted => Self::OutcomeUnknown,
        }
    }
}
