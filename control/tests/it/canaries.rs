//! Canaries: judged by what the data plane counts, step after step, and shown while they go.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::cast::{App, Call, Client, Daemon, Place, until};

/// A daemon with `r0` live, and an app that is to be `r1`.
struct Stage {
    place: Place,
    daemon: Daemon,
    old: App,
    new: App,
}

impl Stage {
    async fn new() -> Self {
        let place = Place::new();
        let (old, new) = (App::ready().await, App::ready().await);
        let daemon = place.start(&old.address);
        Self {
            place,
            daemon,
            old,
            new,
        }
    }

    /// A canary with short steps, and these fields besides.
    fn canary(&self, more: Value) -> Value {
        let mut body = json!({
            "release": "r1", "instance": [self.new.address], "strategy": "canary", "operation": "op",
            "steps": [5, 50], "step_time": "200ms", "watch": "200ms", "boot_timeout": "5s",
        });
        let Value::Object(more) = more else {
            panic!("fields were expected");
        };
        body.as_object_mut().unwrap().extend(more);
        body
    }

    async fn promote(&self, more: Value) -> Value {
        let body = self.canary(more);
        self.daemon.client.web("promote", body).await.ok()
    }

    async fn begin(&self, more: Value) {
        let mut body = self.canary(more);
        body["detach"] = true.into();
        let answer = self.daemon.client.web("promote", body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    async fn end(&self) -> Value {
        end(&self.daemon.client).await
    }

    fn is_good(&self) {
        self.daemon.plane.count("canary", 5_000, 5);
        self.daemon.plane.count("control", 5_000, 5);
    }

    fn is_bad(&self) {
        self.daemon.plane.count("canary", 410, 60);
        self.daemon.plane.count("control", 402, 4);
    }
}

async fn end(client: &Client) -> Value {
    client.get("/v1/operations/op?wait=true").await.ok()["receipt"].clone()
}

/// Waits until a canary is as it is to be.
async fn canary_until(client: &Client, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = tokio::time::Instant::now() + crate::cast::DEADLINE;
    loop {
        let status = client.status().await;
        if is_so(&status["canary"]) {
            return status;
        }
        assert!(
            tokio::time::Instant::now() < until,
            "never {what}: {status}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_good_one_gets_step_after_step_and_takes_over() {
    let stage = Stage::new().await;
    stage.is_good();
    let receipt = stage.promote(json!({})).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    assert_eq!(
        stage.daemon.plane.shares("web"),
        ["5", "50", "100", "100", "0"]
    );
    let judge = &receipt["judge"];
    assert_eq!(judge["verdict"], "pass");
    assert_eq!(
        (&judge["requests"], &judge["errors"]),
        (&json!(5_000), &json!(5))
    );
    assert_eq!(
        judge["all_requests"], 20_000,
        "two steps, everybody, the watch"
    );
    assert_eq!(judge["control"]["earlier"], true);
    assert!(judge["smallest"].as_f64().is_some(), "{judge}");
    let status = stage.daemon.client.status().await;
    assert_eq!(status["live"]["release"], "r1");
    assert_eq!(
        (&status["canary"], &status["next"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_bad_one_is_rolled_back_and_blocks() {
    let stage = Stage::new().await;
    stage.is_bad();
    let receipt = stage.promote(json!({ "step_time": "1h" })).await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    let why = "canary failed 60 of 410, control 4 of 402; chance of a false alarm below 1 %";
    assert_eq!(receipt["why"], why);
    assert_eq!(
        (&receipt["judge"]["verdict"], &receipt["judge"]["why"]),
        (&json!("fail"), &json!(why))
    );
    assert_eq!(receipt["judge"]["share"], 5);
    assert_eq!(stage.daemon.plane.shares("web"), ["5", "0"]);
    let status = stage.daemon.client.status().await;
    assert_eq!(status["live"]["release"], "r0");
    assert_eq!(status["blocked"]["reason"], why);
    let again = stage.daemon.client.promote("r2", &stage.new.address).await;
    again.must_be(409, "blocked");
}

#[tokio::test]
async fn a_quiet_one_waits_and_then_there_was_not_enough_traffic() {
    let stage = Stage::new().await;
    let quiet = json!({ "boot_timeout": "800ms" });
    let receipt = stage.promote(quiet).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    assert_eq!(receipt["judge"]["verdict"], "not_enough_traffic");
    let why = receipt["why"].as_str().unwrap();
    assert!(
        why.contains("not enough traffic") && why.contains("0 requests on the canary"),
        "{why}"
    );
    assert_eq!(stage.daemon.plane.shares("web"), ["5", "0"]);
    let status = stage.daemon.client.status().await;
    assert_eq!(status["blocked"], Value::Null);
}

#[tokio::test]
async fn a_quiet_one_goes_on_where_that_was_asked_for() {
    let stage = Stage::new().await;
    let receipt = stage.promote(json!({ "on_quiet": "advance" })).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    assert_eq!(receipt["judge"]["verdict"], "not_enough_traffic");
}

#[tokio::test]
async fn a_bad_one_can_be_frozen_until_somebody_decides() {
    let stage = Stage::new().await;
    stage.is_bad();
    stage.begin(json!({ "on_fail": "freeze" })).await;
    let client = &stage.daemon.client;
    let status = canary_until(client, "frozen", |canary| canary["paused"].is_string()).await;
    assert!(
        status["canary"]["paused"]
            .as_str()
            .unwrap()
            .contains("60 of 410")
    );
    assert_eq!(
        (&status["phase"], &status["next"]["share"]),
        (&json!("canary"), &json!(5))
    );
    client.web("abort", json!({})).await.ok();
    let receipt = stage.end().await;
    assert_eq!(receipt["outcome"], "aborted");
    assert_eq!(receipt["judge"]["verdict"], "fail");
}

#[tokio::test]
async fn status_and_events_show_how_it_goes() {
    let stage = Stage::new().await;
    let client = &stage.daemon.client;
    stage.daemon.plane.count("canary", 30, 1);
    stage.daemon.plane.count("control", 31, 0);
    let body = stage.canary(json!({ "step_time": "1h" }));
    let fields = [("accept", "text/event-stream")];
    let path = "/v1/apps/web/promote";
    let mut stream = client.listen(Method::POST, path, &fields, &body).await;
    let split = stream
        .until("a split", |event| event["event"] == "split")
        .await;
    assert_eq!(
        split["arms"],
        json!([
            { "arm": "canary", "release": "r1", "share": 5 },
            { "arm": "control", "release": "r0", "share": 5 },
        ])
    );
    let status = canary_until(client, "looked at", |canary| canary["why"].is_string()).await;
    let (canary, control) = (&status["canary"], &status["control"]);
    assert_eq!(status["next"]["share"], 5);
    assert_eq!(
        (&canary["stage"], &canary["step"]),
        (&json!("step"), &json!(1))
    );
    assert_eq!(canary["steps"], json!([5, 50, 100]));
    assert_eq!(
        (&canary["requests"], &canary["errors"]),
        (&json!(30), &json!(1))
    );
    assert_eq!(canary["verdict"], "not_enough_traffic");
    assert!(
        canary["p50_ms"]
            .as_f64()
            .is_some_and(|ms| (11.0..13.0).contains(&ms)),
        "{canary}"
    );
    assert_eq!(
        (&control["requests"], &control["earlier"]),
        (&json!(31), &json!(false))
    );
    let progress = |event: &Value| event["event"] == "progress" && event["canary"].is_object();
    let progress = stream.until("progress", progress).await;
    assert_eq!(progress["canary"]["share"], 5);

    client.web("pause", json!({})).await.ok();
    let paused = stream
        .until("a pause", |event| event["event"] == "paused")
        .await;
    assert!(
        paused["why"]
            .as_str()
            .unwrap()
            .starts_with("paused by uid "),
        "{paused}"
    );
    client
        .web("pause", json!({}))
        .await
        .must_be(409, "pointless");
    client.web("advance", json!({})).await.ok();
    assert_eq!(client.status().await["next"]["share"], 50);

    stage.is_bad();
    let verdict = stream
        .until("a verdict", |event| event["event"] == "verdict")
        .await;
    assert_eq!(verdict["verdict"], "fail");
    assert_eq!(verdict["canary"]["errors"], 60);
    let rest = stream.rest().await;
    assert_eq!(rest.last().unwrap()["receipt"]["outcome"], "rolled_back");
}

#[tokio::test]
async fn the_instances_beside_the_live_release_are_watched_too() {
    let stage = Stage::new().await;
    stage.begin(json!({ "step_time": "1h" })).await;
    let new = stage.new.address.parse().unwrap();
    let mark = Call::Mark(new, true);
    until("the mark", || stage.daemon.plane.calls().contains(&mark)).await;
    stage.new.answer(503);
    let Call::Mark(new, _) = mark else {
        unreachable!("it is a mark");
    };
    let mark = Call::Mark(new, false);
    until("the other mark", || {
        stage.daemon.plane.calls().contains(&mark)
    })
    .await;
}

#[tokio::test]
async fn smoke_before_any_traffic_is_a_failure_and_blocks_nothing() {
    let stage = Stage::new().await;
    let smoke = json!({ "smoke": ["/up=204", "/checkout=200"] });
    let receipt = stage.promote(smoke).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    let seen = format!(
        "{} answered 204 to GET /checkout instead of 200",
        stage.new.address
    );
    assert_eq!(receipt["why"], seen);
    assert_eq!(receipt["judge"]["verdict"], "fail");
    let shares = stage.daemon.plane.shares("web");
    assert!(shares.iter().all(|share| share == "0"), "{shares:?}");
    assert_eq!(stage.daemon.client.status().await["blocked"], Value::Null);
}

#[tokio::test]
async fn smoke_is_asked_again_when_everybody_has_it() {
    let stage = Stage::new().await;
    stage.is_good();
    stage
        .begin(json!({ "smoke": ["/up=204"], "step_time": "700ms" }))
        .await;
    let client = &stage.daemon.client;
    canary_until(client, "at 50 %", |canary| canary["share"] == 50).await;
    stage.new.answer(500);
    let receipt = stage.end().await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    let seen = format!(
        "{} answered 500 to GET /up instead of 204",
        stage.new.address
    );
    assert_eq!(
        (&receipt["why"], &receipt["judge"]["why"]),
        (&json!(seen), &json!(seen))
    );
    assert!(client.status().await["blocked"].is_object());
}

#[tokio::test]
async fn after_a_restart_it_goes_on_in_the_same_step_with_the_same_clients() {
    let mut stage = Stage::new().await;
    stage.is_good();
    stage.begin(json!({ "watch": "1h" })).await;
    let watched = |canary: &Value| canary["stage"] == "watching";
    canary_until(&stage.daemon.client, "watched", watched).await;
    let before = stage.daemon.plane.splits("web").pop().unwrap().unwrap();
    stage.daemon = {
        drop(stage.daemon);
        stage.place.start(&stage.old.address)
    };
    let client = &stage.daemon.client;
    let known = client.get("/v1/operations/op").await.ok();
    assert_eq!(
        (&known["state"], &known["phase"]),
        (&json!("running"), &json!("watching"))
    );
    let after = stage.daemon.plane.splits("web").pop().unwrap().unwrap();
    assert_eq!((&after.key, &after.slices), (&before.key, &before.slices));
    assert!(after.round > before.round, "its counters begin anew");
    let status = client.status().await;
    assert_eq!(
        (&status["next"]["release"], &status["next"]["share"]),
        (&json!("r1"), &json!(100))
    );
    assert_eq!(status["canary"]["attempt"], 2);
    assert_eq!(
        (
            &status["control"]["requests"],
            &status["control"]["earlier"]
        ),
        (&json!(5_000), &json!(true)),
        "the last control is in the journal"
    );
    stage.daemon.plane.count("canary", 1_000, 600);
    let receipt = end(client).await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    assert!(
        receipt["why"]
            .as_str()
            .unwrap()
            .contains("the last control 5 of 5000"),
        "{receipt}"
    );
}

#[tokio::test]
async fn an_upgrade_is_let_in_while_it_is_judged_and_when_it_fails_it_goes_on() {
    let stage = Stage::new().await;
    stage.begin(json!({ "step_time": "1s" })).await;
    let client = &stage.daemon.client;
    canary_until(client, "begun", |canary| canary["stage"] == "step").await;
    // The hook of these tests refuses: that is as far as an upgrade can come.
    let answer = client.post("/v1/upgrade", json!({})).await;
    answer.must_be(502, "upgrade_failed");
    stage.is_bad();
    assert_eq!(stage.end().await["outcome"], "rolled_back");
}
