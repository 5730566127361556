//! Experiments: clients are divided among releases that are there, and their arms are compared.

use serde_json::{Value, json};

use crate::cast::{App, Daemon, Place};

async fn started(place: &Place) -> (Daemon, App) {
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let stage = json!({ "release": "r1", "instance": [app.address] });
    daemon.client.web("stage", stage).await.ok();
    let start = json!({
        "name": "checkout", "arm": ["plain=r0:0.5", "enhanced=r1:0.25"], "operation": "exp",
    });
    let said = daemon
        .client
        .web("experiment/start", start.clone())
        .await
        .ok();
    assert_eq!(said["done"], "experiment checkout is on, with 2 arms");
    // The same again is answered as the first one was.
    assert_eq!(
        daemon.client.web("experiment/start", start).await.ok(),
        said
    );
    (daemon, app)
}

#[tokio::test]
async fn each_arm_is_compared_with_the_first() {
    let place = Place::new();
    let (daemon, _app) = started(&place).await;
    let split = daemon.plane.splits("web").pop().unwrap().unwrap();
    assert_eq!((split.key.as_str(), split.slices.len()), ("exp", 2));
    daemon.plane.count("plain", 4_000, 400);
    daemon.plane.count("enhanced", 2_000, 2);
    let experiment = daemon.client.status().await["experiment"].clone();
    assert_eq!(experiment["name"], "checkout");
    let arms = &experiment["arms"];
    assert_eq!(
        (&arms[0]["name"], &arms[0]["weight"]),
        (&json!("plain"), &json!(0.5))
    );
    assert_eq!(
        (&arms[0]["requests"], &arms[0]["finding"]),
        (&json!(4_000), &Value::Null)
    );
    assert_eq!(
        (&arms[1]["release"], &arms[1]["finding"]),
        (&json!("r1"), &json!("better"))
    );
    daemon.plane.count("plain", 4_000, 4);
    let arms = daemon.client.status().await["experiment"]["arms"].clone();
    assert_eq!(arms[1]["finding"], "no_significant_difference");
}

#[tokio::test]
async fn closed_with_a_winner_that_becomes_the_live_release() {
    let place = Place::new();
    let (daemon, _app) = started(&place).await;
    let client = &daemon.client;
    let wrong = json!({ "name": "checkout", "winner": "nobody" });
    client
        .web("experiment/close", wrong)
        .await
        .must_be(409, "pointless");
    let close = json!({ "name": "checkout", "winner": "enhanced" });
    let receipt = client.web("experiment/close", close).await.ok();
    assert_eq!(
        (&receipt["outcome"], &receipt["to"]),
        (&json!("done"), &json!("r1"))
    );
    let status = client.status().await;
    assert_eq!(
        (&status["live"]["release"], &status["experiment"]),
        (&json!("r1"), &Value::Null)
    );
}

#[tokio::test]
async fn closed_without_one_everybody_gets_the_live_release() {
    let place = Place::new();
    let (daemon, _app) = started(&place).await;
    let close = json!({ "name": "checkout" });
    let said = daemon.client.web("experiment/close", close).await.ok();
    assert_eq!(said["done"], "experiment checkout is closed");
    assert_eq!(daemon.plane.splits("web").pop(), Some(None));
    assert_eq!(daemon.client.live().await, "r0");
}

#[tokio::test]
async fn it_goes_on_after_a_restart_with_the_same_clients() {
    let place = Place::new();
    let (daemon, app) = started(&place).await;
    let before = daemon.plane.splits("web").pop().unwrap().unwrap();
    drop(daemon);
    let daemon = place.start(&app.address);
    let after = daemon.plane.splits("web").pop().unwrap().unwrap();
    assert_eq!((after.key, after.slices), (before.key, before.slices));
}

#[tokio::test]
async fn an_arm_that_is_wrong_is_named() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let body = json!({ "name": "checkout", "arm": ["plain=r0"] });
    let answer = daemon.client.web("experiment/start", body).await;
    answer.must_be(400, "usage");
    assert!(answer.detail().starts_with("arm: "), "{}", answer.detail());
    let body = json!({ "arm": ["a=r0:0.5", "b=r0:0.5"] });
    let answer = daemon.client.web("experiment/start", body).await;
    answer.must_be(400, "usage");
    assert!(
        answer.detail().contains("name is needed"),
        "{}",
        answer.detail()
    );
}
