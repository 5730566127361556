//! A journal to which the same record is appended again and again.

#![allow(
    clippy::expect_used,
    reason = "what is set up here is known to be sound"
)]

use std::path::Path;

use super::{JournalError, Record, line};

/// A journal, and the record with which a promote ends, receipt and all.
pub struct Journal {
    journal: super::Journal,
    record: Record,
}

impl Journal {
    /// Opens the journal of this state directory; makes one where there is none.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let (journal, _) = super::Journal::open(directory, None)?;
        let golden = include_bytes!("../../tests/golden/journal-v1");
        let mut records = golden.split(|octet| *octet == b'\n').skip(1);
        let ended = records.find(|line| has(line, b"\"outcome\":\"done\""));
        let record = line::read(ended.expect("an operation has ended in it"));
        Ok(Self {
            journal,
            record: record.expect("a record of an old journal"),
        })
    }

    /// Appends it: durable when this returns. The file is rewritten whenever it is long, as always.
    pub async fn append(&self) -> Result<(), JournalError> {
        self.journal.append(self.record.clone()).await
    }

    /// What is written for it, checksum and all.
    pub fn line(&self) -> String {
        line::write(&self.record).expect("a record is text")
    }
}

fn has(line: &[u8], words: &[u8]) -> bool {
    line.windows(words.len()).any(|window| window == words)
}
