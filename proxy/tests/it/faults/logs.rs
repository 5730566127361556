//! F27: nobody reads the log, the access log or the metrics. No request waits for that, and what was dropped is counted.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Before, config};
use crate::app::App;
use crate::client::{Client, until};
use crate::daemon::{BEFORE, Daemon};

/// More than fits into a pipe and into what waits for it.
const LINES: usize = 3_000;

#[tokio::test]
async fn f27_a_log_that_nobody_reads_costs_its_lines_and_no_request() {
    let app = App::start("a").await;
    let address = app.address;
    let upstream = format!("--upstream={address}");
    let verbose = format!("{BEFORE}export HOLDFAST_LOG=debug");
    let flags = [&upstream, &verbose, "--admin=127.0.0.1:0", "--workers=1"];
    let mut daemon = Daemon::start(&flags, &config("[app.default.hold]\nwhen_down = false")).await;
    let before = Before::of(&daemon).await;
    daemon.leave_log(true);
    app.kill().await;
    // Each of these is a line of the worker's.
    let mut client = daemon.client().await;
    for _ in 0..LINES {
        assert_eq!(client.get("/").await.status, 502);
    }
    let dropped = daemon.metric("holdfast_log_dropped_total").await;
    assert!(dropped > 0.0, "everything was written");
    eprintln!("{dropped} lines were dropped");
    drop(client);
    let _again = App::start_at("a", address).await;
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    // Commands, reloads and an upgrade say something too.
    daemon.signal(Signal::HUP);
    let was = daemon.pid();
    let (status, answer) = daemon.say("POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["was"], was);
    daemon.succeeded_by(answer["pid"].as_u64().unwrap());
    assert!(daemon.predecessor_ended().await.success());
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    daemon.leave_log(false);
    until("it is read again", async || {
        daemon.has_said(&["the process before this one has ended"])
    })
    .await;
    before.is_back_after_an_upgrade(&daemon).await;
}

#[tokio::test]
async fn f27_an_access_log_that_nobody_reads_costs_its_lines_and_no_request() {
    let app = App::start("a").await;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("access");
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
    // A pipe is opened when somebody has its other end, who need not read.
    let reader = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let config = format!("server = {{ access_log = {path:?} }}\n{}", config(""));
    let upstream = format!("--upstream={}", app.address);
    let flags = [&upstream, "--admin=127.0.0.1:0", "--workers=1"];
    let mut daemon = Daemon::start(&flags, &config).await;
    let before = Before::of(&daemon).await;
    let mut client = daemon.client().await;
    // A pipe and 64 pages of 32 KiB, and long paths.
    let long = "x".repeat(2_000);
    let dropped = async || daemon.metric("holdfast_access_log_dropped_total").await;
    for number in 0..LINES {
        let answer = client.get(&format!("/{number}/{long}")).await;
        assert_eq!(answer.status, 200);
        if number % 100 == 0 && dropped().await > 0.0 {
            break;
        }
    }
    assert!(dropped().await > 0.0, "everything was written");
    drop(client);
    before.is_back(&daemon).await;
    daemon.terminate();
    assert!(
        daemon.ended().await.success(),
        "nor does it wait at its end"
    );
    drop(reader);
}

#[tokio::test]
async fn f27_scrapers_that_read_nothing_keep_no_request_waiting_and_the_metrics_only_for_a_while() {
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let daemon = Daemon::start(&[&upstream, "--admin=127.0.0.1:0"], "").await;
    let before = Before::of(&daemon).await;
    let asks = "GET /metrics HTTP/1.1\r\nHost: m\r\n\r\n".repeat(2_000);
    let mut scrapers = Vec::new();
    // More than may be connected at once.
    for _ in 0..40 {
        let mut scraper = TcpStream::connect(daemon.admin()).await.unwrap();
        let asking = scraper.write_all(asks.as_bytes());
        // As many as are taken.
        let _ = tokio::time::timeout(Duration::from_millis(20), asking).await;
        scrapers.push(scraper);
    }
    for _ in 0..100 {
        assert_eq!(daemon.client().await.get("/").await.status, 200);
    }
    // 10 s for questions and 5 for the last answer, for 32 and then for the rest.
    let mut next = Client::connect(daemon.admin()).await;
    next.say("GET /metrics HTTP/1.1\r\nHost: m\r\n\r\n").await;
    assert_eq!(
        next.answer_within(Duration::from_secs(60)).await.status,
        200
    );
    drop((scrapers, next));
    before.is_back(&daemon).await;
}
