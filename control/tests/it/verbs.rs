//! What each verb does, from its answer to what the data plane is told.

use http::Method;
use serde_json::{Value, json};
use swap_core::{Cause, Methods};

use crate::cast::{App, Call, Daemon, Place, until};

async fn started(place: &Place) -> (Daemon, App) {
    let app = App::ready().await;
    (place.start(&app.address), app)
}

#[tokio::test]
async fn a_new_app_begins_with_the_release_of_its_configuration() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    assert_eq!(daemon.plane.published("web"), [Some("r0".to_owned())]);
    let status = daemon.client.get("/v1/status").await.ok();
    assert_eq!(status["pid"], std::process::id());
    let web = &status["apps"]["web"];
    assert_eq!(
        (&web["phase"], &web["live"]["release"]),
        (&json!("steady"), &json!("r0"))
    );
    assert_eq!(web["generation"], 1);
    assert_eq!(web["hold"]["max_requests"], 100);
    drop(app);
}

#[tokio::test]
async fn an_app_without_a_release_is_empty_until_its_first_promote() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place
        .try_start(crate::cast::config_of("web", None))
        .unwrap();
    let status = daemon.client.status().await;
    assert_eq!(
        (&status["phase"], &status["live"]),
        (&json!("empty"), &Value::Null)
    );
    assert_eq!(
        daemon.plane.calls()[0],
        Call::Hold(Cause::Empty, Methods::ALL)
    );
    let receipt = daemon.client.promote("r1", &app.address).await.ok();
    assert_eq!(
        (&receipt["outcome"], &receipt["from"]),
        (&json!("done"), &Value::Null)
    );
    assert_eq!(daemon.client.live().await, "r1");
}

#[tokio::test]
async fn promote_publishes_then_closes_and_returns_the_receipt() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::ready().await;
    let before = daemon.plane.calls().len();
    let answer = daemon.client.promote("r1", &new.address).await;
    let receipt = answer.ok();
    assert_eq!(receipt["verb"], "promote");
    assert_eq!(
        (&receipt["from"], &receipt["to"]),
        (&json!("r0"), &json!("r1"))
    );
    assert_eq!(receipt["outcome"], "done");
    assert_eq!(
        receipt["by"],
        format!("uid {}", rustix::process::getuid().as_raw())
    );
    assert_eq!(receipt["lost"], 0);
    let calls = &daemon.plane.calls()[before..];
    let publish = calls
        .iter()
        .position(|call| matches!(call, Call::Publish(..)));
    let close = calls.iter().position(|call| matches!(call, Call::Close(_)));
    assert!(publish.is_some() && publish < close, "{calls:?}");
    let status = daemon.client.status().await;
    assert_eq!(
        (&status["live"]["release"], &status["previous"]),
        (&json!("r1"), &json!("r0"))
    );
}

#[tokio::test]
async fn the_only_app_need_not_be_named_and_one_of_several_must() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    daemon
        .client
        .post("/v1/apps/-/block", json!({ "reason": "because" }))
        .await
        .ok();
    assert_eq!(daemon.client.status().await["blocked"]["reason"], "because");
    daemon
        .client
        .post("/v1/apps/nobody/abort", json!({}))
        .await
        .must_be(404, "unknown_app");
    drop(daemon);

    let mut apps = crate::cast::config(&app.address);
    apps.extend(crate::cast::config_of("api", None));
    let daemon = place.try_start(apps).unwrap();
    let answer = daemon.client.post("/v1/apps/-/unblock", json!({})).await;
    answer.must_be(400, "usage");
    assert!(answer.detail().contains("api, web"), "{}", answer.detail());
}

#[tokio::test]
async fn what_is_live_already_is_done_at_once() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    let receipt = daemon.client.promote("r0", &app.address).await.ok();
    assert_eq!(receipt["outcome"], "already_live");
    assert_eq!(daemon.plane.published("web").len(), 1);
}

#[tokio::test]
async fn a_release_that_never_gets_ready_fails_and_the_old_one_serves() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let never = App::answering(503).await;
    let body = json!({ "release": "r1", "instance": [never.address], "boot_timeout": "300ms" });
    let receipt = daemon.client.web("promote", body).await.ok();
    assert_eq!(receipt["outcome"], "failed");
    let why = receipt["why"].as_str().unwrap();
    assert!(
        why.contains(&format!("{} answered 503 to GET /up", never.address)),
        "{why}"
    );
    assert_eq!(daemon.client.live().await, "r0");
    assert_eq!(daemon.plane.published("web").len(), 1);
}

#[tokio::test]
async fn detach_answers_at_once_and_the_operation_can_be_waited_for() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::answering(503).await;
    let body =
        json!({ "release": "r1", "instance": [new.address], "detach": true, "operation": "op-1" });
    let answer = daemon.client.web("promote", body).await;
    assert_eq!(
        (answer.status, &answer.body),
        (202, &json!({ "operation": "op-1" }))
    );
    let running = daemon.client.get("/v1/operations/op-1").await.ok();
    assert_eq!(
        (&running["state"], &running["phase"]),
        (&json!("running"), &json!("booting"))
    );
    new.answer(200);
    let ended = daemon
        .client
        .get("/v1/operations/op-1?wait=true")
        .await
        .ok();
    assert_eq!(
        (&ended["state"], &ended["receipt"]["outcome"]),
        (&json!("ended"), &json!("done"))
    );
}

