//! One step of one app: what it changed is journalled together with the receipts of what it ended, then its effects are
//! carried out.

use swap_core::{App, AppName, Effect, Ending, Event, Outcome, Step, Verdict, step};

use super::Driver;
use super::rollouts::Rollout;
use crate::failpoint;
use crate::journal::{JournalError, Lasting, Origin, Record};
use crate::receipt::{Baseline, receipt};
use crate::wall::wall_now;
use crate::wire::{Judged, Receipt, What};

impl Driver {
    /// What was observed has happened, whether it can be journalled or not.
    pub(super) async fn observe(&mut self, name: &AppName, event: Event) {
        self.note_passed(name, &event);
        let origin = Origin {
            verb: observed(&event),
            by: None,
        };
        self.observe_from(name, event, origin).await;
    }

    pub(super) async fn observe_from(&mut self, name: &AppName, event: Event, origin: Origin) {
        let Some(kept) = self.apps.get(name) else {
            return; // Gone with a reload.
        };
        failpoint::here("event.taken");
        let mut next = step(&kept.app, event.clone(), self.now());
        let mut receipts = self.receipts(name, &next, None);
        if let Err(error) = self.commit(name, &next, origin, &receipts).await {
            tracing::error!(app = %name, %error, "what happened could not be journalled");
            let Some(kept) = self.apps.get(name) else {
                return;
            };
            let failed = Event::JournalFailed {
                why: error.to_string(),
                event: Box::new(event),
            };
            let origin = Origin {
                verb: observed(&failed),
                by: None,
            };
            next = step(&kept.app, failed, self.now());
            receipts = self.receipts(name, &next, None);
            // It publishes nothing, so it is carried out even if this fails too.
            if let Err(error) = self.commit(name, &next, origin, &receipts).await {
                tracing::error!(app = %name, %error, "that could not be journalled either");
                self.write_later(name, &receipts);
            }
        }
        failpoint::here("event.durable");
        let was_down = self.is_down(name);
        self.carry_on(name, next, receipts);
        failpoint::here("event.carried_out");
        if !was_down && self.is_down(name) {
            self.events.tell(Some(name), None, What::Down);
        }
    }

    fn is_down(&self, name: &AppName) -> bool {
        let hold = self.apps.get(name).and_then(|kept| kept.app.hold());
        hold.is_some_and(|(cause, _)| cause == swap_core::Cause::Down)
    }

    /// The receipts of the operations that a step ends. `begun` is the baseline of one that begins with it.
    pub(super) fn receipts(
        &self,
        name: &AppName,
        step: &Step,
        begun: Option<&Baseline>,
    ) -> Vec<Receipt> {
        let endings = step.effects.iter().filter_map(|effect| match effect {
            Effect::Finish(ending) => Some(ending),
            _ => None,
        });
        let mut endings = endings.peekable();
        if endings.peek().is_none() {
            return Vec::new();
        }
        let traffic = self.plane.traffic(name);
        let now = Baseline::now(traffic.clone());
        let known = self.apps.get(name).map(|kept| &kept.baselines);
        let of = |ending: &Ending| {
            let baseline = known.and_then(|known| known.get(&ending.operation));
            let judge = self.judged(name, ending);
            receipt(
                name,
                ending,
                baseline.or(begun).unwrap_or(&now),
                &traffic,
                judge,
            )
        };
        endings.map(of).collect()
    }

    /// What the judge said of an operation, if it was a canary.
    pub(super) fn judged(&self, name: &AppName, ending: &Ending) -> Option<Judged> {
        let rollout = self.apps.get(name)?.rollout.as_ref();
        match rollout.filter(|rollout| rollout.operation == ending.operation) {
            Some(rollout) => Some(rollout.judged(ending)),
            // It was rolled back by the process before this one, which has taken its figures along.
            None if ending.outcome == Outcome::RolledBack => Some(Judged {
                verdict: Some(Verdict::Fail),
                why: ending.why.clone(),
                ..Judged::default()
            }),
            None => None,
        }
    }

    /// Journals a step if it changed anything that lasts. Durable when this returns.
    pub(super) async fn commit(
        &mut self,
        name: &AppName,
        step: &Step,
        origin: Origin,
        receipts: &[Receipt],
    ) -> Result<(), JournalError> {
        let before = self.apps.get(name).map(|kept| kept.app.saved());
        if before.as_ref() == Some(&step.app.saved()) {
            return Ok(());
        }
        self.journal(name, &step.app, origin, receipts).await
    }

