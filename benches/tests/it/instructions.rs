//! Counts of instructions: what is said of them, and the real thing in small.

use std::io;
use std::path::Path;
use std::process::{Command, Output};

use benches::instructions::{Baseline, Conditions, Count, Counts, Verdict, judge};
use clap::ValueEnum as _;

fn conditions() -> Conditions {
    Conditions {
        rustc: "1.95.0".to_owned(),
        target: "x86_64-unknown-linux-gnu".to_owned(),
        profile: "release".to_owned(),
        valgrind: "valgrind-3.19.0".to_owned(),
        libc: "2.36".to_owned(),
        avx2: true,
    }
}

fn counts(kept: f64) -> Counts {
    Counts::from([("kept".to_owned(), kept), ("gate".to_owned(), 60.0)])
}

fn accepted() -> Baseline {
    Baseline {
        conditions: conditions(),
        counts: counts(50_000.0),
    }
}

fn judged(kept: f64) -> Verdict {
    judge(&accepted(), &conditions(), &counts(kept), true)
}

#[test]
fn one_per_cent_more_passes_and_nothing_is_asked_for() {
    for kept in [49_500.0, 50_000.0, 50_500.0] {
        let verdict = judged(kept);
        assert!(verdict.passes, "{verdict}");
        assert_eq!(verdict.lines.len(), 2, "{verdict}");
    }
}

#[test]
fn three_per_cent_more_fails_and_names_the_count_and_the_way_out() {
    let verdict = judged(51_500.0);
    assert!(!verdict.passes);
    let text = verdict.to_string();
    assert!(
        text.contains("kept: 51500, was 50000 (+3.0 %): rose by more than 2 %"),
        "{text}"
    );
    assert!(text.contains("gate: 60, was 60 (+0.0 %)\n"), "{text}");
    assert!(text.contains("--accept"), "{text}");
}

#[test]
fn three_per_cent_less_passes_and_asks_to_be_accepted() {
    let verdict = judged(48_500.0);
    assert!(verdict.passes);
    let text = verdict.to_string();
    assert!(text.contains("fell by more than 2 %"), "{text}");
    assert!(text.contains("--accept"), "{text}");
}

#[test]
fn a_count_that_was_never_accepted_fails() {
    let mut counts = counts(50_000.0);
    counts.insert("new".to_owned(), 1.0);
    let verdict = judge(&accepted(), &conditions(), &counts, true);
    assert!(!verdict.passes);
    assert!(verdict.to_string().contains("new: 1, and was never"));
}

#[test]
fn a_count_that_is_gone_fails_unless_others_were_asked_for() {
    let some = Counts::from([("kept".to_owned(), 50_000.0)]);
    let verdict = judge(&accepted(), &conditions(), &some, true);
    assert!(!verdict.passes && verdict.to_string().contains("gate: was accepted"));
    assert!(judge(&accepted(), &conditions(), &some, false).passes);
}

#[test]
fn another_compiler_is_told_and_gets_more_room() {
    let newer = Conditions {
        rustc: "1.96.0".to_owned(),
        ..conditions()
    };
    let verdict = judge(&accepted(), &newer, &counts(52_500.0), true);
    assert!(verdict.passes, "{verdict}");
    let told = "compared up to 10 % only: rustc 1.96.0 instead of 1.95.0";
    assert_eq!(verdict.lines[0], told);
    assert!(!judge(&accepted(), &newer, &counts(56_000.0), true).passes);
}

#[test]
fn another_profile_is_not_compared() {
    let debug = Conditions {
        profile: "debug".to_owned(),
        ..conditions()
    };
    let verdict = judge(&accepted(), &debug, &counts(900_000.0), true);
    assert!(verdict.passes);
    assert_eq!(
        verdict.lines,
        ["not compared: profile debug instead of release"]
    );
}

#[test]
fn what_is_accepted_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("instructions.toml");
    let mut accepted = accepted();
    accepted.counts.insert("step".to_owned(), 14_140.04);
    accepted.write(&path).unwrap();
    accepted.counts.insert("step".to_owned(), 14_140.0);
    assert_eq!(Baseline::read(&path).unwrap(), accepted);
}

#[test]
fn without_a_baseline_it_says_how_to_make_one() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let output = instructions(&["--only=gate"], &missing).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("missing.toml") && said.contains("--accept"),
        "{said}"
    );
}

#[test]
fn an_unknown_count_is_a_mistake_in_what_was_typed() {
    let output = instructions(&["--only=everything"], Path::new("/dev/null")).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("everything") && said.contains("kept"),
        "{said}"
    );
}

#[test]
fn the_committed_baseline_has_every_count() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    let baseline = Baseline::read(&path).unwrap();
    let names: Vec<String> = Count::value_variants()
        .iter()
        .map(ToString::to_string)
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !baseline.counts.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(baseline.counts.len(), names.len());
}

#[test]
fn the_daemon_and_a_loop_are_counted() {
    if std::env::var_os("HOLDFAST_TEST_ALL").is_none_or(|all| all != "1") {
        println!("skipped: HOLDFAST_TEST_ALL=1 counts");
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: there is no valgrind");
        return;
    }
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    let output = instructions(&["--quick", "--only=kept", "--only=gate"], &committed).unwrap();
    let (said, text) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    assert_ne!(output.status.code(), Some(2), "{said}");
    for count in ["kept", "gate"] {
        let counted = said
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{count}: ")));
        let counted = counted.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        assert!(
            counted.is_some_and(|counted| counted > 0),
            "{count}: {said}"
        );
    }
    assert!(
        text.contains("compared") || text.contains("kept: "),
        "{text}"
    );
}

fn instructions(arguments: &[&str], baseline: &Path) -> io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_instructions"));
    command.args(arguments).arg("--baseline").arg(baseline);
    command.output()
}
