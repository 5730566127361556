//! What was promised, checked with each effect as it is carried out, and after each step.

use swap_core::{
    Answer, Cause, Effect, Ending, Methods, OperationId, Outcome, ProbeId, Release, Step,
};

use super::{World, plane::PlaneDoor};

/// What was promised and is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

/// What is remembered of the moment before a step, to judge it by.
pub(super) struct Before {
    pub(super) live: Option<Release>,
    pub(super) swapped: bool,
    /// The round of probes that has just passed, and whose.
    pub(super) passed: Option<(ProbeId, Release)>,
    pub(super) journal_failed: bool,
    pub(super) restarted: bool,
}

impl Before {
    pub(super) fn restart(live: Option<Release>) -> Self {
        Self {
            live,
            swapped: false,
            passed: None,
            journal_failed: false,
            restarted: true,
        }
    }

    /// Whether this may be published: it serves already, or has just passed its probe.
    fn allows(&self, live: Option<&Release>) -> bool {
        let passed = self.passed.as_ref().map(|(_, release)| release);
        self.restarted || live == self.live.as_ref() || live == passed
    }
}

/// Carrying out, and checking each effect as it is carried out.
impl World {
    pub(super) fn carry_out(&mut self, mut made: Step, before: &Before) -> Result<(), Broken> {
        (self.mischief)(&mut made.effects);
        let mut effects = made.effects.iter();
        let ends = |effect: &Effect, operation: &OperationId| matches!(effect, Effect::Finish(ending) if ending.operation == *operation);
        if let Some(Answer::Begun(operation)) = made.answer
            && !made.effects.iter().any(|effect| ends(effect, &operation))
        {
            if self.begun.is_some() {
                must(before.swapped, "two operations run at once")?;
                // A rollback ends the swap whose drain it leaves before it begins.
                effects
                    .next()
                    .map_or(Ok(()), |effect| self.carry_out_one(effect, before))?;
            }
            must(self.begun.is_none(), "an operation was forgotten")?;
            self.begun = Some((operation, before.live.clone()));
        }
        for effect in effects {
            self.carry_out_one(effect, before)?;
        }
        if let Some((probe, _)) = &before.passed {
            self.probes.remove(probe);
        }
        self.check(before)
    }

    fn carry_out_one(&mut self, effect: &Effect, before: &Before) -> Result<(), Broken> {
        match effect {
            Effect::Hold { cause, methods } => {
                self.plane.door = PlaneDoor::Shut(*cause, *methods);
                Ok(())
            }
            Effect::Publish {
                generation,
                gate,
                live,
            } => {
                must(
                    before.allows(live.as_ref()),
                    "a release that has not passed its probe got live",
                )?;
                self.plane.publish(*generation, *gate, live.clone())
            }
            Effect::Close { gate, methods, .. } => {
                let shut = self.plane.door.shuts(*methods);
                let replaced = self.plane.live != before.live;
                let again = self.plane.closed.contains_key(gate);
                must(
                    shut || replaced || again,
                    "a gate was closed while its door was open",
                )?;
                self.plane.close(*gate, *methods)
            }
            Effect::Cut { gate } => {
                let closed = self.plane.closed.get_mut(gate);
                let closed = closed.ok_or(Broken("cut a gate that is not closed".to_owned()))?;
                closed.cut = Some(self.now);
                Ok(())
            }
            Effect::Release => {
                self.plane.door = PlaneDoor::Releasing;
                Ok(())
            }
            Effect::GiveUp => {
                self.plane.door = PlaneDoor::GivenUp;
                Ok(())
            }
            Effect::Probe { probe, release, .. } => {
                let doubled = self.probes.insert(*probe, release.clone());
                must(doubled.is_none(), "a round's number was used twice")
            }
            Effect::StopProbe { probe } => {
                let stopped = self.probes.remove(probe);
                must(stopped.is_some(), "a round was stopped that did not run")
            }
            Effect::RunCommand { operation } => {
                self.command = Some(operation.clone());
                must(
                    self.plane.quiet(Methods::ALL),
                    "the COMMAND runs beside requests on the old release",
                )
            }
            Effect::Progress { operation, .. } => must(
                self.operation().as_ref() == Some(operation),
                "progress of something that is not under way",
            ),
            Effect::Finish(ending) => self.finish(ending, before),
        }
    }

