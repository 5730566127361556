//! One step in the making: the app as it becomes, the time, and the effects so far, in order.
//!
//! The few things that every state does are here: publish, probe, tell progress, finish.

use std::mem;

use crate::{
    Answer, App, Effect, GateId, Moment, OperationId, Outcome, ProbeId, Release, Saved, Step,
    door::Door, operation::Operation, work::Work,
};

/// A step that is being made.
pub(crate) struct Turn {
    pub(crate) app: App,
    pub(crate) now: Moment,
    pub(crate) effects: Vec<Effect>,
}

impl Turn {
    pub(crate) fn new(app: App, now: Moment) -> Self {
        Self {
            app,
            now,
            effects: Vec::new(),
        }
    }

    pub(crate) fn end(self, answer: Option<Answer>) -> Step {
        Step {
            app: self.app,
            effects: self.effects,
            answer,
        }
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Lets the work's state become what `change` makes of it.
    pub(crate) fn work(&mut self, change: impl FnOnce(Work, &mut Self) -> Work) {
        let work = mem::replace(&mut self.app.work, Work::Idle);
        self.app.work = change(work, self);
    }

    /// Lets the door's state become what `change` makes of it.
    pub(crate) fn door(&mut self, change: impl FnOnce(Door, &mut Self) -> Door) {
        let door = mem::replace(&mut self.app.door, Door::Open);
        self.app.door = change(door, self);
    }

    /// Publishes what is live, in a new table, behind a gate that was never used.
    pub(crate) fn publish(&mut self) {
        let gate = self.app.gates.fresh();
        self.publish_behind(gate);
    }

    /// The same behind this gate.
    pub(crate) fn publish_behind(&mut self, gate: GateId) {
        self.app.generation = self.app.generation.next();
        self.app.gates.current = gate;
        self.emit(Effect::Publish {
            generation: self.app.generation,
            gate: self.app.gates.current,
            live: self.app.live.clone(),
        });
    }

    /// Begins a round of probing.
    pub(crate) fn probe(&mut self, release: Release, recover: bool) -> ProbeId {
        self.app.last_probe = self.app.last_probe.next();
        let probe = self.app.last_probe;
        self.emit(Effect::Probe {
            probe,
            release,
            recover,
        });
        probe
    }

    /// Says how far the operation has come.
    pub(crate) fn progress(&mut self, operation: &Operation, phase: &'static str) {
        let operation = operation.id().clone();
        self.emit(Effect::Progress { operation, phase });
    }

    /// Ends the operation, and remembers that it did.
    pub(crate) fn finish(&mut self, operation: Operation, outcome: Outcome, why: Option<String>) {
        self.remember(operation.id().clone());
        self.emit(Effect::Finish(operation.end(outcome, why, self.now)));
    }

    /// Remembers that this operation has ended, and forgets the oldest ones.
    pub(crate) fn remember(&mut self, operation: OperationId) {
        let ended = &mut self.app.ended;
        ended.push(operation);
        let excess = ended.len().saturating_sub(Saved::ENDED_MAX);
        ended.drain(..excess);
    }
}
