//! Canaries and experiments as `status` and the events show them.

use swap_core::{AppName, Experiment, Moment, OperationId, Split};
use swap_judge::{Arm, Drawn, compare};

use super::Driver;
use super::kept::Kept;
use super::rollouts::{rules, verdict};
use crate::monotonic::monotonic_us;
use crate::plane::Arms;
use crate::receipt::millis;
use crate::wire::{
    ArmShare, ArmStatus, CanaryStatus, ControlStatus, ExperimentStatus, Figures, Finding, Percent,
    What,
};

impl Kept {
    /// How a canary goes, and what it is compared with.
    pub(super) fn canary_status(
        &self,
        now: Moment,
    ) -> (Option<CanaryStatus>, Option<ControlStatus>) {
        let Some((underway, rollout)) = self.app.rollout().zip(self.rollout.as_ref()) else {
            return (None, None);
        };
        let going = underway.going;
        let (stage, step) = words(going.stage);
        let ruling = rollout.stage.ruling.as_ref();
        let canary = CanaryStatus {
            stage: stage.to_owned(),
            step,
            steps: going.plan.steps.iter().copied().map(Percent).collect(),
            share: Percent(going.share()),
            round: going.round,
            attempt: going.attempt,
            for_ms: millis(now - underway.since),
            due_ms: millis(underway.due - now),
            left_ms: going.paused.is_none().then(|| millis(underway.until - now)),
            paused: going.paused.clone(),
            figures: Figures::from(&rollout.stage.look.canary),
            verdict: ruling.map(verdict),
            why: ruling.map(|ruling| ruling.why.clone()),
            smallest: ruling.and_then(|ruling| ruling.smallest),
            gates: rollout.gates.status(),
        };
        (Some(canary), rollout.control_status())
    }

    /// How the arms of the experiment compare.
    pub(super) fn experiment_status(&self, arms: Option<Arms>) -> Option<ExperimentStatus> {
        let experiment = self.app.experiment()?;
        let is_its = |arms: &Arms| arms.key == experiment.operation.as_str();
        let (slots, counted) = match arms.filter(is_its) {
            Some(Arms { slots, arms, .. }) => (slots, arms),
            None => (None, Vec::new()),
        };
        let none = Arm::default();
        let of = |name: &swap_core::ArmName| {
            let mut found = counted.iter().filter(|(known, _)| known == name);
            found.next().map_or(&none, |(_, arm)| arm)
        };
        let comparisons = experiment.arms.len().saturating_sub(1);
        let arm = |(index, arm): (usize, &swap_core::ExperimentArm)| {
            let first = experiment.arms.first().filter(|_| index > 0);
            let compared = first.map(|first| {
                let drawn = Drawn {
                    weights: [weight(arm.weight), weight(first.weight)],
                    slots,
                    comparisons: u32::try_from(comparisons).unwrap_or(u32::MAX),
                };
                let mut rules = rules(&self.config.canary);
                rules.alpha *= part_of(experiment.attempt);
                compare(of(&arm.name), of(&first.name), drawn, &rules)
            });
            ArmStatus {
                name: arm.name.clone(),
                release: arm.release.clone(),
                weight: weight(arm.weight),
                figures: Figures::from(of(&arm.name)),
                finding: compared.as_ref().map(|it| finding(it.finding)),
                why: compared.map(|it| it.why),
            }
        };
        let Experiment {
            name,
            operation,
            by,
            arms,
            attempt: _,
        } = experiment;
        Some(ExperimentStatus {
            name: name.clone(),
            by: by.clone(),
            operation: operation.clone(),
            arms: arms.iter().enumerate().map(arm).collect(),
        })
    }
}

impl Driver {
    /// The rollout of an app, if there is one.
    pub(super) fn rollout_of(&self, name: &AppName) -> Option<OperationId> {
        let rollout = self.apps.get(name)?.app.rollout();
        rollout.map(|underway| underway.operation.clone())
    }

    /// Who is to get what from now on.
    pub(super) fn split_in_words(
        &self,
        name: &AppName,
        generation: u64,
        split: Option<&Split>,
    ) -> What {
        let live = self.apps.get(name).and_then(|kept| kept.app.live());
        let release = |beside: Option<usize>| match (beside, split) {
            (Some(at), Some(split)) => split.beside.get(at).map(|beside| &beside.release),
            (Some(_) | None, _) => live,
        };
        let slices = split.into_iter().flat_map(|split| &split.slices);
        let arms = slices.map(|slice| ArmShare {
            arm: slice.arm.clone(),
            release: release(slice.beside).map(|release| release.id.clone()),
            share: Percent(swap_core::Share::millionths(
                slice.to.as_millionths() - slice.from.as_millionths(),
            )),
        });
        let arms = arms.collect();
        let preview = split.and_then(|split| split.preview);
        let preview = preview.and_then(|at| release(Some(at)));
        What::Split {
            generation,
            arms,
            preview: preview.map(|release| release.id.clone()),
            monotonic_us: monotonic_us(),
        }
    }
}

fn words(stage: swap_core::RolloutStage) -> (&'static str, Option<u64>) {
    use swap_core::RolloutStage as Stage;
    match stage {
        Stage::Smoking => ("smoking", None),
        Stage::Step(step) => ("step", Some(step as u64 + 1)),
        Stage::SmokingAll => ("smoking_all", None),
        Stage::Watching => ("watching", None),
    }
}

fn weight(share: swap_core::Share) -> f64 {
    f64::from(share.as_millionths()) / 1_000_000.0
}

fn finding(finding: swap_judge::Finding) -> Finding {
    match finding {
        swap_judge::Finding::Better => Finding::Better,
        swap_judge::Finding::Worse => Finding::Worse,
        swap_judge::Finding::NoSignificantDifference => Finding::NoSignificantDifference,
    }
}

/// The part of alpha that an experiment has after so many restarts: all of them together have no more than the whole.
fn part_of(attempt: u32) -> f64 {
    0.75 * 0.25_f64.powi(i32::try_from(attempt).unwrap_or(i32::MAX))
}
