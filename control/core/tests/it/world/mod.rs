//! A small world around one app: a data plane, a prober, a journal, somebody who gives commands, and time.
//!
//! It carries effects out as the real ones would and checks after each step what must hold (FAULTS: I3, I5, I6, I8, I9),
//! on the live release and on those beside it.
//! It only knows what can be seen from outside; the machine's own assertions come on top.

mod action;
mod plane;
mod promises;

use std::collections::BTreeMap;
use std::time::Duration;

use swap_core::{
    Answer, App, Cause, Effect, Event, Limits, Methods, Moment, OnFail, OperationId, Outcome,
    Phase, ProbeId, Release, RolloutStage, Saved, Strategy, Verdict, step,
};

use crate::cast::{
    advance, canary, close_experiment, experiment, hold_methods, holding, overlap, pause, rollback,
    seconds, unjournalled,
};

pub(crate) use action::{Action, Canary, Scope};
pub(crate) use plane::PlaneDoor;
pub(crate) use promises::Broken;

use plane::Plane;
use promises::{Before, must};

/// Short limits, so that few moments matter.
pub(crate) const LIMITS: Limits = Limits {
    boot: seconds(3),
    drain: seconds(3),
    drain_held: seconds(2),
    max_wait: seconds(4),
    previews: false,
    affinity: Duration::ZERO,
};

/// A short time.
const TICK: Duration = seconds(1);

/// Spoils what the machine wants done: to see that the world notices.
pub(crate) type Mischief = fn(&mut Vec<Effect>);

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) now: Moment,
    /// What a restart would find.
    pub(crate) disk: Saved,
    pub(crate) plane: Plane,
    /// Rounds of probes that run.
    pub(crate) probes: BTreeMap<ProbeId, Release>,
    /// Whose COMMAND runs.
    pub(crate) command: Option<OperationId>,
    /// The smoke tests that run: whose, in which round.
    pub(crate) smoke: Option<(OperationId, u64)>,
    /// How operations have ended in the last step.
    pub(crate) ended: Vec<(String, Outcome)>,
    /// What is under way, and who served when it began.
    pub(crate) begun: Option<(OperationId, Option<Release>)>,
    operations: u32,
    limits: Limits,
    mischief: Mischief,
}

impl World {
    /// An app whose journal tells `saved`, and a machine whose wishes are spoilt by `mischief`.
    pub(crate) fn spoilt(saved: Saved, mischief: Mischief) -> Result<Self, Broken> {
        Self::within(LIMITS, saved, mischief)
    }

    /// The same within these limits.
    pub(crate) fn within(limits: Limits, saved: Saved, mischief: Mischief) -> Result<Self, Broken> {
        let now = Moment::after_origin(seconds(100));
        let restored = App::restore(saved, limits, now);
        let mut world = Self {
            disk: restored.app.saved(),
            app: restored.app.clone(),
            now,
            plane: Plane::new(),
            probes: BTreeMap::new(),
            command: None,
            smoke: None,
            ended: Vec::new(),
            begun: None,
            operations: 0,
            limits,
            mischief,
        };
        world.carry_out(restored, &Before::restart(None, None))?;
        Ok(world)
    }

    /// The world after `action`.
    pub(crate) fn after(&self, action: &Action) -> Result<Self, Broken> {
        let mut world = self.clone();
        world.ended.clear();
        match action {
            Action::Crash => world.crash()?,
            Action::Unjournalled(action) => world.fail_to_journal(action)?,
            Action::Promote { .. }
            | Action::Canary { .. }
            | Action::Pause
            | Action::Advance
            | Action::StartExperiment(_)
            | Action::CloseExperiment { .. }
            | Action::Judged(_)
            | Action::SmokeEnds { .. }
            | Action::Stage(_)
            | Action::Unstage(_)
            | Action::Hold(_)
            | Action::Resume
            | Action::Rollback
            | Action::Abort
            | Action::CommandEnds { .. }
            | Action::ProbePasses(_)
            | Action::GateEmpties(_)
            | Action::DoorOpens
            | Action::GoesDown
            | Action::DownIsTold
            | Action::Tick
            | Action::TimePasses => {
                if let Some(event) = world.event(action) {
                    world.feed(event)?;
                }
            }
        }
        world.plane.forget_cut(world.now);
        Ok(world)
    }

