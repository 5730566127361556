//! Receipts: what is counted, from the moment in which an operation began.

use serde_json::json;

use crate::cast::{App, Call, Place, until};

#[tokio::test]
async fn a_receipt_counts_from_the_beginning_of_its_operation() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    *daemon.plane.counters() = holdfast_control::plane::Traffic {
        retried: 5,
        drained: 7,
        cut: 2,
        lost: 1,
        ..Default::default()
    };
    let new = App::answering(503).await;
    let body =
        json!({ "release": "r1", "instance": [new.address], "detach": true, "operation": "op" });
    daemon.client.web("promote", body).await;
    daemon.plane.counters().retried += 3;
    daemon.plane.counters().drained += 31;
    new.answer(200);
    let ended = daemon.client.get("/v1/operations/op?wait=true").await.ok();
    let receipt = &ended["receipt"];
    let counted = ["retried", "drained", "cut", "lost"].map(|field| receipt[field].as_u64());
    assert_eq!(counted, [Some(3), Some(31), Some(0), Some(0)]);
}

#[tokio::test]
async fn a_swap_with_strategy_hold_tells_of_its_hold() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::answering(503).await;
    let body = json!({
        "release": "r1", "instance": [new.address], "strategy": "hold", "detach": true,
        "operation": "op",
    });
    daemon.client.web("promote", body).await;
    until("the door is shut", || daemon.plane.counters().hold.active).await;
    {
        let hold = &mut daemon.plane.counters().hold;
        (hold.held, hold.released, hold.abandoned, hold.waiting) = (412, 409, 2, 0);
        hold.held_peak = 398;
        hold.shed.timeout = 1;
    }
    new.answer(200);
    let ended = daemon.client.get("/v1/operations/op?wait=true").await.ok();
    let receipt = &ended["receipt"];
    assert_eq!(
        (&receipt["held"], &receipt["held_peak"]),
        (&json!(412), &json!(398))
    );
    let parts = ["released", "abandoned", "waiting"].map(|field| receipt[field].as_u64().unwrap());
    let timeout = receipt["shed"]["timeout"].as_u64().unwrap();
    assert_eq!(parts.iter().sum::<u64>() + timeout, 412);
    assert!(
        receipt["hold_ms"].is_u64() && receipt["boot_ms"].is_u64(),
        "{receipt}"
    );
}

#[tokio::test]
async fn an_earlier_hold_is_not_told_of_again() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    daemon.client.web("hold", json!({})).await.ok();
    daemon.plane.counters().hold.held = 9;
    daemon.client.web("resume", json!({})).await.ok();
    until("the door is open", || {
        daemon.plane.calls().contains(&Call::Release)
    })
    .await;
    let receipt = daemon.client.promote("r1", &app.address).await.ok();
    assert_eq!(receipt["held"], 0);
}

#[tokio::test]
async fn a_rollback_during_a_drain_ends_the_promote_with_the_promotes_own_counts() {
    let place = Place::new();
    let old = App::ready().await;
    let daemon = place.start(&old.address);
    let new = App::ready().await;
    daemon.plane.set_busy(true);
    let body =
        json!({ "release": "r1", "instance": [new.address], "detach": true, "operation": "up" });
    daemon.client.web("promote", body).await;
    while daemon.client.status().await["phase"] != "draining" {}
    daemon.plane.counters().lost += 4;
    let body = json!({ "operation": "down", "detach": true });
    assert_eq!(daemon.client.web("rollback", body).await.status, 202);
    let up = daemon.client.get("/v1/operations/up?wait=true").await.ok();
    assert_eq!(
        (&up["receipt"]["outcome"], &up["receipt"]["lost"]),
        (&json!("aborted"), &json!(4))
    );
    while daemon.client.status().await["phase"] != "draining" {}
    daemon.plane.end_running();
    let down = daemon
        .client
        .get("/v1/operations/down?wait=true")
        .await
        .ok();
    assert_eq!(
        (&down["receipt"]["outcome"], &down["receipt"]["lost"]),
        (&json!("done"), &json!(0))
    );
    assert_eq!(daemon.client.live().await, "r0");
}
