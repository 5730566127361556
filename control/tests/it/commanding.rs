//! A promote with a COMMAND: the stream tells its reader when to run it, and his leaving counts as its failure.

use http::Method;
use serde_json::{Value, json};

use crate::cast::{App, Daemon, Place, Stream};

const PROMOTE: &str = "/v1/apps/web/promote";

fn ask(release: &str, address: &str) -> Value {
    json!({
        "release": release, "instance": [address], "strategy": "hold", "command": true,
        "operation": "op",
    })
}

async fn promote(daemon: &Daemon, body: &Value) -> Stream {
    daemon.client.listen(Method::POST, PROMOTE, &[], body).await
}

async fn ended(daemon: &Daemon) -> Value {
    daemon.client.get("/v1/operations/op?wait=true").await.ok()["receipt"].clone()
}

async fn command_ended(daemon: &Daemon, end: Value) -> Value {
    daemon
        .client
        .post("/v1/operations/op/command", end)
        .await
        .ok()
}

#[tokio::test]
async fn its_end_lets_the_promote_go_on_to_the_receipt() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::ready().await;
    let mut stream = promote(&daemon, &ask("r1", &new.address)).await;
    stream.until_phase("command").await;
    assert_eq!(daemon.client.live().await, "r0");
    command_ended(&daemon, json!({ "ok": true })).await;
    let rest = stream.rest().await;
    let phases: Vec<_> = rest
        .iter()
        .filter(|event| event["event"] == "phase")
        .collect();
    assert!(
        phases.iter().all(|event| event["phase"] != "command"),
        "told twice: {rest:?}"
    );
    let last = rest.last().unwrap();
    assert_eq!(
        (&last["event"], &last["receipt"]["outcome"]),
        (&json!("receipt"), &json!("done"))
    );
    assert_eq!(daemon.client.live().await, "r1");
}

#[tokio::test]
async fn its_failure_puts_everything_back() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::ready().await;
    let mut stream = promote(&daemon, &ask("r1", &new.address)).await;
    stream.until_phase("command").await;
    command_ended(&daemon, json!({ "ok": false, "why": "exit status 3" })).await;
    let receipt = stream.rest().await.pop().unwrap()["receipt"].clone();
    assert_eq!(receipt["outcome"], "failed");
    assert!(
        receipt["why"].as_str().unwrap().contains("exit status 3"),
        "{receipt}"
    );
    assert_eq!(daemon.client.live().await, "r0");
    assert!(!daemon.plane.counters().hold.active);
}

#[tokio::test]
async fn a_reader_who_leaves_while_it_runs_has_failed_and_the_old_release_serves() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::ready().await;
    let mut stream = promote(&daemon, &ask("r1", &new.address)).await;
    stream.until_phase("command").await;
    drop(stream);
    let receipt = ended(&daemon).await;
    assert_eq!(receipt["outcome"], "failed");
    assert!(
        receipt["why"].as_str().unwrap().contains("went away"),
        "{receipt}"
    );
    assert_eq!(daemon.client.live().await, "r0");
    assert!(!daemon.plane.counters().hold.active);
}

#[tokio::test]
async fn a_reader_who_leaves_before_its_turn_has_failed_too() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    daemon.plane.set_busy(true);
    let mut stream = promote(&daemon, &ask("r1", &old.address)).await;
    stream.until_phase("holding").await;
    drop(stream);
    assert_eq!(ended(&daemon).await["outcome"], "failed");
    assert_eq!(daemon.client.live().await, "r0");
}

#[tokio::test]
async fn a_reader_who_leaves_after_it_ended_well_loses_nothing() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::answering(503).await;
    let mut stream = promote(&daemon, &ask("r1", &new.address)).await;
    stream.until_phase("command").await;
    command_ended(&daemon, json!({ "ok": true })).await;
    drop(stream);
    new.answer(200);
    assert_eq!(ended(&daemon).await["outcome"], "done");
    assert_eq!(daemon.client.live().await, "r1");
}

#[tokio::test]
async fn the_same_operation_again_is_not_told_to_run_it() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::ready().await;
    let body = ask("r1", &new.address);
    // Its turn comes when all three listen.
    daemon.plane.set_busy(true);
    let mut first = promote(&daemon, &body).await;
    let second = promote(&daemon, &body).await;
    let third = promote(&daemon, &body).await;
    daemon.plane.set_busy(false);
    daemon.plane.end_running();
    first.until_phase("command").await;
    // One who only looks on may leave.
    drop(third);
    command_ended(&daemon, json!({ "ok": true })).await;
    let second = second.rest().await;
    assert!(
        second.iter().all(|event| event["phase"] != "command"),
        "{second:?}"
    );
    assert_eq!(second.last().unwrap()["receipt"]["outcome"], "done");
    assert_eq!(
        first.rest().await.last().unwrap()["receipt"]["outcome"],
        "done"
    );
    // And once it has ended, there is the receipt.
    let late = promote(&daemon, &body).await.rest().await;
    assert_eq!(late.last().unwrap()["receipt"]["outcome"], "done");
}

#[tokio::test]
async fn it_runs_only_inside_a_hold_and_with_a_reader() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    for (field, value) in [("strategy", json!("overlap")), ("detach", json!(true))] {
        let mut body = ask("r1", &old.address);
        body[field] = value;
        daemon
            .client
            .web("promote", body)
            .await
            .must_be(400, "usage");
    }
}
