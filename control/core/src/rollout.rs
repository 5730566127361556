//! Strategy canary: smoke, steps of growing share, everybody, a watch; after each of them *still good?*. Any no goes back
//! to the old release, which serves all the while, or stays warm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ArmName, Block, CanaryPlan, Effect, Moment, OnFail, OnQuiet, OperationId, Outcome, Release,
    Share, Slice, Verdict, duration, operation::Operation, splitting::Wanted, turn::Turn,
    work::Work,
};

/// How long smoke tests may take in all.
const SMOKE_MAX: Duration = Duration::from_secs(60);

/// A canary and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rollout {
    pub(crate) op: Operation,
    pub(crate) going: Going,
    /// When the present stage began; what it was paused for is left out.
    pub(crate) since: Moment,
    /// When all of it has had its time.
    pub(crate) until: Moment,
    pub(crate) paused: Option<Paused>,
    /// What the judge said last.
    pub(crate) said: Option<(Verdict, String)>,
}

/// What of it outlives the process. After a restart it goes on in the same stage, with the same clients; what was
/// counted in that stage is counted anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Going {
    /// Who is to serve.
    pub next: Release,
    /// What it is to go through.
    pub plan: CanaryPlan,
    /// How long running requests may take to end, of the old release or of this one.
    pub drain: Duration,
    /// How long it may take besides the times of its steps.
    pub slack: Duration,
    /// How far it has come.
    pub stage: Stage,
    /// Grows with each stage, and whenever its counters begin anew.
    pub round: u64,
    /// How often the present stage has been begun.
    pub attempt: u32,
    /// Why it waits for a person.
    pub paused: Option<String>,
}

/// How far a rollout has come.
///
/// ```text
///  Smoking ──► Step(0) ──► Step(1) … ──► SmokingAll ──► Step(last) ──► Watching ──► swapped
///     │           └──────────┴──────────────┴──────────────┴──────────────┘ no: rolled back, and blocked
///     └── no: failed, the old release has served all the while
/// ```
///
/// The smokings are left out where there are no smoke tests, and the watch where it takes no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Smoke tests before any traffic.
    Smoking,
    /// A share of the clients, by its place among the steps.
    Step(usize),
    /// Smoke tests while everybody gets it.
    SmokingAll,
    /// Everybody gets it, and it is judged on.
    Watching,
}

/// It waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Paused {
    pub(crate) why: String,
    pub(crate) since: Moment,
}

/// It is over: what runs on the canary ends, or is cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Withdrawing {
    pub(crate) op: Operation,
    pub(crate) outcome: Outcome,
    pub(crate) why: String,
}

impl Going {
    pub(crate) fn new(next: Release, plan: CanaryPlan, drain: Duration, slack: Duration) -> Self {
        let stage = if plan.smoke.is_empty() {
            Stage::Step(0)
        } else {
            Stage::Smoking
        };
        Self {
            next,
            plan,
            drain,
            slack,
            stage,
            round: 0,
            attempt: 1,
            paused: None,
        }
    }

    /// The share that the present stage gives it.
    pub fn share(&self) -> Share {
        match self.stage {
            Stage::Smoking => Share::NONE,
            Stage::Step(step) => self.plan.steps.get(step).copied().unwrap_or(Share::ALL),
            Stage::SmokingAll | Stage::Watching => Share::ALL,
        }
    }

    /// How long the present stage takes at least.
    pub fn least(&self) -> Duration {
        match self.stage {
            Stage::Smoking | Stage::SmokingAll => Duration::ZERO,
            Stage::Step(_) => self.plan.step_time,
            Stage::Watching => self.plan.watch,
        }
    }

    fn last_step(&self) -> usize {
        self.plan.steps.len().saturating_sub(1)
    }

    /// What follows the present stage; none: it is done.
    fn following(&self) -> Option<Stage> {
        let last = self.last_step();
        match self.stage {
            Stage::Smoking => Some(self.before(0)),
            Stage::Step(step) if step < last => Some(self.before(step + 1)),
            Stage::Step(_) if self.plan.watch.is_zero() => None,
            Stage::Step(_) => Some(Stage::Watching),
            Stage::SmokingAll => Some(Stage::Step(last)),
            Stage::Watching => None,
        }
    }

