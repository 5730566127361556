//! Progress where there is no terminal: a line for each phase, and for why it is not over.

use serde_json::json;

use crate::answers::{ended, phase, progress, receipt};
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
fn what_another_daemon_may_add_is_no_obstacle() {
    let mut more = receipt(json!({}));
    more["judge"] = json!({ "verdict": "pass" });
    let daemon = Daemon::telling(vec![ended(&more)]);
    daemon.run(&["rollback"]).expect(0);
}
