//! Promote, rollback and abort: who may swap to what, and by which strategy.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{
    Answer, CanaryPlan, Outcome, Promote, Refusal, Release, Rollback, Share, Strategy,
    hold_swap::HoldSwap,
    operation::Ask,
    overlap::{Booting, Plan},
    turn::Turn,
    work::Work,
};

impl Turn {
    /// `swapctl promote`
    pub(crate) fn promote(&mut self, ask: Promote) -> Result<Answer, Refusal> {
        if self.knows(&ask.operation) {
            return Ok(Answer::Known(ask.operation));
        }
        self.must_not_be_blocked()?;
        self.must_be_current(ask.if_current.as_ref())?;
        self.must_be_generation(ask.if_generation)?;
        self.must_be_idle()?;
        must_be_of_its_strategy(&ask)?;
        ask.canary.as_ref().map_or(Ok(()), must_be_sound)?;
        if self.is_live(&ask) {
            return Ok(self.already_live(promote_ask(&ask)));
        }
        let next = self.resolve(ask.release.clone(), ask.instances.clone())?;
        match ask.strategy {
            Strategy::Overlap | Strategy::Canary => self.promote_overlapping(ask, next),
            Strategy::Hold => self.promote_holding(ask, next),
        }
    }

    fn promote_overlapping(&mut self, ask: Promote, next: Release) -> Result<Answer, Refusal> {
        if ask.command {
            let why = "a COMMAND runs only inside a hold (--strategy hold)";
            return Err(Refusal::Pointless(why.to_owned()));
        }
        let limits = self.app.limits;
        let plan = Plan {
            next,
            recover: false,
            boot: ask.boot.unwrap_or(limits.boot),
            drain: ask.drain.unwrap_or(limits.drain),
            canary: ask.canary.clone(),
        };
        Ok(self.overlap(promote_ask(&ask), plan))
    }

    fn promote_holding(&mut self, ask: Promote, next: Release) -> Result<Answer, Refusal> {
        let limits = self.app.limits;
        let limit = ask.hold.unwrap_or(limits.max_wait);
        must_fit(&ask, limit)?;
        self.must_have_quiet_gates()?;
        let op = self.begin(promote_ask(&ask));
        let begun = Answer::Begun(op.id().clone());
        let swap = HoldSwap {
            op,
            next,
            drain: ask.drain.unwrap_or(limits.drain_held),
            boot: ask.boot,
            command: ask.command,
            until: self.now + limit,
        };
        self.app.work = swap.begin(self);
        Ok(begun)
    }

    /// `swapctl rollback`. It is let in while a swap drains: when the new release turns out bad, waiting is no answer.
    pub(crate) fn rollback(&mut self, ask: Rollback) -> Result<Answer, Refusal> {
        if self.knows(&ask.operation) {
            return Ok(Answer::Known(ask.operation));
        }
        self.must_be_generation(ask.if_generation)?;
        self.must_be_idle_or_draining()?;
        let next = self.rollback_target(&ask)?;
        let about = Ask {
            operation: ask.operation,
            verb: "rollback",
            strategy: Some(Strategy::Overlap),
            to: Some(next.id.clone()),
            by: ask.by,
            reason: ask.reason,
        };
        if self.app.live.as_ref() == Some(&next) {
            return Ok(self.already_live(about));
        }
        self.must_have_quiet_gates()?;
        self.leave_drain(&about);
        let limits = self.app.limits;
        let plan = Plan {
            recover: self.app.previous.as_ref() == Some(&next),
            next,
            boot: limits.boot,
            drain: limits.drain,
            canary: None,
        };
        Ok(self.overlap(about, plan))
    }

    /// `swapctl abort`
    pub(crate) fn abort(&mut self) -> Result<Answer, Refusal> {
        let refusal = match &self.app.work {
            Work::Idle => Some("nothing is under way"),
            Work::Draining(_) => Some("it has swapped already: use rollback"),
            Work::Returning(_) | Work::Reopening(_) | Work::Withdrawing(_) => {
                Some("the old release is coming back already")
            }
            Work::Staging(_)
            | Work::Booting(_)
            | Work::Rollout(_)
            | Work::Quieting(_)
            | Work::Commanding(_)
            | Work::HoldBooting(_)
            | Work::HoldQuieting(_) => None,
        };
        if let Some(why) = refusal {
            return Err(Refusal::Pointless(why.to_owned()));
        }
        self.work(Work::abort);
        Ok(Answer::Done("aborted".to_owned()))
    }

