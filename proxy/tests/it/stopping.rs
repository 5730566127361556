//! SIGTERM: nobody new comes in, whoever is in goes out as usual. A second one: at once.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::app::App;
use crate::client::{Client, until};
use crate::daemon::Daemon;

/// Much less than the requests here take, much more than a machine's hiccup.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A daemon with a request under way that takes so many milliseconds.
async fn with_a_request(ms: u64) -> (App, Daemon, Client) {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut client = daemon.client().await;
    client
        .say(format!("GET /slow/{ms} HTTP/1.1\r\nHost: x.test\r\n\r\n"))
        .await;
    until("the request is at the app", async || {
        app.targets().len() == 1
    })
    .await;
    (app, daemon, client)
}

/// Returns when nobody new is let in.
async fn shut(daemon: &Daemon) {
    let refuses = async || TcpStream::connect(daemon.address).await.is_err();
    until("nobody new is let in", refuses).await;
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
