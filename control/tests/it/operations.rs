//! Operations: one at a time, known by their id.

use http::Method;
use serde_json::{Value, json};

use crate::cast::{App, Place};

#[tokio::test]
async fn of_50_that_promote_at_once_one_wins_and_the_others_are_told_which() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let never = App::answering(503).await;
    for round in 0..4 {
        let promotes = (0..50).map(|number| {
            let client = daemon.client.clone();
            let body = json!({
                "release": format!("r{round}-{number}"), "instance": [never.address],
                "operation": format!("op-{round}-{number}"), "detach": true,
            });
            tokio::spawn(async move { client.web("promote", body).await })
        });
        let promotes: Vec<_> = promotes.collect();
        let mut won: Vec<Value> = Vec::new();
        let mut refused = Vec::new();
        for promote in promotes {
            let answer = promote.await.unwrap();
            if answer.status == 202 {
                won.push(answer.body["operation"].clone());
            } else {
                answer.must_be(409, "busy");
                refused.push(answer);
            }
        }
        assert_eq!((won.len(), refused.len()), (1, 49));
        let winner = won[0].as_str().unwrap();
        for answer in refused {
            assert!(answer.detail().contains(winner), "{}", answer.detail());
        }
        daemon.client.web("abort", json!({})).await.ok();
    }
}

#[tokio::test]
async fn the_same_operation_again_returns_the_first_ones_result() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let body = json!({ "release": "r1", "instance": [app.address], "operation": "deploy-7" });
    let first = daemon.client.web("promote", body.clone()).await.ok();
    let publishes = daemon.plane.published("web").len();
    assert_eq!(daemon.client.web("promote", body.clone()).await.ok(), first);
    assert_eq!(daemon.plane.published("web").len(), publishes);
    // The field is the same thing, and a stale If-Match does not matter to what is known.
    let fields = [("idempotency-key", "deploy-7"), ("if-match", "\"1\"")];
    let without = json!({ "release": "r1", "instance": [app.address] }).to_string();
    let again = daemon
        .client
        .ask(Method::POST, "/v1/apps/web/promote", &fields, without)
        .await;
    assert_eq!(again.ok(), first);
    drop(daemon);
    let daemon = place.start(&app.address);
    assert_eq!(
        daemon.client.web("promote", body).await.ok(),
        first,
        "after a restart"
    );
}

#[tokio::test]
async fn a_key_is_good_for_one_command_only() {
    let place = Place::new();
    let app = App::ready().await;
    let mut apps = crate::cast::config(&app.address);
    apps.extend(crate::cast::config_of("api", None));
    let daemon = place.try_start(apps).unwrap();
    let key = [("idempotency-key", "k1")];
    let ask = async |path: &str, body: Value| {
        daemon
            .client
            .ask(Method::POST, path, &key, body.to_string())
            .await
    };
    let block = json!({ "reason": "once" });
    let said = ask("/v1/apps/web/block", block.clone()).await.ok();
    daemon.client.web("unblock", json!({})).await.ok();
    assert_eq!(ask("/v1/apps/web/block", block.clone()).await.ok(), said);
    assert_eq!(
        daemon.client.status().await["blocked"],
        Value::Null,
        "it is not done again"
    );
    ask("/v1/apps/web/unblock", json!({}))
        .await
        .must_be(409, "operation_reused");
    ask("/v1/apps/api/block", block)
        .await
        .must_be(409, "operation_reused");
    let promote = json!({ "release": "r1", "instance": [app.address] });
    ask("/v1/apps/web/promote", promote.clone())
        .await
        .must_be(409, "operation_reused");

    let mut promote = promote;
    promote["operation"] = json!("k2");
    daemon.client.web("promote", promote.clone()).await.ok();
    let other_app = daemon.client.post("/v1/apps/api/promote", promote).await;
    other_app.must_be(409, "operation_reused");
}

#[tokio::test]
async fn operation_and_key_must_not_contradict_each_other() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let body = json!({ "release": "r1", "instance": [app.address], "operation": "a" }).to_string();
    let fields = [("idempotency-key", "b")];
    let answer = daemon
        .client
        .ask(Method::POST, "/v1/apps/web/promote", &fields, body)
        .await;
    answer.must_be(400, "usage");
}

#[tokio::test]
async fn an_operation_that_is_not_known_is_404() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    for path in ["/v1/operations/nothing", "/v1/operations/not%20an%20id"] {
        daemon
            .client
            .get(path)
            .await
            .must_be(404, "unknown_operation");
    }
    let end = daemon
        .client
        .post("/v1/operations/nothing/command", json!({ "ok": true }))
        .await;
    end.must_be(404, "unknown_operation");
    daemon
        .client
        .get("/v1/events?operation=nothing")
        .await
        .must_be(404, "unknown_operation");
}

#[tokio::test]
async fn history_is_newest_first_and_limited() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    for release in ["r1", "r2", "r3"] {
        daemon.client.promote(release, &app.address).await.ok();
    }
    let history = daemon.client.get("/v1/history?app=web&limit=2").await.ok();
    let to: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|receipt| &receipt["to"])
        .collect();
    assert_eq!(to, ["r3", "r2"]);
    daemon
        .client
        .get("/v1/history?limit=many")
        .await
        .must_be(400, "usage");
    daemon
        .client
        .get("/v1/history?app=nobody")
        .await
        .must_be(404, "unknown_app");
    let wrong = daemon.client.get("/v1/history?limt=2").await;
    wrong.must_be(400, "usage");
    assert!(wrong.detail().contains("limt"), "{}", wrong.detail());
}
