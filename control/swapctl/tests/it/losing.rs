//! Losing the client, or the daemon, in the middle. The operation goes on; swapctl either learns its end or says that it
//! does not know.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::answers::{ended, phase, receipt, state, under_way};
use crate::daemon::Daemon;
use crate::run::until;

const PROMOTE: [&str; 5] = ["--json", "promote", "web", "--release", "9f3c1a2"];

/// Whose stream breaks off, and who then says this of the operation, one after the other.
fn breaking(states: Vec<Value>) -> Daemon {
    let asked = AtomicU32::new(0);
    Daemon::new(move |request, answer| {
        if request.line.starts_with("GET /v1/operations/") {
            let n = asked.fetch_add(1, Ordering::SeqCst) as usize;
            let state = &states[n.min(states.len() - 1)];
            let status = state["status"].as_u64().unwrap_or(200);
            return answer.json(u16::try_from(status).unwrap(), state);
        }
        answer.events().tell(&phase("booting", 3, 0));
    })
}

#[test]
fn a_broken_stream_is_no_end() {
    let done = state(&receipt(json!({})));
    let starting = json!({ "status": 503, "code": "starting", "title": "", "detail": "starting" });
    let daemon = breaking(vec![
        under_way("booting"),
        starting,
        under_way("draining"),
        done,
    ]);
    let run = daemon.run(&PROMOTE).expect(0);
    assert_eq!(run.object()["outcome"], "done");
    let heard = daemon.heard();
    let id = heard[0].body["operation"].as_str().unwrap();
    for asked in &heard[1..] {
        assert_eq!(asked.line, format!("GET /v1/operations/{id}?wait=true"));
    }
    assert_eq!(heard.len(), 5, "{heard:?}");
}

#[test]
fn a_stream_that_ends_without_a_receipt_is_no_end_either() {
    let daemon = Daemon::new(|request, answer| match request.line.as_str() {
        "POST /v1/apps/web/promote" => answer.events().end(),
        _ => answer.json(200, &state(&receipt(json!({ "lost": 2 })))),
    });
    daemon.run(&PROMOTE).expect(8);
}

#[test]
fn an_answer_that_got_lost_is_asked_for_by_our_own_id() {
    let daemon = Daemon::new(|request, answer| match request.line.as_str() {
        "POST /v1/apps/web/promote" => drop(answer),
        _ => answer.json(200, &state(&receipt(json!({})))),
    });
    let run = daemon.run(&[&PROMOTE[..], &["--operation", "deploy-7"]].concat());
    assert_eq!(run.expect(0).object()["outcome"], "done");
    assert_eq!(
        daemon.heard()[1].line,
        "GET /v1/operations/deploy-7?wait=true"
    );
}

#[test]
fn a_daemon_that_does_not_come_back_leaves_it_open() {
    let daemon = Daemon::new(|request, mut answer| {
        assert_eq!(request.line, "POST /v1/apps/web/promote");
        // Gone for whoever comes next, as after a crash.
        fs::remove_file(answer.socket()).unwrap();
        answer = answer.events();
        answer.tell(&phase("booting", 3, 0));
    });
    let run = daemon.run(&[&PROMOTE[..], &["--operation", "deploy-7"]].concat());
    let run = run.expect(7);
    assert_eq!(run.object()["error"]["code"], "outcome_unknown");
    let said = run.err.lines().collect::<Vec<_>>();
    assert!(
        said[1].contains("the end of operation deploy-7 is not known: "),
        "{run:#?}"
    );
    assert_eq!(
        said[2..],
        ["hint: swapctl status web", "hint: swapctl receipt deploy-7"]
    );
}

#[test]
fn a_daemon_that_has_forgotten_it_leaves_it_open_too() {
    let forgotten = json!({
        "status": 404, "code": "unknown_operation", "title": "", "detail": "not known",
    });
    let run = breaking(vec![forgotten]).run(&PROMOTE).expect(7);
    assert!(run.err.contains("is not known: not known"), "{run:#?}");
}

#[test]
fn a_signal_ends_swapctl_and_not_the_operation() {
    let directory = tempfile::tempdir().unwrap();
    let booting = directory.path().join("booting");
    let reached = booting.clone();
    let daemon = Daemon::new(move |_, answer| {
        let mut answer = answer.events();
        answer.tell(&phase("booting", 3, 0));
        fs::write(&reached, "").unwrap();
        answer.wait_for_close();
    });
    let running = daemon.start(&[&PROMOTE[1..], &["--operation", "deploy-7"]].concat());
    until("the boot", || booting.exists());
    running.signal(Signal::INT);
    let run = running.end().expect(7);
    assert_eq!(run.out, "");
    let said = run.err.strip_prefix("booting · 3 running · 0 held\n");
    insta::assert_snapshot!(said.unwrap_or(&run.err), @r"
    error: SIGINT received; operation deploy-7 goes on without swapctl
    hint: its end: swapctl receipt deploy-7
    hint: end it: swapctl abort web
    ");
    assert_eq!(daemon.heard().len(), 1, "{:?}", daemon.heard());
}

#[test]
fn a_receipt_is_taken_from_wherever_it_comes_first() {
    let daemon = Daemon::telling(vec![ended(&receipt(json!({})))]);
    let run = daemon.run(&["--json", "stage", "--release", "1", "--instance", "a:1"]);
    run.expect(0);
    assert_eq!(daemon.heard().len(), 1);
    assert_eq!(daemon.heard()[0].accept, "text/event-stream");
}
