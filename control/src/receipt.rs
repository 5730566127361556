//! Receipts: what the machine says of an operation, and what the data plane counted meanwhile.

use std::time::Duration;

use swap_core::{AppName, Ending};

use crate::plane::{HoldCounts, Traffic};
use crate::wire::Receipt;

/// Where the counters stood when an operation began.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    pub(crate) started: String,
    pub(crate) traffic: Traffic,
}

/// The receipt of an operation that began at `baseline` and ends now.
pub(crate) fn receipt(
    app: &AppName,
    ending: Ending,
    baseline: &Baseline,
    now: &Traffic,
) -> Receipt {
    let before = &baseline.traffic;
    let hold = hold_of(before, now);
    Receipt {
        operation: ending.operation,
        app: app.clone(),
        verb: ending.verb,
        strategy: ending.strategy,
        outcome: ending.outcome,
        from: ending.from,
        to: ending.to,
        by: ending.by,
        reason: ending.reason,
        why: ending.why,
        started: baseline.started.clone(),
        took_ms: millis(ending.took),
        boot_ms: ending.boot.map(millis),
        hold_ms: ending.hold.map(millis),
        drain_ms: ending.drain.map(millis),
        held: hold.held,
        waiting: hold.waiting,
        held_peak: hold.held_peak,
        longest_hold_ms: millis(hold.longest),
        released: hold.released,
        abandoned: hold.abandoned,
        shed: hold.shed,
        retried: now.retried - before.retried,
        drained: now.drained - before.drained,
        cut: now.cut - before.cut,
        lost: now.lost - before.lost,
    }
}

/// The hold that was on when the operation began, or began during it; nothing if there was none.
fn hold_of(before: &Traffic, now: &Traffic) -> HoldCounts {
    let (before, now) = (&before.hold, &now.hold);
    if before.active || now.number > before.number {
        now.clone()
    } else {
        HoldCounts::default()
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
