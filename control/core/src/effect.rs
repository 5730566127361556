//! What must be done about an event, in the order given.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration::text;
use crate::{
    Cause, GateId, Generation, Methods, OperationId, ProbeId, Release, ReleaseId, Smoke, Split,
    Strategy,
};

/// One thing to do. None of them can fail from the core's point of view: what can is journalled before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Shut the door for these methods. A door that is shut already stays so and keeps its queue; its cause and its
    /// methods change.
    Hold {
        /// Why.
        cause: Cause,
        /// For whom; the others pass.
        methods: Methods,
    },
    /// Publish a table in which `live` serves behind the gate `gate`. What is published beside it stays.
    Publish {
        /// The number of the table.
        generation: Generation,
        /// Behind which gate: one that was never used before, or that of a release beside the live one, which becomes it.
        gate: GateId,
        /// Who serves; none while the app is empty.
        live: Option<Release>,
    },
    /// Publish a table in which the live release serves as before, and these beside it; none: it alone.
    Split {
        /// The number of the table.
        generation: Generation,
        /// Who gets another release.
        split: Option<Split>,
    },
    /// Ask every instance of `release` these, once each, and say `Smoked`.
    Smoke {
        /// Whose.
        operation: OperationId,
        /// To be named in the result.
        round: u64,
        /// Whom.
        release: Release,
        /// What.
        tests: Vec<Smoke>,
    },
    /// Close this gate and say `GateEmpty` when nothing runs behind it any more. Always after a publish.
    ///
    /// A gate may be closed again, for more methods (only after the narrower question was answered) or for the tunnels:
    /// `GateEmpty` then follows for that, at once if there is nothing.
    Close {
        /// Which.
        gate: GateId,
        /// Whose running requests are waited for: those of the classes (safe, unsafe) that these methods belong to.
        methods: Methods,
        /// Tunnels end at once instead of at the drain timeout.
        tunnels_too: bool,
    },
    /// The drain is over: end what still runs behind this gate, and count it. `GateEmpty` follows.
    Cut {
        /// Which.
        gate: GateId,
    },
    /// Let the held requests go, first come first served, at a pace that grows. `DoorOpen` follows.
    Release,
    /// The hold has lasted too long: refuse new arrivals at once (503), let those who wait run into their limit.
    GiveUp,
    /// Probe every instance of `release` every 100 ms until `ProbePassed`, which ends the round. Rounds are independent:
    /// several may run at once (a new release boots while the live one is being waited for), each with its own number.
    Probe {
        /// The round's number, to be named in each result.
        probe: ProbeId,
        /// Whom.
        release: Release,
        /// A release that is coming back rather than coming up: if it never passed its probe before (it has no such
        /// path), an accepted connect passes.
        recover: bool,
    },
    /// End this round; the others go on. A result of it that is still on its way means nothing.
    StopProbe {
        /// Its number.
        probe: ProbeId,
    },
    /// Tell whoever started this operation that its COMMAND may run now: the app is held and quiet.
    RunCommand {
        /// Whose.
        operation: OperationId,
    },
    /// The operation has reached this phase: for progress lines and `events`.
    Progress {
        /// Whose.
        operation: OperationId,
        /// `booting`, `smoking`, `canary`, `paused`, `watching`, `withdrawing`, `holding`, `command`, `swapped`, `releasing`,
        /// `draining`, `returning`.
        phase: &'static str,
    },
    /// The operation has ended: complete the receipt with what was counted, journal it, answer.
    Finish(Ending),
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ending {
    /// Which.
    pub operation: OperationId,
    /// `promote`, `rollback`, `hold`, `stage`.
    pub verb: String,
    /// How it would have taken over, where it would have.
    pub strategy: Option<Strategy>,
    /// How it went.
    pub outcome: Outcome,
    /// Who served before.
    pub from: Option<ReleaseId>,
    /// Who was to serve.
    pub to: Option<ReleaseId>,
    /// Who asked.
    pub by: String,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
    /// What went wrong, in words that name the thing and the last probe's result.
    pub why: Option<String>,
    /// From the start to the end.
    pub took: Duration,
    /// From the first probe to the one that passed (or to the end).
    pub boot: Option<Duration>,
    /// From the moment the door was shut to the moment it was released (or to the end).
    pub hold: Option<Duration>,
    /// From the close of the old gate to the moment it was empty (or to the end).
    pub drain: Option<Duration>,
}

/// How an operation went. swapctl's exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Done,
    /// Done at once: it was live already.
    AlreadyLive,
    /// The gate failed: not ready in time, or the COMMAND failed. The old release serves.
    Failed,
    /// Somebody said `abort`. The old release serves.
    Aborted,
    /// The judge, a smoke test or an external gate said no. The old release serves, and promotes are blocked.
    RolledBack,
    /// The daemon was restarted meanwhile; which release serves is in `status`.
    Interrupted,
}

/// What a command is told at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It has begun; `Finish` with this operation will follow (perhaps in the same step).
    Begun(OperationId),
    /// This operation is known: it runs, or has ended, and its result is the answer.
    Known(OperationId),
    /// Done, nothing more will follow. In words.
    Done(String),
    /// Refused; nothing has changed.
    Refused(Refusal),
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// One at a time.
    #[error(
        "operation {operation} ({verb}{}) is under way{}",
        .release.as_ref().map_or(String::new(), |r| format!(" {r}")),
        if *.is_canary { ": `abort` takes the canary back" } else { "" }
    )]
    Busy {
        /// The one under way.
        operation: OperationId,
        /// What it is.
        verb: String,
        /// Of which release.
        release: Option<ReleaseId>,
        /// Whether it is a canary that has a share: it may take long, and somebody may be in a hurry.
        is_canary: bool,
    },
    /// `--if-current` names another release than the live one.
    #[error("{live} is live, not {wanted}", live = .live.as_ref().map_or("no release", |r| r.as_str()))]
    NotCurrent {
        /// What was asked for.
        wanted: ReleaseId,
        /// What is live.
        live: Option<ReleaseId>,
    },
    /// `If-Match` names another generation.
    #[error("the app's generation is {is}, not {wanted}")]
    NotGeneration {
        /// What was asked for.
        wanted: Generation,
        /// What it is.
        is: Generation,
    },
    /// The app is blocked.
    #[error("promotes are blocked by {}: {}", .0.by, .0.reason)]
    Blocked(crate::Block),
    /// No such release.
    #[error(
        "release {0} is not known here: it is neither staged nor the previous one, and no --instance was given"
    )]
    UnknownRelease(ReleaseId),
    /// The timeouts that were asked for cannot fit into the hold.
    #[error(
        "drain {} + boot {} = {} do not fit into the hold's limit of {}",
        text(*.drain), text(*.boot), text(.drain.saturating_add(*.boot)), text(*.limit)
    )]
    DoesNotFit {
        /// Asked for.
        drain: Duration,
        /// Asked for.
        boot: Duration,
        /// The hold's.
        limit: Duration,
    },
    /// It makes no sense in this state.
    #[error("{0}")]
    Pointless(String),
}
