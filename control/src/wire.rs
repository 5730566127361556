//! What goes over the control socket: CONTRACT's words as types. Shared by the daemon and by swapctl.
//!
//! Requests deny unknown fields, so that a mistyped flag is an error; answers may grow.

mod canary;
mod percent;
mod requests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use swap_core::{
    Address, AppName, ArmName, Cause, Generation, OperationId, Outcome, ReleaseId, Strategy,
    Verdict,
};

pub use canary::{
    ArmShare, ArmStatus, CanaryStatus, ControlStatus, ExperimentStatus, Figures, Finding,
    GateStatus, Judged, Says,
};
pub use percent::Percent;
pub use requests::{
    BlockRequest, CloseExperimentRequest, CommandEnd, HoldRequest, PlanRequest, PromoteRequest,
    RollbackRequest, StageRequest, StartExperimentRequest, UnstageRequest, UpgradeRequest,
};

/// Its answer, when another process serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upgraded {
    /// The process that serves now.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The process that ends.
    pub was: u32,
    /// From the question to this answer; clients waited for none of it.
    pub took_ms: u64,
}

/// The answer to `plan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Which app.
    pub app: AppName,
    /// Requests a second over the last 10 s.
    pub rate: f64,
    /// The assumed boot time.
    pub boot_ms: u64,
    /// About so many would be held.
    pub held: u64,
    /// And take so many bytes.
    pub held_bytes: u64,
    /// The longest wait.
    pub longest_hold_ms: u64,
    /// Whether that fits the limits.
    pub fits: bool,
    /// In words: what does not fit, and which limit it meets.
    pub why: Option<String>,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the daemon.
    pub version: String,
    /// Of the daemon.
    pub pid: u32,
    /// Since it began.
    pub uptime_s: u64,
    /// The sum of all publishes; only grows.
    pub generation: u64,
    /// By name.
    pub apps: BTreeMap<AppName, AppStatus>,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Of the app's table.
    pub generation: Generation,
    /// Where it stands.
    pub phase: Phase,
    /// Who serves.
    pub live: Option<LiveStatus>,
    /// Who is to serve.
    pub next: Option<NextStatus>,
    /// Who served before.
    pub previous: Option<ReleaseId>,
    /// Ready, without traffic.
    pub staged: Vec<ReleaseId>,
    /// Closed and not empty yet.
    pub draining: Vec<DrainingStatus>,
    /// The hold.
    pub hold: HoldStatus,
    /// Promotes are refused: by whom, why.
    pub blocked: Option<swap_core::Block>,
    /// How a canary goes, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlStatus>,
    /// The experiment that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentStatus>,
}

/// Where an app stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No release yet.
    Empty,
    /// Nothing under way.
    Steady,
    /// A release is being probed; the old one serves.
    Booting,
    /// Requests wait for a command or a swap.
    Holding,
    /// A canary takes a share.
    Canary,
    /// Swapped; the old release drains.
    Draining,
}

/// The live release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveStatus {
    /// Which.
    pub release: ReleaseId,
    /// Since when (RFC 3339).
    pub since: String,
    /// Where.
    pub instances: Vec<InstanceStatus>,
    /// Requests running on it.
    pub in_flight: u64,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Where.
    pub address: Address,
    /// `up` or `down`.
    pub health: String,
    /// Requests running on it.
    pub in_flight: u64,
}

/// The release that is to serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextStatus {
    /// Which.
    pub release: ReleaseId,
    /// By which operation.
    pub operation: OperationId,
    /// The last probe's result, in words.
    pub probe: Option<String>,
    /// The share of the clients that get it, in per cent; none before there is a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

/// A release that drains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainingStatus {
    /// Which.
    pub release: ReleaseId,
    /// Requests still running.
    pub in_flight: u64,
    /// Since the close.
    pub for_ms: u64,
}

/// The hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// Whether requests wait, or would.
    pub active: bool,
    /// Why.
    pub cause: Option<Cause>,
    /// Waiting now.
    pub held: u64,
    /// Their bytes.
    pub held_bytes: u64,
    /// How long the oldest has waited.
    pub oldest_ms: u64,
    /// The limit.
    pub max_requests: u64,
    /// The limit.
    pub max_bytes: u64,
    /// The limit.
    pub max_wait_ms: u64,
}

/// What happened in an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which.
    pub operation: OperationId,
    /// Of which app.
    pub app: AppName,
    /// `promote`, `rollback`, `hold`, `stage`.
    pub verb: String,
    /// How it took over.
    pub strategy: Option<Strategy>,
    /// How it went.
    pub outcome: Outcome,
    /// Who served.
    pub from: Option<ReleaseId>,
    /// Who serves, or was to.
    pub to: Option<ReleaseId>,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// What went wrong.
    pub why: Option<String>,
    /// When it began (RFC 3339).
    pub started: String,
    /// From start to end.
    pub took_ms: u64,
    /// Until the new release was ready.
    pub boot_ms: Option<u64>,
    /// How long the door was shut.
    pub hold_ms: Option<u64>,
    /// Until the old release was empty.
    pub drain_ms: Option<u64>,
    /// Requests held; each counts once.
    pub held: u64,
    /// Of them, still waiting.
    pub waiting: u64,
    /// The most at once.
    pub held_peak: u64,
    /// The longest wait.
    pub longest_hold_ms: u64,
    /// Of them, went on to the app.
    pub released: u64,
    /// Of them, left by themselves.
    pub abandoned: u64,
    /// Refused.
    pub shed: Shed,
    /// Tried again after bytes had left.
    pub retried: u64,
    /// Ended by themselves on the old release after its gate was closed.
    pub drained: u64,
    /// Ended by the drain timeout.
    pub cut: u64,
    /// Ended without the app's answer and without their client leaving.
    pub lost: u64,
    /// What the judge said of a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judged>,
}

