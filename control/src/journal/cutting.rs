//! Journals of real runs, cut at every octet, changed at every octet, with every kind of rubbish behind them: what is
//! opened is the last good state, or nothing, with a clear word. Never a state that was not, and never none.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::directory::StateDirectory;
use super::file::JournalFile;
use super::record::{Header, Record};
use super::{History, Journal, JournalError, line};

/// What was journalled in real runs (`control/tests/it/recording.rs`).
const JOURNALS: [(&str, &[u8]); 3] = [
    (
        "one app, as the first version wrote it",
        include_bytes!("../../tests/golden/journal-v1"),
    ),
    (
        "several apps, with promotes, a rollback, a block and a hold",
        include_bytes!("../../tests/golden/journal-v1-of-several"),
    ),
    (
        "the same, written anew in the middle of it",
        include_bytes!("../../tests/golden/journal-v1-written-anew"),
    ),
];

/// What a journal says once so many of its lines are whole.
struct Told {
    /// The end of each line.
    ends: Vec<usize>,
    /// After each of them. None: it is not enough to be a journal.
    states: Vec<Option<History>>,
}

impl Told {
    fn by(journal: &[u8]) -> Self {
        let ends: Vec<_> = (1..=journal.len())
            .filter(|end| journal[end - 1] == b'\n')
            .collect();
        let header: Header = line::read(&journal[..ends[0] - 1]).unwrap();
        let (mut history, mut states) = (History::new(), Vec::new());
        for (count, end) in (0..).zip(&ends) {
            if count > 0 {
                let record = &journal[ends[count - 1]..end - 1];
                let record: Record = line::read(record).unwrap();
                record.fold_into(&mut history);
            }
            let is_whole = count as u64 >= header.records;
            states.push(is_whole.then(|| history.clone()));
        }
        Self { ends, states }
    }

    /// What is left of it when only so many octets are good.
    fn after(&self, octets: usize) -> Option<&History> {
        let whole = self.ends.iter().filter(|end| **end <= octets).count();
        self.states[..whole].last()?.as_ref()
    }

    /// The line of an octet, from 0.
    fn line_of(&self, octet: usize) -> usize {
        self.ends.iter().filter(|end| **end <= octet).count()
    }
}

/// A state directory in memory where there is such a place: thousands of syncs are waited for.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let in_memory = tempfile::tempdir_in("/dev/shm");
        Self(in_memory.unwrap_or_else(|_| tempfile::tempdir().unwrap()))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn journal(&self) -> PathBuf {
        self.path().join("journal")
    }

    /// Opens a journal of these octets, and closes it.
    fn open(&self, octets: &[u8]) -> Result<History, JournalError> {
        fs::write(self.journal(), octets).unwrap();
        let taken = StateDirectory::take(self.path())?;
        let opened = JournalFile::open(taken).map(|(_, history)| history);
        if opened.is_err() {
            let left = fs::read(self.journal()).unwrap();
            assert!(left == octets, "what was refused is left alone");
        }
        opened
    }
}

fn must_name_a_line(error: &JournalError, what: &str) {
    let JournalError::Damaged { line, why, .. } = error else {
        panic!("{what}: {error}");
    };
    assert!(*line > 0 && !why.is_empty(), "{what}: {error}");
}

/// What it goes on with is written behind what is good.
async fn must_go_on(place: &Place) {
    let (journal, mut history) = Journal::open(place.path(), None).unwrap();
    let (app, past) = history.first_key_value().unwrap();
    let mut past = past.clone();
    past.saved.generation = past.saved.generation.next();
    let record = Record::of_past(app, &past);
    journal.append(record.clone()).await.unwrap();
    drop(journal);
    record.fold_into(&mut history);
    let (_, read) = Journal::open(place.path(), None).unwrap();
    assert_eq!(read, history);
}

