//! The work of an app: the one operation that may be under way, and how far it has come.

use std::time::Duration;

use crate::{
    Moment, OperationId, Outcome, ProbeId, Release, Running, Verdict,
    draining::Draining,
    duration,
    hold::HoldQuieting,
    hold_swap::{Commanding, HoldBooting, Quieting},
    operation::Operation,
    overlap::Booting,
    returning::{Reopening, Returning},
    rollout::{Rollout, Withdrawing, Withdrawn},
    staging::Staging,
    turn::Turn,
};

/// What is under way. One operation at a time; each state holds only what exists then.
///
/// ```text
///  promote, rollback ──► Booting ──────── probe passed: swap ──────────────────────────► Draining ──► Idle
///  (overlap)                │ time, abort                                                    ▲
///                           └──────────► Idle (the old release serves)                       │
///                                                                                            │
///  promote ──► Booting ── probe passed ──► Rollout ── everybody, and still good: swap ───────┤
///  (canary)       │ time, abort               └── no, time, abort ──► Withdrawing ──► Idle   │
///                 └──────────► Idle                                                          │
///                                                                                            │
///  promote ──► Quieting ──► Commanding ── exit 0 ──► HoldBooting ── probe passed: swap ──────┘
///  (hold)         │    └── no COMMAND ──────────────►     │
///                 │             │                         │ time, abort
///                 └─────────────┴── failed, abort ────────┤
///                                                         ▼
///                                                     Returning ── it answers ──► Reopening ──► Idle
///                                                         └── not in time (the door stays shut: down) ──► Idle
///  hold ─────► HoldQuieting ── quiet, time, abort, resume ──► Idle
///  stage ────► Staging ── probe passed, time, abort ────────► Idle
/// ```
///
/// A hold-promote of an empty app begins at `Commanding`, or `HoldBooting`, and ends `Idle` if it fails: nobody serves.
/// A rollback during `Draining` begins at `Booting`; the gates that drain go on draining.
/// A canary of an empty app is not one: it swaps when its probe has passed. How a rollout gets on is in [`Stage`].
/// If the journal fails, whatever has not swapped goes back as if it had been aborted, with outcome `Failed`. But a rollout
/// is paused: to give its share back has to be journalled as well.
///
/// [`Stage`]: crate::RolloutStage
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Nothing.
    Idle,
    /// A release is probed, to be kept ready.
    Staging(Staging),
    /// A release is probed while the old one serves; it takes over when it passes.
    Booting(Booting),
    /// A release has a share of the clients, and is judged.
    Rollout(Box<Rollout>),
    /// It has none any more; what ran on it ends.
    Withdrawing(Withdrawing),
    /// The door is shut; what still runs on the old release ends, or is cut.
    Quieting(Quieting),
    /// The door is shut and nothing runs: the COMMAND has its turn.
    Commanding(Commanding),
    /// The door is shut; the new release is probed.
    HoldBooting(HoldBooting),
    /// The swap failed; the old release is probed before the requests go back to it.
    Returning(Returning),
    /// The swap failed; the requests go back to the old release.
    Reopening(Reopening),
    /// Swapped. The old release drains, those who were held go to the new one.
    Draining(Draining),
    /// The door was shut by command; what runs ends.
    HoldQuieting(HoldQuieting),
}

/// A round of probes, and what it found last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    pub(crate) probe: ProbeId,
    pub(crate) failure: Option<String>,
}

impl Round {
    pub(crate) fn new(probe: ProbeId) -> Self {
        Self {
            probe,
            failure: None,
        }
    }

    /// What to say of a release that did not pass in the time that it was given.
    pub(crate) fn why(&self, release: &Release, given: Duration) -> String {
        let failure = self.failure.as_deref().unwrap_or("no probe has ended");
        let (id, given) = (&release.id, duration::text(given));
        format!("{id} was not ready after {given}: {failure}")
    }
}

