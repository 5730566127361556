//! The real machine goes through the same story, in its small world, and is compared after each step.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest_state_machine::StateMachineTest;
use swap_core::{
    Answer, CanaryPlan, Event, Generation, Methods, Phase, Refusal, Running, Saved,
    Strategy as Takeover, Verdict,
};

use super::happens::Happens;
use super::{Believed, STAGES, Told};
use crate::cast;
use crate::world::{Action, Canary, PlaneDoor, World};

/// The real machine, in its small world.
pub(crate) struct Real {
    world: World,
    told: Told,
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Believed;

    fn init_test(believed: &Believed) -> Self {
        let saved = Saved {
            live: believed.live.map(cast::release),
            ..Saved::default()
        };
        let world = World::spoilt(saved, |_| {}).expect("a sound beginning");
        Self {
            world,
            told: Told::Nothing,
        }
    }

    fn apply(mut real: Self, believed: &Believed, happens: Happens) -> Self {
        real.told = Told::Nothing;
        match happens {
            Happens::GoesWell { to_the_end } => real.goes_well(to_the_end),
            Happens::GoesBadly => real.goes_badly(),
            Happens::SaysNo => real.judge_says(Verdict::Fail),
            Happens::Crash => real.act(&Action::Crash),
            command => real.tell(event(&command, believed)),
        }
        real.old_release_answers();
        real
    }

    fn check_invariants(real: &Self, believed: &Believed) {
        let app = &real.world.app;
        assert_eq!(real.told, believed.told);
        assert_eq!(app.generation(), Generation(believed.generation));
        assert_eq!(app.live().cloned(), believed.live.map(cast::release));
        assert_eq!(
            app.previous().cloned(),
            believed.previous.map(cast::release)
        );
        let staged: BTreeSet<_> = app
            .staged()
            .iter()
            .map(|staged| staged.id.as_str())
            .collect();
        assert_eq!(staged, believed.staged);
        assert_eq!(app.blocked().is_some(), believed.is_blocked);
        assert_eq!(app.saved().hold.is_some(), believed.is_held);
        assert_eq!(app.running().is_some(), believed.under_way.is_some());
        assert_eq!(app.experiment().is_some(), believed.compared.is_some());
        let rollout = app.rollout();
        let is_paused = rollout.map(|rollout| rollout.going.paused.is_some());
        assert_eq!(is_paused, believed.canary());
    }
}

/// The command, as it reaches the machine.
fn event(happens: &Happens, believed: &Believed) -> Event {
    // It has been counted already if it was let in; a number that was never used otherwise.
    let begun = believed.told == Told::Begun;
    let operation = format!("o{}", believed.operations + u32::from(!begun) * 1_000_000);
    match happens {
        Happens::Promote {
            release,
            by_id,
            strategy,
            command,
            if_current,
        } => {
            let ask = match strategy {
                Takeover::Overlap => cast::overlap(&operation, release),
                Takeover::Hold => cast::holding(&operation, release),
                Takeover::Canary => cast::canary(&operation, release, plan()),
            };
            Event::Promote(swap_core::Promote {
                instances: if *by_id { Vec::new() } else { ask.instances },
                command: *command,
                if_current: if_current.map(cast::id),
                ..ask
            })
        }
        Happens::Again(number) => cast::hold(&format!("o{number}")),
        Happens::Stage(release) => cast::stage(&operation, release),
        Happens::Unstage(release) => cast::unstage(release),
        Happens::Hold => cast::hold_methods(&operation, Methods::ALL),
        Happens::Resume => Event::Resume,
        Happens::Rollback => cast::rollback(&operation),
        Happens::Abort => Event::Abort,
        Happens::Block => cast::block("because"),
        Happens::Unblock => Event::Unblock,
        Happens::Pause => cast::pause(),
        Happens::Advance => cast::advance(),
        Happens::StartExperiment(other) => {
            let live = believed.live.unwrap_or("a");
            let operation = format!("e{}", believed.experiments);
            cast::experiment(&operation, &[("live", live, 50), ("other", other, 50)])
        }
        Happens::CloseExperiment => cast::close_experiment(&operation, None),
        Happens::SaysNo | Happens::GoesWell { .. } | Happens::GoesBadly | Happens::Crash => {
            unreachable!("nobody says that")
        }
    }
}

/// Whatever the judge says, the next stage's turn has come.
fn plan() -> CanaryPlan {
    CanaryPlan {
        step_time: Duration::ZERO,
        watch: Duration::ZERO,
        ..Canary::Judged.plan()
    }
}

impl Real {
    fn tell(&mut self, event: Event) {
        let answer = self
            .world
            .tell(event)
            .unwrap_or_else(|broken| panic!("{}", broken.0));
        self.told = match answer {
            Answer::Begun(_) => Told::Begun,
            Answer::Known(_) => Told::Known,
            Answer::Done(_) => Told::Done,
            Answer::Refused(Refusal::Busy { .. }) => Told::Busy,
            Answer::Refused(Refusal::NotCurrent { .. }) => Told::NotCurrent,
            Answer::Refused(Refusal::Blocked(_)) => Told::Blocked,
            Answer::Refused(Refusal::UnknownRelease(_)) => Told::Unknown,
            Answer::Refused(Refusal::Pointless(_)) => Told::Pointless,
            Answer::Refused(
                refusal @ (Refusal::NotGeneration { .. } | Refusal::DoesNotFit { .. }),
            ) => {
                panic!("nobody asked for what is refused: {refusal}")
            }
        };
    }

    fn act(&mut self, action: &Action) {
        let after = self.world.after(action);
        self.world = after.unwrap_or_else(|broken| panic!("{action:?}: {}", broken.0));
    }

    /// The old release answers at once, so a swap that is given up is over at once.
    fn old_release_answers(&mut self) {
        let app = &self.world.app;
        let swaps = |running: &Running| running.strategy.is_some() && !running.swapped;
        if app.running().is_some_and(swaps) && app.next().is_none() {
            if app.phase() == Phase::Canary {
                self.gates_empty();
            }
            self.probes_pass();
            self.door_opens();
        }
    }

    fn goes_well(&mut self, to_the_end: bool) {
        self.gates_empty();
        if self.world.command.is_some() {
            self.act(&Action::CommandEnds { ok: true });
        }
        self.judge_says(Verdict::Pass);
        self.probes_pass();
        if to_the_end {
            for _ in 0..STAGES {
                self.judge_says(Verdict::Pass);
            }
            self.gates_empty();
            self.door_opens();
        }
    }

    fn judge_says(&mut self, verdict: Verdict) {
        if self.world.app.rollout().is_some() {
            self.act(&Action::Judged(verdict));
        }
    }

    fn goes_badly(&mut self) {
        while self.world.app.deadline().is_some() {
            self.act(&Action::TimePasses);
            self.old_release_answers();
        }
    }

    fn probes_pass(&mut self) {
        while let Some(probe) = self.world.probes.keys().next().copied() {
            self.act(&Action::ProbePasses(probe));
        }
    }

    fn gates_empty(&mut self) {
        while let Some(gate) = self.world.plane.closed.keys().next().copied() {
            self.act(&Action::GateEmpties(gate));
        }
    }

    fn door_opens(&mut self) {
        if self.world.plane.door == PlaneDoor::Releasing {
            self.act(&Action::DoorOpens);
        }
    }
}
