//! Whatever is said to the socket, it is answered or ended, and nothing changes.

use http::Method;
use serde_json::json;

use crate::cast::{App, Daemon, Place};

const PROMOTE: &str = "/v1/apps/web/promote";

async fn started(place: &Place) -> Daemon {
    let app = App::ready().await;
    place.start(&app.address)
}

/// The status line of an answer to these octets.
async fn status_line(daemon: &Daemon, octets: &[u8]) -> String {
    let said = daemon.client.say(octets).await;
    said.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn wrong_fields_are_400_and_named() {
    let place = Place::new();
    let daemon = started(&place).await;
    for (body, named) in [
        (r#"{"release":"r1","instanze":[]}"#, "instanze"),
        (r#"{"release":5}"#, "release: "),
        (
            r#"{"release":"r1","instance":"127.0.0.1:80"}"#,
            "instance: ",
        ),
        (r#"{"release":"r1","instance":[7]}"#, "instance: "),
        (r#"{"release":"r1","release":"r2"}"#, "release"),
        (r#"{"release":"not an id"}"#, "release: "),
        (r#"{"release":"r1","strategy":"magic"}"#, "strategy: "),
        (r#"{"release":"r1","detach":"yes"}"#, "detach: "),
        (r#"{"release":"r1","steps":[5]}"#, "steps: "),
        (r#"{"release":"r1","smoke":["/up"]}"#, "smoke: "),
        (
            r#"{"release":"r1","strategy":"canary","steps":"5"}"#,
            "steps: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","steps":[]}"#,
            "steps: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","steps":[101]}"#,
            "steps: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","steps":[0, 5]}"#,
            "steps: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","steps":[25, 5]}"#,
            "steps: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","steps":[60]}"#,
            "steps: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","step_time":"1ms"}"#,
            "step_time: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","watch":"soon"}"#,
            "watch: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","on_fail":"cry"}"#,
            "on_fail: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","on_quiet":7}"#,
            "on_quiet: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","smoke":["checkout"]}"#,
            "smoke: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","gate_exec":[" "]}"#,
            "gate_exec: ",
        ),
        (
            r#"{"release":"r1","strategy":"canary","gate_prometheus":["https://h|up|< 1"]}"#,
            "gate_prometheus: ",
        ),
        (
            r#"{"release":"r1","boot_timeout":"soon"}"#,
            "boot_timeout: ",
        ),
        (r#"{"release":"r1","boot_timeout":30}"#, "boot_timeout: "),
        (
            r#"{"release":"r1","instance":["127.0.0.1:0"]}"#,
            "instance: ",
        ),
        (r#"{"release":"r1","instance":["127.0.0.1"]}"#, "instance: "),
        (
            r#"{"release":"r1","instance":["unix:relative"]}"#,
            "instance: ",
        ),
        (r#"{"instance":["127.0.0.1:80"]}"#, "release is needed"),
        (r#"{"release":"r1""#, "the body: "),
        (r#"[1,2]"#, "the body: "),
        (r#""text""#, "the body: "),
    ] {
        let answer = daemon.client.ask(Method::POST, PROMOTE, &[], body).await;
        answer.must_be(400, "usage");
        assert!(
            answer.detail().contains(named),
            "{body}: {}",
            answer.detail()
        );
    }
    assert_eq!(daemon.plane.published("web").len(), 1);
}

#[tokio::test]
async fn every_verb_knows_its_fields() {
    let place = Place::new();
    let daemon = started(&place).await;
    for verb in [
        "promote",
        "stage",
        "unstage",
        "hold",
        "resume",
        "rollback",
        "abort",
        "block",
        "unblock",
        "pause",
        "advance",
        "experiment/start",
        "experiment/close",
        "plan",
    ] {
        let answer = daemon.client.web(verb, json!({ "nonsense": 1 })).await;
        answer.must_be(400, "usage");
        assert!(
            answer.detail().contains("nonsense"),
            "{verb}: {}",
            answer.detail()
        );
    }
    let answer = daemon
        .client
        .post("/v1/reload", json!({ "nonsense": 1 }))
        .await;
    answer.must_be(400, "usage");
    let answer = daemon
        .client
        .post("/v1/operations/x/command", json!({ "why": "x" }))
        .await;
    answer.must_be(400, "usage");
    assert!(answer.detail().contains("`ok`"), "{}", answer.detail());
    daemon
        .client
        .web("explode", json!({}))
        .await
        .must_be(404, "unknown_path");
}

#[tokio::test]
async fn a_body_over_64_kib_is_400_whether_it_says_so_or_not() {
    let place = Place::new();
    let daemon = started(&place).await;
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(64 * 1024));
    let answer = daemon
        .client
        .ask(Method::POST, "/v1/apps/web/block", &[], long.clone())
        .await;
    answer.must_be(400, "usage");
    assert!(answer.detail().contains("64 KiB"), "{}", answer.detail());
    let chunked = format!(
        "POST /v1/apps/web/block HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let line = status_line(&daemon, chunked.as_bytes()).await;
    assert_eq!(line, "HTTP/1.1 400 Bad Request");
    let just_fits = format!(r#"{{"reason":"ok"}}{}"#, " ".repeat(60 * 1024));
    daemon
        .client
        .ask(Method::POST, "/v1/apps/web/block", &[], just_fits)
        .await
        .ok();
}

#[tokio::test]
async fn a_reason_is_words_and_no_book() {
    let place = Place::new();
    let daemon = started(&place).await;
    let answer = daemon
        .client
        .web("block", json!({ "reason": "x".repeat(1025) }))
        .await;
    answer.must_be(400, "usage");
    assert!(
        answer.detail().starts_with("reason: "),
        "{}",
        answer.detail()
    );
    daemon
        .client
        .web("block", json!({ "reason": "x".repeat(1024) }))
        .await
        .ok();
}

#[tokio::test]
async fn deep_json_is_400() {
    let place = Place::new();
    let daemon = started(&place).await;
    for (open, close) in [("[", "]"), (r#"{"reason":"#, "}")] {
        let deep = open.repeat(6_000) + "1" + &close.repeat(6_000);
        let answer = daemon
            .client
            .ask(Method::POST, "/v1/apps/web/block", &[], deep)
            .await;
        answer.must_be(400, "usage");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_is_400() {
    let place = Place::new();
    let daemon = started(&place).await;
    let body: &[u8] = b"{\"reason\":\"\xff\xfe\"}";
    let answer = daemon
        .client
        .ask(Method::POST, "/v1/apps/web/block", &[], body)
        .await;
    answer.must_be(400, "usage");
    assert!(answer.detail().contains("UTF-8"), "{}", answer.detail());
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_off() {
    let place = Place::new();
    let daemon = started(&place).await;
    let mut line = b"GET /".to_vec();
    line.resize(4 << 20, b'x');
    let answered = status_line(&daemon, &line).await;
    assert!(
        answered.is_empty() || answered.starts_with("HTTP/1.1 4"),
        "{answered}"
    );
    let many_fields = format!(
        "GET /v1/status HTTP/1.1\r\nconnection: close\r\n{}\r\n",
        (0..2000)
            .map(|n| format!("x-{n}: y\r\n"))
            .collect::<String>()
    );
    let answered = status_line(&daemon, many_fields.as_bytes()).await;
    assert_eq!(answered, "HTTP/1.1 431 Request Header Fields Too Large");
}

#[tokio::test]
async fn what_is_no_http_is_ended() {
    let place = Place::new();
    let daemon = started(&place).await;
    for noise in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"hello\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answered = status_line(&daemon, noise).await;
        assert!(!answered.contains("200"), "{answered}");
    }
    assert_eq!(daemon.client.live().await, "r0");
}

#[tokio::test]
async fn random_octets_change_nothing() {
    let place = Place::new();
    let daemon = started(&place).await;
    let before = daemon.client.status().await;
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("SEED={seed}");
    let mut state = seed | 1;
    let mut random = move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let template = b"POST /v1/apps/web/block HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    for _ in 0..300 {
        let mut octets = template.to_vec();
        for _ in 0..1 + random() % 4 {
            let at = usize::try_from(random()).unwrap() % octets.len();
            octets[at] = random().to_le_bytes()[0];
        }
        let mut stream = daemon.client.connect().await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, &octets)
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut stream)
            .await
            .unwrap();
        let mut said = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said).await;
    }
    assert_eq!(daemon.client.status().await, before);
}

#[tokio::test]
async fn another_method_is_405_and_told_the_right_one() {
    let place = Place::new();
    let daemon = started(&place).await;
    let answer = daemon.client.get(PROMOTE).await;
    answer.must_be(405, "method");
    assert_eq!(answer.fields["allow"], "POST");
    daemon
        .client
        .get("/v2/status")
        .await
        .must_be(404, "unknown_path");
}

#[tokio::test]
async fn wrong_conditions_are_400() {
    let place = Place::new();
    let daemon = started(&place).await;
    for field in [
        ("if-match", "seven"),
        ("if-match", "*"),
        ("idempotency-key", "no spaces please"),
    ] {
        let answer = daemon
            .client
            .ask(Method::POST, "/v1/apps/web/abort", &[field], "")
            .await;
        answer.must_be(400, "usage");
    }
}
