//! F1 to F5 and F21: releases that never get ready, flap, die, or never answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use super::{Before, Slicer, ToxicProxy, Toxics, at, behind};
use crate::app::{App, scripted};
use crate::client::until;
use crate::daemon::Daemon;

/// A probe that does not wait long.
const PROBE: &str = "[app.default.probe]\ntimeout = \"300ms\"\ninterval = \"200ms\"";

/// Asks for a promote and does not wait for its end.
fn promoting(daemon: &Arc<Daemon>, body: Value) -> JoinHandle<Value> {
    let daemon = daemon.clone();
    tokio::spawn(async move { daemon.verb("promote", body).await })
}

/// With either strategy: the old release answers meanwhile and afterwards, and the receipt says what the last probe found.
async fn never_gets_ready(address: SocketAddr, why: &str) {
    let old = App::start("old").await;
    let daemon = Arc::new(at(old.address, PROBE).await);
    let before = Before::of(&daemon).await;
    for strategy in ["overlap", "hold"] {
        let body = json!({
            "release": "never", "instance": [address.to_string()], "strategy": strategy,
            "boot_timeout": "4s",
        });
        let promote = promoting(&daemon, body);
        until("the boot", async || {
            let status = daemon.status().await;
            status["phase"] == "booting" || status["hold"]["active"] == true
        })
        .await;
        let answer = daemon.client().await.get("/meanwhile").await;
        assert_eq!(answer.text(), "old 0", "{strategy}, {why}");
        let receipt = promote.await.unwrap();
        assert_eq!(receipt["outcome"], "failed", "{receipt}");
        let said = receipt["why"].as_str().unwrap();
        // The machine may have been so busy that none has.
        let is_known = !said.ends_with("no probe has ended");
        assert!(
            !is_known || said.contains(why),
            "{strategy}: {said:?}, not {why:?}"
        );
        assert_eq!(daemon.status().await["live"]["release"], "initial");
    }
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f01_a_release_that_never_gets_ready_leaves_the_old_one_serving() {
    let new = App::start("new").await;
    let hangs = ToxicProxy::start(new.address).await.unwrap();
    hangs.set(Toxics {
        blackhole: true,
        ..Toxics::default()
    });
    let drips = ToxicProxy::start(new.address).await.unwrap();
    let (octets, pause) = (1, Duration::from_secs(1));
    drips.set(Toxics {
        slicer: Some(Slicer { octets, pause }),
        ..Toxics::default()
    });
    // Nobody listens, and nobody else gets the port.
    let refuses = TcpSocket::new_v4().unwrap();
    refuses.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let broken = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";
    let broken = scripted(|_| broken.to_owned()).await;
    // At once, because each boot takes its time.
    tokio::join!(
        never_gets_ready(hangs.address(), "no answer to GET /up within 300ms"),
        never_gets_ready(drips.address(), "no answer to GET /up within 300ms"),
        never_gets_ready(refuses.local_addr().unwrap(), "connection refused"),
        never_gets_ready(broken, "answered 500 to GET /up"),
    );
}

#[tokio::test]
async fn f01_who_is_held_for_a_release_that_never_gets_ready_gets_503_where_the_old_one_is_gone() {
    let old = App::start("old").await;
    let nobody = App::start("x").await.kill().await;
    let daemon = Arc::new(at(old.address, "[app.default.hold]\nmax_wait = \"5s\"").await);
    let before = Before::of(&daemon).await;
    let address = old.kill().await;
    let body = json!({"release": "never", "instance": [nobody.to_string()], "strategy": "hold"});
    let promote = promoting(&daemon, body);
    until("held", async || {
        daemon.status().await["hold"]["active"] == true
    })
    .await;
    let answer = daemon.client().await.get("/held").await;
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").is_some(), "{}", answer.head);
    assert_eq!(promote.await.unwrap()["outcome"], "failed");
    let _again = App::start_at("old", address).await;
    works_again(&daemon).await;
    before.is_back(&daemon).await;
}

/// Waits until the app that was started again is seen to be there.
async fn works_again(daemon: &Daemon) {
    until("it works again", async || {
        daemon.client().await.get("/again").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn f02_a_probe_that_flaps_passes_only_in_a_row_and_revives_nothing() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let probe = "[app.default.probe]\npasses = 3\ninterval = \"100ms\"";
    let daemon = Arc::new(at(old.address, probe).await);
    let before = Before::of(&daemon).await;
    // Two of three pass.
    let flaps = scripted(|number| {
        let status = if number % 3 == 2 { 503 } else { 200 };
        format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n")
    })
    .await;
    let body =
        json!({"release": "flaps", "instance": [flaps.to_string()], "boot_timeout": "1500ms"});
    let receipt = daemon.verb("promote", body).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");

    let mut slow = daemon.asking("/wait").await;
    until("it is at the old release", async || {
        old.targets().contains(&"/wait".to_owned())
    })
    .await;
    let body = json!({"release": "v2", "instance": [new.address.to_string()]});
    let promote = promoting(&daemon, body);
    until("the old one drains", async || {
        daemon.status().await["phase"] == "draining"
    })
    .await;
    // It passes its probes as before, and gets nothing new.
    let had = old.targets().len();
    for _ in 0..50 {
        let answer = daemon.client().await.get("/").await;
        assert_eq!(answer.field("x-release"), Some("v2"));
    }
    assert_eq!(old.targets().len(), had);
    old.let_go();
    assert_eq!(slow.answer().await.text(), "old 0");
    drop(slow);
    assert_eq!(promote.await.unwrap()["outcome"], "done");
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f03_a_release_that_dies_right_after_the_swap_is_waited_for_and_rolled_back_in_one_command()
{
    let (old, new) = (App::start("old").await, App::start("new").await);
    let upstream = format!("--upstream={}", old.address);
    let daemon = Daemon::start(&[&upstream, "--admin=127.0.0.1:0"], "").await;
    let before = Before::of(&daemon).await;
    daemon.promote("v2", &new, json!({})).await;
    let mut poster = daemon.client().await;
    poster
        .say("POST /slow/60000 HTTP/1.1\r\nHost: x.test\r\nContent-Length: 1\r\n\r\nx")
        .await;
    new.asked(1).await;
    new.kill().await;
    assert_eq!(poster.answer().await.status, 502, "not sent twice");
    assert_eq!(daemon.metric("holdfast_lost_total").await, 1.0);
    let mut held = daemon.asking("/held").await;
    daemon.held(1).await;
    assert_eq!(daemon.status().await["hold"]["cause"], "down");
    let receipt = daemon.verb("rollback", json!({})).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    assert_eq!(held.answer().await.text(), "old 0");
    assert_eq!(old.targets(), ["/held"], "the POST went nowhere else");
    drop((poster, held));
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f04_a_hold_goes_on_when_the_old_release_dies_and_nobody_is_lost_from_it() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = at(old.address, PROBE).await;
    let before = Before::of(&daemon).await;
    daemon.verb("hold", json!({})).await;
    let mut clients = Vec::new();
    for number in 0..20 {
        clients.push(daemon.asking(&format!("/{number}")).await);
    }
    daemon.held(20).await;
    let address = old.kill().await;
    until("its death is seen", async || {
        daemon.status().await["live"]["instances"][0]["health"] != "up"
    })
    .await;
    assert_eq!(daemon.status().await["hold"]["held"], 20);
    daemon.promote("v2", &new, json!({})).await;
    daemon.verb("resume", json!({})).await;
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "new 0");
    }
    assert_eq!(new.targets().len(), 20);
    drop((clients, address));
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f05_with_both_down_a_hold_is_bounded_and_then_503() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = at(old.address, "[app.default.hold]\nmax_wait = \"800ms\"").await;
    let before = Before::of(&daemon).await;
    daemon.promote("v2", &new, json!({})).await;
    let (_, address) = (old.kill().await, new.kill().await);
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(daemon.asking("/").await);
    }
    for client in &mut clients {
        let answer = client.answer().await;
        assert_eq!(answer.status, 503);
        assert!(answer.field("retry-after").is_some(), "{}", answer.head);
    }
    drop(clients);
    let _again = App::start_at("new", address).await;
    works_again(&daemon).await;
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f21_an_app_that_never_answers_is_cut_at_the_drain_timeout_and_the_receipt_says_so() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let toxic = ToxicProxy::start(old.address).await.unwrap();
    let daemon = behind(&toxic, "").await;
    let before = Before::of(&daemon).await;
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    toxic.set(Toxics {
        blackhole: true,
        ..Toxics::default()
    });
    let mut stuck = daemon.asking("/stuck").await;
    until("it runs", async || {
        daemon.status().await["live"]["in_flight"] == 1
    })
    .await;
    let receipt = daemon
        .promote("v2", &new, json!({"drain_timeout": "500ms"}))
        .await;
    let counts = ["drained", "cut", "lost"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [0, 1, 0], "{receipt}");
    let answer = stuck.answer().await;
    assert_eq!(answer.status, 502, "{}", answer.head);
    drop(stuck);
    before.is_back(&daemon).await;
}
