//! What a client may say, and what the app is told.

use crate::app::App;
use crate::daemon::Daemon;

#[tokio::test]
async fn the_app_is_told_who_asked_and_hop_by_hop_fields_stay_behind() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut client = daemon.client().await;
    client
        .say(
            "GET /x HTTP/1.1\r\nHost: Shop.test:81\r\nConnection: x-private\r\nX-Private: 1\r\n\
             X-Forwarded-For: 6.6.6.6\r\ntraceparent: 00-a-b-01\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.status, 200);
    let fields = app
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/x")
        .unwrap()
        .fields;
    assert_eq!(fields["host"], "Shop.test:81");
    assert_eq!(fields["x-forwarded-for"], "127.0.0.1");
    assert_eq!(fields["x-forwarded-proto"], "http");
    assert_eq!(fields["x-forwarded-host"], "Shop.test:81");
    assert_eq!(fields["traceparent"], "00-a-b-01");
    assert!(fields.contains_key("x-request-id"));
    assert!(!fields.contains_key("x-private") && !fields.contains_key("x-held-ms"));
}

#[tokio::test]
async fn a_client_that_names_no_host_asks_the_app_for_none() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut client = daemon.client().await;
    client.say("GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = app.seen();
    let seen = seen.iter().find(|seen| seen.target == "/old").unwrap();
    assert_eq!(seen.fields["host"], "");
}

#[tokio::test]
async fn a_get_with_a_chunked_body_has_it_at_the_app_too() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    for method in ["GET", "POST"] {
        let mut client = daemon.client().await;
        let head = format!("{method} /{method} HTTP/1.1\r\nHost: a\r\n");
        let body = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        client.say(&(head + body)).await;
        assert_eq!(client.answer().await.status, 200);
        let seen = app.seen();
        let target = format!("/{method}");
        let seen = seen.iter().find(|seen| seen.target == target).unwrap();
        assert_eq!(seen.fields["transfer-encoding"], "chunked");
        assert_eq!(seen.body, &b"hello"[..], "{method}");
    }
}

#[tokio::test]
async fn a_bad_request_is_refused_with_its_reason() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut client = daemon.client().await;
    client
        .say("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .field("proxy-status")
            .unwrap()
            .contains("more than one Host")
    );
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn json_is_answered_to_who_accepts_it() {
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\nhosts = [\"a.test\"]\n";
    let daemon = Daemon::start(&[], config).await;
    let mut client = daemon.client().await;
    client
        .say("GET / HTTP/1.1\r\nHost: b.test\r\nAccept: application/json\r\n\r\n")
        .await;
    let answer = client.answer().await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &body["reason"]),
        (404, &serde_json::json!("no_route"))
    );
}

/// An app that says this, whatever it is asked, and closes the connection.
async fn saying(answer: String) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn an_answer_has_at_most_a_hundred_fields() {
    for (fields, status) in [(100, 200), (101, 502)] {
        let more = "X-More: 1\r\n".repeat(fields - 1);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{more}\r\n");
        let upstream = format!("--upstream={}", saying(answer).await);
        let daemon = Daemon::start(&[&upstream], "").await;
        let answer = daemon.client().await.get("/").await;
        assert_eq!(answer.status, status, "{fields} fields");
        let malformed = answer.text().contains("upstream_malformed");
        assert_eq!(malformed, status == 502, "{}", answer.text());
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let address = saying(short.to_owned()).await;
    let daemon = Daemon::start(&[&format!("--upstream={address}")], "").await;
    let mut client = daemon.client().await;
    client.say("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n").await;
    let answer = tokio::time::timeout(crate::client::PATIENCE, client.try_answer())
        .await
        .unwrap();
    assert!(answer.is_none(), "{answer:?}");
}
