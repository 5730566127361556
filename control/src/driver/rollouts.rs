//! What the driver keeps of a canary besides the machine's state: what was counted, what the judge says of it, who else has
//! a say, and the control that was there last.
//!
//! That one is in each record of the journal while a canary is under way, so it outlives the process. What was counted in
//! the present stage does not: after a restart it is counted anew, as another attempt, which has its own part of alpha.

use swap_core::{
    AppName, Ending, Moment, OperationId, Outcome, Release, RolloutStage, Share, Smoke, Underway,
    Verdict,
};
use swap_judge::{Arm, Judge, Look, Place, Rules, Ruling};
use tokio::task::AbortHandle;

use super::external::ExternalGates;
use super::probing::{dial, question};
use super::{Driver, Message};
use crate::plane::Arms;
use crate::probe;
use crate::wire::{ControlStatus, Figures, Judged, Percent};

/// A canary, as it is followed.
pub(super) struct Rollout {
    pub(super) operation: OperationId,
    pub(super) round: u64,
    pub(super) stage: Stage,
    /// The last one that was judged before.
    before: Option<Stage>,
    pub(super) judge: Judge,
    /// Of the last step that had one.
    last_control: Option<Arm>,
    /// Requests and errors of the canary in earlier rounds.
    earlier: (u64, u64),
    /// The verdict that was told last of this round.
    pub(super) told: Verdict,
    /// What the machine was told last of this round, and when.
    pub(super) said: Option<(Verdict, Moment)>,
    pub(super) gates: ExternalGates,
    smoke: Option<Smoking>,
}

/// What was seen in one stage.
pub(super) struct Stage {
    pub(super) share: Share,
    /// Whether there is a control of the same time.
    pub(super) has_control: bool,
    pub(super) look: Look,
    pub(super) ruling: Option<Ruling>,
    /// What the judge said last of what speaks for the canary, and when.
    pub(super) so_far: Option<(Ruling, Moment)>,
}

/// Smoke tests that are being asked. Its drop ends them.
struct Smoking(AbortHandle);

impl Drop for Smoking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stage {
    fn of(underway: &Underway<'_>) -> Self {
        let share = underway.going.share();
        Self {
            share,
            has_control: has_control(share),
            look: Look::default(),
            ruling: None,
            so_far: None,
        }
    }
}

impl Rollout {
    pub(super) fn new(underway: &Underway<'_>, rules: Rules, last_control: Option<Arm>) -> Self {
        Self {
            operation: underway.operation.clone(),
            round: underway.going.round,
            stage: Stage::of(underway),
            before: None,
            judge: judge(underway, rules, last_control.as_ref()),
            last_control,
            earlier: (0, 0),
            told: Verdict::NotEnoughTraffic,
            said: None,
            gates: ExternalGates::new(&underway.going.plan.gates),
            smoke: None,
        }
    }

    /// The next stage, or the same one anew.
    fn enter(&mut self, underway: &Underway<'_>, rules: Rules) {
        let canary = &self.stage.look.canary;
        self.earlier.0 += canary.requests;
        self.earlier.1 += canary.errors;
        self.last_control = self.control();
        self.judge = judge(underway, rules, self.last_control.as_ref());
        let left = std::mem::replace(&mut self.stage, Stage::of(underway));
        if left.ruling.is_some() {
            self.before = Some(left);
        }
        self.round = underway.going.round;
        self.told = Verdict::NotEnoughTraffic;
        self.said = None;
        self.gates.forget();
        self.smoke = None;
    }

    /// It takes no traffic any more, or all of it.
    fn rest(&mut self) {
        self.gates.forget();
        self.smoke = None;
    }

    /// What has been counted by now, if it is of this round.
    pub(super) fn take(&mut self, arms: Option<Arms>) {
        let is_ours = |arms: &Arms| arms.key == self.operation.as_str() && arms.round == self.round;
        let Some(Arms { slots, arms, .. }) = arms.filter(is_ours) else {
            return;
        };
        let mut look = Look {
            slots,
            ..Look::default()
        };
        for (name, arm) in arms {
            match name.as_str() {
                "canary" => look.canary = arm,
                "control" => look.control = arm,
                _ => {}
            }
        }
        self.stage.look = look;
    }

    /// The control that the rest of the rollout is to be compared with, if there is no other.
    pub(super) fn control(&self) -> Option<Arm> {
        let now = &self.stage.look.control;
        let before = self.last_control.as_ref();
        // One that has hardly begun says less than the one before.
        let least = before.map_or(1, |before| before.requests);
        if self.stage.has_control && now.requests >= least {
            Some(now.clone())
        } else {
            self.last_control.clone()
        }
    }

    /// What it is compared with.
    pub(super) fn control_status(&self) -> Option<ControlStatus> {
        control_of(&self.stage, self.last_control.as_ref())
    }

