//! The data plane: who is published behind which gate, which gates are closed, and whether the door is open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swap_core::{Cause, GateId, Generation, Methods, Moment, Release, Split};

use super::promises::{Broken, must};
use crate::cast::seconds;

/// After so long a data plane has ended what it was told to cut.
const CUT: Duration = seconds(5);

/// The data plane.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) generation: Generation,
    pub(crate) gate: GateId,
    /// The last gate that was published.
    pub(super) last: GateId,
    pub(crate) live: Option<Release>,
    pub(crate) split: Option<Split>,
    pub(crate) door: PlaneDoor,
    /// Requests came back unsent from the release behind this gate; nobody has heard of it yet.
    pub(crate) down: Option<GateId>,
    /// Gates that were left open; more than those that are published is a mistake.
    pub(super) open: BTreeMap<GateId, OpenGate>,
    /// Closed gates that are not known to be empty.
    pub(crate) closed: BTreeMap<GateId, ClosedGate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlaneDoor {
    Open,
    Shut(Cause, Methods),
    GivenUp,
    Releasing,
}

#[derive(Clone, Debug)]
pub(crate) struct OpenGate {
    release: Release,
    /// Whose requests may have entered.
    entered: Methods,
}

#[derive(Clone, Debug)]
pub(crate) struct ClosedGate {
    release: Release,
    /// Whose requests may still run.
    running: Methods,
    /// Questions that are not answered, oldest first.
    pub(crate) asked: Vec<Methods>,
    pub(super) cut: Option<Moment>,
}

impl Plane {
    /// Nothing was published yet.
    pub(super) fn new() -> Self {
        Self {
            generation: Generation(0),
            gate: GateId(0),
            last: GateId(0),
            live: None,
            split: None,
            door: PlaneDoor::Open,
            down: None,
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
        }
    }

    pub(super) fn publish(
        &mut self,
        generation: Generation,
        gate: GateId,
        live: Option<Release>,
    ) -> Result<(), Broken> {
        self.number(generation)?;
        if let Some(live) = &live {
            self.open(gate, live)?;
        } else {
            must(gate > self.last, "a gate was opened again")?;
            self.last = gate;
        }
        (self.gate, self.live) = (gate, live);
        Ok(())
    }

    pub(super) fn split(
        &mut self,
        generation: Generation,
        split: Option<Split>,
    ) -> Result<(), Broken> {
        self.number(generation)?;
        for beside in split.iter().flat_map(|split| &split.beside) {
            self.open(beside.gate, &beside.release)?;
        }
        self.split = split;
        Ok(())
    }

    fn number(&mut self, generation: Generation) -> Result<(), Broken> {
        must(
            generation > self.generation,
            "I8: a generation was used twice",
        )?;
        self.generation = generation;
        Ok(())
    }

    /// A gate is new, or is published already for this very release, beside the live one.
    fn open(&mut self, gate: GateId, release: &Release) -> Result<(), Broken> {
        if let Some(open) = self.open.get(&gate) {
            let stays = open.release == *release && self.beside().contains(&gate);
            return must(stays, "a gate was opened again");
        }
        must(gate > self.last, "a gate was opened again")?;
        self.last = gate;
        let open = OpenGate {
            release: release.clone(),
            entered: Methods::NONE,
        };
        self.open.insert(gate, open);
        Ok(())
    }

    /// Those that a request can find in the table.
    pub(super) fn published(&self) -> BTreeSet<GateId> {
        let live = self.live.is_some().then_some(self.gate);
        self.beside().into_iter().chain(live).collect()
    }

    fn beside(&self) -> BTreeSet<GateId> {
        let beside = self.split.iter().flat_map(|split| &split.beside);
        beside.map(|beside| beside.gate).collect()
    }

    /// Requests enter wherever they may.
    pub(super) fn enter(&mut self) {
        let entering = self.door.lets_in().bits();
        for gate in self.open.values_mut() {
            gate.entered = Methods::from_bits(gate.entered.bits() | entering);
        }
    }

