//! SIGTERM: nobody new comes in, whoever is in goes out as usual. A second one: at once.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::app::App;
use crate::client::{Client, until, until_refused, until_shut};
use crate::daemon::Daemon;

/// Much less than the requests here take, much more than a machine's hiccup.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A daemon with a request under way that takes so many milliseconds.
async fn with_a_request(ms: u64) -> (App, Daemon, Client) {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let client = daemon.asking(&format!("/slow/{ms}")).await;
    app.asked(1).await;
    (app, daemon, client)
}

/// Returns when nobody new is let in.
async fn shut(daemon: &Daemon) {
    until_shut(daemon.address).await;
}

#[tokio::test]
async fn a_running_request_ends_before_the_daemon_does() {
    let (_app, mut daemon, mut client) = with_a_request(1_000).await;
    daemon.terminate();
    shut(&daemon).await;
    assert_eq!(client.answer().await.status, 200);
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn idle_connections_have_five_seconds() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let mut client = daemon.client().await;
    client.get("/").await;
    let _silent = TcpStream::connect(daemon.address).await.unwrap();
    let began = Instant::now();
    daemon.terminate();
    shut(&daemon).await;
    assert_eq!(client.get("/").await.status, 200, "whoever is in is served");
    assert!(daemon.ended().await.success());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (_app, mut daemon, _client) = with_a_request(60_000).await;
    let began = Instant::now();
    daemon.terminate();
    shut(&daemon).await;
    daemon.terminate();
    assert!(daemon.ended().await.success());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn whoever_has_connected_is_served_and_nobody_else_can_connect() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let clients: Vec<_> = (0..8).map(|_| until_refused(daemon.address)).collect();
    until("all of them are served", async || app.targets().len() > 100).await;
    daemon.terminate();
    for client in clients {
        client.await.unwrap();
    }
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn whoever_waits_for_a_place_is_served_too() {
    let app = App::start("a").await;
    let config =
        "[limits]\nconnections = 1\n[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n";
    let upstream = format!("--upstream={}", app.address);
    let mut daemon = Daemon::start(&[&upstream, "--workers=1"], config).await;
    let mut first = daemon.client().await;
    first.get("/").await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(daemon.asking("/").await);
    }
    daemon.terminate();
    for mut client in waiting {
        assert_eq!(client.answer().await.status, 200);
    }
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn each_request_that_was_answered_before_the_stop_is_in_the_access_log() {
    let app = App::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let config = format!(
        "server = {{ access_log = \"{}\" }}\n[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n",
        log.display()
    );
    let upstream = format!("--upstream={}", app.address);
    let mut daemon = Daemon::start(&[&upstream, "--workers=2"], &config).await;
    for who in 0..10 {
        let mut client = daemon.client().await;
        for request in 0..10 {
            client.get(&format!("/{who}/{request}")).await;
        }
    }
    // Within the time that a page of the log may still be written on.
    daemon.terminate();
    assert!(daemon.ended().await.success());
    let text = std::fs::read_to_string(&log).unwrap();
    let paths: std::collections::BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths.len(), 100, "{text}");
}
