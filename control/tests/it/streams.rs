//! Readers of events who are slow, stuck or many keep nobody waiting.

use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::cast::{App, Place};

#[tokio::test]
async fn a_stuck_reader_delays_nobody_and_is_told_what_he_missed() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let mut stuck = daemon
        .client
        .listen(Method::GET, "/v1/events", &[], &Value::Null)
        .await;
    // Far more than the socket, the channel and the ring can hold for one who does not read.
    let words = "x".repeat(900);
    let began = Instant::now();
    for _ in 0..1500 {
        daemon
            .client
            .web("block", json!({ "reason": words }))
            .await
            .ok();
    }
    println!(
        "1500 blocks beside a stuck reader took {:?}",
        began.elapsed()
    );
    assert_eq!(daemon.client.status().await["blocked"]["reason"], words);
    let missed = stuck
        .until("missed", |event| event["event"] == "missed")
        .await;
    assert!(missed["count"].as_u64().unwrap() > 0, "{missed}");
}

#[tokio::test]
async fn streams_are_bounded_and_leave_places_for_commands() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(
            daemon
                .client
                .listen(Method::GET, "/v1/events", &[], &Value::Null)
                .await,
        );
    }
    daemon
        .client
        .get("/v1/events")
        .await
        .must_be(503, "too_many_streams");
    let body = json!({
        "release": "r1", "instance": [app.address], "strategy": "hold", "command": true,
    });
    daemon
        .client
        .web("promote", body)
        .await
        .must_be(503, "too_many_streams");
    assert_eq!(
        daemon.client.status().await["phase"],
        "steady",
        "nothing has begun"
    );
    streams.pop();
    let fields = [("accept", "text/event-stream")];
    let body = json!({ "release": "r0" }).to_string();
    let path = "/v1/apps/web/promote";
    let end = Instant::now() + crate::cast::DEADLINE;
    while daemon
        .client
        .ask(Method::POST, path, &fields, body.clone())
        .await
        .status
        == 503
    {
        assert!(Instant::now() < end, "the place is not free again");
    }
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_commands_out() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let mut silent = Vec::new();
    for _ in 0..63 {
        let mut stream = daemon.client.connect().await;
        stream.write_all(b"GET /v1/sta").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(daemon.client.live().await, "r0");
}