#[tokio::test]
async fn cut_at_every_octet_it_is_the_last_good_state_or_a_refusal() {
    let place = Place::new();
    for (what, journal) in JOURNALS {
        let (told, mut refused) = (Told::by(journal), 0);
        for cut in 0..=journal.len() {
            let opened = place.open(&journal[..cut]);
            let Some(expected) = told.after(cut) else {
                must_name_a_line(&opened.unwrap_err(), what);
                refused += 1;
                continue;
            };
            let history = opened.unwrap();
            assert!(history == *expected, "{what}, cut at {cut}");
            let mut pasts = history.values();
            assert!(pasts.all(|past| past.saved.live.is_some()), "{what}, {cut}");
            let is_edge = told.ends.iter().any(|end| end.abs_diff(cut) <= 1);
            if !history.is_empty() && (is_edge || cut % 64 == 0) {
                must_go_on(&place).await;
            }
        }
        println!("{what}: {} cuts, {refused} refused", journal.len() + 1);
    }
}

/// A changed octet in the last line, or in the end of the one before it, cannot be told from a write that was torn.
#[test]
fn changed_at_every_octet_it_is_the_last_good_state_or_a_refusal() {
    let place = Place::new();
    for (what, journal) in JOURNALS {
        let (told, mut refused) = (Told::by(journal), 0);
        let last_line = told.ends[told.ends.len() - 2];
        for at in 0..journal.len() {
            let mut changed = journal.to_vec();
            changed[at] ^= 1 << (at % 8);
            match place.open(&changed) {
                Ok(history) => {
                    let good = if at + 1 < last_line {
                        journal.len()
                    } else {
                        at
                    };
                    let expected = told.after(good);
                    let same_sum = changed[at].eq_ignore_ascii_case(&journal[at]);
                    let unchanged = same_sum && Some(&history) == told.after(journal.len());
                    assert!(
                        unchanged || (at + 1 >= last_line && Some(&history) == expected),
                        "{what}, changed at {at}"
                    );
                }
                Err(error) => {
                    must_name_a_line(&error, what);
                    assert_eq!(error_line(&error), told.line_of(at) + 1, "{error}");
                    refused += 1;
                }
            }
        }
        println!("{what}: {} changes, {refused} refused", journal.len());
    }
}

fn error_line(error: &JournalError) -> usize {
    match error {
        JournalError::Damaged { line, .. } => *line,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn with_rubbish_behind_it_it_is_the_last_good_state_or_a_refusal() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    for (what, journal) in JOURNALS {
        let told = Told::by(journal);
        let expected = told.after(journal.len()).unwrap();
        let last = told.ends[told.ends.len() - 2];
        for round in 0..200 {
            let length = random.usize(1..5000);
            let rubbish = match round % 5 {
                0 => vec![0; length],
                1 => (0..length).map(|_| random.u8(..)).collect(),
                2 => journal[last..].to_vec(),
                3 => vec![b'\n'; 1 + length % 3],
                _ => journal[..length.min(journal.len())].to_vec(),
            };
            let lines = rubbish.split_inclusive(|octet| *octet == b'\n').count();
            match place.open(&[journal, &rubbish].concat()) {
                // One line of it may have been torn.
                Ok(history) => {
                    assert!(lines == 1 && history == *expected, "{what}, round {round}");
                    must_go_on(&place).await;
                }
                Err(error) => {
                    must_name_a_line(&error, what);
                    assert!(error_line(&error) > told.ends.len(), "{error}");
                }
            }
        }
    }
}

#[test]
fn empty_or_newer_it_is_refused_by_name() {
    let place = Place::new();
    let empty = place.open(b"").unwrap_err();
    assert!(empty.to_string().contains("line 1: it is empty"), "{empty}");
    for (_, journal) in JOURNALS {
        for at in 0..Told::by(journal).ends.len() {
            let newer = with_newer_line(journal, at);
            let error = place.open(&newer).unwrap_err();
            let found = matches!(
                error,
                JournalError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            );
            assert!(found, "line {}: {error}", at + 1);
        }
    }
}

/// The same with one line in a format that nobody knows yet.
fn with_newer_line(journal: &[u8], at: usize) -> Vec<u8> {
    let lines = journal.split_inclusive(|octet| *octet == b'\n');
    let mut lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
    let json = String::from_utf8(lines[at][9..].trim_ascii_end().to_vec()).unwrap();
    let newer = json.replacen("\"v\":1", "\"v\":2", 1);
    assert_ne!(newer, json);
    let line = format!("{:08x} {newer}\n", crc32fast::hash(newer.as_bytes()));
    lines[at] = line.into_bytes();
    lines.concat()
}
