//! Random stories against a reference model that fits on two pages: what people are told, and what they find
//! afterwards, without gates, doors, probes and deadlines.

mod happens;
mod real;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, prop_state_machine};
use swap_core::Strategy as Takeover;

use happens::{Happens, promotes, releases};
use real::Real;

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

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    #[test]
    fn people_find_what_they_were_told(sequential 1..40 => Real);
}