#[tokio::test]
async fn losing_the_client_does_not_stop_the_operation() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::answering(503).await;
    let client = daemon.client.clone();
    let body = json!({ "release": "r1", "instance": [new.address], "operation": "op-1" });
    let lost = tokio::spawn(async move { client.web("promote", body).await });
    while daemon.client.status().await["phase"] != "booting" {}
    lost.abort();
    new.answer(200);
    let ended = daemon
        .client
        .get("/v1/operations/op-1?wait=true")
        .await
        .ok();
    assert_eq!(ended["receipt"]["outcome"], "done");
    assert_eq!(
        daemon.client.get("/v1/receipt").await.ok()["operation"],
        "op-1"
    );
}

#[tokio::test]
async fn strategy_hold_shuts_the_door_quietens_probes_swaps_and_releases() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::ready().await;
    let before = daemon.plane.calls().len();
    let body = json!({ "release": "r1", "instance": [new.address], "strategy": "hold" });
    let receipt = daemon.client.web("promote", body).await.ok();
    assert_eq!(
        (&receipt["outcome"], &receipt["strategy"]),
        (&json!("done"), &json!("hold"))
    );
    let told = daemon.plane.calls();
    let told: Vec<&str> = told[before..]
        .iter()
        .filter_map(|call| match call {
            Call::Hold(Cause::Swap, Methods::ALL) => Some("hold"),
            Call::Publish(_, _, Some(live)) => Some(live.id.as_str()),
            Call::Close(_) => Some("close"),
            Call::Release => Some("release"),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["hold", "r0", "close", "r1", "close", "release"]);
}

#[tokio::test]
async fn stage_keeps_a_release_ready_to_be_promoted_by_its_id() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::ready().await;
    let body = json!({ "release": "r1", "instance": [new.address] });
    let receipt = daemon.client.web("stage", body).await.ok();
    assert_eq!(
        (&receipt["verb"], &receipt["outcome"]),
        (&json!("stage"), &json!("done"))
    );
    assert_eq!(daemon.client.status().await["staged"], json!(["r1"]));
    assert_eq!(daemon.plane.published("web").len(), 1, "it gets no traffic");
    let receipt = daemon
        .client
        .web("promote", json!({ "release": "r1" }))
        .await
        .ok();
    assert_eq!(receipt["outcome"], "done");
    let status = daemon.client.status().await;
    assert_eq!(
        (&status["live"]["release"], &status["staged"]),
        (&json!("r1"), &json!([]))
    );
}

#[tokio::test]
async fn unstage_forgets_a_release() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::ready().await;
    let body = json!({ "release": "r1", "instance": [new.address] });
    daemon.client.web("stage", body).await.ok();
    daemon
        .client
        .web("unstage", json!({ "release": "r1" }))
        .await
        .ok();
    assert_eq!(daemon.client.status().await["staged"], json!([]));
    let promote = daemon
        .client
        .web("promote", json!({ "release": "r1" }))
        .await;
    promote.must_be(404, "unknown_release");
}

#[tokio::test]
async fn hold_returns_when_running_requests_have_ended_and_resume_opens_the_door() {
    let place = Place::new();
    let (daemon, _app) = started(&place).await;
    daemon.plane.set_busy(true);
    let client = daemon.client.clone();
    let holding = tokio::spawn(async move { client.web("hold", json!({ "writes": true })).await });
    let shut = Call::Hold(Cause::Command, Methods::WRITES);
    until("the door is shut", || daemon.plane.calls().contains(&shut)).await;
    assert_eq!(daemon.client.status().await["phase"], "holding");
    assert!(!holding.is_finished());
    daemon.plane.end_running();
    let receipt = holding.await.unwrap().ok();
    assert_eq!(
        (&receipt["verb"], &receipt["outcome"]),
        (&json!("hold"), &json!("done"))
    );
    daemon.client.web("resume", json!({})).await.ok();
    until("the door is open", || {
        daemon.plane.calls().contains(&Call::Release)
    })
    .await;
}

#[tokio::test]
async fn rollback_goes_to_the_previous_release() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::ready().await;
    daemon
        .client
        .web("rollback", json!({}))
        .await
        .must_be(409, "pointless");
    daemon.client.promote("r1", &new.address).await.ok();
    let receipt = daemon
        .client
        .web("rollback", json!({ "reason": "bad" }))
        .await
        .ok();
    assert_eq!(
        (&receipt["from"], &receipt["to"]),
        (&json!("r1"), &json!("r0"))
    );
    assert_eq!(
        (&receipt["outcome"], &receipt["reason"]),
        (&json!("done"), &json!("bad"))
    );
    assert_eq!(daemon.client.live().await, "r0");
}

