//! What the judge says.

use serde::{Deserialize, Serialize};

/// One of three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No worse, as far as it was to be seen.
    Pass,
    /// Worse.
    Fail,
    /// Neither can be said.
    NotEnoughTraffic,
}

/// What a canary failed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The plain guard: most of its requests fail.
    Guard,
    /// It fails more often.
    Errors,
    /// Its median time is longer.
    P50,
    /// Its p99 is longer.
    P99,
}

/// A verdict, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// What it is.
    pub verdict: Verdict,
    /// A sentence for people, without a full stop.
    pub why: String,
    /// By what it failed.
    pub by: Option<Test>,
    /// The smallest increase of the part of units that fail, absolute, that would have been seen (at confidence `1 - alpha`):
    /// of requests, or of clients. None with a `Fail`.
    pub smallest: Option<f64>,
}

impl Ruling {
    /// True, if the canary has to go.
    pub fn is_fail(&self) -> bool {
        self.verdict == Verdict::Fail
    }

    pub(crate) fn fail(by: Test, why: String) -> Self {
        Self {
            verdict: Verdict::Fail,
            why,
            by: Some(by),
            smallest: None,
        }
    }
}
