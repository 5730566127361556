//! Another process takes the daemon's place: its own program, one that will not do, one that dies after a moment.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::client::{until, until_shut};
use crate::daemon::{Daemon, is_gone};

/// Replaces the program by this one, if one is named.
async fn upgrade(daemon: &Daemon, binary: Option<&Path>) -> (u16, Value) {
    let body = json!({ "binary": binary });
    daemon.say("POST", "/v1/upgrade", body).await
}

/// The same, and does not wait for the answer.
fn begin(daemon: &Daemon, binary: Option<&Path>) -> JoinHandle<(u16, Value)> {
    let (socket, body) = (daemon.socket.clone(), json!({ "binary": binary }));
    tokio::spawn(async move { crate::daemon::say(&socket, "POST", "/v1/upgrade", body).await })
}

/// An upgrade under way, whose new process serves and has not proved itself: the old one, the new one, the answer to come.
async fn half_way(daemon: &Daemon) -> (u64, u64, JoinHandle<(u16, Value)>) {
    let was = pid(daemon).await;
    let upgrading = begin(daemon, None);
    until("another process serves", async || pid(daemon).await != was).await;
    (was, pid(daemon).await, upgrading)
}

async fn pid(daemon: &Daemon) -> u64 {
    let (_, status) = daemon.say("GET", "/v1/status", Value::Null).await;
    status["pid"].as_u64().unwrap()
}

/// A program that is started with the daemon's arguments, and does this.
fn script(folder: &Path, name: &str, does: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn holdfast() -> &'static str {
    env!("CARGO_BIN_EXE_holdfast")
}

#[tokio::test]
async fn another_process_serves_the_same_release_on_the_same_sockets() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let mut daemon = Daemon::with(&a).await;
    daemon.promote("v2", &b, json!({})).await;
    let mut kept = daemon.client().await;
    assert_eq!(kept.get("/").await.text(), "b 0");
    let was = pid(&daemon).await;

    let (status, upgraded) = upgrade(&daemon, None).await;
    assert_eq!(status, 200, "{upgraded}");
    assert_eq!(upgraded["was"], was);
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    assert_eq!(upgraded["pid"], pid(&daemon).await);
    // The old process still has its connection, and lets it go with the next answer.
    let answer = kept.get("/").await;
    assert_eq!(
        (answer.status, answer.field("connection")),
        (200, Some("close"))
    );
    let answer = daemon.client().await.get("/").await;
    assert_eq!(answer.field("x-release"), Some("v2"));

    // It takes commands when the old one has ended, and can be replaced itself.
    daemon.promote("v3", &a, json!({})).await;
    let (status, again) = upgrade(&daemon, None).await;
    assert_eq!((status, &again["was"]), (200, &upgraded["pid"]), "{again}");
    daemon.succeeded_by(again["pid"].as_u64().unwrap());
    let answer = daemon.client().await.get("/").await;
    assert_eq!(answer.field("x-release"), Some("v3"));
}

#[tokio::test]
async fn nobody_is_refused_reset_or_left_without_an_answer_meanwhile() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let address = daemon.address;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let over = over.clone();
            tokio::spawn(async move {
                let mut answered = 0;
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut client = crate::client::Client::connect(address).await;
                    // Some ask once, some again until they are told to go.
                    for _ in 0..=number {
                        let answer = client.get("/").await;
                        assert_eq!(answer.status, 200);
                        answered += 1;
                        if answer.field("connection") == Some("close") {
                            break;
                        }
                    }
                }
                answered
            })
        })
        .collect();
    for _ in 0..3 {
        let (status, upgraded) = upgrade(&daemon, None).await;
        assert_eq!(status, 200, "{upgraded}");
        daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_request_under_way_is_answered_by_the_old_process() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let mut slow = daemon.asking("/wait").await;
    app.asked(1).await;
    let (status, upgraded) = upgrade(&daemon, None).await;
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    app.let_go();
    let answer = slow.answer().await;
    assert_eq!(
        (answer.status, answer.field("connection")),
        (200, Some("close"))
    );
    assert!(daemon.predecessor_ended().await.success());
}

