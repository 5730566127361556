//! Hold and resume by command.

use crate::{
    Answer, HoldCommand, Methods, Moment, Outcome, Refusal,
    door::{CommandHold, Door},
    duration,
    operation::{Ask, Operation},
    turn::Turn,
    work::Work,
};

/// The door is shut; requests of the held methods that were running end. The hold lasts beyond this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldQuieting {
    pub(crate) op: Operation,
    pub(crate) methods: Methods,
    pub(crate) until: Moment,
}

impl Turn {
    /// `swapctl hold`
    pub(crate) fn hold(&mut self, ask: HoldCommand) -> Result<Answer, Refusal> {
        if self.knows(&ask.operation) {
            return Ok(Answer::Known(ask.operation));
        }
        self.must_be_idle()?;
        self.must_be_holdable(ask.methods)?;
        let limits = self.app.limits;
        let timeout = ask.timeout.unwrap_or(limits.max_wait);
        let mut op = self.begin(Ask {
            operation: ask.operation,
            verb: "hold",
            strategy: None,
            to: None,
            by: ask.by,
            reason: ask.reason,
        });
        op.hold.begin(self.now);
        op.drain.begin(self.now);
        let begun = Answer::Begun(op.id().clone());
        let command = CommandHold {
            methods: ask.methods,
            timeout,
            since: self.now,
        };
        self.progress(&op, "holding");
        self.door(|door, turn| door.shut_by_command(command, turn));
        self.change_gates(ask.methods, false, limits.drain);
        self.app.work = Work::HoldQuieting(HoldQuieting {
            op,
            methods: ask.methods,
            until: self.now + timeout.min(limits.drain),
        });
        Ok(begun)
    }

    /// `swapctl resume`. Clients that wait come before a rollout that is paused.
    pub(crate) fn resume(&mut self) -> Result<Answer, Refusal> {
        if self.app.door.command().is_none() {
            return self.no_hold_to_end();
        }
        self.work(|work, turn| match work {
            Work::HoldQuieting(state) => state.end(Outcome::Aborted, "resumed".to_owned(), turn),
            Work::Idle
            | Work::Staging(_)
            | Work::Booting(_)
            | Work::Rollout(_)
            | Work::Withdrawing(_)
            | Work::Quieting(_)
            | Work::Commanding(_)
            | Work::HoldBooting(_)
            | Work::Returning(_)
            | Work::Reopening(_)
            | Work::Draining(_) => {
                turn.door(|door, turn| door.end_command(turn));
                work
            }
        });
        let said = match self.app.door {
            Door::Swapping { .. } => "the command's hold is over; the swap's goes on",
            Door::Down { .. } | Door::GivenUp { .. } => {
                "the command's hold is over; the live release cannot be reached"
            }
            Door::Empty | Door::Open | Door::Commanded(_) | Door::Releasing { .. } => "released",
        };
        let more = if self.is_paused() {
            "; the canary is still paused: `resume` once more lets it go on"
        } else {
            ""
        };
        Ok(Answer::Done(format!("{said}{more}")))
    }

    fn no_hold_to_end(&mut self) -> Result<Answer, Refusal> {
        if self.is_paused() {
            return Ok(self.resume_rollout());
        }
        self.not_held()
    }

    fn not_held(&self) -> Result<Answer, Refusal> {
        let said = match self.app.door {
            Door::Open | Door::Commanded(_) => "not held",
            Door::Releasing { .. } => "released already",
            Door::Empty => "not held by command: the app is empty until its first promote",
            Door::Down { .. } | Door::GivenUp { .. } => {
                "not held by command: the live release cannot be reached, and is probed until it is"
            }
            Door::Swapping { .. } => {
                self.must_be_idle()?;
                "not held by command"
            }
        };
        Ok(Answer::Done(said.to_owned()))
    }

    fn must_be_holdable(&self, methods: Methods) -> Result<(), Refusal> {
        let pointless = |why: String| Err(Refusal::Pointless(why));
        if self.app.live.is_none() {
            return pointless("the app is empty: requests wait for its first promote".to_owned());
        }
        if methods == Methods::NONE {
            return pointless("no method is named".to_owned());
        }
        if let Some(held) = self.app.door.command() {
            let held = held.methods;
            return pointless(format!("held by command already ({held}): resume first"));
        }
        self.must_have_quiet_gates()
    }
}

impl HoldQuieting {
    pub(crate) fn settle(mut self, turn: &mut Turn) -> Work {
        if !turn.app.gates.quiet(self.methods) {
            return Work::HoldQuieting(self);
        }
        self.op.drain.end(turn.now);
        turn.finish(self.op, Outcome::Done, None);
        Work::Idle
    }

    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let given = duration::text(self.until - self.op.started);
        let why = format!("requests that were running had not ended after {given}");
        self.fail(why, turn)
    }

    pub(crate) fn fail(self, why: String, turn: &mut Turn) -> Work {
        self.end(Outcome::Failed, why, turn)
    }

    /// The hold ends before it was quiet.
    pub(crate) fn end(mut self, outcome: Outcome, why: String, turn: &mut Turn) -> Work {
        self.op.hold.end(turn.now);
        turn.door(|door, turn| door.end_command(turn));
        turn.finish(self.op, outcome, Some(why));
        Work::Idle
    }
}
