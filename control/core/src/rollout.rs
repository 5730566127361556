//! Strategy canary: smoke, steps of growing share, everybody, a watch; after each of them *still good?*. Any no goes back
//! to the old release, which serves all the while, or stays warm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ArmName, Block, CanaryPlan, Effect, Moment, OnFail, OnQuiet, OperationId, Outcome, Release,
    Share, Slice, Verdict, duration, operation::Operation, splitting::Wanted, turn::Turn,
    work::Work,
};

/// A canary and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rollout {
    pub(crate) op: Operation,
    pub(crate) going: Going,
    /// When the present stage was begun last.
    pub(crate) since: Moment,
    /// When all of it has had its time. Smoke tests have their own, and while it is paused this means nothing.
    pub(crate) until: Moment,
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
    /// How long it may take besides the times of its steps, and so may smoke tests: its boot timeout.
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

/// It is over: what runs on the canary ends, or is cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Withdrawing {
    pub(crate) op: Operation,
    pub(crate) withdrawn: Withdrawn,
}

/// How a canary ends that has been withdrawn. It stays so if the daemon is restarted while what ran on it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Withdrawn {
    /// How.
    pub outcome: Outcome,
    /// Why, in words.
    pub why: String,
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

    /// How long all that is left of it may take, but for smoke tests.
    fn budget(&self) -> Duration {
        let left = match self.stage {
            Stage::Smoking => self.plan.steps.len(),
            Stage::Step(step) => self.plan.steps.len().saturating_sub(step),
            Stage::SmokingAll => 1,
            Stage::Watching => 0,
        };
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        let steps = self.plan.step_time.saturating_mul(left);
        steps
            .saturating_add(self.plan.watch)
            .saturating_add(self.slack)
    }

    fn is_smoking(&self) -> bool {
        match self.stage {
            Stage::Smoking | Stage::SmokingAll => true,
            Stage::Step(_) | Stage::Watching => false,
        }
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
            least: self.least(),
            releases: vec![self.next.clone()],
            slices,
            preview: Some(0),
            opt_in: share > Share::NONE,
            fallback: None,
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

/// How it goes.
impl Rollout {
    /// The new release is ready.
    pub(crate) fn begin(op: Operation, going: Going, turn: &mut Turn) -> Work {
        Self::started(op, going, turn).enter(turn)
    }

    /// It goes on after a restart, where it was: with fresh counters, and all of what is left of its time.
    pub(crate) fn again(op: Operation, mut going: Going, turn: &mut Turn) -> Work {
        going.attempt = going.attempt.saturating_add(1);
        Self::started(op, going, turn).enter(turn)
    }

    fn started(op: Operation, going: Going, turn: &Turn) -> Self {
        Self {
            op,
            since: turn.now,
            until: turn.now + going.budget(),
            going,
            said: None,
        }
    }

    /// The present stage begins.
    fn enter(mut self, turn: &mut Turn) -> Work {
        self.going.round += 1;
        self.since = turn.now;
        self.said = None;
        turn.split(Some(self.going.wanted(self.op.id())), self.going.drain);
        turn.progress(&self.op, self.phase());
        if self.going.is_smoking() && !self.is_paused() {
            turn.emit(Effect::Smoke {
                operation: self.op.id().clone(),
                round: self.going.round,
                release: self.going.next.clone(),
                tests: self.going.plan.smoke.clone(),
            });
        }
        Work::Rollout(Box::new(self))
    }

    fn advance(mut self, turn: &mut Turn) -> Work {
        let Some(stage) = self.going.following() else {
            return turn.swap(self.op, self.going.next, self.going.drain);
        };
        if self.going.is_smoking() {
            self.until = self.until + (turn.now - self.since);
        }
        self.going.stage = stage;
        self.going.attempt = 1;
        self.enter(turn)
    }

    /// Everybody goes back to the live release.
    pub(crate) fn withdraw(mut self, outcome: Outcome, why: String, turn: &mut Turn) -> Work {
        self.op.drain.begin(turn.now);
        turn.progress(&self.op, "withdrawing");
        turn.split(None, self.going.drain);
        Work::Withdrawing(Withdrawing {
            op: self.op,
            withdrawn: Withdrawn { outcome, why },
        })
    }

    /// Not good any more.
    fn no(self: Box<Self>, why: String, turn: &mut Turn) -> Work {
        match self.going.plan.on_fail {
            OnFail::Rollback => {
                // Whoever has blocked meanwhile does not want it lifted with this.
                turn.app.blocked.get_or_insert_with(|| Block {
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
        if !self.is_paused() {
            self.going.paused = Some(why);
            turn.progress(&self.op, "paused");
        }
        Work::Rollout(self)
    }

    /// Somebody has decided that it goes on. What was counted in this stage led to the pause, so it is counted anew, and
    /// what is left of the rollout has all of its time again.
    pub(crate) fn resume(mut self: Box<Self>, turn: &mut Turn) -> Work {
        self.going.paused = None;
        self.going.attempt = self.going.attempt.saturating_add(1);
        self.until = turn.now + self.going.budget();
        self.enter(turn)
    }

    /// Somebody has decided for its next stage.
    pub(crate) fn advance_by_hand(mut self: Box<Self>, turn: &mut Turn) -> Work {
        self.going.paused = None;
        self.until = turn.now + self.going.budget();
        self.since = turn.now;
        self.advance(turn)
    }
}

/// What happens to it.
impl Rollout {
    pub(crate) fn judged(
        mut self: Box<Self>,
        round: u64,
        verdict: Verdict,
        why: String,
        turn: &mut Turn,
    ) -> Work {
        // While everybody has it already, only a no counts.
        let counts = match self.going.stage {
            Stage::Smoking => false,
            Stage::SmokingAll => verdict == Verdict::Fail,
            Stage::Step(_) | Stage::Watching => true,
        };
        if self.going.round != round || !counts {
            return Work::Rollout(self);
        }
        self.said = Some((verdict, why.clone()));
        let goes_on = match verdict {
            Verdict::Fail => return self.no(why, turn),
            Verdict::Pass => true,
            Verdict::NotEnoughTraffic => self.going.plan.on_quiet == OnQuiet::Advance,
        };
        if goes_on && self.is_due(turn.now) && !self.is_paused() {
            self.advance(turn)
        } else {
            Work::Rollout(self)
        }
    }

    /// While it is paused, a yes is left for later: `resume` asks again.
    pub(crate) fn smoked(
        self: Box<Self>,
        round: u64,
        result: Result<(), String>,
        turn: &mut Turn,
    ) -> Work {
        if self.going.round != round || !self.going.is_smoking() {
            return Work::Rollout(self);
        }
        match result {
            Ok(()) if self.is_paused() => Work::Rollout(self),
            Ok(()) => self.advance(turn),
            Err(why) => self.smoke_failed(why, turn),
        }
    }

    /// Before it has had any traffic, there is nothing to block against.
    fn smoke_failed(self: Box<Self>, why: String, turn: &mut Turn) -> Work {
        if self.going.stage == Stage::Smoking {
            self.withdraw(Outcome::Failed, why, turn)
        } else {
            self.no(why, turn)
        }
    }

    /// The smoke tests, or all of it, have had their time.
    pub(crate) fn late(self: Box<Self>, turn: &mut Turn) -> Work {
        if self.going.is_smoking() {
            let given = duration::text(self.going.slack);
            let why = format!("the smoke tests had not ended after {given}");
            return self.smoke_failed(why, turn);
        }
        let why = self.too_quiet();
        self.withdraw(Outcome::Failed, why, turn)
    }

    /// The step was thrown away. It waits for a person: nothing can be decided without a journal. (A no is said again, and
    /// tried again.)
    pub(crate) fn journal_failed(self: Box<Self>, why: String, turn: &mut Turn) -> Work {
        self.pause(why, turn)
    }
}

/// Views.
impl Rollout {
    /// When it must go on by itself. Who waits for a person waits.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let until = if self.going.is_smoking() {
            self.since + self.going.slack
        } else {
            self.until
        };
        (!self.is_paused()).then_some(until)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.going.paused.is_some()
    }

    /// Whether the present stage has taken its time.
    fn is_due(&self, now: Moment) -> bool {
        self.since + self.going.least() <= now
    }

    /// For progress.
    fn phase(&self) -> &'static str {
        if self.is_paused() {
            return "paused";
        }
        match self.going.stage {
            Stage::Smoking | Stage::SmokingAll => "smoking",
            Stage::Step(_) => "canary",
            Stage::Watching => "watching",
        }
    }

    /// Whole seconds are enough.
    fn too_quiet(&self) -> String {
        let share = self.going.share();
        let given = Duration::from_secs((self.until - self.op.started).as_secs());
        let given = duration::text(given);
        match &self.said {
            Some((_, why)) => {
                format!("not enough traffic to judge it at {share} % within {given}: {why}")
            }
            None => format!("not enough traffic to judge it at {share} % within {given}"),
        }
    }
}

impl Withdrawing {
    /// What may run on for longer belongs to the live release.
    pub(crate) fn settle(mut self, turn: &mut Turn) -> Work {
        if !turn.app.gates.drained() {
            return Work::Withdrawing(self);
        }
        self.op.drain.end(turn.now);
        self.end(turn)
    }

    pub(crate) fn end(self, turn: &mut Turn) -> Work {
        let Withdrawn { outcome, why } = self.withdrawn;
        turn.finish(self.op, outcome, Some(why));
        Work::Idle
    }
}
