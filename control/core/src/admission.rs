//! What a command must meet before it may begin. Nothing here changes anything.
//!
//! Refusals take priority in this order: known, blocked, not current, not that generation, busy, unknown release, does
//! not fit.

use crate::{
    Address, Generation, OperationId, Refusal, Release, ReleaseId,
    operation::{Ask, Operation},
    turn::Turn,
    work::Work,
};

impl Turn {
    /// Whether this operation runs, or has ended not long ago.
    pub(crate) fn knows(&self, operation: &OperationId) -> bool {
        let running = self.app.work.operation().map(Operation::id);
        running == Some(operation) || self.app.ended.contains(operation)
    }

    pub(crate) fn must_not_be_blocked(&self) -> Result<(), Refusal> {
        match &self.app.blocked {
            Some(block) => Err(Refusal::Blocked(block.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn must_be_current(&self, wanted: Option<&ReleaseId>) -> Result<(), Refusal> {
        let live = self.app.live.as_ref().map(|live| &live.id);
        match wanted {
            Some(wanted) if live != Some(wanted) => Err(Refusal::NotCurrent {
                wanted: wanted.clone(),
                live: live.cloned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn must_be_generation(&self, wanted: Option<Generation>) -> Result<(), Refusal> {
        let is = self.app.generation;
        match wanted {
            Some(wanted) if wanted != is => Err(Refusal::NotGeneration { wanted, is }),
            Some(_) | None => Ok(()),
        }
    }

    /// Nothing is under way, and nothing is compared: that would mean something else with other releases.
    pub(crate) fn must_be_idle(&self) -> Result<(), Refusal> {
        self.must_have_no_work()?;
        match &self.app.experiment {
            None => Ok(()),
            Some(experiment) => Err(Refusal::Pointless(format!(
                "experiment {} is on: close it first",
                experiment.name
            ))),
        }
    }

    pub(crate) fn must_have_no_work(&self) -> Result<(), Refusal> {
        match self.app.work.running() {
            None => Ok(()),
            Some(running) => Err(Refusal::Busy {
                operation: running.operation.clone(),
                verb: running.verb.clone(),
                release: running.to.clone(),
                is_canary: self.app.work.rollout().is_some(),
            }),
        }
    }

    pub(crate) fn must_be_idle_or_draining(&self) -> Result<(), Refusal> {
        match self.app.work {
            Work::Draining(_) => Ok(()),
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
            | Work::HoldQuieting(_) => self.must_be_idle(),
        }
    }

    /// Whether another gate may be closed before those behind the earlier ones have ended.
    pub(crate) fn must_have_quiet_gates(&self) -> Result<(), Refusal> {
        if !self.app.gates.full() {
            return Ok(());
        }
        let closed = self.app.gates.closed().count();
        Err(Refusal::Pointless(format!(
            "requests from before {closed} earlier holds and swaps are still running: a promote with strategy overlap ends them"
        )))
    }

    /// The release at these addresses; without any, the one of that id that is known here.
    pub(crate) fn resolve(
        &self,
        id: ReleaseId,
        instances: Vec<Address>,
    ) -> Result<Release, Refusal> {
        if !instances.is_empty() {
            return Ok(release(id, instances));
        }
        let app = &self.app;
        let mut known = app.staged.iter().chain(&app.previous).chain(&app.live);
        match known.find(|known| known.id == id) {
            Some(known) => Ok(known.clone()),
            None => Err(Refusal::UnknownRelease(id)),
        }
    }

    /// Begins an operation that was admitted.
    pub(crate) fn begin(&self, ask: Ask) -> Operation {
        Operation::begin(ask, self.app.live.as_ref(), self.now)
    }
}

/// A release at these addresses, in this order, each once.
fn release(id: ReleaseId, addresses: Vec<Address>) -> Release {
    let mut instances: Vec<Address> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !instances.contains(&address) {
            instances.push(address);
        }
    }
    Release { id, instances }
}
