//! What reached the apps, in their own words.
//!
//! Each request is two lines: one when it arrives and one when its answer has been handed over or broke off. An app that
//! was killed leaves the second line out.

mod line;
mod read;

pub(crate) use line::{End, Line};
pub use read::{Arrival, Ledger, LedgerError};
