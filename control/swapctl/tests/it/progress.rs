//! Progress where there is no terminal: a line for each phase, and for why it is not over.

use serde_json::json;

use crate::answers::{canary, control, ended, judged, phase, progress, receipt, told};
use crate::daemon::Daemon;

#[test]
fn one_line_for_each_phase_and_each_reason() {
    let refused = Some("127.0.0.1:3001: connection refused");
    let answered = Some("127.0.0.1:3001 answered \x1b[2J503 to GET /up");
    let daemon = Daemon::telling(vec![
        phase("booting", 3, 0),
        progress("booting", 4, 0, None),
        progress("booting", 5, 0, refused),
        progress("booting", 6, 0, refused),
        progress("booting", 6, 0, answered),
        phase("swapped", 6, 0),
        json!({ "id": 0, "at": "", "app": null, "operation": "OP", "event": "missed", "count": 3 }),
        phase("draining", 2, 0),
        ended(&receipt(json!({}))),
    ]);
    let run = daemon.run(&["promote", "--release", "9f3c1a2"]).expect(0);
    insta::assert_snapshot!(run.err, @r"
    booting · 3 running · 0 held
    booting: 127.0.0.1:3001: connection refused
    booting: 127.0.0.1:3001 answered \u{1b}[2J503 to GET /up
    swapped · 6 running · 0 held
    draining · 2 running · 0 held
    ");
    assert!(!run.out.contains('\x1b'), "{run:#?}");
}

#[test]
fn a_canary_tells_its_shares_and_what_is_said_of_it() {
    let arms = json!([{ "arm": "canary", "release": "9f3c1a2", "share": 5 }]);
    let mut progress = progress("canary", 3, 0, None);
    progress["canary"] = canary();
    progress["control"] = control();
    let why = "canary failed 37 of 410, control 4 of 402";
    let gate = json!({ "event": "gate", "gate": "exec ./orders", "says": "yes", "why": null });
    let daemon = Daemon::telling(vec![
        told(json!({
            "event": "split", "generation": 8, "arms": arms, "preview": null, "monotonic_us": 1,
        })),
        phase("canary", 3, 0),
        progress,
        told(gate),
        told(json!({ "event": "paused", "why": "paused by uid 0" })),
        told(json!({
            "event": "verdict", "verdict": "fail", "why": why, "canary": canary(),
            "control": control(),
        })),
        phase("withdrawing", 3, 0),
        ended(&receipt(json!({
            "outcome": "rolled_back", "strategy": "canary", "why": why, "judge": judged(), "held": 0,
        }))),
    ]);
    let typed = ["promote", "--release", "9f3c1a2", "--strategy", "canary"];
    let run = daemon.run(&typed).expect(5);
    insta::assert_snapshot!(run.err, @r"
    5 % of the clients get 9f3c1a2
    canary · 3 running · 0 held
    gate exec ./orders: yes
    paused: paused by uid 0
    5 % · fail: canary failed 37 of 410, control 4 of 402
    withdrawing · 3 running · 0 held
    hint: when it is mended: swapctl unblock web
    ");
    let last = run.out.lines().last().unwrap();
    assert!(
        last.starts_with("rolled back: web stays on 51bd0e7 after 2.4 s · canary failed"),
        "{run:#?}"
    );
}

#[test]
fn what_another_daemon_may_add_is_no_obstacle() {
    let mut more = receipt(json!({}));
    more["judge"] = json!({ "verdict": "pass" });
    let daemon = Daemon::telling(vec![ended(&more)]);
    daemon.run(&["rollback"]).expect(0);
}
