//! What can happen to an app: commands of people, and what was observed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Address, ArmName, CanaryPlan, GateId, Generation, Methods, OperationId, ProbeId, ReleaseId,
    Share, Verdict,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time: it is told and gone"
)]
pub enum Event {
    /// `swapctl promote`.
    Promote(Promote),
    /// `swapctl stage`: probe it, keep it ready, give it no traffic.
    Stage(Stage),
    /// `swapctl unstage`.
    Unstage {
        /// Which one to forget.
        release: ReleaseId,
    },
    /// `swapctl hold`.
    Hold(HoldCommand),
    /// `swapctl resume`.
    Resume,
    /// `swapctl rollback`.
    Rollback(Rollback),
    /// `swapctl abort`: the swap under way; the old release keeps serving.
    Abort,
    /// `swapctl block`.
    Block(crate::Block),
    /// `swapctl unblock`.
    Unblock,
    /// `swapctl pause`: the canary keeps its share until somebody decides. (`resume` lets it go on.)
    Pause {
        /// Who: `uid 0`.
        by: String,
    },
    /// `swapctl advance`: the canary's next step, whatever the judge says.
    Advance {
        /// Who.
        by: String,
    },
    /// `swapctl experiment start`.
    StartExperiment(StartExperiment),
    /// `swapctl experiment close`.
    CloseExperiment(CloseExperiment),
    /// The COMMAND of a promote with strategy hold ended, or swapctl died before it did.
    CommandEnded {
        /// Whose command.
        operation: OperationId,
        /// What went wrong, in words, unless it exited 0.
        result: Result<(), String>,
    },
    /// Every instance passed as many probes in a row as asked.
    ProbePassed {
        /// Which round of probing.
        probe: ProbeId,
    },
    /// An instance failed its probe. Probing goes on; the words are for whoever asks why it took so long.
    ProbeFailed {
        /// Which round of probing.
        probe: ProbeId,
        /// `127.0.0.1:3001 answered 503 to GET /up`.
        why: String,
    },
    /// What the judge says of the canary. Told again and again, as long as it says anything.
    Judged {
        /// Of which rollout.
        operation: OperationId,
        /// Of which of its rounds; a verdict on an older one is late and means nothing.
        round: u64,
        /// What.
        verdict: Verdict,
        /// In words.
        why: String,
    },
    /// The smoke tests have ended.
    Smoked {
        /// Of which rollout.
        operation: OperationId,
        /// Of which of its rounds.
        round: u64,
        /// What was seen instead of what should have been, in words.
        result: Result<(), String>,
    },
    /// A closed gate is empty (of the asked class of methods), and each worker has closed its idle connections to it.
    GateEmpty {
        /// Which gate.
        gate: GateId,
    },
    /// The queue behind a door that was released is empty; the door is open again.
    DoorOpen,
    /// No instance behind this gate can be reached; the door has shut itself.
    LiveDown {
        /// The gate through which the requests had gone that came back unsent. An older one means nothing.
        gate: GateId,
    },
    /// What the step for `event` changed could not be journalled, so the driver threw that step away. An operation under
    /// way ends `Failed` and the old release serves; one that has swapped already ends `Done`. Then `event`, which did
    /// happen, counts for what is left. (A command is refused instead, and nothing has happened.)
    ///
    /// This step publishes nothing, so it is carried out even if it cannot be journalled either.
    JournalFailed {
        /// `disk full: /var/lib/holdfast/journal`.
        why: String,
        /// What was observed.
        event: Box<Event>,
    },
    /// The deadline of `App::deadline` has come (or `step` was called for no reason: then nothing happens, but for what
    /// `App::set_limits` has left to be done).
    DeadlinePassed,
}

impl Event {
    /// Whether somebody said it, and waits for an answer; else it was observed.
    pub const fn is_command(&self) -> bool {
        match self {
            Self::Promote(_)
            | Self::Stage(_)
            | Self::Unstage { .. }
            | Self::Hold(_)
            | Self::Resume
            | Self::Rollback(_)
            | Self::Abort
            | Self::Block(_)
            | Self::Unblock
            | Self::Pause { .. }
            | Self::Advance { .. }
            | Self::StartExperiment(_)
            | Self::CloseExperiment(_) => true,
            Self::Judged { .. }
            | Self::Smoked { .. }
            | Self::CommandEnded { .. }
            | Self::ProbePassed { .. }
            | Self::ProbeFailed { .. }
            | Self::GateEmpty { .. }
            | Self::DoorOpen
            | Self::LiveDown { .. }
            | Self::JournalFailed { .. }
            | Self::DeadlinePassed => false,
        }
    }
}

/// How a release takes over.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The old release serves until the new one is ready.
    #[default]
    Overlap,
    /// Only one copy may run: requests wait while the old one ends and the new one boots.
    Hold,
    /// A growing share of the clients gets the new release, and it is judged.
    Canary,
}

/// A promote, with its defaults filled in by whoever read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Promote {
    /// The operation, and its idempotency key.
    pub operation: OperationId,
    /// What shall serve.
    pub release: ReleaseId,
    /// Where it runs; empty for a staged or previous release.
    pub instances: Vec<Address>,
    /// How.
    pub strategy: Strategy,
    /// How long the new release may take to get ready, if it was asked for; else the app's `boot` (overlap), or what
    /// is left of the hold's limit (hold).
    pub boot: Option<Duration>,
    /// How long running requests of the old release may take to end, if asked for.
    pub drain: Option<Duration>,
    /// How long the hold may last, if asked for; else the app's `max_wait`.
    pub hold: Option<Duration>,
    /// Refuse unless this release is live.
    pub if_current: Option<ReleaseId>,
    /// Refuse unless this is the app's generation.
    pub if_generation: Option<Generation>,
    /// Whether a COMMAND runs inside the hold (strategy hold only).
    pub command: bool,
    /// How a canary is to go (strategy canary only, and always there).
    pub canary: Option<CanaryPlan>,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
    /// Who: `uid 0`.
    pub by: String,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stage {
    /// The operation.
    pub operation: OperationId,
    /// Which release.
    pub release: ReleaseId,
    /// Where it runs.
    pub instances: Vec<Address>,
    /// How long it may take to get ready, if asked for.
    pub boot: Option<Duration>,
    /// Who.
    pub by: String,
}

/// A hold by command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HoldCommand {
    /// The operation.
    pub operation: OperationId,
    /// Which methods wait.
    pub methods: Methods,
    /// When it ends by itself, if asked for; else after the app's `max_wait`.
    pub timeout: Option<Duration>,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
}

/// A rollback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rollback {
    /// The operation.
    pub operation: OperationId,
    /// To which release, if not the previous one.
    pub release: Option<ReleaseId>,
    /// Refuse unless this is the app's generation.
    pub if_generation: Option<Generation>,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
}

/// Branches between releases that are there, to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StartExperiment {
    /// The operation, and what draws who is in which arm.
    pub operation: OperationId,
    /// What it is called.
    pub name: ArmName,
    /// At least two.
    pub arms: Vec<ExperimentArm>,
    /// Who.
    pub by: String,
}

/// One branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExperimentArm {
    /// What it is called.
    pub name: ArmName,
    /// A staged release, or the live one.
    pub release: ReleaseId,
    /// Which share of the clients is in it.
    pub weight: Share,
}

/// The end of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseExperiment {
    /// The operation by which the winner becomes the live release, where it is not.
    pub operation: OperationId,
    /// Which experiment.
    pub name: ArmName,
    /// Whose release is to serve everybody; none: the live one, as before.
    pub winner: Option<ArmName>,
    /// Who.
    pub by: String,
}
