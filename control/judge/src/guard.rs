//! The plain guard: a release that fails most of its requests, while the other does not.

use crate::words::percent;
use crate::{Arm, Rules, Ruling, Test};

/// So many requests are enough.
const REQUESTS_MIN: u64 = 20;

/// True, if so many fail that nobody needs a test. Never because both are bad.
pub(crate) fn strikes(rules: &Rules, canary: &Arm, control: &Arm) -> bool {
    let rate = canary.error_rate();
    canary.requests >= REQUESTS_MIN
        && canary.errors > 0
        && rate >= rules.guard_error_rate
        && control.error_rate() < rate / 2.0
}

/// With what both arms have failed.
pub(crate) fn ruling(rules: &Rules, failed: &str) -> Ruling {
    let rate = percent(rules.guard_error_rate);
    Ruling::fail(
        Test::Guard,
        format!("{failed}: {rate} or more at once, and the control below half of that"),
    )
}
