//! Results as people read them, and as scripts do.

use serde_json::{Value, json};

use crate::answers::{ended, receipt, state, status, under_way};
use crate::daemon::Daemon;

#[test]
fn a_status() {
    let daemon = Daemon::saying(200, status());
    let run = daemon.run(&["status"]).expect(0);
    insta::assert_snapshot!(run.out);
    assert_eq!(run.err, "");
}

#[test]
fn a_status_with_a_canary_and_an_experiment() {
    let daemon = Daemon::saying(200, crate::answers::status_of_canary());
    let run = daemon.run(&["status", "web"]).expect(0);
    insta::assert_snapshot!(run.out);
    let run = daemon.run(&["--json", "status"]).expect(0);
    assert_eq!(run.object(), crate::answers::status_of_canary());
}

#[test]
fn an_experiment() {
    let daemon = Daemon::saying(200, crate::answers::status_of_canary());
    let run = daemon.run(&["experiment", "status"]).expect(0);
    insta::assert_snapshot!(run.out, @r"
    web experiment checkout · by uid 1000
      plain 51bd0e7 0.5 · 2000 requests · 200 failed · p50 12.0 ms · p99 80.0 ms
      enhanced 9f3c1a2 0.5 · 2000 requests · 2 failed · p50 12.0 ms · p99 80.0 ms
        better: fails less often: failed 2 of 2000 against 200 of 2000
    ");
    let run = daemon.run(&["experiment", "status", "--json"]).expect(0);
    assert_eq!(run.object(), json!({ "web": crate::answers::experiment() }));
    let run = daemon.run(&["experiment", "status", "api"]).expect(0);
    assert_eq!(run.out, "no experiment is on\n");
    daemon.run(&["experiment", "status", "shop"]).expect(2);
}

#[test]
fn a_winner_becomes_the_live_release_and_has_a_receipt() {
    let daemon = Daemon::new(|request, answer| match request.line.as_str() {
        "POST /v1/apps/web/experiment/close" => {
            answer.json(202, &json!({ "operation": request.body["operation"] }));
        }
        line => {
            assert!(line.starts_with("GET /v1/events?operation="), "{line}");
            answer.events().tell(&ended(&receipt(json!({}))));
        }
    });
    let typed = [
        "experiment",
        "close",
        "web",
        "checkout",
        "--winner",
        "enhanced",
    ];
    let run = daemon.run(&typed).expect(0);
    assert!(run.out.contains("done: web 51bd0e7 → 9f3c1a2"), "{run:#?}");
}

#[test]
fn a_status_for_scripts_is_what_the_daemon_said() {
    let daemon = Daemon::saying(200, status());
    let run = daemon.run(&["--json", "status"]).expect(0);
    assert_eq!(run.object(), status());
    let run = daemon.run(&["--json", "status", "web"]).expect(0);
    let apps = run.object()["apps"].clone();
    assert_eq!(apps["web"], status()["apps"]["web"]);
    assert_eq!(apps.as_object().unwrap().len(), 1);
}

#[test]
fn receipts() {
    let not_ready = "9f3c1a2 was not ready after 1m: 127.0.0.1:3001 answered 503 to GET /up";
    let hold = json!({ "verb": "hold", "strategy": null, "to": null, "held": 0 });
    let shed = json!({ "full": 3, "bytes": 0, "share": 2, "timeout": 1 });
    let all = [
        json!({ "reason": "the summer sale" }),
        json!({ "strategy": "overlap", "held": 0, "hold_ms": null, "drained": 0 }),
        json!({ "outcome": "failed", "why": not_ready, "held": 0, "shed": shed, "waiting": 4 }),
        json!({ "outcome": "aborted", "why": "aborted", "from": null, "held": 1, "waiting": 1 }),
        json!({ "outcome": "already_live", "took_ms": 0, "held": 0, "drained": 0 }),
        json!({ "outcome": "interrupted", "why": "the daemon was restarted", "took_ms": 0 }),
        json!({ "cut": 2, "lost": 1, "retried": 5 }),
        hold,
        json!({ "verb": "stage", "strategy": null, "outcome": "failed", "held": 0 }),
        json!({
            "strategy": "canary", "outcome": "rolled_back", "held": 0, "judge": crate::answers::judged(),
            "why": "canary failed 37 of 410, control 4 of 402",
        }),
    ];
    let mut text = String::new();
    for changes in all {
        let daemon = Daemon::saying(200, receipt(changes.clone()));
        let run = daemon.run(&["receipt"]).expect(0);
        text.push_str(&format!("{changes}\n{}\n", run.out));
        assert_eq!(run.err, "");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_last_line_of_a_promote_says_it_all() {
    let daemon = Daemon::telling(vec![ended(&receipt(json!({})))]);
    let run = daemon.run(&["promote", "--release", "9f3c1a2"]).expect(0);
    assert_eq!(
        run.out.lines().last().unwrap(),
        "done: web 51bd0e7 → 9f3c1a2 in 2.4 s · held 412 (longest 2.2 s) · lost 0"
    );
}

#[test]
fn with_json_the_words_go_to_standard_error() {
    let daemon = Daemon::telling(vec![ended(&receipt(json!({})))]);
    let run = daemon.run(&["--json", "rollback"]).expect(0);
    assert_eq!(run.object(), receipt(json!({})));
    assert!(run.err.contains("done: web 51bd0e7 → 9f3c1a2"), "{run:#?}");
}

#[test]
fn an_operation_under_way_has_no_receipt_yet() {
    let daemon = Daemon::saying(200, under_way("booting"));
    let run = daemon.run(&["receipt", "OP", "--json"]).expect(7);
    assert_eq!(run.object()["error"]["code"], "under_way");
    assert!(
        run.err
            .contains("operation OP of web is under way (booting)")
    );
    assert_eq!(daemon.heard()[0].line, "GET /v1/operations/OP");
}

#[test]
fn a_receipt_of_a_failed_operation_was_found_all_the_same() {
    let failed = receipt(json!({ "outcome": "failed", "lost": 3 }));
    let daemon = Daemon::saying(200, state(&failed));
    let run = daemon.run(&["receipt", "OP", "--json"]).expect(0);
    assert_eq!(run.object(), failed);
}

#[test]
fn detached_prints_the_id_alone() {
    let daemon = Daemon::saying(202, json!({ "operation": "OP" }));
    let run = daemon
        .run(&["promote", "--release", "1", "--detach"])
        .expect(0);
    assert_eq!(run.out, "OP\n");
    assert_eq!(run.err, "hint: its end: swapctl receipt OP\n");
}

#[test]
fn a_hold_says_how_it_ends() {
    let changes =
        json!({ "verb": "hold", "strategy": null, "to": null, "held": 0, "took_ms": 203 });
    let held = ended(&receipt(changes));
    let daemon = Daemon::new(move |request, answer| match request.line.as_str() {
        "GET /v1/status" => answer.json(200, &status()),
        _ => answer.events().tell(&held),
    });
    let typed = daemon.run(&["hold", "web", "--timeout", "1m30s"]).expect(0);
    assert!(typed.out.contains("done: web held in 203 ms"), "{typed:#?}");
    insta::assert_snapshot!(typed.err, @r"
    web is held; that ends by itself 1m30s after it began
    hint: let the requests go: swapctl resume web
    ");
    let by_default = daemon.run(&["hold", "web"]).expect(0);
    assert!(
        by_default.err.contains("by itself 30s after"),
        "{by_default:#?}"
    );
}

#[test]
fn a_plan() {
    let plan = json!({
        "app": "web", "rate": 41.23, "boot_ms": 60000, "held": 2474, "held_bytes": 7600128,
        "longest_hold_ms": 60000, "fits": false, "why": "1m is longer than max_wait (30s)",
    });
    let daemon = Daemon::saying(200, plan.clone());
    insta::assert_snapshot!(daemon.run(&["plan"]).expect(0).out, @r"
    web: a hold of 1m at 41.2 requests a second
      held      about 2474, 7.2 MiB
      longest   1m
    it does not fit: 1m is longer than max_wait (30s)
    ");
    assert_eq!(daemon.run(&["plan", "--json"]).expect(0).object(), plan);
}

#[test]
fn a_history() {
    let failed = json!({ "operation": "OP2", "outcome": "failed", "why": "no", "held": 0 });
    let receipts = json!([receipt(failed), receipt(json!({}))]);
    let daemon = Daemon::saying(200, receipts.clone());
    insta::assert_snapshot!(daemon.run(&["history"]).expect(0).out);
    let run = daemon.run(&["history", "--json"]).expect(0);
    assert_eq!(run.object(), json!({ "history": receipts }));
}

#[test]
fn events_are_json_lines_until_there_are_no_more() {
    let events: Vec<Value> = (0..100)
        .map(|n| crate::answers::phase("booting", n, 0))
        .collect();
    let told = events.clone();
    let daemon = Daemon::new(move |_, answer| {
        let mut answer = answer.events();
        told.iter().for_each(|event| answer.tell(event));
        // It goes on listening; swapctl does not.
        answer.wait_for_close();
    });
    let run = daemon.run(&["events"]).expect(0);
    let lines: Vec<Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, events);
}

#[test]
fn following_ends_with_the_daemon_or_with_the_reader() {
    let daemon = Daemon::telling(vec![crate::answers::phase("booting", 0, 0)]);
    let run = daemon.run(&["events", "--follow"]).expect(3);
    assert_eq!(run.out.lines().count(), 1);
    let daemon = Daemon::new(|_, answer| {
        let mut answer = answer.events();
        while daemon_is_read(&mut answer) {}
    });
    let ask = format!(
        "{} --control {} events --follow | head -1; exit ${{PIPESTATUS[0]}}",
        crate::run::SWAPCTL,
        daemon.socket().display()
    );
    let mut bash = std::process::Command::new("bash");
    bash.arg("-c").arg(ask).stdout(std::process::Stdio::piped());
    let run = crate::run::start(&mut bash).end().expect(0);
    assert_eq!(run.out.lines().count(), 1);
}

/// Tells one more; false when nobody is there any more.
fn daemon_is_read(answer: &mut crate::daemon::Answer) -> bool {
    answer.try_tell(&crate::answers::phase("booting", 0, 0))
}
