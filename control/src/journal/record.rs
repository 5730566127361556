//! One line of the journal.

use serde::{Deserialize, Serialize};
use swap_core::{AppName, Saved};

use super::{History, RECEIPTS_MAX};
use crate::wire::Receipt;

/// The format that is written. Every older one is read for ever.
pub(crate) const FORMAT: u32 = 1;

/// What happened to an app: its whole lasting state afterwards, and the receipt if an operation ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The format.
    pub(crate) v: u32,
    /// When, by the wall clock (RFC 3339). For people.
    pub(crate) at: String,
    pub(crate) app: AppName,
    pub(crate) saved: Saved,
    /// When the live release took over.
    #[serde(default)]
    pub(crate) live_since: Option<String>,
    #[serde(default)]
    pub(crate) receipt: Option<Receipt>,
}

/// Just the format, to be read first.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

impl Record {
    /// What the history is after this.
    pub(super) fn fold_into(self, history: &mut History) {
        let past = history.entry(self.app).or_default();
        past.saved = self.saved;
        past.live_since = self.live_since;
        past.receipts.extend(self.receipt);
        let excess = past.receipts.len().saturating_sub(RECEIPTS_MAX);
        past.receipts.drain(..excess);
    }

    /// `CHECKSUM JSON`, with its newline.
    pub(super) fn to_line(&self) -> String {
        // A record has only string keys and no floats that JSON lacks, so it can be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
    }

    /// Reads a line without its newline.
    pub(super) fn from_line(line: &[u8]) -> Result<Self, Unreadable> {
        let text = str::from_utf8(line).map_err(|_| Unreadable::Broken("not UTF-8".into()))?;
        let (sum, json) = text
            .split_once(' ')
            .ok_or_else(|| Unreadable::Broken("no checksum".into()))?;
        if u32::from_str_radix(sum, 16) != Ok(crc32fast::hash(json.as_bytes())) {
            return Err(Unreadable::Broken("the checksum does not match".into()));
        }
        let broken = |error: serde_json::Error| Unreadable::Broken(error.to_string());
        let Version { v } = serde_json::from_str(json).map_err(broken)?;
        if v > FORMAT {
            return Err(Unreadable::Newer(v));
        }
        serde_json::from_str(json).map_err(broken)
    }
}

/// Why a line is no record.
#[derive(Debug)]
pub(super) enum Unreadable {
    Broken(String),
    Newer(u32),
}