#[tokio::test]
async fn abort_ends_a_boot_and_the_old_release_serves() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let never = App::answering(503).await;
    let body = json!({ "release": "r1", "instance": [never.address], "detach": true, "operation": "op-1" });
    daemon.client.web("promote", body).await;
    daemon.client.web("abort", json!({})).await.ok();
    let ended = daemon
        .client
        .get("/v1/operations/op-1?wait=true")
        .await
        .ok();
    assert_eq!(ended["receipt"]["outcome"], "aborted");
    assert_eq!(daemon.client.live().await, "r0");
    daemon
        .client
        .web("abort", json!({}))
        .await
        .must_be(409, "pointless");
}

#[tokio::test]
async fn block_refuses_promotes_with_the_reason_and_who() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    daemon
        .client
        .web("block", json!({ "reason": "the database moves" }))
        .await
        .ok();
    let refused = daemon.client.promote("r1", &app.address).await;
    refused.must_be(409, "blocked");
    assert!(
        refused.detail().contains("the database moves"),
        "{}",
        refused.detail()
    );
    daemon.client.web("unblock", json!({})).await.ok();
    daemon.client.promote("r1", &app.address).await.ok();
}

#[tokio::test]
async fn if_current_and_if_match_refuse_what_was_meant_for_another_state() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    let body = json!({ "release": "r1", "instance": [app.address], "if_current": "r9" });
    daemon
        .client
        .web("promote", body.clone())
        .await
        .must_be(412, "not_current");
    let stale = [("if-match", "\"99\"")];
    let path = "/v1/apps/web/promote";
    let body = json!({ "release": "r1", "instance": [app.address] }).to_string();
    let answer = daemon
        .client
        .ask(Method::POST, path, &stale, body.clone())
        .await;
    answer.must_be(412, "generation");
    for (verb, body) in [
        ("hold", "{}"),
        ("block", r#"{"reason":"x"}"#),
        ("unblock", ""),
        ("resume", ""),
        ("abort", ""),
        ("unstage", r#"{"release":"r1"}"#),
        ("stage", body.as_str()),
    ] {
        let path = format!("/v1/apps/web/{verb}");
        let answer = daemon
            .client
            .ask(Method::POST, &path, &stale, body.to_owned())
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (412, "generation"),
            "{verb}"
        );
    }
    let current = [("if-match", "\"1\"")];
    daemon
        .client
        .ask(Method::POST, path, &current, body)
        .await
        .ok();
}

#[tokio::test]
async fn plan_says_what_a_hold_would_mean() {
    let place = Place::new();
    let (daemon, _app) = started(&place).await;
    let rate = async || {
        daemon.plane.counters().requests += 50;
        daemon
            .client
            .web("plan", json!({ "boot": "2s" }))
            .await
            .ok()
    };
    let mut plan = rate().await;
    let end = tokio::time::Instant::now() + crate::cast::DEADLINE;
    while plan["rate"] == 0.0 {
        assert!(tokio::time::Instant::now() < end, "no rate in time");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        plan = rate().await;
    }
    assert_eq!(
        (&plan["app"], &plan["boot_ms"]),
        (&json!("web"), &json!(2000))
    );
    let expected = plan["rate"].as_f64().unwrap() * 2.0;
    assert!(
        (plan["held"].as_f64().unwrap() - expected).abs() <= 1.0,
        "{plan}"
    );
    let long = daemon
        .client
        .web("plan", json!({ "boot": "31s" }))
        .await
        .ok();
    assert_eq!(long["fits"], false);
    assert_eq!(long["why"], "31s is longer than max_wait (30s)");
}

#[tokio::test]
async fn timeouts_that_do_not_fit_into_the_hold_are_refused_with_their_sum() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    let body = json!({
        "release": "r1", "instance": [app.address], "strategy": "hold",
        "boot_timeout": "25s", "drain_timeout": "10s",
    });
    let refused = daemon.client.web("promote", body).await;
    refused.must_be(400, "does_not_fit");
    assert!(refused.detail().contains("35s"), "{}", refused.detail());
}

#[tokio::test]
async fn names_are_resolved_when_the_command_comes() {
    let place = Place::new();
    let (daemon, _old) = started(&place).await;
    let new = App::ready().await;
    let port = new.address.rsplit_once(':').unwrap().1;
    daemon
        .client
        .promote("r1", &format!("localhost:{port}"))
        .await
        .ok();
    let Some(Call::Publish(_, _, Some(live))) = daemon
        .plane
        .calls()
        .into_iter()
        .rfind(|call| matches!(call, Call::Publish(..)))
    else {
        panic!("nothing was published");
    };
    assert_eq!(live.instances, [new.address.parse().unwrap()]);
    let unknown = daemon.client.promote("r2", "no-such-host.invalid:80").await;
    unknown.must_be(400, "usage");
    assert!(
        unknown.detail().contains("no-such-host.invalid:80"),
        "{}",
        unknown.detail()
    );
}

#[tokio::test]
async fn version_and_openapi_are_told() {
    let place = Place::new();
    let (daemon, _app) = started(&place).await;
    let version = daemon.client.get("/v1/version").await.ok();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        daemon.client.get("/v1/openapi.json").await.ok()["openapi"],
        "3.1.0"
    );
}
