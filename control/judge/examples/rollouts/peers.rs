//! What others would have said of the same looks.

use swap_judge::{Arm, Look};

use crate::world::normal_quantile;

/// The usual test of two rates, made for one look at a size that was settled before: is the canary's higher?
#[derive(Clone, Copy)]
pub(crate) struct FixedSample {
    z: f64,
}

impl FixedSample {
    pub(crate) fn new(alpha: f64) -> Self {
        Self {
            z: normal_quantile(1.0 - alpha),
        }
    }

    pub(crate) fn fails(self, look: &Look) -> bool {
        let (canary, control) = (&look.canary, &look.control);
        let (n, m) = (canary.requests as f64, control.requests as f64);
        let pooled = (canary.errors + control.errors) as f64 / (n + m);
        let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        // Fewer than five errors: nobody takes the normal distribution for that.
        let enough = canary.errors + control.errors >= 5;
        enough && canary.error_rate() - control.error_rate() > self.z * spread
    }

    /// Requests for each arm until it sees such a difference nine times in ten.
    pub(crate) fn size(self, control: f64, canary: f64) -> u64 {
        let spread = control * (1.0 - control) + canary * (1.0 - canary);
        let z = self.z + normal_quantile(0.9);
        (z * z * spread / ((canary - control) * (canary - control))).ceil() as u64
    }
}

/// Flagger's: the canary's success rate in each interval is below 99 % → one failed check; five → rolled back.
/// And its p99 is above 500 ms, which is what its documentation has.
pub(crate) struct Flagger {
    interval: u64,
    before: Arm,
    failed: u32,
}

impl Flagger {
    pub(crate) fn new(interval: u64) -> Self {
        Self {
            interval,
            before: Arm::default(),
            failed: 0,
        }
    }

    pub(crate) fn fails(&mut self, look: &Look) -> bool {
        let canary = &look.canary;
        let requests = canary.requests - self.before.requests;
        if requests >= self.interval {
            let errors = canary.errors - self.before.errors;
            let is_bad = errors as f64 > 0.01 * requests as f64;
            let is_slow = canary.p99().is_some_and(|us| us > 500_000);
            self.failed += u32::from(is_bad || is_slow);
            (self.before.requests, self.before.errors) = (canary.requests, canary.errors);
        }
        self.failed >= 5
    }
}
