//! What the driver keeps of an app besides the machine's state.

use std::collections::{BTreeMap, HashSet, VecDeque};

use swap_core::{App, ProbeId, ReleaseId};
use tokio::task::{AbortHandle, JoinSet};

use crate::journal::{Past, RECEIPTS_MAX};
use crate::receipt::Baseline;
use crate::wire::Receipt;

/// So many seconds count for the rate.
pub(super) const SAMPLES_MAX: usize = 11;

pub(crate) struct Kept {
    pub(crate) app: App,
    pub(crate) config: holdfast_config::App,
    /// When the live release took over (RFC 3339).
    pub(crate) live_since: String,
    /// Where the counters stood when the operation under way began.
    pub(crate) baseline: Option<Baseline>,
    /// Oldest first.
    pub(crate) receipts: VecDeque<Receipt>,
    /// Releases that have passed their probe, so that it says something of them.
    pub(super) passed: HashSet<ReleaseId>,
    pub(super) rounds: BTreeMap<ProbeId, Round>,
    /// Looks at the live release's instances; ends when it is replaced.
    pub(super) watches: JoinSet<()>,
    /// Requests so far, once a second.
    pub(super) samples: VecDeque<u64>,
}

/// A round of probing that runs. Its drop ends it.
pub(super) struct Round {
    pub(super) task: AbortHandle,
    pub(super) release: ReleaseId,
}

impl Drop for Round {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kept {
    pub(super) fn new(
        app: App,
        config: holdfast_config::App,
        live_since: String,
        receipts: Vec<Receipt>,
    ) -> Self {
        Self {
            app,
            config,
            live_since,
            baseline: None,
            receipts: receipts.into(),
            passed: HashSet::new(),
            rounds: BTreeMap::new(),
            watches: JoinSet::new(),
            samples: VecDeque::new(),
        }
    }

    pub(super) fn into_past(self) -> Past {
        Past {
            saved: self.app.saved(),
            live_since: Some(self.live_since),
            receipts: self.receipts.into(),
        }
    }

    pub(super) fn keep(&mut self, receipt: Receipt) {
        self.receipts.push_back(receipt);
        if self.receipts.len() > RECEIPTS_MAX {
            self.receipts.pop_front();
        }
    }

    /// Only releases that can still serve are remembered.
    pub(super) fn forget_passed(&mut self) {
        let app = &self.app;
        let known = app
            .live()
            .into_iter()
            .chain(app.previous())
            .chain(app.staged());
        let known: Vec<&ReleaseId> = known.map(|release| &release.id).collect();
        let next = app.next().map(|(release, _)| &release.id);
        self.passed
            .retain(|id| known.contains(&id) || next == Some(id));
    }
}
