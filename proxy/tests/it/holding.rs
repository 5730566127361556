//! Requests wait at the door, in order, within limits, and go on when it opens.

use serde_json::{Value, json};

use crate::app::App;
use crate::daemon::Daemon;

async fn hold(daemon: &Daemon, body: Value) {
    let (status, answer) = daemon.say("POST", "/v1/apps/default/hold", body).await;
    assert!(status < 300, "{answer}");
}

#[tokio::test]
async fn a_held_request_is_answered_by_the_app_after_resume() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let mut client = daemon.asking("/one").await;
    daemon.held(1).await;
    assert!(
        app.targets().is_empty(),
        "nothing reaches the app while it is held"
    );
    daemon.verb("resume", json!({})).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "a 0"));
    assert!(
        app.seen()
            .iter()
            .any(|seen| seen.fields.contains_key("x-held-ms"))
    );
    assert_eq!(
        client.get("/two").await.status,
        200,
        "the connection goes on"
    );
}

#[tokio::test]
async fn a_connection_that_was_opened_for_a_held_request_is_used_once() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let mut client = daemon.asking("/held").await;
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.get("/later").await.status, 200);
    let closes = |target: &str| {
        let seen = app.seen().into_iter().find(|seen| seen.target == target);
        seen.unwrap().fields.get("connection").cloned()
    };
    assert_eq!(closes("/held").unwrap(), "close");
    assert_eq!(closes("/later"), None);
}

#[tokio::test]
async fn held_requests_go_on_in_the_order_in_which_they_came() {
    let app = App::start("a").await;
    // One every 50 ms, so that the app sees them in the order in which they were let go.
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.hold]\nresume_rate = 20\n";
    // One worker: where the system stops one of two for longer than a release waits, the other goes on.
    let flags = [&*format!("--upstream={}", app.address), "--workers=1"];
    let daemon = Daemon::start(&flags, config).await;
    hold(&daemon, json!({})).await;
    let mut clients = Vec::new();
    for number in 0..12 {
        clients.push(daemon.asking(&format!("/{number}")).await);
        daemon.held(number + 1).await;
    }
    daemon.verb("resume", json!({})).await;
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    let came: Vec<String> = (0..12).map(|number| format!("/{number}")).collect();
    assert_eq!(app.targets(), came);
}

/// A few change places on the way, because each comes to the app on a connection of its own.
#[tokio::test]
async fn a_held_post_does_not_go_behind_those_that_came_after_it() {
    const REQUESTS: usize = 300;
    const PLACES: usize = 50;
    let app = App::start("a").await;
    let flags = [&*format!("--upstream={}", app.address), "--workers=1"];
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.hold]\nmax_share = 1.0\n\
                  resume_rate = 100000\n";
    let daemon = Daemon::start(&flags, config).await;
    hold(&daemon, json!({})).await;
    let mut clients = Vec::new();
    for number in 0..REQUESTS {
        let mut client = daemon.client().await;
        let method = if number % 3 == 0 { "POST" } else { "GET" };
        client
            .say(format!(
                "{method} /{number} HTTP/1.1\r\nHost: x.test\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        daemon.held(number as u64 + 1).await;
        clients.push(client);
    }
    daemon.verb("resume", json!({})).await;
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    let came = app.targets();
    let late = came.iter().enumerate().filter(|(place, target)| {
        let number: usize = target[1..].parse().unwrap();
        *place > number + PLACES
    });
    assert_eq!(late.count(), 0, "{came:?}");
}

#[tokio::test]
async fn the_place_of_a_client_that_leaves_is_free_and_the_app_never_sees_its_request() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let mut stays = daemon.asking("/stays").await;
    let leaves = daemon.asking("/leaves").await;
    let resets = daemon.asking("/resets").await;
    daemon.held(3).await;
    drop(leaves);
    socket2::SockRef::from(&resets.stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(resets);
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(stays.answer().await.status, 200);
    assert_eq!(app.targets(), ["/stays"]);
}

#[tokio::test]
async fn the_excess_over_max_requests_is_refused_at_once() {
    let app = App::start("a").await;
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n\
        [app.default.hold]\nmax_requests = 2\nmax_share = 1.0\n";
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    hold(&daemon, json!({})).await;
    let (mut one, mut two) = (daemon.asking("/1").await, daemon.asking("/2").await);
    daemon.held(2).await;
    let refused = daemon.client().await.get("/3").await;
    assert_eq!(refused.status, 503);
    assert!(refused.field("retry-after").is_some());
    let status = refused.field("proxy-status").unwrap();
    assert!(
        status.contains("holdfast") && status.contains("hold_full"),
        "{status}"
    );
    daemon.verb("resume", json!({})).await;
    assert_eq!(
        (one.answer().await.status, two.answer().await.status),
        (200, 200)
    );
}

#[tokio::test]
async fn who_waits_longer_than_max_wait_gets_503() {
    let app = App::start("a").await;
    let config =
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.hold]\nmax_wait = \"300ms\"\n";
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    hold(&daemon, json!({"timeout": "20s"})).await;
    let mut client = daemon.asking("/late").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .field("proxy-status")
            .unwrap()
            .contains("hold_timeout")
    );
    daemon.verb("resume", json!({})).await;
    assert_eq!(
        client.get("/again").await.status,
        200,
        "the connection goes on"
    );
    assert_eq!(app.targets(), ["/again"]);
}