    fn finish(&mut self, ending: &Ending, before: &Before) -> Result<(), Broken> {
        self.ended.push((ending.verb.clone(), ending.outcome));
        let Some((_, live_at_start)) = self
            .begun
            .take_if(|(operation, _)| *operation == ending.operation)
        else {
            let at_once = ending.outcome == Outcome::AlreadyLive;
            return must(at_once, "something ended that was not under way");
        };
        self.command
            .take_if(|operation| *operation == ending.operation);
        let live = self.plane.live.clone();
        match ending.outcome {
            Outcome::Done => self.finish_done(ending, before),
            Outcome::AlreadyLive => must(live == live_at_start, "live changed"),
            Outcome::Failed | Outcome::Aborted | Outcome::Interrupted => must(
                before.swapped || live == live_at_start,
                "I5: it failed, yet another release serves",
            ),
        }
    }

    fn finish_done(&self, ending: &Ending, before: &Before) -> Result<(), Broken> {
        if before.journal_failed || before.restarted {
            return must(
                self.disk.live == self.plane.live,
                "I5: done, but a crash would undo it",
            );
        }
        match ending.verb.as_str() {
            "promote" | "rollback" => {
                let serves = |release: &Option<Release>| {
                    release.as_ref().map(|release| &release.id) == ending.to.as_ref()
                };
                must(serves(&self.plane.live), "I5: done, but it does not serve")?;
                must(
                    serves(&self.disk.live),
                    "I5: done, but a crash would undo it",
                )?;
                must(
                    self.plane.quiet(Methods::ALL),
                    "I9: done, but requests run on the old release",
                )
            }
            "hold" => {
                let held = self.disk.hold.as_ref().map(|hold| hold.methods);
                let held = held.ok_or(Broken("done, but a crash would end the hold".to_owned()))?;
                must(
                    self.plane.quiet(held),
                    "done, but requests of held methods run",
                )
            }
            "stage" => must(
                self.disk
                    .staged
                    .iter()
                    .any(|release| Some(&release.id) == ending.to.as_ref()),
                "done, but a crash would unstage it",
            ),
            other => must(false, &format!("{other} is no verb")),
        }
    }

    /// What must hold whenever a step has been carried out.
    fn check(&self, before: &Before) -> Result<(), Broken> {
        let live = self.app.live();
        must(
            self.plane.live.as_ref() == live,
            "I3: the table is another one",
        )?;
        must(
            self.disk.live.as_ref() == live,
            "I5: a crash would change who serves",
        )?;
        must(
            self.disk.generation == self.plane.generation && self.disk.gate == self.plane.gate,
            "I8: a number could be used again after a crash",
        )?;
        must(
            before.live.is_none() || live.is_some(),
            "I10: nobody serves any more",
        )?;
        must(
            self.operation().as_ref() == self.app.running().map(|running| &running.operation),
            "an operation ended without a word, or began without one",
        )?;
        let gates: Vec<_> = self.plane.open.iter().copied().collect();
        must(
            gates == [self.plane.gate] || live.is_none(),
            "a replaced gate is still open",
        )?;
        self.check_door()?;
        self.check_probes()?;
        self.check_deadline()
    }

    fn check_door(&self) -> Result<(), Broken> {
        if self.plane.down.is_some() {
            return Ok(());
        }
        let agrees = match (self.app.hold(), self.plane.door) {
            (None, PlaneDoor::Open | PlaneDoor::Releasing) => true,
            (Some((cause, methods)), PlaneDoor::Shut(is, shut)) => cause == is && methods == shut,
            (Some((cause, _)), PlaneDoor::GivenUp) => cause == Cause::Down,
            (Some(_), PlaneDoor::Open | PlaneDoor::Releasing)
            | (None, PlaneDoor::Shut(..) | PlaneDoor::GivenUp) => false,
        };
        must(agrees, "the door is not as the machine believes")
    }

    fn check_probes(&self) -> Result<(), Broken> {
        let waits = matches!(self.app.hold(), Some((Cause::Down, _)));
        let most = usize::from(waits) + usize::from(self.app.running().is_some());
        must(self.probes.len() <= most, "a round of probes was forgotten")?;
        must(
            !waits || !self.probes.is_empty(),
            "nobody looks whether it is back",
        )
    }

    /// I6: whoever waits, waits for a moment that comes.
    fn check_deadline(&self) -> Result<(), Broken> {
        let waits = match self.plane.door {
            PlaneDoor::Shut(cause, _) => cause != Cause::Empty && self.plane.down.is_none(),
            PlaneDoor::Open | PlaneDoor::GivenUp | PlaneDoor::Releasing => false,
        };
        let unsteady = waits || self.app.running().is_some();
        must(
            !unsteady || self.app.deadline().is_some(),
            "I6: it waits for ever",
        )
    }
}

pub(super) fn must(holds: bool, otherwise: &str) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(Broken(otherwise.to_owned()))
    }
}