#[tokio::test]
async fn a_stop_right_after_an_upgrade_waits_for_the_old_process_too() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let mut slow = daemon.asking("/wait").await;
    app.asked(1).await;
    let (status, upgraded) = upgrade(&daemon, None).await;
    assert_eq!(status, 200, "{upgraded}");
    let [was, now] = ["was", "pid"].map(|it| upgraded[it].as_u64().unwrap());
    daemon.succeeded_by(now);
    crate::daemon::signal(now, Signal::TERM);
    until_shut(daemon.address).await;
    assert!(!is_gone(now), "somebody is not answered yet");
    app.let_go();
    until("the new one has ended", async || is_gone(now)).await;
    // As a service manager does to what the main process leaves behind.
    crate::daemon::kill(was);
    assert_eq!(slow.answer().await.status, 200);
}

#[tokio::test]
async fn a_program_that_will_not_do_changes_nothing() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let daemon = Daemon::with(&a).await;
    let folder = tempfile::tempdir().unwrap();
    let was = pid(&daemon).await;
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let dies = format!("exec {} check --config /none", holdfast());
    let wraps = format!("{} \"$@\"", holdfast());
    for (binary, says) in [
        (folder.path().join("nowhere"), "No such file"),
        (plain, "ermission denied"),
        (script(folder.path(), "exits", "exit 3"), "exit status: 3"),
        (script(folder.path(), "killed", "kill -9 $$"), "signal: 9"),
        (script(folder.path(), "other", &dies), "exit status 2"),
        (script(folder.path(), "wraps", &wraps), "has to `exec` it"),
        (
            script(folder.path(), "deaf", "exec <&-; exec sleep 60"),
            "hung up",
        ),
    ] {
        let (status, problem) = upgrade(&daemon, Some(&binary)).await;
        assert_eq!((status, &problem["code"]), (502, &json!("upgrade_failed")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
        assert!(detail.contains(binary.to_str().unwrap()), "{detail}");
        assert_eq!(pid(&daemon).await, was);
        assert_eq!(daemon.client().await.get("/").await.status, 200);
    }
    let (status, problem) = upgrade(&daemon, Some(Path::new("holdfast"))).await;
    assert_eq!((status, &problem["code"]), (400, &json!("usage")));
    // Commands are taken, and what they say is kept.
    daemon.promote("v2", &b, json!({})).await;
    assert_eq!(daemon.status().await["live"]["release"], "v2");
}

#[tokio::test]
async fn a_configuration_that_is_wrong_by_now_is_named_and_the_old_process_goes_on() {
    let app = App::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdfast.toml");
    std::fs::write(&file, "[app.default]\n").unwrap();
    let flags = [
        &format!("--config={}", file.display())[..],
        &format!("--upstream={}", app.address),
    ];
    let daemon = Daemon::start(&flags, "").await;
    std::fs::write(&file, "[app.default]\nhots = [\"x\"]\n").unwrap();
    let (status, problem) = upgrade(&daemon, None).await;
    assert_eq!(status, 502, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("hots"), "{detail}");
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_successor_that_dies_after_it_began_to_serve_is_replaced_by_the_old_process() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let daemon = Daemon::with(&a).await;
    let (was, successor, upgrading) = half_way(&daemon).await;
    crate::daemon::kill(successor);
    let (status, problem) = upgrading.await.unwrap();
    assert_eq!(status, 502, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("signal: 9"), "{detail}");
    assert_eq!(pid(&daemon).await, was);
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    daemon.promote("v2", &b, json!({})).await;
    assert_eq!(
        daemon.client().await.get("/").await.field("x-release"),
        Some("v2")
    );
}

#[tokio::test]
async fn a_successor_that_hangs_is_replaced_by_the_old_process() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let (was, successor, upgrading) = half_way(&daemon).await;
    crate::daemon::signal(successor, Signal::STOP);
    let (status, problem) = upgrading.await.unwrap();
    assert_eq!(status, 502, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("it was not serving within 2s"), "{detail}");
    assert_eq!(pid(&daemon).await, was);
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_successor_that_is_told_to_stop_answers_what_it_has_and_the_old_process_goes_on() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let (was, successor, upgrading) = half_way(&daemon).await;
    let mut slow = daemon.asking("/wait").await;
    app.asked(1).await;
    crate::daemon::signal(successor, Signal::TERM);
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    app.let_go();
    assert_eq!(slow.answer().await.status, 200);
    let (status, problem) = upgrading.await.unwrap();
    assert_eq!(status, 502, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with("it was told to stop"), "{detail}");
    assert_eq!(pid(&daemon).await, was);
}

