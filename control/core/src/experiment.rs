//! Experiments: clients are divided among releases that are there, until somebody closes it.
//!
//! What is compared stays as it is meanwhile: promotes, rollbacks and holds are refused. A winner takes over as by a promote
//! with strategy overlap; until it has, and if it does not get ready, the experiment goes on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Answer, ArmName, CloseExperiment, ExperimentArm, OperationId, Refusal, Release, ReleaseId,
    Share, StartExperiment, Strategy, operation::Ask, overlap::Plan, turn::Turn,
};

/// So many arms there may be.
const ARMS_MAX: usize = 8;

/// An experiment that is on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Experiment {
    /// What it is called.
    pub name: ArmName,
    /// What draws who is in which arm.
    pub operation: OperationId,
    /// In the order given.
    pub arms: Vec<ExperimentArm>,
    /// Who started it.
    pub by: String,
    /// How often it has gone on after a restart: what it counts has begun anew each time.
    #[serde(default)]
    pub attempt: u32,
}

impl Experiment {
    /// Whether one of its arms is of this release.
    pub(crate) fn names(&self, release: &ReleaseId) -> bool {
        self.arms.iter().any(|arm| arm.release == *release)
    }
}

impl Turn {
    /// `swapctl experiment start`
    pub(crate) fn start_experiment(&mut self, ask: StartExperiment) -> Result<Answer, Refusal> {
        let StartExperiment {
            operation,
            name,
            arms,
            by,
        } = ask;
        let said = format!("experiment {name} is on, with {} arms", arms.len());
        if self.is_on(&operation) {
            return Ok(Answer::Done(said));
        }
        if self.knows(&operation) {
            return Ok(Answer::Known(operation));
        }
        self.must_be_idle()?;
        must_be_sound(&arms)?;
        for arm in &arms {
            self.must_be_here(&arm.release)?;
        }
        self.must_have_quiet_gates()?;
        self.app.experiment = Some(Experiment {
            name,
            operation,
            arms,
            by,
            attempt: 0,
        });
        self.split(None, self.app.limits.drain);
        Ok(Answer::Done(said))
    }

    /// Whether it is this one that is on: asked for again, it is answered again.
    fn is_on(&self, operation: &OperationId) -> bool {
        let experiment = self.app.experiment.as_ref();
        experiment.is_some_and(|experiment| experiment.operation == *operation)
    }

    /// `swapctl experiment close`
    pub(crate) fn close_experiment(&mut self, ask: CloseExperiment) -> Result<Answer, Refusal> {
        if self.knows(&ask.operation) {
            return Ok(Answer::Known(ask.operation));
        }
        let winner = self.winner(&ask)?;
        let live = self.app.live.as_ref().map(|live| &live.id);
        let Some(winner) = winner.filter(|winner| live != Some(&winner.id)) else {
            self.app.experiment = None;
            self.split(None, self.app.limits.drain);
            return Ok(Answer::Done(format!("experiment {} is closed", ask.name)));
        };
        self.must_not_be_blocked()?;
        self.must_have_quiet_gates()?;
        let about = Ask {
            operation: ask.operation,
            verb: "promote",
            strategy: Some(Strategy::Overlap),
            to: Some(winner.id.clone()),
            by: ask.by,
            reason: Some(format!("won experiment {}", ask.name)),
        };
        let limits = self.app.limits;
        let plan = Plan {
            next: winner,
            recover: false,
            boot: limits.boot,
            drain: limits.drain,
            canary: None,
        };
        Ok(self.overlap(about, plan))
    }

    /// The release that is to serve everybody, if it is another one than serves now.
    fn winner(&self, ask: &CloseExperiment) -> Result<Option<Release>, Refusal> {
        let pointless = |why: String| Refusal::Pointless(why);
        let experiment = self.app.experiment.as_ref();
        let experiment = experiment.filter(|experiment| experiment.name == ask.name);
        let experiment =
            experiment.ok_or_else(|| pointless(format!("experiment {} is not on", ask.name)))?;
        self.must_have_no_work()?;
        let Some(winner) = &ask.winner else {
            return Ok(None);
        };
        let arm = experiment.arms.iter().find(|arm| arm.name == *winner);
        let arm = arm.ok_or_else(|| pointless(format!("{} has no arm {winner}", ask.name)))?;
        self.resolve(arm.release.clone(), Vec::new()).map(Some)
    }

    fn must_be_here(&self, release: &ReleaseId) -> Result<(), Refusal> {
        if self.app.live.is_none() {
            let why = "the app is empty: promote a release before others are compared with it";
            return Err(Refusal::Pointless(why.to_owned()));
        }
        let known = self.app.staged.iter().chain(&self.app.live);
        if known.into_iter().any(|known| known.id == *release) {
            return Ok(());
        }
        Err(Refusal::Pointless(format!(
            "release {release} is neither staged nor live"
        )))
    }

    /// What is compared must stay as it is meanwhile.
    pub(crate) fn must_not_be_compared(&self, release: &ReleaseId) -> Result<(), Refusal> {
        let experiment = self.app.experiment.as_ref();
        match experiment.filter(|experiment| experiment.names(release)) {
            Some(Experiment { name, .. }) => Err(Refusal::Pointless(format!(
                "release {release} is in experiment {name}: close that first"
            ))),
            None => Ok(()),
        }
    }
}

fn must_be_sound(arms: &[ExperimentArm]) -> Result<(), Refusal> {
    let names: BTreeSet<_> = arms.iter().map(|arm| &arm.name).collect();
    let weight: u64 = arms
        .iter()
        .map(|arm| u64::from(arm.weight.as_millionths()))
        .sum();
    let wrong = if !(2..=ARMS_MAX).contains(&arms.len()) {
        format!("an experiment has 2 to {ARMS_MAX} arms, not {}", arms.len())
    } else if names.len() < arms.len() {
        "two arms have the same name".to_owned()
    } else if arms.iter().any(|arm| arm.weight == Share::NONE) {
        "an arm has no weight".to_owned()
    } else if weight > u64::from(Share::ALL.as_millionths()) {
        "the weights are more than 1 in all".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::Pointless(wrong))
}
