//! Strategy overlap: the old release serves until the new one is ready, then the table changes in one instant. A canary
//! begins in the same way.

use std::time::Duration;

use crate::{
    CanaryPlan, Effect, Going, Moment, Outcome, Release,
    operation::Operation,
    rollout::Rollout,
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
    /// What it goes through when it is ready, instead of taking over at once.
    pub(crate) canary: Option<Box<CanaryPlan>>,
}

/// How an overlap swap is to go.
pub(crate) struct Plan {
    pub(crate) next: Release,
    /// Whether `next` has served before, and so may come back without a probe path.
    pub(crate) recover: bool,
    pub(crate) boot: Duration,
    pub(crate) drain: Duration,
    pub(crate) canary: Option<CanaryPlan>,
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
            canary: plan.canary.map(Box::new),
        })
    }

    pub(crate) fn passed(mut self, turn: &mut Turn) -> Work {
        self.op.boot.end(turn.now);
        match self.canary.filter(|_| turn.app.live.is_some()) {
            Some(plan) => {
                let slack = self.until - self.op.started;
                let going = Going::new(self.next, *plan, self.drain, slack);
                Rollout::begin(self.op, going, turn)
            }
            None => turn.swap(self.op, self.next, self.drain),
        }
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