    /// Whether no request of these classes has entered a gate that is open.
    pub(super) fn nobody_entered(&self, methods: Methods) -> bool {
        let mut gates = self.open.values();
        gates.all(|gate| !gate.entered.meets(methods.classes()))
    }

    /// Whether no request runs on this release behind a closed gate, but those that were cut.
    pub(super) fn ended(&self, release: Option<&swap_core::ReleaseId>) -> bool {
        let of = |gate: &&ClosedGate| Some(&gate.release.id) == release;
        let mut gates = self.closed.values().filter(of);
        gates.all(|gate| gate.cut.is_some() || gate.running == Methods::NONE)
    }

    pub(super) fn close(&mut self, gate: GateId, methods: Methods) -> Result<(), Broken> {
        must(
            !self.published().contains(&gate),
            "a gate was closed before its table was replaced",
        )?;
        let open = self.open.remove(&gate);
        if let Some(OpenGate { release, .. }) = open {
            let closed = ClosedGate {
                release,
                running: Methods::ALL,
                asked: Vec::new(),
                cut: None,
            };
            self.closed.insert(gate, closed);
        }
        let closed = self.closed.get_mut(&gate).ok_or(Broken(
            "a gate was closed that was never open, or is empty".to_owned(),
        ))?;
        if closed.asked.last() != Some(&methods) {
            closed.asked.push(methods);
        }
        Ok(())
    }

    /// Those about whom was asked first have ended.
    pub(super) fn answer(&mut self, gate: GateId) {
        let Some(closed) = self.closed.get_mut(&gate) else {
            return;
        };
        if !closed.asked.is_empty() {
            let ended = closed.asked.remove(0).classes().bits();
            closed.running = Methods::from_bits(closed.running.bits() & !ended);
        }
        if closed.running == Methods::NONE || closed.cut.is_some() {
            self.closed.remove(&gate);
        }
    }

    /// Gates about which something may be reported.
    pub(super) fn answers(&self) -> impl Iterator<Item = GateId> {
        let open = |gate: &ClosedGate| !gate.asked.is_empty() || gate.cut.is_some();
        let gates = self.closed.iter().filter(move |(_, gate)| open(gate));
        gates.map(|(gate, _)| *gate)
    }

    /// What was cut some time ago has ended.
    pub(super) fn forget_cut(&mut self, now: Moment) {
        self.closed
            .retain(|_, gate| gate.cut.is_none_or(|cut| now - cut < CUT));
    }

    pub(super) fn restart(&mut self) {
        self.open.clear();
        self.split = None;
        self.closed.clear();
        self.door = PlaneDoor::Open;
        self.down = None;
    }

    /// Whether no request of these classes runs behind a closed gate, but those that were cut.
    pub(super) fn quiet(&self, methods: Methods) -> bool {
        let mut waited_for = self.closed.values().filter(|closed| closed.cut.is_none());
        waited_for.all(|closed| !closed.running.meets(methods.classes()))
    }
}

impl PlaneDoor {
    /// Whose requests enter.
    fn lets_in(self) -> Methods {
        match self {
            Self::Open | Self::Releasing => Methods::ALL,
            Self::Shut(_, shut) => Methods::from_bits(Methods::ALL.bits() & !shut.bits()),
            Self::GivenUp => Methods::NONE,
        }
    }

    /// Whether somebody passes who could notice that the live release is away.
    pub(super) fn lets_some_in(self) -> bool {
        match self {
            Self::Open | Self::Releasing => true,
            Self::Shut(_, methods) => methods != Methods::ALL,
            Self::GivenUp => false,
        }
    }

    pub(super) fn shuts(self, methods: Methods) -> bool {
        match self {
            Self::Shut(_, shut) => shut.covers(methods),
            Self::GivenUp => true,
            Self::Open | Self::Releasing => false,
        }
    }
}
