//! The daemon dies without a word and comes back: with exactly the old or the new release, and an acknowledged promote
//! stands.

use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::app::App;
use crate::client::until;
use crate::daemon::Daemon;

/// Begins a promote and does not wait for its answer.
async fn begin_promote(daemon: &Daemon, release: &str, app: &App, strategy: &str) -> UnixStream {
    let body = json!({
        "release": release, "instance": [app.address.to_string()], "strategy": strategy,
    })
    .to_string();
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    let head = format!(
        "POST /v1/apps/default/promote HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn live(daemon: &Daemon) -> String {
    daemon.status().await["live"]["release"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_daemon_killed_at_random_moments_of_a_swap_serves_the_old_or_the_new_release() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (a, b) = (App::start("a").await, App::start("b").await);
    let mut daemon = Daemon::with(&a).await;
    let (mut before, mut generation) = ("initial".to_owned(), 0);
    for round in 0..25 {
        let release = format!("r{round}");
        let app = if round % 2 == 0 { &b } else { &a };
        let strategy = if random.bool() { "overlap" } else { "hold" };
        let stream = begin_promote(&daemon, &release, app, strategy).await;
        tokio::time::sleep(Duration::from_micros(random.u64(0..15_000))).await; // The moment of the kill.
        daemon.kill_and_start_again();
        drop(stream);
        let now = live(&daemon).await;
        assert!(
            now == before || now == release,
            "round {round}: {now} is neither"
        );
        let status = daemon.status().await;
        let newer = status["generation"].as_u64().unwrap();
        assert!(
            newer > generation,
            "round {round}: generation {newer} after {generation}"
        );
        let answer = daemon.client().await.get("/").await;
        assert_eq!(
            (answer.status, answer.field("x-release")),
            (200, Some(now.as_str()))
        );
        (before, generation) = (now, newer);
    }
}

#[tokio::test]
async fn an_acknowledged_promote_and_its_receipt_stand() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let mut daemon = Daemon::with(&a).await;
    let receipt = daemon
        .promote("v2", &b, json!({"operation": "deploy-7"}))
        .await;
    daemon.kill_and_start_again();
    assert_eq!(live(&daemon).await, "v2");
    assert_eq!(daemon.client().await.get("/").await.text(), "b 0");
    let (status, operation) = daemon
        .say("GET", "/v1/operations/deploy-7", json!({}))
        .await;
    assert_eq!((status, &operation["receipt"]), (200, &receipt));
    let again = daemon
        .promote("v2", &b, json!({"operation": "deploy-7"}))
        .await;
    assert_eq!(
        again, receipt,
        "the same operation again is the first one's result"
    );
}

#[tokio::test]
async fn a_hold_by_command_holds_again_after_a_crash() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    daemon.verb("hold", json!({"writes": true})).await;
    daemon.kill_and_start_again();
    let mut writer = daemon.client().await;
    writer
        .say("POST /w HTTP/1.1\r\nHost: x.test\r\nContent-Length: 1\r\n\r\nx")
        .await;
    until("held", async || daemon.status().await["hold"]["held"] == 1).await;
    assert_eq!(daemon.client().await.get("/r").await.status, 200);
    daemon.verb("resume", json!({})).await;
    assert_eq!(writer.answer().await.status, 200);
}