    /// What comes before a step, or the step.
    fn before(&self, step: usize) -> Stage {
        if step == self.last_step() && !self.plan.smoke.is_empty() {
            Stage::SmokingAll
        } else {
            Stage::Step(step)
        }
    }

    /// How long all that is left of it may take.
    fn budget(&self) -> Duration {
        let left = match self.stage {
            Stage::Smoking => self.plan.steps.len(),
            Stage::Step(step) => self.plan.steps.len().saturating_sub(step),
            Stage::SmokingAll => 1,
            Stage::Watching => 0,
        };
        let steps = self
            .plan
            .step_time
            .saturating_mul(u32::try_from(left).unwrap_or(u32::MAX));
        let smoke = if self.plan.smoke.is_empty() {
            Duration::ZERO
        } else {
            SMOKE_MAX * 2
        };
        [self.plan.watch, smoke, self.slack]
            .into_iter()
            .fold(steps, Duration::saturating_add)
    }

    /// The canary takes the lower end, a control of the same size the upper one: whoever is in either stays there as they
    /// grow. Beyond a half there is no such control.
    fn wanted(&self, op: &OperationId) -> Wanted {
        let share = self.share();
        let mut slices = Vec::new();
        if share > Share::NONE {
            slices.push(slice(canary(), Share::NONE, share, Some(0)));
            if share <= share.rest() {
                slices.push(slice(control(), share.rest(), Share::ALL, None));
            }
        }
        Wanted {
            key: op.to_string(),
            round: self.round,
            releases: vec![self.next.clone()],
            slices,
            preview: Some(0),
            opt_in: share > Share::NONE,
        }
    }
}

fn slice(arm: ArmName, from: Share, to: Share, beside: Option<usize>) -> Slice {
    Slice {
        arm,
        from,
        to,
        beside,
    }
}

fn canary() -> ArmName {
    ArmName::known("canary")
}

fn control() -> ArmName {
    ArmName::known("control")
}

impl Rollout {
    /// The new release is ready.
    pub(crate) fn begin(op: Operation, going: Going, turn: &mut Turn) -> Work {
        let until = op.started + going.budget();
        let rollout = Self {
            op,
            going,
            since: turn.now,
            until,
            paused: None,
            said: None,
        };
        rollout.enter(turn)
    }

    /// It goes on after a restart, where it was: with fresh counters, and all of what is left of its time.
    pub(crate) fn again(op: Operation, mut going: Going, turn: &mut Turn) -> Work {
        going.attempt += 1;
        let paused = going.paused.clone().map(|why| Paused {
            why,
            since: turn.now,
        });
        let until = turn.now + going.budget();
        let rollout = Self {
            op,
            going,
            since: turn.now,
            until,
            paused,
            said: None,
        };
        rollout.enter(turn)
    }

    /// The present stage begins.
    fn enter(mut self, turn: &mut Turn) -> Work {
        self.going.round += 1;
        self.since = turn.now;
        self.said = None;
        turn.split(Some(self.going.wanted(self.op.id())), self.going.drain);
        match self.going.stage {
            Stage::Smoking | Stage::SmokingAll => {
                turn.progress(&self.op, "smoking");
                turn.emit(Effect::Smoke {
                    operation: self.op.id().clone(),
                    round: self.going.round,
                    release: self.going.next.clone(),
                    tests: self.going.plan.smoke.clone(),
                });
            }
            Stage::Step(_) => turn.progress(&self.op, "canary"),
            Stage::Watching => turn.progress(&self.op, "watching"),
        }
        Work::Rollout(Box::new(self))
    }

    fn advance(mut self, turn: &mut Turn) -> Work {
        let Some(stage) = self.going.following() else {
            return turn.swap(self.op, self.going.next, self.going.drain);
        };
        self.going.stage = stage;
        self.going.attempt = 1;
        self.enter(turn)
    }

