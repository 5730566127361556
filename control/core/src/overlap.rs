//! Strategy overlap: the old release serves until the new one is ready, then the table changes in one instant.

use std::time::Duration;

use crate::{
    Effect, Moment, Outcome, Release,
    operation::Operation,
    turn::Turn,
    work::{Round, Work},
};

/// The new release is probed; the old one serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Booting {
    pub(crate) op: Operation,
    pub(crate) next: Release,
    pub(crate) drain: Duration,
    pub(crate) round: Round,
    pub(crate) until: Moment,
}

/// How an overlap swap is to go.
pub(crate) struct Plan {
    pub(crate) next: Release,
    /// Whether `next` has served before, and so may come back without a probe path.
    pub(crate) recover: bool,
    pub(crate) boot: Duration,
    pub(crate) drain: Duration,
}

impl Booting {
    pub(crate) fn begin(mut op: Operation, plan: Plan, turn: &mut Turn) -> Work {
        op.boot.begin(turn.now);
        turn.progress(&op, "booting");
        let probe = turn.probe(plan.next.clone(), plan.recover);
        Work::Booting(Self {
            op,
            next: plan.next,
            drain: plan.drain,
            round: Round::new(probe),
            until: turn.now + plan.boot,
        })
    }

    pub(crate) fn passed(mut self, turn: &mut Turn) -> Work {
        self.op.boot.end(turn.now);
        turn.swap(self.op, self.next, self.drain)
    }

    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let why = self.round.why(&self.next, self.until - self.op.started);
        self.fail(why, turn)
    }

    pub(crate) fn fail(self, why: String, turn: &mut Turn) -> Work {
        self.end(Outcome::Failed, why, turn)
    }

    /// The old release has served all the while, and goes on.
    pub(crate) fn end(self, outcome: Outcome, why: String, turn: &mut Turn) -> Work {
        turn.emit(Effect::StopProbe {
            probe: self.round.probe,
        });
        turn.finish(self.op, outcome, Some(why));
        Work::Idle
    }
}
