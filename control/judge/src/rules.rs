//! What an operator has said about judging.

use serde::{Deserialize, Serialize};

/// What counts as worse, and how sure one must be. Whoever reads the configuration checks the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Chance of a false alarm by the tests over the whole rollout, however often one looks; above 0, below 1.
    pub alpha: f64,
    /// Fewer requests than this in either arm are no pass.
    pub min_requests: u64,
    /// Absolute. A pass must have been able to see an increase of this much beyond `max_error_increase`.
    pub min_effect: f64,
    /// Absolute, from 0 to 1: an increase of the error rate of requests up to this counts as the same.
    pub max_error_increase: f64,
    /// A ratio, at least 1: a median or p99 of up to so many times the control's counts as the same.
    pub max_latency_increase: f64,
    /// An error rate, from 0 to 1, at which the canary goes at once if the control's is below half of it.
    pub guard_error_rate: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            min_requests: 100,
            min_effect: 0.02,
            max_error_increase: 0.0,
            max_latency_increase: 1.25,
            guard_error_rate: 0.5,
        }
    }
}
