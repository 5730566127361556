//! What a daemon says: receipts, states, events.

use serde_json::{Value, json};

/// A receipt of a swap with a hold in which all went well, with some fields as given.
pub(crate) fn receipt(changes: Value) -> Value {
    let mut receipt = json!({
        "operation": "OP", "app": "web", "verb": "promote", "strategy": "hold", "outcome": "done",
        "from": "51bd0e7", "to": "9f3c1a2", "by": "uid 0", "reason": null, "why": null,
        "started": "2026-11-21T04:00:00.000Z", "took_ms": 2412, "boot_ms": 2000, "hold_ms": 2210,
        "drain_ms": 12, "held": 412, "waiting": 0, "held_peak": 398, "longest_hold_ms": 2209,
        "released": 410, "abandoned": 2, "shed": { "full": 0, "bytes": 0, "share": 0, "timeout": 0 },
        "retried": 0, "drained": 31, "cut": 0, "lost": 0,
    });
    let Value::Object(changes) = changes else {
        panic!("fields were expected");
    };
    receipt.as_object_mut().unwrap().extend(changes);
    receipt
}

/// The event that a receipt is.
pub(crate) fn ended(receipt: &Value) -> Value {
    event(json!({ "event": "receipt", "receipt": receipt }))
}

/// The event of a phase.
pub(crate) fn phase(phase: &str, in_flight: u64, held: u64) -> Value {
    event(json!({
        "event": "phase", "phase": phase, "in_flight": in_flight, "held": held, "release": "9f3c1a2",
    }))
}

/// The event that comes twice a second.
pub(crate) fn progress(phase: &str, in_flight: u64, held: u64, probe: Option<&str>) -> Value {
    event(json!({
        "event": "progress", "phase": phase, "in_flight": in_flight, "held": held, "probe": probe,
    }))
}

fn event(what: Value) -> Value {
    let mut event = json!({
        "id": 7, "at": "2026-11-21T04:00:00.000Z", "app": "web", "operation": "OP",
    });
    let Value::Object(what) = what else {
        panic!("fields were expected");
    };
    event.as_object_mut().unwrap().extend(what);
    event
}

/// The state of an operation that has ended.
pub(crate) fn state(receipt: &Value) -> Value {
    json!({ "state": "ended", "receipt": receipt })
}

/// The state of one that has not.
pub(crate) fn under_way(phase: &str) -> Value {
    json!({ "state": "running", "operation": "OP", "app": "web", "phase": phase })
}

/// A status with two apps, one of which has everything that there can be.
pub(crate) fn status() -> Value {
    let hold = json!({
        "active": false, "cause": null, "held": 0, "held_bytes": 0, "oldest_ms": 0,
        "max_requests": 10000, "max_bytes": 67108864, "max_wait_ms": 30000,
    });
    let mut holding = hold.clone();
    holding["active"] = true.into();
    holding["cause"] = "swap".into();
    holding["held"] = 412.into();
    holding["held_bytes"] = 1_263_616.into();
    holding["oldest_ms"] = 2_209.into();
    json!({
        "version": "1.0.0", "pid": 4711, "uptime_s": 4000, "generation": 7,
        "apps": {
            "api": {
                "generation": 0, "phase": "empty", "live": null, "next": null, "previous": null,
                "staged": [], "draining": [], "hold": hold, "blocked": null,
            },
            "web": {
                "generation": 7, "phase": "holding",
                "live": {
                    "release": "51bd0e7", "since": "2026-11-21T04:00:00.000Z",
                    "instances": [
                        { "address": "127.0.0.1:3001", "health": "up", "in_flight": 3 },
                        { "address": "unix:/run/web.sock", "health": "down", "in_flight": 0 },
                    ],
                    "in_flight": 3,
                },
                "next": {
                    "release": "9f3c1a2", "operation": "OP",
                    "probe": "127.0.0.1:3002: connection refused",
                },
                "previous": "0aa1bb2", "staged": ["c0ffee1"],
                "draining": [{ "release": "0aa1bb2", "in_flight": 2, "for_ms": 1200 }],
                "hold": holding,
                "blocked": { "reason": "fre\u{1b}[31meze", "by": "uid 1000" },
            },
        },
    })
}

/// How a canary goes that is about to be rolled back.
pub(crate) fn canary() -> Value {
    json!({
        "stage": "step", "step": 2, "steps": [1, 5, 25, 50, 100], "share": 5, "round": 2, "attempt": 1,
        "for_ms": 12300, "due_ms": 47700, "left_ms": 600_000, "paused": null, "requests": 410,
        "errors": 37, "p50_ms": 12.04, "p99_ms": 188.4, "verdict": "not_enough_traffic",
        "why": "not enough traffic: 37 of 410", "smallest": 0.031,
        "gates": [{ "gate": "exec ./orders", "says": "unclear", "why": "it has not ended within 30s" }],
    })
}

/// What it is compared with.
pub(crate) fn control() -> Value {
    json!({ "requests": 402, "errors": 4, "p50_ms": 11.9, "p99_ms": 80.06, "earlier": false })
}

/// A status in which a canary has a share, and an experiment is on beside it, which cannot be.
pub(crate) fn status_of_canary() -> Value {
    let mut status = status();
    let web = &mut status["apps"]["web"];
    web["phase"] = "canary".into();
    web["next"]["share"] = 5.into();
    web["canary"] = canary();
    web["control"] = control();
    web["experiment"] = experiment();
    status
}

/// An experiment with something to tell.
pub(crate) fn experiment() -> Value {
    let arm = |name: &str, release: &str, errors: u64, finding: Value, why: Value| {
        json!({
            "name": name, "release": release, "weight": 0.5, "requests": 2000, "errors": errors,
            "p50_ms": 12.0, "p99_ms": 80.0, "finding": finding, "why": why,
        })
    };
    let why = "fails less often: failed 2 of 2000 against 200 of 2000";
    json!({
        "name": "checkout", "by": "uid 1000", "operation": "EXP", "arms": [
            arm("plain", "51bd0e7", 200, Value::Null, Value::Null),
            arm("enhanced", "9f3c1a2", 2, "better".into(), why.into()),
        ],
    })
}

/// What a receipt says of a canary that failed.
pub(crate) fn judged() -> Value {
    json!({
        "verdict": "fail", "why": "canary failed 37 of 410, control 4 of 402", "share": 5,
        "requests": 410, "errors": 37, "p50_ms": 12.04, "p99_ms": 188.4, "smallest": null,
        "control": control(), "all_requests": 530, "all_errors": 38,
    })
}

/// An event of an operation.
pub(crate) fn told(what: Value) -> Value {
    event(what)
}
