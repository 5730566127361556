//! What may happen in the small world, and what of it is possible now.

use swap_core::{CanaryPlan, GateId, Methods, OnFail, ProbeId, Strategy, Verdict};

use super::{TICK, World, plane::PlaneDoor};
use crate::cast::{plan, seconds, share, smoke};

/// What may happen in a world at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Who may be promoted.
    pub(crate) releases: &'static [&'static str],
    /// Promotes with strategy hold: without, with a COMMAND.
    pub(crate) commands: &'static [bool],
    /// Holds by command.
    pub(crate) holds: &'static [Methods],
    pub(crate) stages: bool,
    /// Staged releases are seen beforehand.
    pub(crate) previews: bool,
    /// Promotes with strategy canary.
    pub(crate) canaries: &'static [Canary],
    /// A canary is steered by hand.
    pub(crate) steered: bool,
    pub(crate) experiments: bool,
    /// Releases go down.
    pub(crate) down: bool,
    pub(crate) crash: bool,
    /// Things happen between deadlines.
    pub(crate) ticks: bool,
    /// The journal fails.
    pub(crate) unjournalled: bool,
    /// Nobody holds while so many closed gates have something behind them.
    pub(crate) gates_max: usize,
}

/// A canary that has 50 %, then 100 %, then is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    /// It is rolled back after a no.
    Judged,
    /// It is frozen after a no.
    Frozen,
    /// It has smoke tests, and everybody at once.
    Smoked,
}

impl Canary {
    pub(crate) fn plan(self) -> CanaryPlan {
        let judged = CanaryPlan {
            steps: [50, 100].map(share).to_vec(),
            step_time: seconds(2),
            watch: seconds(1),
            ..plan()
        };
        match self {
            Self::Judged => judged,
            Self::Frozen => CanaryPlan {
                on_fail: OnFail::Freeze,
                ..judged
            },
            Self::Smoked => CanaryPlan {
                steps: vec![share(100)],
                watch: seconds(0),
                smoke: vec![smoke()],
                ..judged
            },
        }
    }
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Promote {
        release: &'static str,
        strategy: Strategy,
        command: bool,
    },
    Canary {
        release: &'static str,
        canary: Canary,
    },
    Pause,
    Advance,
    /// Of the live release and this one.
    StartExperiment(&'static str),
    /// With the other release as the winner, or without one.
    CloseExperiment {
        won: bool,
    },
    Stage(&'static str),
    Unstage(&'static str),
    Hold(Methods),
    Resume,
    Rollback,
    Abort,
    /// The COMMAND ends, or swapctl is gone.
    CommandEnds {
        ok: bool,
    },
    /// The judge says something of the canary.
    Judged(Verdict),
    SmokeEnds {
        ok: bool,
    },
    ProbePasses(ProbeId),
    /// The data plane answers the oldest question about this gate.
    GateEmpties(GateId),
    DoorOpens,
    /// The data plane finds nobody at the live release, and shuts the door by itself.
    GoesDown,
    /// The machine hears of it.
    DownIsTold,
    /// The next deadline comes.
    TimePasses,
    /// Some time passes, less than to the next deadline.
    Tick,
    /// The process is killed, and started again.
    Crash,
    /// This happens, but what it changes cannot be journalled.
    Unjournalled(Box<Action>),
}

impl Action {
    /// Whether somebody says it and is answered.
    pub(crate) fn is_command(&self) -> bool {
        match self {
            Self::Promote { .. }
            | Self::Canary { .. }
            | Self::Pause
            | Self::Advance
            | Self::StartExperiment(_)
            | Self::CloseExperiment { .. }
            | Self::Stage(_)
            | Self::Unstage(_)
            | Self::Hold(_)
            | Self::Resume
            | Self::Rollback
            | Self::Abort => true,
            Self::CommandEnds { .. }
            | Self::Judged(_)
            | Self::SmokeEnds { .. }
            | Self::ProbePasses(_)
            | Self::GateEmpties(_)
            | Self::DoorOpens
            | Self::GoesDown
            | Self::DownIsTold
            | Self::TimePasses
            | Self::Tick
            | Self::Crash
            | Self::Unjournalled(_) => false,
        }
    }
}

impl World {
    /// All that may happen now. (What changes something saved may be `Unjournalled`, too.)
    pub(crate) fn possible(&self, scope: &Scope) -> Vec<Action> {
        let mut actions = self.commands(scope);
        actions.extend(self.probes.keys().copied().map(Action::ProbePasses));
        actions.extend(self.plane.answers().map(Action::GateEmpties));
        if self.plane.door == PlaneDoor::Releasing {
            actions.push(Action::DoorOpens);
        }
        if self.plane.down.is_some() {
            actions.push(Action::DownIsTold);
        } else if scope.down && self.plane.live.is_some() && self.plane.door.lets_some_in() {
            actions.push(Action::GoesDown);
        }
        if let Some(deadline) = self.app.deadline() {
            if scope.ticks && deadline > self.now + TICK {
                actions.push(Action::Tick);
            }
            actions.push(Action::TimePasses);
        }
        if self.command.is_some() {
            actions.push(Action::CommandEnds { ok: true });
            actions.push(Action::CommandEnds { ok: false });
        }
        if self.smoke.is_some() {
            actions.extend([true, false].map(|ok| Action::SmokeEnds { ok }));
        }
        if self.app.rollout().is_some() {
            let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::NotEnoughTraffic];
            actions.extend(verdicts.map(Action::Judged));
        }
        if scope.crash {
            actions.push(Action::Crash);
        }
        actions
    }

    /// What somebody may say.
    fn commands(&self, scope: &Scope) -> Vec<Action> {
        let mut actions = vec![Action::Abort];
        let crowded = self.plane.closed.len() >= scope.gates_max;
        let may_leave = !crowded || !scope.previews;
        for &release in scope.releases {
            let promote = |strategy, command| Action::Promote {
                release,
                strategy,
                command,
            };
            if scope.stages && may_leave {
                actions.extend([Action::Stage(release), Action::Unstage(release)]);
            }
            if scope.experiments && may_leave {
                actions.push(Action::StartExperiment(release));
            }
            let canaries = scope.canaries.iter().copied();
            actions.extend(canaries.map(|canary| Action::Canary { release, canary }));
            actions.push(promote(Strategy::Overlap, false));
            if !crowded {
                let commands = scope.commands.iter();
                actions.extend(commands.map(|command| promote(Strategy::Hold, *command)));
            }
        }
        if scope.experiments && may_leave {
            actions.extend([true, false].map(|won| Action::CloseExperiment { won }));
        }
        if scope.steered {
            actions.extend([Action::Pause, Action::Advance]);
        }
        if scope.steered || !scope.holds.is_empty() {
            actions.push(Action::Resume);
        }
        if !crowded {
            actions.push(Action::Rollback);
            actions.extend(scope.holds.iter().copied().map(Action::Hold));
        }
        actions
    }
}
