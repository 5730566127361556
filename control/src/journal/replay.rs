//! Reading a journal back: the history that its records tell, or a refusal with a clear word.
//!
//! Each record is synced before the next is written, so a crash can leave at most one that is cut short, and only as the
//! last. That one never counted, and is cut. Anything else that is wrong was not us.

use std::path::Path;

use super::line::{self, FORMAT, Unreadable};
use super::record::{Header, Record};
use super::{History, JournalError};

/// What a journal says.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) history: History,
    /// The number of the last record.
    pub(super) seq: u64,
    /// Where the last good record ends; what is behind was cut short.
    pub(super) good_bytes: u64,
}

/// Reads the whole of a journal. `path` is for the words.
pub(super) fn replay(octets: &[u8], path: &Path) -> Result<Replayed, JournalError> {
    let mut lines = octets.split_inclusive(|octet| *octet == b'\n').peekable();
    let first = lines.next().unwrap_or_default();
    // A journal gets into its place whole, header and all: here even a cut line is damage.
    let header: Header = read(first).map_err(|why| refusal(why, path, 1))?;
    possible(header.seq).map_err(|why| refusal(why, path, 1))?;
    let mut replayed = Replayed {
        history: History::new(),
        seq: header.seq,
        good_bytes: first.len() as u64,
    };
    let mut line_number = 1;
    while let Some(line) = lines.next() {
        line_number += 1;
        let record = match read::<Record>(line) {
            Ok(record) => record,
            Err(Unreadable::Broken(_)) if lines.peek().is_none() => break,
            Err(why) => return Err(refusal(why, path, line_number)),
        };
        if record.seq != replayed.seq + 1 {
            let why = format!("record {} follows record {}", record.seq, replayed.seq);
            return Err(refusal(Unreadable::Broken(why), path, line_number));
        }
        let numbers = [record.saved.generation.0, record.saved.gate.0, record.seq];
        for number in numbers {
            possible(number).map_err(|why| refusal(why, path, line_number))?;
        }
        replayed.seq = record.seq;
        replayed.good_bytes += line.len() as u64;
        record.fold_into(&mut replayed.history);
    }
    let read = replayed.seq - header.seq;
    if read < header.records {
        let whole = header.records;
        let why = format!("{whole} records were put in place with it, and {read} are there");
        return Err(refusal(Unreadable::Broken(why), path, line_number));
    }
    Ok(replayed)
}

/// What counts one by one never gets beyond this, so that there is always a next one.
const NUMBER_MAX: u64 = 1 << 62;

fn possible(number: u64) -> Result<(), Unreadable> {
    if number <= NUMBER_MAX {
        return Ok(());
    }
    let why = format!("nothing has been counted up to {number}");
    Err(Unreadable::Broken(why))
}

fn read<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T, Unreadable> {
    match line.strip_suffix(b"\n") {
        Some(whole) => line::read(whole),
        None if line.is_empty() => Err(Unreadable::Broken("it is empty".to_owned())),
        None => Err(Unreadable::Broken("it is cut off".to_owned())),
    }
}

fn refusal(why: Unreadable, path: &Path, line: usize) -> JournalError {
    let path = path.to_owned();
    match why {
        Unreadable::Broken(why) => JournalError::Damaged { path, line, why },
        Unreadable::Newer(found) => JournalError::Newer {
            path,
            found,
            known: FORMAT,
        },
    }
}
