//! What one client may take. The limits are set low here, so that nobody has to wait for them.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::client::{PATIENCE, until};
use crate::daemon::{Daemon, OPEN_FILES};

/// A daemon with these limits.
async fn daemon(app: &App, limits: &str) -> Daemon {
    let config =
        format!("[limits]\n{limits}\n[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n");
    Daemon::start(&[&format!("--upstream={}", app.address)], &config).await
}

/// What comes until the end, and how long that took.
async fn rest(mut stream: TcpStream) -> (String, Duration) {
    let (began, mut said) = (Instant::now(), String::new());
    let reading = timeout(PATIENCE, stream.read_to_string(&mut said));
    reading.await.expect("the end in time").unwrap();
    (said, began.elapsed())
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let app = App::start("a").await;
    let daemon = daemon(&app, "idle = \"1s\"\nhead = \"500ms\"").await;
    let mut client = daemon.client().await;
    assert_eq!(client.get("/").await.status, 200);
    let (said, took) = rest(client.stream).await;
    assert_eq!(said, "");
    assert!(took > Duration::from_millis(900), "{took:?}");
    let (said, _) = rest(TcpStream::connect(daemon.address).await.unwrap()).await;
    assert_eq!(said, "", "nothing was asked, so nothing is answered");
}

#[tokio::test]
async fn a_slow_head_gets_408() {
    let app = App::start("a").await;
    let daemon = daemon(&app, "head = \"1s\"").await;
    let mut client = daemon.client().await;
    client.say("GET / HTTP/1.1\r\nHost: x.te").await;
    let (said, took) = rest(client.stream).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(took > Duration::from_millis(900), "{took:?}");
}

#[tokio::test]
async fn a_body_that_pauses_or_drips_gets_408() {
    let app = App::start("a").await;
    let head = "POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 100000\r\n\r\n";
    for limits in [
        "body_pause = \"1s\"",
        "body_grace = \"1s\"\nbody_rate = 100000",
    ] {
        let daemon = daemon(&app, limits).await;
        let mut client = daemon.client().await;
        client.say(head).await;
        client.say("a few octets").await;
        assert_eq!(client.answer().await.status, 408, "{limits}");
    }
}

#[tokio::test]
async fn heads_have_a_size_and_a_number_of_fields() {
    let app = App::start("a").await;
    let limits = "head_size = \"8KiB\"\ntarget_size = \"1KiB\"\nfields = 12";
    let daemon = daemon(&app, limits).await;
    let ask = async |target: &str, fields: &str| {
        let mut client = daemon.client().await;
        client
            .say(format!(
                "GET {target} HTTP/1.1\r\nHost: x.test\r\n{fields}\r\n"
            ))
            .await;
        client.answer().await.status
    };
    let long = |len| format!("/{}", "x".repeat(len));
    assert_eq!(ask(&long(1_000), "").await, 200);
    assert_eq!(ask(&long(1_100), "").await, 414);
    assert_eq!(ask("/", &"X-A: b\r\n".repeat(11)).await, 200);
    assert_eq!(ask("/", &"X-A: b\r\n".repeat(12)).await, 431);
    assert_eq!(
        ask("/", &format!("X-A: {}\r\n", "b".repeat(9_000))).await,
        431
    );
}

async fn in_flight(daemon: &Daemon) -> Option<u64> {
    daemon.status().await["live"]["in_flight"].as_u64()
}

#[tokio::test]
async fn whoever_takes_nothing_of_an_answer_is_given_up() {
    let app = App::start("a").await;
    let daemon = daemon(&app, "write = \"1s\"\nhead = \"500ms\"").await;
    let mut client = daemon.client().await;
    client
        .say("GET /big/64 HTTP/1.1\r\nHost: x.test\r\n\r\n")
        .await;
    until("it runs", async || in_flight(&daemon).await == Some(1)).await;
    until("it is given up", async || {
        in_flight(&daemon).await == Some(0)
    })
    .await;
    drop(client);
}