#[tokio::test]
async fn if_the_old_process_is_told_to_stop_meanwhile_both_answer_what_they_have_and_end() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let mut one = daemon.asking("/slow/2000").await;
    app.asked(1).await;
    let (_, successor, upgrading) = half_way(&daemon).await;
    let mut other = daemon.asking("/slow/2000").await;
    app.asked(2).await;
    daemon.terminate();
    assert_eq!(one.answer().await.status, 200);
    assert_eq!(other.answer().await.status, 200);
    assert!(daemon.ended().await.success());
    let gone = || !Path::new(&format!("/proc/{successor}")).exists();
    until("the new one has ended", async || gone()).await;
    drop(upgrading);
}

#[tokio::test]
async fn if_the_old_process_is_killed_the_new_one_serves_alone() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let mut daemon = Daemon::with(&a).await;
    let (was, successor, upgrading) = half_way(&daemon).await;
    daemon.succeeded_by(successor);
    crate::daemon::kill(was);
    assert!(upgrading.await.is_err(), "nobody is there to answer");
    daemon.promote("v2", &b, json!({})).await;
    assert_eq!(
        daemon.client().await.get("/").await.field("x-release"),
        Some("v2")
    );
}

#[tokio::test]
async fn there_is_no_upgrade_while_an_app_is_in_the_middle_of_something() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    daemon.verb("hold", json!({})).await;
    let (status, problem) = upgrade(&daemon, None).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("busy")),
        "{problem}"
    );
    daemon.verb("resume", json!({})).await;
    until("the app stands still", async || {
        daemon.status().await["phase"] == "steady"
    })
    .await;
    let was = pid(&daemon).await;
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let takes_its_time = format!(
        "touch {}; sleep 1; exec {} \"$@\"",
        started.display(),
        holdfast()
    );
    let binary = script(folder.path(), "slow", &takes_its_time);
    let first = begin(&daemon, Some(&binary));
    until("an upgrade is under way", async || started.exists()).await;
    let path = "/v1/apps/default/block";
    for (status, problem) in [
        daemon.say("POST", path, json!({"reason": "look"})).await,
        upgrade(&daemon, None).await,
        daemon.say("POST", "/v1/reload", json!({})).await,
    ] {
        assert_eq!(
            (status, &problem["code"]),
            (409, &json!("upgrading")),
            "{problem}"
        );
    }
    let (status, upgraded) = first.await.unwrap();
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    assert_ne!(pid(&daemon).await, was);
}

#[tokio::test]
async fn a_signal_replaces_the_program_too() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let was = pid(&daemon).await;
    daemon.signal(Signal::USR2);
    until("another process serves", async || pid(&daemon).await != was).await;
    daemon.succeeded_by(pid(&daemon).await);
    assert!(daemon.predecessor_ended().await.success());
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}

#[tokio::test]
async fn with_more_or_fewer_workers_no_listener_is_without_one() {
    let app = App::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    for (before, after) in [(3, 1), (1, 3)] {
        let workers = format!("--workers={before}");
        let upstream = format!("--upstream={}", app.address);
        let mut daemon = Daemon::start(&[&workers, &upstream], "").await;
        let change = format!(
            "exec {} $(echo \"$@\" | sed s/{workers}/--workers={after}/)",
            holdfast()
        );
        let binary = script(folder.path(), &format!("to-{after}"), &change);
        let (status, upgraded) = upgrade(&daemon, Some(&binary)).await;
        assert_eq!(status, 200, "{upgraded}");
        daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
        for _ in 0..60 {
            assert_eq!(daemon.client().await.get("/").await.status, 200);
        }
    }
}

#[tokio::test]
async fn whoever_would_wait_for_it_gets_it_when_every_app_stands_still() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    daemon.verb("hold", json!({})).await;
    let (status, said) = upgrade(&daemon, None).await;
    assert_eq!((status, &said["code"]), (409, &json!("busy")), "{said}");
    let socket = daemon.socket.clone();
    let waiting = tokio::spawn(async move {
        crate::daemon::say(&socket, "POST", "/v1/upgrade", json!({ "wait": true })).await
    });
    // It has been heard, and changes nothing for others.
    daemon
        .verb("block", json!({ "reason": "while it waits" }))
        .await;
    assert!(!waiting.is_finished());
    daemon.verb("resume", json!({})).await;
    let (status, upgraded) = waiting.await.unwrap();
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_replaced_process_that_is_told_to_stop_answers_its_last_requests_all_the_same() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let mut slow = daemon.asking("/slow/6000").await;
    app.asked(1).await;
    let (status, upgraded) = upgrade(&daemon, None).await;
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    daemon.terminate();
    assert_eq!(slow.answer().await.status, 200);
    assert!(daemon.predecessor_ended().await.success());
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}
