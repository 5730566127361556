//! A swap with strategy hold has failed: the requests that waited go back to the old release, if it still answers.

use std::time::Duration;

use crate::{
    Moment, Outcome,
    operation::Operation,
    turn::Turn,
    work::{Round, Work},
};

/// The old release is given so long to answer, even where the hold's limit is over.
const RETURN_MIN: Duration = Duration::from_secs(1);

/// The old release is probed; the door is still shut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Returning {
    pub(crate) op: Operation,
    pub(crate) outcome: Outcome,
    pub(crate) why: String,
    pub(crate) round: Round,
    pub(crate) until: Moment,
}

/// It answers; those who waited go to it. The door's own deadline bounds this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reopening {
    pub(crate) op: Operation,
    pub(crate) outcome: Outcome,
    pub(crate) why: String,
}

impl Returning {
    /// Begins, with the operation's end decided: `outcome`, because of `why`.
    pub(crate) fn begin(
        op: Operation,
        outcome: Outcome,
        why: String,
        hold_until: Moment,
        turn: &mut Turn,
    ) -> Work {
        let Some(live) = turn.app.live.clone() else {
            turn.finish(op, outcome, Some(why));
            return Work::Idle;
        };
        turn.progress(&op, "returning");
        let probe = turn.probe(live, true);
        Work::Returning(Self {
            op,
            outcome,
            why,
            round: Round::new(probe),
            until: hold_until.max(turn.now + RETURN_MIN),
        })
    }

    pub(crate) fn passed(mut self, turn: &mut Turn) -> Work {
        turn.reopened(&mut self.op);
        turn.door(|door, turn| door.put_back(turn));
        Work::Reopening(Reopening {
            op: self.op,
            outcome: self.outcome,
            why: self.why,
        })
    }

    /// The operation ends; its probes go on for the door.
    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let probe = self.round.probe;
        turn.door(|door, turn| door.not_back(probe, turn));
        turn.finish(self.op, self.outcome, Some(self.why));
        Work::Idle
    }
}

impl Reopening {
    pub(crate) fn settle(self, turn: &mut Turn) -> Work {
        if turn.app.door.is_releasing() {
            return Work::Reopening(self);
        }
        self.end(turn)
    }

    pub(crate) fn end(self, turn: &mut Turn) -> Work {
        turn.finish(self.op, self.outcome, Some(self.why));
        Work::Idle
    }
}
