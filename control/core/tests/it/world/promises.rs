//! What was promised, checked with each effect as it is carried out, and after each step.

use swap_core::{
    Answer, Cause, Effect, Ending, GateId, Methods, OperationId, Outcome, ProbeId, Release, Split,
    Step,
};

use super::{World, plane::PlaneDoor};

/// What was promised and is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

/// What is remembered of the moment before a step, to judge it by.
pub(super) struct Before {
    pub(super) live: Option<Release>,
    pub(super) split: Option<Split>,
    /// The canary that is rolled back, since somebody has just said no.
    pub(super) refuted: Option<OperationId>,
    /// Whether a canary had a share, or gave it back.
    pub(super) had_canary: bool,
    pub(super) swapped: bool,
    /// The round of probes that has just passed, and whose.
    pub(super) passed: Option<(ProbeId, Release)>,
    pub(super) journal_failed: bool,
    pub(super) restarted: bool,
}

impl Before {
    pub(super) fn restart(live: Option<Release>, split: Option<Split>) -> Self {
        Self {
            live,
            split,
            refuted: None,
            had_canary: false,
            swapped: false,
            passed: None,
            journal_failed: false,
            restarted: true,
        }
    }

    /// Whether this may be published: it serves already, or has just passed its probe.
    fn allows(&self, live: Option<&Release>) -> bool {
        let passed = self.passed.as_ref().map(|(_, release)| release);
        let known = live == self.live.as_ref() || live == passed;
        self.restarted || known || live.is_some_and(|live| self.beside(live).is_some())
    }

    fn beside(&self, release: &Release) -> Option<GateId> {
        let mut beside = self.split.iter().flat_map(|split| &split.beside);
        let found = beside.find(|beside| beside.release == *release);
        found.map(|beside| beside.gate)
    }

    /// Whether this gate was one beside the live one's.
    fn had_beside(&self, gate: GateId) -> bool {
        let mut beside = self.split.iter().flat_map(|split| &split.beside);
        beside.any(|beside| beside.gate == gate)
    }
}

/// What of a split decides who gets what.
fn drawn(split: Option<&Split>) -> String {
    split.map_or(String::new(), |split| {
        let releases: Vec<_> = split.beside.iter().map(|beside| &beside.release).collect();
        let Split {
            key,
            slices,
            preview,
            opt_in,
            ..
        } = split;
        format!("{key} {releases:?} {slices:?} {preview:?} {opt_in}")
    })
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
        self.plane.enter();
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
            Effect::Split { generation, split } => {
                let passed = |release: &Release| {
                    before.allows(Some(release)) || self.app.staged().contains(release)
                };
                let mut beside = split.iter().flat_map(|split| &split.beside);
                must(
                    beside.all(|beside| passed(&beside.release)),
                    "a release that has not passed its probe is seen",
                )?;
                self.plane.split(*generation, split.clone())
            }
            Effect::Smoke {
                operation,
                round,
                release,
                ..
            } => {
                self.smoke = Some((operation.clone(), *round));
                let mut beside = self.plane.split.iter().flat_map(|split| &split.beside);
                must(
                    beside.any(|beside| beside.release == *release),
                    "smoke tests of a release that is not there",
                )
            }
            Effect::Close { gate, methods, .. } => {
                let shut = self.plane.door.shuts(*methods);
                let replaced = self.plane.live != before.live;
                let again = self.plane.closed.contains_key(gate);
                must(
                    shut || replaced || again || before.had_beside(*gate),
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
                    self.plane.quiet(Methods::ALL) && self.plane.nobody_entered(Methods::ALL),
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
        self.smoke
            .take_if(|(operation, _)| *operation == ending.operation);
        self.ended_on_the_canary(ending, before)?;
        let live = self.plane.live.clone();
        match ending.outcome {
            Outcome::Done => self.finish_done(ending, before),
            Outcome::AlreadyLive => must(live == live_at_start, "live changed"),
            Outcome::Failed | Outcome::Aborted | Outcome::RolledBack | Outcome::Interrupted => {
                must(
                    before.swapped || live == live_at_start,
                    "I5: it failed, yet another release serves",
                )
            }
        }
    }

    /// A canary that has come to nothing may be stopped when its promote returns.
    fn ended_on_the_canary(&self, ending: &Ending, before: &Before) -> Result<(), Broken> {
        let is_withdrawn = before.had_canary && ending.outcome != Outcome::Done;
        let is_known = !before.journal_failed && !before.restarted;
        must(
            !(is_withdrawn && is_known) || self.plane.ended(ending.to.as_ref()),
            "I9: withdrawn, but requests run on the canary",
        )
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
                    self.plane.quiet(held) && self.plane.nobody_entered(held),
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
            self.disk.generation == self.plane.generation && self.disk.gate == self.plane.last,
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
        must(
            self.plane.open.keys().eq(&self.plane.published()),
            "a replaced gate is still open",
        )?;
        self.check_split(before)?;
        self.check_door()?;
        self.check_probes()?;
        self.check_deadline()
    }

    fn check_split(&self, before: &Before) -> Result<(), Broken> {
        let split = self.plane.split.as_ref();
        must(
            split == self.app.split(),
            "I3: what is beside it is something else",
        )?;
        must(
            !before.restarted || drawn(split) == drawn(before.split.as_ref()),
            "after a restart other clients get other releases",
        )?;
        let Some(refuted) = before.refuted.as_ref().filter(|_| !before.journal_failed) else {
            return Ok(());
        };
        must(
            split.is_none_or(|split| split.key != refuted.as_str()),
            "there was a no, and the canary is still published",
        )?;
        must(
            self.disk.blocked.is_some() && self.app.blocked().is_some(),
            "there was a no, and promotes are not blocked",
        )
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
        let rollout = self.app.rollout();
        let is_paused = rollout.is_some_and(|rollout| rollout.going.paused.is_some());
        let unsteady = waits || (self.app.running().is_some() && !is_paused);
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
