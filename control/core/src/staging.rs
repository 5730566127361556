//! Stage: a release is probed and kept ready, without traffic, to be promoted later by its id.

use crate::{
    Answer, Effect, Moment, Outcome, Refusal, Release, ReleaseId, Stage,
    operation::{Ask, Operation},
    turn::Turn,
    work::{Round, Work},
};

/// So many releases may be staged at once.
const STAGED_MAX: usize = 16;

/// The release is probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Staging {
    pub(crate) op: Operation,
    pub(crate) next: Release,
    pub(crate) round: Round,
    pub(crate) until: Moment,
}

impl Turn {
    /// `swapctl stage`
    pub(crate) fn stage(&mut self, ask: Stage) -> Result<Answer, Refusal> {
        if self.knows(&ask.operation) {
            return Ok(Answer::Known(ask.operation));
        }
        self.must_have_no_work()?;
        self.must_not_be_compared(&ask.release)?;
        let next = self.resolve(ask.release, ask.instances)?;
        self.must_have_place_for(&next.id)?;
        self.must_have_gates_for_previews()?;
        let mut op = self.begin(Ask {
            operation: ask.operation,
            verb: "stage",
            strategy: None,
            to: Some(next.id.clone()),
            by: ask.by,
            reason: None,
        });
        op.boot.begin(self.now);
        let begun = Answer::Begun(op.id().clone());
        self.progress(&op, "booting");
        let probe = self.probe(next.clone(), false);
        self.app.work = Work::Staging(Staging {
            op,
            next,
            round: Round::new(probe),
            until: self.now + ask.boot.unwrap_or(self.app.limits.boot),
        });
        Ok(begun)
    }

    /// `swapctl unstage`
    pub(crate) fn unstage(&mut self, release: &ReleaseId) -> Result<Answer, Refusal> {
        self.must_not_be_compared(release)?;
        let before = self.app.staged.len();
        self.app.staged.retain(|staged| staged.id != *release);
        if self.app.staged.len() == before {
            return Err(Refusal::Pointless(format!("{release} is not staged")));
        }
        self.staged_changed();
        Ok(Answer::Done(format!("{release} is no longer staged")))
    }

    /// Who may see a staged release sees the last one. (A canary is seen instead, while there is one.)
    fn staged_changed(&mut self) {
        if self.app.work.rollout().is_none() {
            self.split(None, self.app.limits.drain);
        }
    }

    /// Each release that is seen for a while leaves a gate behind.
    fn must_have_gates_for_previews(&self) -> Result<(), Refusal> {
        if self.app.limits.previews {
            self.must_have_quiet_gates()
        } else {
            Ok(())
        }
    }

    fn must_have_place_for(&self, id: &ReleaseId) -> Result<(), Refusal> {
        let others = self.app.staged.iter().filter(|staged| staged.id != *id);
        if others.count() < STAGED_MAX {
            return Ok(());
        }
        Err(Refusal::Pointless(format!(
            "{STAGED_MAX} releases are staged already: unstage one first"
        )))
    }
}

impl Staging {
    pub(crate) fn passed(mut self, turn: &mut Turn) -> Work {
        self.op.boot.end(turn.now);
        let staged = &mut turn.app.staged;
        staged.retain(|staged| staged.id != self.next.id);
        staged.push(self.next);
        turn.staged_changed();
        turn.finish(self.op, Outcome::Done, None);
        Work::Idle
    }

    pub(crate) fn late(self, turn: &mut Turn) -> Work {
        let why = self.round.why(&self.next, self.until - self.op.started);
        self.fail(why, turn)
    }

    pub(crate) fn fail(self, why: String, turn: &mut Turn) -> Work {
        self.end(Outcome::Failed, why, turn)
    }

    pub(crate) fn end(self, outcome: Outcome, why: String, turn: &mut Turn) -> Work {
        turn.emit(Effect::StopProbe {
            probe: self.round.probe,
        });
        turn.finish(self.op, outcome, Some(why));
        Work::Idle
    }
}