#[tokio::test]
async fn hold_writes_lets_reads_pass() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({"writes": true})).await;
    assert_eq!(daemon.client().await.get("/read").await.status, 200);
    let mut writer = daemon.client().await;
    writer
        .say("POST /write HTTP/1.1\r\nHost: x.test\r\nContent-Length: 2\r\n\r\nok")
        .await;
    daemon.held(1).await;
    assert_eq!(app.targets(), ["/read"]);
    daemon.verb("resume", json!({})).await;
    assert_eq!(writer.answer().await.text(), "a 2");
}

#[tokio::test]
async fn hold_returns_when_running_requests_have_ended() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut slow = daemon.asking("/slow/400").await;
    crate::client::until("running", async || !app.targets().is_empty()).await;
    hold(&daemon, json!({})).await;
    let done = tokio::time::timeout(std::time::Duration::from_millis(100), slow.answer()).await;
    assert_eq!(done.expect("hold returned while a request ran").status, 200);
}

#[tokio::test]
async fn an_empty_app_holds_until_its_first_promote() {
    let app = App::start("first").await;
    let daemon = Daemon::start(&[], "").await;
    let mut client = daemon.asking("/early").await;
    daemon.held(1).await;
    assert_eq!(daemon.status().await["phase"], "empty");
    let receipt = daemon.promote("v1", &app, json!({})).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    let answer = client.answer().await;
    assert_eq!(
        (answer.text().as_str(), answer.field("x-release")),
        ("first 0", Some("v1"))
    );
}

#[tokio::test]
async fn an_outer_balancers_health_check_is_answered_while_held() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let answer = daemon.client().await.get("/up").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "held: held\n")
    );
}

#[tokio::test]
async fn a_request_pipelined_behind_a_held_one_waits_and_is_answered_after_it() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let mut client = daemon.client().await;
    let one = "GET /1 HTTP/1.1\r\nHost: x.test\r\n\r\n";
    client
        .say(format!("{one}{}", one.replace("GET /1", "GET /2")))
        .await;
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(
        (client.answer().await.status, client.answer().await.status),
        (200, 200)
    );
    assert_eq!(app.targets(), ["/1", "/2"]);
}

#[tokio::test]
async fn a_head_at_its_limits_may_wait_too() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let many: String = (1..100).map(|n| format!("x-{n}:1\r\n")).collect();
    let long = many.replace(":1", &format!(":{}", "y".repeat(323)));
    let mut clients = Vec::new();
    for (fields, number) in [many, long].into_iter().zip(1..) {
        let mut client = daemon.client().await;
        client
            .say(&format!("GET / HTTP/1.1\r\nHost:a\r\n{fields}\r\n"))
            .await;
        daemon.held(number).await;
        clients.push(client);
    }
    daemon.verb("resume", json!({})).await;
    for client in &mut clients {
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
}

#[tokio::test]
async fn a_held_url_without_a_path_goes_on_as_the_root() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    hold(&daemon, json!({})).await;
    let mut client = daemon.client().await;
    client
        .say("GET http://x.test?q=1 HTTP/1.1\r\nHost: x.test\r\n\r\n")
        .await;
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(app.targets(), ["/?q=1"]);
}
