//! The journal's file: append and sync, cut what was torn, rewrite when it is long or can no longer be trusted.

use std::io;

use super::directory::{Directory, JOURNAL, JournalFile as _, StateDirectory, replace_journal};
use super::line;
use super::record::{Header, Record};
use super::replay::replay;
use super::{Generations, History, JournalError};
use crate::failpoint;

/// A file longer than this, and twice as long as after its last rewrite, is rewritten.
const LONG_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct JournalFile<D: Directory = StateDirectory> {
    directory: D,
    file: D::File,
    /// The number of the last record.
    seq: u64,
    /// Up to here every record is good and durable.
    good_bytes: u64,
    rewritten_bytes: u64,
    /// What is on the disk is not known: a sync failed, or a torn record could not be cut. Nothing more is appended
    /// before the whole file has been written anew.
    suspect: bool,
}

impl<D: Directory> JournalFile<D> {
    /// Opens the journal of this directory; makes one where there is none.
    pub(super) fn open(directory: D) -> Result<(Self, History), JournalError> {
        let path = directory.path(JOURNAL);
        let octets = match directory.read(JOURNAL) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::begin(directory);
            }
            Err(error) => return Err(JournalError::io("reading", &path)(error)),
        };
        let replayed = replay(&octets, &path)?;
        failpoint::here("journal.read");
        let file = directory
            .open(JOURNAL)
            .map_err(JournalError::io("opening", &path))?;
        let mut this = Self {
            directory,
            file,
            seq: replayed.seq,
            good_bytes: replayed.good_bytes,
            rewritten_bytes: 0,
            suspect: false,
        };
        let torn = octets.len() as u64 - replayed.good_bytes;
        if torn > 0 {
            tracing::warn!(path = %path.display(), bytes = torn, "the journal's torn tail is cut");
            this.cut();
        }
        Ok((this, replayed.history))
    }

    fn begin(directory: D) -> Result<(Self, History), JournalError> {
        let path = directory.path(JOURNAL);
        let history = History::new();
        let text = snapshot(&history, 0).map_err(JournalError::io("writing", &path))?;
        let file = replace_journal(&directory, &text)
            .and_then(|file| directory.sync().map(|()| file))
            .map_err(JournalError::io("making the journal", &path))?;
        let this = Self {
            directory,
            file,
            seq: 0,
            good_bytes: text.len() as u64,
            rewritten_bytes: text.len() as u64,
            suspect: false,
        };
        Ok((this, history))
    }

    /// All durable when this returns, with one sync; after an error it is as if nothing had been asked. `history` is what
    /// the records so far tell.
    pub(super) fn append(
        &mut self,
        records: &mut [Record],
        history: &History,
    ) -> Result<(), JournalError> {
        if self.suspect {
            self.rewrite(history)?;
        }
        failpoint::here("append.began");
        let written = number(records, self.seq).and_then(|lines| {
            failpoint::half_way("append.half_written", || {
                let half = &lines.as_bytes()[..lines.len() / 2];
                let _ = self.file.write_all_at(half, self.good_bytes);
            });
            self.file.write_all_at(lines.as_bytes(), self.good_bytes)?;
            Ok(lines.len() as u64)
        });
        let length = written.map_err(|error| {
            self.cut();
            JournalError::io("writing", &self.directory.path(JOURNAL))(error)
        })?;
        failpoint::here("append.written");
        self.file.sync().map_err(|error| {
            self.cut();
            // The kernel may have dropped what it could not write, and says so only once.
            self.suspect = true;
            JournalError::io("syncing", &self.directory.path(JOURNAL))(error)
        })?;
        failpoint::here("append.synced");
        self.seq += records.len() as u64;
        self.good_bytes += length;
        Ok(())
    }

    /// Somebody else may have written to it. Returns the numbers of the tables that they have published.
    pub(super) fn doubt(&mut self) -> Generations {
        self.directory.sign();
        self.suspect = true;
        let path = self.directory.path(JOURNAL);
        let read = self.directory.read(JOURNAL);
        let read = read.map_err(JournalError::io("reading", &path));
        match read.and_then(|octets| replay(&octets, &path)) {
            Ok(replayed) => generations(&replayed.history),
            Err(error) => {
                tracing::warn!(%error, "what the other process has published is not known");
                Generations::new()
            }
        }
    }

    pub(super) fn is_long(&self) -> bool {
        self.good_bytes > LONG_BYTES.max(2 * self.rewritten_bytes)
    }

    /// Replaces the file by what of it still counts.
    pub(super) fn rewrite(&mut self, history: &History) -> Result<(), JournalError> {
        let path = self.directory.path(JOURNAL);
        let text = snapshot(history, self.seq).map_err(JournalError::io("rewriting", &path))?;
        let file = replace_journal(&self.directory, &text)
            .map_err(JournalError::io("rewriting", &path))?;
        // From here on the new file has the name, so it is the one to append to, whatever follows.
        self.file = file;
        self.seq += history.len() as u64;
        self.good_bytes = text.len() as u64;
        self.rewritten_bytes = self.good_bytes;
        self.suspect = true;
        self.directory
            .sync()
            .map_err(JournalError::io("syncing the state directory of", &path))?;
        self.suspect = false;
        Ok(())
    }

    /// Takes back whatever stands behind the last good record.
    fn cut(&mut self) {
        failpoint::here("cut.began");
        let cut = self.file.set_len(self.good_bytes).and_then(|()| {
            failpoint::here("cut.shortened");
            self.file.sync()
        });
        self.suspect |= cut.is_err();
        failpoint::here("cut.synced");
    }
}

