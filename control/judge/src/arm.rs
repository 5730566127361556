//! What was counted of the two releases that are compared.

use serde::{Deserialize, Serialize};

use crate::Times;

/// Cumulative counts of one arm within the present step, after warm-up.
///
/// Only random traffic belongs here: staff and those who opted in were not drawn by the hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Requests that have ended. Shown to people, and used by the guard.
    pub requests: u64,
    /// Those that failed: 5xx, resets, timeouts, refused and retried attempts.
    pub errors: u64,
    /// What the tests count: clients, as bits set in this arm's *seen* bitmap, if the assignment is sticky; else requests.
    pub units: u64,
    /// Units that have failed at least once: bits set in this arm's *erred* bitmap; else errors.
    pub erred: u64,
    /// How long each unit's first request of the step took, so that no two times have the same cause.
    pub times: Times,
}

impl Arm {
    /// Errors for each request; 0 without requests.
    pub fn error_rate(&self) -> f64 {
        part(self.errors, self.requests)
    }

    /// Units that failed, of all; 0 without units.
    pub(crate) fn erred_rate(&self) -> f64 {
        part(self.erred, self.units)
    }

    /// The time in microseconds that half of the units took at most.
    pub fn p50(&self) -> Option<u64> {
        self.times.quantile(0.5)
    }

    /// The time in microseconds that all but one in a hundred units took at most.
    pub fn p99(&self) -> Option<u64> {
        self.times.quantile(0.99)
    }
}

fn part(of: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        of.min(all) as f64 / all as f64
    }
}

/// What the judge sees: both arms at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Of the release that is being tried.
    pub canary: Arm,
    /// Of an equal share of stable traffic, drawn by the same hash at the same time.
    pub control: Arm,
    /// Bits of each arm's bitmaps, if units are clients: they are hashed into them, independently of which arm they are in.
    /// Where workers have bitmaps of their own, those are united (or), not added up. None if units are requests.
    pub slots: Option<u64>,
}