/// Requests that a hold refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shed {
    /// `max_requests` was reached.
    pub full: u64,
    /// `max_bytes` was reached.
    pub bytes: u64,
    /// One client had its share.
    pub share: u64,
    /// Waited `max_wait`.
    pub timeout: u64,
}

/// The answer 202 to something that goes on (`detach`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// Ask `GET /v1/operations/{id}` for its end.
    pub operation: OperationId,
}

/// The answer to what is done at once (`resume`, `block`, `abort`, …).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// In words.
    pub done: String,
}

/// `GET /v1/operations/{id}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "one at a time, on a socket")]
pub enum Operation {
    /// Under way.
    Running {
        /// Which.
        operation: OperationId,
        /// Of which app.
        app: AppName,
        /// The last phase it reached.
        phase: String,
    },
    /// Ended.
    Ended {
        /// What happened.
        receipt: Receipt,
    },
}

/// One event: of `GET /v1/events` (server-sent, `id:` is `id`), and of the stream that `promote` with `command`
/// answers with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event of this daemon's run.
    pub id: u64,
    /// When (RFC 3339, milliseconds).
    pub at: String,
    /// Of which app, if of one.
    pub app: Option<AppName>,
    /// Of which operation, if of one.
    pub operation: Option<OperationId>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one at a time, on a socket")]
pub enum What {
    /// The daemon accepts traffic.
    Ready,
    /// An operation reached a phase: `booting`, `smoking`, `canary`, `paused`, `watching`, `withdrawing`, `holding`,
    /// `command`, `swapped`, `releasing`, `draining`, `returning`.
    Phase {
        /// Which.
        phase: String,
        /// Requests running on the old release.
        in_flight: u64,
        /// Requests held.
        held: u64,
        /// Which release is to serve.
        release: Option<ReleaseId>,
    },
    /// While an operation runs, twice a second: counts for a progress line.
    Progress {
        /// The phase it is in.
        phase: String,
        /// Requests running on the old release.
        in_flight: u64,
        /// Requests held.
        held: u64,
        /// The last failed probe, in words.
        probe: Option<String>,
        /// How a canary goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        canary: Option<CanaryStatus>,
        /// What it is compared with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        control: Option<ControlStatus>,
    },
    /// Requests go by a new table from now on.
    Published {
        /// The app's generation.
        generation: u64,
        /// Which release serves.
        release: Option<ReleaseId>,
        /// Just before that, in microseconds of the machine's monotonic clock (`CLOCK_MONOTONIC`), to be laid beside what
        /// other programs of this machine wrote down.
        monotonic_us: u64,
    },
    /// From now on so many clients get another release than the live one; no arms: nobody does.
    Split {
        /// The app's generation.
        generation: u64,
        /// In the order of their places.
        arms: Vec<ArmShare>,
        /// What cohorts see.
        preview: Option<ReleaseId>,
        /// Just before that: see `published`.
        monotonic_us: u64,
    },
    /// The judge says something else than before.
    Verdict {
        /// What.
        verdict: Verdict,
        /// Why, in a sentence.
        why: String,
        /// How the canary goes.
        canary: CanaryStatus,
        /// What it is compared with.
        control: Option<ControlStatus>,
    },
    /// An external gate says something else than before.
    Gate {
        /// What.
        #[serde(flatten)]
        gate: GateStatus,
    },
    /// A canary waits for a person.
    Paused {
        /// Why.
        why: String,
    },
    /// A release beside the live one did not answer as it should.
    Mishap {
        /// In which arm; none: who always sees the next release.
        arm: Option<ArmName>,
        /// Of which release.
        release: ReleaseId,
        /// At which instance.
        instance: Option<Address>,
        /// What was asked.
        method: String,
        /// Without the query.
        path: String,
        /// What the app answered.
        status: Option<u16>,
        /// Why it did not.
        reason: Option<String>,
        /// `X-Request-Id`
        request_id: String,
    },
    /// So many mishaps more were not told.
    Suppressed {
        /// How many.
        count: u64,
    },
    /// A door shut.
    Held {
        /// Why.
        cause: Cause,
    },
    /// A door is open again.
    Opened,
    /// The live release cannot be reached.
    Down,
    /// The down hold has lasted too long: requests are refused at once, probing goes on.
    GaveUp,
    /// An operation has ended.
    Receipt {
        /// What happened.
        receipt: Receipt,
    },
    /// `block`, `unblock`, `unstage`, `resume`, `abort`, `pause`, `advance`, `experiment start`, `experiment close`,
    /// `reload`.
    Command {
        /// Which.
        verb: String,
        /// Who.
        by: String,
        /// What it did, in words.
        said: String,
    },
    /// The reader was too slow: so many events were dropped for it.
    Missed {
        /// How many.
        count: u64,
    },
}

/// An error, as RFC 9457 has it (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status again.
    pub status: u16,
    /// One word for scripts: `usage`, `unknown_app`, `busy`, `not_current`, `blocked`, `journal`, …
    pub code: String,
    /// One short sentence, the same for every problem of this code.
    pub title: String,
    /// What exactly is wrong, naming the thing.
    pub detail: String,
}
