//! What is asked: the verbs' flags as JSON objects.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use swap_core::{ArmName, Methods, OnFail, OnQuiet, OperationId, ReleaseId, Strategy};

use super::Percent;

/// `POST /v1/apps/{app}/promote`. Durations as text: `1m30s`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromoteRequest {
    /// What shall serve; needed.
    pub release: Option<ReleaseId>,
    /// `IP:PORT`, `name:port` (resolved by the daemon, now) or `unix:/path`.
    pub instance: Vec<String>,
    /// `overlap` (default), `hold` or `canary`.
    pub strategy: Strategy,
    /// `--boot-timeout`
    pub boot_timeout: Option<String>,
    /// `--drain-timeout`
    pub drain_timeout: Option<String>,
    /// `--hold-timeout`
    pub hold_timeout: Option<String>,
    /// `--if-current`
    pub if_current: Option<ReleaseId>,
    /// With strategy canary: shares in per cent, growing; 100 is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Percent>>,
    /// `--step-time`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_time: Option<String>,
    /// `--watch`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<String>,
    /// `--on-fail`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_fail: Option<OnFail>,
    /// `--on-quiet`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_quiet: Option<OnQuiet>,
    /// `PATH[=STATUS[~TEXT]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub smoke: Vec<String>,
    /// A command of the shell each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gate_exec: Vec<String>,
    /// `URL|QUERY|< 0.01`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gate_prometheus: Vec<String>,
    /// `--reason`
    pub reason: Option<String>,
    /// `--operation`; also the field `Idempotency-Key`. Made up if not given.
    pub operation: Option<OperationId>,
    /// Answer 202 at once instead of waiting for the end.
    pub detach: bool,
    /// A COMMAND runs in the client: the answer is a stream of events, `command` among them tells it to start, and
    /// `POST /v1/operations/{id}/command` says how it ended. If the stream's reader goes before that, it has failed.
    pub command: bool,
}

/// `POST /v1/apps/{app}/stage`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StageRequest {
    /// Which release; needed.
    pub release: Option<ReleaseId>,
    /// Where it runs; at least one.
    pub instance: Vec<String>,
    /// `--boot-timeout`
    pub boot_timeout: Option<String>,
    /// `--operation`
    pub operation: Option<OperationId>,
}

/// `POST /v1/apps/{app}/unstage`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnstageRequest {
    /// Which release; needed.
    pub release: Option<ReleaseId>,
}

/// `POST /v1/apps/{app}/hold`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldRequest {
    /// Hold only methods that may change something.
    pub writes: bool,
    /// Hold only these.
    pub methods: Option<Methods>,
    /// When it ends by itself.
    pub timeout: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// `--operation`
    pub operation: Option<OperationId>,
}

/// `POST /v1/apps/{app}/rollback`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackRequest {
    /// To which, if not the previous one.
    pub release: Option<ReleaseId>,
    /// Why.
    pub reason: Option<String>,
    /// `--operation`
    pub operation: Option<OperationId>,
    /// Answer 202 at once.
    pub detach: bool,
}

/// `POST /v1/apps/{app}/block`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlockRequest {
    /// Why; needed.
    pub reason: Option<String>,
}

/// `POST /v1/apps/{app}/experiment/start`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StartExperimentRequest {
    /// What it is called; needed.
    pub name: Option<ArmName>,
    /// `NAME=RELEASE:WEIGHT`, at least two. The first is what the others are compared with.
    pub arm: Vec<String>,
    /// `--operation`; it also draws who is in which arm.
    pub operation: Option<OperationId>,
}

/// `POST /v1/apps/{app}/experiment/close`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CloseExperimentRequest {
    /// Which; needed.
    pub name: Option<ArmName>,
    /// The arm whose release is to serve everybody; none: the live one, as before.
    pub winner: Option<ArmName>,
    /// By which the winner becomes the live release.
    pub operation: Option<OperationId>,
    /// Answer 202 at once, if there is more to do than to close it.
    pub detach: bool,
}

/// `POST /v1/apps/{app}/plan`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanRequest {
    /// How long the new release will take to boot; else the app's last hold, else 10 s.
    pub boot: Option<String>,
}

/// `POST /v1/operations/{id}/command`: how the COMMAND ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandEnd {
    /// Whether it exited 0.
    pub ok: bool,
    /// What went wrong: `exit status 3`.
    pub why: Option<String>,
}

/// `POST /v1/upgrade`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpgradeRequest {
    /// The program; none: what is now where the daemon's was. Absolute.
    pub binary: Option<PathBuf>,
    /// Wait until every app stands still, instead of being refused.
    #[serde(default)]
    pub wait: bool,
}