/// Views.
impl Work {
    /// The operation under way.
    pub(crate) fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Idle => None,
            Self::Staging(Staging { op, .. })
            | Self::Booting(Booting { op, .. })
            | Self::Returning(Returning { op, .. })
            | Self::Reopening(Reopening { op, .. })
            | Self::Draining(Draining { op })
            | Self::Withdrawing(Withdrawing { op, .. })
            | Self::HoldQuieting(HoldQuieting { op, .. }) => Some(op),
            Self::Rollout(rollout) => Some(&rollout.op),
            Self::Quieting(Quieting { swap })
            | Self::Commanding(Commanding { swap })
            | Self::HoldBooting(HoldBooting { swap, .. }) => Some(&swap.op),
        }
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        self.operation().map(|op| &op.running)
    }

    /// Who is to serve, until it does.
    pub(crate) fn next(&self) -> Option<(&Release, &OperationId)> {
        match self {
            Self::Booting(Booting { op, next, .. }) => Some((next, op.id())),
            Self::Rollout(rollout) => Some((&rollout.going.next, rollout.op.id())),
            Self::Quieting(Quieting { swap })
            | Self::Commanding(Commanding { swap })
            | Self::HoldBooting(HoldBooting { swap, .. }) => Some((&swap.next, swap.op.id())),
            Self::Idle
            | Self::Staging(_)
            | Self::Withdrawing(_)
            | Self::Returning(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => None,
        }
    }

    /// The canary.
    pub(crate) fn rollout(&self) -> Option<&Rollout> {
        match self {
            Self::Rollout(rollout) => Some(rollout),
            Self::Idle
            | Self::Staging(_)
            | Self::Booting(_)
            | Self::Withdrawing(_)
            | Self::Quieting(_)
            | Self::Commanding(_)
            | Self::HoldBooting(_)
            | Self::Returning(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => None,
        }
    }

    /// How a canary ends that gives its share back.
    pub(crate) fn withdrawn(&self) -> Option<&Withdrawn> {
        match self {
            Self::Withdrawing(Withdrawing { withdrawn, .. }) => Some(withdrawn),
            Self::Idle
            | Self::Staging(_)
            | Self::Booting(_)
            | Self::Rollout(_)
            | Self::Quieting(_)
            | Self::Commanding(_)
            | Self::HoldBooting(_)
            | Self::Returning(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => None,
        }
    }

    /// The round of probes that it waits for.
    pub(crate) fn round(&self) -> Option<&Round> {
        match self {
            Self::Staging(Staging { round, .. })
            | Self::Booting(Booting { round, .. })
            | Self::HoldBooting(HoldBooting { round, .. })
            | Self::Returning(Returning { round, .. }) => Some(round),
            Self::Idle
            | Self::Rollout(_)
            | Self::Withdrawing(_)
            | Self::Quieting(_)
            | Self::Commanding(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => None,
        }
    }

    fn round_mut(&mut self) -> Option<&mut Round> {
        match self {
            Self::Staging(Staging { round, .. })
            | Self::Booting(Booting { round, .. })
            | Self::HoldBooting(HoldBooting { round, .. })
            | Self::Returning(Returning { round, .. }) => Some(round),
            Self::Idle
            | Self::Rollout(_)
            | Self::Withdrawing(_)
            | Self::Quieting(_)
            | Self::Commanding(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => None,
        }
    }

    /// When it must go on by itself. Where the gates or the door bound a state, theirs.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Staging(Staging { until, .. })
            | Self::Booting(Booting { until, .. })
            | Self::HoldBooting(HoldBooting { until, .. })
            | Self::Returning(Returning { until, .. })
            | Self::HoldQuieting(HoldQuieting { until, .. }) => Some(*until),
            Self::Quieting(Quieting { swap }) | Self::Commanding(Commanding { swap }) => {
                Some(swap.until)
            }
            Self::Rollout(rollout) => rollout.deadline(),
            Self::Idle | Self::Withdrawing(_) | Self::Reopening(_) | Self::Draining(_) => None,
        }
    }
}

/// What happens to it. A state that an event does not concern stays as it is.
impl Work {
    pub(crate) fn probe_passed(self, probe: ProbeId, turn: &mut Turn) -> Self {
        if self.round().is_none_or(|round| round.probe != probe) {
            return self;
        }
        match self {
            Self::Staging(state) => state.passed(turn),
            Self::Booting(state) => state.passed(turn),
            Self::HoldBooting(state) => state.passed(turn),
            Self::Returning(state) => state.passed(turn),
            Self::Idle
            | Self::Rollout(_)
            | Self::Withdrawing(_)
            | Self::Quieting(_)
            | Self::Commanding(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => self,
        }
    }

    pub(crate) fn judged(
        self,
        operation: &OperationId,
        round: u64,
        verdict: Verdict,
        why: String,
        turn: &mut Turn,
    ) -> Self {
        match self {
            Self::Rollout(rollout) if rollout.op.id() == operation => {
                rollout.judged(round, verdict, why, turn)
            }
            other => other,
        }
    }

    pub(crate) fn smoked(
        self,
        operation: &OperationId,
        round: u64,
        result: Result<(), String>,
        turn: &mut Turn,
    ) -> Self {
        match self {
            Self::Rollout(rollout) if rollout.op.id() == operation => {
                rollout.smoked(round, result, turn)
            }
            other => other,
        }
    }

    pub(crate) fn probe_failed(mut self, probe: ProbeId, why: String) -> Self {
        if let Some(round) = self.round_mut().filter(|round| round.probe == probe) {
            round.failure = Some(why);
        }
        self
    }

    pub(crate) fn command_ended(
        self,
        operation: &OperationId,
        result: Result<(), String>,
        turn: &mut Turn,
    ) -> Self {
        if self.operation().is_none_or(|op| op.id() != operation) {
            return self;
        }
        match self {
            Self::Quieting(state) => state.command_ended(result, turn),
            Self::Commanding(state) => state.command_ended(result, turn),
            Self::Idle
            | Self::Staging(_)
            | Self::Booting(_)
            | Self::Rollout(_)
            | Self::Withdrawing(_)
            | Self::HoldBooting(_)
            | Self::Returning(_)
            | Self::Reopening(_)
            | Self::Draining(_)
            | Self::HoldQuieting(_) => self,
        }
    }

    /// Its deadline has passed.
    pub(crate) fn late(self, turn: &mut Turn) -> Self {
        if self.deadline().is_none_or(|deadline| deadline > turn.now) {
            return self;
        }
        match self {
            Self::Staging(state) => state.late(turn),
            Self::Booting(state) => state.late(turn),
            Self::Quieting(state) => state.late(turn),
            Self::Commanding(state) => state.late(turn),
            Self::HoldBooting(state) => state.late(turn),
            Self::Returning(state) => state.late(turn),
            Self::HoldQuieting(state) => state.late(turn),
            Self::Rollout(state) => state.late(turn),
            Self::Idle | Self::Withdrawing(_) | Self::Reopening(_) | Self::Draining(_) => self,
        }
    }

    /// Goes on if what it waits for (gates, door) has come meanwhile. Called at the end of every step.
    pub(crate) fn settle(self, turn: &mut Turn) -> Self {
        match self {
            Self::Quieting(state) => state.settle(turn),
            Self::Reopening(state) => state.settle(turn),
            Self::Draining(state) => state.settle(turn),
            Self::HoldQuieting(state) => state.settle(turn),
            Self::Withdrawing(state) => state.settle(turn),
            Self::Idle
            | Self::Staging(_)
            | Self::Booting(_)
            | Self::Rollout(_)
            | Self::Commanding(_)
            | Self::HoldBooting(_)
            | Self::Returning(_) => self,
        }
    }

    /// What it had just done could not be journalled, so it was not done, and never will be.
    pub(crate) fn journal_failed(self, why: String, turn: &mut Turn) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Staging(state) => state.fail(why, turn),
            Self::Booting(state) => state.fail(why, turn),
            Self::Rollout(state) => state.journal_failed(why, turn),
            Self::Withdrawing(state) => state.end(turn),
            Self::Quieting(Quieting { swap }) | Self::Commanding(Commanding { swap }) => {
                swap.fail(why, turn)
            }
            Self::HoldBooting(state) => state.end(Outcome::Failed, why, turn),
            Self::Returning(state) => state.late(turn),
            Self::Reopening(state) => state.end(turn),
            Self::Draining(state) => state.journal_failed(why, turn),
            Self::HoldQuieting(state) => state.fail(why, turn),
        }
    }
}
