//! What the driver keeps of an app besides the machine's state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use swap_core::{App, OperationId, ProbeId, ReleaseId};
use tokio::task::JoinSet;

use super::probing::Round;
use super::rollouts::Rollout;
use crate::journal::RECEIPTS_MAX;
use crate::receipt::Baseline;
use crate::wall::wall_now;
use crate::wire::Receipt;

/// So many seconds count for the rate.
const SAMPLES_MAX: usize = 11;

pub(super) struct Kept {
    pub(super) app: App,
    pub(super) config: holdfast_config::App,
    /// When the live release took over (RFC 3339).
    pub(super) live_since: String,
    /// Where the counters stood when an operation began that has not ended.
    pub(super) baselines: BTreeMap<OperationId, Baseline>,
    /// Oldest first.
    pub(super) receipts: VecDeque<Receipt>,
    /// Told, and not journalled, because that failed: they go with the next record. That is soon, as nothing new begins without.
    pub(super) unwritten: Vec<Receipt>,
    /// Releases that have passed their probe, so that its failures say something of them.
    pub(super) passed: BTreeSet<ReleaseId>,
    /// A canary, until the receipt of its operation is told.
    pub(super) rollout: Option<Box<Rollout>>,
    pub(super) rounds: BTreeMap<ProbeId, Round>,
    /// Looks at the instances of the live release and of those beside it; ends when they are replaced.
    pub(super) watches: JoinSet<()>,
    /// Requests so far, once a second.
    pub(super) samples: VecDeque<u64>,
}

impl Kept {
    pub(super) fn new(app: App, config: holdfast_config::App) -> Self {
        Self {
            app,
            config,
            live_since: wall_now(),
            baselines: BTreeMap::new(),
            receipts: VecDeque::new(),
            unwritten: Vec::new(),
            passed: BTreeSet::new(),
            rollout: None,
            rounds: BTreeMap::new(),
            watches: JoinSet::new(),
            samples: VecDeque::new(),
        }
    }

    pub(super) fn keep(&mut self, receipt: Receipt) {
        self.receipts.push_back(receipt);
        if self.receipts.len() > RECEIPTS_MAX {
            self.receipts.pop_front();
        }
    }

    /// So many requests have come, a second after the last time this was said.
    pub(super) fn sample(&mut self, requests: u64) {
        self.samples.push_back(requests);
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Requests a second, over the last seconds.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn rate(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) if self.samples.len() > 1 => {
                last.saturating_sub(*first) as f64 / (self.samples.len() - 1) as f64
            }
            _ => 0.0,
        }
    }
}
