//! What happens is told, in order, to whoever listens.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use swap_core::{Cause, Methods};

use holdfast_control::plane::Signal;

use crate::cast::{App, Call, Daemon, Place, Stream, until};

async fn listen(daemon: &Daemon, path: &str) -> Stream {
    daemon
        .client
        .listen(Method::GET, path, &[], &Value::Null)
        .await
}

#[tokio::test]
async fn a_swap_is_told_phase_by_phase() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let mut stream = listen(&daemon, "/v1/events").await;
    let body = json!({ "release": "r1", "instance": [old.address], "strategy": "hold" });
    daemon.client.web("promote", body).await.ok();
    let mut told = Vec::new();
    let mut last_id = 0;
    loop {
        let event = stream.next().await.unwrap();
        let id = event["id"].as_u64().unwrap();
        assert!(id > last_id, "ids grow");
        last_id = id;
        let what = event["event"].as_str().unwrap().to_owned();
        match what.as_str() {
            "phase" => {
                assert_eq!(
                    (&event["app"], &event["release"]),
                    (&json!("web"), &json!("r1"))
                );
                told.push(event["phase"].as_str().unwrap().to_owned());
            }
            "progress" => {}
            "receipt" => break,
            _ => told.push(what),
        }
    }
    let expected = [
        "holding",
        "held",
        "published",
        "booting",
        "published",
        "swapped",
        "releasing",
        "draining",
        "opened",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn last_event_id_brings_what_came_after() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let mut stream = listen(&daemon, "/v1/events").await;
    daemon
        .client
        .web("block", json!({ "reason": "one" }))
        .await
        .ok();
    let first = stream.next().await.unwrap();
    drop(stream);
    daemon
        .client
        .web("block", json!({ "reason": "two" }))
        .await
        .ok();
    let id = first["id"].to_string();
    let fields = [("last-event-id", id.as_str())];
    let mut stream = daemon
        .client
        .listen(Method::GET, "/v1/events", &fields, &Value::Null)
        .await;
    let next = stream.next().await.unwrap();
    assert_eq!(next["id"].as_u64(), first["id"].as_u64().map(|id| id + 1));
    assert!(next["said"].as_str().unwrap().contains("two"), "{next}");
    let wrong = [("last-event-id", "yesterday")];
    daemon
        .client
        .ask(Method::GET, "/v1/events", &wrong, "")
        .await
        .must_be(400, "usage");
}

#[tokio::test]
async fn the_events_of_an_operation_end_with_its_receipt_however_late_one_asks() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let body = json!({ "release": "r1", "instance": [app.address], "operation": "op" });
    daemon.client.web("promote", body).await.ok();
    let events = listen(&daemon, "/v1/events?operation=op")
        .await
        .rest()
        .await;
    assert!(
        events.iter().all(|event| event["operation"] == "op"),
        "{events:?}"
    );
    assert_eq!(events.last().unwrap()["event"], "receipt");
    drop(daemon);
    let daemon = place.start(&app.address);
    let events = listen(&daemon, "/v1/events?operation=op")
        .await
        .rest()
        .await;
    assert_eq!(
        events.last().unwrap()["receipt"]["to"],
        "r1",
        "after a restart"
    );
}

#[tokio::test]
async fn a_promote_can_be_answered_by_its_events() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let fields = [("accept", "text/event-stream")];
    let body = json!({ "release": "r1", "instance": [app.address] });
    let path = "/v1/apps/web/promote";
    let events = daemon
        .client
        .listen(Method::POST, path, &fields, &body)
        .await
        .rest()
        .await;
    assert_eq!(events[0]["phase"], "booting");
    assert_eq!(events.last().unwrap()["receipt"]["outcome"], "done");
}

#[tokio::test]
async fn a_live_release_that_goes_down_is_told_and_comes_back_by_itself() {
    let place = Place::new();
    let app = App::answering(503).await;
    let daemon = place.start(&app.address);
    let mut stream = listen(&daemon, "/v1/events").await;
    let gate = daemon.plane.last_gate("web");
    daemon
        .plane
        .signal(Signal::LiveDown("web".parse().unwrap(), gate));
    stream.until("down", |event| event["event"] == "down").await;
    assert!(
        daemon
            .plane
            .calls()
            .contains(&Call::Hold(Cause::Down, Methods::ALL))
    );
    // It never passed its probe, so an accepted connect is enough.
    stream
        .until("opened", |event| event["event"] == "opened")
        .await;
}

#[tokio::test]
async fn a_release_that_has_passed_its_probe_comes_back_only_by_passing_it_again() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    daemon.client.promote("r1", &app.address).await.ok();
    drop(daemon);
    // The daemon that comes after knows that it had passed.
    app.answer(503);
    let daemon = place.start(&app.address);
    let gate = daemon.plane.last_gate("web");
    daemon
        .plane
        .signal(Signal::LiveDown("web".parse().unwrap(), gate));
    let shut = Call::Hold(Cause::Down, Methods::ALL);
    until("the door is shut", || daemon.plane.calls().contains(&shut)).await;
    // Three failures in a row, a second apart, mark it down: so it was probed, and did not pass.
    let instance: swap_core::Address = app.address.parse().unwrap();
    let marked = Call::Mark(instance, false);
    until("it is marked down", || {
        daemon.plane.calls().contains(&marked)
    })
    .await;
    assert!(!daemon.plane.calls().contains(&Call::Release));
    app.answer(200);
    until("it is back", || {
        daemon.plane.calls().contains(&Call::Release)
    })
    .await;
}

#[tokio::test]
async fn phases_count_what_runs_on_the_old_release() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let r0 = swap_core::Release {
        id: "r0".parse().unwrap(),
        instances: vec![old.address.parse().unwrap()],
    };
    {
        let counters = &mut daemon.plane.counters();
        counters.in_flight = 50;
        counters.draining = vec![(r0, 3, Duration::from_millis(1))];
    }
    daemon.plane.set_busy(true);
    let body = json!({ "release": "r1", "instance": [old.address] });
    let path = "/v1/apps/web/promote";
    let fields = [("accept", "text/event-stream")];
    let mut stream = daemon
        .client
        .listen(Method::POST, path, &fields, &body)
        .await;
    assert_eq!(stream.until_phase("booting").await["in_flight"], 50);
    assert_eq!(stream.until_phase("draining").await["in_flight"], 3);
    let progress = |event: &Value| event["event"] == "progress" && event["phase"] == "draining";
    assert_eq!(stream.until("progress", progress).await["in_flight"], 3);
    daemon.plane.end_running();
    assert_eq!(stream.rest().await.pop().unwrap()["event"], "receipt");
}

#[tokio::test]
async fn a_door_that_was_shut_again_is_not_told_to_be_open() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    daemon.client.web("hold", json!({})).await.ok();
    let mut stream = listen(&daemon, "/v1/events").await;
    let late = Signal::DoorOpen("web".parse().unwrap());
    daemon.plane.signal(late);
    // The driver takes signals and commands in turn, so this comes after it.
    for number in 0..20 {
        let body = json!({ "reason": number.to_string() });
        daemon.client.web("block", body).await.ok();
    }
    for _ in 0..20 {
        assert_eq!(stream.next().await.unwrap()["event"], "command");
    }
    assert_eq!(daemon.client.status().await["phase"], "holding");
}
