//! Random stories against a reference model that fits on two pages: what people are told, and what they find
//! afterwards, without gates, doors, probes and deadlines.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use swap_core::{
    Answer, CanaryPlan, Event, Generation, Methods, Phase, Refusal, Running, Saved,
    Strategy as Takeover, Verdict,
};

use crate::cast;
use crate::world::{Action, Canary, PlaneDoor, World};

const RELEASES: [&str; 3] = ["a", "b", "c"];

/// What somebody who only reads `status` believes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Believed {
    generation: u64,
    live: Option<&'static str>,
    previous: Option<&'static str>,
    staged: BTreeSet<&'static str>,
    is_blocked: bool,
    is_held: bool,
    /// Who is compared with the live release.
    compared: Option<&'static str>,
    under_way: Option<UnderWay>,
    /// Operations so far; each has the number that it began with.
    operations: u32,
    /// Experiments that somebody wanted so far.
    experiments: u32,
    /// What the last command was told.
    told: Told,
}

/// An operation under way.
#[derive(Clone, Copy, Debug)]
enum UnderWay {
    Stage(&'static str),
    Hold,
    /// Not swapped yet.
    Swap {
        to: &'static str,
        how: Takeover,
    },
    /// Everybody but a few still gets the old release; so many stages are behind it.
    Canary {
        to: &'static str,
        stage: usize,
        is_paused: bool,
    },
    Drain,
}

/// Two steps that take no time, and no watch.
const STAGES: usize = 2;

/// The kind of answer to the last command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Begun,
    Known,
    Done,
    Blocked,
    NotCurrent,
    Busy,
    Unknown,
    Pointless,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Happens {
    Promote {
        release: &'static str,
        by_id: bool,
        strategy: Takeover,
        command: bool,
        if_current: Option<&'static str>,
    },
    /// An operation that began before is asked for again.
    Again(u32),
    Stage(&'static str),
    Unstage(&'static str),
    Hold,
    Resume,
    Rollback,
    Abort,
    Block,
    Unblock,
    Pause,
    Advance,
    /// Half of the clients get another release, all the others the live one.
    StartExperiment(&'static str),
    CloseExperiment,
    /// The judge says no, if it is asked at all.
    SaysNo,
    /// All goes well, up to the swap, or to the end.
    GoesWell {
        to_the_end: bool,
    },
    /// Nothing new gets ready, requests never end, until everything is settled.
    GoesBadly,
    /// The process is killed, and started again.
    Crash,
}

fn releases() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&RELEASES[..])
}

fn promotes() -> impl Strategy<Value = Happens> {
    let strategies =
        prop::sample::select(vec![Takeover::Overlap, Takeover::Hold, Takeover::Canary]);
    let current = prop::option::weighted(0.2, releases());
    (
        releases(),
        any::<bool>(),
        strategies,
        any::<bool>(),
        current,
    )
        .prop_map(
            |(release, by_id, strategy, command, if_current)| Happens::Promote {
                release,
                by_id,
                strategy,
                command: command && strategy == Takeover::Hold,
                if_current,
            },
        )
}

impl ReferenceStateMachine for Believed {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        let begins = prop::option::of(Just("a"));
        let restored = |live| Self {
            generation: 1,
            live,
            ..Self::default()
        };
        begins.prop_map(restored).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Happens> {
        let operations = 1..=state.operations.max(1);
        prop_oneof![
            8 => promotes(),
            1 => operations.prop_map(Happens::Again),
            3 => releases().prop_map(Happens::Stage),
            1 => releases().prop_map(Happens::Unstage),
            3 => Just(Happens::Hold),
            2 => Just(Happens::Resume),
            3 => Just(Happens::Rollback),
            2 => Just(Happens::Abort),
            1 => Just(Happens::Block),
            3 => Just(Happens::Unblock),
            2 => Just(Happens::Pause),
            2 => Just(Happens::Advance),
            2 => releases().prop_map(Happens::StartExperiment),
            2 => Just(Happens::CloseExperiment),
            3 => Just(Happens::SaysNo),
            8 => any::<bool>().prop_map(|to_the_end| Happens::GoesWell { to_the_end }),
            3 => Just(Happens::GoesBadly),
            1 => Just(Happens::Crash),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, happens: &Happens) -> bool {
        match happens {
            Happens::Again(operation) => *operation <= state.operations,
            _ => true,
        }
    }

    fn apply(mut state: Self, happens: &Happens) -> Self {
        state.told = Told::Nothing;
        match happens {
            Happens::Promote { .. }
            | Happens::Again(_)
            | Happens::Stage(_)
            | Happens::Hold
            | Happens::Rollback => {
                state.told = state.begin(happens);
            }
            Happens::Unstage(release) if state.is_in_experiment(release) => {
                state.told = Told::Pointless;
            }
            Happens::Unstage(release) => {
                let known = state.staged.remove(release);
                state.told = if known { Told::Done } else { Told::Pointless };
            }
            Happens::Resume => state.told = state.resume(),
            Happens::Abort => state.told = state.abort(),
            Happens::Block => {
                state.is_blocked = true;
                state.told = Told::Done;
            }
            Happens::Unblock => {
                state.is_blocked = false;
                state.told = Told::Done;
            }
            Happens::Pause => state.told = state.pause(),
            Happens::Advance => state.told = state.advance(),
            Happens::StartExperiment(release) => state.told = state.compare(release),
            Happens::CloseExperiment => state.told = state.end_comparison(),
            Happens::SaysNo => state.is_judged_bad(),
            Happens::GoesWell { to_the_end } => state.goes_well(*to_the_end),
            Happens::GoesBadly => state.goes_badly(),
            Happens::Crash => state.crash(),
        }
        state
    }
}

impl Believed {
    fn knows(&self, release: &'static str) -> bool {
        let served = [self.live, self.previous].contains(&Some(release));
        served || self.staged.contains(release)
    }

    /// Why it is not let in, gravest first.
    fn refusal(&self, happens: &Happens) -> Option<Told> {
        let is_busy = self.under_way.is_some();
        match happens {
            Happens::Again(_) => Some(Told::Known),
            Happens::Promote { .. } if self.is_blocked => Some(Told::Blocked),
            Happens::Promote {
                if_current: Some(current),
                ..
            } if self.live != Some(current) => Some(Told::NotCurrent),
            Happens::Rollback if matches!(self.under_way, Some(UnderWay::Drain)) => {
                self.previous.is_none().then_some(Told::Pointless)
            }
            _ if is_busy => Some(Told::Busy),
            Happens::Stage(release) if self.is_in_experiment(release) => Some(Told::Pointless),
            Happens::Stage(_) => None,
            _ if self.compared.is_some() => Some(Told::Pointless),
            Happens::Promote {
                release,
                by_id: true,
                ..
            } if !self.knows(release) => Some(Told::Unknown),
            Happens::Rollback if self.previous.is_none() => Some(Told::Pointless),
            Happens::Hold if self.live.is_none() || self.is_held => Some(Told::Pointless),
            _ => None,
        }
    }

    fn begin(&mut self, happens: &Happens) -> Told {
        if let Some(refusal) = self.refusal(happens) {
            return refusal;
        }
        self.operations += 1;
        self.under_way = match happens {
            Happens::Promote { release, .. } if self.live == Some(release) => None,
            Happens::Promote {
                release, strategy, ..
            } => Some(UnderWay::Swap {
                to: release,
                how: *strategy,
            }),
            Happens::Rollback => self.previous.map(|to| UnderWay::Swap {
                to,
                how: Takeover::Overlap,
            }),
            Happens::Stage(release) => Some(UnderWay::Stage(release)),
            _ => Some(UnderWay::Hold),
        };
        match self.under_way {
            Some(UnderWay::Swap {
                how: Takeover::Hold,
                ..
            }) => self.generation += u64::from(self.live.is_some()),
            Some(UnderWay::Hold) => {
                self.generation += 1;
                self.is_held = true;
            }
            Some(
                UnderWay::Swap { .. }
                | UnderWay::Canary { .. }
                | UnderWay::Stage(_)
                | UnderWay::Drain,
            )
            | None => {}
        }
        Told::Begun
    }

    fn resume(&mut self) -> Told {
        let was_held = std::mem::take(&mut self.is_held);
        match self.under_way {
            Some(UnderWay::Hold) => self.under_way = None,
            Some(UnderWay::Swap {
                how: Takeover::Hold,
                ..
            }) if !was_held && self.live.is_some() => return Told::Busy,
            Some(UnderWay::Canary {
                to,
                stage,
                is_paused: true,
            }) if !was_held => self.publish_canary(to, stage),
            Some(
                UnderWay::Swap { .. }
                | UnderWay::Canary { .. }
                | UnderWay::Stage(_)
                | UnderWay::Drain,
            )
            | None => {}
        }
        Told::Done
    }

    fn publish_canary(&mut self, to: &'static str, stage: usize) {
        self.generation += 1;
        self.under_way = Some(UnderWay::Canary {
            to,
            stage,
            is_paused: false,
        });
    }

    fn pause(&mut self) -> Told {
        match &mut self.under_way {
            Some(UnderWay::Canary { is_paused, .. }) if !*is_paused => {
                *is_paused = true;
                Told::Done
            }
            Some(_) | None => Told::Pointless,
        }
    }

    fn advance(&mut self) -> Told {
        let Some(UnderWay::Canary { to, stage, .. }) = self.under_way else {
            return Told::Pointless;
        };
        if stage + 1 < STAGES {
            self.publish_canary(to, stage + 1);
        } else {
            self.generation += 1; // nothing is beside it any more
            self.swap(to);
        }
        Told::Done
    }

    fn is_judged_bad(&mut self) {
        if let Some(UnderWay::Canary { .. }) = self.under_way {
            self.is_blocked = true;
            self.withdraw();
        }
    }

    fn withdraw(&mut self) {
        self.generation += 1;
        self.under_way = None;
    }

    fn is_in_experiment(&self, release: &'static str) -> bool {
        let is_arm = |other| other == release || self.live == Some(release);
        self.compared.is_some_and(is_arm)
    }

    fn compare(&mut self, other: &'static str) -> Told {
        self.experiments += 1;
        if self.under_way.is_some() {
            return Told::Busy;
        }
        let is_here = self.live == Some(other) || self.staged.contains(other);
        if self.compared.is_some() || self.live.is_none() || !is_here {
            return Told::Pointless;
        }
        self.compared = Some(other);
        self.generation += 1;
        Told::Done
    }

    fn end_comparison(&mut self) -> Told {
        if self.compared.is_none() {
            return Told::Pointless;
        }
        if self.under_way.is_some() {
            return Told::Busy;
        }
        self.compared = None;
        self.generation += 1;
        Told::Done
    }

    fn abort(&mut self) -> Told {
        match self.under_way {
            None | Some(UnderWay::Drain) => return Told::Pointless,
            Some(UnderWay::Hold) => self.is_held = false,
            Some(UnderWay::Canary { .. }) => self.withdraw(),
            Some(UnderWay::Swap { .. } | UnderWay::Stage(_)) => {}
        }
        self.under_way = None;
        Told::Done
    }

    fn goes_well(&mut self, to_the_end: bool) {
        match self.under_way {
            Some(UnderWay::Stage(release)) => {
                self.staged.insert(release);
                self.under_way = None;
            }
            Some(UnderWay::Swap {
                to,
                how: Takeover::Canary,
            }) if self.live.is_some() => self.publish_canary(to, 0),
            Some(UnderWay::Swap { to, .. }) => self.swap(to),
            Some(UnderWay::Canary {
                is_paused: false, ..
            }) => {
                self.advance();
            }
            Some(UnderWay::Hold) => self.under_way = None,
            Some(UnderWay::Canary { .. } | UnderWay::Drain) | None => {}
        }
        match self.under_way {
            Some(UnderWay::Canary {
                is_paused: false, ..
            }) if to_the_end => self.goes_well(to_the_end),
            Some(UnderWay::Drain) if to_the_end => self.under_way = None,
            Some(_) | None => {}
        }
    }

    fn swap(&mut self, to: &'static str) {
        self.generation += 1;
        self.staged.remove(to);
        self.previous = self.live.replace(to).or(self.previous);
        self.is_held = false;
        self.under_way = Some(UnderWay::Drain);
    }

    /// Who waits for a person still does.
    fn goes_badly(&mut self) {
        self.is_held = false;
        match self.under_way {
            Some(UnderWay::Canary { is_paused, .. }) if is_paused => {}
            Some(UnderWay::Canary { .. }) => self.withdraw(),
            Some(_) | None => self.under_way = None,
        }
    }

    /// What is beside the live release is published in a table of its own.
    fn crash(&mut self) {
        let is_canary = matches!(self.under_way, Some(UnderWay::Canary { .. }));
        self.generation += 1 + u64::from(is_canary || self.compared.is_some());
        if !is_canary {
            self.under_way = None;
        }
    }

    /// Whether a canary is paused; none without one.
    fn canary(&self) -> Option<bool> {
        match self.under_way {
            Some(UnderWay::Canary { is_paused, .. }) => Some(is_paused),
            Some(_) | None => None,
        }
    }
}

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

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    #[test]
    fn people_find_what_they_were_told(sequential 1..40 => Real);
}
