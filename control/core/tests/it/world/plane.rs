//! The data plane: who is published behind which gate, which gates are closed, and whether the door is open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swap_core::{Cause, GateId, Generation, Methods, Moment, Release};

use super::promises::{Broken, must};
use crate::cast::seconds;

/// After so long a data plane has ended what it was told to cut.
const CUT: Duration = seconds(5);

/// The data plane.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) generation: Generation,
    pub(crate) gate: GateId,
    pub(crate) live: Option<Release>,
    pub(crate) door: PlaneDoor,
    /// Requests came back unsent from the release behind this gate; nobody has heard of it yet.
    pub(crate) down: Option<GateId>,
    /// Gates that were left open; more than the current one is a mistake.
    pub(super) open: BTreeSet<GateId>,
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
pub(crate) struct ClosedGate {
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
            live: None,
            door: PlaneDoor::Open,
            down: None,
            open: BTreeSet::new(),
            closed: BTreeMap::new(),
        }
    }

    pub(super) fn publish(
        &mut self,
        generation: Generation,
        gate: GateId,
        live: Option<Release>,
    ) -> Result<(), Broken> {
        must(
            generation > self.generation,
            "I8: a generation was used twice",
        )?;
        must(gate > self.gate, "a gate was opened again")?;
        if live.is_some() {
            self.open.insert(gate);
        }
        (self.generation, self.gate, self.live) = (generation, gate, live);
        Ok(())
    }

    pub(super) fn close(&mut self, gate: GateId, methods: Methods) -> Result<(), Broken> {
        must(
            gate < self.gate,
            "a gate was closed before its table was replaced",
        )?;
        let was_open = self.open.remove(&gate);
        if !was_open && !self.closed.contains_key(&gate) {
            return must(false, "a gate was closed that was never open, or is empty");
        }
        let closed = self.closed.entry(gate).or_insert(ClosedGate {
            running: Methods::ALL,
            asked: Vec::new(),
            cut: None,
        });
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
