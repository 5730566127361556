//! What must hold of every journal, whatever its octets.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a panic is how a check fails"
)]

use std::path::Path;

use serde_json::Value;
use swap_core::{App, Limits, Moment};

use super::file::snapshot;
use super::line;
use super::record::{Header, Record};
use super::replay::{Replayed, replay};
use super::{History, JournalError, RECEIPTS_MAX};

/// So many places at which a journal is cut.
const CUTS_MAX: usize = 24;

/// The octets as they are; and what their lines would be with sound checksums, and with sound numbers too, because
/// hardly anybody hits upon those by chance.
pub fn journal(octets: &[u8]) {
    check(octets);
    check(&sealed(octets, false));
    check(&sealed(octets, true));
}

/// Each line with its checksum, as if the octets were what was meant.
fn sealed(octets: &[u8], numbered: bool) -> Vec<u8> {
    let lines = octets.split(|octet| *octet == b'\n').enumerate();
    let sealed = lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(seq, line)| {
            let json = line
                .splitn(2, |octet| *octet == b' ')
                .last()
                .unwrap_or(line);
            let mut json = json.to_vec();
            if let (true, Ok(Value::Object(mut fields))) = (numbered, serde_json::from_slice(&json))
            {
                fields.insert("seq".to_owned(), seq.into());
                json = serde_json::to_vec(&fields).expect("it has been JSON");
            }
            let sum = format!("{:08x} ", crc32fast::hash(&json));
            [sum.as_bytes(), &json, b"\n"].concat()
        });
    sealed.collect::<Vec<_>>().concat()
}

fn read(octets: &[u8]) -> Result<Replayed, JournalError> {
    replay(octets, Path::new("journal"))
}

fn check(octets: &[u8]) {
    let replayed = match read(octets) {
        Ok(replayed) => replayed,
        Err(error) => return must_be_told(&error, octets),
    };
    let end = usize::try_from(replayed.good_bytes).unwrap();
    let (good, torn) = octets.split_at(end);
    assert!(good.ends_with(b"\n"), "the good part has an end");
    let line_ends = torn.iter().filter(|octet| **octet == b'\n').count();
    assert!(line_ends <= 1, "more is cut than one record");
    assert!(
        replayed
            .history
            .values()
            .all(|past| past.receipts.len() <= RECEIPTS_MAX)
    );
    must_stand_before_a_torn_record(good, &replayed);
    must_stand_when_cut(good);
    must_be_written_as_it_was_read(good);
    must_stand_when_rewritten(&replayed);
    for past in replayed.history.into_values() {
        let _ = App::restore(past.saved, Limits::default(), Moment::default());
    }
}

fn must_be_told(error: &JournalError, octets: &[u8]) {
    let lines = octets.split(|octet| *octet == b'\n').count();
    match error {
        JournalError::Damaged { line, why, .. } => {
            assert!((1..=lines).contains(line) && !why.is_empty(), "{error}");
        }
        JournalError::Newer { found, known, .. } => assert!(found > known),
        other => panic!("{other}"),
    }
}

fn must_be(read: Result<Replayed, JournalError>, history: &History, seq: u64) {
    let read = read.unwrap();
    assert_eq!((&read.history, read.seq), (history, seq));
}

/// Whatever a crash has left behind the last record.
fn must_stand_before_a_torn_record(good: &[u8], replayed: &Replayed) {
    let cut_off = &good[..good.len().min(40)];
    let cut_off = cut_off.strip_suffix(b"\n").unwrap_or(cut_off);
    for torn in [b"", cut_off, b"00000000 {}\n", b"\xff\n", b"\n"] {
        let read = read(&[good, torn].concat());
        assert_eq!(read.as_ref().unwrap().good_bytes, good.len() as u64);
        must_be(read, &replayed.history, replayed.seq);
    }
}

/// Cut anywhere behind what came into place as one, it says what its whole records say; before that it is damaged.
fn must_stand_when_cut(good: &[u8]) {
    let ends = (1..=good.len()).filter(|end| good[end - 1] == b'\n');
    let ends: Vec<usize> = ends.collect();
    let header: Header = line::read(&good[..ends[0] - 1]).unwrap();
    let (mut history, mut seq) = (History::new(), header.seq);
    for (begin, end) in ends.iter().zip(&ends[1..]).take(CUTS_MAX) {
        for cut in [*begin, begin + 1, (begin + end) / 2, end - 1] {
            let read = read(&good[..cut]);
            if seq - header.seq < header.records {
                must_be_told(&read.unwrap_err(), &good[..cut]);
            } else {
                must_be(read, &history, seq);
            }
        }
        let record: Record = line::read(&good[*begin..end - 1]).unwrap();
        record.fold_into(&mut history);
        seq += 1;
    }
}

/// A record says the same when it is written, and from then on is the same text.
fn must_be_written_as_it_was_read(good: &[u8]) {
    for old in good
        .split(|octet| *octet == b'\n')
        .skip(1)
        .filter(|line| !line.is_empty())
    {
        let record: Record = line::read(old).unwrap();
        let new = line::write(&record).unwrap();
        let again: Record = line::read(new.trim_end().as_bytes()).unwrap();
        assert_eq!(line::write(&again).unwrap(), new);
        let (mut before, mut after) = (History::new(), History::new());
        record.fold_into(&mut before);
        again.fold_into(&mut after);
        assert_eq!(before, after);
    }
}

fn must_stand_when_rewritten(replayed: &Replayed) {
    let text = snapshot(&replayed.history, replayed.seq).unwrap();
    let apps = replayed.history.len() as u64;
    must_be(
        read(text.as_bytes()),
        &replayed.history,
        replayed.seq + apps,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_journal_is_written_as_it_was_read() {
        let golden = include_bytes!("../../tests/golden/journal-v1");
        for old in golden.split_inclusive(|octet| *octet == b'\n').skip(1) {
            let record: Record = line::read(old.trim_ascii_end()).unwrap();
            assert_eq!(line::write(&record).unwrap().as_bytes(), old);
        }
    }
}
