//! What the servers made of everything, counted.

use std::collections::BTreeMap;

use super::forwarded::Forwarded;
use super::replay::{Taken, Verdict};

/// What stands above the rows.
pub(super) const HEAD: &str = "\
| server | version | told | refused or answered by itself (by status) | dropped | next told | disagreements |
| --- | --- | --- | --- | --- | --- | --- |";

/// What a server made of everything.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) told: usize,
    /// By status.
    pub(super) untold: BTreeMap<u16, usize>,
    pub(super) dropped: usize,
    pub(super) next_told: usize,
    pub(super) disagreements: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, one: &Forwarded, verdict: Result<Verdict, String>) {
        match verdict {
            Ok(verdict) => {
                match verdict.taken {
                    Taken::Told => self.told += 1,
                    Taken::Untold(status) => *self.untold.entry(status).or_default() += 1,
                    Taken::Dropped => self.dropped += 1,
                }
                self.next_told += usize::from(verdict.next_told);
            }
            Err(why) => self.disagreements.push(format!(
                "{why}\n  mutant    {}\n  forwarded {}",
                one.mutant.escape_ascii(),
                one.octets.escape_ascii()
            )),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.told += other.told;
        for (status, count) in other.untold {
            *self.untold.entry(status).or_default() += count;
        }
        self.dropped += other.dropped;
        self.next_told += other.next_told;
        self.disagreements.extend(other.disagreements);
    }

    /// A line of the table, under `HEAD`.
    pub(super) fn row(&self, server: &str, version: &str) -> String {
        let statuses = self.untold.iter();
        let statuses = statuses.map(|(status, count)| format!("{status}: {count}"));
        format!(
            "| {server} | {version} | {} | {} ({}) | {} | {} | {} |",
            self.told,
            self.untold.values().sum::<usize>(),
            statuses.collect::<Vec<_>>().join(", "),
            self.dropped,
            self.next_told,
            self.disagreements.len()
        )
    }
}
