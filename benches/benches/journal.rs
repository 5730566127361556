//! What it costs to make a record durable: `cargo bench -p benches --bench journal`.
//!
//! The driver waits for this before it acts. In memory (tmpfs) there is nothing to sync, so what a disk takes more is
//! the sync; the line alone is neither written nor synced.

use std::path::Path;

use criterion::Criterion;
use holdfast_control::benching::Journal;
use tempfile::TempDir;

const MEMORY: &str = "/dev/shm";
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    line(&mut criterion);
    append(&mut criterion, "append in memory", Path::new(MEMORY));
    append(&mut criterion, "append on disk", Path::new(DISK));
    criterion.final_summary();
}

fn line(criterion: &mut Criterion) {
    let (_directory, journal) = journal(Path::new(DISK));
    criterion.bench_function("journal/the line alone", |bench| {
        bench.iter(|| journal.line());
    });
}

#[expect(clippy::expect_used, reason = "a bench without a journal is none")]
fn journal(under: &Path) -> (TempDir, Journal) {
    let directory = tempfile::tempdir_in(under).expect("a directory");
    let journal = Journal::open(directory.path()).expect("a journal");
    (directory, journal)
}

#[expect(
    clippy::expect_used,
    reason = "a record that is not durable has no cost"
)]
fn append(criterion: &mut Criterion, what: &str, under: &Path) {
    if !under.is_dir() {
        return;
    }
    let (_directory, journal) = journal(under);
    let mut here = tokio::runtime::Builder::new_current_thread();
    let here = here.build().expect("a runtime");
    criterion.bench_function(&format!("journal/{what}"), |bench| {
        bench.iter(|| here.block_on(journal.append()).expect("a durable record"));
    });
}
