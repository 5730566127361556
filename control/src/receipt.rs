//! Receipts: what the machine says of an operation, and what the data plane counted meanwhile.

use std::time::Duration;

use swap_core::{AppName, Ending};

use crate::plane::{HoldCounts, Traffic};
use crate::wall::wall_now;
use crate::wire::{Judged, Receipt};

/// Where the counters stood when an operation began.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    started: String,
    traffic: Traffic,
}

impl Baseline {
    /// An operation begins now, with the counters at `traffic`.
    pub(crate) fn now(traffic: Traffic) -> Self {
        let started = wall_now();
        Self { started, traffic }
    }
}

/// The receipt of an operation that began at `baseline` and ends now.
pub(crate) fn receipt(
    app: &AppName,
    ending: &Ending,
    baseline: &Baseline,
    now: &Traffic,
    judge: Option<Judged>,
) -> Receipt {
    let before = &baseline.traffic;
    let hold = hold_of(ending, before, now);
    let Ending {
        operation,
        verb,
        strategy,
        outcome,
        from,
        to,
        by,
        reason,
        why,
        took,
        boot,
        hold: hold_time,
        drain,
    } = ending.clone();
    Receipt {
        operation,
        app: app.clone(),
        verb,
        strategy,
        outcome,
        from,
        to,
        by,
        reason,
        why,
        started: baseline.started.clone(),
        took_ms: millis(took),
        boot_ms: boot.map(millis),
        hold_ms: hold_time.map(millis),
        drain_ms: drain.map(millis),
        held: hold.held,
        waiting: hold.waiting,
        held_peak: hold.held_peak,
        longest_hold_ms: millis(hold.longest),
        released: hold.released,
        abandoned: hold.abandoned,
        shed: hold.shed,
        retried: now.retried.saturating_sub(before.retried),
        drained: now.drained.saturating_sub(before.drained),
        cut: now.cut.saturating_sub(before.cut),
        lost: now.lost.saturating_sub(before.lost),
        judge,
    }
}

/// The hold that was on when the operation began, or began during it; nothing if there was none. Staging ends no hold.
fn hold_of(ending: &Ending, before: &Traffic, now: &Traffic) -> HoldCounts {
    let is_its_own = now.hold.number > before.hold.number || before.hold.active;
    if is_its_own && ending.verb != "stage" {
        now.hold.clone()
    } else {
        HoldCounts::default()
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
