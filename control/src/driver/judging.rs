//! The judge at work: while a canary has traffic, what was counted is looked at ten times a second for anything that speaks
//! against it; what speaks for it takes longer to reckon and is not as urgent, and is reckoned once in a second.
//!
//! The machine is told only what matters to it: a no at once, a yes when the stage has had its time and everybody else has
//! said yes too, and now and then why it is neither, for the words at the end.

use std::time::Duration;

use swap_core::{AppName, Event, OnFail, OnQuiet, Underway, Verdict};
use swap_judge::Ruling;

use super::Driver;
use super::external::Stretch;
use super::rollouts::{Rollout, is_judged, verdict};
use crate::gates::About;
use crate::wire::{GateStatus, What};

/// How often is looked.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// The same is said again, and reckoned anew, after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// What one look has led to.
struct Looked {
    event: Option<Event>,
    gates: Vec<GateStatus>,
    has_turned: Option<Ruling>,
}

impl Driver {
    /// Looks at every canary.
    pub(super) async fn judge(&mut self) {
        for name in self.wakes.rollouts() {
            let Some(Looked {
                event,
                gates,
                has_turned,
            }) = self.look_at(&name)
            else {
                continue;
            };
            self.tell_gates(&name, gates);
            if let Some(ruling) = has_turned {
                self.tell_verdict(&name, ruling);
            }
            if let Some(event) = event {
                self.observe(&name, event).await;
            }
        }
    }

    fn look_at(&mut self, name: &AppName) -> Option<Looked> {
        let now = self.now();
        let arms = self.plane.arms(name);
        let kept = self.apps.get_mut(name)?;
        let underway = kept.app.rollout()?;
        let rollout = kept.rollout.as_mut()?;
        if !is_judged(underway.going.stage) {
            return None;
        }
        rollout.take(arms);
        let stretch = Stretch {
            since: underway.since,
            due: underway.due,
        };
        let about = About {
            app: name.clone(),
            release: underway.going.next.id.clone(),
            share: underway.going.share(),
        };
        let gates = rollout.gates.keep_asking(now, stretch, &about);
        let (ruling, goes_on) = rollout.rule(&underway, now);
        let said = verdict(&ruling);
        let has_turned = (rollout.told != said).then(|| ruling.clone());
        rollout.told = said;
        let is_news = rollout
            .said
            .is_none_or(|(before, at)| before != said || at + AGAIN <= now);
        let is_to_be_told = is_news && matters(&underway, said, goes_on);
        let event = is_to_be_told.then(|| {
            rollout.said = Some((said, now));
            Event::Judged {
                operation: rollout.operation.clone(),
                round: rollout.round,
                verdict: said,
                why: ruling.why.clone(),
            }
        });
        rollout.stage.ruling = Some(ruling);
        Some(Looked {
            event,
            gates,
            has_turned,
        })
    }

    fn tell_gates(&self, name: &AppName, gates: Vec<GateStatus>) {
        let operation = self.rollout_of(name);
        for gate in gates {
            let what = What::Gate { gate };
            self.events.tell(Some(name), operation.as_ref(), what);
        }
    }

    fn tell_verdict(&self, name: &AppName, ruling: Ruling) {
        let Some(kept) = self.apps.get(name) else {
            return;
        };
        let (canary, control) = kept.canary_status(self.now());
        let Some(canary) = canary else {
            return;
        };
        let what = What::Verdict {
            verdict: verdict(&ruling),
            why: ruling.why,
            canary,
            control,
        };
        let operation = self.rollout_of(name);
        self.events.tell(Some(name), operation.as_ref(), what);
    }
}

impl Rollout {
    /// What is to be said now, and whether that lets a stage that is due end.
    fn rule(&mut self, underway: &Underway<'_>, now: swap_core::Moment) -> (Ruling, bool) {
        let alarm = self.judge.alarm(&self.stage.look);
        let ruling = alarm.unwrap_or_else(|| self.so_far(underway.due, now));
        if ruling.is_fail() {
            return (ruling, false);
        }
        if let Some(why) = self.gates.no() {
            let no = Ruling {
                verdict: swap_judge::Verdict::Fail,
                why,
                by: None,
                ..ruling
            };
            return (no, false);
        }
        let would_go_on = match verdict(&ruling) {
            Verdict::Pass => true,
            Verdict::NotEnoughTraffic => underway.going.plan.on_quiet == OnQuiet::Advance,
            Verdict::Fail => false,
        };
        if !would_go_on || underway.due > now {
            return (ruling, false);
        }
        match self.gates.consent(now, underway.due) {
            Ok(()) => (ruling, true),
            Err(why) => {
                let waits = Ruling {
                    verdict: swap_judge::Verdict::NotEnoughTraffic,
                    why: format!("{}; waiting for {why}", ruling.why),
                    ..ruling
                };
                (waits, false)
            }
        }
    }

    /// What is to be said while nothing speaks against it: as it was a moment ago, unless the stage has had its time since.
    fn so_far(&mut self, due: swap_core::Moment, now: swap_core::Moment) -> Ruling {
        let is_old = |at| at + AGAIN <= now || (at < due && due <= now);
        match &self.stage.so_far {
            Some((ruling, at)) if !is_old(*at) => ruling.clone(),
            Some(_) | None => {
                let ruling = self.judge.so_far(&self.stage.look);
                self.stage.so_far = Some((ruling.clone(), now));
                ruling
            }
        }
    }
}

/// Whether the machine has to know.
fn matters(underway: &Underway<'_>, said: Verdict, goes_on: bool) -> bool {
    let plan = &underway.going.plan;
    let is_paused = underway.going.paused.is_some();
    match said {
        // Who is frozen already cannot be frozen more.
        Verdict::Fail => !(is_paused && plan.on_fail == OnFail::Freeze),
        Verdict::Pass => goes_on && !is_paused,
        // For the words when the time is over; where it may mean the next stage, only if it is meant.
        Verdict::NotEnoughTraffic if plan.on_quiet == OnQuiet::Advance => goes_on && !is_paused,
        Verdict::NotEnoughTraffic => true,
    }
}