fn generations(history: &History) -> Generations {
    let each = history.iter();
    let each = each.map(|(app, past)| (app.clone(), past.saved.generation));
    each.collect()
}

/// The lines of these records, which follow the one with this number.
fn number(records: &mut [Record], last: u64) -> io::Result<String> {
    let mut lines = String::new();
    for (record, seq) in records.iter_mut().zip(last + 1..) {
        record.seq = seq;
        lines += &line::write(record)?;
    }
    Ok(lines)
}

/// A whole journal: a header, and one record for each app.
pub(super) fn snapshot(history: &History, seq: u64) -> io::Result<String> {
    let mut text = line::write(&Header::after(seq, history.len() as u64))?;
    for (past, seq) in history.iter().zip(seq + 1..) {
        let mut record = Record::of_past(past.0, past.1);
        record.seq = seq;
        text += &line::write(&record)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::record::{Lasting, Origin};
    use super::*;
    use swap_core::Saved;

    fn open(path: &std::path::Path) -> (JournalFile, History) {
        JournalFile::open(StateDirectory::take(path).unwrap()).unwrap()
    }

    fn record(app: &str, generation: u64) -> Record {
        let saved = Saved {
            generation: swap_core::Generation(generation),
            ..Saved::default()
        };
        let lasting = Lasting {
            saved,
            live_since: None,
            passed: Default::default(),
            control: None,
        };
        let origin = Origin {
            verb: "test",
            by: None,
        };
        Record::new(app.parse().unwrap(), origin, lasting, Vec::new())
    }

    fn append(file: &mut JournalFile, history: &mut History, record: Record) {
        let mut records = [record];
        file.append(&mut records, history).unwrap();
        let [record] = records;
        record.fold_into(history);
    }

    #[test]
    fn what_was_rewritten_can_be_appended_to_and_reads_back_the_same() {
        let place = tempfile::tempdir().unwrap();
        let (mut file, mut history) = open(place.path());
        for generation in 1..=20 {
            append(&mut file, &mut history, record("web", generation));
            append(&mut file, &mut history, record("api", 100 + generation));
        }
        file.rewrite(&history).unwrap();
        append(&mut file, &mut history, record("web", 21));
        drop(file);
        let (_, read) = open(place.path());
        let generations = |history: &History| {
            history
                .values()
                .map(|past| past.saved.generation.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(generations(&read), [120, 21]);
        assert_eq!(generations(&read), generations(&history));
    }

    #[test]
    fn several_records_are_appended_as_one_by_one() {
        let place = tempfile::tempdir().unwrap();
        let (mut file, mut history) = open(place.path());
        let mut records = [record("web", 1), record("api", 2), record("web", 3)];
        file.append(&mut records, &history).unwrap();
        for record in records {
            record.fold_into(&mut history);
        }
        append(&mut file, &mut history, record("api", 4));
        drop(file);
        let (_, read) = open(place.path());
        let generations = read.values().map(|past| past.saved.generation.0);
        assert_eq!(generations.collect::<Vec<_>>(), [4, 3]);
    }

    #[test]
    fn a_suspect_file_is_written_anew_before_anything_is_appended() {
        let place = tempfile::tempdir().unwrap();
        let (mut file, mut history) = open(place.path());
        append(&mut file, &mut history, record("web", 1));
        // As after a sync that failed: a whole record stands behind the last one that counts.
        let mut refused = record("web", 99);
        refused.seq = file.seq + 1;
        let line = line::write(&refused).unwrap();
        file.file
            .write_all_at(line.as_bytes(), file.good_bytes)
            .unwrap();
        file.suspect = true;
        append(&mut file, &mut history, record("web", 2));
        drop(file);
        let (_, read) = open(place.path());
        let web = &read[&"web".parse().unwrap()];
        assert_eq!(web.saved.generation.0, 2);
    }

    #[test]
    fn a_missing_record_is_damage() {
        let place = tempfile::tempdir().unwrap();
        let (mut file, mut history) = open(place.path());
        for generation in 1..=3 {
            append(&mut file, &mut history, record("web", generation));
        }
        drop(file);
        let path = place.path().join("journal");
        let text = fs::read_to_string(&path).unwrap();
        let without: String = text
            .split_inclusive('\n')
            .enumerate()
            .filter(|(at, _)| *at != 2)
            .map(|(_, line)| line)
            .collect();
        fs::write(&path, without).unwrap();
        let error = JournalFile::open(StateDirectory::take(place.path()).unwrap()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 3: record 3 follows record 1"),
            "{error}"
        );
    }
}
