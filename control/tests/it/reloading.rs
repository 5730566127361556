//! Another configuration: all or nothing, and what is under way is not lost.

use std::time::Duration;

use serde_json::json;

use crate::cast::{App, Place, config, config_of};

#[tokio::test]
async fn settings_change_and_the_release_stays() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    daemon.client.promote("r1", &app.address).await.ok();
    let mut apps = config(&app.address);
    for config in apps.values_mut() {
        config.hold.max_requests = 7;
    }
    *daemon.next_apps.lock().unwrap() = Ok(apps);
    let said = daemon.client.post("/v1/reload", json!({})).await.ok();
    assert_eq!(said["done"], "as told");
    let status = daemon.client.status().await;
    assert_eq!(status["hold"]["max_requests"], 7);
    assert_eq!(status["live"]["release"], "r1");
}

#[tokio::test]
async fn an_unsound_configuration_changes_nothing_and_says_why() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let before = daemon.client.status().await;
    *daemon.next_apps.lock().unwrap() = Err("line 3: no such key".to_owned());
    let answer = daemon.client.post("/v1/reload", json!({})).await;
    answer.must_be(400, "configuration");
    assert!(answer.detail().contains("line 3"), "{}", answer.detail());
    assert_eq!(daemon.client.status().await, before);
}

#[tokio::test]
async fn a_boot_that_is_under_way_is_asked_by_the_new_settings() {
    let place = Place::new();
    let app = App::ready().await;
    let mut slow = config(&app.address);
    for config in slow.values_mut() {
        config.probe.passes = 1_000_000;
    }
    let daemon = place.try_start(slow).unwrap();
    let body =
        json!({ "release": "r1", "instance": [app.address], "operation": "op", "detach": true });
    daemon.client.web("promote", body).await;
    *daemon.next_apps.lock().unwrap() = Ok(config(&app.address));
    daemon.client.post("/v1/reload", json!({})).await.ok();
    let ended = daemon.client.get("/v1/operations/op?wait=true").await.ok();
    assert_eq!(ended["receipt"]["outcome"], "done");
}

#[tokio::test]
async fn an_app_that_goes_ends_its_operation_and_comes_back_as_it_was() {
    let place = Place::new();
    let app = App::ready().await;
    let never = App::answering(503).await;
    let daemon = place.start(&app.address);
    daemon.client.promote("r1", &app.address).await.ok();
    let body =
        json!({ "release": "r2", "instance": [never.address], "operation": "op", "detach": true });
    daemon.client.web("promote", body).await;
    *daemon.next_apps.lock().unwrap() = Ok(config_of("api", None));
    daemon.client.post("/v1/reload", json!({})).await.ok();
    let waiting = daemon.client.get("/v1/operations/op?wait=true");
    let ended = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap()
        .ok();
    assert_eq!(ended["receipt"]["outcome"], "interrupted");
    daemon
        .client
        .web("abort", json!({}))
        .await
        .must_be(404, "unknown_app");

    *daemon.next_apps.lock().unwrap() = Ok(config(&app.address));
    daemon.client.post("/v1/reload", json!({})).await.ok();
    assert_eq!(daemon.client.live().await, "r1");
    let generations = daemon.plane.generations("web");
    assert!(
        generations.is_sorted_by(|one, next| one < next),
        "{generations:?}"
    );
    drop(daemon);
    let daemon = place.start(&app.address);
    assert_eq!(daemon.client.live().await, "r1");
    let known = daemon.client.get("/v1/operations/op").await.ok();
    assert_eq!(
        known["receipt"]["outcome"], "interrupted",
        "it is in the journal"
    );
}
