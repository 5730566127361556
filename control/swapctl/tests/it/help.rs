//! What `--help` says, of each verb.

use crate::run::alone;

const VERBS: [&str; 21] = [
    "status",
    "promote",
    "stage",
    "unstage",
    "hold",
    "resume",
    "rollback",
    "abort",
    "pause",
    "advance",
    "experiment",
    "block",
    "unblock",
    "history",
    "receipt",
    "events",
    "plan",
    "reload",
    "upgrade",
    "completions",
    "version",
];

#[test]
fn of_swapctl() {
    let run = alone(&["--help"]).expect(0);
    insta::assert_snapshot!(run.out);
    for verb in VERBS {
        assert!(run.out.contains(&format!("\n  {verb} ")), "{verb}");
    }
}

#[test]
fn of_each_verb() {
    for verb in VERBS {
        let run = alone(&[verb, "--help"]).expect(0);
        insta::assert_snapshot!(verb, run.out);
        assert_eq!(run.err, "");
    }
}

#[test]
fn of_what_is_said_of_an_experiment() {
    for verb in ["start", "status", "close"] {
        let run = alone(&["experiment", verb, "--help"]).expect(0);
        insta::assert_snapshot!(format!("experiment_{verb}"), run.out);
    }
}
