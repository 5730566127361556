//! What a canary is to go through, as its promote said or its app's configuration has it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Share;

/// Smoke, then steps of growing share, then a watch; with each of them *still good?*.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CanaryPlan {
    /// Growing; the last one is everybody.
    pub steps: Vec<Share>,
    /// At least so long for each.
    pub step_time: Duration,
    /// How long it is judged on with everybody, the old release kept warm.
    pub watch: Duration,
    /// What follows a *no*.
    pub on_fail: OnFail,
    /// What follows a step in which too little came to say anything.
    pub on_quiet: OnQuiet,
    /// Asked of every instance before any traffic, and again after the last step.
    pub smoke: Vec<Smoke>,
    /// Others that have a say at the end of each step and of the watch.
    pub gates: Vec<ExternalGate>,
}

/// What follows a *no*.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// Everybody goes back to the old release, at once, and promotes are blocked.
    #[default]
    Rollback,
    /// The share stays as it is, until somebody decides.
    Freeze,
}

/// What follows a step in which too little came to say anything.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum OnQuiet {
    /// It lasts until enough has come, or the whole rollout has had its time.
    #[default]
    Wait,
    /// The next step.
    Advance,
}

/// A request that has to be answered as said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Smoke {
    /// A GET of this.
    pub path: String,
    /// The status that the answer must have.
    pub status: u16,
    /// What the answer must have in it.
    #[serde(default)]
    pub text: Option<String>,
}

/// Somebody else who has a say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ExternalGate {
    /// A command of the shell: exit status 0 is a yes.
    Exec {
        /// The command.
        command: String,
        /// Whose rights it has: those of who asked for it.
        uid: u32,
    },
    /// A query to a Prometheus server, compared with a bound.
    Prometheus {
        /// `http://127.0.0.1:9090`
        url: String,
        /// In PromQL.
        query: String,
        /// `< 0.01`
        wanted: String,
    },
}

/// What is said of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As good as the control.
    Pass,
    /// Worse.
    Fail,
    /// Nothing can be said yet.
    NotEnoughTraffic,
}
