//! Strategy hold: requests wait while the old release ends and the new one boots, for apps of which only one copy may
//! run. The whole of it happens within one limit, counted from the shutting of the door, so that the first request that
//! is held never waits longer.

use std::time::Duration;

use crate::{
    Effect, Methods, Moment, Outcome, Release,
    operation::Operation,
    returning::Returning,
    turn::Turn,
    work::{Round, Work},
};

/// What a swap with strategy hold carries with it from state to state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldSwap {
    pub(crate) op: Operation,
    pub(crate) next: Release,
    pub(crate) drain: Duration,
    /// How long `next` may take to get ready, if asked for; else what is left of the hold.
    pub(crate) boot: Option<Duration>,
    /// Whether a COMMAND runs inside the hold.
    pub(crate) command: bool,
    /// The end of the hold's limit.
    pub(crate) until: Moment,
}

/// The old release's running requests end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quieting {
    pub(crate) swap: HoldSwap,
}

/// The COMMAND runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Commanding {
    pub(crate) swap: HoldSwap,
}

/// The new release is probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldBooting {
    pub(crate) swap: HoldSwap,
    pub(crate) round: Round,
    pub(crate) until: Moment,
}

impl HoldSwap {
    /// Shuts the door; where nobody serves, there is nothing to quieten.
    pub(crate) fn begin(mut self, turn: &mut Turn) -> Work {
        if turn.app.live.is_none() {
            return self.quiet(turn);
        }
        self.op.hold.begin(turn.now);
        self.op.drain.begin(turn.now);
        turn.progress(&self.op, "holding");
        turn.door(|door, turn| door.shut_by_swap(turn));
        turn.close_tunnels();
        turn.change_gates(Methods::ALL, true, self.drain);
        turn.app.gates.quieten(turn.now + self.drain);
        Work::Quieting(Quieting { swap: self })
    }

    /// Nothing runs any more. The COMMAND comes first: a probe must never meet the old process at the same address.
    fn quiet(self, turn: &mut Turn) -> Work {
        if !self.command {
            return self.boot(turn);
        }
        turn.progress(&self.op, "command");
        turn.emit(Effect::RunCommand {
            operation: self.op.id().clone(),
        });
        Work::Commanding(Commanding { swap: self })
    }

    fn boot(mut self, turn: &mut Turn) -> Work {
        self.op.boot.begin(turn.now);
        turn.progress(&self.op, "booting");
        let probe = turn.probe(self.next.clone(), false);
        let asked = self.boot.map(|boot| turn.now + boot);
        let until = asked.map_or(self.until, |asked| asked.min(self.until));
        Work::HoldBooting(HoldBooting {
            swap: self,
            round: Round::new(probe),
            until,
        })
    }

    pub(crate) fn fail(self, why: String, turn: &mut Turn) -> Work {
        self.end(Outcome::Failed, why, turn)
    }

    /// It will not swap: everything is put back.
    pub(crate) fn end(self, outcome: Outcome, why: String, turn: &mut Turn) -> Work {
        turn.app.gates.call_off();
        Returning::begin(self.op, outcome, why, self.until, turn)
    }
}

impl Quieting {
    pub(crate) fn settle(mut self, turn: &mut Turn) -> Work {
        if !turn.app.gates.empty() {
            return Work::Quieting(self);
        }
        self.swap.op.drain.end(turn.now);
        self.swap.quiet(turn)
    }

    /// Nobody reads the progress of a COMMAND any more: swapctl is gone before its turn came.
    pub(crate) fn command_ended(self, result: Result<(), String>, turn: &mut Turn) -> Work {
        match result {
            Ok(()) => Work::Quieting(self),
            Err(why) => self.swap.fail(why, turn),
        }
    }

    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let why = "requests that were running had not ended when the hold's limit was over";
        self.swap.fail(why.to_owned(), turn)
    }
}

impl Commanding {
    pub(crate) fn command_ended(self, result: Result<(), String>, turn: &mut Turn) -> Work {
        match result {
            Ok(()) => self.swap.boot(turn),
            Err(why) => self.swap.fail(why, turn),
        }
    }

    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let why = "the COMMAND had not ended when the hold's limit was over";
        self.swap.fail(why.to_owned(), turn)
    }
}

impl HoldBooting {
    pub(crate) fn passed(self, turn: &mut Turn) -> Work {
        let HoldSwap {
            mut op,
            next,
            drain,
            ..
        } = self.swap;
        op.boot.end(turn.now);
        turn.swap(op, next, drain)
    }

    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let given = self.swap.op.boot.length(self.until).unwrap_or_default();
        let why = self.round.why(&self.swap.next, given);
        self.end(Outcome::Failed, why, turn)
    }

    pub(crate) fn end(self, outcome: Outcome, why: String, turn: &mut Turn) -> Work {
        turn.emit(Effect::StopProbe {
            probe: self.round.probe,
        });
        self.swap.end(outcome, why, turn)
    }
}