    async fn journal(
        &mut self,
        name: &AppName,
        app: &App,
        origin: Origin,
        receipts: &[Receipt],
    ) -> Result<(), JournalError> {
        let Some(record) = self.record(name, app, origin, receipts) else {
            return Ok(());
        };
        self.journal.append(record).await?;
        if let Some(kept) = self.apps.get_mut(name) {
            kept.unwritten.clear();
        }
        Ok(())
    }

    /// These receipts are told, and could not be journalled now.
    pub(super) fn write_later(&mut self, name: &AppName, receipts: &[Receipt]) {
        if let Some(kept) = self.apps.get_mut(name) {
            kept.unwritten.extend_from_slice(receipts);
        }
    }

    /// What the journal is to say of an app that is there.
    pub(super) fn record(
        &self,
        name: &AppName,
        app: &App,
        origin: Origin,
        receipts: &[Receipt],
    ) -> Option<Record> {
        let kept = self.apps.get(name)?;
        let is_same = kept.app.live() == app.live();
        let live_since = if is_same {
            kept.live_since.clone()
        } else {
            wall_now()
        };
        let lasting = Lasting {
            saved: app.saved(),
            live_since: app.live().map(|_| live_since),
            passed: kept.passed.clone(),
            control: match (app.rollout(), &kept.rollout) {
                (Some(_), Some(rollout)) => rollout.control(),
                (Some(_), None) | (None, _) => None,
            },
        };
        let receipts = [&kept.unwritten, receipts].concat();
        Some(Record::new(name.clone(), origin, lasting, receipts))
    }

    /// Makes the step's app the app, and carries out its effects. `receipts` are those of its endings, in order.
    pub(super) fn carry_on(&mut self, name: &AppName, step: Step, receipts: Vec<Receipt>) {
        let Step {
            app,
            effects,
            answer: _,
        } = step;
        if let Some(kept) = self.apps.get_mut(name) {
            self.wakes.note(name, Some(&app));
            if kept.app.live() != app.live() {
                kept.live_since = wall_now();
            }
            kept.app = app;
        }
        self.follow_rollout(name);
        let mut receipts = receipts.into_iter();
        for effect in effects {
            match effect {
                Effect::Finish(_) => {
                    receipts
                        .next()
                        .into_iter()
                        .for_each(|receipt| self.finish(name, receipt));
                }
                other => self.carry_out(name, other),
            }
        }
    }

    fn finish(&mut self, name: &AppName, receipt: Receipt) {
        if let Some(kept) = self.apps.get_mut(name) {
            kept.baselines.remove(&receipt.operation);
            kept.keep(receipt.clone());
            let is_its = |rollout: &mut Box<Rollout>| rollout.operation == receipt.operation;
            drop(kept.rollout.take_if(is_its));
            kept.forget_passed();
        }
        self.tell_end(name, receipt);
        failpoint::here("effect.finished");
    }
}

/// What an observation is called in the journal.
fn observed(event: &Event) -> &'static str {
    match event {
        Event::Promote(_) => "promote",
        Event::Stage(_) => "stage",
        Event::Unstage { .. } => "unstage",
        Event::Hold(_) => "hold",
        Event::Resume => "resume",
        Event::Rollback(_) => "rollback",
        Event::Abort => "abort",
        Event::Block(_) => "block",
        Event::Unblock => "unblock",
        Event::Pause { .. } => "pause",
        Event::Advance { .. } => "advance",
        Event::StartExperiment(_) => "experiment start",
        Event::CloseExperiment(_) => "experiment close",
        Event::Judged { .. } => "judged",
        Event::Smoked { .. } => "smoked",
        Event::CommandEnded { .. } => "command ended",
        Event::ProbePassed { .. } => "probe passed",
        Event::ProbeFailed { .. } => "probe failed",
        Event::GateEmpty { .. } => "gate empty",
        Event::DoorOpen => "door open",
        Event::LiveDown { .. } => "live down",
        Event::JournalFailed { .. } => "journal failed",
        Event::DeadlinePassed => "deadline passed",
    }
}
