//! How the journals in `tests/golden` that tell of several apps came about. They are kept for ever: a run of this makes
//! others like them.

use std::fs;

use serde_json::json;

use crate::cast::{App, Daemon, Place, config_of};

fn start(place: &Place, app: &App) -> Daemon {
    let mut apps = super::cast::config(&app.address);
    for name in ["api", "docs"] {
        let release = apps.values().next().unwrap().release.clone();
        apps.extend(config_of(name, release));
    }
    place.try_start(apps).unwrap()
}

async fn say(daemon: &Daemon, app: &str, verb: &str, body: serde_json::Value) {
    let path = format!("/v1/apps/{app}/{verb}");
    daemon.client.post(&path, body).await.ok();
}

fn release(id: &str, app: &App) -> serde_json::Value {
    json!({"release": id, "instance": [app.address]})
}

/// Promotes, a rollback, a block, a hold that ends, one that lasts.
async fn play(daemon: &Daemon, app: &App) {
    say(daemon, "web", "promote", release("v1", app)).await;
    say(daemon, "api", "promote", release("v1", app)).await;
    let mut held = release("v2", app);
    held["strategy"] = json!("hold");
    held["reason"] = json!("only one copy");
    say(daemon, "web", "promote", held).await;
    say(daemon, "web", "rollback", json!({})).await;
    say(daemon, "api", "block", json!({"reason": "a migration"})).await;
    say(daemon, "docs", "stage", release("v3", app)).await;
    say(daemon, "docs", "hold", json!({"writes": true})).await;
    say(daemon, "docs", "resume", json!({})).await;
    say(daemon, "web", "hold", json!({"methods": ["POST"]})).await;
}

#[tokio::test]
#[ignore = "writes golden files, which stay as they are"]
async fn the_golden_journals_of_several_apps() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = start(&place, &app);
    play(&daemon, &app).await;
    drop(daemon);
    let golden = |name: &str| format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::copy(place.journal(), golden("journal-v1-of-several")).unwrap();

    let daemon = start(&place, &app);
    say(&daemon, "web", "resume", json!({})).await;
    say(&daemon, "api", "unblock", json!({})).await;
    let length = || fs::metadata(place.journal()).unwrap().len();
    let (mut before, mut number) = (0, 0);
    while length() >= before {
        before = length();
        number += 1;
        let reason = format!("{number:01000}");
        say(&daemon, "docs", "block", json!({ "reason": reason })).await;
        // It is written anew behind the answer.
        daemon.client.status().await;
    }
    say(&daemon, "docs", "unblock", json!({})).await;
    say(&daemon, "web", "promote", release("second", &app)).await;
    say(&daemon, "docs", "hold", json!({"writes": true})).await;
    drop(daemon);
    fs::copy(place.journal(), golden("journal-v1-written-anew")).unwrap();
}
