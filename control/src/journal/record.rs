//! What the journal's lines say: first a header, then records, numbered without a gap.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use swap_core::{AppName, ReleaseId, Saved};
use swap_judge::Arm;

use super::line::FORMAT;
use super::{History, Past, RECEIPTS_MAX};
use crate::wall::wall_now;
use crate::wire::Receipt;

/// The first line. A file without it is not a journal, so an empty one is never taken for "no release yet".
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    v: u32,
    /// For whoever looks into the file.
    journal: String,
    /// The number of the last record before this file began; the next one is one more.
    pub(super) seq: u64,
    /// So many records came into place with it, as one: without them the file is damaged, not torn.
    #[serde(default)]
    pub(super) records: u64,
}

impl Header {
    pub(super) fn after(seq: u64, records: u64) -> Self {
        let journal = "holdfast".to_owned();
        Self {
            v: FORMAT,
            journal,
            seq,
            records,
        }
    }
}

/// What happened to an app: its whole lasting state afterwards, so that the last record is all that counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    v: u32,
    /// One more than that of the record before.
    #[serde(default)]
    pub(super) seq: u64,
    /// When, by the wall clock (RFC 3339). For people.
    at: String,
    app: AppName,
    /// What it was: a verb, or what was observed.
    #[serde(default)]
    verb: String,
    /// Who said so: `uid 0`. None if nobody did.
    #[serde(default)]
    by: Option<String>,
    pub(super) saved: Saved,
    /// When the live release took over.
    #[serde(default)]
    live_since: Option<String>,
    /// Releases that have passed their probe.
    #[serde(default)]
    passed: BTreeSet<ReleaseId>,
    /// What a canary under way is compared with where there is no control of the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<Arm>,
    /// Of the operations that ended with it.
    #[serde(default)]
    receipts: Vec<Receipt>,
}

/// What is lasting of an app, but for its receipts.
#[derive(Clone, Debug)]
pub(crate) struct Lasting {
    pub(crate) saved: Saved,
    pub(crate) live_since: Option<String>,
    pub(crate) passed: BTreeSet<ReleaseId>,
    /// What a canary under way was compared with last.
    pub(crate) control: Option<Arm>,
}

/// What made a record necessary.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// A verb, or what was observed.
    pub(crate) verb: &'static str,
    /// Who said so.
    pub(crate) by: Option<String>,
}

impl Record {
    /// A record that has no number yet.
    pub(crate) fn new(
        app: AppName,
        origin: Origin,
        lasting: Lasting,
        receipts: Vec<Receipt>,
    ) -> Self {
        let Lasting {
            saved,
            live_since,
            passed,
            control,
        } = lasting;
        Self {
            v: FORMAT,
            seq: 0,
            at: wall_now(),
            app,
            verb: origin.verb.to_owned(),
            by: origin.by,
            saved,
            live_since,
            passed,
            control,
            receipts,
        }
    }

    /// One record that stands for everything that was known of an app.
    pub(super) fn of_past(app: &AppName, past: &Past) -> Self {
        let origin = Origin {
            verb: "snapshot",
            by: None,
        };
        let receipts = past.receipts.iter().cloned().collect();
        Self::new(app.clone(), origin, past.lasting(), receipts)
    }

    /// What the history is after this.
    pub(super) fn fold_into(self, history: &mut History) {
        let past = history.entry(self.app).or_default();
        past.saved = self.saved;
        past.live_since = self.live_since;
        past.passed = self.passed;
        past.control = self.control;
        past.receipts.extend(self.receipts);
        let excess = past.receipts.len().saturating_sub(RECEIPTS_MAX);
        past.receipts.drain(..excess);
    }
}