    /// Whether the present stage has taken its time.
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.since + self.going.least() <= now
    }

    pub(crate) fn judged(
        mut self: Box<Self>,
        round: u64,
        verdict: Verdict,
        why: String,
        turn: &mut Turn,
    ) -> Work {
        let is_judged = match self.going.stage {
            Stage::Step(_) | Stage::Watching => self.going.round == round,
            Stage::Smoking | Stage::SmokingAll => false,
        };
        if !is_judged {
            return Work::Rollout(self);
        }
        self.said = Some((verdict, why.clone()));
        let goes_on = match verdict {
            Verdict::Fail => return self.no(why, turn),
            Verdict::Pass => true,
            Verdict::NotEnoughTraffic => self.going.plan.on_quiet == OnQuiet::Advance,
        };
        if goes_on && self.paused.is_none() && self.is_due(turn.now) {
            self.advance(turn)
        } else {
            Work::Rollout(self)
        }
    }

    pub(crate) fn smoked(
        self: Box<Self>,
        round: u64,
        result: Result<(), String>,
        turn: &mut Turn,
    ) -> Work {
        if self.going.round != round {
            return Work::Rollout(self);
        }
        match (self.going.stage, result) {
            (Stage::Smoking, Err(why)) => self.withdraw(Outcome::Failed, why, turn),
            (Stage::SmokingAll, Err(why)) => self.no(why, turn),
            (Stage::Smoking | Stage::SmokingAll, Ok(())) => self.advance(turn),
            (Stage::Step(_) | Stage::Watching, _) => Work::Rollout(self),
        }
    }

    /// Not good any more.
    fn no(self: Box<Self>, why: String, turn: &mut Turn) -> Work {
        match self.going.plan.on_fail {
            OnFail::Rollback => {
                turn.app.blocked = Some(Block {
                    reason: why.clone(),
                    by: format!("the judge of operation {}", self.op.id()),
                });
                self.withdraw(Outcome::RolledBack, why, turn)
            }
            OnFail::Freeze => self.pause(why, turn),
        }
    }

    /// It keeps its share until somebody decides.
    pub(crate) fn pause(mut self: Box<Self>, why: String, turn: &mut Turn) -> Work {
        if self.paused.is_none() {
            turn.progress(&self.op, "paused");
            self.going.paused = Some(why.clone());
            self.paused = Some(Paused {
                why,
                since: turn.now,
            });
        }
        Work::Rollout(self)
    }

    /// Somebody has decided that it goes on. What was counted in this stage led to the pause, so it is counted anew.
    pub(crate) fn resume(mut self: Box<Self>, turn: &mut Turn) -> Work {
        if let Some(paused) = self.paused.take() {
            self.until = self.until + (turn.now - paused.since);
            self.going.paused = None;
            self.going.attempt += 1;
        }
        self.enter(turn)
    }

    /// Somebody has decided for its next stage.
    pub(crate) fn advance_by_hand(mut self: Box<Self>, turn: &mut Turn) -> Work {
        if let Some(paused) = self.paused.take() {
            self.until = self.until + (turn.now - paused.since);
            self.going.paused = None;
        }
        self.advance(turn)
    }

    /// Everybody goes back to the live release.
    pub(crate) fn withdraw(
        mut self: Box<Self>,
        outcome: Outcome,
        why: String,
        turn: &mut Turn,
    ) -> Work {
        self.op.drain.begin(turn.now);
        turn.progress(&self.op, "withdrawing");
        turn.split(None, self.going.drain);
        Work::Withdrawing(Withdrawing {
            op: self.op,
            outcome,
            why,
        })
    }

    /// All of it has had its time.
    pub(crate) fn late(self: Box<Self>, turn: &mut Turn) -> Work {
        let last = match &self.said {
            Some((_, why)) => format!(": {why}"),
            None => String::new(),
        };
        let share = self.going.share();
        let given = duration::text(self.until - self.op.started);
        let why = format!("not enough traffic to judge it at {share} % within {given}{last}");
        self.withdraw(Outcome::Failed, why, turn)
    }

    /// The step was thrown away. It waits for a person: nothing can be decided without a journal. (A no is said again, and
    /// tried again.)
    pub(crate) fn journal_failed(self: Box<Self>, why: String, turn: &mut Turn) -> Work {
        self.pause(why, turn)
    }
}

impl Withdrawing {
    pub(crate) fn settle(mut self, turn: &mut Turn) -> Work {
        if !turn.app.gates.empty() {
            return Work::Withdrawing(self);
        }
        self.op.drain.end(turn.now);
        self.end(turn)
    }

    pub(crate) fn end(self, turn: &mut Turn) -> Work {
        turn.finish(self.op, self.outcome, Some(self.why));
        Work::Idle
    }
}