    pub(crate) fn overlap(&mut self, about: Ask, plan: Plan) -> Answer {
        let op = self.begin(about);
        let begun = Answer::Begun(op.id().clone());
        self.app.work = Booting::begin(op, plan, self);
        begun
    }

    /// Done at once.
    fn already_live(&mut self, about: Ask) -> Answer {
        let op = self.begin(about);
        let begun = Answer::Begun(op.id().clone());
        self.finish(op, Outcome::AlreadyLive, None);
        begun
    }

    /// Whether what is asked for serves already: the same release, at the same addresses if any are named.
    fn is_live(&self, ask: &Promote) -> bool {
        let Some(live) = self.app.live.as_ref().filter(|live| live.id == ask.release) else {
            return false;
        };
        let set = |addresses: &[crate::Address]| addresses.iter().cloned().collect::<BTreeSet<_>>();
        ask.instances.is_empty() || set(&ask.instances) == set(&live.instances)
    }

    fn rollback_target(&self, ask: &Rollback) -> Result<Release, Refusal> {
        match (&ask.release, &self.app.previous) {
            (Some(id), _) => self.resolve(id.clone(), Vec::new()),
            (None, Some(previous)) => Ok(previous.clone()),
            (None, None) => Err(Refusal::Pointless(
                "there is no previous release to roll back to".to_owned(),
            )),
        }
    }

    fn leave_drain(&mut self, about: &Ask) {
        self.work(|work, turn| match work {
            Work::Draining(state) => {
                state.roll_back(&about.operation, turn);
                Work::Idle
            }
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
            | Work::HoldQuieting(_) => work,
        });
    }
}

impl Work {
    fn abort(self, turn: &mut Turn) -> Self {
        let why = "aborted".to_owned();
        match self {
            Self::Staging(state) => state.end(Outcome::Aborted, why, turn),
            Self::Booting(state) => state.end(Outcome::Aborted, why, turn),
            Self::Rollout(state) => state.withdraw(Outcome::Aborted, why, turn),
            Self::Quieting(state) => state.swap.end(Outcome::Aborted, why, turn),
            Self::Commanding(state) => state.swap.end(Outcome::Aborted, why, turn),
            Self::HoldBooting(state) => state.end(Outcome::Aborted, why, turn),
            Self::HoldQuieting(state) => state.end(Outcome::Aborted, why, turn),
            Self::Idle
            | Self::Returning(_)
            | Self::Reopening(_)
            | Self::Withdrawing(_)
            | Self::Draining(_) => self,
        }
    }
}

fn promote_ask(ask: &Promote) -> Ask {
    Ask {
        operation: ask.operation.clone(),
        verb: "promote",
        strategy: Some(ask.strategy),
        to: Some(ask.release.clone()),
        by: ask.by.clone(),
        reason: ask.reason.clone(),
    }
}

/// Timeouts that were asked for must fit into the hold; those that were not adapt to it.
fn must_fit(ask: &Promote, limit: Duration) -> Result<(), Refusal> {
    let drain = ask.drain.unwrap_or_default();
    let boot = ask.boot.unwrap_or_default();
    if drain.saturating_add(boot) <= limit {
        return Ok(());
    }
    Err(Refusal::DoesNotFit { drain, boot, limit })
}

fn must_be_sound(plan: &CanaryPlan) -> Result<(), Refusal> {
    let grow = plan.steps.is_sorted_by(|step, next| step < next);
    if grow && plan.steps.last() == Some(&Share::ALL) && plan.steps[0] > Share::NONE {
        return Ok(());
    }
    let why = "the steps of a canary grow, and the last one is 100 %";
    Err(Refusal::Pointless(why.to_owned()))
}

/// A plan is for a canary, and a canary has one.
fn must_be_of_its_strategy(ask: &Promote) -> Result<(), Refusal> {
    if ask.canary.is_some() == (ask.strategy == Strategy::Canary) {
        return Ok(());
    }
    let why = "steps, smoke tests and gates belong to strategy canary";
    Err(Refusal::Pointless(why.to_owned()))
}