    /// What the machine hears when this happens, if it hears of it. The world around it changes here.
    fn event(&mut self, action: &Action) -> Option<Event> {
        Some(match action {
            Action::Promote {
                release,
                strategy,
                command,
            } => {
                let id = self.next_operation();
                let ask = match strategy {
                    Strategy::Overlap => overlap(&id, release),
                    Strategy::Hold => holding(&id, release),
                    Strategy::Canary => canary(&id, release, Canary::Judged.plan()),
                };
                Event::Promote(swap_core::Promote {
                    command: *command,
                    ..ask
                })
            }
            Action::Canary {
                release,
                canary: how,
            } => Event::Promote(canary(&self.next_operation(), release, how.plan())),
            Action::Pause => pause(),
            Action::Advance => advance(),
            Action::StartExperiment(other) => {
                let live = self.app.live()?.id.to_string();
                let arms = [("live", live.as_str(), 50), ("other", other, 50)];
                experiment(&self.next_operation(), &arms)
            }
            Action::CloseExperiment { won } => {
                close_experiment(&self.next_operation(), won.then_some("other"))
            }
            Action::Judged(verdict) => {
                let rollout = self.app.rollout()?;
                Event::Judged {
                    operation: rollout.operation.clone(),
                    round: rollout.going.round,
                    verdict: *verdict,
                    why: "figures".to_owned(),
                }
            }
            Action::SmokeEnds { ok } => {
                let (operation, round) = self.smoke.take()?;
                let result = if *ok { Ok(()) } else { Err("404".to_owned()) };
                Event::Smoked {
                    operation,
                    round,
                    result,
                }
            }
            Action::Stage(release) => crate::cast::stage(&self.next_operation(), release),
            Action::Unstage(release) => crate::cast::unstage(release),
            Action::Hold(methods) => hold_methods(&self.next_operation(), *methods),
            Action::Resume => Event::Resume,
            Action::Rollback => rollback(&self.next_operation()),
            Action::Abort => Event::Abort,
            Action::CommandEnds { ok } => {
                let operation = self.command.take().or_else(|| self.operation())?;
                let result = if *ok {
                    Ok(())
                } else {
                    Err("exit 1".to_owned())
                };
                Event::CommandEnded { operation, result }
            }
            Action::ProbePasses(probe) => Event::ProbePassed { probe: *probe },
            Action::GateEmpties(gate) => {
                self.plane.answer(*gate);
                Event::GateEmpty { gate: *gate }
            }
            Action::DoorOpens => {
                self.plane.door = PlaneDoor::Open;
                Event::DoorOpen
            }
            Action::GoesDown => {
                self.plane.door = PlaneDoor::Shut(Cause::Down, Methods::ALL);
                self.plane.down = Some(self.plane.gate);
                return None;
            }
            Action::DownIsTold => Event::LiveDown {
                gate: self.plane.down.take()?,
            },
            Action::TimePasses => {
                self.now = self.now.max(self.app.deadline().unwrap_or(self.now));
                Event::DeadlinePassed
            }
            Action::Tick => {
                self.now = self.now + TICK;
                return None;
            }
            Action::Crash | Action::Unjournalled(_) => return None,
        })
    }

    fn next_operation(&mut self) -> String {
        self.operations += 1;
        format!("o{}", self.operations)
    }

    pub(crate) fn operation(&self) -> Option<OperationId> {
        self.begun.as_ref().map(|(operation, _)| operation.clone())
    }

    /// Somebody says this, and is answered.
    pub(crate) fn tell(&mut self, event: Event) -> Result<Answer, Broken> {
        let answer = step(&self.app, event.clone(), self.now).answer;
        self.feed(event)?;
        answer.ok_or(Broken("a command was not answered".to_owned()))
    }

    fn feed(&mut self, event: Event) -> Result<(), Broken> {
        let before = self.before(&event);
        let step = step(&self.app, event, self.now);
        let saved = step.app.saved();
        if saved != self.app.saved() {
            self.disk = saved;
        }
        self.app = step.app.clone();
        self.carry_out(step, &before)
    }

    /// The step is thrown away; what follows is not journalled either.
    fn fail_to_journal(&mut self, action: &Action) -> Result<(), Broken> {
        let Some(event) = self.event(action) else {
            return Ok(());
        };
        let before = Before {
            journal_failed: true,
            ..self.before(&event)
        };
        let step = step(&self.app, unjournalled(event), self.now);
        self.app = step.app.clone();
        self.carry_out(step, &before)
    }

    fn crash(&mut self) -> Result<(), Broken> {
        let live = self.disk.live.clone();
        let split = self.plane.split.clone();
        let unfinished = self.disk.running.clone();
        let restored = App::restore(self.disk.clone(), self.limits, self.now);
        self.app = restored.app.clone();
        self.disk = restored.app.saved();
        self.probes.clear();
        self.command = None;
        self.smoke = None;
        self.begun = unfinished.map(|running| (running.operation, live.clone()));
        self.plane.restart();
        must(
            self.app.live() == live.as_ref(),
            "another release came back",
        )?;
        self.carry_out(restored, &Before::restart(live, split))
    }

    fn before(&self, event: &Event) -> Before {
        let passed = match event {
            Event::ProbePassed { probe } => {
                let release = self.probes.get(probe).cloned();
                release.map(|release| (*probe, release))
            }
            _ => None,
        };
        Before {
            live: self.app.live().cloned(),
            split: self.app.split().cloned(),
            refuted: self.refuted_by(event),
            had_canary: self.app.phase() == Phase::Canary,
            swapped: self.app.running().is_some_and(|running| running.swapped),
            passed,
            journal_failed: false,
            restarted: false,
        }
    }
    /// The canary that this event rolls back.
    fn refuted_by(&self, event: &Event) -> Option<OperationId> {
        let rollout = self.app.rollout()?;
        let (is_no, about) = match event {
            Event::Judged { round, verdict, .. } => (*verdict == Verdict::Fail, *round),
            Event::Smoked { round, result, .. } => (result.is_err(), *round),
            _ => (false, 0),
        };
        let is_judged = match rollout.going.stage {
            RolloutStage::Smoking => false,
            RolloutStage::SmokingAll => matches!(event, Event::Smoked { .. }),
            RolloutStage::Step(_) | RolloutStage::Watching => matches!(event, Event::Judged { .. }),
        };
        let rolls_back = rollout.going.plan.on_fail == OnFail::Rollback;
        let is_meant = is_judged && about == rollout.going.round;
        (is_no && is_meant && rolls_back).then(|| rollout.operation.clone())
    }
}
