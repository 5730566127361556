//! Says again to a check what fuzzing has found worth keeping: `corpus`, what reaches every corner, and `artifacts`, what
//! once broke a promise.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and says of which file"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// Checks every file that is kept for `target`; `fuzz` is where they are kept.
pub(crate) fn all(fuzz: &str, target: &str, check: fn(&[u8])) {
    let files = ["corpus", "artifacts"].map(|kind| files(&format!("{fuzz}/{kind}/{target}")));
    assert!(files[0].len() > 10, "{target} has no corpus");
    for path in files.into_iter().flatten() {
        let octets = fs::read(&path).expect("a file that is kept");
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&octets))) {
            eprintln!("it was {}", path.display());
            resume_unwind(panic);
        }
    }
}

fn files(directory: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}
