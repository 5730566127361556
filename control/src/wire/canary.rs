//! How canaries and experiments go, in figures and words.

use serde::{Deserialize, Serialize};
use swap_core::{ArmName, OperationId, ReleaseId, Verdict};

use super::Percent;

/// What an arm has counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Requests that have ended.
    pub requests: u64,
    /// Those that failed: 5xx, resets, timeouts, refused and retried attempts.
    pub errors: u64,
    /// Half of them took at most so long; none without requests.
    pub p50_ms: Option<f64>,
    /// All but one in a hundred took at most so long.
    pub p99_ms: Option<f64>,
}

/// How a canary goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryStatus {
    /// How far it has come: `smoking`, `step`, `smoking_all`, `watching`.
    pub stage: String,
    /// Which step, from 1 on; none where it is no step.
    pub step: Option<u64>,
    /// The shares that it goes through.
    pub steps: Vec<Percent>,
    /// The share that it has.
    pub share: Percent,
    /// Grows whenever the counters begin anew.
    pub round: u64,
    /// How often the stage has been begun.
    pub attempt: u32,
    /// How long the stage has lasted.
    pub for_ms: u64,
    /// How long it lasts at least from now.
    pub due_ms: u64,
    /// When all of it has had its time; none while it is paused.
    pub left_ms: Option<u64>,
    /// Why it waits for a person.
    pub paused: Option<String>,
    /// What the release has counted in this stage.
    #[serde(flatten)]
    pub figures: Figures,
    /// What the judge says.
    pub verdict: Option<Verdict>,
    /// Why, in a sentence.
    pub why: Option<String>,
    /// The smallest increase of the error rate that would have been seen.
    pub smallest: Option<f64>,
    /// Who else has a say.
    pub gates: Vec<GateStatus>,
}

/// What a canary is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlStatus {
    /// What it has counted.
    #[serde(flatten)]
    pub figures: Figures,
    /// Whether it is of an earlier step: above 50 % there is no other.
    pub earlier: bool,
}

/// What an external gate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateStatus {
    /// `exec ./orders.sh`, `prometheus sum(rate(orders_total[1m])) > 3`
    pub gate: String,
    /// What it says.
    pub says: Says,
    /// In words; none before it was asked, and with a yes.
    pub why: Option<String>,
}

/// One of four words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It was not asked yet.
    #[default]
    NotAsked,
    /// Good.
    Yes,
    /// Bad.
    No,
    /// It could not be asked, or its answer says nothing. That is no yes, and it is asked again.
    Unclear,
}

/// What the judge said of a canary, in the receipt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judged {
    /// The last verdict; none if there was no time for one.
    pub verdict: Option<Verdict>,
    /// Why, in a sentence.
    pub why: Option<String>,
    /// At which share.
    pub share: Percent,
    /// Of the canary in the last stage that was judged.
    #[serde(flatten)]
    pub figures: Figures,
    /// The smallest increase of the error rate that would have been seen.
    pub smallest: Option<f64>,
    /// What it was compared with.
    pub control: Option<ControlStatus>,
    /// Requests that reached it in all stages together, but for those that were no random traffic.
    pub all_requests: u64,
    /// Of them, failed.
    pub all_errors: u64,
}

/// An arm, and who gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmShare {
    /// `canary`, `control`, or an arm of an experiment.
    pub arm: ArmName,
    /// Which release; none while there is none.
    pub release: Option<ReleaseId>,
    /// Of all clients.
    pub share: Percent,
}

/// An experiment that is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentStatus {
    /// What it is called.
    pub name: ArmName,
    /// Who started it.
    pub by: String,
    /// What draws who is in which arm.
    pub operation: OperationId,
    /// The first is what the others are compared with.
    pub arms: Vec<ArmStatus>,
}

/// One of its arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmStatus {
    /// What it is called.
    pub name: ArmName,
    /// Which release.
    pub release: ReleaseId,
    /// Which part of the clients: `0.5`.
    pub weight: f64,
    /// What it has counted.
    #[serde(flatten)]
    pub figures: Figures,
    /// How it is, compared with the first; none for that one.
    pub finding: Option<Finding>,
    /// Why, in a sentence.
    pub why: Option<String>,
}

/// How an arm is, compared with the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It fails less often or is faster, and is worse in nothing.
    Better,
    /// The other way round.
    Worse,
    /// As far as it was to be seen.
    NoSignificantDifference,
}