#[tokio::test]
async fn whoever_opens_no_window_for_a_stream_is_given_up_with_its_connection() {
    let app = App::start("a").await;
    let daemon = daemon(&app, "write = \"1s\"").await;
    let stream = TcpStream::connect(daemon.address).await.unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1_000)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut ask = async |target: &str| {
        let request = Request::get(format!("http://x.test{target}"));
        let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
        sender.send_request(request).await.unwrap()
    };
    let untaken = ask("/big/1").await;
    let taken = ask("/").await.into_body().collect().await.unwrap();
    assert_eq!(taken.to_bytes(), "a 0", "other streams go on");
    assert_eq!(in_flight(&daemon).await, Some(1));
    until("it is given up", async || {
        in_flight(&daemon).await == Some(0)
    })
    .await;
    timeout(PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert!(untaken.into_body().collect().await.is_err());
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_served_and_the_next_one_waits() {
    let app = App::start("a").await;
    let config =
        "[limits]\nconnections = 2\n[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n";
    let flags = [&format!("--upstream={}", app.address), "--workers=1"];
    let daemon = Daemon::start(&flags, config).await;
    let (mut first, mut second) = (daemon.client().await, daemon.client().await);
    assert_eq!(first.get("/1").await.status, 200);
    assert_eq!(second.get("/2").await.status, 200);
    let mut third = daemon.client().await;
    let early = timeout(Duration::from_millis(300), third.get("/3")).await;
    assert!(early.is_err(), "two are connected");
    drop(first);
    assert_eq!(third.answer().await.status, 200);
    daemon.verb("hold", json!({})).await;
    daemon.verb("resume", json!({})).await;
}

#[test]
fn more_connections_than_files_are_refused_at_the_start() {
    let config =
        "[limits]\nconnections = 1000000\n[[listen]]\naddress = \"127.0.0.1:0\"\n[app.a]\n";
    let said = Daemon::refused(config);
    assert!(said.contains("limits.connections: 1000000"), "{said}");
}

#[tokio::test]
async fn streams_of_a_connection_are_counted() {
    let app = App::start("a").await;
    let daemon = daemon(&app, "streams = 3").await;
    daemon.verb("hold", json!({})).await;
    let stream = TcpStream::connect(daemon.address).await.unwrap();
    let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shaking.await.unwrap();
    tokio::spawn(connection);
    // The client knows of the limit once it has had an answer to its first frame.
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..6 {
        let mut sender = sender.clone();
        asking.spawn(async move {
            let request = Request::get(format!("http://x.test/{number}"));
            let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
            sender
                .send_request(request)
                .await
                .map(|answer| answer.status().as_u16())
        });
    }
    daemon.held(3).await;
    daemon.verb("resume", json!({})).await;
    let answers = asking.join_all().await;
    let answered = answers.iter().filter(|answer| matches!(answer, Ok(200)));
    assert!(answered.count() >= 3, "{answers:?}");
}

#[tokio::test]
async fn at_the_limit_of_open_files_nobody_spins_and_commands_are_answered() {
    let app = App::start("a").await;
    let files = format!("{OPEN_FILES}300");
    let flags = [
        &format!("--upstream={}", app.address),
        &*files,
        "--workers=1",
    ];
    let daemon = Daemon::start(&flags, "").await;
    // (300 - 128) / 2 are served; the others wait.
    let mut served = Vec::new();
    for _ in 0..86 {
        let mut client = daemon.client().await;
        assert_eq!(client.get("/").await.status, 200);
        served.push(client);
    }
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(daemon.client().await);
    }
    let mut next = waiting.remove(0);
    let before = daemon.ticks();
    let early = timeout(Duration::from_secs(1), next.get("/")).await;
    assert!(early.is_err(), "there is no room for it");
    let spent = daemon.ticks() - before;
    assert!(spent < 50, "{spent} ticks of 100 while nothing happens");
    assert_eq!(daemon.status().await["phase"], "steady");
    drop(served);
    assert_eq!(next.answer().await.status, 200);
}
