//! What the swaps came to, counted for the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swap_core::{AppName, Outcome};

use crate::wire::Receipt;

/// The counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Swaps(Arc<Mutex<Counted>>);

/// What has been counted since the process began.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Promotes and rollbacks that have ended, by app and outcome.
    pub outcomes: BTreeMap<(AppName, &'static str), u64>,
    /// Their phases (`boot`, `hold`, `drain`): the sum of their times, and how many.
    pub phases: BTreeMap<(AppName, &'static str), (Duration, u64)>,
    /// Each app's generation.
    pub generations: BTreeMap<AppName, u64>,
}

impl Swaps {
    /// The counters as they are now.
    pub fn counted(&self) -> Counted {
        self.inner().clone()
    }

    pub(crate) fn published(&self, app: &AppName, generation: u64) {
        self.inner().generations.insert(app.clone(), generation);
    }

    pub(crate) fn ended(&self, receipt: &Receipt) {
        if !matches!(receipt.verb.as_str(), "promote" | "rollback") {
            return;
        }
        let mut counted = self.inner();
        let key = (receipt.app.clone(), word(receipt.outcome));
        *counted.outcomes.entry(key).or_default() += 1;
        let phases = [
            ("boot", receipt.boot_ms),
            ("hold", receipt.hold_ms),
            ("drain", receipt.drain_ms),
        ];
        for (phase, ms) in phases {
            if let Some(ms) = ms {
                let key = (receipt.app.clone(), phase);
                let (sum, count) = counted.phases.entry(key).or_default();
                *sum += Duration::from_millis(ms);
                *count += 1;
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::AlreadyLive => "already_live",
        Outcome::Failed => "failed",
        Outcome::Aborted => "aborted",
        Outcome::RolledBack => "rolled_back",
        Outcome::Interrupted => "interrupted",
    }
}
