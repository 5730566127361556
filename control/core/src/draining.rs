//! The instant of a swap, and what follows it: the old release drains, those who were held go to the new one.

use std::time::Duration;

use crate::{Methods, Outcome, Release, operation::Operation, turn::Turn, work::Work};

/// Swapped. It ends when all closed gates are empty and nobody waits at the door any more; their deadlines bound it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Draining {
    pub(crate) op: Operation,
}

impl Turn {
    /// Makes `next` the live release. From here on there is no way back but a rollback.
    pub(crate) fn swap(&mut self, mut op: Operation, next: Release, drain: Duration) -> Work {
        op.running.swapped = true;
        self.app.staged.retain(|staged| staged.id != next.id);
        self.app.experiment = None;
        // Who is on it already stays behind the same gate.
        let beside = self.gate_beside(&next);
        let gate = beside.unwrap_or_else(|| self.app.gates.fresh());
        match self.app.live.replace(next.clone()) {
            Some(old) => {
                self.keep_warm(&old, &next);
                self.app.previous = Some(old);
                self.change_gate(gate, Methods::ALL, false);
                op.drain.begin(self.now);
            }
            // Nobody could enter the gate of an empty app.
            None => self.publish_behind(gate),
        }
        self.split(None, drain);
        self.app.gates.drain(self.now + drain);
        let was_shut = self.app.door.hold().is_some();
        self.reopened(&mut op);
        self.door(|door, turn| door.swapped(turn));
        self.progress(&op, "swapped");
        if was_shut {
            self.progress(&op, "releasing");
        }
        if !self.app.gates.empty() {
            self.progress(&op, "draining");
        }
        Work::Draining(Draining { op })
    }

    /// Notes for the receipt how long requests have waited for this operation.
    pub(crate) fn reopened(&self, op: &mut Operation) {
        if let Some(since) = self.app.door.since() {
            op.hold.begin(since.max(op.started));
        }
        op.hold.end(self.now);
    }
}

impl Draining {
    pub(crate) fn settle(mut self, turn: &mut Turn) -> Work {
        if !turn.app.gates.empty() {
            return Work::Draining(self);
        }
        self.op.drain.end(turn.now);
        if turn.app.door.is_releasing() {
            return Work::Draining(self);
        }
        turn.finish(self.op, Outcome::Done, None);
        Work::Idle
    }

    /// The swap itself stands in the journal: only its end does not.
    pub(crate) fn journal_failed(self, why: String, turn: &mut Turn) -> Work {
        turn.finish(self.op, Outcome::Done, Some(why));
        Work::Idle
    }

    /// A rollback takes over before the old release has drained. What drains goes on draining.
    pub(crate) fn roll_back(self, by: &crate::OperationId, turn: &mut Turn) {
        let why = format!("rolled back by operation {by} before the old release had drained");
        turn.finish(self.op, Outcome::Aborted, Some(why));
    }
}
