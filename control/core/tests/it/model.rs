//! Random stories against a reference model that fits on two pages: what people are told, and what they find
//! afterwards, without gates, doors, probes and deadlines.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use swap_core::{
    Answer, Event, Generation, Methods, Refusal, Running, Saved, Strategy as Takeover,
};

use crate::cast;
use crate::world::{Action, PlaneDoor, World};

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
    under_way: Option<UnderWay>,
    /// Operations so far; each has the number that it began with.
    operations: u32,
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
        held: bool,
    },
    Drain,
}

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
    let strategies = prop::sample::select(vec![Takeover::Overlap, Takeover::Hold]);
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
            2 => Just(Happens::Unblock),
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
            Happens::GoesWell { to_the_end } => state.goes_well(*to_the_end),
            Happens::GoesBadly => {
                state.is_held = false;
                state.under_way = None;
            }
            Happens::Crash => {
                state.generation += 1;
                state.under_way = None;
            }
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
                held: *strategy == Takeover::Hold,
            }),
            Happens::Rollback => self.previous.map(|to| UnderWay::Swap { to, held: false }),
            Happens::Stage(release) => Some(UnderWay::Stage(release)),
            _ => Some(UnderWay::Hold),
        };
        match self.under_way {
            Some(UnderWay::Swap { held: true, .. }) => {
                self.generation += u64::from(self.live.is_some())
            }
            Some(UnderWay::Hold) => {
                self.generation += 1;
                self.is_held = true;
            }
            Some(UnderWay::Swap { held: false, .. } | UnderWay::Stage(_) | UnderWay::Drain)
            | None => {}
        }
        Told::Begun
    }

    fn resume(&mut self) -> Told {
        let was_held = std::mem::take(&mut self.is_held);
        match self.under_way {
            Some(UnderWay::Hold) => self.under_way = None,
            Some(UnderWay::Swap { held: true, .. }) if !was_held && self.live.is_some() => {
                return Told::Busy;
            }
            Some(UnderWay::Swap { .. } | UnderWay::Stage(_) | UnderWay::Drain) | None => {}
        }
        Told::Done
    }

    fn abort(&mut self) -> Told {
        match self.under_way {
            None | Some(UnderWay::Drain) => return Told::Pointless,
            Some(UnderWay::Hold) => self.is_held = false,
            Some(UnderWay::Swap { .. } | UnderWay::Stage(_)) => {}
        }
        self.under_way = None;
        Told::Done
    }

    fn goes_well(&mut self, to_the_end: bool) {
        match self.under_way.take() {
            Some(UnderWay::Stage(release)) => {
                self.staged.insert(release);
            }
            Some(UnderWay::Swap { to, .. }) => {
                self.generation += 1;
                self.staged.remove(to);
                self.previous = self.live.replace(to).or(self.previous);
                self.is_held = false;
                self.under_way = (!to_the_end).then_some(UnderWay::Drain);
            }
            Some(UnderWay::Drain) => self.under_way = (!to_the_end).then_some(UnderWay::Drain),
            Some(UnderWay::Hold) | None => {}
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
                Takeover::Canary => unreachable!("not yet"),
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
        Happens::GoesWell { .. } | Happens::GoesBadly | Happens::Crash => {
            unreachable!("nobody says that")
        }
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
            self.probes_pass();
            self.door_opens();
        }
    }

    fn goes_well(&mut self, to_the_end: bool) {
        self.gates_empty();
        if self.world.command.is_some() {
            self.act(&Action::CommandEnds { ok: true });
        }
        self.probes_pass();
        if to_the_end {
            self.gates_empty();
            self.door_opens();
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
