//! Scripts branch on the exit code, so each outcome has one.

use serde_json::{Value, json};

use crate::answers::{ended, receipt};
use crate::daemon::Daemon;

const PROMOTE: [&str; 5] = ["promote", "web", "--release", "9f3c1a2", "--json"];

fn code_of(changes: Value) -> Option<i32> {
    let daemon = Daemon::telling(vec![ended(&receipt(changes))]);
    let run = daemon.run(&PROMOTE);
    assert_eq!(run.object()["operation"], "OP", "{run:#?}");
    run.code
}

#[test]
fn how_an_operation_ended() {
    for (changes, code) in [
        (json!({}), 0),
        (json!({ "outcome": "already_live" }), 0),
        (
            json!({ "outcome": "failed", "why": "9f3c1a2 was not ready after 60s" }),
            4,
        ),
        (json!({ "outcome": "aborted", "why": "aborted" }), 4),
        (
            json!({ "outcome": "rolled_back", "why": "canary failed 37 of 410" }),
            5,
        ),
        (json!({ "outcome": "rolled_back", "lost": 1 }), 5),
        (json!({ "outcome": "interrupted" }), 7),
        (json!({ "lost": 1 }), 8),
        (json!({ "cut": 1 }), 8),
        // The old release serves: that matters more.
        (json!({ "outcome": "failed", "lost": 1 }), 4),
    ] {
        assert_eq!(code_of(changes.clone()), Some(code), "{changes}");
    }
}

#[test]
fn why_a_command_was_refused() {
    for (status, code, exit) in [
        (409, "busy", 6),
        (409, "blocked", 6),
        (412, "not_current", 6),
        (412, "generation", 6),
        (409, "pointless", 6),
        (403, "forbidden", 6),
        (400, "usage", 2),
        (404, "unknown_app", 2),
        (404, "unknown_release", 2),
        (400, "does_not_fit", 2),
        (400, "configuration", 2),
        (409, "upgrading", 6),
        (502, "upgrade_failed", 4),
        (503, "journal", 1),
        (503, "stopping", 3),
    ] {
        let daemon = Daemon::refusing(status, code, "because");
        let run = daemon.run(&PROMOTE).expect(exit);
        let error = &run.object()["error"];
        assert_eq!(error["code"], code, "{run:#?}");
        assert_eq!(error["exit"], exit, "{run:#?}");
        assert!(run.err.contains("error: because"), "{run:#?}");
    }
}

#[test]
fn a_refusal_names_the_next_command() {
    let daemon = Daemon::refusing(409, "busy", "operation OP (promote 9f3c1a2) is under way");
    let run = daemon.run(&PROMOTE[..4]).expect(6);
    assert_eq!(run.out, "");
    insta::assert_snapshot!(run.err, @r"
    error: operation OP (promote 9f3c1a2) is under way
    hint: see it: swapctl status web
    hint: end it: swapctl abort web
    ");
}

#[test]
fn several_apps_and_none_named() {
    let detail = "there are several apps, name one: api, web";
    let daemon = Daemon::refusing(400, "usage", detail);
    let run = daemon.run(&["resume"]).expect(2);
    assert_eq!(run.err, format!("error: {detail}\n"));
    assert_eq!(daemon.heard()[0].line, "POST /v1/apps/-/resume");
}

#[test]
fn an_app_that_is_not_there() {
    let daemon = Daemon::saying(200, crate::answers::status());
    let run = daemon.run(&["status", "shop"]).expect(2);
    insta::assert_snapshot!(run.err, @r#"
    error: there is no app "shop"
    hint: there is api, web
    "#);
}

#[test]
fn what_makes_no_sense_is_not_even_asked() {
    let daemon = Daemon::saying(200, json!({}));
    let base = ["promote", "--release", "9f3c1a2"];
    for (more, said) in [
        (&["--boot-timeout", "5sec"][..], "\"sec\" is no unit"),
        (&["--boot-timeout", "30"], "30 has no unit"),
        (&["--strategy", "magic"], "invalid value 'magic'"),
        (&["--steps", "5"], "the strategy is overlap"),
        (
            &["--strategy", "hold", "--smoke", "/up"],
            "add --strategy canary",
        ),
        (
            &["--strategy", "canary", "--steps", "5,101"],
            "is not a share",
        ),
        (
            &["--strategy", "canary", "--on-fail", "cry"],
            "invalid value 'cry'",
        ),
        (
            &["--strategy", "canary", "--hold-timeout", "5s"],
            "the strategy is canary",
        ),
        (
            &["--strategy", "canary", "--", "true"],
            "the strategy is canary",
        ),
        (&["--if-current", "no space"], "is not a release id"),
        (&["--operation", "a/b"], "is not an operation id"),
        (&["--hold-timeout", "5s"], "the strategy is overlap"),
        (&["--", "true"], "add --strategy hold"),
        (
            &["--strategy", "hold", "--detach", "--", "true"],
            "cannot be used with",
        ),
        (&["--nonsense"], "unexpected argument"),
    ] {
        let run = daemon.run(&[&base, more].concat()).expect(2);
        assert!(run.err.contains(said), "{more:?}: {run:#?}");
        assert_eq!(run.out, "", "{more:?}");
    }
    for (typed, said) in [
        (&["promote"][..], "--release <ID>"),
        (&["resume", "../etc"], "is not an app's name"),
        (&["stage", "--release", "1"], "--instance <ADDR>"),
        (&["hold", "--methods", "FETCH"], "is not one of GET"),
        (
            &["hold", "--methods", "GET", "--writes"],
            "cannot be used with",
        ),
        (&["plan", "--boot=-1s"], "expected a number at \"-1s\""),
        (&["experiment", "start", "a/b", "--arm", "a=b:1"], "a/b"),
        (
            &["experiment", "start", "checkout"],
            "--arm <NAME=RELEASE:WEIGHT>",
        ),
        (&["experiment", "close"], "[APP] NAME"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&[], "Usage:"),
    ] {
        let run = daemon.run(typed).expect(2);
        assert!(run.err.contains(said), "{typed:?}: {run:#?}");
    }
    assert!(daemon.heard().is_empty(), "{:?}", daemon.heard());
}

#[test]
fn an_answer_that_makes_no_sense() {
    for octets in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<ht>",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
    ] {
        let daemon = Daemon::new(|_, answer| answer.raw(octets));
        let run = daemon.run(&["resume"]).expect(1);
        assert!(run.err.contains("is not understood"), "{run:#?}");
        assert!(run.err.contains("swapctl version"), "{run:#?}");
    }
}