    /// For the receipt.
    pub(super) fn judged(&self, ending: &Ending) -> Judged {
        let judged = Some(&self.stage).filter(|stage| stage.ruling.is_some());
        let stage = judged.or(self.before.as_ref()).unwrap_or(&self.stage);
        let ruling = stage.ruling.as_ref();
        let (verdict, why) = match (ending.outcome, ruling) {
            (Outcome::RolledBack, _) | (Outcome::Failed, None) => {
                (Some(Verdict::Fail), ending.why.clone())
            }
            (_, Some(ruling)) => (Some(verdict(ruling)), Some(ruling.why.clone())),
            (_, None) => (None, None),
        };
        Judged {
            verdict,
            why,
            share: Percent(stage.share),
            figures: Figures::from(&stage.look.canary),
            smallest: ruling.and_then(|ruling| ruling.smallest),
            control: control_of(stage, self.last_control.as_ref()),
            all_requests: self.earlier.0 + self.stage.look.canary.requests,
            all_errors: self.earlier.1 + self.stage.look.canary.errors,
        }
    }
}

impl Driver {
    /// Keeps up with the machine. The counters of a stage that is over are read a last time before its table goes.
    pub(super) fn follow_rollout(&mut self, name: &AppName) {
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        let rules = rules(&kept.config.canary);
        let underway = kept.app.rollout();
        let is_followed = kept.rollout.as_ref().zip(underway.as_ref());
        let is_same = is_followed.is_some_and(|(rollout, underway)| {
            rollout.operation == *underway.operation && rollout.round == underway.going.round
        });
        match (&mut kept.rollout, underway) {
            (Some(_), Some(_)) if is_same => {}
            (Some(rollout), underway) => {
                rollout.take(self.plane.arms(name));
                match underway {
                    None => rollout.rest(),
                    Some(underway) if rollout.operation == *underway.operation => {
                        rollout.enter(&underway, rules);
                    }
                    Some(underway) => **rollout = Rollout::new(&underway, rules, None),
                }
            }
            (None, Some(underway)) => {
                let rollout = Rollout::new(&underway, rules, None);
                kept.rollout = Some(Box::new(rollout));
            }
            (None, None) => {}
        }
    }

    /// Asks every instance the smoke tests, and says what came of it.
    pub(super) fn begin_smoke(
        &mut self,
        name: &AppName,
        operation: OperationId,
        round: u64,
        release: Release,
        tests: Vec<Smoke>,
    ) {
        let (inbox, app) = (self.inbox.clone(), name.clone());
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        let question = question(dial(&self.plane, name), &kept.config);
        let asking = tokio::spawn(async move {
            let result = probe::smoke(release, tests, question).await;
            let event = swap_core::Event::Smoked {
                operation,
                round,
                result,
            };
            // The driver outlives it.
            let _ = inbox.send(Message::Observed { app, event }).await;
        });
        let smoking = Smoking(asking.abort_handle());
        if let Some(rollout) = &mut kept.rollout {
            rollout.smoke = Some(smoking);
        }
    }
}

/// Whether stable traffic of the same size is left.
fn has_control(share: Share) -> bool {
    share > Share::NONE && share <= share.rest()
}

fn control_of(stage: &Stage, last: Option<&Arm>) -> Option<ControlStatus> {
    let (arm, earlier) = if stage.has_control {
        (Some(&stage.look.control), false)
    } else {
        (last, true)
    };
    arm.map(|arm| ControlStatus {
        figures: Figures::from(arm),
        earlier,
    })
}

fn judge(underway: &Underway<'_>, rules: Rules, last_control: Option<&Arm>) -> Judge {
    let going = underway.going;
    if has_control(going.share()) {
        let steps = going.plan.steps.iter();
        let compared = steps.filter(|share| has_control(**share)).count();
        let place = Place {
            steps: u32::try_from(compared).unwrap_or(u32::MAX),
            attempt: going.attempt.saturating_sub(1),
        };
        return Judge::new(rules, place);
    }
    let none = Arm::default();
    Judge::beyond(rules, last_control.unwrap_or(&none))
}

/// Whether this stage is one that the judge has a say in.
pub(super) fn is_judged(stage: RolloutStage) -> bool {
    match stage {
        RolloutStage::Step(_) | RolloutStage::SmokingAll | RolloutStage::Watching => true,
        RolloutStage::Smoking => false,
    }
}

/// The judge's words are the machine's.
pub(super) fn verdict(ruling: &Ruling) -> Verdict {
    match ruling.verdict {
        swap_judge::Verdict::Pass => Verdict::Pass,
        swap_judge::Verdict::Fail => Verdict::Fail,
        swap_judge::Verdict::NotEnoughTraffic => Verdict::NotEnoughTraffic,
    }
}

/// What the configuration says about judging.
pub(super) fn rules(canary: &holdfast_config::Canary) -> Rules {
    let holdfast_config::Canary {
        steps: _,
        step_time: _,
        watch: _,
        min_requests,
        alpha,
        min_effect,
        max_error_increase,
        max_latency_increase,
        guard_error_rate,
        sticky: _,
        on_fail: _,
        opt_in: _,
    } = *canary;
    Rules {
        alpha,
        min_requests,
        min_effect,
        max_error_increase,
        max_latency_increase,
        guard_error_rate,
    }
}

impl From<&Arm> for Figures {
    fn from(arm: &Arm) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a time that people read")]
        let ms = |us: u64| us as f64 / 1_000.0;
        Self {
            requests: arm.requests,
            errors: arm.errors,
            p50_ms: arm.p50().map(ms),
            p99_ms: arm.p99().map(ms),
        }
    }
}
